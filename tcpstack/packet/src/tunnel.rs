//! One layer of encapsulation: IP in IP (RFC 2003, RFC 2473, RFC 4213) and GRE (RFC 2784, RFC 2890).

use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;

use siphasher::sip::SipHasher13;
use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

use crate::frame::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, be16};
use crate::ip::{ECN_CE, ECN_MASK, Ip, PROTOCOL_GRE, PROTOCOL_IPV4, PROTOCOL_IPV6};
use crate::limits::{GRE_HEADER_BYTES, GRE_KEY_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES};
use crate::{Opaque, TcpFrame};

/// Names the tunnel a flow is in, both directions alike: a digest of kind, key and both ends of the tunnel.
///
/// It keeps flows apart that have the same inner addresses. It has 32 bits, so that a flow's key stays small, and it is keyed
/// ([`key_tunnels`]): whoever sends tunnelled traffic cannot choose two tunnels of one name, and is not told when he has
/// met some by chance.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId([u8; 4]);

static KEY: OnceLock<[u8; 16]> = OnceLock::new();

/// Keys the names of tunnels, once per process and before its first packet. False when that has happened before: names
/// that are in use must not change. Without it they are the same in every process.
pub fn key_tunnels(key: [u8; 16]) -> bool {
    KEY.set(key).is_ok()
}

impl TunnelId {
    /// In no tunnel.
    pub const NONE: Self = Self([0; 4]);

    /// As a number; zero is no tunnel.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// Back from [`to_u32`](Self::to_u32).
    #[must_use]
    pub const fn from_u32(number: u32) -> Self {
        Self(number.to_be_bytes())
    }

    /// The tunnel between the ends of `outer`.
    pub(crate) fn of(outer: &Ip, gre: Option<Gre>) -> Self {
        Self::keyed(KEY.get().unwrap_or(&[0; 16]), outer, gre)
    }

    fn keyed(key: &[u8; 16], outer: &Ip, gre: Option<Gre>) -> Self {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let (one, other) = (octets(outer.source), octets(outer.destination));
        let (low, high) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        let kind = match gre {
            None => 0,
            Some(Gre { key: None }) => 1 << 32,
            Some(Gre { key: Some(key) }) => 2 << 32 | u64::from(key),
        };
        let mut hasher = SipHasher13::new_with_key(key);
        hasher.write(&low);
        hasher.write(&high);
        hasher.write_u64(kind);
        let digest = (hasher.finish() & 0xffff_ffff) as u32;
        Self::from_u32(digest.max(1))
    }
}

impl fmt::Debug for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tunnel {:08x}", self.to_u32())
    }
}

/// What a GRE header says besides what it carries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gre {
    pub(crate) key: Option<u32>,
}

const GRE_CHECKSUM: u16 = 1 << 15;
pub(crate) const GRE_KEY: u16 = 1 << 13;
const GRE_SEQUENCE: u16 = 1 << 12;
/// The routing and strict source route bits of RFC 1701, and its recursion control.
//= https://www.rfc-editor.org/rfc/rfc2784#section-2.3
//# A receiver MUST discard a packet where any of bits 1-5 are non-zero,
//# unless that receiver implements RFC 1701.
const GRE_FIRST_DEFINITION: u16 = 1 << 14 | 0b11 << 10;
const GRE_VERSION: u16 = 0b111;

/// What is wrapped in a datagram.
pub(crate) struct Wrapped {
    pub(crate) ipv6: bool,
    pub(crate) gre: Option<Gre>,
    /// Bytes between the two IP headers.
    pub(crate) len: usize,
}

impl Wrapped {
    /// What `payload`, the data of a datagram of `protocol`, wraps; none when the protocol is no tunnel.
    pub(crate) fn parse(protocol: u8, payload: &[u8]) -> Result<Option<Self>, Opaque> {
        let plain = |ipv6| {
            Ok(Some(Self {
                ipv6,
                gre: None,
                len: 0,
            }))
        };
        match protocol {
            PROTOCOL_IPV4 => plain(false),
            PROTOCOL_IPV6 => plain(true),
            PROTOCOL_GRE => Self::gre(payload).map(Some),
            _ => Ok(None),
        }
    }

    fn gre(payload: &[u8]) -> Result<Self, Opaque> {
        let flags = be16(payload, 0)?;
        let ipv6 = match be16(payload, 2)? {
            _ if flags & GRE_VERSION != 0 => return Err(Opaque::GreVersion),
            _ if flags & GRE_FIRST_DEFINITION != 0 => return Err(Opaque::GreRouting),
            _ if flags & GRE_CHECKSUM != 0 => return Err(Opaque::GreChecksum),
            _ if flags & GRE_SEQUENCE != 0 => return Err(Opaque::GreSequence),
            ETHERTYPE_IPV4 => false,
            ETHERTYPE_IPV6 => true,
            _ => return Err(Opaque::GrePayload),
        };
        let keyed = flags & GRE_KEY != 0;
        let key = if keyed {
            Some(u32::from(be16(payload, 4)?) << 16 | u32::from(be16(payload, 6)?))
        } else {
            None
        };
        Ok(Self {
            ipv6,
            gre: Some(Gre { key }),
            len: GRE_HEADER_BYTES + if keyed { GRE_KEY_BYTES } else { 0 },
        })
    }
}

