//! Where one flow of the table stands.

use core::mem::offset_of;

use sluice_flow::limits::{ENTRY_OVERHEAD_BYTES_MAX, HEAD_BYTES, TIMER_BYTES_MAX};
use sluice_flow::{FlowId, Lender, Observer, Retention, TimerWheel};
use sluice_packet::{FlowKey, Instant, PacketBuf, SeqNum, TcpFrame, clear_urgent, fetch};
use sluice_telemetry::{Counter, DecisionCode, DropReason, SessionPhase, SessionSummary};

use crate::alarm::Alarm;
use crate::corners::Over;
use crate::doubts::Doubts;
use crate::ends::Ends;
use crate::generation::Resets;
use crate::holding::Holding;
use crate::identity::{Identity, Place};
use crate::limits::{NEAR_ALARMS_ONE_IN, OBSERVE_TIMEOUT, OBSERVED_FLOW_BYTES_MAX};
use crate::lingering::Lingering;
use crate::memory::{Charge, Memory};
use crate::output::Output;
use crate::session::Session;
use crate::shared::Shared;
use crate::{Now, corners, holding, observing};

/// One entry of a core's flow table: with its head four cache lines, of which a packet of a flow that only passes needs none, and
/// one of a flow that is taken over the first and its session.
#[repr(C)]
pub(crate) struct Flow<B> {
    /// When the timer wheel calls for this flow, unless its session has it called sooner.
    pub(crate) alarm: Alarm,
    /// What the core's memory is charged with for it.
    pub(crate) charged: Charge,
    /// The sequence number of its SYN, if that was `seen`.
    opened_with: SeqNum,
    opening_seen: bool,
    /// It began on the addresses and ports of a connection just over.
    pub(crate) reuses: bool,
    /// In the queue of flows to be serviced at the end of the batch.
    pub(crate) queued: bool,
    /// In the queue of flows whose handshake goes on when there is a budget again.
    pub(crate) starved: bool,
    pub(crate) place: Place,
    pub(crate) state: State<B>,
    pub(crate) identity: Identity,
}

// Whatever packets are made of: those of a flow that is held lie elsewhere.
const _: () = assert!(
    size_of::<Option<Flow<[usize; 3]>>>()
        + ENTRY_OVERHEAD_BYTES_MAX
        + TIMER_BYTES_MAX
        + TIMER_BYTES_MAX / NEAR_ALARMS_ONE_IN
        <= OBSERVED_FLOW_BYTES_MAX
);
const _: () = assert!(
    HEAD_BYTES + size_of::<Option<Flow<[usize; 3]>>>() <= 4 * 64,
    "an entry is four cache lines"
);
const _: () = {
    let identity = HEAD_BYTES + offset_of!(Flow<[usize; 3]>, identity);
    let [key, fetched] = [Identity::KEY_AT, Identity::FETCHED_AT];
    assert!(
        (identity + key) / 64 == (identity + fetched) / 64,
        "whose an entry is stands in one cache line"
    );
};
const _: () = assert!(
    HEAD_BYTES + offset_of!(Flow<[usize; 3]>, state) + 2 * size_of::<u64>() <= 64,
    "what a packet reads of an entry before its session is in one cache line"
);

/// What is to be done with a flow after something happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing changed that a timer depends on.
    Undisturbed,
    /// Its timer or its place among the evictable may have changed.
    Keep,
    /// It is to be serviced at the end of the batch.
    Service,
    /// It is over.
    Remove,
}

/// The life of a flow. Its tag comes first, so that what is small lies beside it; it is wide, so that a place of the table
/// without a flow is told by it, and not by a byte far behind it.
#[repr(u16)]
pub(crate) enum State<B> {
    /// The handshake of the real ends is watched.
    Observing(Observer),
    /// Established; the client's first bytes are held.
    Holding(Box<Holding<B>>),
    /// Taken over in place.
    Taken(Box<Session>),
    /// Taken over, and over: late segments are answered.
    Lingering(Lingering),
    /// Ended before anything was decided.
    Over(Over),
    /// Forwarded packet by packet.
    Bypassed(Bypassed),
    /// Nothing passes any more.
    Blocked(Blocked),
}

/// A flow that passes untouched.
#[derive(Debug)]
pub(crate) struct Bypassed {
    pub(crate) code: DecisionCode,
    pub(crate) ends: Ends,
    /// Most have none.
    pub(crate) doubts: Option<Box<Doubts>>,
}

