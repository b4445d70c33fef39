//! From a validated configuration to what crosses to the data plane, or everything that is missing for it.

use std::collections::BTreeMap;

use sluice_schema::{
    Certificate, CertificateName, CertificateUse, Configuration, Generation, KeyId, Snapshot,
    UseKind,
};
use sluice_telemetry::SystemEvent;
use zeroize::Zeroizing;

use crate::limits::EXPIRY_WARNING_S;

/// Why the certificate store or the key store did not answer.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Where certificates and keys come from.
pub trait CertificateSource {
    /// The certificate of this name, if there is one.
    ///
    /// # Errors
    /// The store cannot be read.
    fn certificate(&self, name: &CertificateName) -> Result<Option<CertificateFacts>, SourceError>;

    /// Its private key as PKCS#8 DER.
    ///
    /// # Errors
    /// The key cannot be read or opened.
    fn private_key(&self, name: &CertificateName) -> Result<Zeroizing<Vec<u8>>, SourceError>;
}

/// What publishing has to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// DER, the certificate itself first, then its issuers.
    pub chain: Vec<Vec<u8>>,
    /// Start of its validity, seconds since the Unix epoch.
    pub not_before_unix_s: u64,
    /// End of its validity, seconds since the Unix epoch.
    pub not_after_unix_s: u64,
    /// Whether it may sign other certificates.
    pub authority: bool,
    /// Whether its private key is stored.
    pub has_key: bool,
}

/// A generation ready to be sealed: everything it names is there.
pub struct Prepared {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The private keys it refers to.
    pub keys: Vec<(KeyId, Zeroizing<Vec<u8>>)>,
    /// What does not stop it, and should be seen.
    pub warnings: Vec<Warning>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("generation", &self.snapshot.generation)
            .field("keys", &self.keys.len())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// One thing that keeps a configuration from being published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishProblem {
    /// A certificate is not in the store.
    #[error("profile `{profile}`, `{object}`: the {kind} `{certificate}` is not in the certificate store; {}", remedy(*.kind, .certificate))]
    MissingCertificate {
        /// The profile that names it.
        profile: String,
        /// The proxy or trust store that names it.
        object: String,
        /// What it is used as.
        kind: UseKind,
        /// Its name.
        certificate: String,
    },
    /// A certificate that has to sign or to serve has no private key.
    #[error(
        "profile `{profile}`, `{object}`: the {kind} `{certificate}` has no private key; import it again with its key"
    )]
    MissingKey {
        /// The profile that names it.
        profile: String,
        /// The proxy that names it.
        object: String,
        /// What it is used as.
        kind: UseKind,
        /// Its name.
        certificate: String,
    },
    /// A certificate that has to sign is no authority.
    #[error(
        "profile `{profile}`, `{object}`: the {kind} `{certificate}` may not sign certificates (no CA); name a CA certificate"
    )]
    NotAnAuthority {
        /// The profile that names it.
        profile: String,
        /// The proxy that names it.
        object: String,
        /// What it is used as.
        kind: UseKind,
        /// Its name.
        certificate: String,
    },
    /// The store did not give what it has.
    #[error("the certificate `{certificate}` cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        certificate: String,
        /// Why not.
        reason: SourceError,
    },
}

/// Something that does not stop a generation and should be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A certificate has expired.
    Expired {
        /// Its name.
        certificate: String,
        /// End of its validity, seconds since the Unix epoch.
        not_after_unix_s: u64,
    },
    /// A certificate expires within [`EXPIRY_WARNING_S`].
    Expiring {
        /// Its name.
        certificate: String,
        /// End of its validity, seconds since the Unix epoch.
        not_after_unix_s: u64,
    },
    /// A certificate is not valid yet.
    NotYetValid {
        /// Its name.
        certificate: String,
        /// Start of its validity, seconds since the Unix epoch.
        not_before_unix_s: u64,
    },
}

impl Warning {
    /// The event for the log.
    #[must_use]
    pub fn event(&self) -> SystemEvent {
        match self.clone() {
            Self::Expired {
                certificate: name,
                not_after_unix_s,
            } => SystemEvent::CertificateExpired {
                name,
                not_after_unix_s,
            },
            Self::Expiring {
                certificate: name,
                not_after_unix_s,
            } => SystemEvent::CertificateExpiring {
                name,
                not_after_unix_s,
            },
            Self::NotYetValid { .. } => SystemEvent::Problem {
                operation: "publish".to_owned(),
                reason: self.to_string(),
            },
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotYetValid { certificate, .. } => {
                write!(
                    f,
                    "the certificate `{certificate}` is not valid yet; check this machine's clock"
                )
            }
            Self::Expired { .. } | Self::Expiring { .. } => f.write_str(&self.event().message()),
        }
    }
}

