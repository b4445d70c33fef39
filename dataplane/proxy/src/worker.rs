//! One core's worker: every packet of its flows, their timers and their turns.

use core::ops::Range;
use std::collections::VecDeque;
use std::sync::Arc;

use sluice_flow::{FlowId, FlowTable, Packet, Reassembler, TimerWheel};
use sluice_packet::{Frame, Instant, Opaque, PacketBuf, SegmentId, Side, TcpFrame, parse};
use sluice_pki::LeafKey;
use sluice_policy::PortSet;
use sluice_random::{CoreRandom, RandomError};
use sluice_telemetry::{Counter, DropReason, EndReason};
use sluice_tls::{IdentityError, TlsContext, TlsContextError};
use thiserror::Error;

use crate::Now;
use crate::alarm;
use crate::burst::Arrival;
use crate::doubts::Doubtful;
use crate::fallback::{Degraded, Sweeps};
use crate::flow::{After, Flow, State};
use crate::generation::Generation;
use crate::intake::{Frames, opaque_counter};
use crate::learn::Lessons;
use crate::leaves::Leaves;
use crate::limits::{
    BURST_PACKETS_MAX, FETCH_AHEAD, HANDSHAKE_STEPS_PER_POLL, TIMER_STEPS_PER_POLL,
};
use crate::load::{SessionLoad, Thresholds};
use crate::memory::{Charge, Memory, MemoryBudget};
use crate::mtu::PortMtus;
use crate::output::{ForgeDone, Output};
use crate::session::{Next, Turn};
use crate::shared::Shared;

/// What a worker is made with.
pub struct WorkerSettings {
    /// Flows the table has room for.
    pub flows_max: usize,
    /// The key of all leaves of this process.
    pub leaf_key: Arc<LeafKey>,
    /// Keys the table's hash, so that nobody can choose flows that collide.
    pub hash_key: [u8; 16],
    /// The sessions of all workers of the process.
    pub load: Arc<SessionLoad>,
    /// How much memory this core's flows may take.
    pub memory: MemoryBudget,
    /// What its ports carry.
    pub mtus: PortMtus,
    /// When the process started.
    pub now: Instant,
}

