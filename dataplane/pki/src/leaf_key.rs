//! The key that all forged leaves of one process share.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use sluice_random::CoreRandom;
use zeroize::Zeroizing;

use crate::encode;

/// Bytes of a P-256 scalar.
const SCALAR_BYTES: usize = 32;

/// Scalars drawn before giving up. One in 2^32 is out of range, so a second draw already means a broken generator.
const DRAWS_MAX: usize = 8;

/// A P-256 key pair, made at start, held in memory only, never written anywhere, cleared on drop.
///
/// One key for all leaves spares a key generation per origin. It gives nothing away: whoever has it can only pose towards
/// clients of this process, whose CA key is in the same memory.
pub struct LeafKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public_key: Vec<u8>,
    subject_key_id: [u8; 20],
}

/// A leaf key could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafKeyError {
    /// The generator gave no usable scalar, or the key could not be derived from one.
    #[error(
        "no P-256 key could be made for forged leaves; the random generator is broken, restart the process and check its log"
    )]
    NoKey,
}

impl LeafKey {
    /// Makes a key from 32 bytes of `random`.
    ///
    /// # Errors
    /// The generator gives no scalar between 1 and the order of the group in several draws.
    pub fn generate(random: &mut CoreRandom) -> Result<Self, LeafKeyError> {
        Self::from_draws(|scalar| random.fill(scalar))
    }

    /// The private key as PKCS#8 (RFC 5208, with the RFC 5915 public key).
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(crate) fn spki(&self) -> der::Result<Vec<u8>> {
        encode::sequence(&[&algorithm()?, &encode::bit_string(&self.public_key)?])
    }

    /// RFC 7093 2, method 1: the leftmost 160 bits of the SHA-256 of the public key.
    pub(crate) fn subject_key_id(&self) -> &[u8] {
        &self.subject_key_id
    }

    fn from_draws(mut draw: impl FnMut(&mut [u8])) -> Result<Self, LeafKeyError> {
        let mut scalar = Zeroizing::new([0; SCALAR_BYTES]);
        for _ in 0..DRAWS_MAX {
            draw(&mut scalar[..]);
            // Refuses 0 and what is not below the order (SEC 1 3.2.1).
            if let Ok(key) = PrivateKey::from_private_key(&ECDH_P256, &scalar[..]) {
                return Self::from_scalar(&scalar, &key).map_err(|()| LeafKeyError::NoKey);
            }
        }
        Err(LeafKeyError::NoKey)
    }

    fn from_scalar(scalar: &[u8; SCALAR_BYTES], key: &PrivateKey) -> Result<Self, ()> {
        let public_key = key.compute_public_key().map_err(|_| ())?.as_ref().to_vec();
        Ok(Self {
            pkcs8: pkcs8(scalar, &public_key),
            subject_key_id: key_identifier(&public_key),
            public_key,
        })
    }
}

impl std::fmt::Debug for LeafKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeafKey").finish_non_exhaustive()
    }
}

/// RFC 7093 2, method 1.
pub(crate) fn key_identifier(public_key: &[u8]) -> [u8; 20] {
    let hash = crate::certificate_sha256(public_key);
    let mut id = [0; 20];
    id.copy_from_slice(hash.split_at(20).0);
    id
}

/// AlgorithmIdentifier of id-ecPublicKey over secp256r1 (RFC 5480 2.1.1).
fn algorithm() -> der::Result<Vec<u8>> {
    use der::asn1::ObjectIdentifier;
    const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    encode::sequence(&[&encode::oid(EC_PUBLIC_KEY)?, &encode::oid(SECP256R1)?])
}

/// What stands before and between scalar and public point in the PKCS#8 of a P-256 key: every length is fixed, so the key is
/// written once into its own buffer and no copy of it stays behind in a freed one.
const PKCS8_BEFORE_SCALAR: [u8; 36] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];
const PKCS8_BEFORE_POINT: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];

fn pkcs8(scalar: &[u8; SCALAR_BYTES], point: &[u8]) -> Zeroizing<Vec<u8>> {
    let bytes = PKCS8_BEFORE_SCALAR.len() + scalar.len() + PKCS8_BEFORE_POINT.len() + point.len();
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    out.extend_from_slice(&PKCS8_BEFORE_SCALAR);
    out.extend_from_slice(scalar);
    out.extend_from_slice(&PKCS8_BEFORE_POINT);
    out.extend_from_slice(point);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    };

    #[test]
    fn the_key_signs_and_its_public_half_verifies() {
        let key = LeafKey::generate(&mut CoreRandom::new().unwrap()).unwrap();
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.pkcs8(), &random)
            .unwrap();
        assert_eq!(pair.public_key().as_ref(), key.public_key);
        let signature = pair.sign(&random, b"message").unwrap();
        assert!(
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.public_key)
                .verify(b"message", signature.as_ref())
                .is_ok()
        );
    }

    #[test]
    fn k149_two_processes_have_two_keys() {
        let mut random = CoreRandom::new().unwrap();
        assert_ne!(
            LeafKey::generate(&mut random).unwrap().pkcs8(),
            LeafKey::generate(&mut random).unwrap().pkcs8()
        );
    }

    #[test]
    fn a_broken_generator_is_refused() {
        assert_eq!(
            LeafKey::from_draws(|scalar| scalar.fill(0)).unwrap_err(),
            LeafKeyError::NoKey
        );
        assert_eq!(
            LeafKey::from_draws(|scalar| scalar.fill(0xff)).unwrap_err(),
            LeafKeyError::NoKey
        );
    }

    #[test]
    fn a_scalar_out_of_range_is_drawn_again() {
        let mut draws = 0;
        let key = LeafKey::from_draws(|scalar| {
            draws += 1;
            scalar.fill(if draws == 1 { 0xff } else { 7 });
        });
        assert!(key.is_ok());
        assert_eq!(draws, 2);
    }

    #[test]
    fn debug_shows_no_key() {
        let key = LeafKey::generate(&mut CoreRandom::new().unwrap()).unwrap();
        assert_eq!(format!("{key:?}"), "LeafKey { .. }");
    }
}
