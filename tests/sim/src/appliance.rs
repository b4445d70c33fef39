//! The appliance between two links: one worker, driven by the virtual clock.
//!
//! What leaves the worker is audited frame by frame against what both ends have said ([`Ledger`]); what it holds is
//! counted, so that a run can ask at its end whether everything was given back.

mod ledger;
mod output;
mod site;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use sluice_packet::{Frame, Instant, SegmentId, TcpFrame, TestBuf, parse};
use sluice_pki::forge;
use sluice_proxy::{
    ForgeDone, ForgeJob, MemoryBudget, Now, PortMtus, Worker, WorkerError, WorkerSettings,
};
use sluice_random::CoreRandom;
use sluice_telemetry::{Counter, FlowRecord};

use crate::between::Between;
use crate::fragments::Rejoin;
use crate::network::{Counts, Network, Side};
use crate::random::Random;
use crate::simulation::line;
use ledger::Ledger;
use output::{Exit, Way};
pub use site::{ORIGIN_NAME, Site, SiteError, compile};

/// The appliance's ports in the only segment there is.
type Port = sluice_packet::Side;

const SEGMENT: SegmentId = SegmentId(0);
/// Turns at one instant after which the worker never rests.
const TURNS_AT_ONCE_MAX: usize = 1_000;

/// What may happen to the audited flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Its payload may pass as it came.
    #[default]
    MayPass,
    /// No byte of its payload passes as it came: it is inspected, or nothing.
    InspectedOrNothing,
}

/// How an appliance is set up.
#[derive(Clone, Copy, Debug)]
pub struct AppliancePlan {
    /// The left end, who opens the flow.
    pub client: SocketAddr,
    /// The right end.
    pub server: SocketAddr,
    /// What may happen to their flow.
    pub expected: Expected,
    /// The client is behind port B.
    pub client_behind_b: bool,
    /// Bytes of the largest IP datagram that the client's link takes, and the origin's.
    pub mtus: [u16; 2],
    /// How long a helper thread takes.
    pub helper: Duration,
    /// How often, in a thousand, there is no buffer for a frame.
    pub no_buffer_per_mille: u64,
    /// Flows that the table has room for.
    pub flows_max: usize,
}

impl AppliancePlan {
    /// The port of the client, or of the origin.
    fn port(&self, side: Side) -> Port {
        if (side == Side::Left) == self.client_behind_b {
            Port::B
        } else {
            Port::A
        }
    }
}

/// One worker between two links.
pub struct Appliance {
    plan: AppliancePlan,
    worker: Worker<TestBuf>,
    exit: Exit,
    /// Toward the client, and toward the origin.
    links: [Network; 2],
    delivered: VecDeque<(Side, Vec<u8>)>,
    jobs: VecDeque<(Instant, ForgeJob)>,
    random: CoreRandom,
    ledger: Ledger,
    /// Of what comes in, and of what goes out.
    rejoin: [Rejoin; 2],
    notes: Vec<String>,
    tracing: bool,
    resets_made: u64,
    fault: Option<String>,
}

impl Appliance {
    /// An appliance under `site`'s configuration between the client's link and the origin's.
    ///
    /// # Errors
    /// [`WorkerError`] when the worker cannot be made.
    pub fn new(
        plan: AppliancePlan,
        site: &Site,
        links: [Network; 2],
        random: &mut Random,
        now: Instant,
    ) -> Result<Self, WorkerError> {
        let mut mtus = PortMtus::default();
        for (side, mtu) in [Side::Left, Side::Right].into_iter().zip(plan.mtus) {
            mtus.set(SEGMENT, plan.port(side), mtu);
        }
        let settings = WorkerSettings {
            flows_max: plan.flows_max,
            leaf_key: site.leaf_key(),
            hash_key: [7; 16],
            load: Arc::default(),
            memory: MemoryBudget::default(),
            mtus,
            now,
        };
        let mut worker = Worker::new(1, settings)?;
        worker.adopt(site.generation());
        let mut seed = [0; 32];
        for (place, byte) in seed.iter_mut().zip(random.bits().to_le_bytes()) {
            *place = byte;
        }
        Ok(Self {
            plan,
            worker,
            exit: Exit::new(plan.no_buffer_per_mille, random.branch()),
            links,
            delivered: VecDeque::new(),
            jobs: VecDeque::new(),
            random: CoreRandom::fixed(seed),
            ledger: Ledger::new(plan.mtus),
            rejoin: Default::default(),
            notes: Vec::new(),
            tracing: false,
            resets_made: 0,
            fault: None,
        })
    }

