//! A stored certificate as the management interface shows it.

use sluice_api::{CertificateDetails, CertificateState, CertificateSummary};
use sluice_schema::Configuration;
use sluice_store::StoredCertificate;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::prelude::X509Certificate;

use crate::certificates::{DamagedCertificate, parse, validity};
use crate::limits::EXPIRES_SOON_S;

/// A line of the list, from what the certificate store says of it.
pub(crate) fn summary(
    described: &sluice_ca::CertificateSummary,
    stored: &StoredCertificate,
    now_unix_s: u64,
) -> Result<CertificateSummary, DamagedCertificate> {
    let certificate = parse(stored)?;
    let (not_before_unix_s, not_after_unix_s) = validity(&certificate);
    Ok(CertificateSummary {
        name: described.name.clone(),
        subject: described.subject.clone(),
        issuer: described.issuer.clone(),
        is_ca: is_ca(&certificate),
        has_key: described.has_key,
        key: key_name(&described.key_type),
        not_before_unix_s,
        not_after_unix_s,
        state: state(not_before_unix_s, not_after_unix_s, now_unix_s),
        sha256: described.sha256.clone(),
    })
}

/// Everything, with where `configuration` uses it.
pub(crate) fn details(
    described: &sluice_ca::CertificateDetails,
    stored: &StoredCertificate,
    configuration: Option<&Configuration>,
    now_unix_s: u64,
) -> Result<CertificateDetails, DamagedCertificate> {
    let certificate = parse(stored)?;
    let algorithm = &certificate.signature_algorithm.algorithm;
    Ok(CertificateDetails {
        summary: summary(&described.summary, stored, now_unix_s)?,
        serial: described.serial.clone(),
        signature_algorithm: oid2sn(algorithm, oid_registry())
            .map_or_else(|_| algorithm.to_string(), str::to_owned),
        alternative_names: described.alternative_names.clone(),
        key_usage: key_usage(&certificate),
        extended_key_usage: extended_key_usage(&certificate),
        chain: described.issuers.clone(),
        uses: configuration.map_or_else(Vec::new, |configuration| uses(configuration, stored)),
        stored_unix_s: stored.created_unix_s,
    })
}

fn state(not_before_unix_s: u64, not_after_unix_s: u64, now_unix_s: u64) -> CertificateState {
    if now_unix_s > not_after_unix_s {
        CertificateState::Expired
    } else if now_unix_s < not_before_unix_s {
        CertificateState::NotYetValid
    } else if not_after_unix_s - now_unix_s < EXPIRES_SOON_S {
        CertificateState::ExpiresSoon
    } else {
        CertificateState::Valid
    }
}

/// RFC 5280 4.2.1.9 and 4.2.1.3.
fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage().ok().flatten();
    certificate.is_ca() && usage.is_none_or(|usage| usage.value.key_cert_sign())
}

/// `ECDSA P-256` is `ecdsa-p256`, `RSA 2048` is `rsa-2048`.
fn key_name(described: &str) -> String {
    described
        .to_ascii_lowercase()
        .replace(" p-", "-p")
        .replace(' ', "-")
}

fn key_usage(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(usage)) = certificate.key_usage() else {
        return Vec::new();
    };
    let usage = usage.value;
    let named = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ];
    named
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn extended_key_usage(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(usage)) = certificate.extended_key_usage() else {
        return Vec::new();
    };
    let usage = usage.value;
    let named = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = named
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name.to_owned());
    known
        .chain(usage.other.iter().map(ToString::to_string))
        .collect()
}

fn uses(configuration: &Configuration, stored: &StoredCertificate) -> Vec<String> {
    let uses = configuration.certificate_uses();
    let here = uses.iter().filter(|one| *one.certificate == stored.name);
    here.map(|one| {
        format!(
            "`{}` of profile `{}` ({})",
            one.object, one.profile, one.kind
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_names_of_the_command_line() {
        assert_eq!(key_name("ECDSA P-256"), "ecdsa-p256");
        assert_eq!(key_name("RSA 2048"), "rsa-2048");
        assert_eq!(key_name("Ed25519"), "ed25519");
    }

    #[test]
    fn f137_the_states_follow_the_clock() {
        let month = EXPIRES_SOON_S;
        assert_eq!(
            state(100, 100 + 2 * month, 99),
            CertificateState::NotYetValid
        );
        assert_eq!(state(100, 100 + 2 * month, 100), CertificateState::Valid);
        assert_eq!(
            state(100, 100 + 2 * month, 101 + month),
            CertificateState::ExpiresSoon
        );
        assert_eq!(
            state(100, 100 + 2 * month, 100 + 2 * month),
            CertificateState::ExpiresSoon
        );
        assert_eq!(
            state(100, 100 + 2 * month, 101 + 2 * month),
            CertificateState::Expired
        );
    }
}
