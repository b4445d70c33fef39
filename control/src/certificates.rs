//! The certificate store as publishing sees it.

use sluice_keystore::{Keystore, Zeroizing};
use sluice_publish::{CertificateFacts, CertificateSource, SourceError};
use sluice_schema::CertificateName;
use sluice_store::{CertificateKind, Store, StoredCertificate};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is stored under a certificate's name is none. The import checks, so the store was changed behind its back.
#[derive(Debug, thiserror::Error)]
#[error("the certificate `{name}` in the store is damaged; import it again")]
pub(crate) struct DamagedCertificate {
    name: CertificateName,
}

impl DamagedCertificate {
    pub(crate) fn new(name: &CertificateName) -> Self {
        Self { name: name.clone() }
    }
}

/// The certificate itself, without its chain.
pub(crate) fn parse(stored: &StoredCertificate) -> Result<X509Certificate<'_>, DamagedCertificate> {
    let damaged = || DamagedCertificate::new(&stored.name);
    let der = stored.chain.first().ok_or_else(damaged)?;
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(damaged()),
    }
}

/// Begin and end of a certificate's validity, seconds since the Unix epoch.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (u64, u64) {
    let validity = certificate.validity();
    let unix_s = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    (
        unix_s(validity.not_before.timestamp()),
        unix_s(validity.not_after.timestamp()),
    )
}

/// Certificates and keys for publishing.
pub(crate) struct Shelf<'a> {
    store: &'a Store,
    keystore: &'a Keystore,
}

impl<'a> Shelf<'a> {
    pub(crate) fn new(store: &'a Store, keystore: &'a Keystore) -> Self {
        Self { store, keystore }
    }
}

impl CertificateSource for Shelf<'_> {
    fn certificate(&self, name: &CertificateName) -> Result<Option<CertificateFacts>, SourceError> {
        let Some(stored) = self.store.certificate(name)? else {
            return Ok(None);
        };
        let (not_before_unix_s, not_after_unix_s) = validity(&parse(&stored)?);
        Ok(Some(CertificateFacts {
            not_before_unix_s,
            not_after_unix_s,
            authority: stored.kind == CertificateKind::SigningCa,
            has_key: stored.sealed_key.is_some(),
            chain: stored.chain,
        }))
    }

    fn private_key(&self, name: &CertificateName) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let sealed = self
            .store
            .certificate(name)?
            .and_then(|stored| stored.sealed_key)
            .unwrap_or_default();
        Ok(self.keystore.open_key(name.as_str(), &sealed)?)
    }
}
