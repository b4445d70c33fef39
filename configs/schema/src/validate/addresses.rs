//! Addresses and networks as documents write them.

use core::net::IpAddr;
use core::str::FromStr;

use ipnet::IpNet;

/// A network without host bits; a bare address is a network of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network(pub(crate) IpNet);

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkTextError {
    #[error(
        "it is neither an address nor a network; write one such as 10.201.0.0/16, 10.201.2.2 or fd00:201::/64"
    )]
    Neither,
    #[error("it has bits past its prefix; write {0}")]
    HostBits(IpNet),
}

impl FromStr for Network {
    type Err = NetworkTextError;
    fn from_str(text: &str) -> Result<Self, NetworkTextError> {
        let net = match text.parse::<IpNet>() {
            Ok(net) => net,
            Err(_) => text
                .parse::<IpAddr>()
                .map(IpNet::from)
                .map_err(|_| NetworkTextError::Neither)?,
        };
        if net.addr() == net.network() {
            Ok(Self(net))
        } else {
            Err(NetworkTextError::HostBits(net.trunc()))
        }
    }
}

/// Whether two networks share an address.
pub(crate) fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_with_and_without_prefix() {
        for (text, expected) in [
            ("10.201.0.0/16", "10.201.0.0/16"),
            ("10.201.2.2", "10.201.2.2/32"),
            ("fd00:201::/64", "fd00:201::/64"),
            ("fd00:201::2:2", "fd00:201::2:2/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().0.to_string(), expected);
        }
    }

    #[test]
    fn host_bits_are_refused_with_what_to_write() {
        assert_eq!(
            "10.1.2.3/16".parse::<Network>().unwrap_err().to_string(),
            "it has bits past its prefix; write 10.1.0.0/16"
        );
        for text in [
            "",
            "10.1.2",
            "10.1.2.3/33",
            "example.com",
            "10.0.0.0/-1",
            "fd00::/129",
        ] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkTextError::Neither),
                "{text:?}"
            );
        }
    }

    #[test]
    fn networks_of_different_families_never_overlap() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert!(overlap(net("10.0.0.0/8"), net("10.1.0.0/16")));
        assert!(overlap(net("10.1.0.0/16"), net("10.0.0.0/8")));
        assert!(!overlap(net("10.1.0.0/16"), net("10.2.0.0/16")));
        assert!(!overlap(net("0.0.0.0/0"), net("::/0")));
    }
}
