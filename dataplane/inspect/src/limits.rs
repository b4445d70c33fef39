//! Bounds of the inspection state of one flow.

/// Plaintext bytes kept per direction to name the protocol: the HTTP/2 preface is 24 bytes, a status line with its
/// `Upgrade` header fits the rest.
pub const IDENTIFY_BYTES_MAX: usize = 512;
