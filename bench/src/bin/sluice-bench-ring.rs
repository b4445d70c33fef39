//! `sluice-bench-ring`: the data path of one core between two ring ports of DPDK, whose frames come back for ever: what
//! `dpdk-testpmd --forward-mode=macswap` does on the same ports, done by the appliance.
//!
//! The loop is the core's: receive a burst per port, `Worker::on_burst`, `Worker::poll`, send. What leaves a ring port
//! comes in by it again, so every frame is turned around as it is sent, addresses and ports exchanged: the appliance sees
//! both directions of connections. That is counted as the appliance's own work.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use dpdk::{
    Burst, Clock, DpdkError, Eal, EalConfig, Huge, InitError, Mbuf, Mempool, Port, PortConfig,
    PortError, RxQueue, TxQueue, cycles,
};
use serde::Serialize;
use sluice_bench::lockstep::{Appliance, CLIENT_SIDE, Craft, SEGMENT, SetupError};
use sluice_packet::{Instant, PacketBuf, SegmentId, Side, TcpFlags};
use sluice_proxy::{Effects, ForgeJob, Now, Output, Worker};
use sluice_telemetry::{Counter, DropReason, FlowRecord};
use thiserror::Error;
use tikv_jemallocator::Jemalloc;

/// The data plane's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Frames on their way, per port: less than a ring holds.
const FRAMES: u32 = 256;
const POOL_PACKETS: u32 = 16_383;
const POOL_CACHE_PACKETS: u32 = 250;
const BUFFER_BYTES: u16 = 2_176;
const PENDING_PACKETS: usize = 128;
const FLOWS_MAX: usize = 131_072;
const HEADERS_BYTES: usize = 54;
/// Ethernet and IPv4 without options: where addresses and ports stand.
const ENDS_AT: usize = 26;
const ENDS_BYTES: usize = 12;
const SOURCE_PORT: core::ops::Range<usize> = 34..36;
const CHECKSUM: core::ops::Range<usize> = 50..52;
const FIRST_PORT: u32 = 1_024;
const WARM_UP_US: u64 = 300_000;

/// What the frames are.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// TCP that no policy is about: no entry in the table.
    Uninspected,
    /// Flows in the table that are bypassed.
    Bypassed,
}

/// Frames per second through one core between two ring ports.
#[derive(Parser)]
#[command(name = "sluice-bench-ring", version)]
struct Arguments {
    /// What the frames are.
    #[arg(long, value_enum, default_value = "bypassed")]
    kind: Kind,
    /// Flows, at most 60,000.
    #[arg(long, default_value_t = 100)]
    flows: u32,
    /// Bytes of a frame.
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// How long to count.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    kind: Kind,
    flows: u32,
    bytes: usize,
    packets: u64,
    packets_per_second: f64,
}

