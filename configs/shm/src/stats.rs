//! The statistics segment: what each core counts and where it stands, readable at any moment without asking it.
//!
//! The data plane makes it and hands the descriptor to `sluiced`, which maps it for reading only; either may die and the
//! other goes on. Layout, in words: a page of header (magic, version, epoch, process id, start, cores, counters, words
//! per core, fingerprint of the counter names), then one block per core on cache lines of its own: lcore id, busy and
//! idle nanoseconds, heartbeat, adopted generation, the last refusal behind a sequence word, and the counters in the
//! order of [`Counter::index`].

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use sluice_telemetry::Counter;

use crate::limits::{CORES_MAX, COUNTERS_MAX, REFUSAL_READ_ATTEMPTS_MAX, REFUSAL_TEXT_BYTES_MAX};
use crate::memory::{MemoryError, SharedWords, WORD};

const MAGIC: u64 = u64::from_le_bytes(*b"SLUICEST");
const VERSION: u64 = 1;
const HEADER_WORDS: usize = 512;

const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 1;
const AT_EPOCH: usize = 2;
const AT_PID: usize = 3;
const AT_STARTED: usize = 4;
const AT_CORES: usize = 5;
const AT_COUNTERS: usize = 6;
const AT_CORE_WORDS: usize = 7;
const AT_FINGERPRINT: usize = 8;

const CORE_ID: usize = 0;
const CORE_BUSY_NS: usize = 1;
const CORE_IDLE_NS: usize = 2;
const CORE_HEARTBEAT: usize = 3;
const CORE_ADOPTED: usize = 4;
const CORE_REFUSAL: usize = 8;
const REFUSAL_SEQUENCE: usize = CORE_REFUSAL;
const REFUSAL_GENERATION: usize = CORE_REFUSAL + 1;
const REFUSAL_LENGTH: usize = CORE_REFUSAL + 2;
const REFUSAL_TEXT: usize = CORE_REFUSAL + 8;
const REFUSAL_TEXT_WORDS: usize = REFUSAL_TEXT_BYTES_MAX / WORD;
const CORE_COUNTERS: usize = REFUSAL_TEXT + REFUSAL_TEXT_WORDS;
/// Two cache lines, so that the prefetcher of one core does not pull at the next one's block.
const CORE_ALIGN_WORDS: usize = 16;
const CORE_WORDS: usize = (CORE_COUNTERS + Counter::COUNT).next_multiple_of(CORE_ALIGN_WORDS);

const _: () = assert!(
    Counter::COUNT <= COUNTERS_MAX,
    "a counter more than the segment provides for"
);
const _: () = assert!(HEADER_WORDS.is_multiple_of(CORE_ALIGN_WORDS));

/// A statistics segment could not be made or is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// The memory could not be made or mapped.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No core, or more than the limit.
    #[error("{cores} cores; a data plane has between 1 and {CORES_MAX}")]
    Cores {
        /// Cores asked for.
        cores: usize,
    },
    /// The shared memory is not a statistics segment.
    #[error("the shared memory is not a statistics segment")]
    NotStatistics,
    /// The other process counts other things.
    #[error(
        "the data plane's statistics have another layout than this program's; run sluiced and sluice-dataplane of one release"
    )]
    Layout,
}

/// The data plane's end: it writes.
pub struct StatsSegment {
    words: SharedWords,
    cores: usize,
}

impl StatsSegment {
    /// A new segment for these lcores, all zero. `epoch` tells this life of the data plane from the ones before (any
    /// value that differs, e.g. its start in microseconds), `started_unix_us` is its start for people.
    ///
    /// # Errors
    /// No core or too many, or no memory.
    pub fn create(
        cores: &[u16],
        epoch: u64,
        started_unix_us: u64,
    ) -> Result<(Self, OwnedFd), StatsError> {
        if cores.is_empty() || cores.len() > CORES_MAX {
            return Err(StatsError::Cores { cores: cores.len() });
        }
        let (words, fd) = SharedWords::create("sluice-statistics", bytes_for(cores.len()))?;
        let segment = Self {
            words,
            cores: cores.len(),
        };
        let header = [
            (AT_VERSION, VERSION),
            (AT_EPOCH, epoch),
            (AT_PID, u64::from(std::process::id())),
            (AT_STARTED, started_unix_us),
            (AT_CORES, cores.len() as u64),
            (AT_COUNTERS, Counter::COUNT as u64),
            (AT_CORE_WORDS, CORE_WORDS as u64),
            (AT_FINGERPRINT, fingerprint()),
        ];
        for (at, value) in header {
            cell(&segment.words, at).store(value, Ordering::Relaxed);
        }
        for (position, id) in cores.iter().enumerate() {
            if let Some(core) = segment.core(position) {
                core.cell(CORE_ID).store(u64::from(*id), Ordering::Relaxed);
            }
        }
        cell(&segment.words, AT_MAGIC).store(MAGIC, Ordering::Release);
        Ok((segment, fd))
    }

