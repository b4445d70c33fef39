//! ICMP errors about TCP segments.

use core::net::{IpAddr, SocketAddr};

use crate::checksum::Checksum;
use crate::frame::{Place, be16};
use crate::ip::{Ip, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP};
use crate::limits::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, IPV6_MTU_BYTES_MIN, TCP_HEADER_BYTES};
use crate::tunnel::{TunnelId, Wrapped};
use crate::{FlowKey, Opaque, SeqNum};

/// Type, code, checksum and the four bytes before the quoted datagram.
const ICMP_HEADER_BYTES: usize = 8;

/// What an ICMP error says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// The datagram does not fit a link and may not be fragmented (RFC 1191 4, RFC 4443 3.2).
    TooBig {
        /// Bytes of the longest datagram that fits, counted from the IP header nearest to the TCP header: when a whole tunnel
        /// packet is quoted, its outer headers are taken off. Zero when the router did not say.
        mtu: u32,
    },
    /// The destination, or the port, cannot be reached (RFC 792, RFC 4443 3.1).
    Unreachable {
        /// As in the message; its meaning differs between the two versions.
        code: u8,
    },
    /// Hop limit or reassembly time ran out.
    TimeExceeded,
    /// Send slower (RFC 792); nobody sends it any more (RFC 6633).
    Quench,
    /// Something in the header is wrong.
    ParameterProblem,
}

/// An ICMP error that quotes a TCP segment, its first eight bytes at least.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The quoted segment's flow.
    pub key: FlowKey,
    /// Who sent the quoted segment.
    pub source: SocketAddr,
    /// Whom it was for.
    pub destination: SocketAddr,
    /// Its sequence number.
    pub seq: SeqNum,
    /// What went wrong.
    pub kind: IcmpKind,
    reporter: IpAddr,
    receiver: IpAddr,
    l3_offset: u16,
    l4_offset: u16,
    end: u32,
}

impl IcmpError {
    /// Reads the ICMP message of `frame` whose IP header `ip` stands at `start`.
    pub(crate) fn parse(place: Place, frame: &[u8], start: usize, ip: &Ip) -> Result<Self, Opaque> {
        let l4_offset = start + ip.header_len;
        let end = start + ip.total_len;
        let message = frame.get(l4_offset..end).ok_or(Opaque::Truncated)?;
        let ipv6 = ip.source.is_ipv6();
        let (Some(&[kind, code, ..]), Some(quoted)) =
            (message.first_chunk::<4>(), message.get(ICMP_HEADER_BYTES..))
        else {
            return Err(Opaque::Truncated);
        };
        let kind = match (ipv6, kind, code) {
            (false, 3, 4) => IcmpKind::TooBig {
                mtu: u32::from(be16(message, 6)?),
            },
            (true, 2, _) => IcmpKind::TooBig {
                mtu: u32::from(be16(message, 4)?) << 16 | u32::from(be16(message, 6)?),
            },
            (false, 3, code) | (true, 1, code) => IcmpKind::Unreachable { code },
            (false, 4, _) => IcmpKind::Quench,
            (false, 11, _) | (true, 3, _) => IcmpKind::TimeExceeded,
            (false, 12, _) | (true, 4, _) => IcmpKind::ParameterProblem,
            _ => return Err(Opaque::NotTcp),
        };
        let quote = Quote::parse(place.tunnel, ipv6, quoted).map_err(|_| Opaque::NotTcp)?;
        let kind = match kind {
            IcmpKind::TooBig { mtu } => IcmpKind::TooBig {
                mtu: mtu.saturating_sub(quote.outer_bytes),
            },
            other => other,
        };
        Ok(Self {
            key: FlowKey::new(place.segment, place.vlan, quote.source, quote.destination)
                .in_tunnel(quote.tunnel),
            source: quote.source,
            destination: quote.destination,
            seq: quote.seq,
            kind,
            reporter: ip.source,
            receiver: ip.destination,
            l3_offset: u16::try_from(start).map_err(|_| Opaque::BadHeader)?,
            l4_offset: u16::try_from(l4_offset).map_err(|_| Opaque::BadHeader)?,
            end: u32::try_from(end).map_err(|_| Opaque::BadHeader)?,
        })
    }