/// What is written around everything of one direction of a flow: the outer IP header and, for GRE, its header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Encapsulation {
    source: IpAddr,
    destination: IpAddr,
    gre: Option<Gre>,
    /// What is within is IPv6.
    carries_ipv6: bool,
    flow_label: u32,
    hop_limit: u8,
    traffic_class: u8,
    dont_fragment: bool,
}

impl Encapsulation {
    /// IP in IP between two ends of one family, that no frame taught: hop limit 64, no DSCP, not to be fragmented.
    #[must_use]
    pub const fn ip_in_ip(source: IpAddr, destination: IpAddr, carries_ipv6: bool) -> Self {
        Self {
            source,
            destination,
            gre: None,
            carries_ipv6,
            flow_label: 0,
            hop_limit: 64,
            traffic_class: 0,
            dont_fragment: true,
        }
    }

    /// GRE between two ends of one family, that no frame taught.
    #[must_use]
    pub const fn gre(
        source: IpAddr,
        destination: IpAddr,
        key: Option<u32>,
        carries_ipv6: bool,
    ) -> Self {
        let mut gre = Self::ip_in_ip(source, destination, carries_ipv6);
        gre.gre = Some(Gre { key });
        gre
    }

    /// Learns from a frame that [`parse`](crate::parse) found to be `tcp`. None when it is in no tunnel.
    #[must_use]
    pub fn from_frame(tcp: &TcpFrame, frame: &[u8]) -> Option<Self> {
        let outer = frame.get(tcp.link_len()..tcp.l3_offset())?;
        let ip = Ip::parse_quoted(outer.first()? >> 4 == 6, outer).ok()?;
        let wrapped = Wrapped::parse(ip.protocol, outer.get(ip.header_len..)?).ok()??;
        Some(Self {
            source: ip.source,
            destination: ip.destination,
            gre: wrapped.gre,
            carries_ipv6: wrapped.ipv6,
            flow_label: ip.flow_label,
            hop_limit: ip.hop_limit,
            traffic_class: ip.traffic_class & !ECN_MASK,
            dont_fragment: ip.dont_fragment,
        })
    }

    /// The opposite direction as far as it can be known from this one.
    #[must_use]
    pub const fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            flow_label: 0,
            ..*self
        }
    }

    /// The outer header is IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// Bytes of the outer headers: at most [`OUTER_HEADERS_BYTES_MAX`](crate::limits::OUTER_HEADERS_BYTES_MAX).
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.ip_bytes()
            + match self.gre {
                None => 0,
                Some(Gre { key: None }) => GRE_HEADER_BYTES,
                Some(Gre { key: Some(_) }) => GRE_HEADER_BYTES + GRE_KEY_BYTES,
            }
    }

    const fn ip_bytes(&self) -> usize {
        match self.source {
            IpAddr::V4(_) => IPV4_HEADER_BYTES,
            IpAddr::V6(_) => IPV6_HEADER_BYTES,
        }
    }

    /// Writes the outer headers of a datagram of `inner_len` bytes with the congestion mark `ecn` into `out`, which has
    /// [`bytes`](Self::bytes). `identification` tells fragments of this datagram from those of others, should it come to that.
    ///
    /// The outer congestion mark is the inner one (RFC 6040 4.1, normal mode).
    pub(crate) fn write(&self, out: &mut [u8], inner_len: usize, ecn: u8, identification: u16) {
        let Some((ip_out, gre_out)) = out.split_at_mut_checked(self.ip_bytes()) else {
            return;
        };
        let protocol = match (self.gre, self.carries_ipv6) {
            (Some(_), _) => PROTOCOL_GRE,
            (None, false) => PROTOCOL_IPV4,
            (None, true) => PROTOCOL_IPV6,
        };
        let payload = u16::try_from(gre_out.len() + inner_len).unwrap_or(u16::MAX);
        if let Some(gre) = self.gre {
            let flags = if gre.key.is_some() { GRE_KEY } else { 0 };
            let carried = if self.carries_ipv6 {
                ETHERTYPE_IPV6
            } else {
                ETHERTYPE_IPV4
            };
            let words = u32::from(flags) << 16 | u32::from(carried);
            let bytes = words
                .to_be_bytes()
                .into_iter()
                .chain(gre.key.unwrap_or(0).to_be_bytes());
            for (to, from) in gre_out.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut ip = Ipv4Packet::new_unchecked(ip_out);
                ip.set_version(4);
                ip.set_header_len(20);
                ip.set_dscp(self.traffic_class >> 2);
                ip.set_ecn(ecn);
                ip.set_total_len(payload.saturating_add(20));
                ip.set_ident(if self.dont_fragment {
                    0
                } else {
                    identification
                });
                ip.clear_flags();
                ip.set_dont_frag(self.dont_fragment);
                ip.set_frag_offset(0);
                ip.set_hop_limit(self.hop_limit);
                ip.set_next_header(protocol.into());
                ip.set_src_addr(source);
                ip.set_dst_addr(destination);
                ip.fill_checksum();
            }
            (source, destination) => {
                let mut ip = Ipv6Packet::new_unchecked(ip_out);
                ip.set_version(6);
                ip.set_traffic_class(self.traffic_class | ecn);
                ip.set_flow_label(self.flow_label);
                ip.set_payload_len(payload);
                ip.set_next_header(protocol.into());
                ip.set_hop_limit(self.hop_limit);
                ip.set_src_addr(in_v6(source));
                ip.set_dst_addr(in_v6(destination));
            }
        }
    }
}

