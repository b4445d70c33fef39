//! Elliptic-curve key exchange with private keys from the core's own generator.
//!
//! aws-lc computes; the scalar comes from `sluice-random`, as every other random byte of a handshake, instead of from aws-lc's
//! own generator. The hybrid with ML-KEM stays rustls's own: its keys cannot be given from outside.

use core::fmt;

use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, PublicKey, UnparsedPublicKey};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};
use zeroize::Zeroizing;

use crate::limits::{SCALAR_BYTES_MAX, SCALAR_DRAWS_MAX};

/// X25519, RFC 7748.
pub(crate) static X25519: Group = Group {
    name: NamedGroup::X25519,
    algorithm: &agreement::X25519,
    scalar_bytes: 32,
    share: Share::Raw,
};

/// P-256, FIPS 186-5.
pub(crate) static SECP256R1: Group = Group {
    name: NamedGroup::secp256r1,
    algorithm: &agreement::ECDH_P256,
    scalar_bytes: 32,
    share: Share::Uncompressed,
};

/// P-384, FIPS 186-5.
pub(crate) static SECP384R1: Group = Group {
    name: NamedGroup::secp384r1,
    algorithm: &agreement::ECDH_P384,
    scalar_bytes: 48,
    share: Share::Uncompressed,
};

/// One group.
pub(crate) struct Group {
    name: NamedGroup,
    algorithm: &'static Algorithm,
    scalar_bytes: usize,
    share: Share,
}

/// How a public key is written. aws-lc reads other forms as well, which TLS forbids (RFC 8446 section 4.2.8.2).
#[derive(Clone, Copy)]
enum Share {
    Raw,
    Uncompressed,
}

struct Exchange {
    group: &'static Group,
    private_key: PrivateKey,
    public_key: PublicKey,
}

impl Group {
    fn begin(&'static self) -> Result<Exchange, Error> {
        let mut scalar = Zeroizing::new([0; SCALAR_BYTES_MAX]);
        let scalar = scalar.get_mut(..self.scalar_bytes).ok_or(GetRandomFailed)?;
        // A scalar outside the order of a NIST curve is refused and drawn again, which happens once in 2^32 draws.
        for _ in 0..SCALAR_DRAWS_MAX {
            sluice_random::fill(scalar).map_err(|_| GetRandomFailed)?;
            if let Ok(private_key) = PrivateKey::from_private_key(self.algorithm, scalar) {
                let public_key = private_key
                    .compute_public_key()
                    .map_err(|_| GetRandomFailed)?;
                return Ok(Exchange {
                    group: self,
                    private_key,
                    public_key,
                });
            }
        }
        Err(GetRandomFailed.into())
    }

    fn well_formed(&self, share: &[u8]) -> bool {
        match self.share {
            Share::Raw => share.len() == self.scalar_bytes,
            Share::Uncompressed => share.first() == Some(&4),
        }
    }
}

impl SupportedKxGroup for &'static Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let group: &'static Group = self;
        Ok(Box::new(group.begin()?))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        if !self.group.well_formed(peer) {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let peer = UnparsedPublicKey::new(self.group.algorithm, peer);
        let refused = Error::from(PeerMisbehaved::InvalidKeyShare);
        // aws-lc refuses points off the curve and a secret of zeroes.
        agreement::agree(&self.private_key, peer, refused, |secret| {
            Ok(SharedSecret::from(secret))
        })
    }

    fn pub_key(&self) -> &[u8] {
        self.public_key.as_ref()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.group.name
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::kx_group;

    use super::*;

    #[test]
    fn each_group_agrees_with_the_library_s_own() {
        let pairs: [(&'static Group, &dyn SupportedKxGroup); 3] = [
            (&X25519, kx_group::X25519),
            (&SECP256R1, kx_group::SECP256R1),
            (&SECP384R1, kx_group::SECP384R1),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(SupportedKxGroup::name(&ours), theirs.name());
            let (a, b) = (ours.start().unwrap(), theirs.start().unwrap());
            assert_eq!(a.pub_key().len(), b.pub_key().len());
            let (for_a, for_b) = (b.pub_key().to_vec(), a.pub_key().to_vec());
            let (a, b) = (a.complete(&for_a).unwrap(), b.complete(&for_b).unwrap());
            assert_eq!(a.secret_bytes(), b.secret_bytes());
        }
    }

    #[test]
    fn t59_points_that_are_none_are_refused() {
        let compressed = [&[2][..], &[1; 32]].concat();
        let off_the_curve = [&[4][..], &[1; 64]].concat();
        for (group, share) in [
            (&X25519, vec![0; 32]),
            (&X25519, vec![1; 31]),
            (&X25519, vec![]),
            (&X25519, [&[1][..], &[0; 31]].concat()),
            (&SECP256R1, compressed),
            (&SECP256R1, off_the_curve),
            (&SECP256R1, vec![0]),
            (&SECP256R1, vec![]),
            (&SECP384R1, [&[4][..], &[0; 96]].concat()),
        ] {
            let exchange = group.start().unwrap();
            assert!(
                matches!(
                    exchange.complete(&share),
                    Err(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
                ),
                "{group:?} {share:02x?}"
            );
        }
    }

    #[test]
    fn no_two_exchanges_have_the_same_key() {
        let (a, b) = ((&X25519).start().unwrap(), (&X25519).start().unwrap());
        assert_ne!(a.pub_key(), b.pub_key());
    }
}
