//! What names a flow.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{SegmentId, TunnelId, VlanStack};

/// One end of a flow. An IPv4 address stands in the first four bytes; [`FlowKey::v6`] says which it is.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Endpoint {
    address: [u8; 16],
    port: u16,
}

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
        let octets = match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(ip) => ip.octets(),
        };
        Self {
            address: octets,
            port: address.port(),
        }
    }

    fn socket_addr(&self, v6: bool) -> SocketAddr {
        let ip = if v6 {
            IpAddr::V6(Ipv6Addr::from(self.address))
        } else {
            let [a, b, c, d, ..] = self.address;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        };
        SocketAddr::new(ip, self.port)
    }
}

/// Names a TCP flow: segment, VLAN identifiers, tunnel and both ends. Both directions have the same key, as the lower end is
/// put first. The same four-tuple in another VLAN, in another tunnel or on another segment is another flow.
#[derive(Copy, Clone)]
pub struct FlowKey {
    /// The segment the flow crosses.
    pub segment: SegmentId,
    /// The VLANs it is in.
    pub vlan: VlanStack,
    /// The tunnel it is in.
    pub tunnel: TunnelId,
    v6: bool,
    lo: Endpoint,
    hi: Endpoint,
}

impl FlowKey {
    /// The key of the flow between `one` and `other`, which are of the same family, in no tunnel.
    #[must_use]
    pub fn new(segment: SegmentId, vlan: VlanStack, one: SocketAddr, other: SocketAddr) -> Self {
        let (one_end, other_end) = (Endpoint::new(one), Endpoint::new(other));
        let (lo, hi) = if one_end <= other_end {
            (one_end, other_end)
        } else {
            (other_end, one_end)
        };
        Self {
            segment,
            vlan,
            tunnel: TunnelId::NONE,
            v6: one.is_ipv6(),
            lo,
            hi,
        }
    }

    /// The key of the flow with the same ends in that tunnel.
    #[must_use]
    pub const fn in_tunnel(self, tunnel: TunnelId) -> Self {
        Self { tunnel, ..self }
    }

    /// The end with the lower address, or with the lower port of the same address.
    #[must_use]
    pub fn lower(&self) -> SocketAddr {
        self.lo.socket_addr(self.v6)
    }

    /// The other end.
    #[must_use]
    pub fn higher(&self) -> SocketAddr {
        self.hi.socket_addr(self.v6)
    }

    /// Whether `address` is the lower end.
    #[must_use]
    pub fn is_lower(&self, address: SocketAddr) -> bool {
        Endpoint::new(address) == self.lo && address.is_ipv6() == self.v6
    }

    /// Whether the flow is IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.v6
    }

    /// Everything that two equal keys have in common, as words for a keyed hash.
    #[must_use]
    pub fn words(&self) -> [u64; 6] {
        let [lo_high, lo_low] = halves(self.lo.address);
        let [hi_high, hi_low] = halves(self.hi.address);
        [
            lo_high,
            lo_low,
            hi_high,
            hi_low,
            u64::from(self.tunnel.to_u32()) << 32 | u64::from(self.vlan.identity()),
            u64::from(self.v6) << 48
                | u64::from(self.segment.0) << 32
                | u64::from(self.lo.port) << 16
                | u64::from(self.hi.port),
        ]
    }

    /// Both addresses and both ports xored together in sixteen-bit words: all that a symmetric Toeplitz hash sees.
    pub(crate) fn folded(&self) -> u16 {
        let words = halves(self.lo.address)
            .into_iter()
            .chain(halves(self.hi.address));
        let folded = words.fold(0, |folded, word| folded ^ word);
        let folded = folded ^ folded >> 32;
        let folded = folded ^ folded >> 16;
        (folded & 0xffff) as u16 ^ self.lo.port ^ self.hi.port
    }
}

fn halves(address: [u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = address;
    [
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from_be_bytes(rest),
    ]
}

impl PartialEq for FlowKey {
    fn eq(&self, other: &Self) -> bool {
        self.lo == other.lo
            && self.hi == other.hi
            && self.segment == other.segment
            && self.v6 == other.v6
            && self.vlan == other.vlan
            && self.tunnel == other.tunnel
    }
}

impl Eq for FlowKey {}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().hash(state);
    }
}

impl core::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "segment {} {:?} {}-{}",
            self.segment.0,
            self.vlan,
            self.lower(),
            self.higher()
        )?;
        if self.tunnel != TunnelId::NONE {
            write!(f, " in {:?}", self.tunnel)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(segment: u16, vlan: VlanStack, one: &str, other: &str) -> FlowKey {
        FlowKey::new(
            SegmentId(segment),
            vlan,
            one.parse().unwrap(),
            other.parse().unwrap(),
        )
    }

    #[test]
    fn both_directions_share_a_key() {
        let there = key(0, VlanStack::UNTAGGED, "10.0.0.2:40000", "10.0.0.1:443");
        let back = key(0, VlanStack::UNTAGGED, "10.0.0.1:443", "10.0.0.2:40000");
        assert_eq!(there, back);
        assert_eq!(there.words(), back.words());
        assert_eq!(there.lower(), "10.0.0.1:443".parse().unwrap());
        assert_eq!(there.higher(), "10.0.0.2:40000".parse().unwrap());
        assert!(there.is_lower("10.0.0.1:443".parse().unwrap()));
        assert!(!there.is_lower("10.0.0.2:40000".parse().unwrap()));
        assert!(size_of::<FlowKey>() <= 48);
    }

    #[test]
    fn same_address_is_ordered_by_port() {
        let there = key(0, VlanStack::UNTAGGED, "[fd00::1]:2", "[fd00::1]:1");
        assert_eq!(there.lower().port(), 1);
        assert_eq!(
            there,
            key(0, VlanStack::UNTAGGED, "[fd00::1]:1", "[fd00::1]:2")
        );
    }

    #[test]
    fn p102_segment_vlan_tunnel_and_family_tell_flows_apart() {
        let base = key(0, VlanStack::UNTAGGED, "10.0.0.2:40000", "10.0.0.1:443");
        for other in [
            key(1, VlanStack::UNTAGGED, "10.0.0.2:40000", "10.0.0.1:443"),
            key(0, VlanStack::single(5), "10.0.0.2:40000", "10.0.0.1:443"),
            key(0, VlanStack::UNTAGGED, "[a00:2::]:40000", "[a00:1::]:443"),
            key(0, VlanStack::UNTAGGED, "10.0.0.2:40001", "10.0.0.1:443"),
            base.in_tunnel(TunnelId::from_u32(1)),
        ] {
            assert_ne!(base, other);
            assert_ne!(base.words(), other.words());
        }
    }
}
