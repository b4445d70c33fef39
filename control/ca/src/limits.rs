//! Every bound of this crate.

/// Bytes of an imported file.
pub const IMPORT_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Certificates in one imported file, all chains together.
pub const IMPORT_CERTIFICATES_MAX: usize = 64;

/// Private keys in one imported file.
pub const IMPORT_KEYS_MAX: usize = 16;

/// Iterations of a passphrase's key derivation in an imported file. Common tools write 2,048 to 1,000,000;
/// a PKCS#12 file may have no more than that.
pub const PASSPHRASE_ITERATIONS_MAX: u32 = 5_000_000;

/// Certificates in one chain, as the store bounds it.
pub const CHAIN_CERTIFICATES_MAX: usize = sluice_store::limits::CHAIN_CERTIFICATES_MAX;

/// Days a self-signed CA may be valid for: 30 years.
pub const SELF_SIGNED_DAYS_MAX: u32 = 30 * 366;

/// Seconds before now at which a self-signed CA's validity begins, so that a client whose clock is slow accepts it.
pub const SELF_SIGNED_BACKDATE_S: u64 = 86_400;

/// Characters of a common name, an organization or an organizational unit (RFC 5280 appendix A.1).
pub const SHORT_ATTRIBUTE_CHARS_MAX: usize = 64;

/// Characters of a locality or state (RFC 5280 appendix A.1).
pub const LONG_ATTRIBUTE_CHARS_MAX: usize = 128;

/// Characters of an email address (RFC 5280 appendix A.1).
pub const EMAIL_CHARS_MAX: usize = 255;

/// DNS names and email addresses in a subjectAltName made here.
pub const ALTERNATIVE_NAMES_MAX: usize = 100;

const _: () = assert!(CHAIN_CERTIFICATES_MAX <= IMPORT_CERTIFICATES_MAX);
