//! Receive-side scaling: both directions of a flow to one core, done by the port.

use sluice_packet::SYMMETRIC_RSS_KEY;

/// What a port can do.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct RssCapability {
    /// Bytes of the hash key the port takes; 0 when it does not say.
    pub key_bytes: u8,
    /// Entries of its table from hash to queue.
    pub table_entries: u16,
    /// The packet types it can hash, in DPDK's bits.
    pub(crate) hashes: u64,
}

impl RssCapability {
    /// True if the port can spread TCP over IPv4 and over IPv6 by addresses and ports.
    #[must_use]
    pub fn spreads_tcp(&self) -> bool {
        self.hashes & dpdk_sys::DPDK_SHIM_RSS_TCP == dpdk_sys::DPDK_SHIM_RSS_TCP
    }

    /// What the port is asked to hash.
    pub(crate) fn wanted(&self) -> u64 {
        self.hashes
            & (dpdk_sys::DPDK_SHIM_RSS_IP
                | dpdk_sys::DPDK_SHIM_RSS_TCP
                | dpdk_sys::DPDK_SHIM_RSS_UDP)
    }
}

/// The symmetric key in the length a port wants: it repeats every 16 bits, so any even length does.
#[must_use]
pub fn symmetric_key(bytes: u8) -> Vec<u8> {
    let bytes = if bytes == 0 {
        SYMMETRIC_RSS_KEY.len()
    } else {
        usize::from(bytes)
    };
    SYMMETRIC_RSS_KEY
        .iter()
        .copied()
        .cycle()
        .take(bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_repeats_in_every_length_ports_want() {
        assert_eq!(symmetric_key(0), SYMMETRIC_RSS_KEY);
        for bytes in [40_u8, 52] {
            let key = symmetric_key(bytes);
            assert_eq!(key.len(), usize::from(bytes));
            assert!(key.chunks(2).all(|pair| pair == [0x6d, 0x5a]));
        }
    }

    #[test]
    fn a_port_that_hashes_tcp_of_both_versions_spreads_it() {
        let nic = RssCapability {
            key_bytes: 40,
            table_entries: 128,
            hashes: u64::MAX,
        };
        assert!(nic.spreads_tcp());
        assert!(!RssCapability::default().spreads_tcp());
        let of_one_version = RssCapability {
            hashes: dpdk_sys::DPDK_SHIM_RSS_TCP & dpdk_sys::DPDK_SHIM_RSS_TCP.wrapping_neg(),
            ..nic
        };
        assert!(!of_one_version.spreads_tcp());
    }
}
