//! What names a flow.

use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use crate::{SegmentId, TunnelId, VlanStack};

/// One end of a flow: its address as a number, an IPv4 one in the upper half of the first word, and its port.
type End = (u64, u64, u16);

fn end(address: SocketAddr) -> End {
    let (high, low) = match address.ip() {
        IpAddr::V4(ip) => (u64::from(ip.to_bits()) << 32, 0),
        IpAddr::V6(ip) => halves(ip.octets()),
    };
    (high, low, address.port())
}

const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

const fn halves(address: [u8; 16]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, rest @ ..] = address;
    (
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from_be_bytes(rest),
    )
}

/// Names a TCP flow: segment, VLAN identifiers, tunnel and both ends. Both directions have the same key, as the lower end is
/// put first. The same four-tuple in another VLAN, in another tunnel or on another segment is another flow.
///
/// It is a few words, all of which count, so that it is compared and hashed as it is.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Addresses: two words of the lower end's, two of the higher end's.
    ends: [u64; 4],
    /// From the top: the tunnel, whether it is IPv6, the VLAN identifiers.
    way: u64,
    /// From the top, 16 bits each: none, the segment, the lower end's port, the higher end's.
    ports: u64,
}

/// Beside two VLAN identifiers of twelve bits in sixteen each.
const V6: u64 = 1 << 31;
const VLANS: u64 = V6 - 1;

/// A [`FlowKey`] in 46 bytes, to be kept.
#[repr(C, packed(2))]
#[derive(Copy, Clone)]
pub struct StoredKey {
    ends: [u64; 4],
    way: u64,
    ports: u32,
    segment: u16,
}

const _: () = assert!(size_of::<StoredKey>() == 46);

impl StoredKey {
    /// The key to be kept.
    #[inline(always)]
    #[must_use]
    pub const fn of(key: &FlowKey) -> Self {
        Self {
            ends: key.ends,
            way: key.way,
            ports: (key.ports & 0xffff_ffff) as u32,
            segment: key.segment().0,
        }
    }

    /// The key that is kept.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self) -> FlowKey {
        FlowKey {
            ends: self.ends,
            way: self.way,
            ports: (self.segment as u64) << 32 | self.ports as u64,
        }
    }
}

/// Stands for a [`FlowKey`] in 16 bytes. Of an IPv4 flow in no VLAN and no tunnel it is the key itself; of any other it is 96
/// bits of keyed hash, and as the hash is keyed with a secret nobody finds two flows with the same ones: among a million flows a
/// stranger would be taken for one of them once in 2^76 packets.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ShortKey([u64; 2]);

/// A keyed hash of a [`FlowKey`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct KeyHash {
    /// To look for it by.
    pub short: u32,
    /// More of it, where [`ShortKey`] needs it; else nothing.
    rest: u64,
}

/// A short key is a hash.
const HASHED: u64 = 1 << 63;

impl ShortKey {
    /// Of no flow: it is no hash, and no key has this bit set.
    pub const NONE: Self = Self([0, 1 << 62]);

    /// Of the flow of `key`, which has this hash.
    #[inline(always)]
    #[must_use]
    pub const fn of(key: &FlowKey, hash: KeyHash) -> Self {
        if key.way == 0 {
            Self([key.ipv4_ends(), key.ports])
        } else {
            Self([hash.rest, HASHED | hash.short as u64])
        }
    }
}

impl PartialEq<FlowKey> for StoredKey {
    #[inline(always)]
    fn eq(&self, key: &FlowKey) -> bool {
        // Word by word: none is put together in memory first.
        let ([a, b, c, d], [e, f, g, h]) = (self.ends, key.ends);
        let ports = u64::from(self.segment) << 32 | u64::from(self.ports);
        (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) | (self.way ^ key.way) | (ports ^ key.ports) == 0
    }
}

impl FlowKey {
    /// Of no flow.
    pub(crate) const NONE: Self = Self {
        ends: [0; 4],
        way: 0,
        ports: 0,
    };

    /// The key of the flow between `one` and `other`, which are of the same family, in no tunnel.
    #[must_use]
    pub fn new(segment: SegmentId, vlan: VlanStack, one: SocketAddr, other: SocketAddr) -> Self {
        Self::directed(segment, vlan, one, other).0
    }

    /// The same, and whether `one` is the lower end.
    pub(crate) fn directed(
        segment: SegmentId,
        vlan: VlanStack,
        one: SocketAddr,
        other: SocketAddr,
    ) -> (Self, bool) {
        let v6 = if one.is_ipv6() { V6 } else { 0 };
        Self::between(segment, vlan, v6, end(one), end(other))
    }

