//! Every bound of the shared memory, with its unit.

use std::time::Duration;

/// Largest snapshot payload, bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 64 << 20;

/// Most private keys in one key segment.
pub const KEYS_MAX: usize = 4096;
/// Largest private key, bytes (an RSA-16384 key in PKCS#8 takes about 9.3 KiB).
pub const KEY_BYTES_MAX: usize = 16 << 10;
/// Largest key segment, bytes.
pub const KEY_SEGMENT_BYTES_MAX: usize = 16 << 20;

/// Most polling cores of one appliance.
pub const CORES_MAX: usize = 128;
/// Most counters per core.
pub const COUNTERS_MAX: usize = 1024;
/// Longest refusal text kept per core, bytes; longer ones are cut.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 512;
/// How often a reader tries to get a refusal that its writer is changing.
pub const REFUSAL_READ_ATTEMPTS_MAX: usize = 16;

/// Smallest event ring, bytes of payload area.
pub const EVENT_RING_BYTES_MIN: usize = 64 << 10;
/// Usual event ring, bytes of payload area: some thousand records.
pub const EVENT_RING_BYTES_DEFAULT: usize = 2 << 20;
/// Largest event ring, bytes of payload area.
pub const EVENT_RING_BYTES_MAX: usize = 64 << 20;
/// Largest event, bytes.
pub const EVENT_BYTES_MAX: usize = 16 << 10;
/// How many plausible-looking headers a consumer verifies while it looks for the next whole record after damage,
/// before it drops what is left; bounds the work that damaged memory can cause.
pub const EVENT_RESYNC_CANDIDATES_MAX: usize = 1024;

/// Largest datagram on the link, bytes; below the kernel's default socket buffer.
pub const LINK_DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Largest message on the link, bytes; it travels as many datagrams.
pub const LINK_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Most file descriptors with one message: the statistics segment and a ring per core.
pub const LINK_FDS_MAX: usize = CORES_MAX + 1;
/// How long a send waits for a peer that does not read before it gives the link up.
pub const LINK_SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest text in a message (reasons, problems), bytes; longer ones are cut by whoever sends.
pub const LINK_TEXT_BYTES_MAX: usize = 2048;
/// Most sessions one query returns.
pub const LINK_SESSIONS_MAX: u32 = 10_000;

const _: () = assert!(EVENT_RING_BYTES_MIN.is_power_of_two());
const _: () = assert!(EVENT_RING_BYTES_DEFAULT.is_power_of_two());
const _: () = assert!(EVENT_RING_BYTES_MAX.is_power_of_two());
const _: () = assert!(
    EVENT_RING_BYTES_MIN <= EVENT_RING_BYTES_DEFAULT
        && EVENT_RING_BYTES_DEFAULT <= EVENT_RING_BYTES_MAX
);
const _: () = assert!(
    4 * EVENT_BYTES_MAX <= EVENT_RING_BYTES_MIN,
    "a ring holds several of the largest events"
);
const _: () = assert!(
    REFUSAL_TEXT_BYTES_MAX.is_multiple_of(8),
    "text is kept in whole words"
);
const _: () = assert!(KEY_BYTES_MAX <= KEY_SEGMENT_BYTES_MAX);
const _: () = assert!(LINK_FDS_MAX <= 253, "the kernel's SCM_MAX_FD");
const _: () = assert!(LINK_DATAGRAM_BYTES_MAX <= LINK_MESSAGE_BYTES_MAX);
const _: () = assert!(LINK_TEXT_BYTES_MAX < LINK_DATAGRAM_BYTES_MAX);
