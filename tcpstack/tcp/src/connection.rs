//! One connection: what its owner sees.

use core::mem::offset_of;
use core::ops::Range;

use sluice_packet::{Instant, SeqNum, TcpSegment};

use crate::config::Config;
use crate::control::ControlBlock;
use crate::limits;
use crate::open::Opening;
use crate::outgoing::Outgoing;
use crate::state::{
    CloseReason, Closed, Established, State, StateName, SynReceived, SynSent, close,
};
use crate::stats::{Repairs, Stats};
use crate::takeover::Takeover;
use crate::time_wait::TimeWait;
use crate::timers::Timer;

/// A TCP connection, sans-IO.
///
/// After every call that may cause something to be sent ([`on_segment`](Self::on_segment),
/// [`on_timeout`](Self::on_timeout), [`send`](Self::send), [`consume`](Self::consume), [`finish`](Self::finish),
/// [`abort`](Self::abort)) call [`poll_transmit`](Self::poll_transmit) until it returns `None`, then read
/// [`next_timeout`](Self::next_timeout). A segment that was polled and could not be put on the wire counts as lost by the
/// network and is repaired like one.
#[derive(Debug)]
#[repr(C)]
pub struct Connection {
    /// Before what every segment reads, not in a cache line of its own.
    state: State,
    core: ControlBlock,
}

const _: () = assert!(
    size_of::<Connection>() <= limits::CONNECTION_BYTES_MAX,
    "a hundred thousand idle connections fit in stated memory",
);

/// Where what is read together stands, bytes from its beginning: an owner of many connections asks for it before it is read.
impl Connection {
    /// What [`Self::next_timeout`] reads.
    pub const TIMERS: Range<usize> = behind_state(ControlBlock::TIMERS);
    /// What every segment that comes or goes reads.
    pub const BUSY: Range<usize> = 0..behind_state(ControlBlock::BUSY).end;
    /// What is read besides when something is sent, or in flight.
    pub const SENDING: Range<usize> = behind_state(ControlBlock::SENDING);
}

const fn behind_state(bytes: Range<usize>) -> Range<usize> {
    let core = offset_of!(Connection, core);
    core + bytes.start..core + bytes.end
}

impl Connection {
    /// A connection born ESTABLISHED in the place of one of two real ends.
    #[must_use]
    pub fn established(takeover: Takeover, config: &Config, now: Instant) -> Self {
        Self {
            state: State::Established(Established),
            core: ControlBlock::taken_over(&takeover, config, now),
        }
    }

    /// An active open: the SYN is the first thing to poll.
    #[must_use]
    pub fn connect(opening: Opening, config: &Config, now: Instant) -> Self {
        Self {
            state: State::SynSent(SynSent::default()),
            core: ControlBlock::opening(opening, config, now),
        }
    }

    /// A passive open by the peer's `syn`: the SYN-ACK is the first thing to poll. Text beside the SYN is left for the
    /// peer to send again.
    #[must_use]
    pub fn accept(syn: &TcpSegment<'_>, opening: Opening, config: &Config, now: Instant) -> Self {
        let mut core = ControlBlock::opening(opening, config, now);
        core.take_syn(syn, now);
        Self {
            state: State::SynReceived(SynReceived::default()),
            core,
        }
    }

    /// Takes a segment of this connection. Its checksum was verified by the caller.
    pub fn on_segment(&mut self, now: Instant, segment: &TcpSegment<'_>) {
        self.core.stats.segments_received += 1;
        let state = self.take_state();
        self.state = state.on_segment(&mut self.core, now, segment);
    }

    /// Takes segments that arrived together, with the outcome that [`on_segment`](Self::on_segment) has for one after the
    /// other. Where they bring text in sequence and otherwise say the same, acknowledgement, losses and timers are seen to
    /// once. Returns how many were taken: it ends behind one after which [`owes_before_next`](Self::owes_before_next).
    pub fn on_train(&mut self, now: Instant, segments: &[TcpSegment<'_>]) -> usize {
        let mut rest = segments;
        while let Some((first, behind)) = rest.split_first() {
            self.on_segment(now, first);
            let followers = match self.state {
                State::Established(_) => self.core.take_followers(now, first, behind),
                _ => 0,
            };
            rest = behind.get(followers..).unwrap_or(&[]);
            if self.owes_before_next() {
                break;
            }
        }
        segments.len() - rest.len()
    }

    /// Whether an acknowledgement has to go out before the next segment is taken, even one that has come already: poll it with
    /// [`poll_acknowledgement`](Self::poll_acknowledgement). An owner that does not loses a little of what the peer is told.
    #[must_use]
    pub fn owes_before_next(&self) -> bool {
        self.core.receive.owes_before_next() && !self.is_closed()
    }

    /// Only the acknowledgement that is owed now, or none.
    pub fn poll_acknowledgement(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        match self.state {
            State::Closed(_) => None,
            _ => self.core.poll_acknowledgement(now),
        }
    }

    /// The next segment to put on the wire, or none. It counts as sent.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        self.poll_transmit_large(now, 0)
    }

