//! IPv6 headers and the extension headers behind them.

use core::net::IpAddr;

use smoltcp::wire::Ipv6Packet;

use crate::Opaque;
use crate::ip::{Ip, PROTOCOL_AH, PROTOCOL_ESP, Part};
use crate::limits::{IPV6_EXTENSION_BYTES_MAX, IPV6_EXTENSION_HEADERS_MAX, IPV6_HEADER_BYTES};

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;
/// Mobility, HIP, shim6 and two for experiments: extension headers (RFC 7045 2.1) that say more than how to read on.
const NOT_UNDERSTOOD: [u8; 5] = [135, 139, 140, 253, 254];

pub(crate) const FRAGMENT_HEADER_BYTES: usize = 8;
/// Where the fixed header says what follows it.
const NEXT_HEADER_AT: usize = 6;

const OPTION_PAD1: u8 = 0;
/// What a receiver does with an option that it does not know: 0 is to read on (RFC 8200 4.2).
const OPTION_ACTION_SHIFT: u32 = 6;

pub(crate) fn parse(datagram: &[u8]) -> Result<Ip, Opaque> {
    if datagram.len() < IPV6_HEADER_BYTES {
        return Err(Opaque::Truncated);
    }
    let ip = Ipv6Packet::new_unchecked(datagram);
    if ip.version() != 6 {
        return Err(Opaque::BadHeader);
    }
    let total_len = IPV6_HEADER_BYTES + usize::from(ip.payload_len());
    let within = datagram.get(..total_len).unwrap_or(datagram);
    let chain = Chain::walk(within, ip.next_header().into())?;
    Ok(Ip {
        source: IpAddr::V6(ip.src_addr()),
        destination: IpAddr::V6(ip.dst_addr()),
        hop_limit: ip.hop_limit(),
        traffic_class: ip.traffic_class(),
        flow_label: ip.flow_label(),
        dont_fragment: true,
        protocol: chain.protocol,
        header_len: chain.len,
        total_len,
        fragment: chain.fragment,
    })
}

/// Extension headers, up to the upper layer or to a fragment's data.
struct Chain {
    protocol: u8,
    len: usize,
    fragment: Option<Part>,
}

impl Chain {
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.1
    //# IPv6 nodes must accept and attempt to process extension headers in
    //# any order and occurring any number of times in the same packet,
    //# except for the Hop-by-Hop Options header, which is restricted to
    //# appear immediately after an IPv6 header only.
    fn walk(datagram: &[u8], first: u8) -> Result<Self, Opaque> {
        let mut announced_at = NEXT_HEADER_AT;
        let mut protocol = first;
        let mut at = IPV6_HEADER_BYTES;
        let mut headers = 0;
        loop {
            let len = match protocol {
                HOP_BY_HOP if at != IPV6_HEADER_BYTES => return Err(Opaque::Ipv6Extension),
                HOP_BY_HOP | DESTINATION_OPTIONS => {
                    let header = extension(datagram, at)?;
                    look_at_options(header)?;
                    header.len()
                }
                ROUTING => {
                    let header = extension(datagram, at)?;
                    // RFC 8200 4.4: a node that does not know the type ignores the header when no segment is left.
                    if header.get(3) != Some(&0) {
                        return Err(Opaque::SourceRoute);
                    }
                    header.len()
                }
                FRAGMENT => {
                    let part = fragment(datagram, at, announced_at)?;
                    let next = datagram.get(at).copied().ok_or(Opaque::Truncated)?;
                    // The only part of its datagram is whole whatever else has the same identification (RFC 6946 4).
                    if part.offset != 0 || part.more {
                        return Ok(Self {
                            protocol: next,
                            len: at + FRAGMENT_HEADER_BYTES,
                            fragment: Some(part),
                        });
                    }
                    FRAGMENT_HEADER_BYTES
                }
                PROTOCOL_AH => return Err(Opaque::Authenticated),
                PROTOCOL_ESP => return Err(Opaque::Encrypted),
                protocol if NOT_UNDERSTOOD.contains(&protocol) => {
                    return Err(Opaque::Ipv6Extension);
                }
                protocol => {
                    return Ok(Self {
                        protocol,
                        len: at,
                        fragment: None,
                    });
                }
            };
            headers += 1;
            if headers > IPV6_EXTENSION_HEADERS_MAX
                || at + len > IPV6_HEADER_BYTES + IPV6_EXTENSION_BYTES_MAX
            {
                return Err(Opaque::Ipv6ChainTooLong);
            }
            protocol = datagram.get(at).copied().ok_or(Opaque::Truncated)?;
            announced_at = at;
            at += len;
        }
    }
}

/// An extension header whose second byte counts the eight-byte units after the first.
fn extension(datagram: &[u8], at: usize) -> Result<&[u8], Opaque> {
    let units = datagram.get(at + 1).copied().ok_or(Opaque::Truncated)?;
    datagram
        .get(at..at + 8 + usize::from(units) * 8)
        .ok_or(Opaque::Truncated)
}

/// Options of a hop-by-hop or destination options header. One that tells a receiver which does not know it to discard the
/// packet is believed to be unknown there: what it carries is not what the receiver gets.
fn look_at_options(header: &[u8]) -> Result<(), Opaque> {
    let mut options = header.get(2..).unwrap_or_default();
    while let Some((&kind, after)) = options.split_first() {
        if kind == OPTION_PAD1 {
            options = after;
            continue;
        }
        let length = usize::from(*after.first().ok_or(Opaque::Ipv6Extension)?);
        if kind >> OPTION_ACTION_SHIFT != 0 {
            return Err(Opaque::Ipv6Extension);
        }
        options = after.get(1 + length..).ok_or(Opaque::Ipv6Extension)?;
    }
    Ok(())
}

fn fragment(datagram: &[u8], at: usize, announced_at: usize) -> Result<Part, Opaque> {
    let Some(&[_, _, high, low, i0, i1, i2, i3]) = datagram.get(at..at + FRAGMENT_HEADER_BYTES)
    else {
        return Err(Opaque::Truncated);
    };
    let field = u16::from_be_bytes([high, low]);
    Ok(Part {
        identification: u32::from_be_bytes([i0, i1, i2, i3]),
        // Thirteen bits of eight-byte units and three others make the offset a multiple of eight bytes in place.
        offset: field & !0b111,
        more: field & 1 != 0,
        header_at: at,
        announced_at,
    })
}
