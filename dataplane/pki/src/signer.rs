//! A CA's private key: RSA, ECDSA over P-256 or P-384, Ed25519.

use der::asn1::ObjectIdentifier;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::encode;

const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";
const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
const CURVE_P256: &str = "1.2.840.10045.3.1.7";
const CURVE_P384: &str = "1.3.132.0.34";
const ED25519_KEY: &str = "1.3.101.112";

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Where a signature should be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Tens of microseconds: on the core that needs it.
    Inline,
    /// A millisecond (RSA-2048) to several (RSA-4096): on a helper thread, so that the core's other flows do not wait.
    Offload,
}

/// Why a private key cannot sign for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The certificate's key is of a kind that is not signed with here.
    #[error(
        "its key type ({algorithm}) cannot sign: use RSA of 2048 to 4096 bits, ECDSA over P-256 or P-384, or Ed25519"
    )]
    Unsupported {
        /// The algorithm, and for elliptic curves the curve, as dotted object identifiers.
        algorithm: String,
    },
    /// The private key could not be read as the kind of key that the certificate holds.
    #[error(
        "the private key was refused as {expected}: {reason}; give the {expected} key of this certificate as PKCS#8, 2048 to 4096 bits if RSA"
    )]
    Rejected {
        /// What the certificate calls for.
        expected: &'static str,
        /// The short reason of the cryptographic library.
        reason: String,
    },
    /// The private key is not the one of this certificate.
    #[error(
        "the private key does not belong to this certificate; give the key the certificate was issued for"
    )]
    Mismatch,
    /// A signature made with the private key did not verify under the certificate's key.
    #[error(
        "a trial signature did not verify; the private key is damaged, restore it from its backup"
    )]
    Inconsistent,
}

pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    P384(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    /// Reads the PKCS#8 private key of `public`, and proves with a trial signature that they belong together.
    pub(crate) fn for_certificate(
        public: &SubjectPublicKeyInfo<'_>,
        pkcs8: &[u8],
    ) -> Result<Self, KeyProblem> {
        let signer = Self::read(public, pkcs8)?;
        if signer.public_key() != public.subject_public_key.data.as_ref() {
            return Err(KeyProblem::Mismatch);
        }
        signer.prove()?;
        Ok(signer)
    }

    /// The AlgorithmIdentifier, in DER, that names this key's signatures.
    pub(crate) fn algorithm_identifier(&self) -> der::Result<Vec<u8>> {
        const NULL: &[u8] = &[0x05, 0x00];
        match self {
            // RFC 4055 2.1: the parameters of RSA signatures are NULL; RFC 5758 3.2 and RFC 8410 3: the others have none.
            Self::Rsa(_) => encode::sequence(&[&encode::oid(SHA256_WITH_RSA)?, NULL]),
            Self::P256(_) => encode::sequence(&[&encode::oid(ECDSA_WITH_SHA256)?]),
            Self::P384(_) => encode::sequence(&[&encode::oid(ECDSA_WITH_SHA384)?]),
            Self::Ed25519(_) => encode::sequence(&[&encode::oid(ID_ED25519)?]),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::P256(key) | Self::P384(key) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }

    pub(crate) fn cost(&self) -> Cost {
        match self {
            Self::Rsa(_) => Cost::Offload,
            Self::P256(_) | Self::P384(_) | Self::Ed25519(_) => Cost::Inline,
        }
    }

    fn read(public: &SubjectPublicKeyInfo<'_>, pkcs8: &[u8]) -> Result<Self, KeyProblem> {
        let rejected = |expected| {
            move |error: ring::error::KeyRejected| KeyProblem::Rejected {
                expected,
                reason: error.to_string(),
            }
        };
        let algorithm = public.algorithm.algorithm.to_id_string();
        let curve = public
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.as_oid().ok())
            .map(|oid| oid.to_id_string());
        let random = SystemRandom::new();
        match (algorithm.as_str(), curve.as_deref()) {
            (RSA_ENCRYPTION, _) => RsaKeyPair::from_pkcs8(pkcs8)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(rejected("RSA")),
            (EC_PUBLIC_KEY, Some(CURVE_P256)) => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &random)
                    .map(|key| Self::P256(Box::new(key)))
                    .map_err(rejected("ECDSA P-256"))
            }
            (EC_PUBLIC_KEY, Some(CURVE_P384)) => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8, &random)
                    .map(|key| Self::P384(Box::new(key)))
                    .map_err(rejected("ECDSA P-384"))
            }
            (ED25519_KEY, _) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map(|key| Self::Ed25519(Box::new(key)))
                .map_err(rejected("Ed25519")),
            (_, Some(curve)) => Err(KeyProblem::Unsupported {
                algorithm: format!("{algorithm}, curve {curve}"),
            }),
            (_, None) => Err(KeyProblem::Unsupported { algorithm }),
        }
    }

    fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public_key().as_ref(),
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Ed25519(key) => key.public_key().as_ref(),
        }
    }

    fn prove(&self) -> Result<(), KeyProblem> {
        const TRIAL: &[u8] = b"pairwise consistency of a signing certificate and its key";
        let algorithm: &dyn VerificationAlgorithm = match self {
            Self::Rsa(_) => &RSA_PKCS1_2048_8192_SHA256,
            Self::P256(_) => &ECDSA_P256_SHA256_ASN1,
            Self::P384(_) => &ECDSA_P384_SHA384_ASN1,
            Self::Ed25519(_) => &ED25519,
        };
        let signature = self.sign(TRIAL).map_err(|_| KeyProblem::Inconsistent)?;
        UnparsedPublicKey::new(algorithm, self.public_key())
            .verify(TRIAL, &signature)
            .map_err(|_| KeyProblem::Inconsistent)
    }
}