    /// Whether the message's checksum and the IPv4 header's are right; `frame` is what this was parsed from.
    #[must_use]
    pub fn checksum_ok(&self, frame: &[u8]) -> bool {
        let (Some(header), Some(message)) = (
            frame.get(usize::from(self.l3_offset)..usize::from(self.l4_offset)),
            frame.get(usize::from(self.l4_offset)..self.end as usize),
        ) else {
            return false;
        };
        let mut sum = Checksum::default();
        if self.receiver.is_ipv6() {
            sum.add_pseudo_header(self.reporter, self.receiver, PROTOCOL_ICMPV6, message.len());
        } else {
            let mut header_sum = Checksum::default();
            header_sum.add(header);
            if header_sum.finish() != 0 {
                return false;
            }
        }
        sum.add(message);
        sum.finish() == 0
    }

    /// The largest MSS whose segments fit what the error says fits, options not counted (RFC 6691). None when it says nothing
    /// about sizes, the router did not say how much fits, or it says what no IPv6 path may say.
    #[must_use]
    pub fn mss_limit(&self) -> Option<u16> {
        let ip = if self.source.is_ipv4() {
            IPV4_HEADER_BYTES
        } else {
            IPV6_HEADER_BYTES
        };
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //# A node must not reduce its estimate of the Path MTU below the IPv6 minimum link MTU on receipt of a Packet Too Big
        //# message.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //# If a node receives a Packet Too Big message reporting a next-hop MTU that is less than the IPv6 minimum link MTU,
        //# it must discard it.
        let mtu_min = if self.source.is_ipv4() {
            1
        } else {
            IPV6_MTU_BYTES_MIN
        };
        match self.kind {
            IcmpKind::TooBig { mtu } if mtu >= mtu_min => {
                let headers = u32::try_from(ip + TCP_HEADER_BYTES).unwrap_or(u32::MAX);
                Some(u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX))
            }
            _ => None,
        }
    }
}

/// True for the protocol that the errors of an IP version are.
pub(crate) fn is_icmp(ip: &Ip) -> bool {
    match ip.source {
        IpAddr::V4(_) => ip.protocol == PROTOCOL_ICMP,
        IpAddr::V6(_) => ip.protocol == PROTOCOL_ICMPV6,
    }
}

/// The datagram that an error is about, as far as it is there.
struct Quote {
    tunnel: TunnelId,
    source: SocketAddr,
    destination: SocketAddr,
    seq: SeqNum,
    /// Bytes before the inner IP header.
    outer_bytes: u32,
}

impl Quote {
    fn parse(tunnel: TunnelId, ipv6: bool, quoted: &[u8]) -> Result<Self, Opaque> {
        let ip = Ip::parse_quoted(ipv6, quoted)?;
        let rest = quoted.get(ip.header_len..).ok_or(Opaque::Truncated)?;
        if ip.fragment.is_some_and(|part| part.offset != 0) {
            return Err(Opaque::OtherFragment);
        }
        if ip.protocol == PROTOCOL_TCP {
            ip.check_ends()?;
            let port = |at| be16(rest, at);
            return Ok(Self {
                tunnel,
                source: SocketAddr::new(ip.source, port(0)?),
                destination: SocketAddr::new(ip.destination, port(2)?),
                seq: SeqNum(u32::from(be16(rest, 4)?) << 16 | u32::from(be16(rest, 6)?)),
                outer_bytes: 0,
            });
        }
        let wrapped = Wrapped::parse(ip.protocol, rest)?.ok_or(Opaque::NotTcp)?;
        if tunnel != TunnelId::NONE {
            return Err(Opaque::SecondTunnel);
        }
        let inner = rest.get(wrapped.len..).ok_or(Opaque::Truncated)?;
        let outer_bytes = u32::try_from(ip.header_len + wrapped.len).unwrap_or(u32::MAX);
        let quote = Self::parse(TunnelId::of(&ip, wrapped.gre), wrapped.ipv6, inner)?;
        Ok(Self {
            outer_bytes,
            ..quote
        })
    }
}

#[cfg(test)]
mod tests;
