//! Private keys on their way to the data plane: never dumped, never swapped, zeroised when retired.
//!
//! `memfd_secret(2)` takes the pages out of the kernel's own map as well; a kernel without it gets a locked memory file
//! left out of core dumps. Layout, in words: magic, version, count, words in all; per key its id, first word and length
//! in bytes; then the keys, each padded to a whole word.
//!
//! The maker owns the content: it overwrites the segment when it retires or drops it. Another process can change the
//! memory at any time, so a reader takes copies, and the copies zeroise themselves.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use zeroize::Zeroizing;

use crate::limits::{KEY_BYTES_MAX, KEY_SEGMENT_BYTES_MAX, KEYS_MAX};
use crate::memory::{MemoryError, SharedWords, WORD, is_secret};

const MAGIC: u64 = u64::from_le_bytes(*b"SLUICEKY");
const VERSION: u64 = 1;
const HEADER_WORDS: usize = 4;
const ENTRY_WORDS: usize = 3;

/// A key segment could not be made or is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySegmentError {
    /// The memory could not be made, locked or mapped.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// More keys than a segment holds.
    #[error("{keys} private keys, more than the {KEYS_MAX} one configuration may use")]
    TooManyKeys {
        /// Keys asked for.
        keys: usize,
    },
    /// One key is too large, or all of them together are.
    #[error(
        "private key {id} takes {bytes} bytes; a key may have {KEY_BYTES_MAX} and all of them {KEY_SEGMENT_BYTES_MAX}"
    )]
    TooLarge {
        /// The key that did not fit.
        id: u64,
        /// Its size, bytes.
        bytes: usize,
    },
    /// Two keys with one id.
    #[error("private key {id} stands twice in one segment")]
    Duplicate {
        /// The id.
        id: u64,
    },
    /// The segment was retired, or never was a key segment.
    #[error("the shared memory is not a key segment, or it has been retired")]
    NotAKeySegment,
    /// The other process writes another format.
    #[error(
        "the key segment has format {found}, this program reads {VERSION}; run sluiced and sluice-dataplane of one release"
    )]
    Version {
        /// Format found.
        found: u64,
    },
}

/// How the kernel keeps the keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `memfd_secret(2)`: outside the kernel's own map, never swapped, never dumped.
    KernelSecret,
    /// A memory file, locked into memory and left out of core dumps.
    Locked,
}

/// Private keys by id.
pub struct KeySegment {
    words: SharedWords,
    fd: OwnedFd,
    protection: Protection,
    owner: bool,
}

impl KeySegment {
    /// Makes a segment with these keys (id, PKCS#8 or whatever bytes the caller keeps). The maker's copy overwrites the
    /// memory when it is retired or dropped.
    ///
    /// # Errors
    /// Too many or too large keys, an id twice, or no memory that can be locked.
    pub fn create(keys: &[(u64, &[u8])]) -> Result<Self, KeySegmentError> {
        let total_words = measure(keys)?;
        let (words, fd, secret) = SharedWords::create_secret("sluice-keys", total_words * WORD)?;
        let protection = if secret {
            Protection::KernelSecret
        } else {
            Protection::Locked
        };
        let segment = Self {
            words,
            fd,
            protection,
            owner: true,
        };
        segment.fill(keys, total_words);
        Ok(segment)
    }

    /// Maps a segment that the other process made.
    ///
    /// # Errors
    /// The memory is not a whole key segment of this format.
    pub fn open(fd: OwnedFd) -> Result<Self, KeySegmentError> {
        let words = SharedWords::open(
            fd.as_fd(),
            HEADER_WORDS * WORD,
            KEY_SEGMENT_BYTES_MAX,
            false,
        )?;
        let protection = if is_secret(fd.as_fd()) {
            Protection::KernelSecret
        } else {
            Protection::Locked
        };
        if protection == Protection::Locked {
            words.protect()?;
        }
        let segment = Self {
            words,
            fd,
            protection,
            owner: false,
        };
        if segment.word(0) != Some(MAGIC) {
            return Err(KeySegmentError::NotAKeySegment);
        }
        match segment.word(1) {
            Some(VERSION) => Ok(segment),
            found => Err(KeySegmentError::Version {
                found: found.unwrap_or(0),
            }),
        }
    }

