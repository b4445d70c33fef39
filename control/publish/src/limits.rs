//! Every bound of publishing, with its unit.

/// A certificate that expires within this time is warned of, seconds: seven days.
pub const EXPIRY_WARNING_S: u64 = 7 * 24 * 3600;

/// Longest reason kept of a refusal, bytes; longer ones are cut.
pub const REASON_BYTES_MAX: usize = sluice_shm::limits::LINK_TEXT_BYTES_MAX;

const _: () = assert!(REASON_BYTES_MAX >= sluice_shm::limits::REFUSAL_TEXT_BYTES_MAX);
