//! What a core does when it finds no work.

use core::time::Duration;
use std::num::NonZeroU64;

use sluice_schema::IdleMode;

use crate::limits::{IDLE_SLEEP_MAX, IDLE_SLEEP_MIN, IDLE_SPIN, TIMER_SLACK};

/// Decides how long a core sleeps: not at all shortly after work, then longer and longer.
#[derive(Debug)]
pub(crate) struct Idle {
    adaptive: bool,
    without_work: Duration,
    next: Duration,
}

impl Idle {
    /// For one core; to be called on its own thread.
    pub(crate) fn new(mode: IdleMode) -> Self {
        let adaptive = mode == IdleMode::Adaptive;
        if adaptive {
            let slack = u64::try_from(TIMER_SLACK.as_nanos())
                .ok()
                .and_then(NonZeroU64::new);
            // Without it sleeps are up to 50 us longer, and nothing else.
            let _ = rustix::thread::set_current_timer_slack(slack);
        }
        Self {
            adaptive,
            without_work: Duration::ZERO,
            next: IDLE_SLEEP_MIN,
        }
    }

    /// A turn found work.
    pub(crate) fn worked(&mut self) {
        self.without_work = Duration::ZERO;
        self.next = IDLE_SLEEP_MIN;
    }

    /// A turn of length `turn` found none, and the next timer is due in `timer`: how long to sleep now, if at all.
    pub(crate) fn found_nothing(
        &mut self,
        turn: Duration,
        timer: Option<Duration>,
    ) -> Option<Duration> {
        if !self.adaptive {
            return None;
        }
        self.without_work = self.without_work.saturating_add(turn);
        if self.without_work < IDLE_SPIN {
            return None;
        }
        let sleep = timer.unwrap_or(IDLE_SLEEP_MAX).min(self.next);
        self.next = (self.next * 2).min(IDLE_SLEEP_MAX);
        (sleep >= TIMER_SLACK).then_some(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_micros(1);

    #[test]
    fn sleeps_grow_to_their_bound_and_end_with_work() {
        let mut idle = Idle::new(IdleMode::Adaptive);
        let mut polls = 0;
        let first = loop {
            match idle.found_nothing(TURN, None) {
                None => polls += 1,
                Some(sleep) => break sleep,
            }
        };
        assert_eq!((first, polls), (IDLE_SLEEP_MIN, 19), "a short spin first");
        let mut last = first;
        for _ in 0..10 {
            let sleep = idle.found_nothing(TURN, None).expect("asleep by now");
            assert!(sleep >= last && sleep <= IDLE_SLEEP_MAX);
            last = sleep;
        }
        assert_eq!(last, IDLE_SLEEP_MAX);
        idle.worked();
        assert_eq!(idle.found_nothing(TURN, None), None);
    }

    #[test]
    fn no_timer_is_slept_through() {
        let mut idle = Idle::new(IdleMode::Adaptive);
        for _ in 0..40 {
            idle.found_nothing(TURN, None);
        }
        let due = Duration::from_micros(30);
        assert_eq!(idle.found_nothing(TURN, Some(due)), Some(due));
        assert_eq!(idle.found_nothing(TURN, Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_busy_poller_never_sleeps() {
        let mut idle = Idle::new(IdleMode::BusyPoll);
        assert!((0..1_000).all(|_| idle.found_nothing(TURN, None).is_none()));
    }
}