/// A flow of which nothing passes, recognised until `until`.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) code: DecisionCode,
    pub(crate) resets: Resets,
    pub(crate) until: Instant,
    /// It was blocked by its first packet for having no beginning: forgotten, its next one is blocked again.
    pub(crate) headless: bool,
}

/// Of a flow that passes, and whose packets may all pass.
impl<B> Lender for Flow<B> {
    type Brief = Ends;

    fn key(&self) -> FlowKey {
        self.identity.key()
    }

    #[inline(always)]
    fn is_of(&self, key: &FlowKey) -> bool {
        self.identity.is_of(key)
    }

    fn lend(&self) -> Option<Ends> {
        match &self.state {
            State::Bypassed(bypassed) if bypassed.doubts.is_none() => {
                Some(bypassed.ends.placed(self.place))
            }
            _ => None,
        }
    }

    fn take_back(&mut self, ends: Ends) {
        if let State::Bypassed(bypassed) = &mut self.state {
            bypassed.ends = ends;
        }
    }
}

impl<B> State<B> {
    fn phase(&self) -> SessionPhase {
        match self {
            Self::Observing(_) => SessionPhase::Observed,
            Self::Holding(_) => SessionPhase::Held,
            Self::Taken(session) => session.phase(),
            Self::Lingering(_) | Self::Over(_) => SessionPhase::Closing,
            Self::Bypassed(_) => SessionPhase::Bypassed,
            Self::Blocked(_) => SessionPhase::Blocked,
        }
    }

    /// True while what the client's packets say is what policy reads or has read, and they pass as they came.
    fn is_being_read(&self) -> bool {
        match self {
            Self::Observing(_) | Self::Holding(_) => true,
            Self::Bypassed(bypassed) => bypassed.unconfirmed().is_some(),
            Self::Taken(_) | Self::Lingering(_) | Self::Over(_) | Self::Blocked(_) => false,
        }
    }

    /// When the entry may make room for another flow's.
    pub(crate) fn retention(&self) -> Retention {
        match self {
            Self::Observing(_) => Retention::Observed,
            Self::Taken(session) if session.is_closing() && session.has_delivered() => {
                Retention::Expendable
            }
            Self::Blocked(blocked) if blocked.is_forgettable() => Retention::Expendable,
            Self::Holding(_) | Self::Taken(_) | Self::Blocked(_) => Retention::Kept,
            Self::Lingering(_) | Self::Over(_) | Self::Bypassed(_) => Retention::Expendable,
        }
    }
}

impl<B> Flow<B> {
    /// A flow whose first packet is `tcp`, not yet in the table.
    pub(crate) fn new(
        (identity, place): (Identity, Place),
        state: State<B>,
        tcp: &TcpFrame,
        reuses: bool,
    ) -> Self {
        Self {
            alarm: Alarm::NONE,
            charged: Charge::NOTHING,
            opened_with: tcp.seq,
            opening_seen: tcp.flags.syn() && !tcp.flags.ack(),
            reuses,
            queued: false,
            starved: false,
            place,
            state,
            identity,
        }
    }

    /// The same, opened by a SYN of that number.
    pub(crate) fn opened_by(self, number: SeqNum) -> Self {
        Self {
            opened_with: number,
            opening_seen: true,
            ..self
        }
    }

    /// Asks for a little of what lies behind the entry: what keeps a core waiting longest is where its pages are, and this way
    /// it learns that of a whole burst at once.
    #[inline]
    pub(crate) fn reach(&self) {
        if let State::Taken(session) = &self.state {
            session.reach();
            self.identity.fetch_key();
        }
    }

    /// Asks for what a packet of that end will read beyond the entry's first line.
    #[inline]
    pub(crate) fn fetch_for_packet(&self, from_lower: bool, wheel: &TimerWheel<FlowId>) {
        self.identity.fetch_key();
        match &self.state {
            State::Taken(session) => session.fetch_half(self.place.is_from_client(from_lower)),
            State::Holding(holding) => {
                wheel.fetch(self.alarm.timer);
                holding.fetch();
            }
            State::Observing(observer) => {
                observer.fetch();
                self.identity.fetch();
            }
            State::Lingering(lingering) => fetch(&lingering.until),
            State::Over(_) | State::Bypassed(_) | State::Blocked(_) => {}
        }
    }

