//! The flow table of one core.

use core::ops::Range;

use siphasher::sip128::SipHasher13;
use sluice_packet::{FlowKey, fetch};

use crate::limits::{FLOWS_MAX, OBSERVED_PLACES_ONE_IN};

mod head;
mod id;
mod index;
mod label;
mod lookup;

use head::{Head, Listed};
pub use id::{FlowId, Sought};
use index::Index;
use label::Label;

/// No slot, no neighbour.
const NONE: u32 = u32::MAX;

/// When an entry may make room for a new one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Retention {
    /// First, but for a share of the places: a handshake that is only observed. This is what a SYN flood fills a table with.
    Observed,
    /// When no more is left that is only observed than that share: a flow that does without its entry, such as a bypassed
    /// one.
    Expendable,
    /// Never: a flow that is held, taken over or blocked. It would break, or slip through.
    Kept,
}

/// What [`FlowTable::insert`] has done.
#[derive(Debug, PartialEq, Eq)]
pub struct Inserted<V> {
    /// The new entry.
    pub id: FlowId,
    /// The entry that made room for it.
    pub evicted: Option<Evicted<V>>,
}

/// An entry that is in the table no more.
#[derive(Debug, PartialEq, Eq)]
pub struct Evicted<V> {
    /// The id it had.
    pub id: FlowId,
    /// Its value.
    pub value: V,
}

/// Why [`FlowTable::insert`] has done nothing, and the value it was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused<V> {
    /// Why.
    pub why: Refusal,
    /// What was not inserted.
    pub value: V,
}

/// Why an entry was not inserted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The table is full of flows that are [`Retention::Kept`].
    Full,
    /// The flow is in the table already.
    Present(FlowId),
}

/// What a table has of each flow, and may be lent a part of.
pub trait Lender {
    /// What a packet needs of a flow that only passes. It can be lent to the table, which keeps it beside the key in short:
    /// such a packet reads nothing else. At most 16 bytes, without alignment.
    type Brief: Copy + Default;

    /// Whose it is: always the same.
    fn key(&self) -> FlowKey;

    /// Whether that is `key`.
    fn is_of(&self, key: &FlowKey) -> bool {
        self.key() == *key
    }

    /// What is to be lent, if anything is now.
    fn lend(&self) -> Option<Self::Brief>;

    /// Takes back what was lent, as it has become.
    fn take_back(&mut self, brief: Self::Brief);
}

/// The flows of one core. All memory is taken when it is made; every operation costs the same however full it is.
///
/// Buckets are found by a hash keyed with a secret, so that nobody can choose addresses and ports that collide, and probed
/// linearly. They hold 32 bits of hash, so a probe reads an entry only when it is, but for one time in some thousands where there
/// are a million, the right one. What values have [lent](Lender) stands apart from them, each beside its key in short.
pub struct FlowTable<V: Lender> {
    index: Index,
    labels: Box<[Label<V::Brief>]>,
    entries: Box<[Entry<V>]>,
    free: List,
    observed: List,
    expendable: List,
    kept: List,
    len: usize,
    keyed: SipHasher13,
}

/// Head and beginning of the value lie in one cache line.
#[repr(C, align(64))]
struct Entry<V> {
    head: Head,
    value: Option<V>,
}

impl From<Retention> for Listed {
    fn from(retention: Retention) -> Self {
        match retention {
            Retention::Observed => Self::Observed,
            Retention::Expendable => Self::Expendable,
            Retention::Kept => Self::Kept,
        }
    }
}

/// A list through the heads, oldest first.
#[derive(Copy, Clone)]
struct List {
    first: u32,
    last: u32,
    len: usize,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
    len: 0,
};

impl<V: Lender> FlowTable<V> {
    /// A table for `capacity` flows, at least one and at most [`FLOWS_MAX`]. `key` is random, and the process's own secret.
    #[must_use]
    pub fn new(capacity: usize, key: [u8; 16]) -> Self {
        let capacity = capacity.clamp(1, FLOWS_MAX);
        let mut table = Self {
            index: Index::new(capacity),
            labels: vec![Label::unused(); capacity].into(),
            entries: core::iter::repeat_with(|| Entry {
                head: Head::UNUSED,
                value: None,
            })
            .take(capacity)
            .collect(),
            free: EMPTY,
            observed: EMPTY,
            expendable: EMPTY,
            kept: EMPTY,
            len: 0,
            keyed: SipHasher13::new_with_key(&key),
        };
        for index in 0..u32::try_from(capacity).unwrap_or(NONE) {
            table.link(index, Listed::Free);
        }
        table
    }

