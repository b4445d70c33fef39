//! One core's generator: ChaCha20 with fast key erasure, reseeded by bytes and by calls.

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{Entropy, Getrandom, HardwareFault, Rdrand, System, SystemFault};
use crate::health::HealthTests;
use crate::limits::{
    KEY_BYTES, OUTPUT_BUFFER_BYTES, RESEED_INTERVAL_BYTES_MAX, RESEED_INTERVAL_CALLS_MAX,
    SEED_WORDS, STARTUP_WORDS, SYSTEM_SEED_BYTES,
};

/// A core's random generator. Not shared: each core has its own.
///
/// Each refill replaces the key by the head of its own output, and bytes are wiped as they are handed out, so that
/// what was drawn cannot be found again in the generator's memory. A process that forked reseeds before its next byte.
pub struct CoreRandom {
    key: Zeroizing<[u8; KEY_BYTES]>,
    output: Zeroizing<[u8; OUTPUT_BUFFER_BYTES]>,
    /// Bytes at the start of `output` already handed out.
    used: usize,
    seeding: Seeding,
    process: u32,
    bytes_since_seed: u64,
    calls_since_seed: u64,
    reseeds: u64,
}

/// What seeds a generator. The data plane logs it at start and whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// RDRAND, tested, together with the operating system's generator.
    Rdrand,
    /// The operating system's generator alone, and why.
    System(HardwareFault),
    /// A fixed seed: simulations and tests, which must repeat.
    Fixed,
}

/// Why there are no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RandomError {
    /// The operating system's generator failed, and nothing is ever seeded without it.
    #[error("no seed: {0}")]
    System(#[from] SystemFault),
    /// The thread's generator is being used further up the stack.
    #[error("the thread's generator is already lent out")]
    InUse,
    /// The thread's storage is gone.
    #[error("the thread is ending and its generator is gone")]
    ThreadEnding,
}

enum Seeding {
    Live {
        hardware: Result<Hardware, HardwareFault>,
        system: Box<dyn System>,
    },
    Fixed,
}

struct Hardware {
    source: Box<dyn Entropy>,
    tests: HealthTests,
}

impl CoreRandom {
    /// A generator seeded from RDRAND where there is one, and from the operating system.
    ///
    /// # Errors
    /// [`RandomError::System`] when the operating system gives no seed.
    pub fn new() -> Result<Self, RandomError> {
        let hardware = Rdrand::detect().map(|source| Box::new(source) as Box<dyn Entropy>);
        Self::with_sources(hardware, Box::new(Getrandom))
    }

    /// A generator over given sources. The raw words are tested before the first is used (SP 800-90B section 4.3).
    ///
    /// # Errors
    /// [`RandomError::System`] when `system` gives no seed.
    pub fn with_sources(
        hardware: Result<Box<dyn Entropy>, HardwareFault>,
        system: Box<dyn System>,
    ) -> Result<Self, RandomError> {
        let hardware = hardware.and_then(Hardware::start);
        let mut random = Self::unseeded(Seeding::Live { hardware, system });
        random.reseed()?;
        Ok(random)
    }

    /// A generator that repeats: the same seed gives the same bytes and nothing is ever mixed in. For simulations and
    /// tests only; [`Self::source`] tells.
    #[must_use]
    pub fn fixed(seed: [u8; KEY_BYTES]) -> Self {
        let mut random = Self::unseeded(Seeding::Fixed);
        *random.key = seed;
        random
    }

