//! A signing CA: its certificate chain, its key, and what it may sign.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::constraints::{Constraints, Forbidden};
use crate::limits::{CA_CERTIFICATE_BYTES_MAX, CA_CHAIN_CERTIFICATES_MAX, CA_NAME_CONSTRAINTS_MAX};
use crate::origin::Origin;
use crate::signer::{Cost, KeyProblem, Signer};
use crate::validity::Validity;

/// A CA of the operator's, ready to sign leaves. Shared by all cores.
///
/// The private key lives inside the cryptographic library's own key type and nowhere else here; `Debug` shows none of it.
pub struct SigningCa {
    name: String,
    chain: Vec<CertificateDer<'static>>,
    issuers: Vec<CertificateDer<'static>>,
    sha256: [u8; 32],
    subject: Vec<u8>,
    subject_key_id: Vec<u8>,
    validity: Validity,
    constraints: Vec<Constraints>,
    signer: Signer,
}

/// A certificate chain and key are not fit to sign leaves. Every message names the CA and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningCaError {
    /// The chain holds no certificate.
    #[error("signing certificate `{name}`: no certificate was given; import one with its key")]
    NoCertificate {
        /// Name in the certificate store.
        name: String,
    },
    /// More certificates than [`crate::limits::CA_CHAIN_CERTIFICATES_MAX`].
    #[error(
        "signing certificate `{name}`: its chain has {count} certificates, more than {CA_CHAIN_CERTIFICATES_MAX}; import only the CA and those above it"
    )]
    ChainTooLong {
        /// Name in the certificate store.
        name: String,
        /// Certificates given.
        count: usize,
    },
    /// A certificate of the chain cannot be read.
    #[error(
        "signing certificate `{name}`: certificate {position} of its chain cannot be read ({what}); import it again as X.509 in PEM or DER"
    )]
    Malformed {
        /// Name in the certificate store.
        name: String,
        /// Which of the chain, from 1.
        position: usize,
        /// The part that is wrong.
        what: &'static str,
    },
    /// basicConstraints is missing or says cA=FALSE.
    #[error(
        "signing certificate `{name}`: it is not a CA (basicConstraints cA=TRUE is missing); use a CA certificate, or create one"
    )]
    NotACa {
        /// Name in the certificate store.
        name: String,
    },
    /// keyUsage is there without keyCertSign.
    #[error(
        "signing certificate `{name}`: its keyUsage does not allow signing certificates (keyCertSign); have it reissued with keyCertSign"
    )]
    MayNotSign {
        /// Name in the certificate store.
        name: String,
    },
    /// extendedKeyUsage is there and allows no TLS servers, so clients would refuse every leaf.
    #[error(
        "signing certificate `{name}`: its extendedKeyUsage does not include serverAuth, so clients would refuse every leaf; have it reissued without the extension or with serverAuth"
    )]
    NotForServers {
        /// Name in the certificate store.
        name: String,
    },
    /// A certificate is not issued by the next one.
    #[error(
        "signing certificate `{name}`: certificate {position} of its chain is not issued by the one after it; import the CA first, then its issuers in order"
    )]
    ChainBroken {
        /// Name in the certificate store.
        name: String,
        /// Which of the chain, from 1.
        position: usize,
    },
    /// More name-constraint subtrees than [`crate::limits::CA_NAME_CONSTRAINTS_MAX`].
    #[error(
        "signing certificate `{name}`: its chain has {count} name constraints, more than {CA_NAME_CONSTRAINTS_MAX}; use a CA with fewer"
    )]
    TooManyNameConstraints {
        /// Name in the certificate store.
        name: String,
        /// Subtrees found.
        count: usize,
    },
    /// The private key cannot sign for the certificate.
    #[error("signing certificate `{name}`: {problem}")]
    Key {
        /// Name in the certificate store.
        name: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
}

