//! Event rings: one per core, one producer (the core), one consumer (`sluiced`), in shared memory.
//!
//! The producer never waits: a full ring is an error the core counts. A record becomes visible by one store of the
//! producer's position after all its bytes, so a producer that dies half-way leaves nothing; a consumer that dies
//! half-way leaves its position, and the next one reads the record again.
//!
//! Layout, in words: a page of header (magic, version, payload bytes, core; the two positions on cache lines of their
//! own), then the payload area, a power of two. Positions count bytes for ever and are taken modulo the area. A record is
//! a header word (length in the lower half, check value in the upper) and its bytes, padded to a whole word; words wrap
//! one by one, so that a record may lie across the end. The check value covers position, length and bytes: damage and
//! leftovers of an earlier lap are told from records, and the consumer looks for the next whole record.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{
    EVENT_BYTES_MAX, EVENT_RESYNC_CANDIDATES_MAX, EVENT_RING_BYTES_MAX, EVENT_RING_BYTES_MIN,
};
use crate::memory::{MemoryError, SharedWords, WORD};

const MAGIC: u64 = u64::from_le_bytes(*b"SLUICEEV");
const VERSION: u64 = 1;
const HEADER_WORDS: usize = 512;

const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 1;
const AT_BYTES: usize = 2;
const AT_CORE: usize = 3;
const AT_WRITTEN: usize = 16;
const AT_LOST: usize = 17;
const AT_READ: usize = 32;

/// An event ring could not be made or is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventRingError {
    /// The memory could not be made or mapped.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The size asked for is not a power of two within the limits.
    #[error(
        "an event ring takes a power of two between {EVENT_RING_BYTES_MIN} and {EVENT_RING_BYTES_MAX} bytes, not {bytes}"
    )]
    Size {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The shared memory is not an event ring.
    #[error("the shared memory is not an event ring")]
    NotARing,
    /// The other process writes another format.
    #[error(
        "the event ring has format {found}, this program reads {VERSION}; run sluiced and sluice-dataplane of one release"
    )]
    Version {
        /// Format found.
        found: u64,
    },
}

/// The record was not queued: the ring is full, or the record is larger than any ring takes. The core counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event ring is full")]
pub struct Full;

/// What a ring has been through, for `status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventRingHealth {
    /// Events the producer could not queue.
    pub lost: u64,
    /// Bytes waiting to be read.
    pub waiting_bytes: u64,
    /// How often this consumer met damage and looked for the next whole record.
    pub resynchronised: u64,
    /// Bytes passed over in doing so.
    pub skipped_bytes: u64,
}

/// The core's end.
pub struct EventProducer {
    ring: Ring,
    written: u64,
    lost: u64,
}

impl EventProducer {
    /// A new ring of `bytes` payload area for the core with lcore id `core`; the descriptor goes to the consumer.
    ///
    /// # Errors
    /// A size that is no power of two within the limits, or no memory.
    pub fn create(core: u16, bytes: usize) -> Result<(Self, OwnedFd), EventRingError> {
        if !bytes.is_power_of_two()
            || !(EVENT_RING_BYTES_MIN..=EVENT_RING_BYTES_MAX).contains(&bytes)
        {
            return Err(EventRingError::Size { bytes });
        }
        let (memory, fd) = SharedWords::create("sluice-events", HEADER_WORDS * WORD + bytes)?;
        let ring = Ring {
            memory,
            bytes: bytes as u64,
        };
        ring.header(AT_VERSION).store(VERSION, Ordering::Relaxed);
        ring.header(AT_BYTES).store(bytes as u64, Ordering::Relaxed);
        ring.header(AT_CORE)
            .store(u64::from(core), Ordering::Relaxed);
        ring.header(AT_MAGIC).store(MAGIC, Ordering::Release);
        Ok((
            Self {
                ring,
                written: 0,
                lost: 0,
            },
            fd,
        ))
    }