/// Both ends are of one family; the mapped form only satisfies the type.
pub(crate) fn in_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// Makes `outer`, which begins with an outer IP header and has `outer_len` bytes of outer headers, say that it carries
/// `inner_len` bytes. None, and nothing changed, when it cannot.
pub(crate) fn lengthened(outer: &mut [u8], outer_len: usize, inner_len: usize) -> Option<()> {
    let total = u16::try_from(outer_len + inner_len).ok()?;
    if outer.first()? >> 4 == 6 {
        let header = outer.get_mut(..IPV6_HEADER_BYTES)?;
        Ipv6Packet::new_unchecked(header).set_payload_len(total.checked_sub(40)?);
    } else {
        let header = outer.get_mut(..outer_len)?;
        let mut ip = Ipv4Packet::new_unchecked(header);
        ip.set_total_len(total);
        ip.fill_checksum();
    }
    Some(())
}

/// The traffic class that leaves a tunnel: the inner one, with the congestion marks that the way through it added.
/// RFC 6040 4.2, figure 4.
pub(crate) fn decapsulated(inner: u8, outer: u8) -> u8 {
    match (inner & ECN_MASK, outer & ECN_MASK) {
        // What is not ECN-capable and marked is discarded by the tunnel's end; it is not for us to believe more than it.
        (0, _) => inner,
        (_, ECN_CE) => inner | ECN_CE,
        // ECT(1) overrides ECT(0).
        (0b10, 0b01) => inner & !ECN_MASK | 0b01,
        _ => inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn outer(source: &str, destination: &str) -> Ip {
        Ip {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: false,
            protocol: PROTOCOL_GRE,
            header_len: 20,
            total_len: 100,
            fragment: None,
        }
    }

    #[test]
    fn f6_both_directions_of_a_tunnel_have_one_name_and_every_part_of_it_counts() {
        let there = outer("192.0.2.1", "192.0.2.2");
        let name = |outer: &Ip, gre| TunnelId::keyed(&[7; 16], outer, gre);
        let back = outer("192.0.2.2", "192.0.2.1");
        assert_eq!(name(&there, None), name(&back, None));
        let gre = |key| Some(Gre { key });
        let names = [
            name(&there, None),
            name(&there, gre(None)),
            name(&there, gre(Some(0))),
            name(&there, gre(Some(1))),
            name(&outer("192.0.2.1", "192.0.2.3"), None),
            name(&outer("::1", "::2"), None),
        ];
        for (at, one) in names.iter().enumerate() {
            assert_ne!(*one, TunnelId::NONE);
            assert!(!names[at + 1..].contains(one), "{names:?}");
        }
    }

    /// A pair can be found for any key that is known. For another one it is good for nothing.
    #[test]
    fn f6_two_tunnels_that_share_a_name_under_one_key_do_not_under_another() {
        let outer = outer("192.0.2.1", "192.0.2.2");
        let name = |key, gre| TunnelId::keyed(&[key; 16], &outer, Some(Gre { key: Some(gre) }));
        let mut seen = HashMap::new();
        let mut pairs = (0..1 << 18).filter_map(|gre| {
            let other = seen.insert(name(0, gre).to_u32(), gre)?;
            Some((other, gre))
        });
        for (one, other) in pairs.by_ref().take(3) {
            assert_eq!(name(0, one), name(0, other));
            assert_ne!(name(1, one), name(1, other), "{one} and {other}");
        }
        assert!(pairs.next().is_some(), "there are more of them");
    }
}
