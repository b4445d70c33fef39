//! Where a TCP segment stands in its frame, and of which flow it is: all that is asked of a packet that only passes.

use core::net::SocketAddr;

use crate::checksum::Checksum;
use crate::frame::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Place, be16};
use crate::ip::{Ip, PROTOCOL_TCP};
use crate::limits::{
    ETHERNET_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, TCP_HEADER_BYTES,
};
use crate::link::Link;
use crate::{
    FlowKey, Opaque, PacketBuf, SegmentId, SeqNum, TcpFlags, TcpFrame, TcpOptions, Verified,
    VlanStack,
};

const ETHERNET: u16 = length(ETHERNET_HEADER_BYTES);
const IPV4: u16 = length(IPV4_HEADER_BYTES);
const IPV6: u16 = length(IPV6_HEADER_BYTES);

const fn length(bytes: usize) -> u16 {
    (bytes as u64 & 0xffff) as u16
}

/// A TCP segment that was found in a frame, its lengths and addresses checked. What else its header says is
/// [read](Self::read) when it is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TcpHead {
    /// The flow.
    pub key: FlowKey,
    pub(crate) at: Offsets,
    /// Sequence number.
    pub seq: SeqNum,
    /// Acknowledgement number.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// Whether the lower end of `key` sent it.
    pub from_lower: bool,
    pub(crate) ttl: u8,
    pub(crate) traffic_class: u8,
}

/// Where the parts of a segment are in its frame, bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) link_len: u16,
    pub(crate) l3: u16,
    pub(crate) l4: u16,
    pub(crate) payload_start: u32,
    pub(crate) payload_end: u32,
}

impl Offsets {
    /// Of a segment at `l4` whose header says `data_offset`, in a datagram that stands at `l3` and ends at `end`.
    #[inline(always)]
    fn new(link_len: u16, l3: u16, l4: u16, end: u32, data_offset: u8) -> Result<Self, Opaque> {
        let words = data_offset >> 4;
        if usize::from(words) * 4 < TCP_HEADER_BYTES {
            return Err(Opaque::BadHeader);
        }
        let payload_start = u32::from(l4) + u32::from(words) * 4;
        if payload_start > end {
            return Err(Opaque::Truncated);
        }
        Ok(Self {
            link_len,
            l3,
            l4,
            payload_start,
            payload_end: end,
        })
    }
}

impl Offsets {
    /// The IP header has no options or extension headers and is in no tunnel.
    pub(crate) const fn is_plain(&self, key: &FlowKey) -> bool {
        let ip = if key.is_ipv6() {
            IPV6_HEADER_BYTES
        } else {
            IPV4_HEADER_BYTES
        };
        self.link_len == self.l3 && self.l3 as usize + ip == self.l4 as usize
    }

    /// As [`TcpFrame::intact`].
    pub(crate) fn intact(&self, key: &FlowKey, packet: &impl PacketBuf) -> bool {
        let looked = match packet.verified() {
            Verified::IpAndTcp => true,
            Verified::Tcp => key.is_ipv6(),
            Verified::Nothing => false,
        };
        looked && self.is_plain(key) || self.checksum_ok(key, packet.frame())
    }

    /// As [`TcpFrame::checksum_ok`].
    pub(crate) fn checksum_ok(&self, key: &FlowKey, frame: &[u8]) -> bool {
        let (l3, l4) = (usize::from(self.l3), usize::from(self.l4));
        let (Some(ip), Some(tcp)) = (frame.get(l3..l4), frame.get(l4..self.payload_end as usize))
        else {
            return false;
        };
        if !key.is_ipv6() {
            let mut sum = Checksum::default();
            sum.add(ip);
            if sum.finish() != 0 {
                return false;
            }
        }
        let mut sum = Checksum::default();
        // The sum does not depend on which end is the source.
        let (one, other) = (key.lower().ip(), key.higher().ip());
        sum.add_pseudo_header(one, other, PROTOCOL_TCP, tcp.len());
        sum.add(tcp);
        sum.finish() == 0
    }
}

/// What is read of every TCP header.
struct Fields {
    source: u16,
    destination: u16,
    seq: SeqNum,
    ack: SeqNum,
    data_offset: u8,
    flags: TcpFlags,
}

