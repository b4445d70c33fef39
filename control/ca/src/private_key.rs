//! Private keys: making them, reading them, and telling whose they are.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Encode, Tag};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use serde::{Deserialize, Serialize};
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVE_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const CURVE_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The kinds of key that are made here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// ECDSA over P-256: signs a leaf in tens of microseconds and is understood everywhere.
    #[default]
    P256,
    /// ECDSA over P-384.
    P384,
}

/// A private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// No kind of key that is understood.
    #[error(
        "the private key cannot be used: it is no PKCS#8, PKCS#1 or SEC 1 key of RSA 2048 to 4096 bits, ECDSA P-256 or P-384 (with its public key), or Ed25519"
    )]
    Unsupported,
    /// The key type's name is none that is known.
    #[error("`{0}` is no key type; use rsa2048, rsa3072, rsa4096, p256 or p384")]
    UnknownType(String),
    /// The system's generator or the cryptographic library failed.
    #[error(
        "no private key could be made: the system's random generator failed; see the system log"
    )]
    NotMade,
}

impl KeyType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
    ];

    /// The name on the command line and in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::P256 => "p256",
            Self::P384 => "p384",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyType {
    type Err = KeyProblem;

    fn from_str(text: &str) -> Result<Self, KeyProblem> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| KeyProblem::UnknownType(text.to_owned()))
    }
}

/// A private key that the data plane can sign with, and its public half.
pub(crate) struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

impl PrivateKey {
    pub(crate) fn generate(kind: KeyType) -> Result<Self, KeyProblem> {
        let pkcs8 = match kind {
            KeyType::Rsa2048 => generate_rsa(KeySize::Rsa2048)?,
            KeyType::Rsa3072 => generate_rsa(KeySize::Rsa3072)?,
            KeyType::Rsa4096 => generate_rsa(KeySize::Rsa4096)?,
            KeyType::P256 => generate_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeyType::P384 => generate_ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
        };
        Self::from_pkcs8(pkcs8)
    }

    /// Reads a key in any of its encodings: PKCS#8, PKCS#1 (RSA) or SEC 1 (EC).
    pub(crate) fn from_der(der: &Zeroizing<Vec<u8>>) -> Result<Self, KeyProblem> {
        let wrapped = [
            Some(der.clone()),
            wrap(RSA_ENCRYPTION, None, der),
            wrap(EC_PUBLIC_KEY, Some(CURVE_P256), der),
            wrap(EC_PUBLIC_KEY, Some(CURVE_P384), der),
        ];
        wrapped
            .into_iter()
            .flatten()
            .find_map(|pkcs8| Self::from_pkcs8(pkcs8).ok())
            .ok_or(KeyProblem::Unsupported)
    }

    pub(crate) fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyProblem> {
        let public = public_key(&pkcs8).ok_or(KeyProblem::Unsupported)?;
        Ok(Self { pkcs8, public })
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Whether this is the key of a certificate.
    pub(crate) fn belongs_to(&self, spki: &SubjectPublicKeyInfo<'_>) -> bool {
        self.public == spki.subject_public_key.data.as_ref()
    }

    pub(crate) fn for_rcgen(&self) -> Result<rcgen::KeyPair, rcgen::Error> {
        rcgen::KeyPair::try_from(self.pkcs8())
    }
}

/// What a certificate's key is, for people: `RSA 2048`, `ECDSA P-256`, `Ed25519`, or its identifier.
pub(crate) fn describe(spki: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    let curve = spki
        .algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.as_oid().ok())
        .map(|oid| oid.to_id_string());
    match (algorithm.as_str(), curve.as_deref(), spki.parsed()) {
        ("1.2.840.113549.1.1.1", _, Ok(x509_parser::public_key::PublicKey::RSA(key))) => {
            format!("RSA {}", rsa_bits(key.modulus))
        }
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), _) => "ECDSA P-256".to_owned(),
        ("1.2.840.10045.2.1", Some("1.3.132.0.34"), _) => "ECDSA P-384".to_owned(),
        ("1.2.840.10045.2.1", Some("1.3.132.0.35"), _) => "ECDSA P-521".to_owned(),
        ("1.3.101.112", _, _) => "Ed25519".to_owned(),
        _ => algorithm,
    }
}

fn rsa_bits(modulus: &[u8]) -> usize {
    let significant = modulus
        .iter()
        .position(|&byte| byte != 0)
        .and_then(|at| modulus.get(at..))
        .unwrap_or_default();
    significant.first().map_or(0, |first| {
        significant.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0)
    })
}

fn generate_rsa(size: KeySize) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let key = aws_lc_rs::rsa::KeyPair::generate(size).map_err(|_| KeyProblem::NotMade)?;
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyProblem::NotMade)?;
    Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
}

fn generate_ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
        .map_err(|_| KeyProblem::NotMade)?;
    Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
}

/// PrivateKeyInfo (RFC 5208 5) around a key in its own encoding. RSA's parameters are NULL.
fn wrap(
    algorithm: ObjectIdentifier,
    curve: Option<ObjectIdentifier>,
    key: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    const VERSION_0: &[u8] = &[2, 1, 0];
    const NULL: &[u8] = &[5, 0];
    let parameters = curve
        .map_or(Ok(NULL.to_vec()), |curve| curve.to_der())
        .ok()?;
    let identifier = AnyRef::new(
        Tag::Sequence,
        &[algorithm.to_der().ok()?, parameters].concat(),
    )
    .ok()?
    .to_der()
    .ok()?;
    let key = Zeroizing::new(AnyRef::new(Tag::OctetString, key).ok()?.to_der().ok()?);
    let mut content = Zeroizing::new(Vec::with_capacity(
        VERSION_0.len() + identifier.len() + key.len(),
    ));
    for part in [VERSION_0, &identifier, &key] {
        content.extend_from_slice(part);
    }
    AnyRef::new(Tag::Sequence, &content)
        .ok()?
        .to_der()
        .ok()
        .map(Zeroizing::new)
}

/// The public key of a PKCS#8 key, encoded as a certificate's subjectPublicKey is.
fn public_key(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let ecdsa = |algorithm| {
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &random)
            .map(|key| key.public_key().as_ref().to_vec())
            .ok()
    };
    ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
        .or_else(|| ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING))
        .or_else(|| {
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map(|key| key.public_key().as_ref().to_vec())
                .ok()
        })
        .or_else(|| {
            RsaKeyPair::from_pkcs8(pkcs8)
                .map(|key| key.public_key().as_ref().to_vec())
                .ok()
        })
}
