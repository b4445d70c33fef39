//! Every bound of the generator and of the origin, with its unit in the name.

use std::time::Duration;

/// Longest head of a request or response, bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes read from or written to a TLS stream at once.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// How long one connect, read or write may wait.
pub(crate) const IO_SECONDS_MAX: Duration = Duration::from_secs(20);
/// How long the close of a connection may wait for the peer's.
pub(crate) const CLOSE_SECONDS_MAX: Duration = Duration::from_secs(2);
/// Longest latency that a histogram tells apart, microseconds.
pub(crate) const LATENCY_US_MAX: u64 = 60_000_000;
/// Stack of one connection's thread, bytes.
pub(crate) const THREAD_STACK_BYTES: usize = 512 * 1024;
/// Most connections at once, threads.
pub(crate) const CONCURRENCY_MAX: usize = 4096;
/// Error messages kept as examples in a report.
pub(crate) const EXAMPLES_MAX: usize = 5;
/// Largest body that /bytes/N serves, bytes.
pub(crate) const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Certificates an origin that issues its own keeps.
pub(crate) const ISSUED_CERTIFICATES_MAX: usize = 100_000;

const _: () = assert!(CHUNK_BYTES >= HEAD_BYTES_MAX);
