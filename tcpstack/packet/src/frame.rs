//! What a frame is.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket};

use crate::checksum::Checksum;
use crate::limits::{
    ETHERNET_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, TCP_HEADER_BYTES, VLAN_TAG_BYTES,
};
use crate::vlan::TAG_TYPES;
use crate::{Ecn, FlowKey, SegmentId, SeqNum, TcpFlags, TcpOptions, TcpSegment, VlanStack};

pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;

const PROTOCOL_TCP: u8 = 6;
/// IPv4 in IP, IPv6 in IP, GRE.
const PROTOCOLS_TUNNEL: [u8; 3] = [4, 41, 47];
/// Hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6, experiments (RFC 7045 2.1).
const PROTOCOLS_IPV6_EXTENSION: [u8; 10] = [0, 43, 44, 51, 60, 135, 139, 140, 253, 254];

/// What a frame is, found once per packet.
#[derive(Copy, Clone, Debug)]
pub enum Frame {
    /// A whole TCP segment in plain IPv4 or IPv6.
    Tcp(TcpFrame),
    /// Anything else. It is forwarded at layer 2.
    Other(Opaque),
}

/// Why a frame is not looked into.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Opaque {
    /// Shorter than its headers say.
    Truncated,
    /// ARP.
    Arp,
    /// A fragment of an IPv4 datagram.
    Ipv4Fragment,
    /// IPv6 with an extension header, a fragment header among them.
    Ipv6Extension,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP that carries neither TCP nor a tunnel.
    NotTcp,
    /// IP in IP, or GRE.
    Tunnel,
    /// More VLAN tags than [`VLAN_TAGS_MAX`](crate::limits::VLAN_TAGS_MAX).
    VlanTooDeep,
    /// A header that contradicts itself: version, header length, data offset.
    BadHeader,
    /// An end that cannot be an end of a connection: unspecified, multicast, broadcast, or the other end itself
    /// (RFC 9293 3.10.7, MUST-57).
    BadAddress,
}

impl Opaque {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Truncated,
        Self::Arp,
        Self::Ipv4Fragment,
        Self::Ipv6Extension,
        Self::NotIp,
        Self::NotTcp,
        Self::Tunnel,
        Self::VlanTooDeep,
        Self::BadHeader,
        Self::BadAddress,
    ];

    /// The reason's stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Arp => "arp",
            Self::Ipv4Fragment => "ipv4-fragment",
            Self::Ipv6Extension => "ipv6-extension",
            Self::NotIp => "not-ip",
            Self::NotTcp => "not-tcp",
            Self::Tunnel => "tunnel",
            Self::VlanTooDeep => "vlan-too-deep",
            Self::BadHeader => "bad-header",
            Self::BadAddress => "bad-address",
        }
    }
}

/// A TCP segment in a frame: what its headers say, and where its payload is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TcpFrame {
    /// The flow.
    pub key: FlowKey,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Sequence number.
    pub seq: SeqNum,
    /// Acknowledgement number.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as on the wire: not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
    /// TTL or hop limit.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    l3_offset: u16,
    l4_offset: u16,
    payload_start: u32,
    payload_end: u32,
}

impl TcpFrame {
    /// Where the IP header starts.
    #[must_use]
    pub fn l3_offset(&self) -> usize {
        usize::from(self.l3_offset)
    }

    /// Where the TCP header starts.
    #[must_use]
    pub fn l4_offset(&self) -> usize {
        usize::from(self.l4_offset)
    }

    /// Where the payload is in the frame. The IP header says where it ends, so Ethernet padding is not in it.
    #[must_use]
    pub const fn payload_range(&self) -> Range<usize> {
        self.payload_start as usize..self.payload_end as usize
    }

