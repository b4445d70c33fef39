//! Every bound of the store.

/// Generations kept. The oldest give way, the current one never.
pub const GENERATIONS_MAX: usize = 1000;

/// Certificates kept, of all kinds.
pub const CERTIFICATES_MAX: usize = 4096;

/// Requests waiting for their certificate.
pub const REQUESTS_MAX: usize = 256;

/// Certificates in one chain.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// Bytes of one certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one sealed private key.
pub const SEALED_KEY_BYTES_MAX: usize = 64 * 1024;

/// Characters of a generation's author or comment; what is longer is cut.
pub const NOTE_CHARS_MAX: usize = 512;

/// Milliseconds that a change waits for another process to finish with the file.
pub const BUSY_TIMEOUT_MS: u64 = 5000;

const _: () = assert!(
    GENERATIONS_MAX >= 2,
    "a rollback needs a generation to go back to"
);
