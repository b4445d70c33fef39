//! Networks, asked for those that hold an address.

use core::net::IpAddr;

use ipnet::IpNet;

/// A set of networks.
#[derive(Debug, Default)]
pub(crate) struct PrefixSet(PrefixMap<()>);

/// Values by network. A lookup costs one binary search per prefix length that occurs in the family.
#[derive(Debug)]
pub(crate) struct PrefixMap<V> {
    v4: Family<V>,
    v6: Family<V>,
}

#[derive(Debug)]
struct Family<V> {
    /// By prefix length and the network's first address, sorted.
    networks: Vec<((u8, u128), V)>,
    /// The prefix lengths that occur, longest first.
    lengths: Vec<u8>,
}

impl PrefixSet {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(PrefixMap::new(
            networks.iter().map(|network| (*network, ())),
        ))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.v4.networks.is_empty() && self.0.v6.networks.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.longest(address).is_some()
    }

    /// The length of the longest prefix that holds the address.
    pub(crate) fn longest(&self, address: IpAddr) -> Option<u8> {
        self.0.matches(address).next().map(|(length, ())| length)
    }
}

impl<V> PrefixMap<V> {
    pub(crate) fn new(entries: impl Iterator<Item = (IpNet, V)>) -> Self {
        let mut map = Self::default();
        for (network, value) in entries {
            let family = match network {
                IpNet::V4(_) => &mut map.v4,
                IpNet::V6(_) => &mut map.v6,
            };
            family
                .networks
                .push(((network.prefix_len(), bits(network.network())), value));
        }
        map.v4.finish();
        map.v6.finish();
        map
    }

    /// The entries that hold the address with their prefix lengths, longest first; those of one network in their order.
    pub(crate) fn matches(&self, address: IpAddr) -> impl Iterator<Item = (u8, &V)> {
        let (family, width) = match address {
            IpAddr::V4(_) => (&self.v4, 32),
            IpAddr::V6(_) => (&self.v6, 128),
        };
        family.matches(bits(address), width)
    }
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        let family = || Family {
            networks: Vec::new(),
            lengths: Vec::new(),
        };
        Self {
            v4: family(),
            v6: family(),
        }
    }
}

impl<V> Family<V> {
    fn finish(&mut self) {
        // Stable: entries of one network stay in their order.
        self.networks.sort_by_key(|(key, _)| *key);
        self.lengths = self
            .networks
            .iter()
            .map(|((length, _), _)| *length)
            .collect();
        self.lengths.dedup();
        self.lengths.reverse();
    }

    fn matches(&self, address: u128, width: u32) -> impl Iterator<Item = (u8, &V)> {
        self.lengths.iter().flat_map(move |length| {
            let host_bits = width - u32::from(*length);
            // A shift by the whole width would overflow; the prefix 0 keeps nothing.
            let network = address
                .checked_shr(host_bits)
                .and_then(|a| a.checked_shl(host_bits))
                .unwrap_or(0);
            let wanted = (*length, network);
            let first = self.networks.partition_point(|(key, _)| *key < wanted);
            let same = self
                .networks
                .iter()
                .skip(first)
                .take_while(move |(key, _)| *key == wanted);
            same.map(|((length, _), value)| (*length, value))
        })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> PrefixSet {
        PrefixSet::new(
            &networks
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn the_longest_prefix_wins() {
        let set = set(&[
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3/32",
            "fd00::/8",
        ]);
        let longest = |text: &str| set.longest(text.parse().unwrap());
        assert_eq!(longest("192.0.2.1"), Some(0));
        assert_eq!(longest("10.9.9.9"), Some(8));
        assert_eq!(longest("10.1.9.9"), Some(16));
        assert_eq!(longest("10.1.2.3"), Some(32));
        assert_eq!(longest("fd00::1"), Some(8));
        assert_eq!(longest("2001:db8::1"), None, "the families are apart");
    }

    #[test]
    fn everything_and_nothing() {
        assert!(set(&["::/0"]).contains("::1".parse().unwrap()));
        assert!(set(&["::/0"]).contains("ffff::".parse().unwrap()));
        assert!(!set(&["::/0"]).contains("0.0.0.0".parse().unwrap()));
        assert!(set(&[]).is_empty());
        assert!(!set(&[]).contains("::1".parse().unwrap()));
    }

    #[test]
    fn every_match_is_told_the_longest_first() {
        let entries = [
            ("10.0.0.0/8", 1),
            ("10.1.0.0/16", 2),
            ("10.1.0.0/16", 3),
            ("::/0", 4),
        ];
        let map = PrefixMap::new(
            entries
                .iter()
                .map(|(text, value)| (text.parse().unwrap(), *value)),
        );
        let told = |text: &str| {
            map.matches(text.parse().unwrap())
                .map(|(_, value)| *value)
                .collect::<Vec<_>>()
        };
        assert_eq!(told("10.1.0.1"), [2, 3, 1]);
        assert_eq!(told("10.2.0.1"), [1]);
        assert_eq!(told("11.0.0.1"), [0; 0]);
        assert_eq!(told("::1"), [4]);
    }

    proptest! {
        /// The reference looks at every network.
        #[test]
        fn like_the_plain_search(
            networks in prop::collection::vec((any::<u32>(), 0u8..=32), 0..20),
            addresses in prop::collection::vec(any::<u32>(), 1..20),
        ) {
            let networks: Vec<IpNet> = networks
                .into_iter()
                .map(|(bits, length)| ipnet::Ipv4Net::new(bits.into(), length).unwrap().trunc().into())
                .collect();
            let set = PrefixSet::new(&networks);
            let inside = networks.iter().map(IpNet::addr);
            for address in addresses.into_iter().map(|bits| IpAddr::from(core::net::Ipv4Addr::from(bits))).chain(inside) {
                let plain = networks.iter().filter(|n| n.contains(&address)).map(IpNet::prefix_len).max();
                prop_assert_eq!(set.longest(address), plain);
            }
        }
    }
}
