//! Fragments of IP datagrams (RFC 791 3.2, RFC 8200 4.5).

use core::net::IpAddr;
use core::ops::Range;

use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

use crate::frame::Place;
use crate::ip::{Ip, PROTOCOL_GRE, PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_TCP, Part};
use crate::ipv6::{DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ROUTING};
use crate::limits::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES};
use crate::tunnel::lengthened;
use crate::{Opaque, SegmentId, TunnelId, VlanStack, icmp, ipv4};

/// What the fragments of one datagram have in common.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    /// The segment it crosses.
    pub segment: SegmentId,
    /// The VLANs it is in.
    pub vlan: VlanStack,
    /// The tunnel it is in.
    pub tunnel: TunnelId,
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// IPv4: the protocol. IPv6 tells datagrams apart without it (RFC 8200 4.5), and here it is zero.
    pub protocol: u8,
    /// As in the header; sixteen bits of IPv4.
    pub identification: u32,
}

/// A fragment of a datagram that may carry TCP.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FragmentFrame {
    /// The datagram.
    pub key: FragmentKey,
    /// Bytes of the datagram's data before this part; a multiple of eight.
    pub offset: u16,
    /// More parts follow.
    pub more: bool,
    /// DSCP and ECN; what the way through a tunnel added to its mark is in it (RFC 6040 section 4.2).
    pub traffic_class: u8,
    link_len: u16,
    l3_offset: u16,
    part: Part,
    payload_start: u32,
    payload_end: u32,
}

/// What routers change of a datagram on its way, here in one header that all its fragments wear.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Wear {
    /// Hop limit.
    pub hop_limit: u8,
    /// Congestion mark.
    pub ecn: u8,
    /// Hop limit of the tunnel's header around it; zero without a tunnel.
    pub outer_hop_limit: u8,
    /// Congestion mark there; zero without a tunnel.
    pub outer_ecn: u8,
}

impl Wear {
    /// What two of them wear together: the smaller hop limits, and around them the more severe mark in the order of RFC 6040
    /// section 4.2. `ecn` stays: what the marks of fragments say together is not for two of them to say.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let severity = |ecn: u8| match ecn {
            0b11 => 3,
            0b01 => 2,
            0b10 => 1,
            _ => 0,
        };
        Self {
            hop_limit: self.hop_limit.min(other.hop_limit),
            ecn: self.ecn,
            outer_hop_limit: self.outer_hop_limit.min(other.outer_hop_limit),
            outer_ecn: if severity(other.outer_ecn) > severity(self.outer_ecn) {
                other.outer_ecn
            } else {
                self.outer_ecn
            },
        }
    }

    /// Puts it on the outer header that `outer` begins with. The checksum is not right afterwards.
    fn put_around(self, outer: &mut [u8]) -> Option<()> {
        if outer.first()? >> 4 == 4 {
            let class = outer.get_mut(1)?;
            *class = *class & !0b11 | self.outer_ecn;
            *outer.get_mut(8)? = self.outer_hop_limit;
        } else {
            let class = outer.get_mut(1)?;
            *class = *class & !0b11_0000 | self.outer_ecn << 4;
            *outer.get_mut(7)? = self.outer_hop_limit;
        }
        Some(())
    }
}

impl FragmentFrame {
    /// The fragment in `frame` whose IP header `ip` stands at `start`. `class` is the traffic class that it has outside any
    /// tunnel.
    pub(crate) fn new(
        place: Place,
        link_len: usize,
        start: usize,
        ip: &Ip,
        part: Part,
        class: u8,
    ) -> Result<Self, Opaque> {
        let may_be_tcp = match ip.protocol {
            PROTOCOL_TCP | PROTOCOL_IPV4 | PROTOCOL_IPV6 | PROTOCOL_GRE => true,
            HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS => ip.source.is_ipv6(),
            _ => icmp::is_icmp(ip),
        };
        if !may_be_tcp {
            return Err(Opaque::OtherFragment);
        }
        Ok(Self {
            key: FragmentKey {
                segment: place.segment,
                vlan: place.vlan,
                tunnel: place.tunnel,
                source: ip.source,
                destination: ip.destination,
                protocol: if ip.source.is_ipv4() { ip.protocol } else { 0 },
                identification: part.identification,
            },
            offset: part.offset,
            more: part.more,
            traffic_class: class,
            link_len: u16::try_from(link_len).map_err(|_| Opaque::BadHeader)?,
            l3_offset: u16::try_from(start).map_err(|_| Opaque::BadHeader)?,
            part,
            payload_start: u32::try_from(start + ip.header_len).map_err(|_| Opaque::BadHeader)?,
            payload_end: u32::try_from(start + ip.total_len).map_err(|_| Opaque::BadHeader)?,
        })
    }

