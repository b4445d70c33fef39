//! What inspected connections, requests and bytes cost.

use core::time::Duration;

use clap::Args;
use serde::Serialize;
use sluice_packet::{Instant, Side, TestBuf};
use sluice_pki::forge;
use sluice_proxy::{ForgeDone, Worker};
use sluice_random::CoreRandom;
use sluice_telemetry::Counter;

use super::appliance::{Appliance, SetupError, at};
use super::craft::{CLIENT_SIDE, SEGMENT};
use super::end::{End, Peers, SITE};
use super::sink::Sink;
use super::stopwatch::Stopwatch;

/// Packets per call, as a port hands them over.
const BURST: usize = 32;
const REQUEST_BYTES: usize = 120;
const REPLY_BYTES: usize = 1_024;
/// Virtual time per turn: one way through a local network.
const TURN: Duration = Duration::from_micros(50);
/// Longer than the ends wait to acknowledge.
const ACKNOWLEDGEMENTS: Duration = Duration::from_millis(5);
/// Turns without anything heard after which something is wrong.
const TURNS_MAX: usize = 2_000_000;
const FLOWS_MAX: usize = 16_384;

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct SessionsOptions {
    /// How often everything is measured.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Connections with one request each, per round.
    #[arg(long, default_value_t = 300)]
    connections: u32,
    /// Requests on one connection, per round.
    #[arg(long, default_value_t = 3_000)]
    requests: u32,
    /// Bytes of the download, per round, in MiB.
    #[arg(long, default_value_t = 64)]
    bulk_mib: u32,
}

/// What was measured: a figure of each round.
#[derive(Debug, Default, Serialize)]
pub struct SessionsReport {
    /// Microseconds per connection: TCP and TLS 1.3 on both sides, one request, one reply of 1 KiB, close.
    us_per_connection: Vec<f64>,
    /// Microseconds per request on a connection that is there, with a reply of 1 KiB.
    us_per_request: Vec<f64>,
    /// Microseconds per MiB of one long reply.
    us_per_mib: Vec<f64>,
    /// Packets that came in, per MiB.
    packets_per_mib: Vec<f64>,
    /// Segments that the appliance sent twice. Nothing is lost, so all of them for nothing.
    retransmits: u64,
}

impl SessionsOptions {
    /// Measures.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn run(&self) -> Result<SessionsReport, SetupError> {
        let appliance = Appliance::new()?;
        let mut rig = Rig::new(&appliance, FLOWS_MAX)?;
        let mut report = SessionsReport::default();
        // The leaf is forged, and the origin's chain verified, once for all.
        rig.connection()?;
        for _ in 0..self.rounds {
            rig.watch.take();
            for _ in 0..self.connections {
                rig.connection()?;
            }
            let spent = rig.watch.take().as_secs_f64() * 1e6;
            report
                .us_per_connection
                .push(spent / f64::from(self.connections));

            rig.open(SITE)?;
            rig.request(REPLY_BYTES)?;
            rig.watch.take();
            for _ in 0..self.requests {
                rig.request(REPLY_BYTES)?;
            }
            let spent = rig.watch.take().as_secs_f64() * 1e6;
            report.us_per_request.push(spent / f64::from(self.requests));

            // Windows open in the first of it.
            rig.request(4 << 20)?;
            rig.watch.take();
            let packets = rig.packets;
            rig.request((self.bulk_mib as usize) << 20)?;
            let spent = rig.watch.take().as_secs_f64() * 1e6;
            report.us_per_mib.push(spent / f64::from(self.bulk_mib));
            let packets = u32::try_from(rig.packets - packets).unwrap_or(u32::MAX);
            report
                .packets_per_mib
                .push(f64::from(packets) / f64::from(self.bulk_mib));
            rig.close()?;
        }
        rig.worker.gauges(&mut rig.sink);
        report.retransmits = rig.sink.count_of(Counter::TcpRetransmits);
        Ok(report)
    }
}

/// A ClientHello for `name`.
pub(crate) fn hello(appliance: &Appliance, name: &str) -> Result<Vec<u8>, SetupError> {
    let peers = Peers::new(appliance)?;
    Ok(peers.client(0, name, Instant::from_secs(1))?.first_flight())
}

/// A client, a worker and an origin.
pub(crate) struct Rig {
    pub(crate) worker: Worker<TestBuf>,
    pub(crate) sink: Sink,
    watch: Stopwatch,
    peers: Peers,
    ends: Option<(End, End)>,
    pub(crate) now: Instant,
    flow: u32,
    packets: u64,
    random: CoreRandom,
    frames: Vec<TestBuf>,
}

impl Rig {
    pub(crate) fn new(appliance: &Appliance, flows_max: usize) -> Result<Self, SetupError> {
        Ok(Self {
            worker: appliance.worker(flows_max)?,
            sink: Sink::default(),
            watch: Stopwatch::default(),
            peers: Peers::new(appliance)?,
            ends: None,
            now: Instant::from_secs(1),
            flow: 0,
            packets: 0,
            random: CoreRandom::new()?,
            frames: Vec::new(),
        })
    }

