//! Making a leaf.

use std::net::IpAddr;
use std::sync::Arc;

use der::asn1::ObjectIdentifier;
use rustls_pki_types::CertificateDer;
use sluice_random::CoreRandom;
use x509_parser::prelude::GeneralName;

use crate::ca::SigningCa;
use crate::encode;
use crate::leaf_key::LeafKey;
use crate::limits::{
    LEAF_RENEW_BEFORE_S, ORIGIN_CERTIFICATE_BYTES_MAX, SERIAL_BYTES, SERVER_NAME_BYTES_MAX,
};
use crate::origin::{Origin, names_itself};
use crate::validity::Validity;

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// What a leaf is made from. `Send`, so that a helper thread can make it.
#[derive(Clone, Debug)]
pub struct ForgeRequest {
    /// The CA that signs: the trusted one for an origin that verified, the untrusted one otherwise.
    pub ca: Arc<SigningCa>,
    /// The origin's certificate.
    pub origin: CertificateDer<'static>,
    /// The leaf's key.
    pub leaf_key: Arc<LeafKey>,
    /// The host name or IP address the client asked for. Written into the leaf only where the origin names nothing.
    pub server_name: Option<String>,
    /// Seconds since the Unix epoch.
    pub now_unix_s: u64,
}

/// A leaf for an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgedLeaf {
    /// The leaf, then the CA and those above it, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// SHA-256 of the leaf: with [`Self::origin_sha256`] the link from what the client saw to what the origin showed.
    pub sha256: [u8; 32],
    /// SHA-256 of the origin's certificate.
    pub origin_sha256: [u8; 32],
    /// Last second of the leaf's validity, since the Unix epoch.
    pub not_after_unix_s: u64,
    /// From when on a cache forges it anew. Never for a leaf that was outside its validity from the start.
    pub renew_at_unix_s: u64,
    /// Bytes of all certificates of the chain.
    pub bytes: usize,
}

/// A leaf was not made. The flow is blocked: the client gets no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// The origin's certificate is larger than [`crate::limits::ORIGIN_CERTIFICATE_BYTES_MAX`].
    #[error(
        "the origin's certificate has {bytes} bytes, more than {ORIGIN_CERTIFICATE_BYTES_MAX}; nothing is forged for it, except the origin from decryption if it must be reached"
    )]
    OriginTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The origin's certificate, or a part of it that the leaf takes over, cannot be read.
    #[error(
        "the origin's certificate is malformed ({what}); nothing is forged for it, except the origin from decryption if it must be reached"
    )]
    OriginMalformed {
        /// The part that is wrong.
        what: &'static str,
    },
    /// The origin has neither a subject nor names, and no server name is known.
    #[error(
        "the origin's certificate has neither subject nor names and the client asked for no name; nothing is forged for it"
    )]
    NothingToName,
    /// Name constraints of the signing CA forbid the leaf.
    #[error(
        "signing certificate `{ca}` may not sign for `{name}`: {why}; use a CA without this constraint, or except the origin from decryption"
    )]
    NameConstrained {
        /// The signing CA's name in the certificate store.
        ca: String,
        /// The name of the leaf that is forbidden.
        name: String,
        /// Which way it is.
        why: &'static str,
    },
    /// The leaf could not be written as DER.
    #[error(
        "the leaf could not be encoded ({0}); the origin's certificate is at an extreme of the format"
    )]
    Encoding(der::Error),
    /// The CA's key did not sign.
    #[error(
        "signing certificate `{ca}` did not sign; its key or the system's random generator fails, see the system log"
    )]
    Signing {
        /// The signing CA's name in the certificate store.
        ca: String,
    },
}

/// Makes a leaf for an origin. Pure computation: tens of microseconds, or what an RSA signature of the CA's key size takes.
///
/// Subject and subjectAltName are the origin's, byte for byte. All else is written here: version 3, a random positive serial,
/// the issuer and authority key identifier of the CA, dates within the origin's and the CA's, cA=FALSE, keyUsage
/// digitalSignature and extendedKeyUsage serverAuth whatever the origin has (RFC 5280 4.1 and 4.2).
///
/// # Errors
/// The origin's certificate is malformed or extreme, or the CA may not sign its names.
pub fn forge(request: &ForgeRequest, random: &mut CoreRandom) -> Result<ForgedLeaf, ForgeError> {
    let mut serial = [0; SERIAL_BYTES];
    random.fill(&mut serial);
    forge_with_serial(request, serial)
}

fn forge_with_serial(
    request: &ForgeRequest,
    random: [u8; SERIAL_BYTES],
) -> Result<ForgedLeaf, ForgeError> {
    let ForgeRequest {
        ca,
        origin: origin_der,
        leaf_key,
        ..
    } = request;
    let origin = Origin::read(origin_der)?;
    let synthesized = synthesized_name(request);
    if origin.subject_is_empty() && origin.san.is_none() && synthesized.is_none() {
        return Err(ForgeError::NothingToName);
    }
    ca.may_sign(
        &origin,
        synthesized
            .as_ref()
            .map(SynthesizedName::as_general_name)
            .as_ref(),
    )
    .map_err(|forbidden| ForgeError::NameConstrained {
        ca: ca.name().to_owned(),
        name: forbidden.name,
        why: forbidden.why,
    })?;
    let validity = Validity::of_leaf(origin.validity, ca.validity(), request.now_unix_s);
    let tbs = to_be_signed(
        ca,
        leaf_key,
        &origin,
        synthesized.as_ref(),
        validity,
        random,
    )
    .map_err(ForgeError::Encoding)?;
    let signature = ca.signer().sign(&tbs).map_err(|_| ForgeError::Signing {
        ca: ca.name().to_owned(),
    })?;
    let leaf = certificate(ca, &tbs, &signature).map_err(ForgeError::Encoding)?;
    Ok(ForgedLeaf::new(leaf, request, validity))
}

