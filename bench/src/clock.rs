//! The process's clock: load generation is about elapsed time, so it is read here and nowhere else.

use std::time::Instant;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator measures elapsed time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
