//! Whether the appliance is in layer-2 fallback, and why: an operator's word, and failures that traffic survives.

use std::time::Instant;

use sluice_schema::OnExhaustion;
use sluice_telemetry::{FallbackReason, FallbackReasons, SystemEvent};

use crate::limits::BUFFERS_LOW_BEFORE_FALLBACK;

/// What the main loop sees of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Every helper thread has ended.
    pub(crate) helpers_gone: bool,
    /// A core's random numbers failed their health test.
    pub(crate) random_unhealthy: bool,
    /// Packet buffers are nearly used up.
    pub(crate) buffers_low: bool,
}

/// The reasons for layer-2 fallback, and since when buffers are low.
#[derive(Debug)]
pub(crate) struct Watch {
    reasons: FallbackReasons,
    low_since: Option<Instant>,
    on_exhaustion: OnExhaustion,
}

impl Watch {
    /// No reason holds yet.
    pub(crate) fn new(on_exhaustion: OnExhaustion) -> Self {
        Self {
            reasons: FallbackReasons::default(),
            low_since: None,
            on_exhaustion,
        }
    }

    /// What low buffers bring about, as the newest generation says: where new flows are to be dropped, they never pass for
    /// that reason, however long it lasts.
    pub(crate) fn follow(&mut self, on_exhaustion: OnExhaustion) {
        self.on_exhaustion = on_exhaustion;
    }

    /// The reasons that hold.
    pub(crate) fn reasons(&self) -> FallbackReasons {
        self.reasons
    }

    /// An operator's word. The event, if it changes anything.
    pub(crate) fn command(&mut self, on: bool) -> Option<SystemEvent> {
        self.set(FallbackReason::Command, on)
    }

    /// Looks at the process. One event per reason that has come or gone.
    pub(crate) fn look(&mut self, health: Health, now: Instant) -> Vec<SystemEvent> {
        if !health.buffers_low {
            self.low_since = None;
        } else if self.low_since.is_none() {
            self.low_since = Some(now);
        }
        let low_for_long = self.low_since.is_some_and(|since| {
            now.saturating_duration_since(since) >= BUFFERS_LOW_BEFORE_FALLBACK
        });
        let exhausted = low_for_long && self.on_exhaustion == OnExhaustion::Bypass;
        [
            (FallbackReason::HelpersGone, health.helpers_gone),
            (FallbackReason::RandomUnhealthy, health.random_unhealthy),
            (FallbackReason::BuffersExhausted, exhausted),
        ]
        .into_iter()
        .filter_map(|(reason, holds)| self.set(reason, holds))
        .collect()
    }

    fn set(&mut self, reason: FallbackReason, holds: bool) -> Option<SystemEvent> {
        self.reasons
            .set(reason, holds)
            .then(|| SystemEvent::Layer2Fallback {
                reason,
                entered: holds,
                on: !self.reasons.is_empty(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(reason: FallbackReason, entered: bool, on: bool) -> SystemEvent {
        SystemEvent::Layer2Fallback {
            reason,
            entered,
            on,
        }
    }

    #[test]
    fn f22_a_command_and_a_failure_hold_each_by_itself_and_are_told_once() {
        let mut watch = Watch::new(OnExhaustion::Bypass);
        let now = crate::main_loop::now();
        let failing = Health {
            helpers_gone: true,
            ..Health::default()
        };
        assert_eq!(
            watch.command(true),
            Some(event(FallbackReason::Command, true, true))
        );
        assert_eq!(watch.command(true), None, "no news");
        assert_eq!(
            watch.look(failing, now),
            [event(FallbackReason::HelpersGone, true, true)]
        );
        assert!(watch.look(failing, now).is_empty(), "no news");
        assert_eq!(
            watch.command(false),
            Some(event(FallbackReason::Command, false, true))
        );
        assert_eq!(
            watch.look(Health::default(), now),
            [event(FallbackReason::HelpersGone, false, false)]
        );
        assert!(watch.reasons().is_empty());
    }

    #[test]
    fn f22_d128_buffers_that_are_low_for_long_bring_fallback_until_they_recover() {
        let mut watch = Watch::new(OnExhaustion::Bypass);
        let began = crate::main_loop::now();
        let low = Health {
            buffers_low: true,
            ..Health::default()
        };
        assert!(watch.look(low, began).is_empty());
        // A moment's recovery begins the wait anew.
        let later = began + BUFFERS_LOW_BEFORE_FALLBACK;
        assert!(watch.look(Health::default(), later).is_empty());
        assert!(watch.look(low, later).is_empty());
        assert_eq!(
            watch.look(low, later + BUFFERS_LOW_BEFORE_FALLBACK),
            [event(FallbackReason::BuffersExhausted, true, true)]
        );
        assert_eq!(
            watch.look(Health::default(), later + BUFFERS_LOW_BEFORE_FALLBACK),
            [event(FallbackReason::BuffersExhausted, false, false)]
        );
    }

    #[test]
    fn f22_d128_buffers_that_are_low_for_long_bring_no_fallback_where_flows_are_to_be_dropped() {
        let mut watch = Watch::new(OnExhaustion::Drop);
        let low = Health {
            buffers_low: true,
            ..Health::default()
        };
        let began = crate::main_loop::now();
        assert!(watch.look(low, began).is_empty());
        let later = began + BUFFERS_LOW_BEFORE_FALLBACK;
        assert!(watch.look(low, later).is_empty());
        assert!(watch.reasons().is_empty());

        // A new generation is followed at once, either way.
        watch.follow(OnExhaustion::Bypass);
        assert_eq!(
            watch.look(low, later),
            [event(FallbackReason::BuffersExhausted, true, true)]
        );
        watch.follow(OnExhaustion::Drop);
        assert_eq!(
            watch.look(low, later),
            [event(FallbackReason::BuffersExhausted, false, false)]
        );
    }
}
