//! Our timestamp clock and what the peer's last one proves (RFC 7323).

use core::time::Duration;

use sluice_packet::{Instant, SeqNum, Timestamps};

use crate::limits;
use crate::takeover::TimestampClock;

#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampState {
    value: u32,
    at: Instant,
    /// TS.Recent.
    recent: u32,
    recent_at: Instant,
}

impl TimestampState {
    pub(crate) fn new(clock: TimestampClock, now: Instant) -> Self {
        Self {
            value: clock.value,
            at: clock.at,
            recent: clock.echo_recent,
            recent_at: now,
        }
    }

    /// The option for a segment sent now.
    pub(crate) fn option(&self, now: Instant) -> Timestamps {
        Timestamps {
            value: self.now(now),
            echo: self.recent,
        }
    }

    /// Our clock's value.
    pub(crate) fn now(&self, now: Instant) -> u32 {
        let milliseconds = now.saturating_since(self.at).as_millis() & u128::from(u32::MAX);
        self.value
            .wrapping_add(u32::try_from(milliseconds).unwrap_or(0))
    }

    /// TS.Recent.
    pub(crate) fn recent(&self) -> u32 {
        self.recent
    }

    /// What our clock showed at [`Instant::ZERO`]. Counted from there it is at most a millisecond ahead, never behind.
    pub(crate) fn at_zero(&self) -> u32 {
        let milliseconds = (self.at.micros() / 1_000) & u64::from(u32::MAX);
        self.value
            .wrapping_sub(u32::try_from(milliseconds).unwrap_or(0))
    }

    /// PAWS: the segment is older than one already accepted.
    pub(crate) fn is_old(&self, timestamp: Timestamps, now: Instant) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
        //# R1) If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is valid (see
        //# later discussion), and if the RST bit is not set, then treat the arriving segment as not acceptable
        let expired = now.saturating_since(self.recent_at)
            > Duration::from_millis(limits::TIMESTAMP_RECENT_MS_MAX);
        !expired && is_before(timestamp.value, self.recent)
    }

    /// Takes the timestamp of an acceptable segment at `seq`, when it covers the last acknowledgement sent.
    pub(crate) fn take(
        &mut self,
        timestamp: Timestamps,
        seq: SeqNum,
        last_ack_sent: SeqNum,
        now: Instant,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
        //# SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent
        let expired = now.saturating_since(self.recent_at)
            > Duration::from_millis(limits::TIMESTAMP_RECENT_MS_MAX);
        if (expired || !is_before(timestamp.value, self.recent)) && seq.le(last_ack_sent) {
            self.recent = timestamp.value;
            self.recent_at = now;
        }
    }

    /// Takes the timestamp of a SYN.
    pub(crate) fn start(&mut self, timestamp: Timestamps, now: Instant) {
        self.recent = timestamp.value;
        self.recent_at = now;
    }

    /// What an acknowledgement echoes.
    pub(crate) fn echoed(&self, timestamp: Timestamps) -> Echo {
        Echo {
            clock: *self,
            value: timestamp.echo,
        }
    }

    /// Time since our clock showed the value that an acknowledgement echoes; none if it never showed it in `within`.
    pub(crate) fn elapsed_since(
        &self,
        echo: u32,
        now: Instant,
        within: Duration,
    ) -> Option<Duration> {
        let elapsed = Duration::from_millis(u64::from(self.now(now).wrapping_sub(echo)));
        (elapsed <= within + Duration::from_millis(1)).then_some(elapsed)
    }
}

/// A value of our clock that came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo {
    clock: TimestampState,
    value: u32,
}

impl Echo {
    /// Our clock showed the value only after `at`.
    pub(crate) fn is_after(&self, at: Instant) -> bool {
        is_before(self.clock.now(at), self.value)
    }

    /// Our clock showed the value in `time` before `now`. A peer that echoes nothing, or always the same, tells nothing.
    pub(crate) fn is_within(&self, now: Instant, time: Duration) -> bool {
        self.value != 0 && self.clock.elapsed_since(self.value, now, time).is_some()
    }

    /// Our clock showed the value before `at`.
    pub(crate) fn is_before(&self, at: Instant) -> bool {
        is_before(self.value, self.clock.now(at))
    }
}

pub(crate) fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}
