//! Taking certificates and keys in.

use std::collections::BTreeMap;

use sluice_keystore::KeystoreError;
use sluice_schema::CertificateName;
use sluice_store::{CertificateKind, NewCertificate, StoreError, StoredCertificate};
use zeroize::Zeroizing;

use crate::authority::{Authority, CertificateError};
use crate::chain::{self, ChainProblem, Parsed};
use crate::create::sealed_name;
use crate::file::{Contents, FileProblem, NamedKey};
use crate::private_key::PrivateKey;
use crate::summary::CertificateSummary;

/// What an imported certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImportKind {
    /// A CA with a key is a signing CA, a CA without one an authority, anything else with a key a server.
    #[default]
    Auto,
    /// As given.
    As(CertificateKind),
}

/// Files to import. Certificates may stand in any order and in any of the files.
#[derive(Clone, Default)]
pub struct Import<'a> {
    /// What it is for.
    pub kind: ImportKind,
    /// PEM, DER or PKCS#12.
    pub file: &'a [u8],
    /// The private key, where it is not in `file`: PEM or DER.
    pub key_file: Option<&'a [u8]>,
    /// Issuers, where they are not in `file`: PEM or DER.
    pub chain_file: Option<&'a [u8]>,
    /// Opens what is protected.
    pub passphrase: Option<&'a str>,
    /// Whether the key may leave the appliance under a passphrase.
    pub exportable: bool,
    /// Free marks.
    pub labels: BTreeMap<String, String>,
    /// Take the place of the certificate of this name, which is set aside as `NAME_REPLACED`.
    pub replace: bool,
    /// Seconds since the Unix epoch.
    pub now_unix_s: u64,
}

/// Neither the passphrase nor what may be a private key is shown.
impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import")
            .field("kind", &self.kind)
            .field("replace", &self.replace)
            .finish_non_exhaustive()
    }
}

/// Nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// No certificate in the files.
    #[error("the file holds no certificate; give one in PEM, DER or PKCS#12")]
    NoCertificate,
    /// The certificates do not belong together.
    #[error(transparent)]
    Chain(#[from] ChainProblem),
    /// A key is needed.
    #[error(
        "there is no private key for `{subject}`: neither in the file nor among the requests made here; give the key's file, or import a CA as an authority"
    )]
    NoKey {
        /// The certificate.
        subject: String,
    },
    /// The key belongs to none of the certificates.
    #[error(
        "the private key belongs to none of the certificates in the file; give the key that the certificate was issued for"
    )]
    KeyMismatch,
    /// It is to be a CA and is not.
    #[error(
        "`{subject}` is not a CA that may sign certificates (basicConstraints cA=TRUE, and keyCertSign where keyUsage is present); import it as a server certificate, or have a CA certificate issued"
    )]
    NotACa {
        /// The certificate.
        subject: String,
    },
    /// Its extendedKeyUsage leaves out TLS servers.
    #[error(
        "`{subject}` may not be used for TLS servers (its extendedKeyUsage has no serverAuth), so clients would refuse it; have it reissued"
    )]
    NotForServers {
        /// The certificate.
        subject: String,
    },
    /// The same certificate is in the store.
    #[error("this certificate is already in the store as `{name}`; nothing was imported")]
    AlreadyThere {
        /// Its name there.
        name: CertificateName,
    },
    /// A replacement is one certificate of the same kind.
    #[error(
        "`{name}` is a {old} certificate and what was given is {new}; import it under another name and change the configuration"
    )]
    KindDiffers {
        /// The certificate to be replaced.
        name: CertificateName,
        /// Its kind.
        old: &'static str,
        /// The other kind.
        new: &'static str,
    },
    /// Several keys for one name that is to be replaced.
    #[error(
        "the file holds {count} private keys and `{name}` is one certificate; give a file with the one that replaces it"
    )]
    SeveralReplacements {
        /// The certificate to be replaced.
        name: CertificateName,
        /// Keys in the file.
        count: usize,
    },
    /// A key could not be sealed or opened.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was imported could not be described.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A chain that has been found in the files, with its key.
struct Found {
    name: CertificateName,
    kind: CertificateKind,
    chain: Vec<Vec<u8>>,
    key: Option<PrivateKey>,
    exportable: bool,
}

