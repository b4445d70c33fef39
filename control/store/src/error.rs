//! What can go wrong with the store.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use sluice_schema::{CertificateName, Generation};

use crate::limits::{CERTIFICATES_MAX, REQUESTS_MAX};

/// An operation on the store was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its directory cannot be made, opened or written.
    #[error("the configuration store {} cannot be opened: {reason}; check that its directory exists and that this user may write there", path.display())]
    Open {
        /// The store's file.
        path: PathBuf,
        /// The system's or SQLite's reason.
        reason: String,
    },
    /// The file is damaged, cut or no database.
    #[error("the configuration store {} is damaged ({reason}); restore it from a backup, or move it away to start anew without configuration and certificates", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file is a database, but another program's.
    #[error("{} is a database of another program, not a configuration store; give the path of the store", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A later release has written the file.
    #[error("the configuration store {} has format {found}, this release knows up to {known}; run the release that wrote it, or a later one", path.display())]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The last format known here.
        known: i64,
    },
    /// Another process holds the file.
    #[error("the configuration store {} is in use by another process; stop the other one, or wait and try again", path.display())]
    Busy {
        /// The store's file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("the disk that holds the configuration store {} is full; nothing was changed, make room and try again", path.display())]
    DiskFull {
        /// The store's file.
        path: PathBuf,
    },
    /// No generation of this number is kept.
    #[error(
        "there is no generation {generation} in the store; list the generations and choose one of them"
    )]
    NoSuchGeneration {
        /// The number asked for.
        generation: Generation,
    },
    /// Nothing has been applied yet.
    #[error("no configuration has been applied yet; apply one first")]
    NoGeneration,
    /// One path occurs twice among the documents of a generation.
    #[error("the document `{document}` was given twice; give each document once")]
    DuplicateDocument {
        /// Its path.
        document: String,
    },
    /// Certificate names are unique.
    #[error(
        "a certificate named `{name}` is already in the store; choose another name, or delete or replace that one"
    )]
    CertificateExists {
        /// The name.
        name: CertificateName,
    },
    /// No certificate has this name.
    #[error(
        "there is no certificate named `{name}` in the store; list the certificates for their names"
    )]
    NoSuchCertificate {
        /// The name.
        name: CertificateName,
    },
    /// Names of requests are unique.
    #[error(
        "a certificate request named `{name}` is already waiting; choose another name, or delete that request"
    )]
    RequestExists {
        /// The name.
        name: CertificateName,
    },
    /// No request has this name.
    #[error(
        "there is no certificate request named `{name}` in the store; list the requests for their names"
    )]
    NoSuchRequest {
        /// The name.
        name: CertificateName,
    },
    /// The store holds [`CERTIFICATES_MAX`] certificates.
    #[error(
        "the store holds {CERTIFICATES_MAX} certificates, as many as it may; delete some that are not in use"
    )]
    TooManyCertificates,
    /// The store holds [`REQUESTS_MAX`] requests.
    #[error("{REQUESTS_MAX} certificate requests are waiting, as many as may; delete some")]
    TooManyRequests,
    /// A certificate, its chain or its sealed key is empty or too large.
    #[error("certificate `{name}` cannot be stored: {what}")]
    Unstorable {
        /// The name.
        name: CertificateName,
        /// What is wrong, and the bound.
        what: String,
    },
    /// Anything else SQLite reports.
    #[error("the configuration store {}: {source}; nothing was changed", path.display())]
    Sqlite {
        /// The store's file.
        path: PathBuf,
        /// SQLite's own error.
        source: rusqlite::Error,
    },
}

impl StoreError {
    pub(crate) fn open(path: &Path, error: &std::io::Error) -> Self {
        Self::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                path,
                reason: source.to_string(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                Self::Open {
                    path,
                    reason: source.to_string(),
                }
            }
            _ => Self::Sqlite { path, source },
        }
    }
}
