//! What a packet costs against how many flows there are.

use core::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use sluice_packet::{Instant, Side, TcpFlags, TestBuf};
use sluice_proxy::Worker;
use sluice_telemetry::Counter;

use super::appliance::{Appliance, SetupError, at};
use super::craft::{CLIENT_SIDE, Craft, SEGMENT};
use super::random::Dice;
use super::sessions::hello;
use super::sink::Sink;
use super::stopwatch::Stopwatch;

/// Packets that are handed to the worker at once, as by a port.
const BURST: u32 = 32;
/// Flows that are brought up together.
const GROUP: u32 = 1_000;
const SERVER_ISN: u32 = 9_000;
const CLIENT_ISN: u32 = 1_000;
const PAYLOAD_BYTES: u32 = 100;
const PAYLOAD: [u8; PAYLOAD_BYTES as usize] = [b'x'; PAYLOAD_BYTES as usize];

/// What the packets belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Connections that no policy is about: no entry in the table.
    Uninspected,
    /// Flows in the table that are bypassed: segments with 100 bytes of payload, from the client.
    Bypassed,
    /// Flows of which a SYN was seen: the SYN again.
    Observed,
    /// A SYN of a new flow each, into a table that is full: each evicts the oldest.
    Flood,
    /// Flows taken over and spliced: 16 segments with 100 bytes of payload from clients, then the 16 acknowledgements of what
    /// the worker sent on to the servers.
    Taken,
}

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct FlowsOptions {
    /// What the packets belong to.
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many flows there are, one worker each.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,100000")]
    flows: Vec<u32>,
    /// Flows that each worker has room for.
    #[arg(long, default_value_t = 131_072)]
    capacity: usize,
    /// How often each worker is measured, in turns.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Bursts of 32 packets per round.
    #[arg(long, default_value_t = 4_000)]
    bursts: usize,
    /// Hand packets to the worker one by one.
    #[arg(long)]
    single: bool,
    /// Segments in a row of each flow that is drawn, where flows are taken over.
    #[arg(long, default_value_t = 1)]
    train: u32,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct FlowsReport {
    kind: Kind,
    capacity: usize,
    bursts: usize,
    single: bool,
    train: u32,
    flows: Vec<u32>,
    /// Nanoseconds per packet: the median burst of each round, a list for each number of flows.
    ns_per_packet: Vec<Vec<f64>>,
}

impl FlowsOptions {
    /// Measures.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn run(&self) -> Result<FlowsReport, SetupError> {
        let appliance = Appliance::new()?;
        let hello = hello(&appliance, "www.bank.test")?;
        let mut fields = Vec::new();
        for flows in &self.flows {
            let capacity = if self.kind == Kind::Flood {
                *flows as usize
            } else {
                self.capacity
            };
            fields.push(Field::new(&appliance, self.kind, *flows, capacity, &hello)?);
        }
        let mut ns_per_packet = vec![Vec::new(); fields.len()];
        for round in 0..=self.rounds {
            for (field, rounds) in fields.iter_mut().zip(&mut ns_per_packet) {
                let median = field.round(self)?;
                // The first round fills caches and learns branches.
                if round > 0 {
                    rounds.push(median / f64::from(BURST));
                }
            }
        }
        Ok(FlowsReport {
            kind: self.kind,
            capacity: self.capacity,
            bursts: self.bursts,
            single: self.single,
            train: self.train,
            flows: self.flows.clone(),
            ns_per_packet,
        })
    }
}

/// A worker with a number of flows, and what their ends know.
struct Field {
    worker: Worker<TestBuf>,
    sink: Sink,
    kind: Kind,
    flows: u32,
    /// The next flow of a flood.
    fresh: u32,
    /// What each client sends next.
    client_next: Vec<u32>,
    dice: Dice,
    /// The flows of the burst that is being made.
    drawn: Vec<u32>,
    now: Instant,
    watch: Stopwatch,
    packets: Vec<TestBuf>,
}