    /// A copy of one key, which zeroises itself.
    pub fn key(&self, id: u64) -> Option<Zeroizing<Vec<u8>>> {
        let entry = (0..self.count())
            .map(|index| HEADER_WORDS + index * ENTRY_WORDS)
            .find(|at| self.word(*at) == Some(id))?;
        let first = usize::try_from(self.word(entry + 1)?).ok()?;
        let bytes = usize::try_from(self.word(entry + 2)?)
            .ok()
            .filter(|bytes| *bytes <= KEY_BYTES_MAX)?;
        let words = self
            .words
            .words()
            .get(first..first.checked_add(bytes.div_ceil(WORD))?)?;
        let mut key = Zeroizing::new(Vec::with_capacity(bytes));
        for word in words {
            let word = Zeroizing::new(word.load(Ordering::Relaxed).to_le_bytes());
            let wanted = bytes.saturating_sub(key.len()).min(WORD);
            key.extend_from_slice(word.get(..wanted)?);
        }
        // A segment retired while it was read gives no key rather than a broken one.
        fence(Ordering::Acquire);
        (self.word(0) == Some(MAGIC)).then_some(key)
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        if self.word(0) != Some(MAGIC) {
            return 0;
        }
        self.word(2)
            .and_then(|count| usize::try_from(count).ok())
            .map_or(0, |count| count.min(KEYS_MAX))
    }

    /// How the kernel keeps this segment apart.
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Gives the keys up: the maker's call overwrites them for every process that still maps them; a reader's only
    /// unmaps.
    pub fn retire(self) {
        drop(self);
    }

    fn fill(&self, keys: &[(u64, &[u8])], total_words: usize) {
        let mut next = HEADER_WORDS + keys.len() * ENTRY_WORDS;
        for (index, (id, key)) in keys.iter().enumerate() {
            let entry = HEADER_WORDS + index * ENTRY_WORDS;
            self.store(entry, *id);
            self.store(entry + 1, next as u64);
            self.store(entry + 2, key.len() as u64);
            for chunk in key.chunks(WORD) {
                let mut word = Zeroizing::new([0_u8; WORD]);
                for (to, from) in word.iter_mut().zip(chunk) {
                    *to = *from;
                }
                self.store(next, u64::from_le_bytes(*word));
                next += 1;
            }
        }
        self.store(1, VERSION);
        self.store(2, keys.len() as u64);
        self.store(3, total_words as u64);
        fence(Ordering::Release);
        self.store(0, MAGIC);
    }

    fn word(&self, at: usize) -> Option<u64> {
        self.words
            .words()
            .get(at)
            .map(|word| word.load(Ordering::Relaxed))
    }

