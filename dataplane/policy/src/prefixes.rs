//! A set of networks, asked for the longest that holds an address.

use core::net::IpAddr;

use ipnet::IpNet;

/// Networks sorted per family, with the prefix lengths that occur, longest first: one binary search per length.
#[derive(Debug, Default)]
pub(crate) struct PrefixSet {
    v4: Family,
    v6: Family,
}

#[derive(Debug, Default)]
struct Family {
    /// (prefix length, network's first address), sorted.
    networks: Vec<(u8, u128)>,
    /// The prefix lengths that occur, longest first.
    lengths: Vec<u8>,
}

impl PrefixSet {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        let mut set = Self::default();
        for network in networks {
            let family = match network {
                IpNet::V4(_) => &mut set.v4,
                IpNet::V6(_) => &mut set.v6,
            };
            family
                .networks
                .push((network.prefix_len(), bits(network.network())));
        }
        set.v4.finish();
        set.v6.finish();
        set
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.networks.is_empty() && self.v6.networks.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.longest(address).is_some()
    }

    /// The length of the longest prefix that holds the address.
    pub(crate) fn longest(&self, address: IpAddr) -> Option<u8> {
        match address {
            IpAddr::V4(_) => self.v4.longest(bits(address), 32),
            IpAddr::V6(_) => self.v6.longest(bits(address), 128),
        }
    }
}

impl Family {
    fn finish(&mut self) {
        self.networks.sort_unstable();
        self.networks.dedup();
        self.lengths = self.networks.iter().map(|(length, _)| *length).collect();
        self.lengths.dedup();
        self.lengths.reverse();
    }

    fn longest(&self, address: u128, width: u32) -> Option<u8> {
        self.lengths.iter().copied().find(|length| {
            let host_bits = width - u32::from(*length);
            // A shift by the whole width would overflow; the prefix 0 keeps nothing.
            let network = address
                .checked_shr(host_bits)
                .and_then(|a| a.checked_shl(host_bits))
                .unwrap_or(0);
            self.networks.binary_search(&(*length, network)).is_ok()
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
