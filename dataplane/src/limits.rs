//! Every bound of the data-plane process, its unit in its name.

use core::time::Duration;

/// Frames that wait for a port's transmit queue; past that, frames to be forwarded are dropped and new ones not written.
pub(crate) const TX_PENDING_PACKETS_MAX: usize = 128;

/// Frames on their way from the core that received them to the core that owns their flow, per core.
pub(crate) const HANDOFF_PACKETS_MAX: usize = 4_096;

/// Entries of the table by which hashes are spread over cores, where the ports have none: as many as common ports have.
pub(crate) const SPREAD_ENTRIES_DEFAULT: u16 = 128;

/// Frames a core takes from other cores in one turn.
pub(crate) const HANDOFF_PACKETS_PER_TURN: usize = 64;

/// Commands of the main loop that a core has not taken yet.
pub(crate) const COMMANDS_MAX: usize = 64;

/// Forging jobs waiting for a helper thread, over all cores; more wait in their core.
pub(crate) const FORGE_JOBS_MAX: usize = 4_096;

/// Forged leaves a core takes back in one turn.
pub(crate) const COMPLETIONS_PER_TURN: usize = 64;

/// Helper threads.
pub(crate) const HELPER_THREADS_MAX: usize = 4;

/// First and longest wait between two attempts to reach `sluiced`.
pub(crate) const CONNECT_WAIT_MIN: Duration = Duration::from_millis(20);
/// See [`CONNECT_WAIT_MIN`].
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_millis(500);

/// How long the main loop waits for a message before it looks after everything else.
pub(crate) const MAIN_TURN: Duration = Duration::from_millis(100);

/// How long a data plane that refused its first generation waits for the last good one before it ends.
pub(crate) const LAST_GOOD_WAIT: Duration = Duration::from_secs(2);

/// How often the ports' links are looked at.
pub(crate) const PORT_LINK_INTERVAL: Duration = Duration::from_secs(1);

/// How long the cores have to answer a question of the main loop.
pub(crate) const CORE_ANSWER_WAIT: Duration = Duration::from_millis(500);

/// How long the cores have to stop.
pub(crate) const CORE_STOP_WAIT: Duration = Duration::from_secs(2);

/// How often a core sets its gauges and its heartbeat.
pub(crate) const GAUGE_INTERVAL: Duration = Duration::from_millis(50);

/// How often a core reads the wall clock.
pub(crate) const WALL_CLOCK_INTERVAL: Duration = Duration::from_millis(1);

/// Adaptive idle: time a core polls on after the last work before it sleeps.
pub(crate) const IDLE_SPIN: Duration = Duration::from_micros(20);
/// Adaptive idle: first sleep; each doubles the one before.
pub(crate) const IDLE_SLEEP_MIN: Duration = Duration::from_micros(5);
/// Adaptive idle: longest sleep, and so the longest a frame waits on an idle appliance.
pub(crate) const IDLE_SLEEP_MAX: Duration = Duration::from_micros(100);
/// Adaptive idle: precision of sleeping that the kernel is asked for.
pub(crate) const TIMER_SLACK: Duration = Duration::from_micros(1);

/// Free share of the packet buffers below which they count as nearly used up, percent.
pub(crate) const BUFFERS_LOW_PERCENT: u32 = 10;
/// Free share of the packet buffers from which on there are enough again, percent.
pub(crate) const BUFFERS_ENOUGH_PERCENT: u32 = 25;
/// How often the packet buffers are counted.
pub(crate) const BUFFERS_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// How long packet buffers have to be nearly used up before all cores go into layer-2 fallback.
pub(crate) const BUFFERS_LOW_BEFORE_FALLBACK: Duration = Duration::from_secs(2);
/// How long jobs have to wait without any being answered before all cores go into layer-2 fallback; an RSA signature of
/// 4,096 bits takes some milliseconds.
pub(crate) const HELPERS_STALLED_BEFORE_FALLBACK: Duration = Duration::from_secs(2);
/// Most that one look at the process adds to how long something has lasted: a process that was stopped has seen nothing.
pub(crate) const HEALTH_LOOK_MAX: Duration = Duration::from_millis(500);

