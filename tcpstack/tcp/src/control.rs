//! The control block: what the states of a connection share (RFC 9293 section 3.3.1).

mod input;
mod output;
mod path_mtu;
mod repetition;
mod timeout;
mod train;

use core::mem::offset_of;
use core::ops::Range;
use core::time::Duration;

use sluice_packet::{Instant, SeqNum, TcpFlags, TcpSegment};

use self::path_mtu::SizeProbe;
use crate::challenge::ChallengeLimiter;
use crate::config::{Config, CongestionAlgorithm, Settings};
use crate::congestion::Congestion;
use crate::ecn::{self, EcnState};
use crate::flight::Flight;
use crate::limits;
use crate::open::Opening;
use crate::receive::{Owed, ReceiveSpace};
use crate::recovery::Recovery;
use crate::rto::RtoEstimator;
use crate::send::SendSpace;
use crate::sequence::length;
use crate::state::CloseReason;
use crate::stats::{Counters, Stats};
use crate::takeover::{Takeover, TimestampClock};
use crate::time_wait::Remains;
use crate::timers::{Timer, Timers};
use crate::timestamps::TimestampState;
use crate::undo::Memory;

/// What a segment's first checks say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screened {
    /// Go on with its ACK field.
    Accept,
    /// Done; an answer may be owed.
    Drop,
    /// The peer ends the connection.
    Reset,
}

/// A reset to send.
#[derive(Clone, Copy, Debug)]
struct Reset {
    seq: SeqNum,
    ack: SeqNum,
    flags: TcpFlags,
}

/// What every segment reads and writes stands first; behind it what sending needs, and what is in flight: a core with many
/// connections has to fetch each line of it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ControlBlock {
    pub(crate) timers: Timers,
    pub(crate) send: SendSpace,
    pub(crate) receive: ReceiveSpace,
    ecn: EcnState,
    sack: bool,
    /// Both SYNs carried a window scale.
    scaled: bool,
    /// The peer's sequence numbers are known: segments carry an acknowledgement.
    synchronised: bool,
    /// The congestion window is what held the last transmission back.
    window_limited: bool,
    /// A zero-window probe is due.
    probe_due: bool,
    /// A tail-loss probe is due.
    tail_probe_due: bool,
    /// A keep-alive probe is due.
    keepalive_due: bool,
    /// Everything that was sent was settled, but memory that was needed for it is still held.
    keeps_memory: bool,
    pub(crate) closed_by: Option<CloseReason>,
    keepalive_unanswered: u32,
    /// A reset to send, before anything else.
    reset: Option<Reset>,
    last_heard: Instant,
    timestamps: Option<TimestampState>,
    pub(crate) settings: Settings,
    /// Its beginning is what every segment moves.
    pub(crate) stats: Counters,
    /// A segment size to try again.
    size_probe: Option<SizeProbe>,
    congestion: Congestion,
    flight: Flight,
    recovery: Recovery,
    rto: RtoEstimator,
    /// What to go back to if the loss that is repaired turns out to be none.
    before_loss: Memory,
    /// Since when the peer owes progress: R2 counts from here.
    stalled_since: Instant,
    challenge: ChallengeLimiter,
    opening: Option<Opening>,
}

impl ControlBlock {
    /// Continues a connection between two real ends in the name of one of them.
    pub(crate) fn taken_over(takeover: &Takeover, config: &Config, now: Instant) -> Self {
        let mut send = SendSpace::opened(
            takeover.send_next,
            takeover.send_window,
            takeover.receive_next,
            takeover.path_mss,
            config,
            now,
        );
        send.set_peer(
            takeover.peer_mss,
            takeover.send_scale,
            takeover.timestamps.is_some(),
        );
        send.set_path_mss_min(takeover.path_mss_min);
        let receive = ReceiveSpace::new(
            takeover.receive_next,
            takeover.receive_scale,
            length(config.recv_buffer_bytes_max),
        );
        let timestamps = takeover
            .timestamps
            .map(|clock| TimestampState::new(clock, now));
        let mut core = Self::new(send, receive, config, now);
        core.timestamps = timestamps;
        core.sack = takeover.sack;
        core.ecn = EcnState::agreed(takeover.ecn);
        core.synchronised = true;
        if let Some(round_trip) = takeover.round_trip {
            core.rto.sample(round_trip, now);
            core.recovery.timed_since_probe = true;
        }
        core
    }

    /// A connection about to be opened by us, or by a peer whose SYN is taken next.
    pub(crate) fn opening(opening: Opening, config: &Config, now: Instant) -> Self {
        let mut send = SendSpace::unopened(opening.iss, opening.path_mss, config, now);
        send.set_path_mss_min(opening.path_mss_min());
        let receive = ReceiveSpace::new(SeqNum(0), 0, length(config.recv_buffer_bytes_max));
        let mut core = Self::new(send, receive, config, now);
        core.timestamps = opening.timestamps.map(|value| {
            TimestampState::new(
                TimestampClock {
                    value,
                    at: now,
                    echo_recent: 0,
                },
                now,
            )
        });
        core.opening = Some(opening);
        core
    }

