//! Watching a handshake that is not answered but forwarded.

use core::net::SocketAddr;
use core::time::Duration;

use sluice_packet::{Encapsulation, FlowKey, Instant, SeqNum, Side, TcpFrame, fetch};

use self::end::{
    ECN, EndRecord, FIN, MULTIPATH, SACK, SCALE, SHIFTED, TIMESTAMPS, UNKNOWN, UNTIMED, no_data,
    sequence_len, syn_record,
};
use crate::limits::{CONFIRMED_WITH_DATA_MICROS_MAX, OBSERVER_BYTES_MAX};
use crate::{Disregard, Half, Irregularity, Observation, Recorded, Role, TimestampClock};

mod end;

/// Watches a connection from its first SYN until it is decided upon, and remembers of both ends what a takeover needs.
///
/// It believes what the receiving end would believe: segments with a wrong checksum, out of the window or with a stale
/// timestamp teach it nothing. It does not look at policy, holds no packets, and knows no timeouts.
#[derive(Clone, Debug)]
pub struct Observer {
    opened: Instant,
    originator: EndRecord,
    responder: EndRecord,
    /// The tunnel around what originator and responder send: few flows are in one.
    outer: Option<Box<[Option<Encapsulation>; 2]>>,
    phase: Phase,
    originator_is_lower: bool,
    originator_side: Side,
}

const _: () = assert!(size_of::<Observer>() <= OBSERVER_BYTES_MAX);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was seen but segments that nobody takes.
    Closed,
    SynSent,
    SynAcknowledged,
    Established,
    Reset,
    Finished,
    Irregular(Irregularity),
}

impl Observer {
    /// Observes from `tcp` on, the first segment seen of its connection, which came in at `side`.
    ///
    /// One whose checksum is wrong begins nothing: the observer waits for one that does.
    ///
    /// # Errors
    /// [`Irregularity`] when it is not a SYN that a connection which can be taken over begins with.
    pub fn open(
        tcp: &TcpFrame,
        bytes: &[u8],
        side: Side,
        now: Instant,
    ) -> Result<Self, Irregularity> {
        let checked = tcp.checksum_ok(bytes);
        let record = if !checked {
            EndRecord::of_syn(tcp, bytes, 0)
        } else if !tcp.flags.syn() {
            return Err(Irregularity::MidStream);
        } else if tcp.flags.ack() {
            return Err(Irregularity::OneWay);
        } else {
            syn_record(tcp, bytes, 0)?
        };
        Ok(Self {
            opened: now,
            originator: record,
            // The first SYN-ACK replaces it.
            responder: record,
            outer: Encapsulation::from_frame(tcp, bytes).map(|outer| Box::new([Some(outer), None])),
            phase: if checked {
                Phase::SynSent
            } else {
                Phase::Closed
            },
            originator_is_lower: tcp.from_lower(),
            originator_side: side,
        })
    }

    /// Learns from the next segment, which came in at `side`. `bytes` is the frame that `tcp` was parsed from.
    pub fn on_segment(
        &mut self,
        tcp: &TcpFrame,
        bytes: &[u8],
        side: Side,
        now: Instant,
    ) -> Observation {
        if !tcp.checksum_ok(bytes) {
            return Observation::Disregarded(Disregard::BadChecksum);
        }
        let from = self.role_of(tcp);
        let right_side = (from == Role::Originator) == (side == self.originator_side);
        if !right_side && self.phase != Phase::Closed {
            return Observation::Disregarded(Disregard::WrongSide);
        }
        let outcome = match self.phase {
            Phase::Irregular(why) => Err(Halt::Irregular(why)),
            Phase::Closed => Self::open(tcp, bytes, side, now)
                .map_err(Halt::Irregular)
                .map(|opened| {
                    *self = opened;
                    Observation::Handshaking
                }),
            Phase::Reset | Phase::Finished => self.after_end(from, tcp),
            // The connection began unsigned, so its ends have no key and drop what is signed (RFC 2385 2.0).
            _ if tcp.options.signature && !(tcp.flags.syn() && from == Role::Originator) => {
                Err(Halt::Disregard(Disregard::UnexpectedSignature))
            }
            Phase::SynSent => match from {
                Role::Originator => self.originator_before_answer(tcp, bytes, now),
                Role::Responder => self.answer(tcp, bytes, now),
            },
            Phase::SynAcknowledged => match from {
                Role::Originator => self.confirmation(tcp, bytes, now),
                Role::Responder => self.responder_before_confirmation(tcp, now),
            },
            Phase::Established => self.segment(from, tcp, now),
        };
        match outcome {
            Ok(observation) => observation,
            Err(Halt::Disregard(why)) => Observation::Disregarded(why),
            Err(Halt::Irregular(why)) => {
                self.phase = Phase::Irregular(why);
                Observation::Irregular(why)
            }
        }
    }

