//! From hashes to slots.

use core::ops::Range;

use sluice_packet::fetch;

use super::NONE;
use crate::limits::FLOWS_MAX;

/// Open addressing with linear probing at a load of one half at most. Removal shifts the followers back: there are no
/// tombstones that slow lookups.
pub(super) struct Index {
    buckets: Box<[Bucket]>,
}

#[derive(Copy, Clone)]
struct Bucket {
    hash: u32,
    /// `NONE` when the bucket is empty; with [`LENT`] where a flow has lent what a packet needs.
    slot: u32,
}

const LENT: u32 = 1 << 31;

const _: () = assert!(FLOWS_MAX < LENT as usize);

/// What is found in the index.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) slot: u32,
    pub(super) has_lent: bool,
}

impl Bucket {
    const fn found(self) -> Option<Found> {
        if self.slot == NONE {
            return None;
        }
        Some(Found {
            slot: self.slot & !LENT,
            has_lent: self.slot & LENT != 0,
        })
    }
}

impl Index {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            buckets: vec![
                Bucket {
                    hash: 0,
                    slot: NONE
                };
                (capacity * 2).next_power_of_two()
            ]
            .into(),
        }
    }

    pub(super) fn addresses(&self) -> Range<usize> {
        let buckets = self.buckets.as_ptr_range();
        buckets.start.addr()..buckets.end.addr()
    }

    /// Asks for where a search for `hash` begins.
    #[inline(always)]
    pub(super) fn fetch(&self, hash: u32) {
        if let Some(bucket) = self.buckets.get(self.home(hash)) {
            fetch(bucket);
        }
    }

    /// What has this hash and is the right one.
    #[inline]
    pub(super) fn search(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<Found> {
        self.buckets.get(self.find(hash, is_it)?)?.found()
    }

    /// Marks whether the flow at `slot` has lent what a packet needs.
    pub(super) fn mark(&mut self, hash: u32, slot: u32, lent: bool) {
        let at = self.find(hash, |candidate| candidate == slot);
        if let Some(bucket) = at.and_then(|at| self.buckets.get_mut(at)) {
            bucket.slot = if lent { slot | LENT } else { slot };
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn after(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }

    /// The bucket with this hash whose slot is the right one. Half of the buckets are empty, so the search ends.
    fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.buckets.get(at)?;
            let found = bucket.found()?;
            if bucket.hash == hash && is_it(found.slot) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    /// Buckets that a search for this hash looks at.
    #[cfg(test)]
    pub(super) fn probes(&self, hash: u32) -> usize {
        let found = self.find(hash, |_| true).unwrap_or_default();
        (found.wrapping_sub(self.home(hash)) & (self.buckets.len() - 1)) + 1
    }

    pub(super) fn occupy(&mut self, hash: u32, slot: u32) {
        let bucket = Bucket { hash, slot };
        let mut at = self.home(bucket.hash);
        while let Some(place) = self.buckets.get_mut(at) {
            if place.slot == NONE {
                *place = bucket;
                return;
            }
            at = self.after(at);
        }
    }

    pub(super) fn vacate(&mut self, hash: u32, slot: u32) {
        let Some(mut hole) = self.find(hash, |candidate| candidate == slot) else {
            return;
        };
        let mut at = hole;
        loop {
            at = self.after(at);
            let Some(&bucket) = self.buckets.get(at) else {
                return;
            };
            if bucket.slot == NONE {
                break;
            }
            // A follower may move into the hole when the hole is not before its home: it would not be found there.
            let mask = self.buckets.len() - 1;
            let from_home = at.wrapping_sub(self.home(bucket.hash)) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                if let Some(place) = self.buckets.get_mut(hole) {
                    *place = bucket;
                }
                hole = at;
            }
        }
        if let Some(place) = self.buckets.get_mut(hole) {
            place.slot = NONE;
        }
    }
}