    /// Queues one record. Never waits, never allocates.
    ///
    /// # Errors
    /// [`Full`]: nothing was queued, and the loss is counted in the ring.
    pub fn push(&mut self, record: &[u8]) -> Result<(), Full> {
        let needed = span(record.len());
        // The reader's position is the other process's word. One ahead of ours or a lap behind is nonsense and reads as
        // full; the next consumer to open the ring sets it right.
        let read = self.ring.header(AT_READ).load(Ordering::Acquire);
        let free = self
            .written
            .checked_sub(read)
            .and_then(|used| self.ring.bytes.checked_sub(used));
        if record.len() > EVENT_BYTES_MAX || free.is_none_or(|free| free < needed) {
            self.lost += 1;
            self.ring
                .header(AT_LOST)
                .store(self.lost, Ordering::Relaxed);
            // Said again, because a damaged copy of it may be what misleads the reader's position.
            self.ring
                .header(AT_WRITTEN)
                .store(self.written, Ordering::Release);
            return Err(Full);
        }
        let mut check = Check::new(self.written, record.len());
        let mut at = self.written;
        for chunk in record.chunks(WORD) {
            let word = word_of(chunk);
            check.word(word);
            at += WORD as u64;
            self.ring.payload(at).store(word, Ordering::Relaxed);
        }
        self.ring
            .payload(self.written)
            .store(check.header(), Ordering::Relaxed);
        self.written += needed;
        self.ring
            .header(AT_WRITTEN)
            .store(self.written, Ordering::Release);
        Ok(())
    }

    /// Events that found the ring full.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// The end that reads and writes the log.
pub struct EventConsumer {
    ring: Ring,
    core: u16,
    read: u64,
    resynchronised: u64,
    skipped_bytes: u64,
}

impl EventConsumer {
    /// Takes over the consuming end of a ring, wherever the one before left it.
    ///
    /// # Errors
    /// The memory is not a ring of this format.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the descriptor is done with: the mapping keeps the memory"
    )]
    pub fn open(fd: OwnedFd) -> Result<Self, EventRingError> {
        let header_bytes = HEADER_WORDS * WORD;
        let (min, max) = (
            header_bytes + EVENT_RING_BYTES_MIN,
            header_bytes + EVENT_RING_BYTES_MAX,
        );
        let memory = SharedWords::open(fd.as_fd(), min, max, true)?;
        let area = memory.words().len().saturating_sub(HEADER_WORDS) * WORD;
        let ring = Ring {
            memory,
            bytes: area as u64,
        };
        if ring.header(AT_MAGIC).load(Ordering::Acquire) != MAGIC {
            return Err(EventRingError::NotARing);
        }
        let version = ring.header(AT_VERSION).load(Ordering::Relaxed);
        if version != VERSION {
            return Err(EventRingError::Version { found: version });
        }
        if ring.header(AT_BYTES).load(Ordering::Relaxed) != ring.bytes
            || !ring.bytes.is_power_of_two()
        {
            return Err(EventRingError::NotARing);
        }
        let core = u16::try_from(ring.header(AT_CORE).load(Ordering::Relaxed))
            .map_err(|_| EventRingError::NotARing)?;
        let mut read = ring.header(AT_READ).load(Ordering::Acquire);
        let written = ring.written();
        if ring.waiting(read, written).is_none() {
            read = written;
            ring.header(AT_READ).store(read, Ordering::Release);
        }
        Ok(Self {
            ring,
            core,
            read,
            resynchronised: 0,
            skipped_bytes: 0,
        })
    }

    /// The lcore whose ring this is.
    pub fn core(&self) -> u16 {
        self.core
    }

    /// The next record into `record` (cleared first); false when there is none. Damage is passed over.
    ///
    /// Its room in the ring is given back at once; see [`Self::read`] where a record must survive this process.
    pub fn pop(&mut self, record: &mut Vec<u8>) -> bool {
        let found = self.read(record);
        self.release();
        found
    }

    /// As [`Self::pop`], but the room is given back only by [`Self::release`]: a consumer that dies before finds the
    /// record again when it comes back, so that every record is handled at least once.
    pub fn read(&mut self, record: &mut Vec<u8>) -> bool {
        let written = self.ring.written();
        let Some(waiting) = self.ring.waiting(self.read, written) else {
            // A position that no producer reaches: its memory is damaged. Start again where it says it is.
            self.damage(0);
            self.read = written;
            return false;
        };
        if waiting == 0 {
            return false;
        }
        if let Some(needed) = self.ring.record_at(self.read, waiting, record) {
            self.read += needed;
            return true;
        }
        self.resynchronise(written, record)
    }

    /// Gives the room of everything read so far back to the producer.
    pub fn release(&mut self) {
        // Also where nothing was read: damage to the position would keep the producer out for ever, and nothing else
        // writes it while nothing comes.
        let position = self.ring.header(AT_READ);
        if position.load(Ordering::Relaxed) != self.read {
            position.store(self.read, Ordering::Release);
        }
    }

    /// What this ring has been through.
    pub fn health(&self) -> EventRingHealth {
        EventRingHealth {
            lost: self.ring.header(AT_LOST).load(Ordering::Relaxed),
            waiting_bytes: self
                .ring
                .waiting(self.read, self.ring.written())
                .unwrap_or(0),
            resynchronised: self.resynchronised,
            skipped_bytes: self.skipped_bytes,
        }
    }

    /// Looks for the next whole record between a damaged one and the producer's position; false when there is none.
    fn resynchronise(&mut self, written: u64, record: &mut Vec<u8>) -> bool {
        let from = self.read;
        let mut candidates = 0;
        let mut at = from + WORD as u64;
        while at < written && candidates < EVENT_RESYNC_CANDIDATES_MAX {
            let left = written - at;
            if self.ring.plausible_length(at, left).is_some() {
                candidates += 1;
                if let Some(needed) = self.ring.record_at(at, left, record) {
                    self.damage(at - from);
                    self.read = at + needed;
                    return true;
                }
            }
            at += WORD as u64;
        }
        self.damage(written - from);
        self.read = written;
        false
    }

    fn damage(&mut self, skipped: u64) {
        self.resynchronised += 1;
        self.skipped_bytes = self.skipped_bytes.saturating_add(skipped);
    }
}