    /// Maps the segment another process made, for reading.
    ///
    /// # Errors
    /// The memory is no statistics segment of this layout.
    pub fn open(fd: OwnedFd) -> Result<StatsView, StatsError> {
        StatsView::open(fd)
    }

    /// The block of the core at this position of the list given to [`Self::create`].
    pub fn core(&self, position: usize) -> Option<CoreStats<'_>> {
        (position < self.cores).then(|| CoreStats {
            block: block(&self.words, position),
        })
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.cores
    }
}

/// One core's block, for the core itself: every cell has this one writer.
#[derive(Clone, Copy)]
pub struct CoreStats<'segment> {
    block: &'segment [AtomicU64],
}

impl CoreStats<'_> {
    /// The cell of one counter.
    pub fn counter(&self, counter: Counter) -> &AtomicU64 {
        self.cell(CORE_COUNTERS + counter.index())
    }

    /// Adds to a counter. One writer per cell, so no locked instruction is needed.
    pub fn add(&self, counter: Counter, by: u64) {
        add(self.counter(counter), by);
    }

    /// Sets a gauge.
    pub fn set(&self, counter: Counter, to: u64) {
        self.counter(counter).store(to, Ordering::Relaxed);
    }

    /// Adds time spent in polls that found work, nanoseconds.
    pub fn add_busy_ns(&self, by: u64) {
        add(self.cell(CORE_BUSY_NS), by);
    }

    /// Adds time spent in polls that found nothing, and asleep, nanoseconds.
    pub fn add_idle_ns(&self, by: u64) {
        add(self.cell(CORE_IDLE_NS), by);
    }

    /// Sets the heartbeat: any value that changes while the core runs; by custom microseconds since the Unix epoch.
    pub fn beat(&self, value: u64) {
        self.cell(CORE_HEARTBEAT).store(value, Ordering::Relaxed);
    }

    /// Acknowledges a generation: from here on this core decides by it.
    pub fn adopt(&self, generation: u64) {
        self.cell(CORE_ADOPTED).store(generation, Ordering::Release);
    }

    /// Records why a generation was not adopted. Longer reasons are cut.
    pub fn refuse(&self, generation: u64, reason: &str) {
        let text = reason.as_bytes();
        let text = text.get(..REFUSAL_TEXT_BYTES_MAX).unwrap_or(text);
        let sequence = self.cell(REFUSAL_SEQUENCE);
        let odd = sequence.load(Ordering::Relaxed) | 1;
        sequence.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        self.cell(REFUSAL_GENERATION)
            .store(generation, Ordering::Relaxed);
        self.cell(REFUSAL_LENGTH)
            .store(text.len() as u64, Ordering::Relaxed);
        for (index, chunk) in text.chunks(WORD).enumerate() {
            let mut word = [0; WORD];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.cell(REFUSAL_TEXT + index)
                .store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        sequence.store(odd.wrapping_add(1), Ordering::Release);
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "field constants below CORE_WORDS, the length of every block"
    )]
    fn cell(&self, at: usize) -> &AtomicU64 {
        &self.block[at]
    }
}

/// Why a core did not adopt a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The generation refused.
    pub generation: u64,
    /// What was wrong and what to do.
    pub reason: String,
}

/// Where one core stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreState {
    /// The lcore.
    pub core: u16,
    /// Time in polls that found work, nanoseconds.
    pub busy_ns: u64,
    /// Time in polls that found nothing, and asleep, nanoseconds.
    pub idle_ns: u64,
    /// Changes while the core runs; by custom microseconds since the Unix epoch.
    pub heartbeat: u64,
    /// The generation it decides by; `None` before the first.
    pub adopted: Option<u64>,
    /// The last generation it refused.
    pub refusal: Option<Refusal>,
}

/// `sluiced`'s end: it reads.
pub struct StatsView {
    words: SharedWords,
    cores: usize,
}

