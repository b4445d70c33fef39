//! Forged leaves: read the origin's certificate, mimic it, sign it, cache it.
//!
//! An inspected client is shown a leaf that says about the origin what the origin said about itself (subject, names, dates)
//! and is signed by a CA of the operator's. [`SigningCa`] is that CA, [`LeafKey`] the one key all leaves of a process share,
//! [`forge`] makes the leaf and [`LeafCache`] keeps it, per core, under everything that makes it right.
//!
//! Everything read here that came from an origin is hostile: bounded, parsed by `x509-parser`, and refused as a
//! [`ForgeError`] where it is odd.

#![forbid(unsafe_code)]

mod ca;
mod cache;
mod constraints;
mod encode;
mod forge;
mod leaf_key;
pub mod limits;
mod origin;
mod signer;
#[cfg(test)]
mod test_support;
mod validity;

pub use ca::{SigningCa, SigningCaError};
pub use cache::{CacheStats, LeafCache, LeafCacheKey, Lookup};
pub use forge::{ForgeError, ForgeRequest, ForgedLeaf, forge};
pub use leaf_key::{LeafKey, LeafKeyError};
pub use signer::{Cost, KeyProblem};

/// SHA-256 over a certificate's DER: what log events name it by and caches key it by.
#[must_use]
pub fn certificate_sha256(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}
