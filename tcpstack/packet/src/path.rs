//! The header that everything written for one direction of a flow wears.

use core::net::{IpAddr, SocketAddr};
use core::ops::Deref;

use smoltcp::wire::Ipv6Packet;

use crate::frame::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::ip::ECN_MASK;
use crate::limits::{
    ETHERNET_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, LINK_HEADER_BYTES_MAX,
    TCP_HEADER_BYTES, VLAN_TAG_BYTES, VLAN_TAGS_MAX,
};
use crate::vlan::{TAG_TYPES, TYPE_CUSTOMER, TYPE_SERVICE};
use crate::{Encapsulation, FlowKey, TcpFrame, VlanStack};

/// What a direction's frames have in common besides addresses and ports: Ethernet addresses, VLAN tags with their types
/// and priorities, hop limit, DSCP, flow label. 22 bytes, so that a table of observed flows stays small.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LinkTemplate {
    /// Destination and source.
    addresses: [u8; 12],
    tags: [[u8; 2]; VLAN_TAGS_MAX],
    /// How many tags there are (bits 0 and 1), of which types (two bits each), and whether IPv6 follows them.
    shape: u8,
    hop_limit: u8,
    traffic_class: u8,
    flow_label: [u8; 3],
}

const SHAPE_TAGS: u8 = 0b11;
const SHAPE_TYPE_BITS: usize = 2;
const SHAPE_IPV6: u8 = 1 << 7;

const _: () = assert!(SHAPE_TYPE_BITS * (VLAN_TAGS_MAX + 1) < 7 && TAG_TYPES.len() <= 4);

/// Ethernet addresses, tags and type, as on the wire.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LinkHeader {
    bytes: [u8; LINK_HEADER_BYTES_MAX],
    len: usize,
}

impl LinkHeader {
    fn push<const BYTES: usize>(&mut self, field: [u8; BYTES]) {
        let rest = self.bytes.get_mut(self.len..);
        if let Some(place) = rest.and_then(<[u8]>::first_chunk_mut) {
            *place = field;
            self.len += BYTES;
        }
    }
}

impl Deref for LinkHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl LinkTemplate {
    /// A template that no frame taught: hop limit 64, no DSCP, no flow label. Two tags are an 802.1ad and an 802.1Q one.
    #[must_use]
    pub fn new(source: [u8; 6], destination: [u8; 6], vlan: VlanStack, ipv6: bool) -> Self {
        let mut addresses = [0; 12];
        for (to, from) in addresses
            .iter_mut()
            .zip(destination.into_iter().chain(source))
        {
            *to = from;
        }
        let types: &[usize] = if vlan.len() == VLAN_TAGS_MAX {
            &[TYPE_SERVICE, TYPE_CUSTOMER]
        } else {
            &[TYPE_CUSTOMER]
        };
        let mut link = Self {
            addresses,
            tags: [[0; 2]; VLAN_TAGS_MAX],
            shape: 0,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: [0; 3],
        };
        for (tci, kind) in vlan.tags().zip(types) {
            link.push_tag(*kind, tci.to_be_bytes());
        }
        link.set_ipv6(ipv6);
        link
    }

    /// Learns from a frame that [`parse`](crate::parse) found to be `tcp`.
    #[must_use]
    pub fn from_frame(tcp: &TcpFrame, frame: &[u8]) -> Self {
        let header = frame.get(..tcp.link_len()).unwrap_or_default();
        let mut addresses = [0; 12];
        for (to, from) in addresses.iter_mut().zip(header) {
            *to = *from;
        }
        let flow_label = match frame.get(tcp.l3_offset()..tcp.l4_offset()) {
            Some(ip) if tcp.source.is_ipv6() && ip.len() >= IPV6_HEADER_BYTES => {
                Ipv6Packet::new_unchecked(ip).flow_label()
            }
            _ => 0,
        };
        let [_, flow_label @ ..] = flow_label.to_be_bytes();
        let mut link = Self {
            addresses,
            tags: [[0; 2]; VLAN_TAGS_MAX],
            shape: 0,
            hop_limit: tcp.ttl,
            // The congestion marks of the frame it was learned from say nothing about the next one.
            traffic_class: tcp.traffic_class & !ECN_MASK,
            flow_label,
        };
        let (words, _) = header
            .get(addresses.len()..)
            .unwrap_or_default()
            .as_chunks::<2>();
        let (tags, _) = words.as_chunks::<2>();
        for [kind, tci] in tags {
            let kind = u16::from_be_bytes(*kind);
            if let Some(kind) = TAG_TYPES.iter().position(|known| *known == kind) {
                link.push_tag(kind, *tci);
            }
        }
        link.set_ipv6(words.last() == Some(&ETHERTYPE_IPV6.to_be_bytes()));
        link
    }

