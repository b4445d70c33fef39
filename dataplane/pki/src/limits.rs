//! Every bound of this crate.

/// Bytes of one origin certificate that is still read. A TLS certificate message is bounded by 64 KiB on the way in, so
/// nothing that a handshake delivers is above this.
pub const ORIGIN_CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one certificate of a signing CA's chain.
pub const CA_CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Certificates in a signing CA's chain, itself included.
pub const CA_CHAIN_CERTIFICATES_MAX: usize = 10;

/// Name-constraint subtrees over a whole CA chain: each name of a leaf is held against each of them.
pub const CA_NAME_CONSTRAINTS_MAX: usize = 256;

/// Bytes of a server name that may stand in a synthesized subjectAltName (RFC 1035 2.3.4).
pub const SERVER_NAME_BYTES_MAX: usize = 253;

/// Bytes of a leaf's serial number (RFC 5280 4.1.2.2 allows 20).
pub const SERIAL_BYTES: usize = 16;

/// Seconds a leaf may be valid for: 397 days, what the strictest clients accept of any server certificate.
pub const LEAF_VALIDITY_S_MAX: u64 = 397 * DAY_S;

/// Seconds before now at which a shortened leaf begins, so that a client whose clock is slow accepts it.
pub const LEAF_BACKDATE_S: u64 = 2 * DAY_S;

/// Seconds before its end at which a cached leaf is forged anew.
pub const LEAF_RENEW_BEFORE_S: u64 = 3600;

/// Bytes one core's leaf cache holds unless it is told otherwise.
pub const LEAF_CACHE_BYTES_DEFAULT: usize = 16 * 1024 * 1024;

/// Leaves being forged at once that one core's cache keeps track of.
pub const LEAF_CACHE_PENDING_MAX: usize = 4096;

const DAY_S: u64 = 86_400;

const _: () = assert!(LEAF_BACKDATE_S < LEAF_VALIDITY_S_MAX);
const _: () = assert!(LEAF_RENEW_BEFORE_S < LEAF_VALIDITY_S_MAX - LEAF_BACKDATE_S);
const _: () = assert!(SERIAL_BYTES <= 20);
const _: () = assert!(
    LEAF_CACHE_BYTES_DEFAULT
        > ORIGIN_CERTIFICATE_BYTES_MAX + CA_CHAIN_CERTIFICATES_MAX * CA_CERTIFICATE_BYTES_MAX
);
