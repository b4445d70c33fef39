//! Receive-side scaling: which core a flow belongs to.

use core::net::IpAddr;

use crate::{FlowKey, FragmentKey, Frame, Glance, SegmentId, TcpHead, glance, parse};

/// The Toeplitz key that gives both directions of a flow one hash: 0x6d5a over and over (Woo and Park, "Scalable TCP
/// Session Monitoring with Symmetric Receive-side Scaling"). What ports are programmed with.
pub const SYMMETRIC_RSS_KEY: [u8; 40] = [
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
];

/// The Toeplitz hash as NICs compute it (Microsoft, "RSS hashing functions") over source address, destination address,
/// source port and destination port in network byte order. Input past the key's 36 bytes is ignored.
#[must_use]
pub fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let mut hash = 0;
    for (window, byte) in key.windows(5).zip(input) {
        let key = window
            .iter()
            .fold(0u64, |key, byte| key << 8 | u64::from(*byte));
        for bit in 0..8 {
            if byte & (0x80 >> bit) != 0 {
                hash ^= (key >> (8 - bit) & 0xffff_ffff) as u32;
            }
        }
    }
    hash
}

/// The hash a port programmed with [`SYMMETRIC_RSS_KEY`] gives both directions of the flow, for ports that have none.
///
/// That key repeats every sixteen bits, so a bit's share of the hash depends on its place within a 16-bit word only: the
/// hash of the input is the hash of its words xored together.
#[must_use]
pub fn symmetric_hash(key: &FlowKey) -> u32 {
    toeplitz(&SYMMETRIC_RSS_KEY, &key.folded().to_be_bytes())
}

/// A hash that the fragments of one datagram have in common, whichever way they go: no port sees their ports, so it is made
/// of addresses and identification.
#[must_use]
pub fn fragment_hash(key: &FragmentKey) -> u32 {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let (source, destination) = (octets(key.source), octets(key.destination));
    let fold = |octets: [u8; 16]| {
        let (words, _) = octets.as_chunks::<4>();
        words
            .iter()
            .fold(0, |folded, word| folded ^ u32::from_be_bytes(*word))
    };
    // Not the Toeplitz hash: its symmetric key leaves sixteen bits of what it is given.
    let mixed = (fold(source) ^ fold(destination).rotate_left(16))
        .wrapping_add(key.identification.wrapping_mul(0x9e37_79b1));
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b);
    mixed ^ mixed >> 13
}

/// Which core a frame is for: what a port whose table of hashes repeats the cores one after the other makes of a plain TCP
/// segment, and for everything that no port understands the core that belongs to it nevertheless.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CoreSpread {
    entries: u16,
    cores: u16,
}

impl CoreSpread {
    /// Over `cores` cores, by a table of `entries` entries, rounded down to a power of two. Of either there is at least one.
    #[must_use]
    pub fn new(entries: u16, cores: u16) -> Self {
        Self {
            entries: 1 << entries.max(1).ilog2(),
            cores: cores.max(1),
        }
    }

    /// The core of a hash. A port's table of a multiple of as many entries says the same of each of its own.
    #[must_use]
    pub fn core_of(self, hash: u32) -> u16 {
        let entry = hash & u32::from(self.entries - 1);
        // Less than `cores`.
        u16::try_from(entry % u32::from(self.cores)).unwrap_or_default()
    }

    /// The core of the frame with these bytes, seen on `segment`: as [`owner`](Self::owner).
    #[must_use]
    pub fn owner_of(self, segment: SegmentId, frame: &[u8]) -> Option<u16> {
        let mut head = TcpHead::NONE;
        match glance(segment, frame, &mut head) {
            Glance::Tcp => Some(self.core_of(symmetric_hash(&head.key))),
            Glance::Other(_) => None,
            Glance::Rare => self.owner(&parse(segment, frame)),
        }
    }