impl StatsView {
    /// Maps the segment the data plane made.
    ///
    /// # Errors
    /// The memory is no statistics segment of this layout.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the descriptor is done with: the mapping keeps the memory"
    )]
    pub fn open(fd: OwnedFd) -> Result<Self, StatsError> {
        let words = SharedWords::open(fd.as_fd(), bytes_for(1), bytes_for(CORES_MAX), false)?;
        let header = |at| cell(&words, at).load(Ordering::Relaxed);
        if header(AT_MAGIC) != MAGIC {
            return Err(StatsError::NotStatistics);
        }
        fence(Ordering::Acquire);
        let layout = [
            header(AT_VERSION),
            header(AT_COUNTERS),
            header(AT_CORE_WORDS),
            header(AT_FINGERPRINT),
        ];
        if layout
            != [
                VERSION,
                Counter::COUNT as u64,
                CORE_WORDS as u64,
                fingerprint(),
            ]
        {
            return Err(StatsError::Layout);
        }
        let cores = usize::try_from(header(AT_CORES)).unwrap_or(usize::MAX);
        if cores == 0 || cores > CORES_MAX || words.words().len() < bytes_for(cores) / WORD {
            return Err(StatsError::NotStatistics);
        }
        Ok(Self { words, cores })
    }

    /// Tells one life of the data plane from another.
    pub fn epoch(&self) -> u64 {
        cell(&self.words, AT_EPOCH).load(Ordering::Relaxed)
    }

    /// The data plane's process id.
    pub fn pid(&self) -> u32 {
        u32::try_from(cell(&self.words, AT_PID).load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// When the data plane started, microseconds since the Unix epoch.
    pub fn started_unix_us(&self) -> u64 {
        cell(&self.words, AT_STARTED).load(Ordering::Relaxed)
    }

    /// Every core, in the order of the segment.
    pub fn cores(&self) -> impl ExactSizeIterator<Item = CoreView<'_>> {
        (0..self.cores).map(|position| CoreView {
            block: block(&self.words, position),
        })
    }

    /// One counter over all cores.
    pub fn total(&self, counter: Counter) -> u64 {
        self.cores()
            .map(|core| core.counter(counter))
            .fold(0, u64::wrapping_add)
    }
}

/// One core's block, read.
#[derive(Clone, Copy)]
pub struct CoreView<'segment> {
    block: &'segment [AtomicU64],
}

impl CoreView<'_> {
    /// The lcore.
    pub fn core(&self) -> u16 {
        u16::try_from(self.load(CORE_ID)).unwrap_or(u16::MAX)
    }

    /// One counter's value.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.load(CORE_COUNTERS + counter.index())
    }

    /// The generation the core decides by; `None` before the first.
    pub fn adopted(&self) -> Option<u64> {
        let adopted = self.load(CORE_ADOPTED);
        fence(Ordering::Acquire);
        (adopted != 0).then_some(adopted)
    }

    /// The last refusal; `None` without one, or when its writer died while it wrote.
    pub fn refusal(&self) -> Option<Refusal> {
        for _ in 0..REFUSAL_READ_ATTEMPTS_MAX {
            let before = self.load(REFUSAL_SEQUENCE);
            fence(Ordering::Acquire);
            if before == 0 {
                return None;
            }
            if before & 1 == 1 {
                std::hint::spin_loop();
                continue;
            }
            let generation = self.load(REFUSAL_GENERATION);
            let length = usize::try_from(self.load(REFUSAL_LENGTH))
                .unwrap_or(usize::MAX)
                .min(REFUSAL_TEXT_BYTES_MAX);
            let mut text = Vec::with_capacity(REFUSAL_TEXT_BYTES_MAX);
            for index in 0..length.div_ceil(WORD) {
                text.extend_from_slice(&self.load(REFUSAL_TEXT + index).to_le_bytes());
            }
            text.truncate(length);
            fence(Ordering::Acquire);
            if self.load(REFUSAL_SEQUENCE) == before {
                return Some(Refusal {
                    generation,
                    reason: String::from_utf8_lossy(&text).into_owned(),
                });
            }
        }
        None
    }

    /// Everything but the counters.
    pub fn state(&self) -> CoreState {
        CoreState {
            core: self.core(),
            busy_ns: self.load(CORE_BUSY_NS),
            idle_ns: self.load(CORE_IDLE_NS),
            heartbeat: self.load(CORE_HEARTBEAT),
            adopted: self.adopted(),
            refusal: self.refusal(),
        }
    }

    /// Relaxed, with a fence where order matters: the mapping is for reading only, and on such memory only relaxed loads
    /// are promised to be plain loads.
    #[expect(
        clippy::indexing_slicing,
        reason = "field constants below CORE_WORDS, the length of every block"
    )]
    fn load(&self, at: usize) -> u64 {
        self.block[at].load(Ordering::Relaxed)
    }
}

fn bytes_for(cores: usize) -> usize {
    (HEADER_WORDS + cores * CORE_WORDS) * WORD
}

#[expect(
    clippy::indexing_slicing,
    reason = "a header constant, within the least size create and open accept"
)]
fn cell(words: &SharedWords, at: usize) -> &AtomicU64 {
    &words.words()[at]
}

#[expect(
    clippy::indexing_slicing,
    reason = "callers pass positions below the number of cores that create and open measured"
)]
fn block(words: &SharedWords, position: usize) -> &[AtomicU64] {
    let first = HEADER_WORDS + position * CORE_WORDS;
    &words.words()[first..first + CORE_WORDS]
}

fn add(cell: &AtomicU64, by: u64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// FNV-1a over the counters' names in order: two programs that count different things never read each other's cells.
fn fingerprint() -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for counter in Counter::ALL {
        for byte in counter.name().bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests;
