//! Community ID version 1: a flow's name that every tool computes alike.
//!
//! Source: <https://github.com/corelight/community-id-spec>.

use core::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const TCP: u8 = 6;

/// The community id of a TCP flow with the given seed (0 unless the whole site agrees on another).
///
/// Both directions of a flow give the same id: the lower endpoint (address, then port) is hashed first.
#[must_use]
pub fn community_id(seed: u16, one: SocketAddr, other: SocketAddr) -> String {
    let (low, high) = ordered(one, other);
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    address(&mut hash, low.ip());
    address(&mut hash, high.ip());
    hash.update([TCP, 0]);
    hash.update(low.port().to_be_bytes());
    hash.update(high.port().to_be_bytes());
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

fn ordered(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    if (one.ip(), one.port()) <= (other.ip(), other.port()) {
        (one, other)
    } else {
        (other, one)
    }
}

fn address(hash: &mut Sha1, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => hash.update(v4.octets()),
        IpAddr::V6(v6) => hash.update(v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published TCP vectors with seed 0: the specification's reference set, and Zeek's own test.
    const VECTORS: &[(&str, &str, &str)] = &[
        (
            "128.232.110.120:34855",
            "66.35.250.204:80",
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        (
            "[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943",
            "[2607:f8b0:400c:c03::1a]:25",
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (
            "1.2.3.4:1122",
            "5.6.7.8:3344",
            "1:wCb3OG7yAFWelaUydu0D+125CLM=",
        ),
    ];

    #[test]
    fn the_published_vectors_in_both_directions() {
        for (one, other, expected) in VECTORS {
            let (one, other): (SocketAddr, SocketAddr) =
                (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(community_id(0, one, other), *expected);
            assert_eq!(community_id(0, other, one), *expected);
        }
    }

    #[test]
    fn the_seed_changes_it() {
        let (one, other) = ("1.2.3.4:1".parse().unwrap(), "1.2.3.4:2".parse().unwrap());
        assert_ne!(community_id(0, one, other), community_id(1, one, other));
        assert_eq!(community_id(1, one, other), community_id(1, other, one));
    }
}
