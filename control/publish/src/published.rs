//! One generation, sealed, with its keys: what is handed over, as often as a data plane asks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sluice_schema::Generation;
use sluice_shm::{KeySegment, KeySegmentError, SealedSnapshot, SnapshotError};

use crate::Prepared;

/// A prepared generation could not be put into shared memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The snapshot.
    #[error("generation {generation} cannot be sealed: {source}")]
    Snapshot {
        /// The generation.
        generation: Generation,
        /// Why not.
        source: SnapshotError,
    },
    /// The keys.
    #[error(
        "the private keys of generation {generation} cannot be put into protected memory: {source}"
    )]
    Keys {
        /// The generation.
        generation: Generation,
        /// Why not.
        source: KeySegmentError,
    },
}

/// A generation in shared memory. Dropping it overwrites its keys.
#[derive(Debug)]
pub struct Published {
    generation: Generation,
    snapshot: OwnedFd,
    keys: KeySegment,
}

impl Published {
    /// Seals a prepared generation; the keys' copies in this process are overwritten.
    ///
    /// # Errors
    /// No shared memory, or more than it may hold.
    #[expect(clippy::needless_pass_by_value, reason = "the private keys end here")]
    pub fn seal(prepared: Prepared) -> Result<Self, PublishError> {
        let generation = prepared.snapshot.generation;
        let snapshot = SealedSnapshot::seal(generation.0, &prepared.snapshot.encode())
            .map_err(|source| PublishError::Snapshot { generation, source })?;
        let keys: Vec<_> = prepared
            .keys
            .iter()
            .map(|(id, key)| (id.0, key.as_slice()))
            .collect();
        let keys = KeySegment::create(&keys)
            .map_err(|source| PublishError::Keys { generation, source })?;
        Ok(Self {
            generation,
            snapshot,
            keys,
        })
    }

    /// Which generation this is.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The descriptors that cross: the snapshot, then the keys.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.snapshot.as_fd(), self.keys.as_fd()]
    }
}