    /// Asks for what a turn will read beyond the entry's first line.
    pub(crate) fn fetch_for_turn(&self, wheel: &TimerWheel<FlowId>) {
        match &self.state {
            State::Taken(session) => {
                wheel.fetch(session.near.timer);
                self.identity.fetch_key();
                session.fetch();
            }
            _ => wheel.fetch(self.alarm.timer),
        }
    }

    /// Asks for what tells whether anything is due, and for what forgetting an observed flow reads.
    pub(crate) fn fetch_deadlines(&self) {
        match &self.state {
            State::Taken(session) => session.fetch_deadlines(),
            State::Holding(holding) => holding.fetch(),
            State::Observing(_) => self.identity.fetch(),
            State::Lingering(lingering) => fetch(&lingering.until),
            State::Over(_) | State::Bypassed(_) | State::Blocked(_) => {}
        }
    }

    /// The timer that has called was not moved when what it was set for was put off.
    pub(crate) fn was_called_early(&self, now: Instant) -> bool {
        matches!(&self.state, State::Taken(session) if session.next_timeout() > now)
    }

    /// Asks for what forgetting this flow will read.
    pub(crate) fn fetch_to_leave(&self, wheel: &TimerWheel<FlowId>) {
        if let State::Observing(observer) = &self.state {
            observer.fetch();
        }
        wheel.fetch(self.alarm.timer);
        self.identity.fetch();
    }
}

impl<B: PacketBuf> Flow<B> {
    /// One packet of this flow, from the client or from the origin.
    pub(crate) fn on_packet(
        &mut self,
        shared: &mut Shared,
        mut packet: B,
        tcp: &TcpFrame,
        from_client: bool,
        now: Now,
        out: &mut impl Output<B>,
    ) -> After {
        if from_client && tcp.flags.urg() && self.state.is_being_read() {
            clear_urgent(packet.frame_mut(), tcp);
            out.count(Counter::UrgentCleared, 1);
        }
        let undecided = matches!(self.state, State::Observing(_) | State::Holding(_));
        if from_client && undecided && tcp.flags.rst() && tcp.payload_len() > 0 {
            // A reset may say why (RFC 9293 3.5.3); undecided, nothing that the client says passes.
            out.discard(packet, DropReason::IrregularSegment);
            return After::Undisturbed;
        }
        match &mut self.state {
            State::Observing(_) => {
                observing::on_packet(self, shared, packet, tcp, from_client, now, out)
            }
            State::Holding(_) => {
                holding::on_packet(self, shared, packet, tcp, from_client, now, out)
            }
            State::Taken(session) => {
                if !tcp.intact(&packet) {
                    out.count(Counter::ChecksumErrors, 1);
                    out.discard(packet, DropReason::BadChecksum);
                    return After::Undisturbed;
                }
                let half = session.half(from_client, now.mono);
                half.acknowledge(&tcp.key, now.mono, out);
                half.tcp.on_segment(now.mono, &tcp.segment(packet.frame()));
                out.consume(packet);
                After::Service
            }
            State::Lingering(lingering) => {
                lingering.on_packet(self.place, packet, tcp, from_client, now.mono, out);
                After::Undisturbed
            }
            State::Over(_) => {
                corners::on_packet_after_end(self, shared, packet, tcp, from_client, now, out)
            }
            State::Bypassed(bypassed) => {
                bypassed.on_packet(self.place, packet, tcp, from_client, now, out)
            }
            State::Blocked(blocked) => {
                blocked.on_packet(self.place, packet, tcp, from_client, now, out);
                After::Undisturbed
            }
        }
    }

    /// Puts in place of a session that is over what is left of it.
    pub(crate) fn leave_session(&mut self, wheel: &mut TimerWheel<FlowId>, now: Now) {
        let over = State::Over(Over { until: now.mono });
        match core::mem::replace(&mut self.state, over) {
            State::Taken(mut session) => {
                session.near.cancel(wheel);
                self.state = match session.blocked() {
                    Some(code) => State::Blocked(Blocked::new(code, self.identity.resets(), now)),
                    None => State::Lingering(session.into_lingering(now.mono)),
                };
            }
            other => self.state = other,
        }
    }

    /// Charges the core's memory with what this flow holds now.
    pub(crate) fn charge(&mut self, memory: &mut Memory) {
        let now = match &self.state {
            State::Holding(holding) => Charge::held(holding.held_bytes()),
            State::Taken(session) => Charge::session(session.memory_bytes()),
            State::Bypassed(bypassed) => Charge::held(bypassed.memory_bytes()),
            _ => Charge::NOTHING,
        };
        if now != self.charged {
            memory.charge(&mut self.charged, now);
        }
    }

