//! Monotonic time, passed in everywhere.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment: microseconds since the process started. Only a process's own loop makes one from a clock.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of the process.
    pub const ZERO: Self = Self(0);

    /// A moment that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The moment `millis` milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The moment `secs` seconds after the start.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Saturates at [`Instant::MAX`]; parts of a microsecond are dropped.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(whole_micros(after)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

/// Saturates at [`Instant::ZERO`]; parts of a microsecond are dropped.
impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(whole_micros(before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_wraps() {
        assert_eq!(Instant::from_secs(3), Instant::from_micros(3_000_000));
        assert_eq!(
            Instant::from_millis(3) + Duration::from_nanos(1_999),
            Instant::from_micros(3_001)
        );
        assert_eq!(Instant::MAX + Duration::MAX, Instant::MAX);
        assert_eq!(
            Instant::from_micros(5) - Duration::from_secs(1),
            Instant::ZERO
        );
        assert_eq!(
            Instant::from_micros(5).saturating_since(Instant::from_micros(2)),
            Duration::from_micros(3)
        );
        assert_eq!(
            Instant::from_micros(2).saturating_since(Instant::from_micros(5)),
            Duration::ZERO
        );
    }
}
