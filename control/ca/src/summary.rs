//! What is told about a certificate.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use sluice_store::{CertificateKind, StoredCertificate};
use x509_parser::prelude::{GeneralName, ParsedExtension};
use x509_parser::x509::X509Name;

use crate::chain::{ChainProblem, Parsed};
use crate::private_key::describe;

/// Whether a certificate is within its validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateStatus {
    /// It is.
    Valid,
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It is, but nothing in the store leads from it to a root.
    NoTrustAnchor,
}

/// One line of the list. Times are RFC 3339 in UTC; hashes and serial numbers are lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// Its name in the store.
    pub name: String,
    /// What it is for.
    pub kind: CertificateKind,
    /// Whom it names.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// First second of its validity.
    pub not_before: String,
    /// Last second of its validity.
    pub not_after: String,
    /// The same, in seconds since the Unix epoch.
    pub not_after_unix_s: u64,
    /// `RSA 2048`, `ECDSA P-256`, `Ed25519`, or an object identifier.
    pub key_type: String,
    /// SHA-256 of the certificate.
    pub sha256: String,
    /// Whether it can be used now.
    pub status: CertificateStatus,
    /// Whether it is its own issuer.
    pub self_signed: bool,
    /// Whether its private key is in the store.
    pub has_key: bool,
    /// Certificates in its chain, itself included.
    pub chain_certificates: usize,
    /// When it came into the store.
    pub created: String,
}

/// Everything about one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDetails {
    /// The certificate itself.
    pub summary: CertificateSummary,
    /// Serial number.
    pub serial: String,
    /// Subject key identifier.
    pub subject_key_id: Option<String>,
    /// Names of its subjectAltName.
    pub alternative_names: Vec<String>,
    /// Whether it is a CA.
    pub is_ca: bool,
    /// Whether its key may leave the appliance under a passphrase.
    pub exportable: bool,
    /// Subjects of the chain above it, in order.
    pub issuers: Vec<String>,
    /// What clients have to trust (the subject of the root), if it is in the store.
    pub trust_anchor: Option<String>,
    /// Free marks.
    pub labels: BTreeMap<String, String>,
}

/// `anchored`: the store leads from the certificate to a root.
pub(crate) fn summarize(
    stored: &StoredCertificate,
    anchored: bool,
    now_unix_s: u64,
) -> Result<CertificateSummary, ChainProblem> {
    let der = stored.chain.first().map(Vec::as_slice).unwrap_or_default();
    let parsed = Parsed::read(der)?;
    let validity = parsed.certificate.validity();
    let (from, to) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let now = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
    let status = match () {
        () if now > to => CertificateStatus::Expired,
        () if now < from => CertificateStatus::NotYetValid,
        () if !anchored => CertificateStatus::NoTrustAnchor,
        () => CertificateStatus::Valid,
    };
    Ok(CertificateSummary {
        name: stored.name.to_string(),
        kind: stored.kind,
        subject: parsed.subject(),
        issuer: name_text(parsed.certificate.issuer()),
        not_before: date_text(from),
        not_after: date_text(to),
        not_after_unix_s: u64::try_from(to).unwrap_or(0),
        key_type: describe(parsed.certificate.public_key()),
        sha256: hex(digest(&SHA256, der).as_ref()),
        status,
        self_signed: parsed.is_self_signed(),
        has_key: stored.sealed_key.is_some(),
        chain_certificates: stored.chain.len(),
        created: date_text(i64::try_from(stored.created_unix_s).unwrap_or(i64::MAX)),
    })
}

pub(crate) fn detail(
    stored: &StoredCertificate,
    anchor: Option<&[u8]>,
    now_unix_s: u64,
) -> Result<CertificateDetails, ChainProblem> {
    let parsed = Parsed::read(stored.chain.first().map(Vec::as_slice).unwrap_or_default())?;
    let issuers = stored
        .chain
        .iter()
        .skip(1)
        .map(|der| Parsed::read(der).map(|issuer| issuer.subject()))
        .collect::<Result<_, _>>()?;
    let subject_key_id =
        parsed
            .certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(hex(id.0)),
                _ => None,
            });
    let alternative_names = parsed.certificate.subject_alternative_name().ok().flatten();
    Ok(CertificateDetails {
        summary: summarize(stored, anchor.is_some(), now_unix_s)?,
        serial: hex(parsed.certificate.raw_serial()),
        subject_key_id,
        alternative_names: alternative_names.map_or_else(Vec::new, |names| {
            names
                .value
                .general_names
                .iter()
                .map(general_name_text)
                .collect()
        }),
        is_ca: parsed.is_ca(),
        exportable: stored.exportable,
        issuers,
        trust_anchor: anchor
            .map(|der| Parsed::read(der).map(|root| root.subject()))
            .transpose()?,
        labels: stored.labels.clone(),
    })
}

/// A distinguished name as text, with whatever could disturb a terminal or a log line escaped.
pub(crate) fn name_text(name: &X509Name<'_>) -> String {
    printable(&name.to_string())
}

/// RFC 3339, UTC, whole seconds.
pub(crate) fn date_text(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn general_name_text(name: &GeneralName<'_>) -> String {
    let text = match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::RFC822Name(name) => format!("email:{name}"),
        GeneralName::URI(name) => format!("URI:{name}"),
        GeneralName::IPAddress(bytes) => {
            match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => format!("IP:{}", std::net::Ipv4Addr::from(v4)),
                (_, Ok(v6)) => format!("IP:{}", std::net::Ipv6Addr::from(v6)),
                _ => format!("IP:{}", hex(bytes)),
            }
        }
        other => other.to_string(),
    };
    printable(&text)
}

/// Control characters, and those that are not seen but change the order or place of others, are escaped.
fn printable(text: &str) -> String {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .flat_map(|c| {
            if unseen(c) {
                c.escape_unicode().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_disturb_a_terminal_or_a_log() {
        assert_eq!(
            printable("O=Müller & Söhne, CN=a\"b\\c"),
            "O=Müller & Söhne, CN=a\"b\\c"
        );
        assert_eq!(
            printable("a\nb\u{1b}[2J\u{202e}c\u{200b}"),
            "a\\u{a}b\\u{1b}[2J\\u{202e}c\\u{200b}"
        );
    }

    #[test]
    fn dates_and_hashes_are_written_as_people_expect() {
        assert_eq!(date_text(1_795_219_200), "2026-11-21T00:00:00Z");
        assert_eq!(date_text(0), "1970-01-01T00:00:00Z");
        assert!(date_text(i64::MAX).starts_with("9999-12-"));
        assert_eq!(hex(&[0, 0x0f, 0xa0]), "000fa0");
    }
}