    /// Where this part of the datagram's data is in the frame.
    #[must_use]
    pub const fn payload_range(&self) -> Range<usize> {
        self.payload_start as usize..self.payload_end as usize
    }

    /// Bytes of the datagram's data in this part.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        self.payload_range()
            .end
            .saturating_sub(self.payload_range().start)
    }

    /// This part of the datagram's data; `frame` is what this was parsed from.
    #[must_use]
    pub fn payload<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        frame.get(self.payload_range()).unwrap_or_default()
    }

    /// Whether the IPv4 header's checksum is right; IPv6 has none. `frame` is what this was parsed from.
    #[must_use]
    pub fn header_ok(&self, frame: &[u8]) -> bool {
        self.key.source.is_ipv6()
            || frame
                .get(usize::from(self.l3_offset)..self.payload_range().start)
                .is_some_and(|header| Ipv4Packet::new_unchecked(header).verify_checksum())
    }

    /// What this part wears in `frame`, which it was parsed from.
    #[must_use]
    pub fn wear(&self, frame: &[u8]) -> Option<Wear> {
        let mut wear = Wear {
            hop_limit: *frame.get(self.hop_limit_at())?,
            ecn: self.traffic_class & 0b11,
            outer_hop_limit: 0,
            outer_ecn: 0,
        };
        if self.l3_offset > self.link_len {
            let outer = frame.get(usize::from(self.link_len)..)?;
            if outer.first()? >> 4 == 4 {
                wear.outer_hop_limit = *outer.get(8)?;
                wear.outer_ecn = outer.get(1)? & 0b11;
            } else {
                wear.outer_hop_limit = *outer.get(7)?;
                wear.outer_ecn = outer.get(1)? >> 4 & 0b11;
            }
        }
        Some(wear)
    }

    fn hop_limit_at(&self) -> usize {
        usize::from(self.l3_offset) + if self.key.source.is_ipv4() { 8 } else { 7 }
    }

    /// Everything before the data of this first fragment in `frame`, which it was parsed from, as the other fragments of its
    /// datagram have it: without the IPv4 options that only the first one carries. None for IPv6, which has none.
    #[must_use]
    pub fn header_as_copied(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let start = usize::from(self.l3_offset);
        let options_at = start + IPV4_HEADER_BYTES;
        if self.key.source.is_ipv6() {
            return None;
        }
        let mut header = frame.get(..options_at)?.to_vec();
        let options = frame.get(options_at..self.payload_range().start)?;
        header.extend(ipv4::copied_options(options));
        let words = (header.len() - start) / 4;
        *header.get_mut(start)? = 4 << 4 | u8::try_from(words).ok()?;
        Some(header)
    }

    /// Everything before this part's data as it is when it wears `header`, that of `first`, the first fragment of the same
    /// datagram, with these hop limits and congestion marks. Its own are only lengths, its place in the
    /// datagram, and the identification of a tunnel's datagram around it. It may be cut again on its way.
    ///
    /// None when one of them has options or extension headers that the other has not; the first may have more than it wears.
    #[must_use]
    pub fn header_worn(
        &self,
        frame: &[u8],
        (first, header): (&Self, &[u8]),
        wear: Wear,
    ) -> Option<Vec<u8>> {
        let layout = |part: &Self| (part.link_len, part.l3_offset, part.part.header_at);
        let own_end = self.payload_range().start;
        let end = header.len();
        if layout(self) != layout(first) || own_end != end && self.offset != 0 {
            return None;
        }
        let (link, start) = (usize::from(self.link_len), usize::from(self.l3_offset));
        let mut worn = header.to_vec();
        *worn.get_mut(self.hop_limit_at())? = wear.hop_limit;
        let own = frame.get(..own_end)?;
        if self.key.source.is_ipv4() {
            let mut ip = Ipv4Packet::new_unchecked(worn.get_mut(start..)?);
            let more = self.more;
            ip.set_total_len(u16::try_from(end - start + self.payload_len()).ok()?);
            ip.clear_flags();
            ip.set_more_frags(more);
            ip.set_frag_offset(self.offset);
            ip.set_ecn(wear.ecn);
            ip.fill_checksum();
        } else {
            let own_at = start + self.part.header_at;
            // What the fragment header announces is the whole's and stands in the first one; only the place is a part's own.
            worn.get_mut(own_at + 2..own_at + 4)?
                .copy_from_slice(own.get(own_at + 2..own_at + 4)?);
            let payload = end - start - IPV6_HEADER_BYTES + self.payload_len();
            let mut ip = Ipv6Packet::new_unchecked(worn.get_mut(start..)?);
            ip.set_payload_len(u16::try_from(payload).ok()?);
            ip.set_traffic_class(ip.traffic_class() & !0b11 | wear.ecn);
        }
        if start > link {
            let outer = worn.get_mut(link..)?;
            wear.put_around(outer)?;
            if outer.first()? >> 4 == 4 {
                // What may be cut already stays so.
                let own = own.get(link + 4..link + 8)?;
                let flags = own.get(2)? & outer.get(6)?;
                let place = outer.get_mut(4..8)?;
                place.copy_from_slice(own);
                *place.get_mut(2)? = flags;
            }
            lengthened(outer, start - link, end - start + self.payload_len())?;
        }
        Some(worn)
    }

    /// The frame of the whole datagram up to its data, which is to be `data_len` bytes, made from `header`, what the first
    /// fragment, which this is, wears: layer 2, outer headers, and the header without what makes it a fragment's, all lengths
    /// and IPv4 header checksums right, with these hop limits and congestion marks.
    ///
    /// None when this is not the first fragment, or a length field cannot say how long the whole is.
    #[must_use]
    pub fn header_of_whole(&self, header: &[u8], data_len: usize, wear: Wear) -> Option<Vec<u8>> {
        if self.offset != 0 {
            return None;
        }
        let start = usize::from(self.l3_offset);
        let mut whole = Vec::with_capacity(header.len() + data_len);
        if self.key.source.is_ipv4() {
            whole.extend_from_slice(header);
            let total = whole.len() - start + data_len;
            let mut ip = Ipv4Packet::new_unchecked(whole.get_mut(start..)?);
            ip.set_total_len(u16::try_from(total).ok()?);
            ip.clear_flags();
            ip.set_frag_offset(0);
            ip.set_hop_limit(wear.hop_limit);
            ip.set_ecn(wear.ecn);
            ip.fill_checksum();
        } else {
            let header_at = start + self.part.header_at;
            whole.extend_from_slice(header.get(..header_at)?);
            let next = *header.get(header_at)?;
            *whole.get_mut(start + self.part.announced_at)? = next;
            let payload = whole.len() - start - IPV6_HEADER_BYTES + data_len;
            let mut ip = Ipv6Packet::new_unchecked(whole.get_mut(start..)?);
            ip.set_payload_len(u16::try_from(payload).ok()?);
            ip.set_hop_limit(wear.hop_limit);
            ip.set_traffic_class(ip.traffic_class() & !0b11 | wear.ecn);
        }
        if start > usize::from(self.link_len) {
            let data = whole.len() - start + data_len;
            let link = usize::from(self.link_len);
            let outer = whole.get_mut(link..)?;
            wear.put_around(outer)?;
            lengthened(outer, start - link, data)?;
        }
        Some(whole)
    }

    /// Makes this part, in `frame`, a part of `whole` again: the frame that it was put together to, of which something was
    /// changed, but no length. Its own stay its lengths, its place and its identification.
    ///
    /// None when it is in a tunnel itself, or has extension headers.
    #[must_use]
    pub fn follow(&self, frame: &mut [u8], whole: &[u8]) -> Option<()> {
        let start = usize::from(self.l3_offset);
        if start != usize::from(self.link_len) {
            return None;
        }
        let ipv4 = self.key.source.is_ipv4();
        let data_at = if ipv4 {
            self.payload_range().start
        } else if self.part.header_at == IPV6_HEADER_BYTES {
            start + IPV6_HEADER_BYTES
        } else {
            return None;
        };
        let data_from = data_at + usize::from(self.offset);
        let data = whole.get(data_from..data_from + self.payload_len())?;
        frame.get_mut(self.payload_range())?.copy_from_slice(data);
        // Layer 2, class and hop limit; of IPv6 the flow label, of IPv4 the options.
        let shared: &[Range<usize>] = if ipv4 {
            &[
                0..start + 2,
                start + 8..start + 9,
                start + IPV4_HEADER_BYTES..data_at,
            ]
        } else {
            &[0..start + 4, start + 7..start + 8]
        };
        for range in shared {
            let from = whole.get(range.clone())?;
            frame.get_mut(range.clone())?.copy_from_slice(from);
        }
        if ipv4 {
            Ipv4Packet::new_unchecked(frame.get_mut(start..data_at)?).fill_checksum();
        }
        Some(())
    }
}
