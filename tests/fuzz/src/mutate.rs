//! Inputs near those of a corpus.

use crate::INPUT_BYTES_MAX;

/// Bytes and words at which parsers turn.
const TURNS: [u32; 14] = [
    0,
    1,
    4,
    5,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x3fff,
    0x4000,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
];

/// Makes inputs: a few changes to one of the corpus, or to what two of them have together.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The same seed makes the same inputs.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next input.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match corpus.len() {
            0 => Vec::new(),
            count => corpus[self.below(count)].clone(),
        };
        for _ in 0..1 + self.below(6) {
            self.change(&mut input, corpus);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(32)).min(input.len());
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.byte(),
            2 => {
                let width = [1, 2, 3, 4][self.below(4)];
                let turn = TURNS[self.below(TURNS.len())].to_be_bytes();
                for (to, from) in input.iter_mut().skip(at).zip(&turn[4 - width..]) {
                    *to = *from;
                }
            }
            3 if at < input.len() => {
                let by = [1, 2, 4, 255, 254, 252][self.below(6)];
                input[at] = input[at].wrapping_add(by);
            }
            4 => drop(input.drain(at..end)),
            5 => {
                let more: Vec<u8> = (0..1 + self.below(16)).map(|_| self.byte()).collect();
                input.splice(at..at, more);
            }
            6 => {
                let part = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, part);
            }
            7 if !corpus.is_empty() => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            8 => input.truncate(at),
            _ => input.push(self.byte()),
        }
    }

    fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from((self.word() >> 11) % bound).unwrap_or(0)
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