    fn new(send: SendSpace, receive: ReceiveSpace, config: &Config, now: Instant) -> Self {
        let mss = send.mss();
        let mut core = Self {
            settings: Settings::new(config),
            send,
            receive,
            stats: Counters::default(),
            timers: Timers::default(),
            closed_by: None,
            flight: Flight::default(),
            rto: RtoEstimator::new(config),
            congestion: Congestion::new(config.congestion, mss),
            recovery: Recovery::default(),
            before_loss: Memory::default(),
            timestamps: None,
            ecn: EcnState::default(),
            sack: false,
            scaled: false,
            synchronised: false,
            challenge: ChallengeLimiter::default(),
            reset: None,
            window_limited: false,
            size_probe: None,
            probe_due: false,
            tail_probe_due: false,
            keepalive_due: false,
            keeps_memory: false,
            keepalive_unanswered: 0,
            last_heard: now,
            stalled_since: now,
            opening: None,
        };
        core.arm_keepalive();
        core
    }

    /// Where the timers stand, bytes from its beginning.
    pub(crate) const TIMERS: Range<usize> = 0..offset_of!(Self, send);
    /// What every segment reads.
    pub(crate) const BUSY: Range<usize> = 0..offset_of!(Self, stats) + Counters::BUSY_BYTES;
    /// What is read besides when something is sent or in flight.
    pub(crate) const SENDING: Range<usize> =
        offset_of!(Self, size_probe)..offset_of!(Self, challenge);

    /// Takes the peer's SYN: both sequence spaces are known from here on.
    pub(crate) fn take_syn(&mut self, segment: &TcpSegment<'_>, now: Instant) {
        let Some(opening) = self.opening else { return };
        let agreed = opening.agree(&segment.options);
        self.send
            .set_peer(agreed.peer_mss, agreed.send_scale, agreed.timestamps);
        self.congestion = Congestion::new(self.settings.congestion, self.send.mss());
        self.receive = ReceiveSpace::new(
            segment.seq + 1,
            agreed.receive_scale,
            self.settings.recv_buffer_bytes_max,
        );
        self.sack = agreed.sack;
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# A host MUST NOT set ECT on data packets unless it has sent at least one ECN-setup SYN or ECN-setup SYN-ACK packet,
        //# and has received at least one ECN-setup SYN or ECN-setup SYN-ACK packet, and has sent no non-ECN-setup SYN or
        //# non-ECN-setup SYN-ACK packet.
        self.ecn = EcnState::agreed(opening.ecn && ecn::is_setup(segment));
        self.scaled = agreed.scaled;
        self.timestamps = self.timestamps.filter(|_| agreed.timestamps);
        if let (Some(clock), Some(timestamps)) = (&mut self.timestamps, segment.options.timestamps)
        {
            clock.start(timestamps, now);
        }
        self.synchronised = true;
        self.last_heard = now;
        self.send.start_window(segment);
    }

    /// Both SYNs are acknowledged.
    pub(crate) fn open(&mut self) {
        self.send.open();
        if self.stats.timeouts.get() > 0 {
            self.rto.after_lost_syn();
            self.congestion = Congestion::after_lost_syn(self.settings.congestion, self.send.mss());
        }
    }

    /// Answers a segment that belongs to no connection of ours.
    pub(crate) fn answer_with_reset(&mut self, segment: &TcpSegment<'_>) {
        if let Some(reset) = segment.reset_reply() {
            self.reset = Some(Reset {
                seq: reset.seq,
                ack: reset.ack,
                flags: reset.flags,
            });
        }
    }

    /// Ends the connection; a reset goes out if `reset` says so.
    pub(crate) fn close(&mut self, reason: CloseReason, reset: bool) {
        if reset && self.synchronised {
            self.reset = Some(Reset {
                seq: self.send.next(),
                ack: self.receive.next(),
                flags: TcpFlags::RST | TcpFlags::ACK,
            });
        }
        self.closed_by = self.closed_by.or(Some(reason));
        self.timers.stop_all();
        self.flight = Flight::default();
        self.send.clear();
        self.release();
        self.probe_due = false;
        self.tail_probe_due = false;
        self.keepalive_due = false;
    }

    /// Only acknowledgements are sent from here on: TIME-WAIT.
    pub(crate) fn rest(&mut self) {
        self.timers.stop_all();
        self.flight = Flight::default();
        self.release();
    }