struct Ring {
    memory: SharedWords,
    /// Payload area, bytes: a power of two, fixed when the ring was made or opened, never read again from the memory.
    bytes: u64,
}

impl Ring {
    fn header(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at < HEADER_WORDS, "a header field");
        self.word(at)
    }

    fn payload(&self, position: u64) -> &AtomicU64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the area's size, which is a usize"
        )]
        let offset = (position & (self.bytes - 1)) as usize;
        self.word(HEADER_WORDS + offset / WORD)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "field constants and masked positions lie within the mapping, whose size create and open fixed"
    )]
    fn word(&self, at: usize) -> &AtomicU64 {
        &self.memory.words()[at]
    }

    /// The producer's position as the memory has it, rounded down to a whole word.
    fn written(&self) -> u64 {
        self.header(AT_WRITTEN).load(Ordering::Acquire) & !(WORD as u64 - 1)
    }

    /// Bytes between the two positions; `None` when they contradict each other.
    fn waiting(&self, read: u64, written: u64) -> Option<u64> {
        if !read.is_multiple_of(WORD as u64) {
            return None;
        }
        written
            .checked_sub(read)
            .filter(|waiting| *waiting <= self.bytes)
    }

    fn plausible_length(&self, at: u64, waiting: u64) -> Option<usize> {
        let length =
            usize::try_from(self.payload(at).load(Ordering::Relaxed) & 0xFFFF_FFFF).ok()?;
        (length <= EVENT_BYTES_MAX && span(length) <= waiting).then_some(length)
    }

    /// Copies the record at `at` and gives the bytes it takes in the ring, or `None` if no whole record stands there.
    fn record_at(&self, at: u64, waiting: u64, record: &mut Vec<u8>) -> Option<u64> {
        record.clear();
        let header = self.payload(at).load(Ordering::Relaxed);
        let length = self.plausible_length(at, waiting)?;
        record.reserve(length.next_multiple_of(WORD));
        let mut check = Check::new(at, length);
        for index in 0..length.div_ceil(WORD) as u64 {
            let word = self
                .payload(at + (index + 1) * WORD as u64)
                .load(Ordering::Relaxed);
            check.word(word);
            record.extend_from_slice(&word.to_le_bytes());
        }
        record.truncate(length);
        if check.header() == header {
            return Some(span(length));
        }
        record.clear();
        None
    }
}

/// Bytes a record of `length` takes in the ring.
fn span(length: usize) -> u64 {
    (WORD + length.next_multiple_of(WORD)) as u64
}

fn word_of(chunk: &[u8]) -> u64 {
    let mut word = [0; WORD];
    for (to, from) in word.iter_mut().zip(chunk) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

/// Tells records from damage; not against an adversary, who owns the other process then anyway.
struct Check {
    state: u64,
    length: u64,
}

impl Check {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

    fn new(position: u64, length: usize) -> Self {
        let mut check = Self {
            state: 0x5175_1CE0_0E7E_0001,
            length: length as u64,
        };
        check.word(position);
        check.word(length as u64);
        check
    }

    fn word(&mut self, word: u64) {
        self.state = (self.state ^ word)
            .wrapping_mul(Self::MULTIPLIER)
            .rotate_left(29);
    }

    fn header(&self) -> u64 {
        let mixed = (self.state ^ (self.state >> 31)).wrapping_mul(Self::MULTIPLIER);
        (mixed & 0xFFFF_FFFF_0000_0000) | self.length
    }
}

#[cfg(test)]
mod tests;