    /// As [`poll_transmit`](Self::poll_transmit), but new text comes in one segment of up to `bytes_max` bytes of payload
    /// that has to be cut ([`Outgoing::cut`]). Repeated text, and what fits one segment, comes as always.
    pub fn poll_transmit_large(&mut self, now: Instant, bytes_max: u32) -> Option<Outgoing<'_>> {
        match self.state {
            State::Closed(_) => self.core.poll_reset(now),
            State::TimeWait(_) => self.core.poll_acknowledgement(now),
            _ => self.core.poll(now, bytes_max),
        }
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may have something to put on the wire. False only if it has not; true also
    /// for text that a window holds back.
    #[must_use]
    pub fn may_transmit(&self) -> bool {
        self.core.may_transmit()
    }

    /// Payload of the largest segment that can go out now, bytes: what a longer one is cut into.
    #[must_use]
    pub fn segment_payload_bytes(&self) -> u32 {
        self.core.payload_limit()
    }

    /// An ICMP message that passed its own checks quotes the segment of ours that begins at `quoted`, and says that the
    /// path carries `path_mss` bytes of payload before options: the MTU that it names, less the headers. One that names an MTU
    /// below 1 280 over IPv6 is to be discarded before (RFC 8201 section 4).
    ///
    /// It is believed, and true returned, if that segment is in flight and larger than that. What no longer fits is cut
    /// and the next thing to poll; the congestion window stays. A forged message is counted and changes nothing.
    pub fn on_packet_too_big(&mut self, now: Instant, quoted: SeqNum, path_mss: u16) -> bool {
        self.core.on_packet_too_big(now, quoted, path_mss)
    }

    /// Any other ICMP error that quotes a segment of ours: unreachable, time exceeded, parameter problem, source quench.
    /// It is counted and nothing else.
    pub fn on_soft_error(&mut self) {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
        //# TCP implementations MUST silently discard any received ICMP Source Quench messages
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
        //# Since these Unreachable messages indicate soft error conditions, a TCP implementation MUST NOT abort the connection
        // The hard ones are taken for soft ones too: anybody can send them (RFC 5927 section 6.2), and a peer that is gone
        // is given up by its silence.
        self.core.stats.soft_errors += 1;
    }

    /// The path carries segments of at most `path_mss` bytes before options from now on (RFC 8201, RFC 1191). What is in
    /// flight and larger is cut when it is sent again.
    pub fn set_path_mss(&mut self, path_mss: u16) {
        self.core.set_path_mss(path_mss);
    }

