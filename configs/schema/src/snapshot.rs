//! A configuration with its certificates and a generation, as it crosses to the data plane.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_CERTIFICATES_MAX};
use crate::{CertificateName, Configuration};

/// Number of a published configuration; rises with each.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which key of the key segment belongs to a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A certificate that the configuration names. Its private key is not here but in the key segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its name in the certificate store.
    pub name: CertificateName,
    /// DER, the certificate itself first, then its issuers.
    pub chain: Vec<Vec<u8>>,
    /// Its key in the key segment; absent for an authority.
    pub key: Option<KeyId>,
}

/// What the data plane adopts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which one.
    pub generation: Generation,
    /// The validated configuration.
    pub configuration: Configuration,
    /// Every certificate it names, once each.
    pub certificates: Vec<Certificate>,
}

/// Why bytes are not a snapshot, or a snapshot not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes do not begin like a snapshot.
    #[error("these bytes are not a snapshot")]
    NotASnapshot,
    /// Another release wrote it.
    #[error(
        "the snapshot has format {found}, this release reads {FORMAT}; run both processes of the same release"
    )]
    Format {
        /// The format it has.
        found: u16,
    },
    /// Its content does not decode.
    #[error("the snapshot is damaged")]
    Malformed,
    /// It is longer than the limit.
    #[error("the snapshot is {bytes} bytes long, more than the {SNAPSHOT_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It has more certificates than the limit.
    #[error(
        "the snapshot has {count} certificates, more than the {SNAPSHOT_CERTIFICATES_MAX} allowed"
    )]
    TooManyCertificates {
        /// How many.
        count: usize,
    },
}

const MAGIC: &[u8; 6] = b"SLUICE";

/// Raised whenever the encoding changes.
const FORMAT: u16 = 2;

impl Snapshot {
    /// The snapshot as bytes: magic, format (little-endian), postcard.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        // Encoding into a growing vector fails only for sequences of unknown length, of which there are none here.
        postcard::to_extend(self, bytes).unwrap_or_default()
    }

    /// The snapshot in `bytes`. Arbitrary bytes give an error, never a panic.
    ///
    /// # Errors
    /// When the bytes are no snapshot, of another format, damaged or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(SnapshotError::TooLong { bytes: bytes.len() });
        }
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or(SnapshotError::NotASnapshot)?;
        let (format, rest) = rest
            .split_first_chunk::<2>()
            .ok_or(SnapshotError::NotASnapshot)?;
        let found = u16::from_le_bytes(*format);
        if found != FORMAT {
            return Err(SnapshotError::Format { found });
        }
        let snapshot: Self = match postcard::take_from_bytes(rest) {
            Ok((snapshot, [])) => snapshot,
            Ok(_) | Err(_) => return Err(SnapshotError::Malformed),
        };
        if snapshot.certificates.len() > SNAPSHOT_CERTIFICATES_MAX {
            return Err(SnapshotError::TooManyCertificates {
                count: snapshot.certificates.len(),
            });
        }
        Ok(snapshot)
    }

    /// The certificate of this name.
    #[must_use]
    pub fn certificate(&self, name: &CertificateName) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.name == *name)
    }
}
