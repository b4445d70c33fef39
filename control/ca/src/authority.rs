//! The certificate store and the keystore, together.

use sluice_keystore::{Keystore, KeystoreError, Zeroizing};
use sluice_schema::CertificateName;
use sluice_store::{CertificateKind, Store, StoreError, StoredCertificate};

use crate::chain::{ChainProblem, Parsed};
use crate::limits::CHAIN_CERTIFICATES_MAX;
use crate::summary::{CertificateDetails, CertificateSummary, detail, summarize};

/// The certificates of one appliance.
#[derive(Debug)]
pub struct Authority<'a> {
    store: &'a mut Store,
    keystore: &'a Keystore,
}

/// A certificate was not described, opened or deleted.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The store failed, or has no such certificate.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key does not open.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// What is stored is no certificate.
    #[error("certificate `{name}` in the store is damaged: {problem}")]
    Unreadable {
        /// Its name.
        name: CertificateName,
        /// What is wrong.
        problem: ChainProblem,
    },
    /// An authority has no key.
    #[error("certificate `{name}` has no private key in the store; import it again with its key")]
    NoKey {
        /// Its name.
        name: CertificateName,
    },
    /// The configuration names it.
    #[error("certificate `{name}` is in use by {}; take it out of the configuration first", references.join(", "))]
    InUse {
        /// Its name.
        name: CertificateName,
        /// What names it.
        references: Vec<String>,
    },
}

impl<'a> Authority<'a> {
    /// Works on a store with the keystore that its keys are sealed by.
    pub fn new(store: &'a mut Store, keystore: &'a Keystore) -> Self {
        Self { store, keystore }
    }

    /// All certificates, by name.
    ///
    /// # Errors
    /// The store cannot be read, or a certificate in it is damaged.
    pub fn list(&self, now_unix_s: u64) -> Result<Vec<CertificateSummary>, CertificateError> {
        let all = self.store.certificates()?;
        let issuers = issuers(&all);
        all.iter()
            .map(|stored| {
                let anchored = anchor(stored, &issuers).is_some();
                summarize(stored, anchored, now_unix_s)
                    .map_err(|problem| unreadable(stored, problem))
            })
            .collect()
    }

    /// Everything about one certificate.
    ///
    /// # Errors
    /// There is none of that name, the store cannot be read, or the certificate is damaged.
    pub fn show(
        &self,
        name: &CertificateName,
        now_unix_s: u64,
    ) -> Result<CertificateDetails, CertificateError> {
        let stored = self.stored(name)?;
        let all = self.store.certificates()?;
        let issuers = issuers(&all);
        detail(&stored, anchor(&stored, &issuers).as_deref(), now_unix_s)
            .map_err(|problem| unreadable(&stored, problem))
    }

    /// Deletes a certificate with its key. `references` are the places of the current configuration that name it.
    ///
    /// # Errors
    /// It is in use, there is none of that name, or the store cannot be written.
    pub fn delete(
        &mut self,
        name: &CertificateName,
        references: &[String],
    ) -> Result<(), CertificateError> {
        let stored = self.stored(name)?;
        if !references.is_empty() {
            return Err(CertificateError::InUse {
                name: stored.name,
                references: references.to_vec(),
            });
        }
        Ok(self.store.delete_certificate(name)?)
    }

    /// Opens a private key, as PKCS#8. For the data plane's key segment alone.
    ///
    /// # Errors
    /// There is no such certificate, it has no key, or the key does not open.
    pub fn private_key(
        &self,
        name: &CertificateName,
    ) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let stored = self.stored(name)?;
        let sealed = stored
            .sealed_key
            .ok_or_else(|| CertificateError::NoKey { name: name.clone() })?;
        Ok(self.keystore.open_key(name.as_str(), &sealed)?)
    }

    pub(crate) fn summary(
        &self,
        name: &CertificateName,
        now_unix_s: u64,
    ) -> Result<CertificateSummary, CertificateError> {
        Ok(self.show(name, now_unix_s)?.summary)
    }

    pub(crate) fn stored(
        &self,
        name: &CertificateName,
    ) -> Result<StoredCertificate, CertificateError> {
        Ok(self
            .store
            .certificate(name)?
            .ok_or_else(|| StoreError::NoSuchCertificate { name: name.clone() })?)
    }

    pub(crate) fn trust_anchor(
        &self,
        stored: &StoredCertificate,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let all = self.store.certificates()?;
        Ok(anchor(stored, &issuers(&all)))
    }

    pub(crate) fn store(&self) -> &Store {
        self.store
    }

    pub(crate) fn store_mut(&mut self) -> &mut Store {
        self.store
    }

    pub(crate) fn keystore(&self) -> &Keystore {
        self.keystore
    }
}

fn unreadable(stored: &StoredCertificate, problem: ChainProblem) -> CertificateError {
    CertificateError::Unreadable {
        name: stored.name.clone(),
        problem,
    }
}

/// The CAs of the store that may complete a chain: authorities and what stands above signing CAs.
fn issuers(all: &[StoredCertificate]) -> Vec<Parsed<'_>> {
    let cas = all
        .iter()
        .filter(|stored| stored.kind != CertificateKind::Server);
    cas.flat_map(|stored| &stored.chain)
        .filter_map(|der| Parsed::read(der).ok())
        .filter(Parsed::is_ca)
        .collect()
}

/// The root of a certificate: the end of its chain, continued through the CAs of the store.
fn anchor(stored: &StoredCertificate, issuers: &[Parsed<'_>]) -> Option<Vec<u8>> {
    let last = Parsed::read(stored.chain.last()?).ok()?;
    if last.is_self_signed() {
        return Some(last.der.to_vec());
    }
    let mut above = issuers.iter().find(|issuer| last.is_issued_by(issuer))?;
    for _ in 0..CHAIN_CERTIFICATES_MAX {
        if above.is_self_signed() {
            return Some(above.der.to_vec());
        }
        above = issuers.iter().find(|issuer| above.is_issued_by(issuer))?;
    }
    None
}

#[cfg(test)]
mod tests;
