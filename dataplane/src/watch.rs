//! Whether the appliance is in layer-2 fallback, and why: an operator's word, and failures that traffic survives.

use core::time::Duration;
use std::time::Instant;

use sluice_schema::OnExhaustion;
use sluice_telemetry::{FallbackReason, FallbackReasons, SystemEvent};

use crate::limits::{
    BUFFERS_LOW_BEFORE_FALLBACK, HEALTH_LOOK_MAX, HELPERS_STALLED_BEFORE_FALLBACK,
};

/// What the main loop sees of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Jobs wait for the helper threads, and none was answered since the last look.
    pub(crate) helpers_silent: bool,
    /// A core's random numbers failed their health test.
    pub(crate) random_unhealthy: bool,
    /// Packet buffers are nearly used up.
    pub(crate) buffers_low: bool,
}

/// The reasons for layer-2 fallback, and how long what may become one has lasted.
#[derive(Debug)]
pub(crate) struct Watch {
    reasons: FallbackReasons,
    looked_at: Option<Instant>,
    silent: Lasting,
    low: Lasting,
    on_exhaustion: OnExhaustion,
}

/// How long something has been seen to hold, look by look.
#[derive(Clone, Copy, Debug, Default)]
struct Lasting(Option<Duration>);

impl Lasting {
    /// After another look, `gap` after the one before; whether it has held for `enough`.
    fn look(&mut self, holds: bool, gap: Duration, enough: Duration) -> bool {
        self.0 = holds.then(|| self.0.map_or(Duration::ZERO, |so_far| so_far + gap));
        self.0.is_some_and(|lasted| lasted >= enough)
    }
}

impl Watch {
    /// No reason holds yet.
    pub(crate) fn new(on_exhaustion: OnExhaustion) -> Self {
        Self {
            reasons: FallbackReasons::default(),
            looked_at: None,
            silent: Lasting::default(),
            low: Lasting::default(),
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
        let before = self.looked_at.replace(now).unwrap_or(now);
        let gap = now.saturating_duration_since(before).min(HEALTH_LOOK_MAX);
        let stalled = self
            .silent
            .look(health.helpers_silent, gap, HELPERS_STALLED_BEFORE_FALLBACK);
        let low = self
            .low
            .look(health.buffers_low, gap, BUFFERS_LOW_BEFORE_FALLBACK);
        let exhausted = low && self.on_exhaustion == OnExhaustion::Bypass;
        [
            (FallbackReason::HelpersStalled, stalled),
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
    use crate::limits::MAIN_TURN;

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
            random_unhealthy: true,
            ..Health::default()
        };
        assert_eq!(
            watch.command(true),
            Some(event(FallbackReason::Command, true, true))
        );
        assert_eq!(watch.command(true), None, "no news");
        assert_eq!(
            watch.look(failing, now),
            [event(FallbackReason::RandomUnhealthy, true, true)]
        );
        assert!(watch.look(failing, now).is_empty(), "no news");
        assert_eq!(
            watch.command(false),
            Some(event(FallbackReason::Command, false, true))
        );
        assert_eq!(
            watch.look(Health::default(), now),
            [event(FallbackReason::RandomUnhealthy, false, false)]
        );
        assert!(watch.reasons().is_empty());
    }

    /// The process is looked at turn by turn until `time` has passed.
    fn look_for(
        watch: &mut Watch,
        health: Health,
        now: &mut Instant,
        time: Duration,
    ) -> Vec<SystemEvent> {
        let end = *now + time;
        let mut told = watch.look(health, *now);
        while *now < end {
            *now += MAIN_TURN;
            told.extend(watch.look(health, *now));
        }
        told
    }

    /// What holds for `enough` brings fallback for this reason until it is over.
    fn assert_lasting_brings_fallback(health: Health, enough: Duration, reason: FallbackReason) {
        let mut watch = Watch::new(OnExhaustion::Bypass);
        let mut now = crate::main_loop::now();
        let mut look = |health, time| look_for(&mut watch, health, &mut now, time);
        assert!(look(health, enough - MAIN_TURN).is_empty());
        // A moment's recovery begins the wait anew.
        assert!(look(Health::default(), Duration::ZERO).is_empty());
        assert!(look(health, enough - MAIN_TURN).is_empty());
        assert_eq!(look(health, enough), [event(reason, true, true)]);
        assert_eq!(
            look(Health::default(), Duration::ZERO),
            [event(reason, false, false)]
        );
        // A process that was stopped for a minute has seen it hold for a moment.
        assert!(look(health, Duration::ZERO).is_empty());
        now += Duration::from_secs(60);
        assert!(watch.look(health, now).is_empty());
    }

    #[test]
    fn f22_d128_buffers_that_are_low_for_long_bring_fallback_until_they_recover() {
        let low = Health {
            buffers_low: true,
            ..Health::default()
        };
        let enough = BUFFERS_LOW_BEFORE_FALLBACK;
        assert_lasting_brings_fallback(low, enough, FallbackReason::BuffersExhausted);
    }

    #[test]
    fn f22_helpers_that_answer_nothing_for_long_bring_fallback_until_they_answer() {
        let silent = Health {
            helpers_silent: true,
            ..Health::default()
        };
        let enough = HELPERS_STALLED_BEFORE_FALLBACK;
        assert_lasting_brings_fallback(silent, enough, FallbackReason::HelpersStalled);
    }

    #[test]
    fn f22_d128_buffers_that_are_low_for_long_bring_no_fallback_where_flows_are_to_be_dropped() {
        let mut watch = Watch::new(OnExhaustion::Drop);
        let low = Health {
            buffers_low: true,
            ..Health::default()
        };
        let mut now = crate::main_loop::now();
        let enough = BUFFERS_LOW_BEFORE_FALLBACK;
        assert!(look_for(&mut watch, low, &mut now, enough).is_empty());
        assert!(watch.reasons().is_empty());

        // A new generation is followed at once, either way.
        watch.follow(OnExhaustion::Bypass);
        assert_eq!(
            watch.look(low, now),
            [event(FallbackReason::BuffersExhausted, true, true)]
        );
        watch.follow(OnExhaustion::Drop);
        assert_eq!(
            watch.look(low, now),
            [event(FallbackReason::BuffersExhausted, false, false)]
        );
    }
}
