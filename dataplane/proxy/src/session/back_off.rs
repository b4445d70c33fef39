//! When a half of a session that found its port full, or no buffer, tries again.

use core::time::Duration;

use sluice_packet::Instant;

use crate::limits::{PORT_RETRY_MAX, PORT_RETRY_MIN};

/// Waits longer each time that a port takes nothing, so that many sessions behind one port whose link is down cost little.
#[derive(Debug)]
pub(super) struct BackOff {
    /// When the last wait is over; never, if there is none.
    until: Instant,
    /// How long it is.
    wait_us: u32,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            until: Instant::MAX,
            wait_us: 0,
        }
    }
}

impl BackOff {
    /// The port took all there was, or not.
    pub(super) fn note(&mut self, all_taken: bool, now: Instant) {
        if all_taken {
            *self = Self::default();
            return;
        }
        let wait = match self.until() {
            // Another packet came meanwhile: the port was looked at again, and the wait goes on.
            Some(until) if now < until => return,
            Some(_) => (self.wait() * 2).min(PORT_RETRY_MAX),
            None => PORT_RETRY_MIN,
        };
        self.wait_us = u32::try_from(wait.as_micros()).unwrap_or(u32::MAX);
        self.until = now + wait;
    }

    /// When to try again, if that is waited for. Nothing else is due on this half before: nothing could be sent.
    pub(super) fn until(&self) -> Option<Instant> {
        Some(self.until).filter(|until| *until != Instant::MAX)
    }

    fn wait(&self) -> Duration {
        Duration::from_micros(u64::from(self.wait_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end_when_all_is_taken() {
        let mut back_off = BackOff::default();
        let mut now = Instant::from_secs(1);
        back_off.note(true, now);
        assert_eq!(back_off.until(), None);
        let mut waits = Vec::new();
        for _ in 0..9 {
            back_off.note(false, now);
            let until = back_off.until().expect("it waits");
            // In between nothing changes.
            back_off.note(false, now + PORT_RETRY_MIN / 2);
            assert_eq!(back_off.until(), Some(until));
            waits.push(until.saturating_since(now).as_millis());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        back_off.note(true, now);
        assert_eq!(back_off.until(), None);
    }
}
