//! What leaves the appliance: certificates. There is no path out for a private key.

use std::fmt;
use std::str::FromStr;

use sluice_schema::CertificateName;
use sluice_store::StoreError;

use crate::authority::{Authority, CertificateError};

/// Which certificates to export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Export {
    /// What clients must trust: the certificate itself if it is its own issuer, otherwise the root of its chain.
    #[default]
    TrustAnchor,
    /// The certificate alone.
    Certificate,
    /// The certificate, then its issuers.
    Chain,
}

/// Nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed, or has no such certificate.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// As above, with more to it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The root is not in the store.
    #[error(
        "the root above `{name}` is not in the store; import it as an authority, or export the chain and take the root from its CA"
    )]
    NoTrustAnchor {
        /// The certificate.
        name: CertificateName,
    },
    /// The name of what to export is unknown.
    #[error("`{0}` is nothing to export; use trust-anchor, certificate or chain")]
    Unknown(String),
}

impl Export {
    /// The name on the command line and in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TrustAnchor => "trust-anchor",
            Self::Certificate => "certificate",
            Self::Chain => "chain",
        }
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Export {
    type Err = ExportError;

    fn from_str(text: &str) -> Result<Self, ExportError> {
        let all = [Self::TrustAnchor, Self::Certificate, Self::Chain];
        all.into_iter()
            .find(|export| export.name() == text)
            .ok_or_else(|| ExportError::Unknown(text.to_owned()))
    }
}

impl Authority<'_> {
    /// Certificates as PEM.
    ///
    /// # Errors
    /// There is no such certificate, its root is asked for and not in the store, or the store cannot be read.
    pub fn export(&self, name: &CertificateName, what: Export) -> Result<String, ExportError> {
        let stored = self.stored(name)?;
        match what {
            Export::Certificate => Ok(stored
                .chain
                .iter()
                .take(1)
                .map(|der| certificate_pem(der))
                .collect()),
            Export::Chain => Ok(stored
                .chain
                .iter()
                .map(|der| certificate_pem(der))
                .collect()),
            Export::TrustAnchor => {
                let anchor = self
                    .trust_anchor(&stored)?
                    .ok_or_else(|| ExportError::NoTrustAnchor { name: name.clone() })?;
                Ok(certificate_pem(&anchor))
            }
        }
    }
}

fn certificate_pem(der: &[u8]) -> String {
    pem_text("CERTIFICATE", der)
}

/// RFC 7468, with plain line feeds.
pub(crate) fn pem_text(label: &str, der: &[u8]) -> String {
    pem::encode_config(
        &pem::Pem::new(label, der),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}