impl Field {
    fn new(
        appliance: &Appliance,
        kind: Kind,
        flows: u32,
        capacity: usize,
        hello: &[u8],
    ) -> Result<Self, SetupError> {
        let mut field = Self {
            worker: appliance.worker(capacity)?,
            sink: Sink::default(),
            kind,
            flows,
            fresh: flows,
            client_next: Vec::new(),
            dice: Dice::new(7),
            drawn: Vec::new(),
            now: Instant::from_secs(1),
            watch: Stopwatch::default(),
            packets: Vec::new(),
        };
        for first in (0..flows).step_by(GROUP as usize) {
            field.bring_up(first..(first + GROUP).min(flows), hello);
        }
        field.settle();
        let there = {
            field.worker.gauges(&mut field.sink);
            field.sink.count_of(Counter::FlowsObserved) + field.sink.count_of(Counter::FlowsTaken)
        };
        if kind != Kind::Uninspected && there != u64::from(flows) {
            let message = format!("{there} flows are in the table, not {flows}");
            return Err(SetupError::Traffic(message));
        }
        Ok(field)
    }

    fn bring_up(&mut self, flows: core::ops::Range<u32>, hello: &[u8]) {
        let ack = TcpFlags::ACK;
        match self.kind {
            Kind::Uninspected => {}
            Kind::Bypassed => {
                for flow in flows {
                    self.untimed(&self.craft(flow, true, CLIENT_ISN, SERVER_ISN, ack, &[]));
                }
            }
            Kind::Observed | Kind::Flood => {
                for flow in flows {
                    self.untimed(&self.craft(flow, true, CLIENT_ISN, 0, TcpFlags::SYN, &[]));
                }
            }
            Kind::Taken => self.take(flows, hello),
        }
        self.settle();
    }

    /// A ClientHello in two pieces, the second one after the appliance has waited long enough to take over.
    fn take(&mut self, flows: core::ops::Range<u32>, hello: &[u8]) {
        let ack = TcpFlags::ACK;
        let (first, second) = hello.split_at(hello.len() / 2);
        let half = u32::try_from(first.len()).unwrap_or(0);
        let whole = u32::try_from(hello.len()).unwrap_or(0);
        let (client, server) = (CLIENT_ISN + 1, SERVER_ISN + 1);
        for flow in flows.clone() {
            let opening = [
                self.craft(flow, true, CLIENT_ISN, 0, TcpFlags::SYN, &[]),
                self.craft(flow, false, SERVER_ISN, client, TcpFlags::SYN | ack, &[]),
                self.craft(flow, true, client, server, ack, &[]),
                self.craft(flow, true, client, server, ack, first),
            ];
            for segment in opening {
                self.untimed(&segment);
            }
        }
        self.now += Duration::from_millis(150);
        self.settle();
        for flow in flows.clone() {
            self.untimed(&self.craft(flow, true, client + half, server, ack, second));
        }
        self.settle();
        for flow in flows {
            self.untimed(&self.craft(flow, false, server, client + whole, ack, &[]));
            self.client_next.push(client + whole);
        }
    }