    /// Entries there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The addresses of its memory, for whoever knows how to place that well.
    #[must_use]
    pub fn addresses(&self) -> [Range<usize>; 3] {
        let labels = self.labels.as_ptr_range();
        let entries = self.entries.as_ptr_range();
        [
            self.index.addresses(),
            labels.start.addr()..labels.end.addr(),
            entries.start.addr()..entries.end.addr(),
        ]
    }

    /// Any entry that is [`Retention::Kept`].
    #[must_use]
    pub const fn keeps_any(&self) -> bool {
        self.kept.len > 0
    }

    /// No entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Asks for what is read first of an entry.
    pub fn fetch(&self, id: FlowId) {
        self.fetch_entry(id.index);
    }

    #[inline(always)]
    fn fetch_label(&self, slot: u32) {
        if let Some(label) = self.labels.get(slot as usize) {
            fetch(label);
        }
    }

    #[inline(always)]
    fn fetch_entry(&self, slot: u32) {
        if let Some(entry) = self.entries.get(slot as usize) {
            fetch(entry);
        }
    }

    /// The values that would make room for so many new ones, if there is none. Where their places are written is asked for.
    pub fn leaving(&self, strangers: usize) -> impl Iterator<Item = &V> {
        let strangers = if self.free.first == NONE {
            strangers
        } else {
            0
        };
        let oldest = self.places_of(self.evictable()).take(strangers);
        oldest.filter_map(|slot| {
            let Entry { head, value } = self.entries.get(slot as usize)?;
            self.index.fetch(head.hash);
            if head.has_lent() {
                self.fetch_label(slot);
            }
            value.as_ref()
        })
    }

