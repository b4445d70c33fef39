//! The process's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the process's own clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| {
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Seconds since the Unix epoch.
pub(crate) fn unix_s() -> u64 {
    unix_us() / 1_000_000
}

/// A clock that never goes back, for intervals.
pub(crate) fn monotonic() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the process's own clock")]
    let now = Instant::now();
    now
}