    /// The payload and FIN of `tcp`, which was observed before, are forwarded. What is not is held: a takeover gets it from
    /// its holder.
    pub fn passed(&mut self, tcp: &TcpFrame) {
        if self.phase != Phase::Established {
            return;
        }
        let end = tcp.seq + sequence_len(tcp);
        let record = self.record_mut(self.role_of(tcp));
        if tcp.seq.gt(record.next) {
            // Its number says what its sender has sent, not what the other end was given.
            return;
        }
        record.passed(end);
        if tcp.flags.fin() {
            record.facts |= FIN;
        }
    }

    /// Whether everything that `tcp` carries was forwarded before: a repetition, or a keep-alive probe with its one byte
    /// (RFC 9293 3.8.4).
    #[must_use]
    pub fn is_repetition(&self, tcp: &TcpFrame) -> bool {
        (tcp.seq + sequence_len(tcp)).le(self.record(self.role_of(tcp)).next)
    }

    /// What follows the last sequence number of `role` that was forwarded.
    #[must_use]
    pub fn next_of(&self, role: Role) -> SeqNum {
        self.record(role).next
    }

    /// Which end sent `tcp`.
    #[must_use]
    pub fn role_of(&self, tcp: &TcpFrame) -> Role {
        if tcp.from_lower() == self.originator_is_lower {
            Role::Originator
        } else {
            Role::Responder
        }
    }

    /// The address of one end of `key`, the observed connection.
    #[must_use]
    pub fn address_of(&self, role: Role, key: &FlowKey) -> SocketAddr {
        if (role == Role::Originator) == self.originator_is_lower {
            key.lower()
        } else {
            key.higher()
        }
    }

    /// The side one end is on.
    #[must_use]
    pub const fn side_of(&self, role: Role) -> Side {
        match role {
            Role::Originator => self.originator_side,
            Role::Responder => self.originator_side.other(),
        }
    }

    /// Asks for what the next segment will read.
    pub fn fetch(&self) {
        fetch(&self.opened);
        self.originator.fetch();
        self.responder.fetch();
    }

    /// When the first SYN came.
    #[must_use]
    pub const fn opened(&self) -> Instant {
        self.opened
    }

