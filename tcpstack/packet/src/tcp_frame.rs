//! A TCP segment in its frame.

use core::net::SocketAddr;
use core::ops::Range;

use smoltcp::wire::TcpPacket;

use crate::checksum::Checksum;
use crate::frame::Place;
use crate::ip::{Ip, PROTOCOL_TCP};
use crate::limits::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, TCP_HEADER_BYTES};
use crate::{Ecn, FlowKey, Opaque, PacketBuf, SeqNum, TcpFlags, TcpOptions, TcpSegment, Verified};

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
    link_len: u16,
    l3_offset: u16,
    l4_offset: u16,
    payload_start: u32,
    payload_end: u32,
}

impl TcpFrame {
    /// Reads the segment of `frame` whose IP header `ip` stands at `start`. `traffic_class` is what its receiver gets.
    pub(crate) fn parse(
        place: Place,
        link_len: usize,
        frame: &[u8],
        start: usize,
        ip: &Ip,
        traffic_class: u8,
    ) -> Result<Self, Opaque> {
        ip.check_ends()?;
        let l4_offset = start + ip.header_len;
        let end = start + ip.total_len;
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
        Ok(Self {
            key: FlowKey::new(place.segment, place.vlan, source, destination)
                .in_tunnel(place.tunnel),
            source,
            destination,
            seq: SeqNum(tcp.seq_number().0.cast_unsigned()),
            ack: SeqNum(tcp.ack_number().0.cast_unsigned()),
            flags: TcpFlags::from_bits(flags),
            window: tcp.window_len(),
            urgent: tcp.urgent_at(),
            options: TcpOptions::parse(options),
            ttl: ip.hop_limit,
            traffic_class,
            link_len: u16::try_from(link_len).map_err(|_| Opaque::BadHeader)?,
            l3_offset: u16::try_from(start).map_err(|_| Opaque::BadHeader)?,
            l4_offset: u16::try_from(l4_offset).map_err(|_| Opaque::BadHeader)?,
            payload_start: u32::try_from(l4_offset + header_len).map_err(|_| Opaque::BadHeader)?,
            payload_end: u32::try_from(end).map_err(|_| Opaque::BadHeader)?,
        })
    }

    /// Bytes of layer 2: where the first IP header starts, which is a tunnel's when the segment is in one.
    #[must_use]
    pub fn link_len(&self) -> usize {
        usize::from(self.link_len)
    }

    /// True when the IP header has no options or extension headers and is in no tunnel: every port's own hash sees its ends.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let ip = if self.source.is_ipv4() {
            IPV4_HEADER_BYTES
        } else {
            IPV6_HEADER_BYTES
        };
        self.link_len == self.l3_offset && self.l3_offset() + ip == self.l4_offset()
    }

    /// Where the IP header next to the TCP header starts.
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

    /// Like [`checksum_ok`](Self::checksum_ok) for the frame in `packet`, believing the port that has looked already. Ports
    /// do not agree on whose checksums they mean inside of a tunnel or behind options: there it is looked at again.
    #[must_use]
    pub fn intact(&self, packet: &impl PacketBuf) -> bool {
        let looked = match packet.verified() {
            Verified::IpAndTcp => true,
            Verified::Tcp => self.source.is_ipv6(),
            Verified::Nothing => false,
        };
        looked && self.is_plain() || self.checksum_ok(packet.frame())
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
