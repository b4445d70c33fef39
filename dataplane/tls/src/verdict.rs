//! What an origin's certificate is worth.
//!
//! Where several things are wrong, the most serious is told, because a profile may let a single kind through:
//! `Invalid`, then `SelfSigned` or `UnknownIssuer`, then `NameMismatch`, `WeakKey`, `NotYetValid`, `Expired`. An expired
//! certificate of an unknown issuer is thus never taken for one that has merely expired.

mod cache;

use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use sluice_telemetry::OriginVerdict;
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

pub(crate) use self::cache::judge_cached;
use crate::TrustStore;
use crate::limits::{CHAIN_CERTIFICATES_MAX, VALIDITY_RETRIES_MAX};

/// What is judged, against what.
pub(crate) struct Question<'a> {
    pub(crate) leaf: &'a CertificateDer<'a>,
    pub(crate) intermediates: &'a [CertificateDer<'a>],
    pub(crate) name: &'a ServerName<'a>,
    pub(crate) trust: &'a TrustStore,
    pub(crate) algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    pub(crate) minimum_key_bits: u16,
    pub(crate) now_unix_s: u64,
}

/// The verdict. Deterministic; bounded by webpki's budget for paths, signatures and name constraints.
pub(crate) fn judge(question: &Question<'_>) -> OriginVerdict {
    let Ok(leaf) = EndEntityCert::try_from(question.leaf) else {
        return OriginVerdict::Invalid;
    };
    let Ok((rest, parsed)) = X509Certificate::from_der(question.leaf) else {
        return OriginVerdict::Invalid;
    };
    if !rest.is_empty() || question.intermediates.len() >= CHAIN_CERTIFICATES_MAX {
        return OriginVerdict::Invalid;
    }
    let chain = chain(question, &leaf);
    if let Chain::Fault(fault) = chain {
        // Before all else, because such a certificate often is a CA as well, or of the first version.
        return if self_signed(question, &leaf) {
            OriginVerdict::SelfSigned
        } else {
            fault
        };
    }
    if !key_usage_fits(&parsed) {
        return OriginVerdict::Invalid;
    }
    match leaf.verify_is_valid_for_subject_name(question.name) {
        Ok(()) => {}
        Err(Error::CertNotValidForName(_)) => return OriginVerdict::NameMismatch,
        Err(_) => return OriginVerdict::Invalid,
    }
    match key_strength(&parsed, question.minimum_key_bits) {
        Strength::Enough => {}
        Strength::Weak => return OriginVerdict::WeakKey,
        Strength::Unknown => return OriginVerdict::Invalid,
    }
    match chain {
        Chain::NotYetValid => OriginVerdict::NotYetValid,
        Chain::Expired => OriginVerdict::Expired,
        Chain::Good | Chain::Fault(_) => OriginVerdict::Trusted,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    Good,
    /// It would be good at another moment.
    NotYetValid,
    Expired,
    Fault(OriginVerdict),
}

/// Verifies the path now; where only a date is in the way, verifies it again at a moment when that date is met, to see what
/// else is wrong.
fn chain(question: &Question<'_>, leaf: &EndEntityCert<'_>) -> Chain {
    let mut moment = question.now_unix_s;
    let mut outcome = Chain::Good;
    for _ in 0..VALIDITY_RETRIES_MAX {
        match path(question, leaf, moment) {
            Ok(()) => return outcome,
            Err(Error::CertNotValidYet { not_before, .. }) => {
                if outcome == Chain::Expired {
                    return no_common_moment(question, leaf);
                }
                outcome = Chain::NotYetValid;
                moment = not_before.as_secs();
            }
            Err(Error::CertExpired { not_after, .. }) => {
                if outcome == Chain::NotYetValid {
                    return no_common_moment(question, leaf);
                }
                outcome = Chain::Expired;
                moment = not_after.as_secs();
            }
            // Only after the dates, which webpki looks at first.
            Err(Error::CaUsedAsEndEntity) if listed(question) => return outcome,
            Err(Error::UnknownIssuer) => return Chain::Fault(OriginVerdict::UnknownIssuer),
            Err(_) => return Chain::Fault(OriginVerdict::Invalid),
        }
    }
    Chain::Fault(OriginVerdict::Invalid)
}

/// Whether the operator put this very certificate into the trust store. Servers that made their own certificate often
/// flag it as a CA, which no path may end in; being listed is better than a path, if it is for servers.
fn listed(question: &Question<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(question.leaf) else {
        return false;
    };
    let for_servers = match parsed.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.any || usage.value.server_auth,
        Err(_) => false,
    };
    for_servers && question.trust.lists(question.leaf)
}