/// Share of the memory setting that packet buffers take; the rest is queues, rings and DPDK's own tables.
pub(crate) const POOL_SHARE_PERCENT: u64 = 60;
/// Fewest packet buffers a data plane is useful with.
pub(crate) const POOL_PACKETS_MIN: u32 = 4_095;
/// Most packet buffers that are ever needed.
pub(crate) const POOL_PACKETS_MAX: u32 = (1 << 20) - 1;
/// Packet buffers a core keeps to itself.
pub(crate) const POOL_CACHE_PACKETS: u32 = 250;
/// Bytes DPDK adds to a packet buffer's data room: its header, the pool's, and alignment.
pub(crate) const PACKET_OVERHEAD_BYTES: u32 = 256;
/// Least data room of a packet buffer: a frame of 1,500 bytes with two tags, the headroom, and some slack for drivers that want 2 KiB.
pub(crate) const DATA_ROOM_BYTES_MIN: u16 = 2_176;
/// Buffers for segments that a port is to cut, over all cores.
pub(crate) const LARGE_POOL_PACKETS: u32 = 511;
/// Data room of such a buffer: the largest segment with its headers and the headroom.
pub(crate) const LARGE_DATA_ROOM_BYTES: u16 = 12 * 1_024 + 512;
/// Bytes of a frame beside the MTU: Ethernet header and two VLAN tags, rounded up.
pub(crate) const FRAME_OVERHEAD_BYTES: u16 = 32;

/// An interface's MTU where the kernel does not say.
pub(crate) const MTU_BYTES_DEFAULT: u16 = 1_500;
/// Largest MTU served: jumbo frames.
pub(crate) const MTU_BYTES_MAX: u16 = 9_216;

/// Frames in each of the kernel's rings of an `AF_PACKET` port.
pub(crate) const AF_PACKET_FRAMES: u32 = 2_048;
/// Bytes of such a frame that are the kernel's header.
pub(crate) const AF_PACKET_HEADER_BYTES: u16 = 128;
/// Bytes of such a frame at least, its header among them.
pub(crate) const AF_PACKET_FRAME_BYTES_MIN: u16 = 2_048;
/// What a block of such frames is a multiple of.
pub(crate) const PAGE_BYTES: u16 = 4_096;

/// Longest reason sent over the link, bytes.
pub(crate) const REASON_BYTES_MAX: usize = sluice_shm::limits::LINK_TEXT_BYTES_MAX;

const _: () = assert!(
    LARGE_DATA_ROOM_BYTES as usize
        >= sluice_proxy::limits::LARGE_SEGMENT_BYTES_MAX as usize
            + sluice_packet::limits::HEADER_BYTES_MAX
            + dpdk::limits::HEADROOM_BYTES
);
const _: () = assert!(TX_PENDING_PACKETS_MAX >= dpdk::limits::BURST_PACKETS_MAX);
const _: () = assert!(HEALTH_LOOK_MAX.as_nanos() > MAIN_TURN.as_nanos());
const _: () = assert!(HEALTH_LOOK_MAX.as_nanos() < BUFFERS_LOW_BEFORE_FALLBACK.as_nanos());
const _: () = assert!(HEALTH_LOOK_MAX.as_nanos() < HELPERS_STALLED_BEFORE_FALLBACK.as_nanos());
const _: () = assert!(IDLE_SLEEP_MIN.as_nanos() <= IDLE_SLEEP_MAX.as_nanos());
const _: () = assert!(CONNECT_WAIT_MIN.as_nanos() <= CONNECT_WAIT_MAX.as_nanos());
const _: () = assert!(
    MTU_BYTES_DEFAULT as usize + FRAME_OVERHEAD_BYTES as usize + dpdk::limits::HEADROOM_BYTES
        <= DATA_ROOM_BYTES_MIN as usize
);
const _: () = assert!(POOL_PACKETS_MIN as usize > 2 * dpdk::limits::DESCRIPTORS_DEFAULT as usize);
const _: () =
    assert!(sluice_flow::limits::FRAGMENT_PACKETS_HELD_MAX * 4 <= POOL_PACKETS_MIN as usize);
