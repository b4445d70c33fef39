//! Why a request was refused.

use core::fmt;

use serde::{Deserialize, Serialize};
use sluice_schema::Problem;

/// What kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request is not one, or not one of this version.
    BadRequest,
    /// The request is longer than the limit.
    TooLarge,
    /// The documents are not a valid configuration; the problems say why.
    InvalidDocuments,
    /// A file to import is not what it should be.
    InvalidFile,
    /// The passphrase does not open the file, or one is needed.
    WrongPassphrase,
    /// What was named does not exist.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// It is in use and cannot be changed.
    InUse,
    /// It is not allowed, e.g. exporting a private key.
    Forbidden,
    /// There is no data plane to ask.
    NoDataplane,
    /// The data plane refused the generation; the one before stays.
    NotAdopted,
    /// Something failed in `sluiced` itself.
    Internal,
}

impl ErrorCode {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::TooLarge => "too-large",
            Self::InvalidDocuments => "invalid-documents",
            Self::InvalidFile => "invalid-file",
            Self::WrongPassphrase => "wrong-passphrase",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::InUse => "in-use",
            Self::Forbidden => "forbidden",
            Self::NoDataplane => "no-dataplane",
            Self::NotAdopted => "not-adopted",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind.
    pub code: ErrorCode,
    /// What was wrong and what to do.
    pub message: String,
    /// What is wrong with the documents, if that is it.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

impl ApiError {
    /// A refusal without problems of documents.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            problems: Vec::new(),
        }
    }

    /// The refusal of documents.
    #[must_use]
    pub fn documents(problems: Vec<Problem>) -> Self {
        let message = match problems.len() {
            1 => "the configuration has a problem; nothing was changed".to_owned(),
            count => format!("the configuration has {count} problems; nothing was changed"),
        };
        Self {
            code: ErrorCode::InvalidDocuments,
            message,
            problems,
        }
    }
}
