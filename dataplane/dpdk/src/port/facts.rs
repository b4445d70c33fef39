//! What a port is asked for, what it is, what it counts and why it refuses.

use sluice_packet::CoreSpread;

use crate::error::DpdkError;
use crate::limits::DESCRIPTORS_DEFAULT;
use crate::offload::Offloads;
use crate::rss::RssCapability;

/// How a port is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Largest IP packet, in bytes; `None` leaves the driver's own.
    pub mtu: Option<u16>,
    /// Spread flows over the receive queues with the symmetric key, the queue being the core's.
    pub rss: Option<CoreSpread>,
    /// Take frames for every address, as a port of a segment must.
    pub promiscuous: bool,
    /// Offloads that are wanted; those the port lacks stay off.
    pub offloads: Offloads,
    /// Descriptors of each receive queue; the driver rounds.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue; the driver rounds.
    pub tx_descriptors: u16,
}

/// What a port is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The driver, e.g. `net_af_packet`.
    pub driver: String,
    /// Receive queues it offers.
    pub rx_queues_max: u16,
    /// Transmit queues it offers.
    pub tx_queues_max: u16,
    /// Smallest and largest MTU; 0 where the driver does not say.
    pub mtu: (u16, u16),
    /// Its receive-side scaling.
    pub rss: RssCapability,
    /// The offloads it has.
    pub offloads: Offloads,
    /// The NUMA node it hangs on.
    pub socket: Option<u16>,
}

/// A port's link.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// True while it carries frames.
    pub up: bool,
    /// Megabits per second; `u32::MAX` is unknown.
    pub speed_mbps: u32,
    /// Both directions at once.
    pub full_duplex: bool,
}

/// What a port has counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets the hardware dropped because nobody fetched them in time.
    pub rx_missed: u64,
    /// Packets received damaged.
    pub rx_errors: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets dropped because the pool was empty.
    pub rx_no_buffer: u64,
}

/// Why a port cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The name or the arguments hold a control character or are too long.
    #[error(
        "{devargs:?} is not something DPDK can be given: take out control characters and shorten it"
    )]
    BadName {
        /// As given.
        devargs: String,
    },
    /// No port of that name.
    #[error("DPDK knows no port {name}: attach it first, and check that its driver is installed")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The port has an owner in this process.
    #[error("the port {name} is in use already: name each port once")]
    Taken {
        /// The name.
        name: String,
    },
    /// More queues than the port offers.
    #[error(
        "the port {name} offers {rx} receive and {tx} transmit queues, fewer than asked for: use fewer cores"
    )]
    TooFewQueues {
        /// The port.
        name: String,
        /// Receive queues it offers.
        rx: u16,
        /// Transmit queues it offers.
        tx: u16,
    },
    /// Receive queues without a pool to take buffers from.
    #[error("the port {name} was given no packet pool: pass at least one")]
    NoPool {
        /// The port.
        name: String,
    },
    /// DPDK or the driver refused.
    #[error(transparent)]
    Dpdk(#[from] DpdkError),
}

impl Default for PortConfig {
    /// One queue each way, promiscuous, no spreading.
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            mtu: None,
            rss: None,
            promiscuous: true,
            offloads: Offloads::NONE,
            rx_descriptors: DESCRIPTORS_DEFAULT,
            tx_descriptors: DESCRIPTORS_DEFAULT,
        }
    }
}