    /// Bytes of payload.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        self.payload_range().end - self.payload_range().start
    }

    /// The payload; `frame` is what this was parsed from.
    #[must_use]
    pub fn payload<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        frame.get(self.payload_range()).unwrap_or_default()
    }

    /// The segment without its addresses; `frame` is what this was parsed from.
    #[must_use]
    pub fn segment<'f>(&self, frame: &'f [u8]) -> TcpSegment<'f> {
        TcpSegment {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            ecn: Ecn::of_traffic_class(self.traffic_class),
            options: self.options,
            payload: self.payload(frame),
        }
    }

    /// Whether the lower end of [`key`](Self::key) sent it.
    #[must_use]
    pub fn from_lower(&self) -> bool {
        self.key.is_lower(self.source)
    }

    /// Whether both the TCP checksum and the IPv4 header's are right; `frame` is what this was parsed from. A receiver
    /// drops a segment when they are not, so nothing may be concluded from it.
    #[must_use]
    pub fn checksum_ok(&self, frame: &[u8]) -> bool {
        let (Some(ip), Some(tcp)) = (
            frame.get(self.l3_offset()..self.l4_offset()),
            frame.get(self.l4_offset()..self.payload_range().end),
        ) else {
            return false;
        };
        let mut sum = Checksum::default();
        if self.source.is_ipv4() {
            sum.add(ip);
            if sum.finish() != 0 {
                return false;
            }
        }
        let mut sum = Checksum::default();
        sum.add_pseudo_header(
            self.source.ip(),
            self.destination.ip(),
            PROTOCOL_TCP,
            tcp.len(),
        );
        sum.add(tcp);
        sum.finish() == 0
    }
}

/// Finds out what `frame`, seen on `segment`, is. Never fails and never allocates, whatever the bytes are.
#[must_use]
pub fn parse(segment: SegmentId, frame: &[u8]) -> Frame {
    match parse_tcp(segment, frame) {
        Ok(tcp) => Frame::Tcp(tcp),
        Err(why) => Frame::Other(why),
    }
}

fn parse_tcp(segment: SegmentId, frame: &[u8]) -> Result<TcpFrame, Opaque> {
    let link = parse_link(frame)?;
    let datagram = frame.get(link.l3_offset..).ok_or(Opaque::Truncated)?;
    let ip = match link.ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(datagram)?,
        ETHERTYPE_IPV6 => parse_ipv6(datagram)?,
        ETHERTYPE_ARP => return Err(Opaque::Arp),
        _ => return Err(Opaque::NotIp),
    };
    let l4_offset = link.l3_offset + ip.header_len;
    let end = link.l3_offset + ip.total_len;
    let bytes = frame.get(l4_offset..end).ok_or(Opaque::Truncated)?;
    if bytes.len() < TCP_HEADER_BYTES {
        return Err(Opaque::Truncated);
    }
    let tcp = TcpPacket::new_unchecked(bytes);
    let header_len = usize::from(tcp.header_len());
    if header_len < TCP_HEADER_BYTES {
        return Err(Opaque::BadHeader);
    }
    let options = bytes
        .get(TCP_HEADER_BYTES..header_len)
        .ok_or(Opaque::Truncated)?;
    let flags = bytes.get(13).copied().unwrap_or_default();

    let source = SocketAddr::new(ip.source, tcp.src_port());
    let destination = SocketAddr::new(ip.destination, tcp.dst_port());
    if source == destination {
        return Err(Opaque::BadAddress);
    }
    Ok(TcpFrame {
        key: FlowKey::new(segment, link.vlan, source, destination),
        source,
        destination,
        seq: SeqNum(tcp.seq_number().0.cast_unsigned()),
        ack: SeqNum(tcp.ack_number().0.cast_unsigned()),
        flags: TcpFlags::from_bits(flags),
        window: tcp.window_len(),
        urgent: tcp.urgent_at(),
        options: TcpOptions::parse(options),
        ttl: ip.hop_limit,
        traffic_class: ip.traffic_class,
        l3_offset: u16::try_from(link.l3_offset).map_err(|_| Opaque::BadHeader)?,
        l4_offset: u16::try_from(l4_offset).map_err(|_| Opaque::BadHeader)?,
        payload_start: u32::try_from(l4_offset + header_len).map_err(|_| Opaque::BadHeader)?,
        payload_end: u32::try_from(end).map_err(|_| Opaque::BadHeader)?,
    })
}