#[derive(Debug, Error)]
enum RingError {
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("{0}")]
    Init(#[from] InitError),
    #[error("{0}")]
    Port(#[from] PortError),
    #[error("{0}")]
    Dpdk(#[from] DpdkError),
    #[error("{0}")]
    Traffic(String),
}

/// One ring port.
struct Ring {
    side: Side,
    rx: RxQueue,
    tx: TxQueue,
    pending: Burst<PENDING_PACKETS>,
}

/// Both ports' way out, and the counters.
struct Rings {
    ports: [Ring; 2],
    counters: [u64; Counter::COUNT],
    discarded: u64,
    flows: u32,
    next: u32,
}

fn main() -> ExitCode {
    let outcome = measure(&Arguments::parse())
        .map_err(|error| error.to_string())
        .and_then(|report| serde_json::to_string(&report).map_err(|error| error.to_string()));
    match outcome {
        Ok(text) => match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(message) => {
            // Nobody is left to tell when the standard error is closed.
            let _closed = writeln!(std::io::stderr(), "sluice-bench-ring: {message}");
            ExitCode::from(2)
        }
    }
}

fn measure(arguments: &Arguments) -> Result<Report, RingError> {
    let eal = Eal::init(&EalConfig {
        memory_mib: 128,
        hugepages: Huge::Off,
        ..EalConfig::default()
    })?;
    let pool = Mempool::new(
        &eal,
        "bench",
        POOL_PACKETS,
        POOL_CACHE_PACKETS,
        BUFFER_BYTES,
        None,
    )?;
    let mut rings = Rings {
        ports: [
            ring(&eal, "net_ring0", CLIENT_SIDE, pool)?,
            ring(&eal, "net_ring1", CLIENT_SIDE.other(), pool)?,
        ],
        counters: [0; Counter::COUNT],
        discarded: 0,
        flows: arguments.flows.clamp(1, 60_000),
        next: 0,
    };
    let appliance = Appliance::new()?;
    let mut worker: Worker<Mbuf> = appliance.worker(FLOWS_MAX)?;
    inject(&mut rings, pool, arguments)?;
    let clock = Clock::start(&eal);
    run(&mut worker, &mut rings, &clock, WARM_UP_US);
    let before = rings.forwarded();
    let began = clock.now();
    run(
        &mut worker,
        &mut rings,
        &clock,
        arguments.seconds * 1_000_000,
    );
    let spent_us = clock.now().micros() - began.micros();
    let packets = rings.forwarded() - before;
    if rings.discarded > 0 || packets == 0 {
        let message = format!("{packets} frames passed, {} did not", rings.discarded);
        return Err(RingError::Traffic(message));
    }
    worker.gauges(&mut rings);
    let there = rings.counter(Counter::FlowsObserved);
    let expected = match arguments.kind {
        Kind::Uninspected => 0,
        Kind::Bypassed => u64::from(rings.flows),
    };
    if there != expected {
        let message = format!("{there} flows are in the table, not {expected}");
        return Err(RingError::Traffic(message));
    }
    Ok(Report {
        kind: arguments.kind,
        flows: rings.flows,
        bytes: arguments.bytes,
        packets,
        packets_per_second: packets as f64 * 1e6 / spent_us as f64,
    })
}

fn ring(eal: &Eal, name: &str, side: Side, pool: Mempool) -> Result<Ring, RingError> {
    let port = Port::attach(eal, name)?;
    let mut running = port.configure(&PortConfig::default(), &[pool])?.start()?;
    match (running.rx.pop(), running.tx.pop()) {
        (Some(rx), Some(tx)) => Ok(Ring {
            side,
            rx,
            tx,
            pending: Burst::new(),
        }),
        _ => Err(RingError::Traffic(format!("{name} has no queues"))),
    }
}

/// Puts frames into both rings: from clients into the one, from servers into the other.
fn inject(rings: &mut Rings, pool: Mempool, arguments: &Arguments) -> Result<(), RingError> {
    let server_port = match arguments.kind {
        Kind::Uninspected => 80,
        Kind::Bypassed => 443,
    };
    let payload = vec![0; arguments.bytes.saturating_sub(HEADERS_BYTES)];
    let mut frame = Vec::new();
    for from_client in [true, false] {
        for number in 0..FRAMES {
            let flow = number % rings.flows;
            Craft {
                flow,
                server_port,
                from_client,
                seq: 1,
                ack: 1,
                flags: TcpFlags::ACK,
                payload: &payload,
            }
            .write(&mut frame);
            let short = || RingError::Traffic("a frame finds no buffer".to_owned());
            let mut packet = pool.alloc().ok_or_else(short)?;
            packet
                .append(frame.len())
                .ok_or_else(short)?
                .copy_from_slice(&frame);
            let position = usize::from(!from_client);
            rings.queue(position, packet);
        }
    }
    rings.flush();
    Ok(())
}

fn run(worker: &mut Worker<Mbuf>, rings: &mut Rings, clock: &Clock, micros: u64) {
    let end = clock.now().micros() + micros;
    loop {
        let mono: Instant = clock.at(cycles());
        if mono.micros() >= end {
            return;
        }
        let now = Now {
            mono,
            unix_us: mono.micros(),
        };
        for position in 0..2 {
            let mut burst: Burst = Burst::new();
            let Some(port) = rings.ports.get_mut(position) else {
                continue;
            };
            let side = port.side;
            let packets = port.rx.receive(&mut burst) as u64;
            if packets == 0 {
                continue;
            }
            rings.count(Counter::RxPacketsA, packets);
            worker.on_burst(SEGMENT, side, burst.drain(), now, rings);
        }
        worker.poll(now, rings);
        rings.flush();
    }
}

impl Rings {
    fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter.index()).copied().unwrap_or(0)
    }

    fn forwarded(&self) -> u64 {
        self.counter(Counter::ForwardedPackets)
    }

    fn flush(&mut self) {
        for port in &mut self.ports {
            port.tx.send(&mut port.pending);
        }
    }

    fn queue(&mut self, position: usize, packet: Mbuf) {
        let Some(port) = self.ports.get_mut(position) else {
            return;
        };
        if port.pending.is_full() {
            port.tx.send(&mut port.pending);
        }
        if port.pending.push(packet).is_err() {
            self.discarded += 1;
        }
    }

    /// Exchanges the ends. A client's next segment belongs to the next flow, where there are more than frames.
    fn turn_around(&mut self, to: Side, frame: &mut [u8]) {
        if let Some((ends, _)) = frame
            .get_mut(ENDS_AT..)
            .and_then(|rest| rest.split_first_chunk_mut())
        {
            swap_ends(ends);
        }
        if to == CLIENT_SIDE && self.flows > FRAMES {
            self.next = (self.next + 1) % self.flows;
            let port = u16::try_from(FIRST_PORT + self.next).unwrap_or(u16::MAX);
            rewrite(frame, port);
        }
    }
}

