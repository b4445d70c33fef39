//! The receive side's bytes in sequence: what is in order, and what waits behind a gap.
//!
//! Overlaps have one rule: **the first byte received for a sequence number is the one delivered**. Later copies are
//! never compared, merged or preferred, whatever they overlap and from which side. What the application reads is what is
//! inspected and what is sent on, so no other end's rule can make a difference.

use sluice_packet::SeqNum;
use smallvec::SmallVec;

use crate::buffer::Buffer;
use crate::limits;
use crate::sequence::{ahead, length, size};

/// A run of bytes received ahead of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: SeqNum,
    pub(crate) end: SeqNum,
    /// Orders runs by when they last grew.
    stamp: u32,
}

impl Run {
    fn is_newer(&self, than: Self) -> bool {
        self.stamp.wrapping_sub(than.stamp).cast_signed() > 0
    }
}

/// What became of a segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Nothing new: every byte was received before, or lies outside the window.
    Nothing,
    /// `count` bytes became readable; with `gap_filled` some of them had waited.
    InOrder { count: usize, gap_filled: bool },
    /// Kept ahead of a gap.
    Ahead,
    /// New bytes that could not be kept.
    NoRoom,
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Reassembly {
    /// Sequence number after the last byte in order.
    next: SeqNum,
    stamp: u32,
    buffer: Buffer,
    /// Sorted, disjoint, not touching each other, all after `next`.
    runs: SmallVec<[Run; 2]>,
}

impl Reassembly {
    pub(crate) fn new(next: SeqNum) -> Self {
        Self {
            buffer: Buffer::default(),
            next,
            runs: SmallVec::new(),
            stamp: 0,
        }
    }

    /// The next byte expected.
    pub(crate) fn next(&self) -> SeqNum {
        self.next
    }

    /// Takes the bytes of a segment at `seq`, none at or after `right_edge`.
    pub(crate) fn insert(&mut self, seq: SeqNum, payload: &[u8], right_edge: SeqNum) -> Inserted {
        let skip = size(ahead(seq, self.next)).min(payload.len());
        let payload = payload.get(skip..).unwrap_or(&[]);
        let start = seq.max(self.next);
        let room = size(ahead(start, right_edge));
        let payload = payload.get(..payload.len().min(room)).unwrap_or(&[]);
        if payload.is_empty() {
            return Inserted::Nothing;
        }
        if self.runs.is_empty() && start == self.next {
            self.buffer.push(payload);
            self.next += length(payload.len());
            return Inserted::InOrder {
                count: payload.len(),
                gap_filled: false,
            };
        }
        self.insert_among_runs(start, payload)
    }

    /// Runs received ahead of gaps, in sequence.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Up to `N` runs, the one that grew last first.
    pub(crate) fn recent_runs<const N: usize>(&self) -> impl Iterator<Item = Run> {
        let mut recent: [Option<Run>; N] = [None; N];
        for run in &self.runs {
            let mut moving = Some(*run);
            for slot in &mut recent {
                if slot.is_none_or(|held| moving.is_some_and(|run| run.is_newer(held))) {
                    core::mem::swap(slot, &mut moving);
                }
            }
        }
        recent.into_iter().flatten()
    }

    pub(crate) fn readable_mut(&mut self) -> &mut [u8] {
        self.buffer.readable_mut()
    }

    pub(crate) fn readable_len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
    }

    /// Counts a sequence number that carries no byte: the peer's FIN.
    pub(crate) fn step_over_fin(&mut self) {
        self.next += 1;
        self.runs.clear();
    }

    pub(crate) fn release(&mut self) {
        self.buffer.release();
    }

    pub(crate) fn allocated(&self) -> usize {
        self.buffer.allocated()
            + if self.runs.spilled() {
                self.runs.capacity() * size_of::<Run>()
            } else {
                0
            }
    }

    fn insert_among_runs(&mut self, start: SeqNum, payload: &[u8]) -> Inserted {
        let end = start + length(payload.len());
        // Runs that overlap or touch [start, end) become one with it.
        let first = self.runs.partition_point(|run| run.end.lt(start));
        let count = self
            .runs
            .iter()
            .skip(first)
            .take_while(|run| run.start.le(end))
            .count();
        if start != self.next && count == 0 && self.runs.len() >= limits::OUT_OF_ORDER_RUNS_MAX {
            return Inserted::NoRoom;
        }
        let mut cursor = start;
        let mut added = false;
        for index in first..=first + count {
            let gap_end = match self.runs.get(index) {
                Some(run) if index < first + count => run.start,
                _ => end,
            };
            if cursor.lt(gap_end) {
                let from = size(ahead(start, cursor));
                let to = size(ahead(start, gap_end));
                let offset = size(ahead(self.next, cursor));
                self.buffer
                    .write_ahead(offset, payload.get(from..to).unwrap_or(&[]));
                added = true;
            }
            if let Some(run) = self.runs.get(index).filter(|_| index < first + count) {
                cursor = cursor.max(run.end);
            }
        }
        if !added {
            return Inserted::Nothing;
        }
        let merged_start = self
            .runs
            .get(first)
            .filter(|_| count > 0)
            .map_or(start, |run| run.start.min(start));
        let merged_end = cursor.max(end);
        self.runs.drain(first..first + count);
        if merged_start == self.next {
            let delivered = size(ahead(self.next, merged_end));
            self.buffer.commit(delivered);
            self.next = merged_end;
            return Inserted::InOrder {
                count: delivered,
                gap_filled: true,
            };
        }
        self.stamp = self.stamp.wrapping_add(1);
        self.runs.insert(
            first,
            Run {
                start: merged_start,
                end: merged_end,
                stamp: self.stamp,
            },
        );
        Inserted::Ahead
    }
}

#[cfg(test)]
mod tests;