/// Checks everything [`prepare`] would, without opening a private key.
///
/// # Errors
/// Every problem found.
pub fn check(
    configuration: &Configuration,
    source: &dyn CertificateSource,
    now_unix_s: u64,
) -> Result<Vec<Warning>, Vec<PublishProblem>> {
    survey(configuration, source).map(|named| warnings(&named, now_unix_s))
}

/// Builds the snapshot of `configuration` as `generation`, with the certificates it names and their keys.
///
/// # Errors
/// Every problem found; nothing is built then.
pub fn prepare(
    generation: Generation,
    configuration: &Configuration,
    source: &dyn CertificateSource,
    now_unix_s: u64,
) -> Result<Prepared, Vec<PublishProblem>> {
    let named = survey(configuration, source)?;
    let warnings = warnings(&named, now_unix_s);
    let mut problems = Vec::new();
    let mut keys = Vec::new();
    let mut certificates = Vec::new();
    for (name, Named { facts, needs_key }) in named {
        let mut key = None;
        if needs_key {
            match source.private_key(name) {
                Ok(private) => {
                    let id = KeyId(keys.len() as u64 + 1);
                    keys.push((id, private));
                    key = Some(id);
                }
                Err(reason) => problems.push(PublishProblem::Unreadable {
                    certificate: name.to_string(),
                    reason,
                }),
            }
        }
        certificates.push(Certificate {
            name: name.clone(),
            chain: facts.chain,
            key,
        });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let snapshot = Snapshot {
        generation,
        configuration: configuration.clone(),
        certificates,
    };
    Ok(Prepared {
        snapshot,
        keys,
        warnings,
    })
}

/// A certificate the configuration names, once, however often it does.
struct Named {
    facts: CertificateFacts,
    needs_key: bool,
}

fn survey<'a>(
    configuration: &'a Configuration,
    source: &dyn CertificateSource,
) -> Result<BTreeMap<&'a CertificateName, Named>, Vec<PublishProblem>> {
    let mut named: BTreeMap<&CertificateName, Named> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut broken = std::collections::BTreeSet::new();
    for found in configuration.certificate_uses() {
        let name = found.certificate;
        if !named.contains_key(name) && !broken.contains(name) {
            match source.certificate(name) {
                Ok(Some(facts)) => {
                    named.insert(
                        name,
                        Named {
                            facts,
                            needs_key: false,
                        },
                    );
                }
                Ok(None) => {}
                Err(reason) => {
                    broken.insert(name);
                    problems.push(PublishProblem::Unreadable {
                        certificate: name.to_string(),
                        reason,
                    });
                }
            }
        }
        if broken.contains(name) {
            continue;
        }
        match named.get_mut(name) {
            Some(certificate) => {
                certificate.needs_key |= found.kind.needs_key();
                problems.extend(misuse(&found, &certificate.facts));
            }
            None => problems.push(PublishProblem::MissingCertificate {
                profile: found.profile.to_string(),
                object: found.object.to_owned(),
                kind: found.kind,
                certificate: name.to_string(),
            }),
        }
    }
    if problems.is_empty() {
        Ok(named)
    } else {
        Err(problems)
    }
}

fn misuse(found: &CertificateUse<'_>, facts: &CertificateFacts) -> Option<PublishProblem> {
    let profile = found.profile.to_string();
    let object = found.object.to_owned();
    let (kind, certificate) = (found.kind, found.certificate.to_string());
    if matches!(kind, UseKind::Signing | UseKind::Untrusted) && !facts.authority {
        return Some(PublishProblem::NotAnAuthority {
            profile,
            object,
            kind,
            certificate,
        });
    }
    (kind.needs_key() && !facts.has_key).then_some(PublishProblem::MissingKey {
        profile,
        object,
        kind,
        certificate,
    })
}

fn warnings(named: &BTreeMap<&CertificateName, Named>, now_unix_s: u64) -> Vec<Warning> {
    named
        .iter()
        .filter_map(|(name, Named { facts, .. })| {
            let certificate = name.to_string();
            let CertificateFacts {
                not_before_unix_s,
                not_after_unix_s,
                ..
            } = *facts;
            if not_after_unix_s < now_unix_s {
                Some(Warning::Expired {
                    certificate,
                    not_after_unix_s,
                })
            } else if not_before_unix_s > now_unix_s {
                Some(Warning::NotYetValid {
                    certificate,
                    not_before_unix_s,
                })
            } else if not_after_unix_s - now_unix_s < EXPIRY_WARNING_S {
                Some(Warning::Expiring {
                    certificate,
                    not_after_unix_s,
                })
            } else {
                None
            }
        })
        .collect()
}

fn remedy(kind: UseKind, certificate: &str) -> String {
    match kind {
        UseKind::Signing | UseKind::Untrusted => {
            format!("make it with `sluice certificate self-signed {certificate}` or import it")
        }
        UseKind::Authority | UseKind::Server => {
            format!("import it with `sluice certificate import {certificate}`")
        }
    }
}

#[cfg(test)]
mod tests;