/// Another source port, and the checksum that goes with it (RFC 1624 3).
fn rewrite(frame: &mut [u8], port: u16) {
    let field = |frame: &[u8], range| match frame.get::<core::ops::Range<usize>>(range) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    let (before, checksum) = (field(frame, SOURCE_PORT), field(frame, CHECKSUM));
    let mut sum = u32::from(!checksum) + u32::from(!before) + u32::from(port);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from(sum).unwrap_or(0);
    for (range, value) in [(SOURCE_PORT, port), (CHECKSUM, checksum)] {
        if let Some(place) = frame.get_mut(range) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// Exchanges addresses and ports.
fn swap_ends(ends: &mut [u8; ENDS_BYTES]) {
    let [s0, s1, s2, s3, d0, d1, d2, d3, p0, p1, q0, q1] = *ends;
    *ends = [d0, d1, d2, d3, s0, s1, s2, s3, q0, q1, p0, p1];
}

impl Effects for Rings {
    fn emit(
        &mut self,
        _segment: SegmentId,
        _to: Side,
        _len: usize,
        _write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        // Nothing here is answered.
        self.discarded += 1;
        false
    }

    fn event(&mut self, record: FlowRecord) {
        drop(record);
    }

    fn submit(&mut self, job: ForgeJob) {
        drop(job);
    }

    fn count(&mut self, counter: Counter, by: u64) {
        if let Some(cell) = self.counters.get_mut(counter.index()) {
            *cell += by;
        }
    }

    fn gauge(&mut self, counter: Counter, value: u64) {
        if let Some(cell) = self.counters.get_mut(counter.index()) {
            *cell = value;
        }
    }
}

impl Output<Mbuf> for Rings {
    fn forward(&mut self, _segment: SegmentId, to: Side, mut packet: Mbuf) {
        self.turn_around(to, packet.frame_mut());
        self.queue(usize::from(to != CLIENT_SIDE), packet);
    }

    fn discard(&mut self, packet: Mbuf, reason: DropReason) {
        self.count(Counter::Drop(reason), 1);
        self.discarded += 1;
        drop(packet);
    }
}