    /// The handshake is over and the connection is not.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.phase == Phase::Established
    }

    /// Both halves of `key`, the observed connection, for a takeover. None when the connection is not established, and as
    /// long as something forwarded is not acknowledged: it might have to be sent again, and nobody here has it.
    #[must_use]
    pub fn recorded(&self, key: &FlowKey) -> Option<Recorded> {
        let all_arrived = self.originator.acknowledged == self.responder.next
            && self.responder.acknowledged == self.originator.next;
        (self.is_established() && all_arrived).then(|| Recorded {
            toward_originator: self.half_toward(Role::Originator, key),
            toward_responder: self.half_toward(Role::Responder, key),
        })
    }

    fn half_toward(&self, peer_role: Role, key: &FlowKey) -> Half {
        let (peer, other) = (self.record(peer_role), self.record(peer_role.other()));
        let timestamps = TimestampClock {
            value: other.timestamp,
            at: self.opened + Duration::from_micros(u64::from(other.timestamp_after_micros)),
            echo_recent: peer.recent,
        };
        Half {
            send_next: other.next,
            receive_next: peer.next,
            send_window: self.window_of(peer_role),
            receive_window: self.window_of(peer_role.other()),
            peer_mss: peer.mss,
            send_scale: self.scale_of(peer_role),
            receive_scale: self.scale_of(peer_role.other()),
            sack: self.both(SACK),
            ecn: self.both(ECN),
            timestamps: self.both(TIMESTAMPS).then_some(timestamps),
            round_trip: peer.round_trip(),
            path: other
                .link
                .with_source(key, self.address_of(peer_role.other(), key))
                .within(self.outer_of(peer_role.other())),
        }
    }

    fn outer_of(&self, role: Role) -> Option<Encapsulation> {
        let [originator, responder] = **self.outer.as_ref()?;
        match role {
            Role::Originator => originator,
            Role::Responder => responder,
        }
    }

    /// All segments of a connection are in the same tunnel, or they would not be of one key.
    fn learn_outer(&mut self, role: Role, tcp: &TcpFrame, bytes: &[u8]) {
        let Some([originator, responder]) = self.outer.as_deref_mut() else {
            return;
        };
        let outer = match role {
            Role::Originator => originator,
            Role::Responder => responder,
        };
        *outer = Encapsulation::from_frame(tcp, bytes);
    }

    fn record(&self, role: Role) -> &EndRecord {
        match role {
            Role::Originator => &self.originator,
            Role::Responder => &self.responder,
        }
    }

    fn record_mut(&mut self, role: Role) -> &mut EndRecord {
        match role {
            Role::Originator => &mut self.originator,
            Role::Responder => &mut self.responder,
        }
    }

    fn both(&self, fact: u8) -> bool {
        self.originator.has(fact) && self.responder.has(fact)
    }

    /// RFC 7323 2.2: the windows are scaled when both ends have sent the option.
    fn scale_of(&self, role: Role) -> u8 {
        if self.both(SCALE) {
            self.record(role).scale
        } else {
            0
        }
    }

    fn window_of(&self, role: Role) -> u32 {
        let record = self.record(role);
        u32::from(record.window)
            << if record.has(SHIFTED) {
                self.scale_of(role)
            } else {
                0
            }
    }

    fn after_micros(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_since(self.opened).as_micros()).unwrap_or(u32::MAX)
    }

    /// No SYN-ACK has come: the originator repeats its SYN, or resets.
    fn originator_before_answer(&mut self, tcp: &TcpFrame, bytes: &[u8], now: Instant) -> Step {
        if tcp.flags.syn() {
            if tcp.flags.ack() {
                return Err(Halt::Irregular(Irregularity::SimultaneousOpen));
            }
            // A repeated SYN may drop options (RFC 7323 3.2, and ECN by RFC 3168 6.1.1.1), and one with another sequence
            // number is another attempt. Either way the last one stands; a SYN-ACK for an earlier one matches nothing.
            let mut record = syn_record(tcp, bytes, self.after_micros(now))?;
            record.stamped_not_before(&self.originator);
            self.originator = record;
            self.learn_outer(Role::Originator, tcp, bytes);
            return Ok(Observation::Handshaking);
        }
        if tcp.seq != self.originator.next {
            return Err(Halt::Disregard(Disregard::OutOfWindow));
        }
        if tcp.flags.rst() {
            self.phase = Phase::Reset;
            return Ok(Observation::Reset);
        }
        // It goes on as if it were answered: the answer went another way.
        Err(Halt::Irregular(Irregularity::OneWay))
    }

    /// The responder's first word.
    fn answer(&mut self, tcp: &TcpFrame, bytes: &[u8], now: Instant) -> Step {
        if tcp.flags.syn() && !tcp.flags.ack() {
            return Err(Halt::Irregular(Irregularity::SimultaneousOpen));
        }
        // RFC 9293 3.10.7.3: in SYN-SENT an acknowledgement of anything but the SYN is answered by a reset or dropped.
        if !tcp.flags.ack() || tcp.ack != self.originator.next {
            return Err(Halt::Disregard(Disregard::WrongAcknowledgement));
        }
        if tcp.flags.rst() {
            self.phase = Phase::Reset;
            return Ok(Observation::Reset);
        }
        if !tcp.flags.syn() {
            return Err(Halt::Disregard(Disregard::WrongFlags));
        }
        let after_micros = self.after_micros(now);
        self.responder = syn_record(tcp, bytes, after_micros)?;
        let sent_micros = self.originator.timestamp_after_micros;
        // Karn's algorithm: the answer to a SYN that was repeated may be to either, unless it says to which.
        if sent_micros == 0 || self.originator.is_echoed_by(tcp) {
            self.responder
                .answered_within(after_micros.saturating_sub(sent_micros));
        }
        self.learn_outer(Role::Responder, tcp, bytes);
        if self.both(MULTIPATH) {
            return Err(Halt::Irregular(Irregularity::Multipath));
        }
        if self.both(UNKNOWN) {
            return Err(Halt::Irregular(Irregularity::UnknownOptions));
        }
        // Not yet known to be repeated.
        self.originator.round_trip = 0;
        // Until the confirmation comes, the SYN-ACK is not acknowledged.
        self.originator.acknowledged = self.responder.next - 1;
        self.phase = Phase::SynAcknowledged;
        Ok(Observation::Handshaking)
    }

    /// The originator's answer to the SYN-ACK.
    fn confirmation(&mut self, tcp: &TcpFrame, bytes: &[u8], now: Instant) -> Step {
        if tcp.flags.syn() && tcp.seq + 1 == self.originator.next && !tcp.flags.ack() {
            no_data(tcp)?;
            self.note_clock(Role::Originator, tcp, now);
            return Ok(Observation::Handshaking);
        }
        if tcp.flags.syn() {
            // Another attempt, which the answer to the one before it does not answer.
            self.phase = Phase::SynSent;
            return self.originator_before_answer(tcp, bytes, now);
        }
        if tcp.flags.rst() {
            return self.reset(Role::Originator, tcp);
        }
        if !tcp.flags.ack() {
            return Err(Halt::Disregard(Disregard::WrongFlags));
        }
        if tcp.ack != self.responder.next {
            return Err(Halt::Disregard(Disregard::WrongAcknowledgement));
        }
        self.acceptable(Role::Originator, tcp)?;
        self.phase = Phase::Established;
        let sent_micros = self.responder.timestamp_after_micros;
        let taken = self.after_micros(now).saturating_sub(sent_micros);
        let once = self.originator.round_trip != UNTIMED;
        // What carries data may have waited for it, and comes in place of a confirmation that was lost. Where that was not
        // long, it is still nearer to the truth than nothing.
        let prompt = tcp.payload_len() == 0 || taken <= CONFIRMED_WITH_DATA_MICROS_MAX;
        self.originator.round_trip = UNTIMED;
        if prompt && (once || self.responder.is_echoed_by(tcp)) {
            self.originator.answered_within(taken);
        }
        self.learn(Role::Originator, tcp, now);
        Ok(Observation::Established)
    }

    /// The SYN-ACK has come and was not confirmed: the responder repeats it, or resets.
    fn responder_before_confirmation(&mut self, tcp: &TcpFrame, now: Instant) -> Step {
        if tcp.flags.syn() && !tcp.flags.ack() {
            return Err(Halt::Irregular(Irregularity::SimultaneousOpen));
        }
        if tcp.flags.ack() && tcp.ack != self.originator.next {
            return Err(Halt::Disregard(Disregard::WrongAcknowledgement));
        }
        if tcp.flags.rst() {
            // The originator may not have had the SYN-ACK, and takes a reset for the SYN then.
            return if tcp.flags.ack() {
                self.phase = Phase::Reset;
                Ok(Observation::Reset)
            } else {
                self.reset(Role::Responder, tcp)
            };
        }
        if tcp.flags.syn() {
            no_data(tcp)?;
            if tcp.seq + 1 != self.responder.next {
                // The originator keeps to the first it gets. Which one that is, its confirmation says.
                return Err(Halt::Disregard(Disregard::OutOfWindow));
            }
            self.originator.round_trip = UNTIMED;
            self.note_clock(Role::Responder, tcp, now);
            return Ok(Observation::Handshaking);
        }
        // Only what the originator takes when it has had the SYN-ACK.
        if tcp.flags.ack() && tcp.payload_len() > 0 && tcp.seq == self.responder.next {
            self.acceptable(Role::Responder, tcp)?;
            return Err(Halt::Irregular(Irregularity::EarlyData));
        }
        Err(Halt::Disregard(Disregard::WrongFlags))
    }

    /// Any segment of the established connection.
    fn segment(&mut self, from: Role, tcp: &TcpFrame, now: Instant) -> Step {
        if tcp.flags.rst() {
            return self.reset(from, tcp);
        }
        if tcp.flags.syn() {
            // A repeated SYN-ACK says that the confirmation was lost; the originator answers it.
            if from == Role::Responder && tcp.flags.ack() && tcp.seq + 1 == self.responder.next {
                self.note_clock(from, tcp, now);
            }
            return Err(Halt::Disregard(Disregard::WrongFlags));
        }
        if !tcp.flags.ack() {
            return Err(Halt::Disregard(Disregard::WrongFlags));
        }
        if tcp.ack.gt(self.record(from.other()).next) {
            return Err(Halt::Disregard(Disregard::WrongAcknowledgement));
        }
        self.acceptable(from, tcp)?;
        self.learn(from, tcp, now);
        let over =
            |end: &EndRecord, peer: &EndRecord| end.has(FIN) && peer.acknowledged == end.next;
        if over(&self.originator, &self.responder) && over(&self.responder, &self.originator) {
            self.phase = Phase::Finished;
            return Ok(Observation::Finished);
        }
        Ok(Observation::Segment)
    }

    /// The connection is over.
    fn after_end(&self, from: Role, tcp: &TcpFrame) -> Step {
        if tcp.flags.rst() {
            return Ok(Observation::Reset);
        }
        if tcp.flags.syn() && !tcp.flags.ack() {
            // RFC 9293 3.10.7.4 (TIME-WAIT), RFC 6191: a new connection begins after the last sequence number of the old.
            let anew = self.phase == Phase::Reset
                || tcp.seq.ge(self.record(from).next)
                || self.newer_clock(from, tcp);
            return if anew {
                Ok(Observation::Reopened)
            } else {
                Err(Halt::Disregard(Disregard::OutOfWindow))
            };
        }
        let record = self.record(from);
        if self.phase == Phase::Finished && (tcp.seq + sequence_len(tcp)).le(record.next) {
            // The last FIN or its acknowledgement again.
            return Ok(Observation::Finished);
        }
        Ok(Observation::Irregular(Irregularity::AfterEnd))
    }

    fn newer_clock(&self, from: Role, tcp: &TcpFrame) -> bool {
        self.both(TIMESTAMPS)
            && tcp.options.timestamps.is_some_and(|timestamps| {
                SeqNum(timestamps.value).gt(SeqNum(self.record(from).timestamp))
            })
    }

    /// RFC 5961 3.2: only a reset with exactly the next sequence number counts. That is the one after what was forwarded or,
    /// when something is held, the one after that, as its sender knows of no holding.
    fn reset(&mut self, from: Role, tcp: &TcpFrame) -> Step {
        let record = self.record(from);
        if tcp.seq == record.next || tcp.seq == record.next + u32::from(record.held_bytes) {
            self.phase = Phase::Reset;
            return Ok(Observation::Reset);
        }
        Err(Halt::Disregard(Disregard::DoubtfulReset))
    }

    /// RFC 9293 3.10.7.4, first check, and PAWS: whether the receiver takes anything from the segment.
    fn acceptable(&self, from: Role, tcp: &TcpFrame) -> Result<(), Halt> {
        let receiver = self.record(from.other());
        let (start, window) = (receiver.acknowledged, self.window_of(from.other()));
        let end = tcp.seq + sequence_len(tcp);
        // Something of it is at or after the start, and it begins within the window; a window of nothing has room for a
        // segment of nothing, and for probes, whose acknowledgement is looked at.
        if end.lt(start)
            || tcp.seq.distance(start) > i32::try_from(window.max(1)).unwrap_or(i32::MAX)
        {
            return Err(Halt::Disregard(Disregard::OutOfWindow));
        }
        let stale = |value: u32| SeqNum(value).lt(SeqNum(self.record(from).recent));
        if self.both(TIMESTAMPS)
            && tcp
                .options
                .timestamps
                .is_some_and(|timestamps| stale(timestamps.value))
        {
            return Err(Halt::Disregard(Disregard::StaleTimestamp));
        }
        Ok(())
    }

    /// The latest that the other end may have seen of an end's clock: a half that takes over must not fall behind it.
    fn note_clock(&mut self, from: Role, tcp: &TcpFrame, now: Instant) {
        let after_micros = self.after_micros(now);
        let Some(timestamps) = tcp.options.timestamps.filter(|_| self.both(TIMESTAMPS)) else {
            return;
        };
        let record = self.record_mut(from);
        // Of several with one value the first counts: which of them is echoed is not known, and a round trip that comes out too
        // short would have a half repeat too early.
        if SeqNum(timestamps.value).gt(SeqNum(record.timestamp)) {
            record.timestamp = timestamps.value;
            record.timestamp_after_micros = after_micros;
        }
    }

    fn learn(&mut self, from: Role, tcp: &TcpFrame, now: Instant) {
        let timestamps = tcp.options.timestamps.filter(|_| self.both(TIMESTAMPS));
        let expected = self.record(from.other()).acknowledged;
        self.note_clock(from, tcp, now);
        let record = self.record_mut(from);
        if let Some(timestamps) = timestamps {
            // Not from a segment that overtook others: those would look stale then.
            if tcp.seq.le(expected) {
                record.recent = timestamps.value;
            }
        }
        record.saw(tcp.seq + sequence_len(tcp));
        // Windows of segments that were overtaken are old (RFC 9293 3.10.7.4, SND.WL1 and SND.WL2).
        if tcp.ack.ge(record.acknowledged) && tcp.seq.ge(record.next) {
            record.window = tcp.window;
            record.facts |= SHIFTED;
        }
        record.acknowledged = record.acknowledged.max(tcp.ack);
    }
}

type Step = Result<Observation, Halt>;

enum Halt {
    Disregard(Disregard),
    Irregular(Irregularity),
}

impl From<Irregularity> for Halt {
    fn from(why: Irregularity) -> Self {
        Self::Irregular(why)
    }
}

#[cfg(test)]
mod tests;
