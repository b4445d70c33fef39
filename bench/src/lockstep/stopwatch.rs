//! Elapsed time of what is measured.

use std::time::{Duration, Instant};

/// Adds up the time of calls.
#[derive(Debug, Default, Clone, Copy)]
pub struct Stopwatch {
    spent: Duration,
}

impl Stopwatch {
    /// Times one call.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = now();
        let outcome = work();
        self.spent += now() - began;
        outcome
    }

    /// All calls together, and back to zero.
    pub fn take(&mut self) -> Duration {
        core::mem::take(&mut self.spent)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time"
)]
fn now() -> Instant {
    Instant::now()
}
