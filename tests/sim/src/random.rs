//! The simulation's own random numbers: the same seed gives the same run on every machine, for ever.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that `seed` decides.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of `choices`.
    pub fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let count = u64::try_from(choices.len()).unwrap_or(0);
        let index = usize::try_from(self.below(count)).unwrap_or(0);
        choices.get(index).copied().unwrap_or_default()
    }

    /// A generator of its own for a part of the simulation, so that parts do not shift each other's numbers.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(self.bits())
    }
}

/// Appends `count` bytes from `offset` of the stream that `seed` names.
pub(crate) fn stream_bytes(seed: u64, offset: u64, count: usize, bytes: &mut Vec<u8>) {
    let mut word_at = offset / 8;
    let mut skip = usize::try_from(offset % 8).unwrap_or(0);
    let end = bytes.len() + count;
    bytes.reserve(count + 8);
    while bytes.len() < end {
        let word = mix(seed ^ word_at.wrapping_mul(0x2545_f491_4f6c_dd1d)).to_le_bytes();
        bytes.extend_from_slice(word.get(skip..).unwrap_or_default());
        skip = 0;
        word_at += 1;
    }
    bytes.truncate(end);
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