struct Link {
    vlan: VlanStack,
    ethertype: u16,
    l3_offset: usize,
}

fn parse_link(frame: &[u8]) -> Result<Link, Opaque> {
    let mut ethertype = be16(frame, ETHERNET_HEADER_BYTES - 2)?;
    let mut l3_offset = ETHERNET_HEADER_BYTES;
    let mut vlan = VlanStack::UNTAGGED;
    while TAG_TYPES.contains(&ethertype) {
        let tci = be16(frame, l3_offset)?;
        vlan = match *vlan.tags() {
            [] => VlanStack::single(tci),
            [outer] => VlanStack::double(outer, tci),
            _ => return Err(Opaque::VlanTooDeep),
        };
        ethertype = be16(frame, l3_offset + 2)?;
        l3_offset += VLAN_TAG_BYTES;
    }
    Ok(Link {
        vlan,
        ethertype,
        l3_offset,
    })
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Opaque> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Opaque::Truncated),
    }
}

struct Ip {
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    traffic_class: u8,
    header_len: usize,
    total_len: usize,
}

fn parse_ipv4(datagram: &[u8]) -> Result<Ip, Opaque> {
    if datagram.len() < IPV4_HEADER_BYTES {
        return Err(Opaque::Truncated);
    }
    let ip = Ipv4Packet::new_unchecked(datagram);
    let header_len = usize::from(ip.header_len());
    let total_len = usize::from(ip.total_len());
    if ip.version() != 4 || header_len < IPV4_HEADER_BYTES || total_len < header_len {
        return Err(Opaque::BadHeader);
    }
    if datagram.len() < total_len {
        return Err(Opaque::Truncated);
    }
    if ip.more_frags() || ip.frag_offset() != 0 {
        return Err(Opaque::Ipv4Fragment);
    }
    only_tcp(ip.next_header())?;
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    if [source, destination]
        .iter()
        .any(|end| end.is_unspecified() || end.is_multicast() || end.is_broadcast())
    {
        return Err(Opaque::BadAddress);
    }
    Ok(Ip {
        source: IpAddr::V4(source),
        destination: IpAddr::V4(destination),
        hop_limit: ip.hop_limit(),
        traffic_class: ip.dscp() << 2 | ip.ecn(),
        header_len,
        total_len,
    })
}

fn parse_ipv6(datagram: &[u8]) -> Result<Ip, Opaque> {
    if datagram.len() < IPV6_HEADER_BYTES {
        return Err(Opaque::Truncated);
    }
    let ip = Ipv6Packet::new_unchecked(datagram);
    if ip.version() != 6 {
        return Err(Opaque::BadHeader);
    }
    let total_len = IPV6_HEADER_BYTES + usize::from(ip.payload_len());
    if datagram.len() < total_len {
        return Err(Opaque::Truncated);
    }
    if PROTOCOLS_IPV6_EXTENSION.contains(&ip.next_header().into()) {
        return Err(Opaque::Ipv6Extension);
    }
    only_tcp(ip.next_header())?;
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    if [source, destination]
        .iter()
        .any(|end| end.is_unspecified() || end.is_multicast())
    {
        return Err(Opaque::BadAddress);
    }
    Ok(Ip {
        source: IpAddr::V6(source),
        destination: IpAddr::V6(destination),
        hop_limit: ip.hop_limit(),
        traffic_class: ip.traffic_class(),
        header_len: IPV6_HEADER_BYTES,
        total_len,
    })
}

fn only_tcp(protocol: IpProtocol) -> Result<(), Opaque> {
    match u8::from(protocol) {
        PROTOCOL_TCP => Ok(()),
        protocol if PROTOCOLS_TUNNEL.contains(&protocol) => Err(Opaque::Tunnel),
        _ => Err(Opaque::NotTcp),
    }
}

#[cfg(test)]
mod tests;
