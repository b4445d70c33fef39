//! Bounds of the interface.

use core::time::Duration;

/// Longest request, bytes with its newline. It has to take all documents, whose newlines and quotes JSON escapes.
pub const REQUEST_BYTES_MAX: usize = 3 * sluice_schema::limits::DOCUMENTS_BYTES_MAX;
/// Longest reply, bytes with its newline.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Certificate or key file in an import, bytes.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Sessions in one reply.
pub const SESSIONS_MAX: usize = 10_000;
/// Events in one reply.
pub const EVENTS_MAX: usize = 10_000;
/// Longest a client waits for a reply; applying waits for the data plane meanwhile.
pub const REPLY_WAIT_MAX: Duration = Duration::from_secs(120);
/// Longest that applying waits for the data plane to adopt, seconds.
pub const ADOPT_WAIT_S_MAX: u16 = 90;
/// How long applying waits for the data plane to adopt unless told otherwise, seconds.
pub const ADOPT_WAIT_S: u16 = 15;
/// Longest that a server waits for the rest of a line or for its reply to be read.
pub const PEER_WAIT_MAX: Duration = Duration::from_secs(30);

const _: () = assert!(
    FILE_BYTES_MAX * 3 < REQUEST_BYTES_MAX,
    "certificate and key together, in Base64"
);
const _: () = assert!(ADOPT_WAIT_S <= ADOPT_WAIT_S_MAX);
const _: () = assert!((ADOPT_WAIT_S_MAX as u64) < REPLY_WAIT_MAX.as_secs());
