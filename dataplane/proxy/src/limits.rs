//! Every bound of a core's proxy, with its unit in the name.

use core::time::Duration;

/// Packets that are parsed and looked up before the first of them is worked on.
pub const BURST_PACKETS_MAX: usize = 32;

/// Packets that are parsed before it is asked for where their flows' places are written: all at once, as a core that has to find
/// out where a page is does nothing else meanwhile but the like.
pub const SOUGHT_TOGETHER: usize = 8;

/// Packets ahead of those of which is asked for what will be read, whose flows are located while others are worked off.
pub const LOCATE_AHEAD: usize = 8;

/// Packets ahead of the one that is worked on, and flows ahead of the one whose turn it is, of which is asked for what will
/// be read. Few enough that it is not displaced before its turn.
pub const FETCH_AHEAD: usize = 2;

/// Times that what was put together from fragments may itself be one, outer and inner datagram counted.
pub const REASSEMBLIES_PER_PACKET_MAX: usize = 2;

/// Largest number of client packets held before the decision. A larger ClientHello is collected by taking over early.
pub const HELD_PACKETS_MAX: usize = 64;

/// Held client packets, still short of a whole ClientHello, after which the flow is taken over so that the client's
/// window opens: a client that sends tiny segments would otherwise wait for acknowledgements that never come.
pub const HELD_PACKETS_BEFORE_TAKEOVER: usize = 8;

/// How long an incomplete ClientHello is held unacknowledged before the flow is taken over to collect the rest.
pub const HOLD_BEFORE_TAKEOVER: Duration = Duration::from_millis(100);

/// From the first byte of the client to a whole ClientHello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// From the SYN to an established connection.
pub const OBSERVE_TIMEOUT: Duration = Duration::from_secs(60);

/// An established connection on which the client has said nothing yet.
pub const SILENT_TIMEOUT: Duration = Duration::from_secs(300);

/// From the decision to inspect to both handshakes done.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// An inspected session on which nothing moves.
pub const SESSION_IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A bypassed flow on which nothing moves.
pub const BYPASS_IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A bypassed flow after both its FINs, or a reset with the very number that was due, were seen and its last packet came. Its
/// ends may not have seen them yet: longer than any of them waits between two retransmissions (Linux: 120 s), or what is left
/// of it would look picked up in the middle.
pub const BYPASS_CLOSED_TIMEOUT: Duration = Duration::from_secs(130);

/// How far from where an end of a flow that passes stands a number is taken for its own, bytes.
pub const PASSING_REACH_BYTES: u32 = 16 * 1024 * 1024;

/// How exactly the time of a flow's last packet is remembered where it passes, microseconds.
pub const ACTIVITY_STEP_MICROS: u64 = 250_000;

/// From a decision to let a flow pass to the origin's acknowledgement of what was read of it. Then the flow is forgotten; what
/// comes of it looks picked up in the middle.
pub const UNCONFIRMED_TIMEOUT: Duration = Duration::from_secs(300);

/// Flows of which something unconfirmed is remembered that are looked at again for each one that joins them.
pub const DOUBTFUL_LOOKS_PER_FLOW: usize = 2;

/// Share of the bytes held before decisions that they and what flows that pass are remembered for may have reached, for
/// another SYN on such a flow to be watched, percent.
pub const SUCCESSORS_PERCENT: usize = 50;

/// Numbers of SYNs that are watched on the addresses and ports of a flow that passes. A further one takes the place of the
/// oldest.
pub const SUCCESSOR_SYNS_MAX: usize = 8;

/// How long such a number is watched since its SYN was last forwarded: as long as a handshake may take.
pub const SUCCESSOR_TIMEOUT: Duration = OBSERVE_TIMEOUT;

/// How far behind a SYN that nobody answered its sender's data is taken for its own, bytes: a window without scale.
pub const SUCCESSOR_WINDOW_BYTES: i32 = 65_535;

/// How long a connection that ended before anything was decided is recognised.
pub const ENDED_LINGER: Duration = Duration::from_secs(10);