    /// Notes every frame that the appliance passes or makes.
    #[must_use]
    pub fn with_notes(mut self, tracing: bool) -> Self {
        self.tracing = tracing;
        self
    }

    /// What was logged about the flow between both ends.
    #[must_use]
    pub fn events(&self) -> Vec<&FlowRecord> {
        let (client, server) = (self.plan.client, self.plan.server);
        self.exit
            .events
            .iter()
            .filter(|event| event.client == client && event.server == server)
            .collect()
    }

    /// A counter, or a gauge as the worker sets it now.
    pub fn count(&mut self, counter: Counter) -> u64 {
        self.worker.gauges(&mut self.exit);
        self.exit.count_of(counter)
    }

    /// The appliance has reset an end: it gave up, refused, or passed a reset on.
    #[must_use]
    pub fn has_reset(&self) -> bool {
        self.resets_made > 0
    }

    /// Nothing is under way and no timer runs.
    #[must_use]
    pub fn is_idle(&self, now: Instant) -> bool {
        self.under_way() == 0 && self.jobs.is_empty() && self.worker.next_timeout(now).is_none()
    }

    /// What is left of flows that are over: packets, entries, timers.
    pub fn leftovers(&mut self, now: Instant) -> Option<String> {
        let flows = self.worker.sessions(usize::MAX, now);
        let held = self.exit.held();
        let taken = self.count(Counter::FlowsTaken);
        let observed = self.count(Counter::FlowsObserved);
        let clean = flows.is_empty() && held == 0 && taken + observed == 0;
        (!clean).then(|| {
            format!(
                "the appliance is left with {held} packets, {taken} taken and {observed} other flows: {flows:#?}"
            )
        })
    }

    fn now(now: Instant) -> Now {
        Now {
            mono: now,
            unix_us: crate::certificates::START_UNIX_S * 1_000_000 + now.micros(),
        }
    }

    fn port(&self, side: Side) -> Port {
        self.plan.port(side)
    }

    fn side(&self, port: Port) -> Side {
        if self.port(Side::Left) == port {
            Side::Left
        } else {
            Side::Right
        }
    }

    /// The flow's segment in `frame`, if it has one that its receiver would take.
    fn audited(&self, frame: &[u8]) -> Option<(TcpFrame, Side)> {
        let Frame::Tcp(tcp) = parse(SEGMENT, frame) else {
            return None;
        };
        let (client, server) = (self.plan.client, self.plan.server);
        let from = match (tcp.source, tcp.destination) {
            ends if ends == (client, server) => Side::Left,
            ends if ends == (server, client) => Side::Right,
            _ => return None,
        };
        Some((tcp, from))
    }

    /// Everything that happens at `now`, until nothing does.
    fn turn(&mut self, now: Instant) {
        for _ in 0..TURNS_AT_ONCE_MAX {
            let mut moved = self.take_arrivals(now);
            moved |= self.complete_jobs(now);
            let due = self.worker.next_timeout(now).is_some_and(|at| at <= now);
            if !moved && !due {
                return;
            }
            self.worker.poll(Self::now(now), &mut self.exit);
            while let Some(job) = self.exit.jobs.pop_front() {
                self.jobs.push_back((now + self.plan.helper, job));
            }
            self.send_out(now);
        }
        self.wrong("the worker has work at one instant without end".to_owned());
    }

    fn take_arrivals(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for from in [Side::Left, Side::Right] {
            let inward = from.other();
            while let Some((to, frame)) = self.link(from).arrived(now) {
                if to != inward {
                    self.delivered.push_back((to, frame));
                    continue;
                }
                moved = true;
                let [coming, _] = &mut self.rejoin;
                if let Some(whole) = coming.take(&frame)
                    && let Some((tcp, sender)) = self.audited(&whole)
                    && sender == from
                    && tcp.checksum_ok(&whole)
                {
                    self.ledger.heard(from, &tcp);
                }
                self.exit.taken_in();
                let port = self.port(from);
                self.worker.on_packet(
                    SEGMENT,
                    port,
                    TestBuf(frame),
                    Self::now(now),
                    &mut self.exit,
                );
            }
        }
        moved
    }

