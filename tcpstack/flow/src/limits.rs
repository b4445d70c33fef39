//! Every bound of this crate, with its unit in the name.

use core::time::Duration;

/// The most flows one table may be made for. Twice this many buckets are indexed by 32 bits of hash.
pub const FLOWS_MAX: usize = 1 << 28;

/// One in so many places of a table is left to handshakes: as long as no more are observed, flows that can do without their
/// entries make room first. Where those fill the table, every SYN would otherwise evict the handshake before it.
pub const OBSERVED_PLACES_ONE_IN: usize = 8;

/// How fine the timer wheel is: a timer fires less than this late, never early. Whole milliseconds are met exactly.
pub const TIMER_TICK_MICROS: u64 = 250;

/// Bits of a tick number that one level of the wheel tells apart.
pub const TIMER_LEVEL_BITS: u32 = 6;

/// Slots in one level of the wheel.
pub const TIMER_SLOTS_PER_LEVEL: usize = 1 << TIMER_LEVEL_BITS;

/// Levels of the wheel: enough for 140,000 years.
pub const TIMER_LEVELS: usize = 9;

/// How far ahead of the timer that is worked off the cache is asked for one.
pub const TIMERS_AHEAD: u32 = 8;

/// What one timer costs: two share a cache line.
pub const TIMER_BYTES_MAX: usize = 32;

/// What stands before an entry's value.
pub const HEAD_BYTES: usize = 16;

/// What an entry costs besides its value: the head, the label, and two to four buckets of the index.
pub const ENTRY_OVERHEAD_BYTES_MAX: usize = HEAD_BYTES + 32 + 4 * 8;

/// Longest time to a handshake's confirmation by data that counts as a round trip: the timeout that follows from it stays below
/// the second that nothing at all gives (RFC 6298 2.1 and 2.2: three times it).
pub const CONFIRMED_WITH_DATA_MICROS_MAX: u32 = 300_000;

/// The smallest MSS that is believed: what Linux takes a smaller one for (`TCP_MIN_MSS`).
pub const PEER_MSS_BYTES_MIN: u16 = 88;

/// What is known of an observed flow's ends: half of its entry.
pub const OBSERVER_BYTES_MAX: usize = 128;

/// Datagrams of one core whose fragments are collected at the same time.
pub const FRAGMENTED_DATAGRAMS_MAX: usize = 512;

/// Fragments of one datagram: the longest one over Ethernet has 45. What is cut finer is cut to hide something.
pub const FRAGMENTS_PER_DATAGRAM_MAX: usize = 64;

/// Frames that one core holds because the rest of their datagrams is missing.
pub const FRAGMENT_PACKETS_HELD_MAX: usize = 1_000;

/// Bytes of those frames: what Linux takes for all of a host's fragments (`ipfrag_high_thresh`).
pub const FRAGMENT_BYTES_HELD_MAX: usize = 4 * 1024 * 1024;

/// Datagrams given up in one call: a flood of fragments that all run out at once cannot stall others.
pub const FRAGMENTS_EXPIRED_PER_CALL: usize = 16;

/// How long the rest of an IPv4 datagram is waited for: what Linux waits (`ipfrag_time`); RFC 1122 3.3.2 asks for 60 to 120
/// seconds, which is for an attacker more than for anybody else.
pub const IPV4_REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the rest of an IPv6 datagram is waited for (RFC 8200 4.5).
pub const IPV6_REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(60);

const _: () = assert!(FRAGMENTS_PER_DATAGRAM_MAX < FRAGMENT_PACKETS_HELD_MAX);
const _: () =
    assert!(FRAGMENTS_PER_DATAGRAM_MAX * 1480 > sluice_packet::limits::IP_LENGTH_BYTES_MAX);
const _: () = assert!(FRAGMENT_BYTES_HELD_MAX > 2 * sluice_packet::limits::IP_LENGTH_BYTES_MAX);
const _: () = assert!(
    TIMER_SLOTS_PER_LEVEL == u64::BITS as usize,
    "one word says which slots of a level are in use"
);
const _: () = assert!(FLOWS_MAX * 2 <= 1 << 32);