impl SigningCa {
    /// Takes a CA certificate, its issuers in order (the root may be there or not), and its private key as PKCS#8 DER.
    ///
    /// An expired CA is taken: [`Self::is_valid_at`] reports it, and its leaves are as expired as it is.
    ///
    /// # Errors
    /// The first certificate is no CA that may sign server certificates, the chain is unreadable, disordered or too long, or
    /// the key does not belong to it.
    pub fn new(
        name: &str,
        chain: Vec<CertificateDer<'static>>,
        pkcs8: &[u8],
    ) -> Result<Self, SigningCaError> {
        let named = || name.to_owned();
        if chain.len() > CA_CHAIN_CERTIFICATES_MAX {
            return Err(SigningCaError::ChainTooLong {
                name: named(),
                count: chain.len(),
            });
        }
        let parsed = chain
            .iter()
            .enumerate()
            .map(|(index, der)| {
                parse(der).map_err(|what| SigningCaError::Malformed {
                    name: named(),
                    position: index + 1,
                    what,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (Some(ca), Some(ca_der)) = (parsed.first(), chain.first()) else {
            return Err(SigningCaError::NoCertificate { name: named() });
        };
        check_may_sign(name, ca)?;
        check_order(name, &parsed)?;
        let constraints = read_constraints(name, &parsed)?;
        let signer = Signer::for_certificate(ca.public_key(), pkcs8).map_err(|problem| {
            SigningCaError::Key {
                name: named(),
                problem,
            }
        })?;
        let issuers = parsed
            .iter()
            .zip(&chain)
            .filter(|(parsed, _)| !is_root(parsed))
            .map(|(_, der)| der.clone())
            .collect();
        Ok(Self {
            name: named(),
            sha256: crate::certificate_sha256(ca_der),
            subject: ca.subject().as_raw().to_vec(),
            subject_key_id: subject_key_id(ca),
            validity: Validity::from_asn1(ca.validity()),
            issuers,
            constraints,
            signer,
            chain,
        })
    }

    /// Its name in the certificate store.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chain as it was given: the CA first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// SHA-256 of the CA certificate.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The CA's subject key identifier: the authority key identifier of its leaves. Derived from its key where the certificate
    /// carries none.
    #[must_use]
    pub fn subject_key_id(&self) -> &[u8] {
        &self.subject_key_id
    }

    /// First second of its validity, since the Unix epoch.
    #[must_use]
    pub fn not_before(&self) -> u64 {
        self.validity.not_before
    }

    /// Last second of its validity, since the Unix epoch.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.validity.not_after
    }

    /// Whether the CA certificate is within its validity: when not, clients refuse its leaves.
    #[must_use]
    pub fn is_valid_at(&self, now_unix_s: u64) -> bool {
        self.validity.holds(now_unix_s)
    }

    /// Where its signatures should be made.
    #[must_use]
    pub fn signing_cost(&self) -> Cost {
        self.signer.cost()
    }

    /// The certificates that follow a leaf on the wire: the chain without its root, which clients must have anyway.
    pub(crate) fn issuers(&self) -> &[CertificateDer<'static>] {
        &self.issuers
    }

    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(crate) fn may_sign(
        &self,
        origin: &Origin<'_>,
        synthesized: Option<&x509_parser::prelude::GeneralName<'_>>,
    ) -> Result<(), Forbidden> {
        self.constraints
            .iter()
            .try_for_each(|constraints| constraints.allow(origin, synthesized))
    }
}

impl std::fmt::Debug for SigningCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningCa")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, &'static str> {
    if der.len() > CA_CERTIFICATE_BYTES_MAX {
        return Err("it is too large");
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("something follows it"),
        Err(_) => Err("it is not an X.509 certificate"),
    }
}

fn check_may_sign(name: &str, ca: &X509Certificate<'_>) -> Result<(), SigningCaError> {
    let named = || name.to_owned();
    let malformed = |what| SigningCaError::Malformed {
        name: name.to_owned(),
        position: 1,
        what,
    };
    let basic = ca
        .basic_constraints()
        .map_err(|_| malformed("basicConstraints"))?;
    if !basic.is_some_and(|basic| basic.value.ca) {
        return Err(SigningCaError::NotACa { name: named() });
    }
    // RFC 5280 6.1.4 (n): keyCertSign is asked for where keyUsage is present.
    let usage = ca.key_usage().map_err(|_| malformed("keyUsage"))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(SigningCaError::MayNotSign { name: named() });
    }
    let extended = ca
        .extended_key_usage()
        .map_err(|_| malformed("extendedKeyUsage"))?;
    if extended.is_some_and(|extended| !extended.value.server_auth && !extended.value.any) {
        return Err(SigningCaError::NotForServers { name: named() });
    }
    Ok(())
}

fn check_order(name: &str, chain: &[X509Certificate<'_>]) -> Result<(), SigningCaError> {
    for (index, pair) in chain.windows(2).enumerate() {
        if let [subject, issuer] = pair
            && subject.issuer().as_raw() != issuer.subject().as_raw()
        {
            return Err(SigningCaError::ChainBroken {
                name: name.to_owned(),
                position: index + 1,
            });
        }
    }
    Ok(())
}

fn read_constraints(
    name: &str,
    chain: &[X509Certificate<'_>],
) -> Result<Vec<Constraints>, SigningCaError> {
    let mut all = Vec::new();
    for (index, certificate) in chain.iter().enumerate() {
        let extension = certificate
            .name_constraints()
            .map_err(|_| SigningCaError::Malformed {
                name: name.to_owned(),
                position: index + 1,
                what: "nameConstraints",
            })?;
        all.extend(extension.map(|extension| Constraints::from_extension(extension.value)));
    }
    let count = all.iter().map(Constraints::len).sum();
    if count > CA_NAME_CONSTRAINTS_MAX {
        return Err(SigningCaError::TooManyNameConstraints {
            name: name.to_owned(),
            count,
        });
    }
    Ok(all)
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

fn subject_key_id(ca: &X509Certificate<'_>) -> Vec<u8> {
    let written = ca
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
    written.unwrap_or_else(|| {
        crate::leaf_key::key_identifier(&ca.public_key().subject_public_key.data).to_vec()
    })
}

/// Shared by the cores: the type must cross threads.
const _: fn() = || {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Arc<SigningCa>>();
};

#[cfg(test)]
mod tests;