    /// The value of an entry. What it has lent it does not know.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&V> {
        self.entry(id)?.value.as_ref()
    }

    /// The value of an entry, to be changed. It has back what it lent.
    #[must_use]
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut V> {
        let Entry { head, value } = self.entries.get_mut(id.index as usize)?;
        if head.generation != id.generation || !head.is_live() {
            return None;
        }
        let value = value.as_mut()?;
        if head.has_lent() {
            head.set_lent(false);
            self.index.mark(head.hash, id.index, false);
            let label = self.labels.get_mut(id.index as usize);
            if let Some(brief) = label.and_then(Label::take_back) {
                value.take_back(brief);
            }
        }
        Some(value)
    }

    /// Puts a flow in. When the table is full the oldest entry that may go makes room: one that is only observed, unless
    /// those are so few that handshakes would not come to their end for want of a place.
    ///
    /// # Errors
    /// [`Refused`] when the flow is there already, or nothing may make room.
    pub fn insert(&mut self, value: V, retention: Retention) -> Result<Inserted<V>, Refused<V>> {
        let key = value.key();
        let sought = self.seek(&key);
        let hash = sought.hash.short;
        if let Some(id) = self.find(sought, &key) {
            return Err(Refused {
                why: Refusal::Present(id),
                value,
            });
        }
        let evicted = if self.free.first == NONE {
            self.evict_oldest()
        } else {
            None
        };
        let index = self.free.first;
        let Some(entry) = self.entries.get_mut(index as usize) else {
            return Err(Refused {
                why: Refusal::Full,
                value,
            });
        };
        entry.head.hash = hash;
        let generation = entry.head.generation;
        entry.value = Some(value);
        self.unlink(index);
        self.link(index, retention.into());
        self.index.occupy(hash, index);
        self.len += 1;
        Ok(Inserted {
            id: FlowId { index, generation },
            evicted,
        })
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: FlowId) -> Option<Evicted<V>> {
        // What it has lent leaves with it.
        self.get_mut(id)?;
        let Entry { head, value } = self.entries.get_mut(id.index as usize)?;
        let value = value.take()?;
        let Head {
            hash, generation, ..
        } = *head;
        self.index.vacate(hash, id.index);
        self.unlink(id.index);
        self.len -= 1;
        match generation.checked_add(1) {
            Some(generation) => {
                if let Some(head) = self.head_mut(id.index) {
                    head.generation = generation;
                }
                self.link(id.index, Listed::Free);
            }
            None => {
                if let Some(head) = self.head_mut(id.index) {
                    head.set_list(Listed::Retired);
                }
            }
        }
        Some(Evicted { id, value })
    }

    /// Takes out the oldest entry that may go, as [`insert`](Self::insert) would. None when all are [`Retention::Kept`].
    pub fn evict_oldest(&mut self) -> Option<Evicted<V>> {
        let oldest = self.evictable().first;
        let generation = self.entries.get(oldest as usize)?.head.generation;
        self.remove(FlowId {
            index: oldest,
            generation,
        })
    }

    /// Says anew when an entry may make room, and makes it the youngest of its kind. False when there is no such entry.
    pub fn retain(&mut self, id: FlowId, retention: Retention) -> bool {
        let there = self.entry(id).is_some();
        if there {
            self.unlink(id.index);
            self.link(id.index, retention.into());
        }
        there
    }

    /// When an entry may make room.
    #[must_use]
    pub fn retention(&self, id: FlowId) -> Option<Retention> {
        match self.entry(id)?.head.list() {
            Listed::Observed => Some(Retention::Observed),
            Listed::Expendable => Some(Retention::Expendable),
            Listed::Kept => Some(Retention::Kept),
            Listed::Free | Listed::Retired => None,
        }
    }

    /// All entries, in the order of their places. What a value has lent it does not know, here and in what follows.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &V)> {
        self.iter_places(0, self.capacity())
    }

    /// All entries, oldest first among their kind: first those that stay, last those that make room first. The first few
    /// cost the same however many there are.
    pub fn iter_kept_first(&self) -> impl Iterator<Item = (FlowId, &V)> {
        [self.kept, self.expendable, self.observed]
            .into_iter()
            .flat_map(|list| self.places_of(list))
            .filter_map(|index| {
                let Entry { head, value } = self.entries.get(index as usize)?;
                let id = FlowId {
                    index,
                    generation: head.generation,
                };
                Some((id, value.as_ref()?))
            })
    }

    /// The entries at places `start` to `start + count`, so that a sweep over a large table can be done bit by bit.
    /// Places go up to [`capacity`](Self::capacity).
    pub fn iter_places(&self, start: usize, count: usize) -> impl Iterator<Item = (FlowId, &V)> {
        let end = start.saturating_add(count).min(self.capacity());
        let start = start.min(end);
        let entries = self.entries.get(start..end).unwrap_or_default();
        (u32::try_from(start).unwrap_or(NONE)..)
            .zip(entries)
            .filter_map(|(index, Entry { head, value })| {
                let value = value.as_ref()?;
                let id = FlowId {
                    index,
                    generation: head.generation,
                };
                Some((id, value))
            })
    }

    /// The list whose oldest entry makes room first.
    fn evictable(&self) -> List {
        let few = self.observed.len <= self.entries.len() / OBSERVED_PLACES_ONE_IN;
        if self.observed.len == 0 || (few && self.expendable.len > 0) {
            self.expendable
        } else {
            self.observed
        }
    }

    /// The slots of a list, oldest first, and then none.
    fn places_of(&self, list: List) -> impl Iterator<Item = u32> {
        core::iter::successors(Some(list.first), |index| {
            let entry = self.entries.get(*index as usize);
            entry.map(|entry| entry.head.next())
        })
    }

    fn value(&self, slot: u32) -> Option<&V> {
        self.entries.get(slot as usize)?.value.as_ref()
    }

    fn entry(&self, id: FlowId) -> Option<&Entry<V>> {
        let entry = self.entries.get(id.index as usize)?;
        (entry.head.generation == id.generation && entry.head.is_live()).then_some(entry)
    }

    fn head_mut(&mut self, slot: u32) -> Option<&mut Head> {
        let entry = self.entries.get_mut(slot as usize)?;
        Some(&mut entry.head)
    }

    fn list(&mut self, which: Listed) -> Option<&mut List> {
        match which {
            Listed::Free => Some(&mut self.free),
            Listed::Observed => Some(&mut self.observed),
            Listed::Expendable => Some(&mut self.expendable),
            Listed::Kept => Some(&mut self.kept),
            Listed::Retired => None,
        }
    }

    /// Puts a slot at the young end of a list. Free slots are used oldest first, which spreads ids over all of them.
    fn link(&mut self, index: u32, which: Listed) {
        let mut previous = NONE;
        if let Some(list) = self.list(which) {
            previous = list.last;
            list.last = index;
            list.len += 1;
            if list.first == NONE {
                list.first = index;
            }
        }
        if let Some(neighbour) = self.head_mut(previous) {
            neighbour.set_next(index);
        }
        if let Some(head) = self.head_mut(index) {
            head.set_previous(previous);
            head.set_next(NONE);
            head.set_list(which);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(head) = self.head_mut(index) else {
            return;
        };
        let (previous, next, list) = (head.previous(), head.next(), head.list());
        if let Some(neighbour) = self.head_mut(previous) {
            neighbour.set_next(next);
        }
        if let Some(neighbour) = self.head_mut(next) {
            neighbour.set_previous(previous);
        }
        if let Some(list) = self.list(list) {
            list.len -= 1;
            if list.first == index {
                list.first = next;
            }
            if list.last == index {
                list.last = previous;
            }
        }
    }
}

#[cfg(test)]
mod tests;
