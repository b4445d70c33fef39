//! What the management interface asks about certificates.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sluice_api::{
    ApiError, Blob, CertificateExport, CertificateImport, ErrorCode, ExportFormat, Exported,
    KeyKind, Reply, SelfSigned,
};
use sluice_ca::{
    Authority, CreateError, Export, ExportError, FileProblem, Import, ImportError, KeyType, Subject,
};
use sluice_schema::CertificateName;
use sluice_store::{Note, StoreError};

use crate::certificate_view::{details, summary};
use crate::certificates::DamagedCertificate;
use crate::manage::{internal, store_error};
use crate::process::Daemon;
use crate::{clock, journal};

impl Daemon {
    pub(crate) fn certificate_self_signed(&self, wanted: &SelfSigned) -> Result<Reply, ApiError> {
        let name = certificate_name(&wanted.name)?;
        let subject = &wanted.subject;
        let made = sluice_ca::SelfSigned {
            name: name.clone(),
            subject: Subject {
                common_name: subject.common_name.clone(),
                organization: subject.organization.clone(),
                organizational_unit: subject.organizational_unit.clone(),
                locality: subject.locality.clone(),
                state: subject.state.clone(),
                country: subject.country.clone(),
                email: subject.email.clone(),
                dns_names: wanted.dns_names.clone(),
                email_names: wanted.mail_addresses.clone(),
            },
            key_type: key_type(wanted.key)?,
            days: wanted.valid_days,
            exportable: false,
            now_unix_s: clock::unix_s(),
        };
        {
            let mut store = self.store();
            Authority::new(&mut store, &self.keystore)
                .self_signed(&made)
                .map_err(create_error)?;
        }
        journal::say(&format!("the self-signed CA `{name}` was made"));
        self.certificate_changed(&name);
        self.certificate_show(&wanted.name)
    }

    pub(crate) fn certificate_import(&self, wanted: &CertificateImport) -> Result<Reply, ApiError> {
        let name = certificate_name(&wanted.name)?;
        let import = Import {
            file: &wanted.certificate.0,
            key_file: wanted.key.as_ref().map(|key| key.0.as_slice()),
            passphrase: wanted.passphrase.as_ref().map(sluice_api::Secret::expose),
            replace: wanted.replace,
            now_unix_s: clock::unix_s(),
            ..Import::default()
        };
        let imported = {
            let mut store = self.store();
            let mut authority = Authority::new(&mut store, &self.keystore);
            let described = authority
                .import(&name, &import)
                .map_err(|error| import_error(&error))?;
            let names: Vec<_> = described.iter().map(|one| one.name.clone()).collect();
            let lines = described
                .iter()
                .map(|one| self.line(&store, one))
                .collect::<Result<Vec<_>, _>>()?;
            journal::say(&format!(
                "imported into the certificate store: {}",
                names.join(", ")
            ));
            lines
        };
        for one in &imported {
            if let Ok(name) = certificate_name(&one.name) {
                self.certificate_changed(&name);
            }
        }
        Ok(Reply::Certificates(imported))
    }

    pub(crate) fn certificate_list(&self) -> Result<Reply, ApiError> {
        let mut store = self.store();
        let described = Authority::new(&mut store, &self.keystore)
            .list(clock::unix_s())
            .map_err(|error| internal(&error))?;
        let lines = described
            .iter()
            .map(|one| self.line(&store, one))
            .collect::<Result<_, _>>()?;
        Ok(Reply::Certificates(lines))
    }

    pub(crate) fn certificate_show(&self, name: &str) -> Result<Reply, ApiError> {
        let name = certificate_name(name)?;
        let configuration = self
            .current()
            .ok()
            .flatten()
            .map(|(_, configuration)| configuration);
        let mut store = self.store();
        let now = clock::unix_s();
        let described = Authority::new(&mut store, &self.keystore)
            .show(&name, now)
            .map_err(|error| certificate_error(&error))?;
        let stored = store
            .certificate(&name)
            .map_err(|error| store_error(&error))?;
        let stored = stored.ok_or_else(|| internal(&StoreError::NoSuchCertificate { name }))?;
        let details = details(&described, &stored, configuration.as_ref(), now)
            .map_err(|error| internal(&error))?;
        Ok(Reply::Certificate(Box::new(details)))
    }