    fn store(&self, at: usize, value: u64) {
        let word: Option<&AtomicU64> = self.words.words().get(at);
        debug_assert!(word.is_some(), "the segment was measured for its keys");
        if let Some(word) = word {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl AsFd for KeySegment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for KeySegment {
    fn drop(&mut self) {
        if self.owner {
            self.words.zeroise();
        }
    }
}

impl std::fmt::Debug for KeySegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySegment")
            .field("keys", &self.count())
            .field("protection", &self.protection)
            .finish_non_exhaustive()
    }
}

fn measure(keys: &[(u64, &[u8])]) -> Result<usize, KeySegmentError> {
    if keys.len() > KEYS_MAX {
        return Err(KeySegmentError::TooManyKeys { keys: keys.len() });
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut words = HEADER_WORDS + keys.len() * ENTRY_WORDS;
    for (id, key) in keys {
        words += key.len().div_ceil(WORD);
        if key.len() > KEY_BYTES_MAX || words * WORD > KEY_SEGMENT_BYTES_MAX {
            return Err(KeySegmentError::TooLarge {
                id: *id,
                bytes: key.len(),
            });
        }
        if !seen.insert(*id) {
            return Err(KeySegmentError::Duplicate { id: *id });
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dup(segment: &KeySegment) -> OwnedFd {
        segment.as_fd().try_clone_to_owned().unwrap()
    }

    #[test]
    fn keys_are_found_by_id_whatever_their_length() {
        let long = vec![0xAB; KEY_BYTES_MAX];
        let segment =
            KeySegment::create(&[(7, b"seven bytes and more"), (9, b""), (u64::MAX, &long)])
                .unwrap();
        let reader = KeySegment::open(dup(&segment)).unwrap();
        assert_eq!(reader.count(), 3);
        assert_eq!(reader.key(7).unwrap().as_slice(), b"seven bytes and more");
        assert_eq!(reader.key(9).unwrap().as_slice(), b"");
        assert_eq!(*reader.key(u64::MAX).unwrap(), long);
        assert!(reader.key(8).is_none());
    }

    #[test]
    fn k145_retiring_overwrites_the_keys_for_every_process() {
        let segment = KeySegment::create(&[(1, b"sentinel-key-sentinel-key")]).unwrap();
        let reader = KeySegment::open(dup(&segment)).unwrap();
        assert!(reader.key(1).is_some());
        segment.retire();
        assert!(reader.key(1).is_none());
        assert!(
            reader
                .words
                .words()
                .iter()
                .all(|word| word.load(Ordering::Relaxed) == 0)
        );
    }

    #[test]
    fn k145_a_reader_that_goes_away_leaves_the_keys() {
        let segment = KeySegment::create(&[(1, b"key")]).unwrap();
        KeySegment::open(dup(&segment)).unwrap().retire();
        assert_eq!(segment.key(1).unwrap().as_slice(), b"key");
    }

    #[test]
    fn k144_the_key_memory_is_left_out_of_dumps_and_locked() {
        let segment = KeySegment::create(&[(1, b"key")]).unwrap();
        let address = segment.words.words().as_ptr() as usize;
        let flags = vm_flags(address);
        assert!(
            flags.split_whitespace().any(|flag| flag == "dd"),
            "left out of dumps: {flags}"
        );
        assert!(
            flags.split_whitespace().any(|flag| flag == "lo"),
            "locked: {flags}"
        );
    }

    #[test]
    fn k144_the_fallback_is_left_out_of_dumps_and_locked_too() {
        let (words, fd) = SharedWords::create("fallback", 4096).unwrap();
        words.protect().unwrap();
        let flags = vm_flags(words.words().as_ptr() as usize);
        assert!(flags.split_whitespace().any(|flag| flag == "dd"), "{flags}");
        assert!(flags.split_whitespace().any(|flag| flag == "lo"), "{flags}");
        assert!(!is_secret(fd.as_fd()));
    }

    #[test]
    fn f139_damaged_key_segments_give_no_key_and_no_panic() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..2_000 {
            let segment = KeySegment::create(&[(1, b"one"), (2, &[7; 100])]).unwrap();
            let words = segment.words.words();
            for _ in 0..=random() % 3 {
                let at = usize::try_from(random() % 16).unwrap();
                let value = match random() % 4 {
                    0 => u64::MAX,
                    1 => random() % 64,
                    2 => 0,
                    _ => random(),
                };
                if let Some(word) = words.get(at) {
                    word.store(value, Ordering::Relaxed);
                }
            }
            if let Ok(reader) = KeySegment::open(dup(&segment)) {
                for id in [0, 1, 2, u64::MAX] {
                    assert!(reader.key(id).is_none_or(|key| key.len() <= KEY_BYTES_MAX));
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let big = vec![0; KEY_BYTES_MAX + 1];
        assert!(matches!(
            KeySegment::create(&[(5, &big)]),
            Err(KeySegmentError::TooLarge { id: 5, .. })
        ));
        assert!(matches!(
            KeySegment::create(&[(5, b"a"), (5, b"b")]),
            Err(KeySegmentError::Duplicate { id: 5 })
        ));
        let many = vec![(0, b"".as_slice()); KEYS_MAX + 1];
        assert!(matches!(
            KeySegment::create(&many),
            Err(KeySegmentError::TooManyKeys { .. })
        ));
    }

    fn vm_flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            if let Some((range, _)) = line.split_once(' ')
                && let Some((from, to)) = range.split_once('-')
                && let (Ok(from), Ok(to)) = (
                    usize::from_str_radix(from, 16),
                    usize::from_str_radix(to, 16),
                )
            {
                inside = (from..to).contains(&address);
            }
            if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.to_owned();
            }
        }
        panic!("no mapping at {address:x}");
    }
}