    /// What TIME-WAIT keeps.
    pub(crate) fn remains(&mut self, lasts: Duration, ends_at: Instant) -> Remains {
        Remains {
            send_next: self.send.next(),
            receive_next: self.receive.next(),
            window: self.receive.offer(),
            timestamps: self
                .timestamps
                .map(|clock| (clock.recent(), clock.at_zero())),
            lasts,
            ends_at,
        }
    }

    /// Owes an acknowledgement that an attacker could provoke, within the rate limit.
    pub(crate) fn challenge(&mut self, now: Instant) {
        if self.challenge.allow(now) {
            self.stats.challenge_acks += 1;
            self.receive.owe(Owed::Now);
        } else {
            self.stats.challenge_acks_withheld += 1;
        }
    }

    /// Owes an acknowledgement that nobody off the path can provoke.
    pub(crate) fn acknowledge_at_once(&mut self) {
        self.receive.owe(Owed::Now);
    }

    pub(crate) fn set_path_mss(&mut self, path_mss: u16) {
        self.size_probe = None;
        self.send.set_path_mss(path_mss);
        self.congestion.set_mss(self.send.mss());
    }

    /// Takes what another SYN or SYN-ACK of the peer says about congestion marks.
    pub(crate) fn take_syn_again(&mut self, segment: &TcpSegment<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# If a host has received at least one non-ECN-setup SYN or non-ECN-setup SYN-ACK packet, then it SHOULD NOT set ECT
        //# on data packets.
        if !ecn::is_setup(segment) {
            self.ecn.withdraw();
        }
    }

    /// Reduces the congestion window, once per window of data whatever the reasons are. False if it was reduced before.
    fn reduce(&mut self, in_flight: u32) -> bool {
        if !self.recovery.may_reduce(self.send.una()) {
            return false;
        }
        self.before_loss.forget();
        self.congestion.on_loss(in_flight);
        self.note_reduction();
        true
    }

    /// What was in flight before an acknowledgement told of a loss, as far as a reduction counts it.
    fn flight_size(&self) -> u32 {
        // Acknowledgements that come together are taken before anything is sent again: of a flight that filled the window, the
        // one that tells of the loss may leave next to nothing. The window grows only where it was what held the sender back.
        // RFC 5681 has FlightSize and nothing else, for NewReno.
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
        //# Some implementations of CUBIC currently use _cwnd_ instead of _flight_size_ when calculating a new _ssthresh_.
        //# Implementations that use _cwnd_ MUST use other measures to prevent _cwnd_ from growing when the volume of bytes in
        //# flight is smaller than _cwnd_.
        if self.window_limited && self.settings.congestion == CongestionAlgorithm::Cubic {
            self.congestion.window()
        } else {
            self.flight.outstanding()
        }
    }

    fn note_reduction(&mut self) {
        self.recovery.note_reduction(self.send.next());
        self.ecn.on_reduction();
    }

    /// The SYN or SYN-ACK goes out again.
    pub(crate) fn repeat_syn(&mut self) {
        self.flight.mark_first_lost();
        self.recovery.forced = true;
    }

    /// Gives the memory of empty buffers back.
    pub(crate) fn release(&mut self) {
        self.send.release();
        self.receive.release();
        self.flight.release();
        if self.flight.is_empty() {
            self.before_loss.release();
            self.keeps_memory = false;
        }
    }

    /// What was counted, and the round-trip times.
    pub(crate) fn statistics(&self) -> Stats {
        self.stats.stats(&self.rto)
    }

    /// Bytes allocated outside of the struct itself.
    pub(crate) fn allocated(&self) -> usize {
        let sending = if self.send.is_settled() && !self.keeps_memory {
            0
        } else {
            self.sending_memory()
        };
        self.send.allocated() + self.receive.allocated() + sending
    }

    /// Of these, what is held for what is in flight, or was.
    fn sending_memory(&self) -> usize {
        self.flight.allocated() + self.before_loss.allocated()
    }

    /// Starts the wait before empty buffers give their memory back, or ends it when they are not empty.
    pub(crate) fn touch_buffers(&mut self, now: Instant) {
        let idle = self.send.is_acknowledged()
            && self.send.is_empty()
            && self.receive.readable_len() == 0
            && !self.receive.has_gap();
        if idle && self.allocated() > 0 {
            if self.timers.is_set(Timer::Release) {
                return;
            }
            self.timers.set(
                Timer::Release,
                now + Duration::from_millis(limits::BUFFER_IDLE_MS),
            );
        } else {
            self.timers.stop(Timer::Release);
        }
    }

    fn arm_keepalive(&mut self) {
        if let Some(keepalive) = self.settings.keepalive() {
            let wait = if self.keepalive_unanswered == 0 {
                keepalive.idle
            } else {
                keepalive.interval
            };
            self.timers.set(
                Timer::Keepalive,
                self.last_heard.max(self.send.last_sent_at()) + wait,
            );
        }
    }
}
