//! One direction of the link: frames go in by number and come out when they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use serde::Serialize;

use super::fate::Direction;
use super::fragment::cut;
use super::spec::Impairments;
use crate::limits::LINE_FRAMES_MAX;

const ETHERNET_HEADER_BYTES: usize = 14;

/// What became of a direction's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that came.
    pub came: u64,
    /// Frames that were handed on, the second copies among them.
    pub went: u64,
    /// Frames lost on purpose.
    pub lost: u64,
    /// Frames held back.
    pub held_back: u64,
    /// Frames sent twice.
    pub doubled: u64,
    /// Frames with a bit turned.
    pub corrupted: u64,
    /// Packets cut into fragments.
    pub fragmented: u64,
    /// Frames lost because too many were under way.
    pub overflowed: u64,
    /// Frames that the other port did not take.
    pub refused: u64,
}

/// The frames of one direction that are under way. Times count from the relay's beginning.
#[derive(Debug)]
pub struct Line {
    link: Impairments,
    seed: u64,
    direction: Direction,
    under_way: BinaryHeap<Reverse<(Duration, u64, Vec<u8>)>>,
    entered: u64,
    /// What became of the frames so far.
    pub counts: Counts,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new(link: Impairments, seed: u64, direction: Direction) -> Self {
        Self {
            link,
            seed,
            direction,
            under_way: BinaryHeap::new(),
            entered: 0,
            counts: Counts::default(),
        }
    }

    /// Takes the next frame.
    pub fn push(&mut self, now: Duration, frame: &[u8]) {
        let fate = self.link.fate(self.seed, self.direction, self.counts.came);
        self.counts.came += 1;
        if fate.copies == 0 {
            self.counts.lost += 1;
            return;
        }
        let mut frame = frame.to_vec();
        if let Some(number) = fate.turned {
            self.counts.corrupted += u64::from(turn_bit(&mut frame, number));
        }
        self.counts.held_back += u64::from(fate.held_back);
        let due = now + fate.takes;
        self.counts.doubled += u64::from(fate.copies == 2);
        for _ in 1..fate.copies {
            self.enter_in_pieces(due, frame.clone());
        }
        self.enter_in_pieces(due, frame);
    }

    /// The next frame that is due.
    pub fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        let due = self.next_due()?;
        if due > now {
            return None;
        }
        self.under_way.pop().map(|Reverse((_, _, frame))| frame)
    }

    /// When the next frame is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse((due, _, _))| *due)
    }

    fn enter_in_pieces(&mut self, due: Duration, frame: Vec<u8>) {
        let most = usize::from(self.link.fragment_bytes_max);
        let identification = u16::try_from(self.counts.fragmented & 0xffff).unwrap_or(0);
        let cuts = most > 0 && self.direction == Direction::Out;
        let pieces = cuts.then(|| cut(&frame, most, identification, self.link.overlap));
        match pieces.flatten() {
            Some(pieces) => {
                self.counts.fragmented += 1;
                for piece in pieces {
                    self.enter(due, piece);
                }
            }
            None => self.enter(due, frame),
        }
    }

    fn enter(&mut self, due: Duration, frame: Vec<u8>) {
        if self.under_way.len() >= LINE_FRAMES_MAX {
            self.counts.overflowed += 1;
            return;
        }
        self.under_way.push(Reverse((due, self.entered, frame)));
        self.entered += 1;
    }
}

/// Turns one bit behind the Ethernet header; false when there is none.
fn turn_bit(frame: &mut [u8], number: u64) -> bool {
    let Some(body) = frame.get_mut(ETHERNET_HEADER_BYTES..) else {
        return false;
    };
    let bits = u64::try_from(body.len()).unwrap_or(0) * 8;
    let Some(bit) = number.checked_rem(bits) else {
        return false;
    };
    let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
    let Some(byte) = body.get_mut(at) else {
        return false;
    };
    *byte ^= 1 << (bit % 8);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u16 = 2000;

    /// Frames that come at one a microsecond, all taken at the end; their numbers in the order they went.
    fn through(text: &str) -> (Vec<u16>, Vec<Vec<u8>>, Counts) {
        let mut line = Line::new(text.parse().unwrap(), 5, Direction::Out);
        let mut went = Vec::new();
        for number in 0..FRAMES {
            let mut frame = vec![0; 60];
            frame[12..14].copy_from_slice(&number.to_be_bytes());
            line.push(Duration::from_micros(number.into()), &frame);
        }
        while let Some(due) = line.next_due() {
            went.push(line.pop(due).unwrap());
        }
        let numbers = went
            .iter()
            .map(|frame| u16::from_be_bytes([frame[12], frame[13]]))
            .collect();
        (numbers, went, line.counts)
    }

    #[test]
    fn p99_a_good_link_changes_nothing() {
        let (numbers, frames, counts) = through("none");
        assert_eq!(numbers, (0..FRAMES).collect::<Vec<_>>());
        assert!(
            frames
                .iter()
                .all(|frame| frame[14..].iter().all(|byte| *byte == 0))
        );
        assert_eq!(counts.came, u64::from(FRAMES));
    }

    #[test]
    fn p99_each_impairment_does_what_it_counts() {
        let (numbers, _, counts) = through("loss=10%");
        assert_eq!(numbers.len() as u64, u64::from(FRAMES) - counts.lost);
        assert!(counts.lost > 100 && numbers.is_sorted());
        let (numbers, _, counts) = through("duplicate=10%");
        assert_eq!(numbers.len() as u64, u64::from(FRAMES) + counts.doubled);
        assert!(counts.doubled > 100 && numbers.is_sorted());
        let (numbers, _, counts) = through("reorder=25%,reorder-by=0.1ms");
        assert!(counts.held_back > 400 && !numbers.is_sorted());
        let mut sorted = numbers;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..FRAMES).collect::<Vec<_>>());
        let (_, frames, counts) = through("corrupt=10%");
        let turned: u32 = frames
            .iter()
            .flat_map(|frame| &frame[14..])
            .map(|byte| byte.count_ones())
            .sum();
        assert!(turned > 100 && u64::from(turned) == counts.corrupted);
    }

    #[test]
    fn a_frame_is_not_due_before_its_time_and_a_full_line_drops() {
        let mut line = Line::new("delay=5ms".parse().unwrap(), 1, Direction::Back);
        for _ in 0..=LINE_FRAMES_MAX {
            line.push(Duration::ZERO, &[0; 60]);
        }
        assert_eq!(line.counts.overflowed, 1);
        assert_eq!(line.pop(Duration::from_micros(4999)), None);
        assert!(line.pop(Duration::from_millis(5)).is_some());
    }

    #[test]
    fn a_frame_without_a_body_has_no_bit_to_turn() {
        assert!(!turn_bit(&mut [0; 14], 3));
        assert!(!turn_bit(&mut [0; 3], 3));
        let mut frame = [0; 15];
        assert!(turn_bit(&mut frame, 10));
        assert_eq!(frame[14], 4);
    }
}
