//! Certificates of the control plane: generate, import, describe, export.
//!
//! [`Authority`] works on the certificate store and the keystore of one appliance. Private keys go in and are sealed; what
//! comes out for people is certificates only. [`Authority::private_key`] opens a key for the data plane's key segment, and
//! nothing else.
//!
//! Only requests for keys made here are signed by others; no request of others is signed here.
//!
//! The time is passed in as seconds since the Unix epoch.

#![forbid(unsafe_code)]

mod authority;
mod chain;
mod create;
mod export;
mod file;
mod import;
pub mod limits;
mod private_key;
mod subject;
mod summary;
#[cfg(test)]
mod test_support;

pub use authority::{Authority, CertificateError};
pub use chain::ChainProblem;
pub use create::{CreateError, RequestSummary, SelfSigned, SigningRequest};
pub use export::{Export, ExportError};
pub use file::FileProblem;
pub use import::{Import, ImportError, ImportKind};
pub use private_key::{KeyProblem, KeyType};
pub use subject::{Subject, SubjectProblem};
pub use summary::{CertificateDetails, CertificateStatus, CertificateSummary};
