//! The header that everything written for one direction of a flow wears.

use core::net::{IpAddr, SocketAddr};

use smoltcp::wire::Ipv6Packet;

use crate::frame::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::limits::{
    ETHERNET_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, LINK_HEADER_BYTES_MAX,
    TCP_HEADER_BYTES, VLAN_TAG_BYTES,
};
use crate::{FlowKey, TcpFrame, VlanStack};

/// The ECN bits of a traffic class (RFC 3168 5).
const ECN_MASK: u8 = 0b11;

/// What a direction's frames have in common besides addresses and ports: Ethernet addresses, VLAN tags with their types
/// and priorities, hop limit, DSCP, flow label. 28 bytes, so that a table of observed flows stays small.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LinkTemplate {
    header: [u8; LINK_HEADER_BYTES_MAX],
    header_len: u8,
    hop_limit: u8,
    traffic_class: u8,
    flow_label: [u8; 3],
}

impl LinkTemplate {
    /// A template that no frame taught: hop limit 64, no DSCP, no flow label. Two tags are an 802.1ad and an 802.1Q one.
    #[must_use]
    pub fn new(source: [u8; 6], destination: [u8; 6], vlan: VlanStack, ipv6: bool) -> Self {
        let (header, header_len) = link_header(source, destination, vlan, ipv6);
        Self {
            header,
            header_len,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: [0; 3],
        }
    }

    /// Learns from a frame that [`parse`](crate::parse) found to be `tcp`.
    #[must_use]
    pub fn from_frame(tcp: &TcpFrame, frame: &[u8]) -> Self {
        let link = frame.get(..tcp.l3_offset()).unwrap_or_default();
        let mut header = [0; LINK_HEADER_BYTES_MAX];
        for (to, from) in header.iter_mut().zip(link) {
            *to = *from;
        }
        let flow_label = match frame.get(tcp.l3_offset()..tcp.l4_offset()) {
            Some(ip) if tcp.source.is_ipv6() && ip.len() >= IPV6_HEADER_BYTES => {
                Ipv6Packet::new_unchecked(ip).flow_label()
            }
            _ => 0,
        };
        let [_, flow_label @ ..] = flow_label.to_be_bytes();
        Self {
            header,
            header_len: u8::try_from(link.len().min(LINK_HEADER_BYTES_MAX)).unwrap_or(0),
            hop_limit: tcp.ttl,
            // The congestion marks of the frame it was learned from say nothing about the next one.
            traffic_class: tcp.traffic_class & !ECN_MASK,
            flow_label,
        }
    }

    /// With source and destination Ethernet address swapped. The flow label is the sender's own, so there is none.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut reversed = *self;
        let (addresses, _) = reversed.header.split_at_mut(12);
        addresses.rotate_left(6);
        reversed.flow_label = [0; 3];
        reversed
    }

    /// Ethernet addresses, tags and type, as on the wire.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header
            .get(..usize::from(self.header_len))
            .unwrap_or(&self.header)
    }

    /// TTL or hop limit.
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// DSCP in its place in the traffic class; the ECN bits are zero.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        self.traffic_class
    }

    /// IPv6 flow label; zero for IPv4.
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        let [a, b, c] = self.flow_label;
        u32::from_be_bytes([0, a, b, c])
    }

    /// The whole template for the direction of `key` that `source` sends.
    #[must_use]
    pub fn with_source(&self, key: &FlowKey, source: SocketAddr) -> PathTemplate {
        let (lower, higher) = (key.lower(), key.higher());
        let destination = if source == lower { higher } else { lower };
        PathTemplate {
            link: *self,
            source,
            destination,
        }
    }
}

/// Layer 2 to 4 addressing of one direction of a flow, learned from a real frame: what the appliance writes wears it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    link: LinkTemplate,
    source: SocketAddr,
    destination: SocketAddr,
}

impl PathTemplate {
    /// A template that no frame taught, as [`LinkTemplate::new`] makes them: for connections of one's own, and tests.
    /// Both ends are of one family.
    #[must_use]
    pub fn new(
        source_mac: [u8; 6],
        destination_mac: [u8; 6],
        vlan: VlanStack,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Self {
        let link = LinkTemplate::new(source_mac, destination_mac, vlan, source.is_ipv6());
        Self {
            link,
            source,
            destination,
        }
    }

    /// Learns from a frame that [`parse`](crate::parse) found to be `tcp`.
    #[must_use]
    pub fn from_frame(tcp: &TcpFrame, frame: &[u8]) -> Self {
        Self {
            link: LinkTemplate::from_frame(tcp, frame),
            source: tcp.source,
            destination: tcp.destination,
        }
    }

    /// The opposite direction as far as it can be known from this one: Ethernet addresses, IP addresses and ports swapped,
    /// hop limit and tags kept.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            link: self.link.reversed(),
            source: self.destination,
            destination: self.source,
        }
    }

    /// Whom it speaks for.
    #[must_use]
    pub const fn source(&self) -> SocketAddr {
        self.source
    }

    /// Whom it speaks to.
    #[must_use]
    pub const fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// The part below the addresses.
    #[must_use]
    pub const fn link(&self) -> &LinkTemplate {
        &self.link
    }

    /// Bytes of an IP header: 20 or 40.
    #[must_use]
    pub const fn ip_header_bytes(&self) -> usize {
        match self.source.ip() {
            IpAddr::V4(_) => IPV4_HEADER_BYTES,
            IpAddr::V6(_) => IPV6_HEADER_BYTES,
        }
    }

    /// Bytes in front of the TCP options: layer 2, IP and fixed TCP header.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.link.header().len() + self.ip_header_bytes() + TCP_HEADER_BYTES
    }

    /// The largest MSS whose segments fit an IP datagram of `mtu` bytes, options not counted (RFC 6691).
    #[must_use]
    pub fn mss_limit(&self, mtu: u16) -> u16 {
        let headers = self.ip_header_bytes() + TCP_HEADER_BYTES;
        mtu.saturating_sub(u16::try_from(headers).unwrap_or(u16::MAX))
    }

    /// The longest frame that carries an IP datagram of `mtu` bytes.
    #[must_use]
    pub fn frame_bytes_max(&self, mtu: u16) -> usize {
        self.link.header().len().max(ETHERNET_HEADER_BYTES) + usize::from(mtu)
    }
}

fn link_header(
    source: [u8; 6],
    destination: [u8; 6],
    vlan: VlanStack,
    ipv6: bool,
) -> ([u8; LINK_HEADER_BYTES_MAX], u8) {
    const TAG_CUSTOMER: u16 = 0x8100;
    const TAG_SERVICE: u16 = 0x88a8;
    let mut header = [0; LINK_HEADER_BYTES_MAX];
    let ethertype = if ipv6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 };
    let tags: [u16; 5] = match *vlan.tags() {
        [tci] => [TAG_CUSTOMER, tci, ethertype, 0, 0],
        [outer, inner, ..] => [TAG_SERVICE, outer, TAG_CUSTOMER, inner, ethertype],
        [] => [ethertype, 0, 0, 0, 0],
    };
    let bytes = destination
        .into_iter()
        .chain(source)
        .chain(tags.into_iter().flat_map(u16::to_be_bytes));
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = from;
    }
    let header_len = ETHERNET_HEADER_BYTES + vlan.len() * VLAN_TAG_BYTES;
    (header, u8::try_from(header_len).unwrap_or(0))
}

#[cfg(test)]
mod tests;
