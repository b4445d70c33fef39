//! A configuration generation on its way to the data plane: a memory file with a hashed header, sealed.
//!
//! Layout, little-endian: magic (8), format version (4), header length (4), generation (8), payload length (8),
//! SHA-256 (32) over the header before the hash and the payload, then the payload.

use std::os::fd::{AsFd, OwnedFd};

use sha2::{Digest, Sha256};

use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::memory::{MemoryError, SealedBytes};

const MAGIC: [u8; 8] = *b"SLUICESN";
const VERSION: u32 = 1;
const PREFIX_BYTES: usize = 32;
const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = PREFIX_BYTES + HASH_BYTES;

/// A snapshot could not be sealed or is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The memory file could not be made, or is not sealed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The payload exceeds the limit.
    #[error(
        "the configuration takes {bytes} bytes, more than the {SNAPSHOT_BYTES_MAX} a snapshot may have; remove certificates or profiles"
    )]
    TooLarge {
        /// Bytes of the payload.
        bytes: usize,
    },
    /// The file does not start with the snapshot's magic.
    #[error("the memory file is not a Sluice snapshot")]
    NotASnapshot,
    /// The other process writes another format.
    #[error(
        "the snapshot has format {found}, this program reads {VERSION}; run sluiced and sluice-dataplane of one release"
    )]
    Version {
        /// Format found.
        found: u32,
    },
    /// Header and size contradict each other.
    #[error("the snapshot says {said} bytes and has {found}")]
    Length {
        /// Payload length in the header.
        said: u64,
        /// Payload length by the file's size.
        found: usize,
    },
    /// The content is not what was hashed.
    #[error(
        "the snapshot's SHA-256 does not match its content; it was damaged before it was sealed"
    )]
    Hash,
}

/// A snapshot as the data plane sees it: checked once, then immutable.
pub struct SealedSnapshot {
    memory: SealedBytes,
    generation: u64,
}

impl SealedSnapshot {
    /// Writes `bytes` as generation `generation` into a new memory file and seals it.
    ///
    /// # Errors
    /// The payload is too large, or the kernel gives no memory file.
    pub fn seal(generation: u64, bytes: &[u8]) -> Result<OwnedFd, SnapshotError> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(SnapshotError::TooLarge { bytes: bytes.len() });
        }
        let prefix = prefix(generation, bytes.len() as u64);
        Ok(SealedBytes::seal(
            "sluice-snapshot",
            &[&prefix, &hash(&prefix, bytes), bytes],
        )?)
    }

    /// Maps a snapshot after checking its seals, header, size and hash.
    ///
    /// # Errors
    /// Whatever of these does not hold.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the descriptor is done with: the mapping keeps the memory"
    )]
    pub fn open(fd: OwnedFd) -> Result<Self, SnapshotError> {
        let memory =
            SealedBytes::open(fd.as_fd(), HEADER_BYTES, HEADER_BYTES + SNAPSHOT_BYTES_MAX)?;
        let (header, payload) = memory
            .bytes()
            .split_at_checked(HEADER_BYTES)
            .ok_or(SnapshotError::NotASnapshot)?;
        let (prefix, recorded) = header
            .split_at_checked(PREFIX_BYTES)
            .ok_or(SnapshotError::NotASnapshot)?;
        if !prefix.starts_with(&MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        let version = u32_at(prefix, 8);
        if version != VERSION || u32_at(prefix, 12) as usize != HEADER_BYTES {
            return Err(SnapshotError::Version { found: version });
        }
        let (generation, said) = (u64_at(prefix, 16), u64_at(prefix, 24));
        if said != payload.len() as u64 {
            return Err(SnapshotError::Length {
                said,
                found: payload.len(),
            });
        }
        if recorded != hash(prefix, payload) {
            return Err(SnapshotError::Hash);
        }
        Ok(Self { memory, generation })
    }

    /// The generation this snapshot carries.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The payload.
    pub fn bytes(&self) -> &[u8] {
        self.memory.bytes().get(HEADER_BYTES..).unwrap_or_default()
    }
}

impl std::fmt::Debug for SealedSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSnapshot")
            .field("generation", &self.generation)
            .field("bytes", &self.bytes().len())
            .finish()
    }
}

fn prefix(generation: u64, bytes: u64) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    #[expect(clippy::cast_possible_truncation, reason = "a constant of two digits")]
    let header_bytes = HEADER_BYTES as u32;
    let fields = MAGIC
        .into_iter()
        .chain(VERSION.to_le_bytes())
        .chain(header_bytes.to_le_bytes())
        .chain(generation.to_le_bytes())
        .chain(bytes.to_le_bytes());
    for (to, from) in prefix.iter_mut().zip(fields) {
        *to = from;
    }
    prefix
}

fn hash(prefix: &[u8], payload: &[u8]) -> [u8; HASH_BYTES] {
    Sha256::new()
        .chain_update(prefix)
        .chain_update(payload)
        .finalize()
        .into()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_snapshot_is_read_back_as_written() {
        let payload = vec![7_u8; 100_000];
        let fd = SealedSnapshot::seal(42, &payload).unwrap();
        let snapshot = SealedSnapshot::open(fd).unwrap();
        assert_eq!(snapshot.generation(), 42);
        assert_eq!(snapshot.bytes(), payload);
    }

    #[test]
    fn an_empty_snapshot_is_whole() {
        let snapshot = SealedSnapshot::open(SealedSnapshot::seal(1, &[]).unwrap()).unwrap();
        assert_eq!(snapshot.bytes(), b"");
    }

    #[test]
    fn a_sealed_snapshot_cannot_be_written_or_resized() {
        let fd = SealedSnapshot::seal(1, b"content").unwrap();
        let mut file = std::fs::File::from(fd);
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(1 << 20).is_err());
    }

    #[test]
    fn an_unsealed_file_is_refused() {
        let mut file = tempfile::tempfile().unwrap();
        let mut bytes = Vec::new();
        std::fs::File::from(SealedSnapshot::seal(1, b"content").unwrap())
            .rewind_and_read(&mut bytes);
        file.write_all(&bytes).unwrap();
        let error = SealedSnapshot::open(OwnedFd::from(file)).unwrap_err();
        assert!(
            matches!(error, SnapshotError::Memory(MemoryError::NotSealed)),
            "{error}"
        );
    }

    /// F139: damage anywhere in the header or the payload is found before anything is used.
    #[test]
    fn f139_a_flipped_byte_anywhere_is_refused() {
        let mut good = Vec::new();
        std::fs::File::from(SealedSnapshot::seal(9, b"the payload").unwrap())
            .rewind_and_read(&mut good);
        for at in 0..good.len() {
            let mut bad = good.clone();
            if let Some(byte) = bad.get_mut(at) {
                *byte ^= 0x10;
            }
            let fd = SealedBytes::seal("damaged", &[&bad]).unwrap();
            assert!(SealedSnapshot::open(fd).is_err(), "byte {at}");
        }
        for length in 1..good.len() {
            let fd = SealedBytes::seal("cut", &[good.get(..length).unwrap_or_default()]).unwrap();
            assert!(SealedSnapshot::open(fd).is_err(), "cut to {length}");
        }
    }

    trait RewindAndRead {
        fn rewind_and_read(&mut self, into: &mut Vec<u8>);
    }

    impl RewindAndRead for std::fs::File {
        fn rewind_and_read(&mut self, into: &mut Vec<u8>) {
            self.rewind().unwrap();
            self.read_to_end(into).unwrap();
        }
    }
}
