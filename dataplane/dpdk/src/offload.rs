//! What a port computes in our stead: checksums, and the cutting of large segments.
//!
//! Large receive offload is not among it: frames that a port has merged could not be sent on as they came.

use sluice_packet::Unfinished;

/// The offloads of a port: those it has, those that are wanted, or those that are on.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// It checks the IPv4 header's and the TCP segment's checksum of received frames.
    pub rx_checksum: bool,
    /// It fills in both checksums of frames that ask for it.
    pub tx_checksum: bool,
    /// It cuts a TCP segment that asks for it into smaller ones.
    pub tx_segmentation: bool,
}

impl Offloads {
    /// None at all.
    pub const NONE: Self = Self {
        rx_checksum: false,
        tx_checksum: false,
        tx_segmentation: false,
    };

    /// Whatever a port may have.
    pub const ALL: Self = Self {
        rx_checksum: true,
        tx_checksum: true,
        tx_segmentation: true,
    };

    /// Those that are in both. Segmentation needs the checksums: every piece gets its own.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let tx_checksum = self.tx_checksum && other.tx_checksum;
        Self {
            rx_checksum: self.rx_checksum && other.rx_checksum,
            tx_checksum,
            tx_segmentation: tx_checksum && self.tx_segmentation && other.tx_segmentation,
        }
    }

    pub(crate) fn of(info: &dpdk_sys::rte_eth_dev_info) -> Self {
        let has = |capabilities: u64, wanted: u64| capabilities & wanted == wanted;
        Self::ALL.and(Self {
            rx_checksum: has(info.rx_offload_capa, dpdk_sys::DPDK_SHIM_RX_CHECKSUM),
            tx_checksum: has(info.tx_offload_capa, dpdk_sys::DPDK_SHIM_TX_CHECKSUM),
            tx_segmentation: has(info.tx_offload_capa, dpdk_sys::DPDK_SHIM_TX_SEGMENT),
        })
    }

    pub(crate) fn rx_bits(self) -> u64 {
        if self.rx_checksum {
            dpdk_sys::DPDK_SHIM_RX_CHECKSUM
        } else {
            0
        }
    }

    pub(crate) fn tx_bits(self) -> u64 {
        let checksum = if self.tx_checksum {
            dpdk_sys::DPDK_SHIM_TX_CHECKSUM
        } else {
            0
        };
        let segmentation = if self.tx_segmentation {
            dpdk_sys::DPDK_SHIM_TX_SEGMENT
        } else {
            0
        };
        checksum | segmentation
    }
}

/// The flags and lengths that ask a port for it.
pub(crate) fn request(frame: Unfinished) -> (u64, u64) {
    let checksums = if frame.ipv6 {
        dpdk_sys::DPDK_SHIM_MBUF_TX_CHECKSUM_IPV6
    } else {
        dpdk_sys::DPDK_SHIM_MBUF_TX_CHECKSUM_IPV4
    };
    let cut = if frame.cut_bytes > 0 {
        dpdk_sys::DPDK_SHIM_MBUF_TX_SEGMENT
    } else {
        0
    };
    // SAFETY: arithmetic on its arguments; each fits its bit field.
    let lengths = unsafe {
        dpdk_sys::rte_mbuf_tx_offload(
            u64::from(frame.l2_bytes & 0x7f),
            u64::from(frame.l3_bytes),
            u64::from(frame.l4_bytes),
            u64::from(frame.cut_bytes),
            0,
            0,
            0,
        )
    };
    (checksums | cut, lengths)
}
