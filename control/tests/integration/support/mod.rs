//! What the tests of the process share: a running `sluiced` in a directory of its own, and a data plane that is none.

mod daemon;
mod dataplane;
mod documents;
mod records;

pub(crate) use daemon::Daemon;
pub(crate) use dataplane::{Behaviour, FakeDataplane};
pub(crate) use documents::{apply, documents, documents_with};
pub(crate) use records::{flow_event, foreign_ca};

use std::time::{Duration, Instant};

/// Waits until `condition` gives something, and fails after ten seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a test waits for another process"
)]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{what}: not within ten seconds"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
