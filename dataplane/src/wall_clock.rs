//! The time of day, read seldom.

use std::time::{SystemTime, UNIX_EPOCH};

use dpdk::Clock;
use sluice_packet::Instant;
use sluice_proxy::Now;

use crate::limits::WALL_CLOCK_INTERVAL;

/// Microseconds since the Unix epoch; zero before it.
pub(crate) fn unix_us() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process's own loops read the clock that everything else is given"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Both clocks of a core: the counter, read every turn, and the time of day, which follows a set clock within a
/// millisecond.
#[derive(Debug)]
pub(crate) struct CoreClock {
    clock: Clock,
    unix_us: u64,
    read_at: Instant,
}

impl CoreClock {
    /// The clocks as of now.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            unix_us: unix_us(),
            read_at: clock.now(),
        }
    }

    /// The counter's clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time at a reading of the counter.
    pub(crate) fn at(&mut self, cycles: u64) -> Now {
        let mono = self.clock.at(cycles);
        let since = mono.saturating_since(self.read_at);
        if since >= WALL_CLOCK_INTERVAL {
            self.unix_us = unix_us();
            self.read_at = mono;
            return Now {
                mono,
                unix_us: self.unix_us,
            };
        }
        let passed = u64::try_from(since.as_micros()).unwrap_or(0);
        Now {
            mono,
            unix_us: self.unix_us.saturating_add(passed),
        }
    }
}
