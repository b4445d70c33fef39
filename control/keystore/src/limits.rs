//! Every bound of the keystore.

/// Bytes of a private key. RSA-16384 as PKCS#8 has about 9,400.
pub const PRIVATE_KEY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the master key.
pub const MASTER_KEY_BYTES: usize = 32;

/// Bytes that an envelope has beyond the key in it.
pub const ENVELOPE_OVERHEAD_BYTES: usize = crate::envelope::OVERHEAD_BYTES;
