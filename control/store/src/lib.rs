//! The configuration store of one appliance: one SQLite file.
//!
//! It holds the documents of every generation, which generation is current, the certificates with their private keys as
//! sealed envelopes (never in clear; see the keystore), requests waiting for their certificate, and settings. Every change is
//! one transaction: it is there as a whole, on the disk, or not at all.
//!
//! The time is passed in as seconds since the Unix epoch.

#![forbid(unsafe_code)]

mod certificates;
mod error;
mod generations;
pub mod limits;
mod migrations;
mod requests;
mod settings;
mod store;
#[cfg(test)]
mod test_support;

pub use certificates::{CertificateKind, NewCertificate, StoredCertificate};
pub use error::StoreError;
pub use generations::{GenerationRecord, Note, RolledBack};
pub use requests::StoredRequest;
pub use store::Store;
