//! TIME-WAIT in a few dozen bytes: what is left of a connection that both ends finished.

use core::time::Duration;

use sluice_packet::{Instant, SeqNum, TcpFlags, TcpOptions, TcpSegment, Timestamps};

use crate::limits;
use crate::timestamps::is_before;

/// What a late segment is answered with until twice the maximum segment lifetime has passed.
///
/// Its owner makes one of a connection that is in TIME-WAIT, or was closed by the acknowledgement of its FIN, and whose
/// received bytes are consumed ([`Connection::into_time_wait`](crate::Connection::into_time_wait)), keeps it in the
/// connection's place, gives it every segment from the same peer, does as [`TimeWaitAnswer`] says, and drops it at
/// [`ends_at`](Self::ends_at). It holds no memory of its own and needs no timer but that one.
#[derive(Clone, Copy, Debug)]
pub struct TimeWait {
    ends_at: Instant,
    send_next: SeqNum,
    receive_next: SeqNum,
    /// TS.Recent.
    recent: u32,
    /// What our timestamp clock showed at [`Instant::ZERO`].
    clock: u32,
    lasts_ms: u32,
    /// The second in which `answers` were given.
    second: u32,
    window: u16,
    answers: u8,
    timestamps: bool,
}

const _: () = assert!(
    size_of::<TimeWait>() <= limits::TIME_WAIT_BYTES_MAX,
    "a few dozen bytes"
);

/// What the owner of a [`TimeWait`] does about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWaitAnswer {
    /// Nothing.
    Silence,
    /// Sends this.
    Acknowledge(TcpSegment<'static>),
    /// Drops the [`TimeWait`] and takes the segment, a SYN, for the first one of a new connection.
    Reopen,
}

/// What is kept of a connection.
pub(crate) struct Remains {
    pub(crate) send_next: SeqNum,
    pub(crate) receive_next: SeqNum,
    pub(crate) window: u16,
    /// TS.Recent, and what our timestamp clock showed at [`Instant::ZERO`].
    pub(crate) timestamps: Option<(u32, u32)>,
    pub(crate) lasts: Duration,
    pub(crate) ends_at: Instant,
}

impl TimeWait {
    pub(crate) fn new(remains: &Remains) -> Self {
        let (recent, clock) = remains.timestamps.unwrap_or_default();
        Self {
            ends_at: remains.ends_at,
            send_next: remains.send_next,
            receive_next: remains.receive_next,
            recent,
            clock,
            lasts_ms: u32::try_from(remains.lasts.as_millis()).unwrap_or(u32::MAX),
            second: 0,
            window: remains.window,
            answers: 0,
            timestamps: remains.timestamps.is_some(),
        }
    }

    /// When it is over. A repeated FIN moves it on.
    #[must_use]
    pub fn ends_at(&self) -> Instant {
        self.ends_at
    }

    /// Takes a segment from the peer. Its checksum was verified by the caller.
    pub fn on_segment(&mut self, now: Instant, segment: &TcpSegment<'_>) -> TimeWaitAnswer {
        //= https://www.rfc-editor.org/rfc/rfc1337#section-3
        //# F1) Ignore RST segments in TIME-WAIT state.
        if segment.flags.rst() {
            return TimeWaitAnswer::Silence;
        }
        if segment.flags.syn() {
            if !segment.flags.ack() && self.is_newer(segment) {
                return TimeWaitAnswer::Reopen;
            }
            //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
            //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to as
            //# challenge ACK) to the remote peer
            return self.acknowledge(now);
        }
        let length = segment.sequence_len();
        let at_the_edge = segment.seq + length == self.receive_next;
        let old = self.timestamps
            && segment
                .options
                .timestamps
                .is_some_and(|timestamps| is_before(timestamps.value, self.recent));
        if old || !at_the_edge {
            return self.acknowledge(now);
        }
        if !segment.flags.fin() {
            return if length == 0 {
                TimeWaitAnswer::Silence
            } else {
                self.acknowledge(now)
            };
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart
        //# the 2 MSL timeout.
        self.ends_at = now + Duration::from_millis(u64::from(self.lasts_ms));
        self.acknowledge(now)
    }

    /// Whether a SYN can only be a new connection's.
    fn is_newer(&self, syn: &TcpSegment<'_>) -> bool {
        let later = syn.seq.gt(self.receive_next);
        match (self.timestamps, syn.options.timestamps) {
            //= https://www.rfc-editor.org/rfc/rfc6191#section-2
            //# If TCP Timestamps would be enabled for the new incarnation of the connection, and the timestamp contained in
            //# the incoming SYN segment is greater than the last timestamp seen on the previous incarnation of the connection
            //# (for that direction of the data transfer), honor the connection request
            (true, Some(timestamps)) => {
                is_before(self.recent, timestamps.value)
                    || (timestamps.value == self.recent && later)
            }
            (false, Some(_)) => true,
            (_, None) => later,
        }
    }

    fn acknowledge(&mut self, now: Instant) -> TimeWaitAnswer {
        let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
        let second = low(now.micros() / 1_000_000);
        if second != self.second {
            (self.second, self.answers) = (second, 0);
        }
        if u32::from(self.answers) >= limits::CHALLENGE_ACKS_PER_SECOND_MAX {
            return TimeWaitAnswer::Silence;
        }
        self.answers += 1;
        let timestamps = self.timestamps.then(|| Timestamps {
            value: self.clock.wrapping_add(low(now.micros() / 1_000)),
            echo: self.recent,
        });
        TimeWaitAnswer::Acknowledge(TcpSegment {
            seq: self.send_next,
            ack: self.receive_next,
            flags: TcpFlags::ACK,
            window: self.window,
            options: TcpOptions {
                timestamps,
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        })
    }
}
