//! What can go wrong around a test, as opposed to in what it tests.

use std::path::PathBuf;
use std::time::Duration;

/// A test could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum InteropError {
    /// A program could not be started.
    #[error("cannot run `{program}`: {source}; `tests/lab/setup` installs what the lab needs")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program did not end in time, and was killed.
    #[error("`{program}` did not end within {limit:?}; it said: {said}")]
    Late {
        /// The program.
        program: String,
        /// The time it had.
        limit: Duration,
        /// The end of its output.
        said: String,
    },
    /// The lab did not come up, or a lab command failed.
    #[error("tests/lab/lab {command}: {said}")]
    Lab {
        /// The command.
        command: String,
        /// What it printed.
        said: String,
    },
    /// A program printed something else than was expected of it.
    #[error("`{program}` printed what cannot be read: {said}")]
    Output {
        /// The program.
        program: String,
        /// What it printed.
        said: String,
    },
    /// A file of the lab cannot be read or written.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A capture file is not as tcpdump writes it.
    #[error("the capture is not a pcap file of Ethernet frames")]
    Capture,
    /// An event did not appear in the log.
    #[error("no event of a flow from client port {port} within {limit:?}; the last logged: {last}")]
    Event {
        /// The client's TCP port.
        port: u16,
        /// The time it had.
        limit: Duration,
        /// The last line of the log.
        last: String,
    },
}