    /// The core of a frame. Both directions of a flow have one, which gets the ICMP errors about it too; the fragments of a
    /// datagram meet on one, which gives the whole to its flow's. What is none of these may stay where it is.
    #[must_use]
    pub fn owner(self, frame: &Frame) -> Option<u16> {
        let hash = match frame {
            Frame::Tcp(tcp) => symmetric_hash(&tcp.key),
            Frame::IcmpError(error) => symmetric_hash(&error.key),
            Frame::Fragment(fragment) => fragment_hash(&fragment.key),
            Frame::Other(_) => return None,
        };
        Some(self.core_of(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VlanStack;
    use core::net::{IpAddr, SocketAddr};
    use proptest::prelude::*;

    /// The key of Microsoft's published test vectors.
    const PUBLISHED_KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    fn input(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let mut input = Vec::new();
        for end in [source, destination] {
            match end.ip() {
                IpAddr::V4(ip) => input.extend(ip.octets()),
                IpAddr::V6(ip) => input.extend(ip.octets()),
            }
        }
        input.extend(source.port().to_be_bytes());
        input.extend(destination.port().to_be_bytes());
        input
    }

    #[test]
    fn published_vectors() {
        for (destination, source, expected) in [
            ("161.142.100.80:1766", "66.9.149.187:2794", 0x51cc_c178),
            ("65.69.140.83:4739", "199.92.111.2:14230", 0xc626_b0ea),
            ("12.22.207.184:38024", "24.19.198.95:12898", 0x5c2b_394a),
            ("209.142.163.6:2217", "38.27.205.30:48228", 0xafc7_327f),
            ("202.188.127.2:1303", "153.39.163.191:44251", 0x10e8_28a2),
            (
                "[3ffe:2501:200:3::1]:1766",
                "[3ffe:2501:200:1fff::7]:2794",
                0x4020_7d3d,
            ),
            (
                "[ff02::1]:4739",
                "[3ffe:501:8::260:97ff:fe40:efab]:14230",
                0xdde5_1bbf,
            ),
            (
                "[fe80::200:f8ff:fe21:67cf]:38024",
                "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251",
                0x02d1_feef,
            ),
        ] {
            let input = input(source.parse().unwrap(), destination.parse().unwrap());
            assert_eq!(
                toeplitz(&PUBLISHED_KEY, &input),
                expected,
                "{source} -> {destination}"
            );
        }
    }

    #[test]
    fn a_longer_table_says_the_same_and_cores_have_even_shares() {
        for cores in [1, 2, 3, 5, 16] {
            let spread = CoreSpread::new(128, cores);
            let mut shares = vec![0; usize::from(cores)];
            for hash in 0..0x1_0000 {
                let core = spread.core_of(hash);
                shares[usize::from(core)] += 1;
                // A port with 512 entries looks at nine bits; its entry has the number of the core of that entry.
                assert_eq!(spread.core_of(hash & 511), core);
            }
            let (least, most) = (shares.iter().min(), shares.iter().max());
            assert!(most.unwrap() - least.unwrap() <= 512, "{shares:?}");
        }
        assert_eq!(CoreSpread::new(100, 2), CoreSpread::new(64, 2));
        assert_eq!(CoreSpread::new(0, 0).core_of(u32::MAX), 0);
    }

    proptest! {
        #[test]
        fn symmetric_hash_is_what_a_port_computes_both_ways(
            v4: bool, a: [u8; 16], b: [u8; 16], port_a: u16, port_b: u16
        ) {
            let address = |octets: [u8; 16]| if v4 {
                IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
            } else {
                IpAddr::from(octets)
            };
            let (a, b) = (SocketAddr::new(address(a), port_a), SocketAddr::new(address(b), port_b));
            let hash = symmetric_hash(&FlowKey::new(SegmentId(0), VlanStack::UNTAGGED, a, b));
            prop_assert_eq!(hash, toeplitz(&SYMMETRIC_RSS_KEY, &input(a, b)));
            prop_assert_eq!(hash, toeplitz(&SYMMETRIC_RSS_KEY, &input(b, a)));
        }
    }
}
