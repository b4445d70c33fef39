//! The timers of one connection. They are only reported; whoever owns the connection has the wheel that drives them.

use sluice_packet::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Retransmission timeout, RFC 6298.
    Retransmit,
    /// A segment that may only have been reordered counts as lost from here on, RFC 8985.
    Reorder,
    /// Tail-loss probe, RFC 8985.
    TailProbe,
    /// Zero-window probe, RFC 9293 section 3.8.6.1.
    Persist,
    /// An acknowledgement is owed.
    DelayedAck,
    /// Probe of an idle peer.
    Keepalive,
    /// End of TIME-WAIT.
    TimeWait,
    /// Empty buffers give their memory back.
    Release,
}

const COUNT: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers([Instant; COUNT]);

impl Default for Timers {
    fn default() -> Self {
        Self([Instant::MAX; COUNT])
    }
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        *self.slot(timer) = at;
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        *self.slot(timer) = Instant::MAX;
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at(timer) != Instant::MAX
    }

    pub(crate) fn at(&self, timer: Timer) -> Instant {
        self.0.get(timer as usize).copied().unwrap_or(Instant::MAX)
    }

    /// Stops the timer and says whether it had run out.
    pub(crate) fn take_expired(&mut self, timer: Timer, now: Instant) -> bool {
        let slot = self.slot(timer);
        let expired = *slot <= now;
        if expired {
            *slot = Instant::MAX;
        }
        expired
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0
            .iter()
            .min()
            .copied()
            .filter(|at| *at != Instant::MAX)
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    fn slot(&mut self, timer: Timer) -> &mut Instant {
        &mut self.0[timer as usize]
    }
}