    fn craft<'a>(
        &self,
        flow: u32,
        from_client: bool,
        seq: u32,
        ack: u32,
        flags: TcpFlags,
        payload: &'a [u8],
    ) -> Craft<'a> {
        Craft {
            flow,
            server_port: if self.kind == Kind::Uninspected {
                80
            } else {
                443
            },
            from_client,
            seq,
            ack,
            flags,
            payload,
        }
    }

    fn untimed(&mut self, craft: &Craft<'_>) {
        let mut packet = self.sink.buffer();
        craft.write(&mut packet.0);
        self.worker
            .on_packet(SEGMENT, craft.side(), packet, at(self.now), &mut self.sink);
        if self.sink.sent.len() >= 64 {
            self.worker.poll(at(self.now), &mut self.sink);
            self.sink.recycle_sent();
        }
    }

    fn settle(&mut self) {
        while self.worker.poll(at(self.now), &mut self.sink) {
            self.sink.recycle_sent();
        }
        self.sink.recycle_sent();
    }

    /// Nanoseconds of the median burst.
    fn round(&mut self, options: &FlowsOptions) -> Result<f64, SetupError> {
        let bursts = options.bursts;
        let mut spent = Vec::with_capacity(bursts);
        for _ in 0..bursts {
            self.burst(options)?;
            spent.push(self.watch.take());
            self.now += Duration::from_micros(10);
        }
        spent.sort_unstable();
        let median = spent.get(bursts / 2).copied().unwrap_or_default();
        Ok(median.as_secs_f64() * 1e9)
    }

    fn burst(&mut self, options: &FlowsOptions) -> Result<(), SetupError> {
        let single = options.single;
        let ack = TcpFlags::ACK;
        self.drawn.clear();
        match self.kind {
            Kind::Uninspected | Kind::Bypassed => {
                for _ in 0..BURST {
                    let flow = self.draw();
                    self.prepare(&self.craft(flow, true, CLIENT_ISN, SERVER_ISN, ack, &PAYLOAD));
                }
                self.timed(CLIENT_SIDE, single);
                self.expect(BURST as usize)
            }
            Kind::Observed => {
                for _ in 0..BURST {
                    let flow = self.draw();
                    self.prepare(&self.craft(flow, true, CLIENT_ISN, 0, TcpFlags::SYN, &[]));
                }
                self.timed(CLIENT_SIDE, single);
                self.expect(BURST as usize)
            }
            Kind::Flood => {
                for _ in 0..BURST {
                    let flow = self.fresh;
                    // Long gone when the numbers come round.
                    self.fresh = (self.fresh + 1) % 100_000_000;
                    self.prepare(&self.craft(flow, true, CLIENT_ISN, 0, TcpFlags::SYN, &[]));
                }
                self.timed(CLIENT_SIDE, single);
                self.expect(BURST as usize)
            }
            Kind::Taken => {
                let mut answers = Vec::with_capacity(BURST as usize / 2);
                let mut flow = 0;
                for number in 0..BURST / 2 {
                    if number.is_multiple_of(options.train.max(1)) {
                        flow = self.draw();
                    }
                    let Some(next) = self.client_next.get_mut(flow as usize) else {
                        continue;
                    };
                    let seq = *next;
                    *next = seq.wrapping_add(PAYLOAD_BYTES);
                    answers.push((flow, *next));
                    self.prepare(&self.craft(flow, true, seq, SERVER_ISN + 1, ack, &PAYLOAD));
                }
                self.timed(CLIENT_SIDE, single);
                let onward = |(to, packet): &&(Side, TestBuf)| {
                    *to != CLIENT_SIDE && packet.0.len() > PAYLOAD.len()
                };
                let sent = self.sink.sent.iter().filter(onward).count();
                // Two segments of one flow may go on as one.
                if sent == 0 || sent > answers.len() {
                    let message = format!("{sent} segments went on of {}", answers.len());
                    return Err(SetupError::Traffic(message));
                }
                self.sink.recycle_sent();
                for (flow, next) in answers {
                    self.prepare(&self.craft(flow, false, SERVER_ISN + 1, next, ack, &[]));
                }
                self.timed(CLIENT_SIDE.other(), single);
                self.sink.recycle_sent();
                Ok(())
            }
        }
    }

    /// Another flow for this burst: among few, two packets of one flow would else share what is paid once, among many not.
    fn draw(&mut self) -> u32 {
        loop {
            let flow = self.dice.below(self.flows);
            if self.flows < BURST || !self.drawn.contains(&flow) {
                self.drawn.push(flow);
                return flow;
            }
        }
    }

    fn prepare(&mut self, craft: &Craft<'_>) {
        let mut packet = self.sink.buffer();
        craft.write(&mut packet.0);
        self.packets.push(packet);
    }

    fn timed(&mut self, side: Side, single: bool) {
        let Self {
            worker,
            sink,
            packets,
            ..
        } = self;
        let now = at(self.now);
        self.watch.time(|| {
            if single {
                for packet in packets.drain(..) {
                    worker.on_packet(SEGMENT, side, packet, now, sink);
                }
            } else {
                worker.on_burst(SEGMENT, side, packets.drain(..), now, sink);
            }
            worker.poll(now, sink);
        });
    }

    fn expect(&mut self, forwarded: usize) -> Result<(), SetupError> {
        let sent = self.sink.sent.len();
        self.sink.recycle_sent();
        if sent == forwarded {
            return Ok(());
        }
        let message = format!("{sent} of {forwarded} packets were forwarded");
        Err(SetupError::Traffic(message))
    }
}
