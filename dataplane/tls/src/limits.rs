//! Every bound of this crate.

/// Bytes of a ClientHello on the wire, record headers included. What the appliance holds back of a client is bounded by this.
pub const CLIENT_HELLO_BYTES_MAX: usize = 64 * 1024;

/// Application protocols that one ClientHello may list: as many of the longest as fit. Browsers list two or three, and fewer
/// than fifty are registered (RFC 7301 section 6).
pub const ALPN_PROTOCOLS_MAX: usize = 256;

/// Bytes of a record header: content type, version, length (RFC 8446 section 5.1).
pub const RECORD_HEADER_BYTES: usize = 5;

/// Bytes of a handshake message's header: type and length (RFC 8446 section 4).
pub const HANDSHAKE_HEADER_BYTES: usize = 4;

/// Plaintext bytes in one record (RFC 8446 section 5.1).
pub const RECORD_PLAINTEXT_BYTES_MAX: usize = 1 << 14;

/// Bytes after the header of a TLS 1.3 record (RFC 8446 section 5.2).
pub const TLS13_CIPHERTEXT_BYTES_MAX: usize = RECORD_PLAINTEXT_BYTES_MAX + 256;

/// Bytes after the header of a TLS 1.2 record (RFC 5246 section 6.2.3).
pub const TLS12_CIPHERTEXT_BYTES_MAX: usize = RECORD_PLAINTEXT_BYTES_MAX + 2048;

/// Bytes of the authentication tag of every suite spoken here.
pub const TAG_BYTES: usize = 16;

/// Bytes of the explicit nonce of AES-GCM in TLS 1.2 (RFC 5288 section 3).
pub const GCM_EXPLICIT_NONCE_BYTES: usize = 8;

/// Most bytes that sealing adds to one record, of any version and suite.
pub const RECORD_OVERHEAD_BYTES_MAX: usize =
    RECORD_HEADER_BYTES + GCM_EXPLICIT_NONCE_BYTES + TAG_BYTES;

/// Bytes of records over which one handshake message may be spread. A receive buffer must hold as many for a handshake never
/// to stall: the largest message rustls takes (2^16 - 1), in records of any ordinary size.
pub const HANDSHAKE_INPUT_BYTES_MAX: usize = 96 * 1024;

/// Records without content in a row that are put up with.
pub const EMPTY_RECORDS_IN_A_ROW_MAX: u32 = 32;

/// Post-handshake messages (tickets, key updates) and TLS 1.2 warning alerts between two records of data that are put up
/// with.
pub const CONTROL_MESSAGES_IN_A_ROW_MAX: u32 = 32;

/// Bytes of one post-handshake message: a NewSessionTicket with a full ticket and extensions (RFC 8446 section 4.6.1).
pub const POST_HANDSHAKE_MESSAGE_BYTES_MAX: usize = 2 * (u16::MAX as usize) + 512;

/// Records sealed under one TLS 1.3 AES-GCM key before a key update: RFC 8446 section 5.5 allows 2^24.5.
pub const TLS13_GCM_RECORDS_MAX: u64 = 1 << 24;

/// Records sealed under one TLS 1.2 AES-GCM key before the connection ends. TLS 1.2 has no key update; at 2^32 full records
/// an attacker's advantage is still below 2^-40.
pub const TLS12_GCM_RECORDS_MAX: u64 = 1 << 32;

/// Records sealed under one ChaCha20-Poly1305 key: bounded by the sequence number alone.
pub const CHACHA_RECORDS_MAX: u64 = u64::MAX - 1;

/// Certificates of an origin's chain that are looked at.
pub const CHAIN_CERTIFICATES_MAX: usize = 16;

/// Moments at which a chain outside its validity is verified again to tell what else is wrong with it.
pub const VALIDITY_RETRIES_MAX: usize = 2 * CHAIN_CERTIFICATES_MAX;

/// Bytes of the longest private scalar of a key exchange: P-384's.
pub const SCALAR_BYTES_MAX: usize = 48;

/// Scalars drawn before a key exchange is given up: two in a row out of range already mean a broken generator.
pub const SCALAR_DRAWS_MAX: usize = 8;

/// Verdicts that each half of a thread's verdict cache remembers, about 100 bytes each.
pub const VERDICT_CACHE_HALF_ENTRIES_MAX: usize = 2048;

/// Authorities of an operator's own in one trust store.
pub const TRUST_STORE_AUTHORITIES_MAX: usize = 4096;

/// Bytes of one record that answers the peer: a KeyUpdate or an alert.
pub const REPLY_BYTES_MAX: usize = 64;

/// Bytes of one aws-lc AEAD key on the heap. This and the next two account for the growth of the process measured over 2,000
/// sessions: 1,400 bytes each for TLS 1.2, 2,220 for TLS 1.3 toward a client, 4,210 toward an origin with one certificate.
pub const AEAD_CONTEXT_BYTES: usize = 608;

/// Bytes of rustls's traffic state toward a client, behind its kernel connection.
pub const SERVER_STATE_BYTES: usize = 256;

/// Bytes of rustls's traffic state toward an origin, behind its kernel connection.
pub const CLIENT_STATE_BYTES: usize = 1440;

const _: () = assert!(RECORD_PLAINTEXT_BYTES_MAX + RECORD_HEADER_BYTES < CLIENT_HELLO_BYTES_MAX);
const _: () = assert!(ALPN_PROTOCOLS_MAX * 256 >= CLIENT_HELLO_BYTES_MAX);
const _: () = assert!(HANDSHAKE_INPUT_BYTES_MAX > u16::MAX as usize + TLS12_CIPHERTEXT_BYTES_MAX);
const _: () = assert!(REPLY_BYTES_MAX >= HANDSHAKE_HEADER_BYTES + 2 + RECORD_OVERHEAD_BYTES_MAX);
const _: () = assert!(RECORD_PLAINTEXT_BYTES_MAX + 1 + TAG_BYTES <= TLS13_CIPHERTEXT_BYTES_MAX);
