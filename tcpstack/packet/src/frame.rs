//! What a frame is.

use crate::icmp::is_icmp;
use crate::ip::{Ip, PROTOCOL_AH, PROTOCOL_ESP, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::link::Link;
use crate::tunnel::{Wrapped, decapsulated};
use crate::{FragmentFrame, IcmpError, Opaque, SegmentId, TcpFrame, TcpHead, TunnelId, VlanStack};

pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;

/// GTP's user plane, version 1 and version 0 (3GPP TS 29.281 4.4.2, TS 29.060).
const PORTS_GTP: [u16; 2] = [2152, 3386];

/// What a frame is, found once per packet.
#[derive(Copy, Clone, Debug)]
pub enum Frame {
    /// A whole TCP segment in IPv4 or IPv6, itself in at most one tunnel.
    Tcp(TcpFrame),
    /// A part of a datagram that may carry TCP.
    Fragment(FragmentFrame),
    /// An ICMP error about a TCP segment.
    IcmpError(IcmpError),
    /// Anything else. It is forwarded at layer 2.
    Other(Opaque),
}

/// What a frame is, before it is read.
#[derive(Copy, Clone, Debug)]
pub enum Glance {
    /// A whole TCP segment, as [`Frame::Tcp`]; its head was found.
    Tcp,
    /// Anything that is forwarded at layer 2, as [`Frame::Other`].
    Other(Opaque),
    /// A fragment or an ICMP error: [`parse`] says more.
    Rare,
}

/// Where a datagram is.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Place {
    pub(crate) segment: SegmentId,
    pub(crate) vlan: VlanStack,
    pub(crate) tunnel: TunnelId,
}

/// Finds out what `frame`, seen on `segment`, is. Never fails and never allocates, whatever the bytes are.
#[must_use]
pub fn parse(segment: SegmentId, frame: &[u8]) -> Frame {
    let mut head = TcpHead::NONE;
    if TcpHead::plain(segment, frame, &mut head).is_some() {
        return Frame::Tcp(head.read(frame));
    }
    match look(segment, frame) {
        Ok(Found::Tcp(head)) => Frame::Tcp(head.read(frame)),
        Ok(Found::Fragment(fragment)) => Frame::Fragment(fragment),
        Ok(Found::IcmpError(error)) => Frame::IcmpError(error),
        Err(why) => Frame::Other(why),
    }
}

/// [`parse`], without reading what few ask for. What is found of a segment goes into `head`, in place: copying it would take
/// as long as finding it.
#[inline(always)]
#[must_use]
pub fn glance(segment: SegmentId, frame: &[u8], head: &mut TcpHead) -> Glance {
    match TcpHead::plain(segment, frame, head) {
        Some(()) => Glance::Tcp,
        None => look_again(segment, frame, head),
    }
}

#[inline(never)]
fn look_again(segment: SegmentId, frame: &[u8], head: &mut TcpHead) -> Glance {
    match look(segment, frame) {
        Ok(Found::Tcp(found)) => {
            *head = found;
            Glance::Tcp
        }
        Ok(Found::Fragment(_) | Found::IcmpError(_)) => Glance::Rare,
        Err(why) => Glance::Other(why),
    }
}

enum Found {
    Tcp(TcpHead),
    Fragment(FragmentFrame),
    IcmpError(IcmpError),
}

fn look(segment: SegmentId, frame: &[u8]) -> Result<Found, Opaque> {
    let link = Link::parse(frame)?;
    let mut place = Place {
        segment,
        vlan: link.vlan,
        tunnel: TunnelId::NONE,
    };
    let mut frame = frame;
    let mut start = link.len;
    let mut ipv6 = link.ipv6;
    let mut outer_class = None;
    loop {
        let ip = Ip::parse(ipv6, frame.get(start..).ok_or(Opaque::Truncated)?)?;
        let class = outer_class.map_or(ip.traffic_class, |outer| {
            decapsulated(ip.traffic_class, outer)
        });
        if let Some(part) = ip.fragment {
            return FragmentFrame::new(place, link.len, start, &ip, part, class)
                .map(Found::Fragment);
        }
        if ip.protocol == PROTOCOL_TCP {
            return TcpHead::parse(place, link.len, frame, start, &ip, class).map(Found::Tcp);
        }
        if is_icmp(&ip) {
            return IcmpError::parse(place, frame, start, &ip).map(Found::IcmpError);
        }
        // Nothing behind the end of this datagram belongs to the one within.
        frame = frame.get(..start + ip.total_len).ok_or(Opaque::Truncated)?;
        let payload = frame
            .get(start + ip.header_len..)
            .ok_or(Opaque::Truncated)?;
        let wrapped =
            Wrapped::parse(ip.protocol, payload)?.ok_or_else(|| neither(ip.protocol, payload))?;
        if outer_class.is_some() {
            return Err(Opaque::SecondTunnel);
        }
        ip.check_ends()?;
        place.tunnel = TunnelId::of(&ip, wrapped.gre);
        outer_class = Some(ip.traffic_class);
        start += ip.header_len + wrapped.len;
        ipv6 = wrapped.ipv6;
    }
}

/// What a datagram is that carries neither TCP nor a tunnel that is looked into.
fn neither(protocol: u8, payload: &[u8]) -> Opaque {
    match protocol {
        PROTOCOL_AH => Opaque::Authenticated,
        PROTOCOL_ESP => Opaque::Encrypted,
        PROTOCOL_UDP if be16(payload, 2).is_ok_and(|port| PORTS_GTP.contains(&port)) => Opaque::Gtp,
        _ => Opaque::NotTcp,
    }
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Result<u16, Opaque> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Opaque::Truncated),
    }
}

#[cfg(test)]
mod tests;
