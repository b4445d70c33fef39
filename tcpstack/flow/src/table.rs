//! The flow table of one core.

use core::ops::Range;

use siphasher::sip::SipHasher13;
use sluice_packet::{FlowKey, fetch};

use crate::limits::{FLOWS_MAX, OBSERVED_PLACES_ONE_IN};

mod id;
mod index;

pub use id::{FlowId, Sought};
use index::Index;

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
    /// Its key.
    pub key: FlowKey,
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

/// The flows of one core. All memory is taken when it is made; every operation costs the same however full it is.
///
/// Buckets are found by a hash keyed with a secret, so that nobody can choose addresses and ports that collide, and probed
/// linearly. They hold 32 bits of hash, so a probe reads an entry only when it is, but for one time in billions, the right
/// one.
pub struct FlowTable<V> {
    index: Index,
    entries: Box<[Entry<V>]>,
    free: List,
    observed: List,
    expendable: List,
    kept: List,
    len: usize,
    keyed: SipHasher13,
}

/// Head and value lie side by side: what a packet reads of both is on one page.
#[repr(C)]
struct Entry<V> {
    head: Head,
    value: Option<V>,
}

impl<V> Entry<V> {
    fn fetch(&self) {
        fetch(&self.head);
        fetch(&self.value);
    }
}

/// What a lookup reads of an entry: one cache line.
#[repr(align(64))]
#[derive(Copy, Clone)]
struct Head {
    key: FlowKey,
    generation: u32,
    previous: u32,
    next: u32,
    list: Listed,
}

const _: () = assert!(size_of::<Head>() == 64);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Listed {
    Free,
    Retired,
    Observed,
    Expendable,
    Kept,
}

