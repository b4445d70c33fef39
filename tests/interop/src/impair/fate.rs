//! What becomes of one frame: drawn from the seed, the direction and the frame's number.

use std::time::Duration;

use super::spec::{Impairments, WHOLE};

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first port to the second.
    Out,
    /// From the second port to the first.
    Back,
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How often it arrives: not at all, once, or twice.
    pub copies: u8,
    /// A number that chooses the bit which is turned, if one is.
    pub turned: Option<u64>,
    /// Whether it is held back beyond the delay of every frame.
    pub held_back: bool,
    /// How long it takes.
    pub takes: Duration,
}

impl Impairments {
    /// The fate of frame `number` of a direction.
    #[must_use]
    pub fn fate(&self, seed: u64, direction: Direction, number: u64) -> Fate {
        let mut draws = Draws::new(seed, direction, number);
        // Every draw is made for every frame: what one impairment does is the same whatever the others are.
        let lost = draws.hits(self.loss);
        let twice = draws.hits(self.duplicate);
        let corrupt = draws.hits(self.corrupt);
        let bit = draws.next();
        let held_back = draws.hits(self.reorder);
        let part = draws.below(WHOLE);
        let held = self.reorder_by * part / WHOLE;
        Fate {
            copies: if lost { 0 } else { 1 + u8::from(twice) },
            turned: corrupt.then_some(bit),
            held_back,
            takes: self.delay + if held_back { held } else { Duration::ZERO },
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014) from a state that tells one frame from another.
struct Draws(u64);

impl Draws {
    fn new(seed: u64, direction: Direction, number: u64) -> Self {
        let side = match direction {
            Direction::Out => 0,
            Direction::Back => 1,
        };
        let mut state = Self(seed);
        for word in [side, number] {
            state = Self(state.next() ^ word);
        }
        state
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is small beside 2^64: the bias is nothing.
    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap_or(0)
    }

    /// Whether a thing of so many parts per million happens.
    fn hits(&mut self, share: u32) -> bool {
        self.below(WHOLE) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u64 = 100_000;

    fn link(text: &str) -> Impairments {
        text.parse().unwrap()
    }

    #[test]
    fn p99_a_fate_is_the_seeds_the_directions_and_the_numbers_own() {
        let bad = link("loss=3%,reorder=25%,duplicate=5%,corrupt=1%,delay=20ms");
        let all = |seed, direction| -> Vec<Fate> {
            (0..200)
                .map(|number| bad.fate(seed, direction, number))
                .collect()
        };
        assert_eq!(all(7, Direction::Out), all(7, Direction::Out));
        assert_ne!(all(7, Direction::Out), all(7, Direction::Back));
        assert_ne!(all(7, Direction::Out), all(8, Direction::Out));
        let less = link("loss=3%");
        for number in 0..FRAMES {
            let lost = |link: &Impairments| link.fate(7, Direction::Out, number).copies == 0;
            assert_eq!(lost(&bad), lost(&less), "frame {number}");
        }
    }

    #[test]
    fn p99_shares_are_what_they_say() {
        let bad = link("loss=3%,reorder=25%,duplicate=5%,corrupt=1%,delay=20ms,reorder-by=2ms");
        let fates: Vec<Fate> = (0..FRAMES)
            .map(|number| bad.fate(1, Direction::Back, number))
            .collect();
        let count = |what: fn(&Fate) -> bool| fates.iter().filter(|fate| what(fate)).count();
        for (found, wanted) in [
            (count(|fate| fate.copies == 0), 3_000),
            (count(|fate| fate.held_back), 25_000),
            (count(|fate| fate.copies == 2), 4_850),
            (count(|fate| fate.turned.is_some()), 1_000),
        ] {
            let off = found.abs_diff(wanted);
            assert!(off * 10 < wanted, "{found} instead of {wanted}");
        }
        let range = Duration::from_millis(20)..Duration::from_millis(22);
        assert!(fates.iter().all(|fate| range.contains(&fate.takes)));
        let plain = Impairments::NONE.fate(1, Direction::Out, 0);
        assert_eq!(
            (plain.copies, plain.turned, plain.takes),
            (1, None, Duration::ZERO)
        );
    }
}