/// How long a blocked flow is recognised after its last packet: longer than any end waits between two retransmissions
/// (RFC 6298 section 2.5 lets implementations stop at 60 s, Linux at 120 s), or what was blocked would pass as a flow
/// picked up in the middle.
pub const BLOCKED_LINGER: Duration = Duration::from_secs(180);

/// How long a finished session still acknowledges FINs that are sent again, after the last of them: five retransmissions of
/// one that began 200 ms after the first. What TIME-WAIT is for beyond that is the real ends' business.
pub const TIME_WAIT_LINGER: Duration = Duration::from_secs(10);

/// How long the halves of a session that was ended other than by its ends may take to close.
pub const CLOSED_LINGER: Duration = Duration::from_secs(2);

/// How long both halves may take to close after the session has ended; again and again as long as one has bytes to deliver
/// and its peer answers.
pub const CLOSING_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a half sends the same bytes again before it gives its peer up: as long as Linux does by default (15
/// retransmissions), so that the appliance is never the first to lose patience.
pub const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(924);

/// How long a half of a session waits whose port takes no frame, the first time: each time twice as long.
pub const PORT_RETRY_MIN: Duration = Duration::from_millis(1);

/// How long it waits at most.
pub const PORT_RETRY_MAX: Duration = Duration::from_millis(64);

/// Receive window of each half of an inspected session, bytes.
pub const RECEIVE_BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Unacknowledged and queued bytes of each half, bytes.
pub const SEND_BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Receive window of a half that collects a ClientHello, which is read only when it is whole, bytes: the largest there is,
/// its record headers, and one step of the largest window scale (RFC 7323), which a window is rounded down by.
pub const COLLECT_WINDOW_BYTES: u32 = 128 * 1024;

/// What one session may hold: two halves whose buffers grow by doubling, and the TLS state beside them.
pub const SESSION_BYTES_MAX: usize =
    4 * (RECEIVE_BUFFER_BYTES_MAX + SEND_BUFFER_BYTES_MAX) + 64 * 1024;

/// What is counted for rustls's state of a handshake with an origin, without what the origin has sent of it. With this and
/// everything else that is counted a session is charged with no less than it was measured to take, and at most twice that.
pub const ORIGIN_HANDSHAKE_BYTES: usize = 4 * 1024;

/// The same for a handshake with a client.
pub const CLIENT_HANDSHAKE_BYTES: usize = 8 * 1024;

/// Bytes that one core holds before decisions.
pub const HELD_BYTES_PER_CORE_MAX: usize = 64 * 1024 * 1024;

/// Bytes of sessions of one core's flows that are taken over: receive and send buffers and TLS state. Beyond it nothing
/// more is taken over, and no window grows. A hundred thousand idle sessions are charged with 1.3 GB.
pub const BUFFER_BYTES_PER_CORE_MAX: usize = 1536 * 1024 * 1024;

/// Payload of a segment that is cut on its way out, bytes: most of a full record, and with its headers less than the
/// 16 KiB that one transmit descriptor of common ports holds.
pub const LARGE_SEGMENT_BYTES_MAX: u32 = 12 * 1024;

/// A frame that every link carries: 576 bytes of IPv4 (RFC 791 section 3.1) behind an Ethernet header and two tags.
pub const FRAME_BYTES_ALWAYS: usize = 576 + 22;

/// Largest TLS record on the wire: header, 2^14 bytes, and the expansion RFC 5246 section 6.2.3 allows.
pub const RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 2048;

/// An alert record, sealed: header, explicit nonce, two bytes, content type and tag.
pub const ALERT_BYTES_MAX: usize = 64;

/// Handshake steps per call of `poll`: a storm of new connections cannot stall established ones.
pub const HANDSHAKE_STEPS_PER_POLL: usize = 8;

/// Timers fired or brought closer per call of `poll`: a million flows that end at once cannot stall the others.
pub const TIMER_STEPS_PER_POLL: usize = 512;

/// How soon something has to be due on a flow that is taken over for its near alarm to be set: longer than acknowledgements,
/// tail-loss probes and first retransmissions are waited for.
pub const NEAR_ALARM_MAX: Duration = Duration::from_secs(2);

/// Near alarms that may be set at the same time: one to so many places of the flow table. When there are no more, the alarms
/// that all flows have do it.
pub const NEAR_ALARMS_ONE_IN: usize = 4;

/// Places of the flow table looked at per call of `poll` for flows that all are let go or cleared.
pub const SWEPT_PLACES_PER_POLL: usize = 1_024;

/// Flows let go or cleared per call of `poll`.
pub const SWEPT_FLOWS_PER_POLL: usize = 32;

/// Bytes of forged leaves kept per core.
pub const LEAF_CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Sessions that wait for one leaf being forged.
pub const LEAF_WAITERS_MAX: usize = 4096;

/// Destinations remembered per core as not to be inspected.
pub const LEARNED_MAX: usize = 4096;

/// How far a load has to fall below a threshold before that counts as passed downward, percent of the limit.
pub const LOAD_HYSTERESIS_PERCENT: u8 = 5;

/// How long something learned holds.
pub const LEARNED_TTL: Duration = Duration::from_secs(3_600);

/// Refusals of a trusted leaf by one client for one destination that are taken for pinning.
pub const PINNING_REFUSALS: u8 = 3;

/// Bytes of an IP datagram that every port carries: Ethernet without jumbo frames.
pub const ETHERNET_MTU: u16 = 1500;

/// Bytes of the longest IP datagram that a port is believed to carry.
pub const JUMBO_MTU_MAX: u16 = 9000;

/// Bytes held before the decision: the largest ClientHello, and what may follow it in the same window.
pub const HOLD_BYTES_MAX: usize = 96 * 1024;

/// What a flow costs that is only observed: its place in the table, its label, its share of the index, and its timers. A table
/// takes this much for each flow that it is made for, and nothing more for what only passes.
pub const OBSERVED_FLOW_BYTES_MAX: usize = 360;

/// What a session leaves behind when it is over, in its entry; nothing beside it.
pub const LINGERING_BYTES_MAX: usize = 112;

/// What an inspected TLS 1.3 session costs on which nothing moves, its entry included.
pub const TAKEN_FLOW_BYTES_MAX: usize = 10 * 1024;

const _: () = assert!(RECEIVE_BUFFER_BYTES_MAX >= 2 * RECORD_BYTES_MAX);
const _: () = assert!(SEND_BUFFER_BYTES_MAX >= 2 * RECORD_BYTES_MAX);
const _: () = assert!(COLLECT_WINDOW_BYTES as usize <= RECEIVE_BUFFER_BYTES_MAX);
const _: () = assert!(HOLD_BYTES_MAX <= COLLECT_WINDOW_BYTES as usize);
const _: () = assert!(COLLECT_WINDOW_BYTES >= 65 * 1024 + (65_535 >> 2));
const _: () = assert!(HELD_BYTES_PER_CORE_MAX >= 64 * HOLD_BYTES_MAX);
const _: () = assert!(UNCONFIRMED_TIMEOUT.as_millis() < BYPASS_IDLE_TIMEOUT.as_millis());
const _: () = assert!(UNCONFIRMED_TIMEOUT.as_millis() > BYPASS_CLOSED_TIMEOUT.as_millis());
const _: () = assert!(DOUBTFUL_LOOKS_PER_FLOW >= 2, "the queue shrinks");
const _: () = assert!(SUCCESSORS_PERCENT < 100);
const _: () = assert!(PORT_RETRY_MIN.as_millis() < PORT_RETRY_MAX.as_millis());
const _: () = assert!(PORT_RETRY_MAX.as_millis() < CLOSED_LINGER.as_millis());
const _: () = assert!(ETHERNET_MTU <= JUMBO_MTU_MAX);
const _: () = assert!(HELD_PACKETS_BEFORE_TAKEOVER < HELD_PACKETS_MAX);
const _: () = assert!(HOLD_BEFORE_TAKEOVER.as_millis() < HELLO_TIMEOUT.as_millis());
const _: () = assert!(TIME_WAIT_LINGER.as_millis() < BLOCKED_LINGER.as_millis());
const _: () = assert!(HELLO_TIMEOUT.as_millis() < HANDSHAKE_TIMEOUT.as_millis());
