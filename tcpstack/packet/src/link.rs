//! Layer 2: Ethernet addresses and VLAN tags.

use crate::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, be16};
use crate::limits::{ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES};
use crate::vlan::TAG_TYPES;
use crate::{Opaque, VlanStack};

/// What stands before the first IP header.
pub(crate) struct Link {
    pub(crate) vlan: VlanStack,
    pub(crate) ipv6: bool,
    /// Where the IP header starts.
    pub(crate) len: usize,
}

impl Link {
    pub(crate) fn parse(frame: &[u8]) -> Result<Self, Opaque> {
        let mut ethertype = be16(frame, ETHERNET_HEADER_BYTES - 2)?;
        let mut len = ETHERNET_HEADER_BYTES;
        let mut vlan = VlanStack::UNTAGGED;
        while TAG_TYPES.contains(&ethertype) {
            vlan = vlan.pushed(be16(frame, len)?).ok_or(Opaque::VlanTooDeep)?;
            ethertype = be16(frame, len + 2)?;
            len += VLAN_TAG_BYTES;
        }
        let ipv6 = match ethertype {
            ETHERTYPE_IPV4 => false,
            ETHERTYPE_IPV6 => true,
            ETHERTYPE_ARP => return Err(Opaque::Arp),
            _ => return Err(Opaque::NotIp),
        };
        Ok(Self { vlan, ipv6, len })
    }
}