    /// The same between IPv4 addresses, and whether `one` is the lower end.
    #[inline(always)]
    pub(crate) fn ipv4(
        segment: SegmentId,
        vlan: VlanStack,
        (one, one_port): (u32, u16),
        (other, other_port): (u32, u16),
    ) -> (Self, bool) {
        let one = (u64::from(one) << 32, 0, one_port);
        let other = (u64::from(other) << 32, 0, other_port);
        Self::between(segment, vlan, 0, one, other)
    }

    /// The same between IPv6 addresses, and whether `one` is the lower end.
    #[inline]
    pub(crate) fn ipv6(
        segment: SegmentId,
        vlan: VlanStack,
        (one, one_port): ([u8; 16], u16),
        (other, other_port): ([u8; 16], u16),
    ) -> (Self, bool) {
        let ((one_high, one_low), (other_high, other_low)) = (halves(one), halves(other));
        let one = (one_high, one_low, one_port);
        let other = (other_high, other_low, other_port);
        Self::between(segment, vlan, V6, one, other)
    }

    #[inline(always)]
    fn between(segment: SegmentId, vlan: VlanStack, v6: u64, one: End, other: End) -> (Self, bool) {
        let lower = one <= other;
        let (lo, hi) = if lower { (one, other) } else { (other, one) };
        let key = Self {
            ends: [lo.0, lo.1, hi.0, hi.1],
            way: v6 | u64::from(vlan.identity()),
            ports: u64::from(segment.0) << 32 | u64::from(lo.2) << 16 | u64::from(hi.2),
        };
        (key, lower)
    }

    /// The key of the flow with the same ends in that tunnel.
    #[must_use]
    pub const fn in_tunnel(self, tunnel: TunnelId) -> Self {
        let way = (tunnel.to_u32() as u64) << 32 | self.way & 0xffff_ffff;
        Self { way, ..self }
    }

    /// The segment the flow crosses.
    #[must_use]
    pub const fn segment(&self) -> SegmentId {
        SegmentId((self.ports >> 32 & 0xffff) as u16)
    }

    /// The VLANs it is in, of which only the identifiers are kept.
    #[must_use]
    pub const fn vlan(&self) -> VlanStack {
        VlanStack::identified((self.way & VLANS) as u32)
    }

    /// The tunnel it is in.
    #[must_use]
    pub const fn tunnel(&self) -> TunnelId {
        TunnelId::from_u32((self.way >> 32) as u32)
    }

    /// The end with the lower address, or with the lower port of the same address.
    #[inline]
    #[must_use]
    pub const fn lower(&self) -> SocketAddr {
        let [high, low, _, _] = self.ends;
        self.socket_addr(high, low, self.lower_port())
    }

    /// The other end.
    #[inline]
    #[must_use]
    pub const fn higher(&self) -> SocketAddr {
        let [_, _, high, low] = self.ends;
        self.socket_addr(high, low, self.higher_port())
    }

    /// Port of [`lower`](Self::lower).
    #[must_use]
    pub const fn lower_port(&self) -> u16 {
        (self.ports >> 16 & 0xffff) as u16
    }

    /// Port of [`higher`](Self::higher).
    #[must_use]
    pub const fn higher_port(&self) -> u16 {
        (self.ports & 0xffff) as u16
    }

    #[inline]
    const fn socket_addr(&self, high: u64, low: u64, port: u16) -> SocketAddr {
        let ip = if self.is_ipv6() {
            IpAddr::V6(Ipv6Addr::from_bits((high as u128) << 64 | low as u128))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits((high >> 32) as u32))
        };
        SocketAddr::new(ip, port)
    }

    /// Whether `address` is the lower end.
    #[must_use]
    pub fn is_lower(&self, address: SocketAddr) -> bool {
        self.lower() == address
    }

    /// Whether the flow is IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.way & V6 != 0
    }

    /// A keyed hash of everything that two equal keys have in common. Every two keys that differ are two messages.
    #[inline(always)]
    #[must_use]
    pub fn hash(&self, keyed: &SipHasher13) -> KeyHash {
        if self.way != 0 {
            return self.hash_long(keyed);
        }
        // Addresses are a block; what else there is, six bytes, goes into the one that ends every message.
        let mut hasher = *keyed;
        hasher.write_u64(self.ipv4_ends());
        hasher.write_u32((self.ports & 0xffff_ffff) as u32);
        hasher.write_u16(self.segment().0);
        let Hash128 { h1, .. } = hasher.finish128();
        KeyHash {
            short: low(h1),
            rest: 0,
        }
    }

    #[inline(never)]
    fn hash_long(&self, keyed: &SipHasher13) -> KeyHash {
        let mut hasher = *keyed;
        if self.is_ipv6() {
            self.ends.iter().for_each(|word| hasher.write_u64(*word));
        } else {
            hasher.write_u64(self.ipv4_ends());
        }
        hasher.write_u64(self.way);
        hasher.write_u64(self.ports);
        let Hash128 { h1, h2 } = hasher.finish128();
        KeyHash {
            short: low(h1),
            rest: h2,
        }
    }

    const fn ipv4_ends(&self) -> u64 {
        let [lower, _, higher, _] = self.ends;
        lower | higher >> 32
    }

    /// Both addresses and both ports xored together in sixteen-bit words: all that a symmetric Toeplitz hash sees.
    pub(crate) fn folded(&self) -> u16 {
        let folded = self.ends.into_iter().fold(0, |folded, word| folded ^ word);
        let folded = folded ^ folded >> 32;
        let folded = folded ^ folded >> 16;
        (folded & 0xffff) as u16 ^ self.lower_port() ^ self.higher_port()
    }
}

