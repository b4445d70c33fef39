//! What flows cost in memory.

use clap::Args;
use serde::Serialize;
use sluice_packet::{Instant, TcpFlags, TestBuf};
use sluice_proxy::Worker;
use sluice_telemetry::Counter;

use super::appliance::{Appliance, SetupError, at};
use super::craft::{Craft, SEGMENT};
use super::end::SITE;
use super::sessions::Rig;
use super::sink::Sink;

const REPLY_BYTES: usize = 10_000;

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct MemoryOptions {
    /// Flows of which a SYN is sent.
    #[arg(long, default_value_t = 1_000_000)]
    observed: u32,
    /// Idle inspected TLS 1.3 sessions, in the same table.
    #[arg(long, default_value_t = 100_000)]
    taken: u32,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct MemoryReport {
    observed: u32,
    taken: u32,
    /// The table and all that a worker takes when it is made.
    table_bytes: usize,
    /// That, per place.
    bytes_per_observed_flow: f64,
    /// What the sessions hold beyond their places.
    session_bytes: usize,
    /// That, per session.
    bytes_per_taken_flow: f64,
    /// All of it.
    bytes: usize,
}

impl MemoryOptions {
    /// Measures; `heap` says how many bytes are on the heap now.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn run(&self, heap: &dyn Fn() -> usize) -> Result<MemoryReport, SetupError> {
        let appliance = Appliance::new()?;
        let places = self.observed + self.taken;
        let before = heap();
        let mut rig = Rig::new(&appliance, places as usize)?;
        let table_bytes = heap() - before;
        // What is learned once is there for all.
        for _ in 0..4 {
            rig.open(SITE)?;
            rig.request(REPLY_BYTES)?;
            rig.forget_ends()?;
        }
        rig.sink.forget_buffers();
        let before = heap();
        for _ in 4..self.taken {
            rig.open(SITE)?;
            rig.request(REPLY_BYTES)?;
            rig.forget_ends()?;
        }
        rig.sink.forget_buffers();
        let session_bytes = heap() - before;
        observe(&mut rig.worker, &mut rig.sink, self.observed, rig.now);
        rig.sink.forget_buffers();
        let bytes = heap() - before + table_bytes;
        rig.worker.gauges(&mut rig.sink);
        let taken = rig.sink.count_of(Counter::FlowsTaken);
        let all = taken + rig.sink.count_of(Counter::FlowsObserved);
        if taken != u64::from(self.taken) || all != u64::from(places) {
            let message = format!("{taken} flows are taken over, and {all} in the table");
            return Err(SetupError::Traffic(message));
        }
        Ok(MemoryReport {
            observed: self.observed,
            taken: self.taken,
            table_bytes,
            bytes_per_observed_flow: table_bytes as f64 / f64::from(places),
            session_bytes,
            bytes_per_taken_flow: session_bytes as f64 / f64::from(self.taken.max(5) - 4),
            bytes,
        })
    }
}

fn observe(worker: &mut Worker<TestBuf>, sink: &mut Sink, flows: u32, now: Instant) {
    let now = at(now);
    for flow in 0..flows {
        let craft = Craft {
            flow: 50_000_000 + flow,
            server_port: 443,
            from_client: true,
            seq: 1,
            ack: 0,
            flags: TcpFlags::SYN,
            payload: &[],
        };
        let mut packet = sink.buffer();
        craft.write(&mut packet.0);
        worker.on_packet(SEGMENT, craft.side(), packet, now, sink);
        sink.recycle_sent();
    }
    worker.poll(now, sink);
    sink.recycle_sent();
}
