//! How many sessions a process inspects, over all its cores, and how that compares with the limit.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use sluice_schema::{Limits, OverLimit};
use sluice_telemetry::{LoadState, SystemEvent, Verdict};

use crate::limits::LOAD_HYSTERESIS_PERCENT;

/// The sessions inspected now, counted by every core of a process.
///
/// The limit is the process's: a core reads the sum before it decides, so as many sessions as there are cores less one can
/// get past it when all of them decide at the same instant. Touched when a session begins or ends, never per packet.
#[derive(Debug, Default)]
pub struct SessionLoad {
    sessions: AtomicU32,
    state: AtomicU8,
}

impl SessionLoad {
    /// Sessions inspected now.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// How that compared with the limit when it was last looked at.
    #[must_use]
    pub fn state(&self) -> LoadState {
        LoadState::from_number(u64::from(self.state.load(Ordering::Relaxed))).unwrap_or_default()
    }

    pub(crate) fn began(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// The event of a threshold that has been passed since the last look; of all cores that look, one gets it.
    pub(crate) fn look(&self, thresholds: &Thresholds) -> Option<SystemEvent> {
        let (before, sessions) = (self.state(), self.sessions());
        let state = thresholds.state(before, sessions);
        if state == before {
            return None;
        }
        let changed = self.state.compare_exchange(
            before.number(),
            state.number(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        changed.ok()?;
        Some(SystemEvent::SessionLoad {
            before,
            state,
            sessions,
            limit: thresholds.limit,
            over_limit: thresholds.over_limit,
        })
    }
}

/// From how many sessions on each state begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds {
    warning: u32,
    critical: u32,
    limit: u32,
    over_limit: Verdict,
}

impl Thresholds {
    pub(crate) fn of(limits: &Limits) -> Self {
        let limit = limits.inspected_sessions_max;
        Self {
            warning: share(limit, limits.sessions_warning_percent),
            critical: share(limit, limits.sessions_critical_percent),
            limit,
            over_limit: match limits.over_limit {
                OverLimit::Bypass => Verdict::Bypass,
                OverLimit::Block => Verdict::Block,
            },
        }
    }

    /// A state is entered at its threshold and left a little below it, so that a load that swings around a threshold is
    /// told once.
    fn state(&self, before: LoadState, sessions: u32) -> LoadState {
        let slack = share(self.limit, LOAD_HYSTERESIS_PERCENT);
        let holds = |state: &LoadState| {
            let enters = match state {
                LoadState::Normal => 0,
                LoadState::Warning => self.warning,
                LoadState::Critical => self.critical,
                LoadState::Reached => self.limit,
            };
            sessions >= enters || (*state <= before && sessions.saturating_add(slack) > enters)
        };
        let states = LoadState::ALL.into_iter().rev();
        states.into_iter().find(holds).unwrap_or_default()
    }
}

/// At least one: a limit of few sessions has thresholds too.
fn share(limit: u32, percent: u8) -> u32 {
    let share = (u64::from(limit) * u64::from(percent)).div_ceil(100);
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(inspected_sessions_max: u32) -> Limits {
        Limits {
            inspected_sessions_max,
            over_limit: OverLimit::Bypass,
            sessions_warning_percent: 80,
            sessions_critical_percent: 95,
            on_exhaustion: sluice_schema::OnExhaustion::Bypass,
            flows_max: 1_024,
        }
    }

    /// The states that a load passes through.
    fn told(limit: u32, loads: impl IntoIterator<Item = u32>) -> Vec<(u32, LoadState)> {
        let thresholds = Thresholds::of(&limits(limit));
        let load = SessionLoad::default();
        let mut told = Vec::new();
        for sessions in loads {
            load.sessions.store(sessions, Ordering::Relaxed);
            if let Some(SystemEvent::SessionLoad {
                state, sessions, ..
            }) = load.look(&thresholds)
            {
                told.push((sessions, state));
            }
            assert!(load.look(&thresholds).is_none(), "told once");
        }
        told
    }

    #[test]
    fn f28_every_threshold_is_told_once_on_the_way_up_and_once_on_the_way_down() {
        assert_eq!(
            told(100, (0..=100).chain((0..100).rev())),
            [
                (80, LoadState::Warning),
                (95, LoadState::Critical),
                (100, LoadState::Reached),
                (95, LoadState::Critical),
                (90, LoadState::Warning),
                (75, LoadState::Normal),
            ]
        );
    }

    #[test]
    fn f28_a_load_that_swings_around_a_threshold_is_told_once() {
        let swinging = (0..50).flat_map(|_| [100, 97, 100, 96]);
        assert_eq!(told(100, swinging), [(100, LoadState::Reached)]);
        let swinging = (0..50).flat_map(|_| [80, 76, 79, 81]);
        assert_eq!(told(100, swinging), [(80, LoadState::Warning)]);
    }

    #[test]
    fn f28_a_small_limit_has_states_too_and_recovers() {
        assert_eq!(
            told(1, [1, 0]),
            [(1, LoadState::Reached), (0, LoadState::Normal)]
        );
        assert_eq!(
            told(10, (0..=10).chain([9, 8, 7])),
            [
                (8, LoadState::Warning),
                (10, LoadState::Reached),
                (9, LoadState::Warning),
                (7, LoadState::Normal),
            ]
        );
    }

    #[test]
    fn f28_a_jump_past_all_thresholds_is_one_event() {
        assert_eq!(
            told(1_000, [0, 1_000, 0]),
            [(1_000, LoadState::Reached), (0, LoadState::Normal)]
        );
        assert_eq!(told(u32::MAX, [u32::MAX - 1]).len(), 1, "no overflow");
    }

    #[test]
    fn f28_of_many_cores_one_tells() {
        let load = SessionLoad::default();
        let thresholds = Thresholds::of(&limits(10));
        let told = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        load.began();
                        if load.look(&thresholds).is_some() {
                            told.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(load.sessions(), 800);
        assert_eq!(load.state(), LoadState::Reached);
        let told = told.load(Ordering::Relaxed);
        assert!((1..=3).contains(&told), "at most one per threshold: {told}");
    }
}
