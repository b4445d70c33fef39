//! When a half of a session that found its port full, or no buffer, tries again.

use core::time::Duration;

use sluice_packet::Instant;

use crate::limits::{PORT_RETRY_MAX, PORT_RETRY_MIN};

/// Waits longer each time that a port takes nothing, so that many sessions behind one port whose link is down cost little.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    /// The last wait, and when it is over.
    waiting: Option<(Duration, Instant)>,
}

impl BackOff {
    /// The port took all there was, or not.
    pub(super) fn note(&mut self, all_taken: bool, now: Instant) {
        self.waiting = match self.waiting {
            _ if all_taken => None,
            // Another packet came meanwhile: the port was looked at again, and the wait goes on.
            Some((wait, until)) if now < until => Some((wait, until)),
            Some((wait, _)) => {
                let wait = (wait * 2).min(PORT_RETRY_MAX);
                Some((wait, now + wait))
            }
            None => Some((PORT_RETRY_MIN, now + PORT_RETRY_MIN)),
        };
    }

    /// When to try again, if that is waited for. Nothing else is due on this half before: nothing could be sent.
    pub(super) fn until(&self) -> Option<Instant> {
        self.waiting.map(|(_, until)| until)
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
