//! Every bound of this crate.

/// Bytes of output held ready; one refill makes this many.
pub const OUTPUT_BUFFER_BYTES: usize = 1024;

/// Bytes of the ChaCha20 key.
pub const KEY_BYTES: usize = 32;

/// Output bytes after which fresh entropy is mixed in.
pub const RESEED_INTERVAL_BYTES_MAX: u64 = 1 << 20;

/// Calls after which fresh entropy is mixed in, however small they were.
pub const RESEED_INTERVAL_CALLS_MAX: u64 = 1 << 14;

/// Raw 64-bit words that go into each (re)seed.
pub const SEED_WORDS: usize = 32;

/// Bytes taken from the operating system for each (re)seed.
pub const SYSTEM_SEED_BYTES: usize = 32;

/// Raw words tested before the first is used. SP 800-90B section 4.3 asks for 1,024 consecutive samples; the samples
/// of the proportion test are bytes, so this is eight times that.
pub const STARTUP_WORDS: usize = 1024;

/// Min-entropy claimed per raw 64-bit word, bits. RDRAND claims 64; claiming a quarter keeps false alarms and
/// over-trust both away.
pub const CLAIMED_ENTROPY_BITS_PER_WORD: usize = 16;

/// Consecutive equal 64-bit words that fail the repetition count test (SP 800-90B section 4.4.1):
/// 1 + ceil(30 / 16) for a false-alarm rate of 2^-30.
pub const REPETITION_WORDS_CUTOFF: u32 = 3;

/// Window of the adaptive proportion test, samples (SP 800-90B section 4.4.2: 512 for samples that are not binary).
pub const PROPORTION_WINDOW_SAMPLES: u32 = 512;

/// Occurrences of the window's first sample that fail the adaptive proportion test: 1 + critbinom(512, 2^-2, 1 - 2^-30)
/// for the claimed two bits per byte.
pub const PROPORTION_SAMPLES_CUTOFF: u32 = 190;

const _: () = assert!(
    OUTPUT_BUFFER_BYTES > 4 * KEY_BYTES,
    "a refill must yield more than its next key"
);
const _: () = assert!(
    SEED_WORDS * CLAIMED_ENTROPY_BITS_PER_WORD >= 2 * 256,
    "a seed must carry twice the key's strength"
);
const _: () = assert!(
    REPETITION_WORDS_CUTOFF as usize == 1 + 30usize.div_ceil(CLAIMED_ENTROPY_BITS_PER_WORD)
);
const _: () = assert!(PROPORTION_SAMPLES_CUTOFF < PROPORTION_WINDOW_SAMPLES);
