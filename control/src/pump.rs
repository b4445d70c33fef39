//! The thread that moves what the data plane reports: events from the rings to the log, acknowledgements to the account.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock;
use crate::journal;
use crate::limits::{EXPIRY_CHECK_INTERVAL, PUMP_INTERVAL};
use crate::process::Daemon;

/// Pumps until the process stops, then once more.
pub(crate) fn run(daemon: &Daemon, stop: &AtomicBool) {
    let mut remembered = None;
    let mut booted = None;
    let mut expiry_checked = clock::monotonic();
    while !stop.load(Ordering::Acquire) {
        let more = daemon.dataplane.rings.drain(&daemon.events);
        if let Err(error) = daemon.dataplane.publisher.refresh() {
            // The thread that reads the link sees the same and says it.
            journal::say(&format!(
                "a retired generation could not be announced: {error}"
            ));
        }
        let last_good = daemon.dataplane.publisher.status().last_good;
        if last_good != remembered {
            daemon.remember_last_good(last_good);
            remembered = last_good;
        }
        daemon.remember_boot(&mut booted);
        if expiry_checked.elapsed() >= EXPIRY_CHECK_INTERVAL {
            daemon.report_expiry();
            expiry_checked = clock::monotonic();
        }
        if !more {
            std::thread::park_timeout(PUMP_INTERVAL);
        }
    }
    daemon.dataplane.rings.drain(&daemon.events);
    daemon.events.flush();
}