/// One certificate of the path ended before another began, so that nothing can be said about the path as a whole.
fn no_common_moment(question: &Question<'_>, leaf: &EndEntityCert<'_>) -> Chain {
    if self_signed(question, leaf) {
        return Chain::Fault(OriginVerdict::SelfSigned);
    }
    Chain::Fault(OriginVerdict::Invalid)
}

fn path(
    question: &Question<'_>,
    leaf: &EndEntityCert<'_>,
    moment_unix_s: u64,
) -> Result<(), Error> {
    leaf.verify_for_usage(
        question.algorithms,
        question.trust.anchors(),
        question.intermediates,
        at(moment_unix_s),
        KeyUsage::server_auth(),
        None,
        Some(&|path| authorities(question, path, moment_unix_s)),
    )
    .map(|_| ())
}

/// What webpki leaves open: that every CA of the path may sign certificates (RFC 5280 section 4.2.1.3), and that the
/// operator's own anchor is inside its validity.
fn authorities(
    question: &Question<'_>,
    path: &VerifiedPath<'_>,
    moment_unix_s: u64,
) -> Result<(), Error> {
    for intermediate in path.intermediate_certificates() {
        let der = intermediate.der();
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Error::BadDer)?;
        let usage = parsed
            .key_usage()
            .map_err(|_| Error::ExtensionValueInvalid)?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(Error::EndEntityUsedAsCa);
        }
    }
    let Some(validity) = question.trust.validity(path.anchor()) else {
        return Ok(());
    };
    if moment_unix_s < validity.not_before_unix_s {
        return Err(Error::CertNotValidYet {
            time: at(moment_unix_s),
            not_before: at(validity.not_before_unix_s),
        });
    }
    if moment_unix_s > validity.not_after_unix_s {
        return Err(Error::CertExpired {
            time: at(moment_unix_s),
            not_after: at(validity.not_after_unix_s),
        });
    }
    Ok(())
}

/// Whether the leaf names itself as its issuer and its own key signed it.
fn self_signed(question: &Question<'_>, leaf: &EndEntityCert<'_>) -> bool {
    if leaf.issuer() != leaf.subject() {
        return false;
    }
    let Ok((_, parsed)) = X509Certificate::from_der(question.leaf) else {
        return false;
    };
    let signed = parsed.tbs_certificate.as_ref();
    let signature = &parsed.signature_value.data;
    question
        .algorithms
        .iter()
        .any(|&algorithm| leaf.verify_signature(algorithm, signed, signature).is_ok())
}

/// Every suite spoken here has the origin sign, so a certificate that says what its key is for must say that
/// (RFC 5246 section 7.4.2, RFC 8446 section 4.4.2.2).
fn key_usage_fits(leaf: &X509Certificate<'_>) -> bool {
    match leaf.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.digital_signature()),
        Err(_) => false,
    }
}

enum Strength {
    Enough,
    Weak,
    /// A kind of key that no handshake here can use.
    Unknown,
}

/// The minimum is one of RSA (and DSA); an elliptic curve's 256 bits are worth RSA's 3072.
fn key_strength(leaf: &X509Certificate<'_>, minimum_bits: u16) -> Strength {
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if significant_bits(key.modulus) < usize::from(minimum_bits) => {
            Strength::Weak
        }
        Ok(PublicKey::DSA(_)) => Strength::Weak,
        Ok(PublicKey::EC(point)) if point.key_size() < 256 => Strength::Weak,
        Ok(PublicKey::EC(_)) if !named_curve(leaf) => Strength::Unknown,
        Ok(PublicKey::RSA(_) | PublicKey::EC(_) | PublicKey::Unknown(_)) => Strength::Enough,
        Ok(PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_)) | Err(_) => Strength::Unknown,
    }
}

/// P-256, P-384 or P-521 by name (RFC 5480 section 2.1.1.1, which forbids explicit parameters).
fn named_curve(leaf: &X509Certificate<'_>) -> bool {
    let parameters = leaf.public_key().algorithm.parameters.as_ref();
    let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
    curve.is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve))
}

fn significant_bits(modulus: &[u8]) -> usize {
    let start = modulus
        .iter()
        .position(|&byte| byte != 0)
        .unwrap_or(modulus.len());
    let digits = modulus.get(start..).unwrap_or_default();
    match digits.first() {
        Some(&first) => digits.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0),
        None => 0,
    }
}

/// Dates before 1970 count as 1970.
pub(crate) fn unix_s(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or(0)
}

fn at(unix_s: u64) -> UnixTime {
    UnixTime::since_unix_epoch(core::time::Duration::from_secs(unix_s))
}

#[cfg(test)]
mod tests;