impl Head {
    /// The entry is a flow's.
    const fn is_live(&self) -> bool {
        !matches!(self.list, Listed::Free | Listed::Retired)
    }
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

impl<V> FlowTable<V> {
    /// A table for `capacity` flows, at least one and at most [`FLOWS_MAX`]. `key` is random, and the process's own secret.
    #[must_use]
    pub fn new(capacity: usize, key: [u8; 16]) -> Self {
        let capacity = capacity.clamp(1, FLOWS_MAX);
        let nobody = core::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let head = Head {
            key: FlowKey::new(
                sluice_packet::SegmentId(0),
                sluice_packet::VlanStack::UNTAGGED,
                nobody,
                nobody,
            ),
            generation: 0,
            previous: NONE,
            next: NONE,
            list: Listed::Retired,
        };
        let mut table = Self {
            index: Index::new(capacity),
            entries: core::iter::repeat_with(|| Entry { head, value: None })
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
    pub fn addresses(&self) -> [Range<usize>; 2] {
        let entries = self.entries.as_ptr_range();
        [
            self.index.addresses(),
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

    /// What the flow of `key` is looked for by, to be taken once per packet. Where its place is written is asked for.
    #[inline]
    #[must_use]
    pub fn seek(&self, key: &FlowKey) -> Sought {
        let hash = key.hash(&self.keyed);
        let hash = ((hash ^ hash >> 32) & 0xffff_ffff) as u32;
        self.index.fetch(hash);
        Sought { hash, slot: NONE }
    }

    /// Finds the place of the flow that is `sought` and asks for what is read there first. False if it has none.
    #[inline]
    pub fn locate(&self, sought: &mut Sought) -> bool {
        let slot = self.index.slot(sought.hash, |_| true);
        sought.slot = slot.unwrap_or(NONE);
        if let Some(entry) = self.entries.get(sought.slot as usize) {
            entry.fetch();
        }
        slot.is_some()
    }

    /// What stands at the place that was [located](Self::locate): most likely, but not for sure, the value of the flow.
    #[must_use]
    pub fn at(&self, sought: Sought) -> Option<&V> {
        self.value(sought.slot)
    }

    /// Asks for what is read first of an entry.
    pub fn fetch(&self, id: FlowId) {
        if let Some(entry) = self.entries.get(id.index as usize) {
            entry.fetch();
        }
    }

    /// The values that would make room for so many new ones, if there is none.
    pub fn leaving(&self, strangers: usize) -> impl Iterator<Item = &V> {
        let strangers = if self.free.first == NONE {
            strangers
        } else {
            0
        };
        let oldest = self.places_of(self.evictable()).take(strangers);
        oldest.filter_map(|slot| self.value(slot))
    }

    /// The entry of a flow.
    #[must_use]
    pub fn lookup(&self, key: &FlowKey) -> Option<FlowId> {
        self.find(self.seek(key), key)
    }

    /// The entry of the flow of `key`, which is `sought`.
    #[must_use]
    pub fn find(&self, sought: Sought, key: &FlowKey) -> Option<FlowId> {
        let index = self.slot(sought, key)?;
        let generation = self.entries.get(index as usize)?.head.generation;
        Some(FlowId { index, generation })
    }

    /// As [`find`](Self::find), with its value to be changed.
    pub fn find_mut(&mut self, sought: Sought, key: &FlowKey) -> Option<(FlowId, &mut V)> {
        let index = self.slot(sought, key)?;
        let Entry { head, value } = self.entries.get_mut(index as usize)?;
        let generation = head.generation;
        Some((FlowId { index, generation }, value.as_mut()?))
    }

    fn slot(&self, sought: Sought, key: &FlowKey) -> Option<u32> {
        let is_it = |slot: u32| {
            let entry = self.entries.get(slot as usize);
            entry.is_some_and(|Entry { head, .. }| head.key == *key && head.is_live())
        };
        if is_it(sought.slot) {
            return Some(sought.slot);
        }
        // Its place was not looked for yet, or it came since.
        self.index.slot(sought.hash, is_it)
    }

    /// The value of an entry.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&V> {
        self.entry(id)?.value.as_ref()
    }

    /// The value of an entry, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut V> {
        let entry = self.entries.get_mut(id.index as usize)?;
        if entry.head.generation != id.generation || !entry.head.is_live() {
            return None;
        }
        entry.value.as_mut()
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, id: FlowId) -> Option<&FlowKey> {
        self.entry(id).map(|entry| &entry.head.key)
    }

    /// Puts a flow in. When the table is full the oldest entry that may go makes room: one that is only observed, unless
    /// those are so few that handshakes would not come to their end for want of a place.
    ///
    /// # Errors
    /// [`Refused`] when the flow is there already, or nothing may make room.
    pub fn insert(
        &mut self,
        key: FlowKey,
        value: V,
        retention: Retention,
    ) -> Result<Inserted<V>, Refused<V>> {
        let sought = self.seek(&key);
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
        entry.head.key = key;
        let generation = entry.head.generation;
        entry.value = Some(value);
        self.unlink(index);
        self.link(index, retention.into());
        self.index.occupy(sought.hash, index);
        self.len += 1;
        Ok(Inserted {
            id: FlowId { index, generation },
            evicted,
        })
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: FlowId) -> Option<Evicted<V>> {
        let key = *self.key(id)?;
        let value = self.entries.get_mut(id.index as usize)?.value.take()?;
        self.index.vacate(self.seek(&key).hash, id.index);
        self.unlink(id.index);
        self.len -= 1;
        let head = &mut self.entries.get_mut(id.index as usize)?.head;
        match head.generation.checked_add(1) {
            Some(generation) => {
                head.generation = generation;
                self.link(id.index, Listed::Free);
            }
            None => head.list = Listed::Retired,
        }
        Some(Evicted { id, key, value })
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
        match self.entry(id)?.head.list {
            Listed::Observed => Some(Retention::Observed),
            Listed::Expendable => Some(Retention::Expendable),
            Listed::Kept => Some(Retention::Kept),
            Listed::Free | Listed::Retired => None,
        }
    }

    /// All entries, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &FlowKey, &V)> {
        self.iter_places(0, self.capacity())
    }

    /// All entries, oldest first among their kind: first those that stay, last those that make room first. The first few
    /// cost the same however many there are.
    pub fn iter_kept_first(&self) -> impl Iterator<Item = (FlowId, &FlowKey, &V)> {
        [self.kept, self.expendable, self.observed]
            .into_iter()
            .flat_map(|list| self.places_of(list))
            .filter_map(|index| {
                let Entry { head, value } = self.entries.get(index as usize)?;
                let id = FlowId {
                    index,
                    generation: head.generation,
                };
                Some((id, &head.key, value.as_ref()?))
            })
    }

    /// The entries at places `start` to `start + count`, so that a sweep over a large table can be done bit by bit.
    /// Places go up to [`capacity`](Self::capacity).
    pub fn iter_places(
        &self,
        start: usize,
        count: usize,
    ) -> impl Iterator<Item = (FlowId, &FlowKey, &V)> {
        let end = start.saturating_add(count).min(self.capacity());
        let start = start.min(end);
        let entries = self.entries.get(start..end).unwrap_or_default();
        (u32::try_from(start).unwrap_or(NONE)..)
            .zip(entries)
            .filter_map(|(index, Entry { head, value })| {
                let id = FlowId {
                    index,
                    generation: head.generation,
                };
                value.as_ref().map(|value| (id, &head.key, value))
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
            entry.map(|entry| entry.head.next)
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
            neighbour.next = index;
        }
        if let Some(head) = self.head_mut(index) {
            head.previous = previous;
            head.next = NONE;
            head.list = which;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(head) = self.head_mut(index) else {
            return;
        };
        let Head {
            previous,
            next,
            list,
            ..
        } = *head;
        if let Some(neighbour) = self.head_mut(previous) {
            neighbour.next = next;
        }
        if let Some(neighbour) = self.head_mut(next) {
            neighbour.previous = previous;
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