impl Authority<'_> {
    /// Imports a certificate as `name`. A PKCS#12 file with several keys gives several certificates, named `name-ALIAS`.
    ///
    /// A certificate without a key in the files gets the key of the request made here that it answers, and the request is done.
    ///
    /// # Errors
    /// The files cannot be read, do not belong together or are not fit for their use, a name is taken, or the store fails.
    /// Then nothing has been imported.
    pub fn import(
        &mut self,
        name: &CertificateName,
        import: &Import<'_>,
    ) -> Result<Vec<CertificateSummary>, ImportError> {
        let authority = import.kind == ImportKind::As(CertificateKind::Authority);
        let mut contents = Contents::default();
        contents.read(import.file, import.passphrase, !authority)?;
        if let Some(file) = import.key_file.filter(|_| !authority) {
            contents.read(file, import.passphrase, true)?;
        }
        if let Some(file) = import.chain_file {
            contents.read(file, import.passphrase, false)?;
        }
        let Contents {
            certificates,
            mut keys,
        } = contents;
        let parsed = certificates
            .iter()
            .map(|der| Parsed::read(der))
            .collect::<Result<Vec<_>, _>>()?;
        if parsed.is_empty() {
            return Err(ImportError::NoCertificate);
        }
        let mut fulfilled = None;
        if keys.is_empty() && !authority {
            fulfilled = self.requested(&parsed)?;
        }
        let mut exportable = import.exportable;
        if let Some(request) = &mut fulfilled {
            exportable |= request.exportable;
            keys.extend(request.key.take());
        }
        let found = find(name, import.kind, exportable, &parsed, keys)?;
        self.refuse_known(&found)?;
        let names: Vec<_> = found.iter().map(|found| found.name.clone()).collect();
        let new = found
            .into_iter()
            .map(|found| self.sealed(found, import))
            .collect::<Result<Vec<_>, _>>()?;
        if import.replace {
            self.replace(name, &new)?;
        } else {
            self.store_mut().put_certificates(&new)?;
        }
        if let Some(request) = fulfilled {
            self.store_mut().delete_request(&request.name)?;
        }
        names
            .iter()
            .map(|name| Ok(self.summary(name, import.now_unix_s)?))
            .collect()
    }

    /// The request made here that one of the certificates answers.
    fn requested(&self, certificates: &[Parsed<'_>]) -> Result<Option<Requested>, ImportError> {
        for request in self.store().requests()? {
            let clear = self
                .keystore()
                .open_key(&sealed_name(&request.name), &request.sealed_key)?;
            let key = PrivateKey::from_pkcs8(clear).map_err(FileProblem::Key)?;
            if certificates
                .iter()
                .any(|parsed| key.belongs_to(parsed.certificate.public_key()))
            {
                let key = Some(NamedKey { alias: None, key });
                return Ok(Some(Requested {
                    name: request.name,
                    exportable: request.exportable,
                    key,
                }));
            }
        }
        Ok(None)
    }

    fn refuse_known(&self, found: &[Found]) -> Result<(), ImportError> {
        let stored = self.store().certificates()?;
        let known = found.iter().find_map(|found| {
            stored.iter().find(|stored| {
                stored.kind == found.kind && stored.chain.first() == found.chain.first()
            })
        });
        match known {
            Some(known) => Err(ImportError::AlreadyThere {
                name: known.name.clone(),
            }),
            None => Ok(()),
        }
    }

    fn sealed(&self, found: Found, import: &Import<'_>) -> Result<NewCertificate, KeystoreError> {
        let sealed_key = found
            .key
            .map(|key| self.keystore().seal(found.name.as_str(), key.pkcs8()))
            .transpose()?;
        Ok(NewCertificate {
            exportable: found.exportable && sealed_key.is_some(),
            name: found.name,
            kind: found.kind,
            chain: found.chain,
            sealed_key,
            labels: import.labels.clone(),
            created_unix_s: import.now_unix_s,
        })
    }

    fn replace(
        &mut self,
        name: &CertificateName,
        new: &[NewCertificate],
    ) -> Result<(), ImportError> {
        let [new] = new else {
            return Err(ImportError::SeveralReplacements {
                name: name.clone(),
                count: new.len(),
            });
        };
        let old = self.stored(name)?;
        if old.kind != new.kind {
            return Err(ImportError::KindDiffers {
                name: name.clone(),
                old: old.kind.name(),
                new: new.kind.name(),
            });
        }
        let aside = self.set_aside(old)?;
        Ok(self.store_mut().replace_certificate(new, aside.as_ref())?)
    }

    /// The old certificate under the name it is kept by. An envelope is bound to its name, so its key is sealed anew. None where
    /// the name has no room for the addition.
    fn set_aside(&self, old: StoredCertificate) -> Result<Option<StoredCertificate>, ImportError> {
        let Ok(name) = format!("{}_REPLACED", old.name).parse::<CertificateName>() else {
            return Ok(None);
        };
        let sealed_key = match &old.sealed_key {
            Some(sealed) => {
                let clear: Zeroizing<Vec<u8>> =
                    self.keystore().open_key(old.name.as_str(), sealed)?;
                Some(self.keystore().seal(name.as_str(), &clear)?)
            }
            None => None,
        };
        Ok(Some(StoredCertificate {
            name,
            sealed_key,
            ..old
        }))
    }
}

