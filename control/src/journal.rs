//! What the process itself says on its standard error: one line per occurrence, without secrets.

use std::io::Write;

/// Writes one line. A closed standard error is no reason to stop.
pub(crate) fn say(message: &str) {
    let line = format!("sluiced: {}\n", message.replace('\n', " "));
    // There is nowhere left to report that this failed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