impl core::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "segment {} {:?} {}-{}",
            self.segment().0,
            self.vlan(),
            self.lower(),
            self.higher()
        )?;
        if self.tunnel() != TunnelId::NONE {
            write!(f, " in {:?}", self.tunnel())?;
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

    fn hash(key: &FlowKey) -> KeyHash {
        key.hash(&SipHasher13::new_with_key(&[7; 16]))
    }

    fn short(key: &FlowKey) -> ShortKey {
        ShortKey::of(key, hash(key))
    }

    #[test]
    fn p102_a_short_key_is_a_plain_key_or_a_hash_and_never_both() {
        let end = |address: &str, port: u16| format!("{address}:{port}");
        let mut plain = std::collections::BTreeSet::new();
        for segment in [0, 1, u16::MAX] {
            for (one, other) in [
                ("0.0.0.0", "0.0.0.0"),
                ("0.0.0.0", "255.255.255.255"),
                ("10.0.0.1", "10.0.0.2"),
                ("10.0.0.1", "10.0.0.3"),
                ("10.0.0.0", "10.0.0.2"),
            ] {
                for (port, other_port) in [(0, 1), (0, u16::MAX), (1, u16::MAX), (443, 40_000)] {
                    let (one, other) = (end(one, port), end(other, other_port));
                    let key = key(segment, VlanStack::UNTAGGED, &one, &other);
                    let short = short(&key);
                    assert!(plain.insert(short.0), "{key:?} is another one");
                    assert_eq!(short.0[1] & HASHED, 0);
                    assert_ne!(short, ShortKey::NONE);
                    let tunnelled = self::short(&key.in_tunnel(TunnelId::from_u32(7)));
                    assert_eq!(tunnelled.0[1] & HASHED, HASHED);
                }
            }
        }
    }

    #[test]
    fn both_directions_share_a_key() {
        let there = key(0, VlanStack::UNTAGGED, "10.0.0.2:40000", "10.0.0.1:443");
        let back = key(0, VlanStack::UNTAGGED, "10.0.0.1:443", "10.0.0.2:40000");
        assert_eq!(there, back);
        assert_eq!(hash(&there), hash(&back));
        assert_eq!(there.lower(), "10.0.0.1:443".parse().unwrap());
        assert_eq!(there.higher(), "10.0.0.2:40000".parse().unwrap());
        assert!(there.is_lower("10.0.0.1:443".parse().unwrap()));
        assert!(!there.is_lower("10.0.0.2:40000".parse().unwrap()));
        assert!(size_of::<FlowKey>() <= 48);
    }

    #[test]
    fn p102_a_key_is_kept_whole_in_fewer_bytes() {
        let tunnel = TunnelId::from_u32(u32::MAX);
        let vlans = VlanStack::double(4095, 4095);
        for (one, other) in [
            ("255.255.255.254:65535", "255.255.255.255:65535"),
            ("[fd00::1]:65535", "[ffff:ffff::ffff]:1"),
            ("0.0.0.1:0", "0.0.0.2:0"),
        ] {
            let plain = key(0, VlanStack::UNTAGGED, one, other);
            let full = key(u16::MAX, vlans, one, other).in_tunnel(tunnel);
            for key in [plain, full] {
                let stored = StoredKey::of(&key);
                assert!(stored == key && stored.key() == key);
            }
            assert!(StoredKey::of(&plain) != full);
            assert_eq!((full.tunnel(), full.vlan()), (tunnel, vlans));
            assert_eq!(full.segment(), SegmentId(u16::MAX));
            assert_eq!(full.is_ipv6(), one.starts_with('['));
        }
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
            assert_ne!(hash(&base), hash(&other));
            assert_ne!(short(&base), short(&other));
        }
    }
}