    /// When [`on_timeout`](Self::on_timeout) is due, if nothing happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// Runs the timers that ran out. Early calls do nothing.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.core.timers.take_expired(Timer::TimeWait, now) {
            self.state = close(&mut self.core, CloseReason::Finished, false);
        } else if !self.core.run_timers(now) {
            self.state = close(&mut self.core, CloseReason::TimedOut, true);
        }
    }

    /// In-order bytes not yet consumed, contiguous, mutable so that records are opened in place.
    pub fn received(&mut self) -> &mut [u8] {
        self.core.receive.readable_mut()
    }

    /// How many these are.
    #[must_use]
    pub fn received_bytes(&self) -> usize {
        self.core.receive.readable_len()
    }

    /// Drops the first `count` of the received bytes; the window opens by as many.
    pub fn consume(&mut self, count: usize) {
        self.core.receive.consume(count);
        if matches!(self.state, State::TimeWait(_) | State::Closed(_)) {
            // No timer gives the memory back any more.
            self.core.release();
        }
    }

    /// Offers at least `bytes` of receive window, as far as the buffer allows: the owner reads only when it has as much.
    pub fn widen_window(&mut self, bytes: u32) {
        self.core.receive.widen(bytes);
    }

    /// Whether the receive window may grow from here on: the owner's memory may be short.
    pub fn let_window_grow(&mut self, may_grow: bool) {
        self.core.receive.let_grow(may_grow);
    }

    /// Bytes that [`send`](Self::send) would take.
    #[must_use]
    pub fn send_space(&self) -> usize {
        if self.may_send() {
            self.core.send.space()
        } else {
            0
        }
    }

    /// Queues as many of `bytes` as there is space for, and says how many.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        if self.may_send() {
            self.core.send.push(bytes)
        } else {
            0
        }
    }

    /// `len` bytes of contiguous space at the queue's tail, to be written in place; none if there is no space for them.
    pub fn send_reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.may_send() {
            self.core.send.reserve(len)
        } else {
            None
        }
    }

    /// Queues the first `len` bytes of what [`send_reserve`](Self::send_reserve) returned last.
    pub fn send_commit(&mut self, len: usize) {
        if self.may_send() {
            self.core.send.commit(len);
        }
    }

    /// Nothing more will be sent: a FIN follows what is queued. The peer may go on sending.
    pub fn finish(&mut self) {
        let state = self.take_state();
        self.state = state.finish(&mut self.core);
    }

    /// Ends the connection with a reset, which is the last thing to poll. What is queued is dropped. When both ends have
    /// finished and all text is acknowledged, nothing is sent (RFC 9293 section 3.10.5).
    pub fn abort(&mut self) {
        let state = self.take_state();
        self.state = state.abort(&mut self.core);
    }

    /// The peer's FIN was received, and every byte before it is consumed or readable.
    #[must_use]
    pub fn peer_finished(&self) -> bool {
        self.core.receive.fin_taken()
    }

    /// What answers late segments from here on, in place of a connection that both ends finished: one in TIME-WAIT, or
    /// closed when its FIN was acknowledged. None for any other.
    ///
    /// Bytes received and not consumed, and segments not polled, are lost.
    #[must_use]
    pub fn into_time_wait(mut self, now: Instant) -> Option<TimeWait> {
        let lasts = self.core.settings.time_wait();
        let ends_at = match self.state {
            State::TimeWait(_) => self.core.timers.at(Timer::TimeWait),
            State::Closed(_) if self.core.closed_by == Some(CloseReason::Finished) => now + lasts,
            _ => return None,
        };
        Some(TimeWait::new(&self.core.remains(lasts, ends_at)))
    }

    /// Everything queued, and the FIN if there is one, was acknowledged.
    #[must_use]
    pub fn all_sent_acknowledged(&self) -> bool {
        self.core.send.all_acknowledged()
    }

    /// Bytes queued that the peer has not acknowledged, the FIN not counted; of a connection that is over, those that were
    /// queued when it ended.
    #[must_use]
    pub fn unacknowledged_bytes(&self) -> u32 {
        self.core.send.unacknowledged()
    }

    /// The state's name.
    #[must_use]
    pub fn state(&self) -> StateName {
        self.state.name()
    }

    /// Nothing more will happen, except that received bytes may be left to read and a reset to poll.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Why the connection is over; none while it is not.
    #[must_use]
    pub fn closed_by(&self) -> Option<CloseReason> {
        self.core.closed_by
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.statistics()
    }

    /// What was counted of losses and gaps.
    #[must_use]
    pub fn repairs(&self) -> Repairs {
        self.core.stats.repairs()
    }

    /// Whether everything that was sent is acknowledged, and nothing is left of how it went: then a segment reads
    /// [`Self::SENDING`] only if what it acknowledges, offers or reports as held is not what the one before it did.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.core.send.is_settled()
    }

    /// Memory held by the connection, itself included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.core.allocated()
    }

    /// The next segment is looked at in every way.
    #[cfg(test)]
    pub(crate) fn unsettle(&mut self) {
        self.core.send.settle(false);
    }

    fn may_send(&self) -> bool {
        matches!(
            self.state,
            State::SynSent(_) | State::SynReceived(_) | State::Established(_) | State::CloseWait(_)
        )
    }

    fn take_state(&mut self) -> State {
        core::mem::replace(&mut self.state, State::Closed(Closed))
    }
}