    /// A connection with one request.
    fn connection(&mut self) -> Result<(), SetupError> {
        self.open(SITE)?;
        self.request(REPLY_BYTES)?;
        self.close()
    }

    /// A connection whose handshakes are over. The ends of the one before are gone without a word.
    pub(crate) fn open(&mut self, name: &str) -> Result<(), SetupError> {
        self.flow += 1;
        self.ends = Some((
            self.peers.client(self.flow, name, self.now)?,
            self.peers.server()?,
        ));
        self.run("the handshake", |client, _| !client.handshaking())
    }

    /// A request, and its reply.
    pub(crate) fn request(&mut self, reply: usize) -> Result<(), SetupError> {
        let Some((client, origin)) = &mut self.ends else {
            return Err(SetupError::Traffic("no connection is open".to_owned()));
        };
        client.owed = REQUEST_BYTES;
        let (asked, answered) = (origin.heard + REQUEST_BYTES, client.heard + reply);
        self.run("the request", |_, origin| origin.heard >= asked)?;
        if let Some((_, origin)) = &mut self.ends {
            origin.owed = reply;
        }
        self.run("the reply", |client, _| client.heard >= answered)
    }

    fn close(&mut self) -> Result<(), SetupError> {
        if let Some((client, _)) = &mut self.ends {
            client.closing = true;
        }
        self.run("the close", |client, origin| client.over() && origin.over())?;
        // The last FIN is acknowledged too, or the appliance would repeat it for nobody.
        for _ in 0..TURNS_MAX {
            if !self.turn()? {
                break;
            }
            self.now += TURN;
        }
        self.ends = None;
        Ok(())
    }

    /// What is under way arrives, and is acknowledged; then the ends are gone without a word.
    pub(crate) fn forget_ends(&mut self) -> Result<(), SetupError> {
        let quiet = self.now + ACKNOWLEDGEMENTS;
        while self.now < quiet {
            if !self.turn()? {
                self.now += ACKNOWLEDGEMENTS / 20;
            }
            self.now += TURN;
        }
        self.ends = None;
        Ok(())
    }

    /// Turns until `done`.
    fn run(&mut self, what: &str, done: impl Fn(&End, &End) -> bool) -> Result<(), SetupError> {
        for _ in 0..TURNS_MAX {
            let moved = self.turn()?;
            let Some((client, origin)) = &self.ends else {
                break;
            };
            if done(client, origin) {
                return Ok(());
            }
            self.now += TURN;
            if !moved {
                let due = [
                    client.next_timeout(),
                    origin.next_timeout(),
                    self.worker.next_timeout(self.now),
                ];
                let Some(next) = due.into_iter().flatten().min() else {
                    break;
                };
                self.now = self.now.max(next);
            }
        }
        Err(SetupError::Traffic(format!("{what} does not end")))
    }

    /// What the ends send goes through the worker, and what leaves it to the ends. False when nothing moved.
    fn turn(&mut self) -> Result<bool, SetupError> {
        let Some((mut client, mut origin)) = self.ends.take() else {
            return Ok(false);
        };
        let mut frames = core::mem::take(&mut self.frames);
        let mut moved = false;
        for (side, end) in [
            (CLIENT_SIDE, &mut client),
            (CLIENT_SIDE.other(), &mut origin),
        ] {
            end.transmit(self.now, &mut self.sink, &mut frames)?;
            moved |= !frames.is_empty();
            self.arrive(side, &mut frames);
        }
        self.poll();
        while let Some(job) = self.sink.jobs.pop() {
            moved = true;
            let Self {
                worker,
                sink,
                watch,
                random,
                ..
            } = self;
            watch.time(|| {
                let result = forge(&job.request, random);
                worker.on_completion(ForgeDone { id: job.id, result }, sink);
            });
            self.poll();
        }
        let mut sent = core::mem::take(&mut self.sink.sent);
        moved |= !sent.is_empty();
        for (to, packet) in sent.drain(..) {
            let end = if to == CLIENT_SIDE {
                &mut client
            } else {
                &mut origin
            };
            end.receive(&packet.0, self.now);
            self.sink.recycle(packet);
        }
        self.sink.sent = sent;
        self.frames = frames;
        self.ends = Some((client, origin));
        Ok(moved)
    }

    /// As the core's loop does: a burst, then a poll.
    fn arrive(&mut self, side: Side, frames: &mut Vec<TestBuf>) {
        self.packets += frames.len() as u64;
        let now = at(self.now);
        let Self {
            worker,
            sink,
            watch,
            ..
        } = self;
        let mut frames = frames.drain(..).peekable();
        while frames.peek().is_some() {
            let burst = frames.by_ref().take(BURST);
            watch.time(|| {
                worker.on_burst(SEGMENT, side, burst, now, sink);
                worker.poll(now, sink);
            });
        }
    }

    fn poll(&mut self) {
        let Self {
            worker,
            sink,
            watch,
            ..
        } = self;
        let now = at(self.now);
        watch.time(|| worker.poll(now, sink));
    }
}