impl ForgedLeaf {
    fn new(leaf: Vec<u8>, request: &ForgeRequest, validity: Validity) -> Self {
        let sha256 = crate::certificate_sha256(&leaf);
        let mut chain = vec![CertificateDer::from(leaf)];
        chain.extend(request.ca.issuers().iter().cloned());
        let valid_from_the_start = validity.holds(request.now_unix_s);
        Self {
            sha256,
            origin_sha256: crate::certificate_sha256(&request.origin),
            not_after_unix_s: validity.not_after,
            renew_at_unix_s: if valid_from_the_start {
                validity.not_after.saturating_sub(LEAF_RENEW_BEFORE_S)
            } else {
                u64::MAX
            },
            bytes: chain.iter().map(|der| der.len()).sum(),
            chain,
        }
    }
}

/// The one name of a leaf whose origin names nothing.
enum SynthesizedName {
    Dns(String),
    Ip(Vec<u8>),
}

impl SynthesizedName {
    fn as_general_name(&self) -> GeneralName<'_> {
        match self {
            Self::Dns(name) => GeneralName::DNSName(name),
            Self::Ip(bytes) => GeneralName::IPAddress(bytes),
        }
    }

    /// GeneralNames with this one (RFC 5280 4.2.1.6): dNSName is [2], iPAddress is [7], both implicit.
    fn san(&self) -> der::Result<Vec<u8>> {
        let name = match self {
            Self::Dns(name) => encode::context(2, false, name.as_bytes())?,
            Self::Ip(bytes) => encode::context(7, false, bytes)?,
        };
        encode::sequence(&[&name])
    }
}

fn synthesized_name(request: &ForgeRequest) -> Option<SynthesizedName> {
    let name = request
        .server_name
        .as_deref()
        .filter(|_| !names_itself(&request.origin))?;
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => Some(SynthesizedName::Ip(address.octets().to_vec())),
        Ok(IpAddr::V6(address)) => Some(SynthesizedName::Ip(address.octets().to_vec())),
        Err(_) => is_host_name(name).then(|| SynthesizedName::Dns(name.to_ascii_lowercase())),
    }
}

/// Letters, digits, hyphens and underscores between dots: what may stand in a dNSName. A wildcard never comes from a client.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= SERVER_NAME_BYTES_MAX && name.split('.').all(label)
}

/// TBSCertificate of RFC 5280 4.1.
fn to_be_signed(
    ca: &SigningCa,
    leaf_key: &LeafKey,
    origin: &Origin<'_>,
    synthesized: Option<&SynthesizedName>,
    validity: Validity,
    random: [u8; SERIAL_BYTES],
) -> der::Result<Vec<u8>> {
    const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
    encode::sequence(&[
        VERSION_3,
        &serial_number(random)?,
        &ca.signer().algorithm_identifier()?,
        ca.subject(),
        &encode::sequence(&[
            &encode::time(validity.not_before)?,
            &encode::time(validity.not_after)?,
        ])?,
        origin.subject.as_raw(),
        &leaf_key.spki()?,
        &encode::context(3, true, &extensions(ca, leaf_key, origin, synthesized)?)?,
    ])
}

fn extensions(
    ca: &SigningCa,
    leaf_key: &LeafKey,
    origin: &Origin<'_>,
    synthesized: Option<&SynthesizedName>,
) -> der::Result<Vec<u8>> {
    const NOT_A_CA: &[u8] = &[0x30, 0];
    const DIGITAL_SIGNATURE: &[u8] = &[0x03, 2, 7, 0x80];
    let names = match (&origin.san, synthesized) {
        (Some(san), _) => Some(san.raw.to_vec()),
        (None, Some(name)) => Some(name.san()?),
        (None, None) => None,
    };
    // RFC 5280 4.2.1.6: critical exactly where the subject is empty and the names are all there is.
    let names = names
        .map(|names| encode::extension(SUBJECT_ALT_NAME, origin.subject_is_empty(), &names))
        .transpose()?;
    encode::sequence(&[
        &encode::extension(BASIC_CONSTRAINTS, true, NOT_A_CA)?,
        &encode::extension(KEY_USAGE, true, DIGITAL_SIGNATURE)?,
        &encode::extension(
            EXTENDED_KEY_USAGE,
            false,
            &encode::sequence(&[&encode::oid(SERVER_AUTH)?])?,
        )?,
        &encode::extension(
            SUBJECT_KEY_IDENTIFIER,
            false,
            &encode::octet_string(leaf_key.subject_key_id())?,
        )?,
        &encode::extension(
            AUTHORITY_KEY_IDENTIFIER,
            false,
            &encode::sequence(&[&encode::context(0, false, ca.subject_key_id())?])?,
        )?,
        names.as_deref().unwrap_or_default(),
    ])
}

/// RFC 5280 4.1.2.2: positive and not zero. The two top bits are fixed (0, then 1), the other 126 are random.
fn serial_number(mut random: [u8; SERIAL_BYTES]) -> der::Result<Vec<u8>> {
    random[0] = (random[0] & 0x3f) | 0x40;
    encode::tlv(der::Tag::Integer, &random)
}

fn certificate(ca: &SigningCa, tbs: &[u8], signature: &[u8]) -> der::Result<Vec<u8>> {
    encode::sequence(&[
        tbs,
        &ca.signer().algorithm_identifier()?,
        &encode::bit_string(signature)?,
    ])
}

#[cfg(test)]
mod tests;