/// Why a worker cannot be made.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The leaf key cannot be loaded.
    #[error("the leaf key cannot be used: {0}")]
    LeafKey(#[from] IdentityError),
    /// No random bytes.
    #[error("the random generator cannot be seeded: {0}")]
    Random(#[from] RandomError),
    /// The TLS engine has no usable provider.
    #[error("the TLS engine cannot be set up: {0}")]
    Tls(#[from] TlsContextError),
}

/// One core's flows and what they share.
///
/// Sans-IO: packets, time and completions come in, and everything that leaves goes through [`Output`].
pub struct Worker<B> {
    pub(crate) table: FlowTable<Flow<Packet<B>>>,
    pub(crate) fragments: Reassembler<B>,
    pub(crate) shared: Shared,
    /// Where a burst is looked at; without packets between two of them.
    pub(crate) burst: Vec<Arrival<B>>,
    pub(crate) generation: Option<Arc<Generation>>,
    /// Every port that a generation looked at since the table was last empty: each flow in it has one of them.
    pub(crate) ports: PortSet,
    pub(crate) wheel: TimerWheel<FlowId>,
    /// Flows that something happened to since the last poll.
    pub(crate) touched: VecDeque<FlowId>,
    /// Flows whose timers have just fired: empty between two polls.
    fired: Vec<FlowId>,
    /// Flows whose handshake found no budget, the longest waiting first. A turn looks at as many as it has budget for.
    pub(crate) starved: VecDeque<FlowId>,
    pub(crate) doubtful: Doubtful,
    pub(crate) sweeps: Sweeps,
    /// Flows forgotten to make room.
    pub(crate) evicted: u64,
}

impl<B: PacketBuf> Worker<B> {
    /// A worker without a generation: it forwards everything until it adopts one.
    ///
    /// # Errors
    /// [`WorkerError`] when the leaf key is unusable.
    pub fn new(core: u16, settings: WorkerSettings) -> Result<Self, WorkerError> {
        let leaves = Leaves::new(settings.leaf_key, CoreRandom::new()?)?;
        Ok(Self {
            table: FlowTable::new(settings.flows_max, settings.hash_key),
            fragments: Reassembler::new(),
            shared: Shared {
                core,
                tls: TlsContext::new()?,
                leaves,
                lessons: Lessons::default(),
                memory: Memory::new(settings.memory),
                mtus: settings.mtus,
                inspected_sessions: 0,
                load: settings.load,
                thresholds: None,
                degraded: Degraded::default(),
            },
            burst: (0..BURST_PACKETS_MAX).map(|_| Arrival::NONE).collect(),
            generation: None,
            ports: PortSet::new(),
            wheel: alarm::wheel(settings.flows_max, settings.now),
            touched: VecDeque::new(),
            fired: Vec::with_capacity(TIMER_STEPS_PER_POLL),
            starved: VecDeque::new(),
            doubtful: Doubtful::default(),
            sweeps: Sweeps::default(),
            evicted: 0,
        })
    }

    /// The addresses of the memory that has room for all flows. A packet reads it wherever its flow happens to be: who knows
    /// how places it in large pages.
    #[must_use]
    pub fn addresses(&self) -> [Range<usize>; 4] {
        let [index, labels, entries] = self.table.addresses();
        [index, labels, entries, self.wheel.addresses()]
    }

    /// Takes a generation for all flows that begin from now on. Flows under way keep theirs.
    pub fn adopt(&mut self, generation: Arc<Generation>) {
        self.shared.leaves.purge(generation.number());
        self.shared.thresholds = Some(Thresholds::of(generation.limits()));
        if self.table.is_empty() {
            self.ports = PortSet::new();
        }
        self.ports.insert_all(generation.policy().ports());
        self.generation = Some(generation);
    }

    /// Whether any flow may be inspected under the present generation.
    pub(crate) fn watches(&self) -> bool {
        let generation = self.generation.as_ref();
        generation.is_some_and(|generation| generation.policy().watches())
    }

    /// The generation that new flows get.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.generation
            .as_ref()
            .map(|generation| generation.number())
    }

    /// One packet from the wire.
    pub fn on_packet(
        &mut self,
        segment: SegmentId,
        from: Side,
        packet: B,
        now: Now,
        out: &mut impl Output<B>,
    ) {
        let frame = parse(segment, packet.frame());
        let packet = Packet::Whole(packet);
        self.on_frame(segment, from, packet, &frame, now, &mut Frames(out));
    }

    /// A packet that was parsed.
    pub(crate) fn on_frame<O: Output<B>>(
        &mut self,
        segment: SegmentId,
        from: Side,
        packet: Packet<B>,
        frame: &Frame,
        now: Now,
        out: &mut Frames<'_, O>,
    ) {
        let tcp = match frame {
            Frame::Tcp(tcp) => tcp,
            Frame::Fragment(fragment) => {
                return self.on_fragment(segment, from, (packet, fragment), now, out);
            }
            Frame::IcmpError(error) => {
                return self.on_icmp_error(from, (packet, error), now, out);
            }
            Frame::Other(why) => return on_opaque(segment, from, (packet, *why), out),
        };
        match self.table.lookup(&tcp.key) {
            Some(id) => self.on_known(id, from, packet, tcp, now, out),
            None => self.on_unknown((from, false), packet, tcp, now, out),
        }
    }

    /// A helper thread's answer to a job that was submitted.
    pub fn on_completion(&mut self, done: ForgeDone, out: &mut impl Output<B>) {
        let (waiters, leaf) = self.shared.leaves.complete(done, out);
        for id in waiters {
            if let Some(flow) = self.table.get_mut(id)
                && let State::Taken(session) = &mut flow.state
            {
                session.on_leaf(leaf.clone());
                touch(id, flow, &mut self.touched);
            }
        }
    }

    /// Timers that are due, and a turn for every flow that something happened to. True if there was any work.
    pub fn poll(&mut self, now: Now, out: &mut impl Output<B>) -> bool {
        let out = &mut Frames(out);
        let more_fragments = self.expire_fragments(now, out);
        let swept = self.sweep(now, out);
        let Self {
            table,
            wheel,
            touched,
            fired,
            ..
        } = self;
        let before = touched.len();
        let all = wheel.expire(now.mono, TIMER_STEPS_PER_POLL, |id: FlowId| {
            table.fetch(id);
            fired.push(id);
        });
        for id in fired.drain(..) {
            if let Some(flow) = table.get_mut(id) {
                touch(id, flow, touched);
            }
        }
        let called = before..touched.len();
        let mut worked = !all || more_fragments || swept;
        let mut budget = HANDSHAKE_STEPS_PER_POLL;
        for _ in 0..self.starved.len().min(HANDSHAKE_STEPS_PER_POLL) {
            let Some(id) = self.starved.pop_front() else {
                break;
            };
            worked = true;
            if let Some(flow) = self.table.get_mut(id) {
                flow.starved = false;
            }
            self.service(id, &mut budget, now, out);
        }
        // Of what came in bursts this is there already.
        self.fetch_first_turns(0);
        for position in 0..self.touched.len() {
            // What a timer calls for may have been left alone for long, and mostly nothing is due.
            if position >= before && (position - before).is_multiple_of(BURST_PACKETS_MAX) {
                let called = self.touched.iter().take(BURST_PACKETS_MAX);
                let flows = called.filter_map(|id| self.table.get(*id));
                flows.for_each(Flow::fetch_deadlines);
            }
            if let Some(id) = self.touched.get(FETCH_AHEAD)
                && position + FETCH_AHEAD < before
            {
                self.fetch_for_turn(*id);
            }
            let Some(id) = self.touched.pop_front() else {
                break;
            };
            worked = true;
            if let Some(flow) = self.table.get_mut(id) {
                flow.queued = false;
                if called.contains(&position) {
                    if flow.was_called_early(now.mono) {
                        self.set_alarm(id, now.mono);
                        continue;
                    }
                    self.fetch_for_turn(id);
                }
            }
            self.service(id, &mut budget, now, out);
        }
        worked
    }

    /// Asks for what the first turns will read, but of those `before`.
    pub(crate) fn fetch_first_turns(&self, before: usize) {
        let first = self.touched.iter().take(FETCH_AHEAD).skip(before);
        first.for_each(|id| self.fetch_for_turn(*id));
    }

    fn fetch_for_turn(&self, id: FlowId) {
        if let Some(flow) = self.table.get(id) {
            flow.fetch_for_turn(&self.wheel);
        }
    }

    /// The process ends: both ends of every flow that is taken over are reset, for nobody stands in for them any more, and
    /// what is held is given back. An end that has finished and holds everything that was sent to it is left in peace. Flows
    /// that pass go on by themselves.
    pub fn shutdown(&mut self, now: Now, out: &mut impl Output<B>) {
        let out = &mut Frames(out);
        let flows: Vec<FlowId> = self.table.iter().map(|(id, _)| id).collect();
        for id in flows {
            if let Some(flow) = self.table.get_mut(id)
                && let State::Taken(session) = &mut flow.state
            {
                let mut turn = Turn {
                    flow: id,
                    key: flow.identity.key(),
                    identity: &flow.identity,
                    shared: &mut self.shared,
                    now,
                    out,
                    budget: &mut 0,
                    starved: false,
                };
                if session.stop(EndReason::Stopped, &mut turn) {
                    turn.out.count(Counter::SessionsStopped, 1);
                }
            }
            self.remove(id, now, out);
        }
    }

    /// When [`Self::poll`] has work again if no packet comes; now, if it has work left.
    #[must_use]
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        if self.touched.is_empty() && self.starved.is_empty() && !self.sweeps.are_under_way() {
            let fragments = self.fragments.next_timeout();
            fragments.into_iter().chain(self.wheel.next_timeout()).min()
        } else {
            Some(now)
        }
    }

    pub(crate) fn on_known(
        &mut self,
        id: FlowId,
        from: Side,
        packet: Packet<B>,
        tcp: &TcpFrame,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) {
        let Some(flow) = self.table.get_mut(id) else {
            forward(tcp.key.segment(), from, packet, out);
            return;
        };
        let from_client = flow.place.is_from_client(tcp.from_lower());
        if from_client != (from == flow.place.client_side) {
            // The right addresses on the wrong wire.
            out.discard(packet, DropReason::IrregularSegment);
            self.table.lend(id);
            return;
        }
        let opens = tcp.flags.syn() && !tcp.flags.ack();
        if opens
            && from_client
            && flow.gives_way_to(tcp, &packet, now.mono)
            && !flow.repeats_its_syn(tcp, now.mono)
            && tcp.intact(&packet)
        {
            if matches!(flow.state, State::Bypassed(_)) && self.shared.degraded.passes().is_none() {
                return self.on_syn_of_successor(id, from, packet, tcp, now, out);
            }
            out.count(Counter::FourTuplesReused, 1);
            let reuses = flow.reuses || matches!(flow.state, State::Over(_));
            self.remove(id, now, out);
            self.on_unknown((from, reuses), packet, tcp, now, out);
            return;
        }
        if !from_client && flow.is_succeeded(tcp, &packet) {
            return self.succeed(id, from, packet, tcp, now, out);
        }
        let before = flow.state.retention();
        let was_taken = matches!(flow.state, State::Taken(_));
        let after = flow.on_packet(&mut self.shared, packet, tcp, from_client, now, out);
        let retention = flow.state.retention();
        match after {
            After::Undisturbed => {}
            After::Keep => self.set_alarm(id, now.mono),
            After::Service => touch(id, flow, &mut self.touched),
            After::Remove => return self.remove(id, now, out),
        }
        if retention != before {
            self.table.retain(id, retention);
        }
        // What a segment leaves with a session is charged at the end of the turn.
        if after != After::Undisturbed && !was_taken {
            self.charge(id);
            self.make_room(now, out);
        }
        self.table.lend(id);
    }

    fn service(
        &mut self,
        id: FlowId,
        budget: &mut usize,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) {
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        let next = match &mut flow.state {
            State::Taken(session) => {
                if session.next_timeout() <= now.mono {
                    session.on_timeout(&flow.identity, now.mono);
                }
                let mut turn = Turn {
                    flow: id,
                    key: flow.identity.key(),
                    identity: &flow.identity,
                    shared: &mut self.shared,
                    now,
                    out,
                    budget,
                    starved: false,
                };
                let next = session.service(&mut turn);
                let account = if next == Next::Gone {
                    session.close(EndReason::TimedOut)
                } else {
                    session.report()
                };
                if let Some(account) = account {
                    self.shared
                        .session_ended(&flow.identity, &account, now, out);
                }
                if next == Next::Gone {
                    flow.leave_session(&mut self.wheel, now);
                    Next::Wait
                } else {
                    next
                }
            }
            _ => match flow.on_timeout(&mut self.shared, now, out) {
                After::Keep | After::Undisturbed => Next::Wait,
                After::Service => {
                    touch(id, flow, &mut self.touched);
                    Next::Wait
                }
                After::Remove => Next::Gone,
            },
        };
        let retention = flow.state.retention();
        if self.table.retention(id) != Some(retention) {
            self.table.retain(id, retention);
        }
        match next {
            Next::Wait => self.set_alarm(id, now.mono),
            Next::Handshake => {
                if let Some(flow) = self.table.get_mut(id)
                    && !flow.starved
                {
                    flow.starved = true;
                    self.starved.push_back(id);
                }
                // Its other timers go on while it waits.
                self.set_alarm(id, now.mono);
            }
            Next::Gone => self.remove(id, now, out),
        }
        self.charge(id);
        self.make_room(now, out);
        self.table.lend(id);
    }

    pub(crate) fn remove(&mut self, id: FlowId, now: Now, out: &mut impl Output<Packet<B>>) {
        if let Some(removed) = self.table.remove(id) {
            self.forget(removed.value, EndReason::Stopped, now, out);
        }
    }

    /// Gives back what a flow held that is no longer in the table.
    pub(crate) fn forget(
        &mut self,
        mut flow: Flow<Packet<B>>,
        why: EndReason,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) {
        flow.alarm.cancel(&mut self.wheel);
        self.shared
            .memory
            .charge(&mut flow.charged, Charge::NOTHING);
        match &mut flow.state {
            State::Holding(holding) => {
                for packet in holding.hold.release() {
                    out.discard(packet, DropReason::ClosedFlow);
                }
            }
            State::Taken(session) => {
                session.near.cancel(&mut self.wheel);
                if let Some(account) = session.close(why) {
                    self.shared
                        .session_ended(&flow.identity, &account, now, out);
                }
            }
            State::Observing(_)
            | State::Lingering(_)
            | State::Over(_)
            | State::Bypassed(_)
            | State::Blocked(_) => {}
        }
    }
}

pub(crate) fn touch<B>(id: FlowId, flow: &mut Flow<B>, touched: &mut VecDeque<FlowId>) {
    if !flow.queued {
        flow.queued = true;
        touched.push_back(id);
    }
}

/// A packet that is not looked into.
pub(crate) fn on_opaque<B: PacketBuf>(
    segment: SegmentId,
    from: Side,
    (packet, why): (B, Opaque),
    out: &mut impl Output<B>,
) {
    out.count(opaque_counter(why), 1);
    if why == Opaque::Ipv6ChainTooLong {
        // Its receiver may well read on to the end.
        out.discard(packet, DropReason::Ipv6ChainTooLong);
    } else {
        forward(segment, from, packet, out);
    }
}

pub(crate) fn forward<B: PacketBuf>(
    segment: SegmentId,
    from: Side,
    packet: B,
    out: &mut impl Output<B>,
) {
    out.count(Counter::ForwardedPackets, 1);
    out.count(Counter::ForwardedBytes, packet.frame().len() as u64);
    out.forward(segment, from.other(), packet);
}
