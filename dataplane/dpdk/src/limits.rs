//! Every bound of this crate, its unit in its name.

/// Packets one receive or transmit call moves: what the drivers' vector paths are made for.
pub const BURST_PACKETS_MAX: usize = 32;

/// Lines of the EAL's own output that are kept, to be quoted in an error.
pub const LOG_LINES_MAX: usize = 64;

/// Bytes kept of one such line.
pub const LOG_LINE_BYTES_MAX: usize = 240;

/// Bytes of a port's or a pool's name; DPDK's own bound is higher for ports and near this for pools.
pub const NAME_BYTES_MAX: usize = 24;

/// Bytes of one port's device arguments.
pub const DEVARGS_BYTES_MAX: usize = 512;

/// Least memory the EAL is asked for: below it its own tables do not fit.
pub const MEMORY_MIB_MIN: u32 = 32;

/// Packets one core keeps to itself before it goes to the shared pool; DPDK's own bound is 512.
pub const POOL_CACHE_PACKETS_MAX: u32 = 512;

/// Bytes DPDK keeps free before a received frame, for tags that are put back.
pub const HEADROOM_BYTES: usize = dpdk_sys::RTE_PKTMBUF_HEADROOM as usize;

/// Ports a process can hold.
pub const PORTS_MAX: usize = 1_024;

/// Receive or transmit descriptors a queue is asked for; the driver rounds it to what it can.
pub const DESCRIPTORS_DEFAULT: u16 = 1_024;

const _: () = assert!(
    HEADROOM_BYTES >= 8,
    "two VLAN tags must fit before a received frame"
);
const _: () = assert!(BURST_PACKETS_MAX <= u16::MAX as usize);
