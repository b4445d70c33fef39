//! Numbers in an order that no prefetcher guesses, the same in every run.

/// A generator for the order of flows (Steele, Lea and Flood's SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The same seed, the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// The next number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.roll() % u64::from(bound.max(1))).unwrap_or(0)
    }
}