    pub(crate) fn certificate_export(&self, wanted: &CertificateExport) -> Result<Reply, ApiError> {
        let name = certificate_name(&wanted.name)?;
        let what = match (wanted.anchor, wanted.chain) {
            (true, true) => {
                return Err(ApiError::new(
                    ErrorCode::BadRequest,
                    "the trust anchor is one certificate; ask for it or for the chain, not for both",
                ));
            }
            (true, false) => Export::TrustAnchor,
            (false, true) => Export::Chain,
            (false, false) => Export::Certificate,
        };
        if what == Export::Chain && wanted.format == ExportFormat::Der {
            return Err(ApiError::new(
                ErrorCode::BadRequest,
                "DER holds one certificate; export a chain as PEM",
            ));
        }
        let pem = {
            let mut store = self.store();
            Authority::new(&mut store, &self.keystore)
                .export(&name, what)
                .map_err(|error| export_error(&error))?
        };
        let content = match wanted.format {
            ExportFormat::Pem => pem.into_bytes(),
            ExportFormat::Der => CertificateDer::from_pem_slice(pem.as_bytes())
                .map_err(|_| internal(&DamagedCertificate::new(&name)))?
                .to_vec(),
        };
        Ok(Reply::Exported(Exported {
            name: wanted.name.clone(),
            format: wanted.format,
            content: Blob(content),
        }))
    }

    /// If the current configuration names the certificate, a new generation carries it to the data plane.
    fn certificate_changed(&self, name: &CertificateName) {
        let Ok(Some((_, configuration))) = self.current() else {
            return;
        };
        if !configuration
            .certificate_uses()
            .iter()
            .any(|one| one.certificate == name)
        {
            return;
        }
        let comment = format!("certificate `{name}` changed");
        let note = Note {
            author: "sluiced".to_owned(),
            comment,
            at_unix_s: clock::unix_s(),
        };
        match self.reissue(&note) {
            Ok(Some(applied)) => journal::say(&format!(
                "generation {} carries the certificate `{name}`",
                applied.generation
            )),
            Ok(None) => {}
            Err(error) => journal::say(&format!(
                "the certificate `{name}` is stored and not published: {}",
                crate::administration::full(&error)
            )),
        }
    }

    fn line(
        &self,
        store: &sluice_store::Store,
        described: &sluice_ca::CertificateSummary,
    ) -> Result<sluice_api::CertificateSummary, ApiError> {
        let name = certificate_name(&described.name)?;
        let stored = store
            .certificate(&name)
            .map_err(|error| store_error(&error))?;
        let stored = stored.ok_or_else(|| internal(&StoreError::NoSuchCertificate { name }))?;
        summary(described, &stored, clock::unix_s()).map_err(|error| internal(&error))
    }
}

fn certificate_name(name: &str) -> Result<CertificateName, ApiError> {
    name.parse().map_err(|error| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("`{name}` is no name for a certificate: {error}"),
        )
    })
}

fn key_type(kind: KeyKind) -> Result<KeyType, ApiError> {
    match kind {
        KeyKind::EcdsaP256 => Ok(KeyType::P256),
        KeyKind::EcdsaP384 => Ok(KeyType::P384),
        KeyKind::Rsa2048 => Ok(KeyType::Rsa2048),
        KeyKind::Rsa3072 => Ok(KeyType::Rsa3072),
        KeyKind::Rsa4096 => Ok(KeyType::Rsa4096),
        KeyKind::Ed25519 => Err(ApiError::new(
            ErrorCode::BadRequest,
            "Ed25519 keys are not made here, because few TLS clients accept them in a CA; choose ecdsa-p256",
        )),
    }
}

fn create_error(error: CreateError) -> ApiError {
    match error {
        CreateError::Store(error) => store_error(&error),
        error @ (CreateError::Subject(_)
        | CreateError::Days(_)
        | CreateError::AuthorityRequested) => {
            ApiError::new(ErrorCode::BadRequest, error.to_string())
        }
        error => internal(&error),
    }
}

fn import_error(error: &ImportError) -> ApiError {
    let code = match error {
        ImportError::Store(error) => return store_error(error),
        ImportError::File(FileProblem::PassphraseMissing | FileProblem::NotOpened) => {
            ErrorCode::WrongPassphrase
        }
        ImportError::AlreadyThere { .. } => ErrorCode::AlreadyExists,
        ImportError::Keystore(_) | ImportError::Certificate(_) => ErrorCode::Internal,
        _ => ErrorCode::InvalidFile,
    };
    ApiError::new(code, error.to_string())
}

fn certificate_error(error: &sluice_ca::CertificateError) -> ApiError {
    match error {
        sluice_ca::CertificateError::Store(error) => store_error(error),
        error => internal(error),
    }
}

fn export_error(error: &ExportError) -> ApiError {
    match error {
        ExportError::Store(error) => store_error(error),
        ExportError::Certificate(error) => certificate_error(error),
        ExportError::NoTrustAnchor { .. } => ApiError::new(ErrorCode::NotFound, error.to_string()),
        ExportError::Unknown(_) => ApiError::new(ErrorCode::BadRequest, error.to_string()),
    }
}
