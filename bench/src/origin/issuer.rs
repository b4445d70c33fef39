//! A certificate of its own for each server name: what a proxy that caches leaves meets when every host is new.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::OriginError;
use crate::limits::ISSUED_CERTIFICATES_MAX;
use crate::tls;

/// Issues on first sight, then serves from memory. All leaves share one key.
#[derive(Debug)]
pub(crate) struct Issuer {
    authority: rcgen::Issuer<'static, KeyPair>,
    authority_chain: Vec<CertificateDer<'static>>,
    leaf_key: KeyPair,
    issued: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl Issuer {
    /// The authority's certificate (with what is sent along) and key.
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Self, OriginError> {
        let authority_chain = tls::certificates(certificate)?;
        let first = authority_chain
            .first()
            .ok_or(rcgen::Error::CouldNotParseCertificate)?;
        let signing = KeyPair::try_from(&tls::private_key(key)?)?;
        Ok(Self {
            authority: rcgen::Issuer::from_ca_cert_der(first, signing)?,
            leaf_key: KeyPair::generate()?,
            issued: Mutex::new(BTreeMap::new()),
            authority_chain,
        })
    }

    fn issue(&self, name: &str) -> Result<CertifiedKey, OriginError> {
        let mut parameters = CertificateParams::new(vec![name.to_owned()])?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        let leaf = parameters.signed_by(&self.leaf_key, &self.authority)?;
        let mut chain = vec![leaf.der().clone()];
        chain.extend(self.authority_chain.iter().cloned());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        Ok(tls::certified(chain, key)?)
    }
}

impl ResolvesServerCert for Issuer {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        let mut issued = self.issued.lock().ok()?;
        if let Some(known) = issued.get(name) {
            return Some(Arc::clone(known));
        }
        if issued.len() >= ISSUED_CERTIFICATES_MAX {
            return None;
        }
        let fresh = Arc::new(self.issue(name).ok()?);
        issued.insert(name.to_owned(), Arc::clone(&fresh));
        Some(fresh)
    }
}