impl Fields {
    #[inline(always)]
    const fn of(header: &[u8; TCP_HEADER_BYTES]) -> Self {
        Self {
            source: u16::from_be_bytes([header[0], header[1]]),
            destination: u16::from_be_bytes([header[2], header[3]]),
            seq: SeqNum(u32::from_be_bytes([
                header[4], header[5], header[6], header[7],
            ])),
            ack: SeqNum(u32::from_be_bytes([
                header[8], header[9], header[10], header[11],
            ])),
            data_offset: header[12],
            flags: TcpFlags::from_bits(header[13]),
        }
    }
}

impl TcpHead {
    /// Of no segment: a place to find one into.
    pub const NONE: Self = Self {
        key: FlowKey::NONE,
        at: Offsets {
            link_len: 0,
            l3: 0,
            l4: 0,
            payload_start: 0,
            payload_end: 0,
        },
        seq: SeqNum(0),
        ack: SeqNum(0),
        flags: TcpFlags::NONE,
        from_lower: false,
        ttl: 0,
        traffic_class: 0,
    };

    /// Finds the commonest frame's head, looking once: a whole segment in an IP header without options or extension headers,
    /// in no tunnel. None for any other, and for one with something wrong: [`parse`](crate::parse) says what it is.
    #[inline(always)]
    pub(crate) fn plain(segment: SegmentId, frame: &[u8], head: &mut Self) -> Option<()> {
        let (vlan, start, ipv6) = match be16(frame, ETHERNET_HEADER_BYTES - 2).ok()? {
            ETHERTYPE_IPV4 => (VlanStack::UNTAGGED, ETHERNET, false),
            ETHERTYPE_IPV6 => (VlanStack::UNTAGGED, ETHERNET, true),
            _ => {
                let link = Link::parse(frame).ok()?;
                (link.vlan, u16::try_from(link.len).ok()?, link.ipv6)
            }
        };
        let datagram = frame.get(usize::from(start)..)?;
        if ipv6 {
            head.put_ipv6((segment, vlan), start, datagram)
        } else {
            head.put_ipv4((segment, vlan), start, datagram)
        }
    }

    #[inline(always)]
    fn put_ipv4(&mut self, way: (SegmentId, VlanStack), start: u16, datagram: &[u8]) -> Option<()> {
        const VERSION_AND_LENGTH: u8 = 0x45;
        const MORE_FRAGMENTS_AND_OFFSET: u16 = 0x3fff;
        let (ip, tcp) = datagram.split_first_chunk::<IPV4_HEADER_BYTES>()?;
        let tcp = Fields::of(tcp.first_chunk()?);
        let total_len = u16::from_be_bytes([ip[2], ip[3]]);
        let end = u32::from(start) + u32::from(total_len);
        if ip[0] != VERSION_AND_LENGTH
            || u16::from_be_bytes([ip[6], ip[7]]) & MORE_FRAGMENTS_AND_OFFSET != 0
            || ip[9] != PROTOCOL_TCP
            || usize::from(total_len) > datagram.len()
        {
            return None;
        }
        let source = u32::from_be_bytes([ip[12], ip[13], ip[14], ip[15]]);
        let destination = u32::from_be_bytes([ip[16], ip[17], ip[18], ip[19]]);
        // As `Ip::check_ends`: neither unspecified, nor broadcast, nor multicast (224.0.0.0/4).
        let possible = |ip: u32| ip != 0 && ip != u32::MAX && ip >> 28 != 0b1110;
        let (source, destination) = ((source, tcp.source), (destination, tcp.destination));
        if !possible(source.0) || !possible(destination.0) || source == destination {
            return None;
        }
        let (key, from_lower) = FlowKey::ipv4(way.0, way.1, source, destination);
        let l4 = start + IPV4;
        let at = Offsets::new(start, start, l4, end, tcp.data_offset).ok()?;
        *self = Self {
            key,
            at,
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            from_lower,
            ttl: ip[8],
            traffic_class: ip[1],
        };
        Some(())
    }

