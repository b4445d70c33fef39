//! Certificates: made, taken in, listed, shown, given away. A private key never crosses this interface outwards.

use serde::{Deserialize, Serialize};

use crate::{Blob, Secret};

/// Make a self-signed CA certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfSigned {
    /// Its name in the certificate store.
    pub name: String,
    /// Whom it names.
    pub subject: Subject,
    /// DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
    /// Mail addresses of the subject alternative name.
    pub mail_addresses: Vec<String>,
    /// What key.
    pub key: KeyKind,
    /// How long it is valid, days.
    pub valid_days: u32,
}

/// A distinguished name (RFC 5280 section 4.1.2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// CN, required.
    pub common_name: String,
    /// emailAddress.
    pub email: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// C, two letters (ISO 3166).
    pub country: Option<String>,
}

/// Kind and size of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA, 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Ed25519,
    ];

    /// The stable name: `ecdsa-p256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Take a certificate in. PEM, DER and PKCS#12 are told apart by their content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateImport {
    /// Its name in the certificate store; for PKCS#12 the first part of every entry's.
    pub name: String,
    /// The certificate file, with its chain or without.
    pub certificate: Blob,
    /// The key file, if the key is not in the certificate file.
    pub key: Option<Blob>,
    /// What opens the key or the PKCS#12 file.
    pub passphrase: Option<Secret>,
    /// Whether a certificate of this name is replaced; what refers to it then uses the new one.
    pub replace: bool,
}

/// A certificate to give away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateExport {
    /// Its name.
    pub name: String,
    /// How it is written.
    pub format: ExportFormat,
    /// What clients have to trust instead: the certificate itself when it is self-signed, else its chain's root.
    pub anchor: bool,
    /// With its chain, PEM only.
    pub chain: bool,
}

/// How a certificate is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// Base64 between lines (RFC 7468).
    #[default]
    Pem,
    /// Binary.
    Der,
}

/// A certificate, given away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Its name.
    pub name: String,
    /// How it is written.
    pub format: ExportFormat,
    /// The file's content.
    pub content: Blob,
}

/// Whether a certificate can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateState {
    /// It can.
    Valid,
    /// Its validity has not begun.
    NotYetValid,
    /// Its validity ends within 30 days.
    ExpiresSoon,
    /// Its validity has ended.
    Expired,
}

impl CertificateState {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotYetValid => "not-yet-valid",
            Self::ExpiresSoon => "expires-soon",
            Self::Expired => "expired",
        }
    }
}

/// A certificate in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// Its name.
    pub name: String,
    /// Subject, RFC 4514.
    pub subject: String,
    /// Issuer, RFC 4514.
    pub issuer: String,
    /// Whether it is a CA certificate.
    pub is_ca: bool,
    /// Whether its private key is here.
    pub has_key: bool,
    /// Algorithm and size of its public key: `ecdsa-p256`, `rsa-2048`.
    pub key: String,
    /// Begin of its validity, seconds since the Unix epoch.
    pub not_before_unix_s: u64,
    /// End of its validity, seconds since the Unix epoch.
    pub not_after_unix_s: u64,
    /// Whether it can be used now.
    pub state: CertificateState,
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub sha256: String,
}

/// Everything about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDetails {
    /// What the list says.
    pub summary: CertificateSummary,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Algorithm of its signature.
    pub signature_algorithm: String,
    /// Subject alternative names: `DNS:www.example`.
    pub alternative_names: Vec<String>,
    /// Key usages.
    pub key_usage: Vec<String>,
    /// Extended key usages.
    pub extended_key_usage: Vec<String>,
    /// Subjects of the certificates above it, nearest first.
    pub chain: Vec<String>,
    /// Where the current configuration uses it: `client proxy "web" of profile "lab" (signing certificate)`.
    pub uses: Vec<String>,
    /// When it was made or taken in, seconds since the Unix epoch.
    pub stored_unix_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_on_the_wire() {
        for kind in KeyKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        use CertificateState::{Expired, ExpiresSoon, NotYetValid, Valid};
        for state in [Valid, NotYetValid, ExpiresSoon, Expired] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