    fn complete_jobs(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while self.jobs.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, job)) = self.jobs.pop_front()
        {
            moved = true;
            let result = forge(&job.request, &mut self.random);
            self.worker
                .on_completion(ForgeDone { id: job.id, result }, &mut self.exit);
        }
        moved
    }

    fn send_out(&mut self, now: Instant) {
        while let Some((port, frame, way)) = self.exit.frames.pop_front() {
            let to = self.side(port);
            self.audit(now, to, &frame, way);
            let alive = Between::send(self.link(to), now, to, frame);
            if self.tracing
                && !alive
                && let Some(note) = self.notes.last_mut()
            {
                note.push_str(" DROPPED");
            }
        }
    }

    fn audit(&mut self, now: Instant, to: Side, frame: &[u8], way: Way) {
        if self.tracing {
            let what = if way == Way::Made { "makes" } else { "passes" };
            self.notes
                .push(line(now, &format!("  {what} to {to:?}"), frame));
        }
        let [_, going] = &mut self.rejoin;
        let Some(frame) = going.take(frame) else {
            return;
        };
        let frame = &*frame;
        let Some((tcp, sender)) = self.audited(frame) else {
            if way == Way::Made {
                self.wrong(format!("a frame of nobody was made: {frame:02x?}"));
            }
            return;
        };
        if way == Way::Passed {
            let guarded = self.plan.expected == Expected::InspectedOrNothing;
            if guarded && tcp.payload_len() > 0 && tcp.checksum_ok(frame) {
                self.wrong(format!(
                    "{} bytes from {sender:?} passed uninspected at {now:?}",
                    tcp.payload_len()
                ));
            }
            if sender != to && tcp.checksum_ok(frame) {
                self.ledger.passed(to, &tcp);
            }
            return;
        }
        self.resets_made += u64::from(tcp.flags.rst());
        if let Err(wrong) = self.ledger.made(to, sender, &tcp, frame) {
            let what = line(now, "made", frame);
            self.wrong(format!("toward {to:?}: {wrong}\n{what}"));
        }
    }

    fn wrong(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    fn link(&mut self, end: Side) -> &mut Network {
        let [client, origin] = &mut self.links;
        match end {
            Side::Left => client,
            Side::Right => origin,
        }
    }
}

impl Between for Appliance {
    fn send(&mut self, now: Instant, to: Side, frame: Vec<u8>) -> bool {
        let link = self.link(to.other());
        Between::send(link, now, to, frame)
    }

    fn arrived(&mut self, now: Instant) -> Option<(Side, Vec<u8>)> {
        if self.delivered.is_empty() {
            self.turn(now);
        }
        self.delivered.pop_front()
    }

    fn next_event(&self, now: Instant) -> Option<Instant> {
        let arrivals = self.links.iter().filter_map(Network::next_arrival);
        let jobs = self.jobs.iter().map(|(at, _)| *at);
        arrivals
            .chain(jobs)
            .chain(self.worker.next_timeout(now))
            .min()
    }

    fn under_way(&self) -> usize {
        self.links.iter().map(Network::under_way).sum::<usize>() + self.delivered.len()
    }

    fn counts(&self) -> Counts {
        let [client, origin] = &self.links;
        client.counts().plus(origin.counts())
    }

    fn fault(&self) -> Option<String> {
        self.fault.clone()
    }

    fn notes(&mut self) -> Vec<String> {
        core::mem::take(&mut self.notes)
    }

    fn describe(&self) -> String {
        let events: Vec<String> = self
            .exit
            .events
            .iter()
            .map(|event| {
                format!(
                    "{} -> {}: {}, {:?}, {:?}",
                    event.client,
                    event.server,
                    event.code.name(),
                    event.ended,
                    event.detail
                )
            })
            .collect();
        format!("{:?}\nlogged {events:?}", self.counts())
    }
}