    #[inline(never)]
    fn put_ipv6(&mut self, way: (SegmentId, VlanStack), start: u16, datagram: &[u8]) -> Option<()> {
        let (ip, tcp) = datagram.split_first_chunk::<IPV6_HEADER_BYTES>()?;
        let tcp = Fields::of(tcp.first_chunk()?);
        let (&source, rest) = ip.get(8..)?.split_first_chunk::<16>()?;
        let &destination = rest.first_chunk::<16>()?;
        let payload_len = u16::from_be_bytes([ip[4], ip[5]]);
        let end = u32::from(start) + u32::from(IPV6) + u32::from(payload_len);
        if ip[0] >> 4 != 6
            || ip[6] != PROTOCOL_TCP
            || IPV6_HEADER_BYTES + usize::from(payload_len) > datagram.len()
        {
            return None;
        }
        let (source, destination) = ((source, tcp.source), (destination, tcp.destination));
        // As `Ip::check_ends`: neither unspecified nor multicast (ff00::/8).
        let possible = |ip: [u8; 16]| ip != [0; 16] && ip[0] != 0xff;
        if !possible(source.0) || !possible(destination.0) || source == destination {
            return None;
        }
        let (key, from_lower) = FlowKey::ipv6(way.0, way.1, source, destination);
        let l4 = start + IPV6;
        let at = Offsets::new(start, start, l4, end, tcp.data_offset).ok()?;
        *self = Self {
            key,
            at,
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            from_lower,
            ttl: ip[7],
            traffic_class: ip[0] << 4 | ip[1] >> 4,
        };
        Some(())
    }

    /// Finds the segment of `frame` whose IP header `ip` stands at `start`. `traffic_class` is what its receiver gets.
    pub(crate) fn parse(
        place: Place,
        link_len: usize,
        frame: &[u8],
        start: usize,
        ip: &Ip,
        traffic_class: u8,
    ) -> Result<Self, Opaque> {
        ip.check_ends()?;
        let tcp = frame
            .get(start + ip.header_len..start + ip.total_len)
            .and_then(|bytes| bytes.first_chunk::<TCP_HEADER_BYTES>())
            .ok_or(Opaque::Truncated)?;
        let tcp = Fields::of(tcp);
        let short = |offset: usize| u16::try_from(offset).map_err(|_| Opaque::BadHeader);
        let end = u32::try_from(start + ip.total_len).map_err(|_| Opaque::BadHeader)?;
        let (l3, l4) = (short(start)?, short(start + ip.header_len)?);
        let at = Offsets::new(short(link_len)?, l3, l4, end, tcp.data_offset)?;
        let source = SocketAddr::new(ip.source, tcp.source);
        let destination = SocketAddr::new(ip.destination, tcp.destination);
        if source == destination {
            return Err(Opaque::BadAddress);
        }
        let (key, from_lower) = FlowKey::directed(place.segment, place.vlan, source, destination);
        Ok(Self {
            key: key.in_tunnel(place.tunnel),
            at,
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            from_lower,
            ttl: ip.hop_limit,
            traffic_class,
        })
    }

    /// Bytes of payload.
    #[must_use]
    pub const fn payload_len(&self) -> u32 {
        self.at.payload_end - self.at.payload_start
    }

    /// As [`TcpFrame::intact`].
    #[must_use]
    pub fn intact(&self, packet: &impl PacketBuf) -> bool {
        self.at.intact(&self.key, packet)
    }

    /// All that the header says; `frame` is what this was found in.
    #[must_use]
    pub fn read(&self, frame: &[u8]) -> TcpFrame {
        let (lower, higher) = (self.key.lower(), self.key.higher());
        let (source, destination) = if self.from_lower {
            (lower, higher)
        } else {
            (higher, lower)
        };
        let (tcp, options) = frame
            .get(usize::from(self.at.l4)..self.at.payload_start as usize)
            .and_then(|header| header.split_first_chunk::<TCP_HEADER_BYTES>())
            .unwrap_or((&[0; TCP_HEADER_BYTES], &[]));
        TcpFrame {
            key: self.key,
            source,
            destination,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: u16::from_be_bytes([tcp[14], tcp[15]]),
            urgent: u16::from_be_bytes([tcp[18], tcp[19]]),
            options: TcpOptions::parse(options),
            ttl: self.ttl,
            traffic_class: self.traffic_class,
            from_lower: self.from_lower,
            at: self.at,
        }
    }
}