    /// A time that [`Self::next_timeout`] named has come, perhaps for nothing.
    pub(crate) fn on_timeout(
        &mut self,
        shared: &mut Shared,
        now: Now,
        out: &mut impl Output<B>,
    ) -> After {
        if now.mono < self.next_timeout() {
            return After::Keep;
        }
        match &mut self.state {
            State::Holding(_) => holding::on_timeout(self, shared, now, out),
            State::Bypassed(bypassed) => bypassed.on_timeout(now.mono),
            State::Observing(_) | State::Lingering(_) | State::Over(_) | State::Blocked(_) => {
                After::Remove
            }
            State::Taken(_) => After::Service,
        }
    }

    /// When something is due if nothing comes.
    pub(crate) fn next_timeout(&self) -> Instant {
        match &self.state {
            State::Observing(_) => self.identity.started + OBSERVE_TIMEOUT,
            State::Holding(holding) => holding.next_timeout(),
            State::Taken(session) => session.next_timeout(),
            State::Lingering(lingering) => lingering.until,
            State::Over(over) => over.until,
            State::Bypassed(bypassed) => bypassed.next_timeout(),
            State::Blocked(blocked) => blocked.until,
        }
    }

    /// True for a flow whose addresses and ports `tcp`, a SYN of its client, may use again. Where the appliance did not end
    /// the connection itself, whether it is new enough is for the origin to say (RFC 6191): only an answer to it makes one.
    pub(crate) fn gives_way_to(&self, tcp: &TcpFrame, packet: &B, now: Instant) -> bool {
        match &self.state {
            State::Observing(_) | State::Holding(_) => false,
            // Where the origin was not reset, the old connection may live on under the new SYN. And while the client still
            // takes part, a SYN is a late duplicate or forged: its half challenges it (RFC 5961 section 4).
            State::Taken(session) => {
                session.is_closing()
                    && session.client_has_gone()
                    && (session.blocked().is_none() || self.identity.resets().origin)
            }
            State::Lingering(lingering) => lingering.gives_way_to(tcp, packet, now),
            State::Blocked(blocked) => blocked.resets.origin,
            State::Over(_) | State::Bypassed(_) => true,
        }
    }

    /// True for a late duplicate of the SYN that opened this flow, which goes on. Once both ends have finished, or it is older
    /// than a duplicate gets, the same number may well be another connection's.
    pub(crate) fn repeats_its_syn(&self, tcp: &TcpFrame, now: Instant) -> bool {
        let goes_on = matches!(&self.state, State::Bypassed(bypassed) if !bypassed.ends.ended());
        goes_on
            && now < self.identity.started + OBSERVE_TIMEOUT
            && self.opening_seen
            && self.opened_with == tcp.seq
    }

    /// As `show sessions` lists it.
    pub(crate) fn summary(&self, core: u16, now: Instant) -> SessionSummary {
        let identity = &self.identity;
        let generation = &identity.generation;
        let session = match &self.state {
            State::Taken(session) => Some(session),
            _ => None,
        };
        let account = session.map(|session| session.account());
        let [to_origin, to_client] = session.map_or([0; 2], |session| session.bytes_passed());
        let code = match &self.state {
            State::Bypassed(bypassed) => Some(bypassed.code),
            State::Blocked(blocked) => Some(blocked.code),
            State::Lingering(lingering) => lingering.code,
            _ => account.and_then(|account| account.code),
        };
        let memory = match &self.state {
            State::Taken(session) => session.memory_bytes(),
            State::Holding(holding) => holding.memory_bytes(),
            State::Bypassed(bypassed) => bypassed.memory_bytes(),
            _ => 0,
        };
        SessionSummary {
            core,
            generation: generation.number(),
            age_us: now.micros().saturating_sub(identity.started.micros()),
            segment: generation.segment_name(identity.segment().0).to_owned(),
            vlan: identity.vlan().vids().collect(),
            client: identity.client(),
            server: identity.server(),
            policy: generation
                .facts(&identity.candidate)
                .map_or_else(String::new, |facts| facts.policy.to_string()),
            sni: account.and_then(|account| account.sni.clone()),
            phase: self.state.phase(),
            code,
            application: session
                .map(|session| session.application())
                .unwrap_or_default(),
            bytes_to_origin: to_origin,
            bytes_to_client: to_client,
            memory_bytes: (size_of::<Self>() + memory) as u64,
        }
    }
}