struct Requested {
    name: CertificateName,
    exportable: bool,
    key: Option<NamedKey>,
}

/// Sorts the certificates into one chain per key, or one without a key. Every certificate must be in one of them.
fn find(
    name: &CertificateName,
    kind: ImportKind,
    exportable: bool,
    all: &[Parsed<'_>],
    keys: Vec<NamedKey>,
) -> Result<Vec<Found>, ImportError> {
    let several = keys.len() > 1;
    let mut used = vec![false; all.len()];
    let mut found = Vec::new();
    let mut take = |first: usize,
                    name: CertificateName,
                    key: Option<PrivateKey>|
     -> Result<Found, ImportError> {
        let order = chain::order(first, all)?;
        for at in &order {
            if let Some(used) = used.get_mut(*at) {
                *used = true;
            }
        }
        let chain: Vec<&Parsed<'_>> = order.iter().filter_map(|at| all.get(*at)).collect();
        let kind = check(kind, &chain, key.is_some())?;
        Ok(Found {
            name,
            kind,
            chain: chain.iter().map(|parsed| parsed.der.to_vec()).collect(),
            key,
            exportable,
        })
    };
    if keys.is_empty() {
        // Certificates that all issue each other form no chain with a beginning; the first is as good as any.
        found.push(take(chain::first(all).unwrap_or(0), name.clone(), None)?);
    }
    for (number, NamedKey { alias, key }) in keys.into_iter().enumerate() {
        let first = all
            .iter()
            .position(|parsed| key.belongs_to(parsed.certificate.public_key()))
            .ok_or(ImportError::KeyMismatch)?;
        let name = if several {
            numbered(name, alias.as_deref(), number + 1)
        } else {
            name.clone()
        };
        found.push(take(first, name, Some(key))?);
    }
    match used
        .iter()
        .position(|used| !used)
        .and_then(|at| all.get(at))
    {
        Some(unrelated) => Err(ChainProblem::Unrelated {
            subject: unrelated.subject(),
        }
        .into()),
        None => Ok(found),
    }
}

/// The base name with what the alias has in letters, digits, hyphens and underscores, or with a number.
fn numbered(base: &CertificateName, alias: Option<&str>, number: usize) -> CertificateName {
    let alias: String = alias
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let named = (!alias.is_empty())
        .then(|| format!("{base}-{alias}").parse().ok())
        .flatten();
    named
        .or_else(|| format!("{base}-{number}").parse().ok())
        .unwrap_or_else(|| base.clone())
}

/// Whether a chain is fit for its use, and what that use is.
fn check(
    kind: ImportKind,
    chain: &[&Parsed<'_>],
    has_key: bool,
) -> Result<CertificateKind, ImportError> {
    let Some(first) = chain.first() else {
        return Err(ImportError::NoCertificate);
    };
    let subject = || first.subject();
    let kind = match (kind, first.is_ca(), has_key) {
        (ImportKind::As(kind), _, _) => kind,
        (ImportKind::Auto, true, true) => CertificateKind::SigningCa,
        (ImportKind::Auto, true, false) => CertificateKind::Authority,
        (ImportKind::Auto, false, _) => CertificateKind::Server,
    };
    if !has_key && kind != CertificateKind::Authority {
        return Err(ImportError::NoKey { subject: subject() });
    }
    if kind != CertificateKind::Server && !first.is_ca() {
        return Err(ImportError::NotACa { subject: subject() });
    }
    let usage = first.certificate.extended_key_usage().ok().flatten();
    if kind != CertificateKind::Authority
        && usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any)
    {
        return Err(ImportError::NotForServers { subject: subject() });
    }
    if kind == CertificateKind::SigningCa {
        chain::check_nesting(chain)?;
    }
    Ok(kind)
}

#[cfg(test)]
mod tests;