    fn push_tag(&mut self, kind: usize, tci: [u8; 2]) {
        let at = self.tag_count();
        if let Some(place) = self.tags.get_mut(at) {
            *place = tci;
            let kind = u8::try_from(kind).unwrap_or(0);
            self.shape = (self.shape + 1) | kind << (SHAPE_TYPE_BITS * (at + 1));
        }
    }

    /// Says which type stands behind the tags.
    pub(crate) const fn set_ipv6(&mut self, ipv6: bool) {
        self.shape = if ipv6 {
            self.shape | SHAPE_IPV6
        } else {
            self.shape & !SHAPE_IPV6
        };
    }

    fn tag_count(&self) -> usize {
        usize::from(self.shape & SHAPE_TAGS)
    }

    /// With source and destination Ethernet address swapped. The flow label is the sender's own, so there is none.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut reversed = *self;
        reversed.addresses.rotate_left(6);
        reversed.flow_label = [0; 3];
        reversed
    }

    /// Ethernet addresses, tags and type, as on the wire.
    #[must_use]
    pub fn header(&self) -> LinkHeader {
        let mut header = LinkHeader {
            bytes: [0; LINK_HEADER_BYTES_MAX],
            len: 0,
        };
        header.push(self.addresses);
        for (tci, at) in self.tags.iter().take(self.tag_count()).zip(1..) {
            let kind = self.shape >> (SHAPE_TYPE_BITS * at) & SHAPE_TAGS;
            let kind = TAG_TYPES.get(usize::from(kind)).copied().unwrap_or(0);
            header.push(kind.to_be_bytes());
            header.push(*tci);
        }
        let ethertype = if self.shape & SHAPE_IPV6 == 0 {
            ETHERTYPE_IPV4
        } else {
            ETHERTYPE_IPV6
        };
        header.push(ethertype.to_be_bytes());
        header
    }

    /// Bytes of [`header`](Self::header).
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        ETHERNET_HEADER_BYTES + self.tag_count() * VLAN_TAG_BYTES
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

    /// The whole template for the direction of `key` that `source` sends, in no tunnel.
    #[inline]
    #[must_use]
    pub fn with_source(&self, key: &FlowKey, source: SocketAddr) -> PathTemplate {
        let (lower, higher) = (key.lower(), key.higher());
        let destination = if source == lower { higher } else { lower };
        PathTemplate {
            link: *self,
            outer: None,
            source,
            destination,
        }
    }
}

/// Layer 2 to 4 addressing of one direction of a flow, learned from a real frame: what the appliance writes wears it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    link: LinkTemplate,
    outer: Option<Encapsulation>,
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
            outer: None,
            source,
            destination,
        }
    }

    /// The same path through a tunnel, or through none.
    #[must_use]
    pub fn within(mut self, outer: Option<Encapsulation>) -> Self {
        let ipv6 = outer.map_or(self.source.is_ipv6(), |outer| outer.is_ipv6());
        self.link.set_ipv6(ipv6);
        self.outer = outer;
        self
    }

    /// Learns from a frame that [`parse`](crate::parse) found to be `tcp`.
    #[must_use]
    pub fn from_frame(tcp: &TcpFrame, frame: &[u8]) -> Self {
        Self {
            link: LinkTemplate::from_frame(tcp, frame),
            outer: Encapsulation::from_frame(tcp, frame),
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
            outer: self.outer.map(|outer| outer.reversed()),
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

    /// The tunnel around it.
    #[must_use]
    pub const fn outer(&self) -> Option<&Encapsulation> {
        self.outer.as_ref()
    }

    /// Bytes of the tunnel's headers; none when there is no tunnel.
    #[must_use]
    pub fn outer_bytes(&self) -> usize {
        self.outer.as_ref().map_or(0, Encapsulation::bytes)
    }

    /// Bytes of the inner IP header: 20 or 40.
    #[must_use]
    pub const fn ip_header_bytes(&self) -> usize {
        match self.source.ip() {
            IpAddr::V4(_) => IPV4_HEADER_BYTES,
            IpAddr::V6(_) => IPV6_HEADER_BYTES,
        }
    }

    /// Bytes in front of the TCP options: layer 2, tunnel, IP and fixed TCP header.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.link.header_bytes() + self.outer_bytes() + self.ip_header_bytes() + TCP_HEADER_BYTES
    }

    /// The largest MSS whose segments fit an IP datagram of `mtu` bytes, outer headers counted and options not (RFC 6691).
    #[must_use]
    pub fn mss_limit(&self, mtu: u16) -> u16 {
        let headers = self.outer_bytes() + self.ip_header_bytes() + TCP_HEADER_BYTES;
        mtu.saturating_sub(u16::try_from(headers).unwrap_or(u16::MAX))
    }

    /// The longest frame that carries an IP datagram of `mtu` bytes.
    #[must_use]
    pub fn frame_bytes_max(&self, mtu: u16) -> usize {
        self.link.header_bytes() + usize::from(mtu)
    }
}

#[cfg(test)]
mod tests;
