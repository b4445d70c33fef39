//! Bounds of what crosses between the processes.

/// Longest encoded event, bytes. A record holds some names, two legs and two hashes; the rest is slack.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;

/// Longest free-text detail of a record, bytes; longer text is cut when the event is encoded.
pub const DETAIL_BYTES_MAX: usize = 512;

const _: () = assert!(DETAIL_BYTES_MAX * 8 <= EVENT_BYTES_MAX);
