//! Continuous health tests on raw noise: NIST SP 800-90B section 4.4.

use thiserror::Error;

use crate::limits::{
    PROPORTION_SAMPLES_CUTOFF, PROPORTION_WINDOW_SAMPLES, REPETITION_WORDS_CUTOFF,
};

/// Both tests of SP 800-90B section 4.4 over one raw source.
///
/// The repetition count looks at whole 64-bit words, so that a source that returns one constant is caught at
/// its third word; the adaptive proportion test looks at bytes, so that a heavy bias inside the words is caught within 64.
#[derive(Debug, Clone, Default)]
pub struct HealthTests {
    last_word: u64,
    repetitions: u32,
    window_sample: u8,
    window_seen: u32,
    window_matches: u32,
    failed: Option<HealthFault>,
}

/// The test that a raw source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HealthFault {
    /// SP 800-90B section 4.4.1.
    #[error(
        "the same 64-bit word came {REPETITION_WORDS_CUTOFF} times in a row (repetition count test)"
    )]
    Repetition,
    /// SP 800-90B section 4.4.2.
    #[error(
        "one byte value came {PROPORTION_SAMPLES_CUTOFF} times in {PROPORTION_WINDOW_SAMPLES} (adaptive proportion test)"
    )]
    Proportion,
}

impl HealthTests {
    /// Tests one more raw word. A source that failed once stays failed.
    ///
    /// # Errors
    /// The test that failed, now or before.
    pub fn check(&mut self, word: u64) -> Result<(), HealthFault> {
        if let Some(fault) = self.failed {
            return Err(fault);
        }
        let verdict = self.repetition(word).and_then(|()| {
            word.to_le_bytes()
                .into_iter()
                .try_for_each(|byte| self.proportion(byte))
        });
        self.failed = verdict.err();
        verdict
    }

    fn repetition(&mut self, word: u64) -> Result<(), HealthFault> {
        if self.repetitions > 0 && word == self.last_word {
            self.repetitions += 1;
        } else {
            self.last_word = word;
            self.repetitions = 1;
        }
        if self.repetitions >= REPETITION_WORDS_CUTOFF {
            Err(HealthFault::Repetition)
        } else {
            Ok(())
        }
    }

    fn proportion(&mut self, sample: u8) -> Result<(), HealthFault> {
        if self.window_seen == 0 {
            self.window_sample = sample;
            self.window_matches = 0;
        }
        if sample == self.window_sample {
            self.window_matches += 1;
        }
        self.window_seen = (self.window_seen + 1) % PROPORTION_WINDOW_SAMPLES;
        if self.window_matches >= PROPORTION_SAMPLES_CUTOFF {
            Err(HealthFault::Proportion)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed, well-mixed sequence (SplitMix64).
    fn mixed(index: u64) -> u64 {
        let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn f141_a_stuck_source_fails_at_its_third_word() {
        let mut tests = HealthTests::default();
        assert_eq!(tests.check(u64::MAX), Ok(()));
        assert_eq!(tests.check(u64::MAX), Ok(()));
        assert_eq!(tests.check(u64::MAX), Err(HealthFault::Repetition));
        assert_eq!(
            tests.check(mixed(1)),
            Err(HealthFault::Repetition),
            "a failed source stays failed"
        );
    }

    #[test]
    fn f141_a_biased_source_fails_the_proportion_test_within_one_window() {
        // Half of the bytes are 0xAA, the window's first one too; no word repeats.
        let mut tests = HealthTests::default();
        let biased = |index| (mixed(index) & 0xff00_ff00_ff00_ff00) | 0x00aa_00aa_00aa_00aa;
        let failed = (0..64u64).find_map(|index| tests.check(biased(index)).err());
        assert_eq!(failed, Some(HealthFault::Proportion));
    }

    #[test]
    fn good_noise_passes_for_a_million_words() {
        let mut tests = HealthTests::default();
        assert!((0..1_000_000).all(|i| tests.check(mixed(i)).is_ok()));
    }

    #[test]
    fn a_first_word_of_zero_is_not_a_repetition() {
        let mut tests = HealthTests::default();
        assert_eq!(tests.check(0), Ok(()));
        assert_eq!(tests.check(0), Ok(()));
        assert_eq!(tests.check(0), Err(HealthFault::Repetition));
    }
}
