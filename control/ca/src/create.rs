//! Making CAs and requests: a key is made here, sealed, and never leaves.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sluice_keystore::KeystoreError;
use sluice_schema::CertificateName;
use sluice_store::{CertificateKind, NewCertificate, StoreError, StoredRequest};

use crate::authority::{Authority, CertificateError};
use crate::limits::{SELF_SIGNED_BACKDATE_S, SELF_SIGNED_DAYS_MAX};
use crate::private_key::{KeyProblem, KeyType, PrivateKey};
use crate::subject::{Subject, SubjectProblem};
use crate::summary::{CertificateSummary, date_text};

/// A signing CA to be made here, its own root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfSigned {
    /// Its name in the store.
    pub name: CertificateName,
    /// Whom it names.
    pub subject: Subject,
    /// Its key.
    pub key_type: KeyType,
    /// Days it is valid for, from now.
    pub days: u32,
    /// Whether its key may leave the appliance under a passphrase.
    pub exportable: bool,
    /// Seconds since the Unix epoch.
    pub now_unix_s: u64,
}

/// A request for a certificate, to be signed by another CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    /// Its name; the certificate is imported under any name.
    pub name: CertificateName,
    /// A signing CA or a server.
    pub kind: CertificateKind,
    /// Whom the certificate is to name.
    pub subject: Subject,
    /// Its key.
    pub key_type: KeyType,
    /// Whether its key may leave the appliance under a passphrase.
    pub exportable: bool,
    /// Seconds since the Unix epoch.
    pub now_unix_s: u64,
}

/// A request that waits for its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSummary {
    /// Its name.
    pub name: String,
    /// What the certificate will be for.
    pub kind: CertificateKind,
    /// The PKCS#10 request in PEM, for the CA.
    pub pem: String,
    /// When it was made, RFC 3339.
    pub created: String,
}

/// A CA or a request was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The subject cannot stand in a certificate.
    #[error(transparent)]
    Subject(#[from] SubjectProblem),
    /// The validity is out of bounds.
    #[error("{0} days is no validity for a CA; give 1 to {SELF_SIGNED_DAYS_MAX}")]
    Days(u32),
    /// Authorities have no key here.
    #[error(
        "an authority is imported, not requested; request a signing CA or a server certificate"
    )]
    AuthorityRequested,
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyProblem),
    /// The certificate could not be written.
    #[error("the certificate could not be written: {0}; check the subject")]
    Encoding(#[from] rcgen::Error),
    /// The key could not be sealed.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was made could not be described.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Authority<'_> {
    /// Makes a signing CA that is its own root: pathLenConstraint 0, keyCertSign and cRLSign.
    ///
    /// # Errors
    /// The name is taken, the subject or validity is not fit, or key or store fail. Then nothing has changed.
    pub fn self_signed(&mut self, wanted: &SelfSigned) -> Result<CertificateSummary, CreateError> {
        if !(1..=SELF_SIGNED_DAYS_MAX).contains(&wanted.days) {
            return Err(CreateError::Days(wanted.days));
        }
        let mut params = CertificateParams::default();
        wanted.subject.write(&mut params)?;
        // RSA keys take seconds to make: a name that is taken is found out before.
        if self.store().certificate(&wanted.name)?.is_some() {
            return Err(StoreError::CertificateExists {
                name: wanted.name.clone(),
            }
            .into());
        }
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial_number()?);
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before =
            epoch + Duration::from_secs(wanted.now_unix_s.saturating_sub(SELF_SIGNED_BACKDATE_S));
        params.not_after =
            epoch + Duration::from_secs(wanted.now_unix_s + u64::from(wanted.days) * 86_400);
        let key = PrivateKey::generate(wanted.key_type)?;
        let certificate = params.self_signed(&key.for_rcgen()?)?;
        let certificate = NewCertificate {
            name: wanted.name.clone(),
            kind: CertificateKind::SigningCa,
            chain: vec![certificate.der().to_vec()],
            sealed_key: Some(self.keystore().seal(wanted.name.as_str(), key.pkcs8())?),
            exportable: wanted.exportable,
            labels: std::collections::BTreeMap::new(),
            created_unix_s: wanted.now_unix_s,
        };
        self.store_mut().put_certificate(&certificate)?;
        Ok(self.summary(&wanted.name, wanted.now_unix_s)?)
    }

    /// Makes a key and a request for it. The certificate finds its key by itself when it is imported.
    ///
    /// # Errors
    /// The name is taken by another request, the subject is not fit, or key or store fail. Then nothing has changed.
    pub fn request(&mut self, wanted: &SigningRequest) -> Result<RequestSummary, CreateError> {
        let mut params = CertificateParams::default();
        wanted.subject.write(&mut params)?;
        match wanted.kind {
            CertificateKind::SigningCa => {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            }
            CertificateKind::Server => {
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            CertificateKind::Authority => return Err(CreateError::AuthorityRequested),
        }
        let key = PrivateKey::generate(wanted.key_type)?;
        let request = params.serialize_request(&key.for_rcgen()?)?;
        let stored = StoredRequest {
            name: wanted.name.clone(),
            kind: wanted.kind,
            der: request.der().to_vec(),
            sealed_key: self
                .keystore()
                .seal(&sealed_name(&wanted.name), key.pkcs8())?,
            exportable: wanted.exportable,
            created_unix_s: wanted.now_unix_s,
        };
        self.store_mut().put_request(&stored)?;
        Ok(summarize(&stored))
    }

    /// The requests that wait for their certificate.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn requests(&self) -> Result<Vec<RequestSummary>, StoreError> {
        Ok(self.store().requests()?.iter().map(summarize).collect())
    }

    /// Gives up a request with its key: a certificate for it can then no longer be imported.
    ///
    /// # Errors
    /// There is no such request, or the store cannot be written.
    pub fn delete_request(&mut self, name: &CertificateName) -> Result<(), StoreError> {
        self.store_mut().delete_request(name)
    }
}

/// Requests and certificates have names of their own, so their keys are sealed for different names: `/` is in none.
pub(crate) fn sealed_name(request: &CertificateName) -> String {
    format!("request/{request}")
}

fn summarize(request: &StoredRequest) -> RequestSummary {
    RequestSummary {
        name: request.name.to_string(),
        kind: request.kind,
        pem: crate::export::pem_text("CERTIFICATE REQUEST", &request.der),
        created: date_text(i64::try_from(request.created_unix_s).unwrap_or(i64::MAX)),
    }
}

/// RFC 5280 4.1.2.2: positive, at most 20 bytes; 126 bits of it random.
fn serial_number() -> Result<SerialNumber, KeyProblem> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| KeyProblem::NotMade)?;
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
