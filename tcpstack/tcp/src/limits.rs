//! Every bound of the engine, with its unit in the name.

use sluice_packet::limits::DEFAULT_MSS_IPV6_BYTES;

/// Largest window shift a peer may ask for (RFC 7323 section 2.3).
pub const WINDOW_SHIFT_MAX: u8 = 14;
/// Largest window that can be advertised: 65 535 shifted by the largest shift.
pub const WINDOW_BYTES_MAX: u32 = 65_535 << WINDOW_SHIFT_MAX;
/// Smallest send MSS honoured: a peer announcing less would make every byte cost a packet.
pub const MSS_BYTES_MIN: u16 = 64;
/// Smallest MTU that anybody's word makes a path have over IPv4: Linux's floor, below which a forger could make every byte
/// cost a packet.
pub const PATH_MTU_IPV4_BYTES_MIN: u16 = 552;
/// Smallest path MSS that is believed over IPv4: that MTU, headers of 40 bytes subtracted.
pub const PATH_MSS_IPV4_BYTES_MIN: u16 = 512;
/// Smallest path MSS that is believed, or tried, over IPv6: the minimum link MTU of 1280 (RFC 8200 section 5), headers of 60
/// bytes subtracted.
pub const PATH_MSS_IPV6_BYTES_MIN: u16 = DEFAULT_MSS_IPV6_BYTES;
/// Timeouts in a row of one segment after which its size is suspected (as `tcp_retries1` of Linux).
pub const BLACK_HOLE_TIMEOUTS: u8 = 3;
/// Path MSS tried one after the other when larger segments seem to vanish (RFC 4821 section 7.2 asks for 1 024 first), none
/// below the least of the IP version.
pub const BLACK_HOLE_MSS_BYTES: [u16; 2] = [1_024, PATH_MSS_IPV4_BYTES_MIN];
/// Before a size that was given up is first tried again: most of what looked like a black hole was an outage.
pub const SIZE_PROBE_START_MS: u64 = 1_000;
/// Longest time between two tries, which doubles (RFC 4821 section 7.7 and Linux: ten minutes).
pub const SIZE_PROBE_MS: u64 = 600_000;
/// Segments of that size that have to wait behind one that tries it.
pub const SIZE_PROBE_FOLLOWERS: u32 = 4;
/// Bytes of options that the timestamps take in every segment, padding included (RFC 7323 appendix A).
pub const TIMESTAMPS_OPTION_BYTES: u16 = 12;
/// Bytes of a SACK option before its blocks, padding included (RFC 2018 section 3).
pub const SACK_OPTION_BYTES: u16 = 4;
/// Bytes of one SACK block.
pub const SACK_BLOCK_BYTES: u16 = 8;
/// Blocks sent in one SACK option, chosen so that it fits beside the timestamps.
pub const SACK_BLOCKS_MAX: usize = 3;
/// Smallest allocation of a stream buffer.
pub const BUFFER_BYTES_MIN: usize = 4 * 1024;
/// Such allocations that one core keeps for the next connection with something to hold.
pub const POOLED_BUFFERS_MAX: usize = 1_024;
/// Sets of flight records that one core keeps likewise.
pub const POOLED_FLIGHTS_MAX: usize = 1_024;
/// Receive window a connection starts with; it doubles while the application keeps up, to the configured maximum.
pub const RECEIVE_WINDOW_START_BYTES: u32 = 64 * 1024;
/// Separate runs of out-of-order bytes held per connection; a segment that would add one more is not kept.
pub const OUT_OF_ORDER_RUNS_MAX: usize = 128;
/// Payload of the largest segment handed out to be cut: what fits a datagram beside headers and options.
pub const LARGE_SEGMENT_BYTES_MAX: u32 = 65_535 - 40 - 60;
/// Segments of initial window (RFC 6928).
pub const INITIAL_WINDOW_SEGMENTS: u32 = 10;
/// Segments by which one acknowledgement may widen the window in slow start (RFC 9406 section 4.3: L, without pacing).
pub const SLOW_START_SEGMENTS_PER_ACK_MAX: u32 = 8;
/// Duplicate acknowledgements that signal a loss (RFC 5681 section 3.2).
pub const DUPLICATE_ACKS_MAX: u32 = 3;
/// First retransmission timeout (RFC 6298 section 2.1).
pub const RTO_INITIAL_MS: u64 = 1_000;
/// The same where the SYN was lost and nothing was measured (RFC 6298 section 5.7).
pub const RTO_AFTER_LOST_SYN_MS: u64 = 3_000;
/// Granularity of the estimator (RFC 6298: G).
pub const RTO_GRANULARITY_MS: u64 = 1;
/// Doublings of the retransmission timeout kept track of.
pub const BACKOFF_SHIFT_MAX: u8 = 16;
/// Segments sent again within one recovery that are remembered one by one, to tell whether all were for nothing.
pub const UNDO_SEGMENTS_MAX: usize = 64;
/// Half of the time for which the smallest round trip counts (as `tcp_min_rtt_wlen` of Linux: five minutes).
pub const RTT_MIN_WINDOW_S: u32 = 150;
/// Step of our timestamp clock (RFC 7323 section 5.4).
pub const TIMESTAMP_STEP_US: u32 = 1_000;
/// Challenge acknowledgements per connection and second (RFC 5961 section 7).
pub const CHALLENGE_ACKS_PER_SECOND_MAX: u32 = 10;
/// Size of a connection that holds no data; it has no other memory then.
pub const CONNECTION_BYTES_MAX: usize = 864;
/// Size of what is kept of a finished connection.
pub const TIME_WAIT_BYTES_MAX: usize = 40;
/// Age at which the peer's last timestamp no longer proves anything (RFC 7323 section 5.5: 24 days).
pub const TIMESTAMP_RECENT_MS_MAX: u64 = 24 * 24 * 3_600 * 1_000;
/// Widest that duplicates reported by the peer make the reordering window, in its steps (RFC 8985: RACK.reo_wnd_mult).
pub const REORDERING_STEPS_MAX: u8 = 64;
/// Recoveries without reported duplicates after which the reordering window is narrow again (RFC 8985: RACK.reo_wnd_persist).
pub const REORDERING_RECOVERIES: u8 = 16;
/// Delay of the peer's acknowledgements that a tail-loss probe allows for (RFC 8985 section 7.2: TLP.max_ack_delay).
pub const PEER_ACK_DELAY_MS: u64 = 40;
/// How long an empty buffer that has grown keeps its memory for the next burst before giving it back. One that has not
/// gives it back at once, to the core's pool.
pub const BUFFER_IDLE_MS: u64 = 250;
/// Longest delay of a peer's acknowledgement (RFC 9293 section 3.8.6.3: below 500 ms).
pub const ACK_DELAY_MS_MAX: u64 = 500;
/// Longest delay of ours.
pub const DELAYED_ACK_MS_MAX: u64 = 40;
/// Segments with text for which, after a gap or a duplicate, acknowledgements go out one by one as RFC 5681 asks, even while
/// segments come together: on a path that loses some, one for many is too few.
pub const ACKNOWLEDGED_CLOSELY_SEGMENTS: u16 = 512;
/// Segments of flight records reserved at the first transmission.
pub const FLIGHT_SEGMENTS_START: usize = 16;

const _: () = assert!(
    PATH_MSS_IPV4_BYTES_MIN == PATH_MTU_IPV4_BYTES_MIN - 40
        && PATH_MSS_IPV4_BYTES_MIN > MSS_BYTES_MIN
        && PATH_MSS_IPV6_BYTES_MIN == 1_280 - 60,
    "the floor of the path is above that of the peer",
);
const _: () = assert!(
    DELAYED_ACK_MS_MAX < ACK_DELAY_MS_MAX,
    "RFC 9293 bounds the delay"
);
const _: () = assert!(
    TIMESTAMPS_OPTION_BYTES + SACK_OPTION_BYTES + SACK_BLOCK_BYTES * 3 <= 40
        && SACK_BLOCKS_MAX == 3,
    "a header has room for 40 bytes of options",
);
const _: () = assert!(
    MSS_BYTES_MIN > TIMESTAMPS_OPTION_BYTES + SACK_OPTION_BYTES + SACK_BLOCK_BYTES * 3,
    "the smallest segment still carries payload",
);
const _: () = assert!(
    RECEIVE_WINDOW_START_BYTES <= WINDOW_BYTES_MAX,
    "a window fits the field"
);