    /// Fills `bytes`.
    ///
    /// A reseed that the operating system refuses is tried again at the next call: the ChaCha20 key in use loses nothing
    /// by serving longer.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.reseed_if_due();
        self.calls_since_seed += 1;
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.used >= OUTPUT_BUFFER_BYTES {
                self.refill();
            }
            let ready = self.output.get_mut(self.used..).unwrap_or_default();
            let count = ready.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            let (taken, _) = ready.split_at_mut(count);
            now.copy_from_slice(taken);
            taken.zeroize();
            self.used += count;
            self.bytes_since_seed += count as u64;
            rest = later;
        }
    }

    /// A random 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random 32-bit number.
    pub fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// What seeds this generator at present.
    #[must_use]
    pub fn source(&self) -> Source {
        match &self.seeding {
            Seeding::Live {
                hardware: Ok(_), ..
            } => Source::Rdrand,
            Seeding::Live {
                hardware: Err(fault),
                ..
            } => Source::System(*fault),
            Seeding::Fixed => Source::Fixed,
        }
    }

    /// How often fresh entropy was mixed in, the first seed included.
    #[must_use]
    pub fn reseeds(&self) -> u64 {
        self.reseeds
    }

    /// Mixes fresh entropy into the key now and discards output made under the old one.
    ///
    /// # Errors
    /// [`RandomError::System`]; the generator is then as it was.
    pub fn reseed(&mut self) -> Result<(), RandomError> {
        let Seeding::Live { hardware, system } = &mut self.seeding else {
            return Ok(());
        };
        let mut seed = Zeroizing::new([0; SYSTEM_SEED_BYTES]);
        system.fill_seed(&mut *seed)?;
        let mut hash = Sha256::new();
        hash.update(b"sluice-random seed 1");
        hash.update(*self.key);
        hash.update(*seed);
        hash.update(self.reseeds.to_le_bytes());
        if let Ok(source) = hardware {
            match source.seed_words() {
                Ok(words) => words
                    .iter()
                    .for_each(|word| hash.update(word.to_le_bytes())),
                Err(fault) => *hardware = Err(fault),
            }
        }
        self.key.copy_from_slice(&hash.finalize());
        self.output.zeroize();
        self.used = OUTPUT_BUFFER_BYTES;
        self.process = std::process::id();
        self.bytes_since_seed = 0;
        self.calls_since_seed = 0;
        self.reseeds += 1;
        Ok(())
    }

    fn unseeded(seeding: Seeding) -> Self {
        Self {
            key: Zeroizing::new([0; KEY_BYTES]),
            output: Zeroizing::new([0; OUTPUT_BUFFER_BYTES]),
            used: OUTPUT_BUFFER_BYTES,
            seeding,
            process: std::process::id(),
            bytes_since_seed: 0,
            calls_since_seed: 0,
            reseeds: 0,
        }
    }

    fn reseed_if_due(&mut self) {
        let process = std::process::id();
        if process != self.process {
            // The parent holds the same state: the buffered bytes are its own, and the key must part from it even
            // where the system gives no seed.
            self.output.zeroize();
            self.used = OUTPUT_BUFFER_BYTES;
            let mut hash = Sha256::new();
            hash.update(b"sluice-random fork 1");
            hash.update(*self.key);
            hash.update(process.to_le_bytes());
            self.key.copy_from_slice(&hash.finalize());
            self.process = process;
            self.bytes_since_seed = RESEED_INTERVAL_BYTES_MAX;
        }
        if self.bytes_since_seed >= RESEED_INTERVAL_BYTES_MAX
            || self.calls_since_seed >= RESEED_INTERVAL_CALLS_MAX
        {
            // Fails only where getrandom(2) is taken away from a running process; `fill` says what happens then.
            let _tried_again_at_the_next_call = self.reseed();
        }
    }

    /// Fast key erasure: the first bytes of the stream become the next key and are never handed out.
    fn refill(&mut self) {
        let mut stream = ChaCha20Rng::from_seed(*self.key);
        stream.fill_bytes(&mut *self.output);
        // The cipher keeps its key inside; overwrite it where it lies.
        stream = ChaCha20Rng::from_seed([0; KEY_BYTES]);
        std::hint::black_box(&stream);
        let (next_key, _) = self.output.split_at_mut(KEY_BYTES);
        self.key.copy_from_slice(next_key);
        next_key.zeroize();
        self.used = KEY_BYTES;
    }
}

impl fmt::Debug for CoreRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreRandom")
            .field("source", &self.source())
            .field("reseeds", &self.reseeds)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rdrand => f.write_str("RDRAND and the operating system"),
            Self::System(fault) => write!(f, "the operating system alone: {fault}"),
            Self::Fixed => f.write_str("a fixed seed"),
        }
    }
}

impl Hardware {
    fn start(source: Box<dyn Entropy>) -> Result<Self, HardwareFault> {
        let mut hardware = Self {
            source,
            tests: HealthTests::default(),
        };
        for _ in 0..STARTUP_WORDS {
            hardware.tested_word()?;
        }
        Ok(hardware)
    }

    fn seed_words(&mut self) -> Result<Zeroizing<[u64; SEED_WORDS]>, HardwareFault> {
        let mut words = Zeroizing::new([0; SEED_WORDS]);
        for word in words.iter_mut() {
            *word = self.tested_word()?;
        }
        Ok(words)
    }

    fn tested_word(&mut self) -> Result<u64, HardwareFault> {
        let word = self.source.next_word().ok_or(HardwareFault::Exhausted)?;
        self.tests.check(word)?;
        Ok(word)
    }
}

#[cfg(test)]
mod tests;
