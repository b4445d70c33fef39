//! The flow table of one core.

use core::hash::Hasher;
use core::hint::black_box;

use siphasher::sip::SipHasher13;
use sluice_packet::FlowKey;

use crate::limits::{FLOWS_MAX, OBSERVED_PLACES_ONE_IN, WARM_FLOWS_MAX};

mod index;

use index::Index;

/// No slot, no neighbour.
const NONE: u32 = u32::MAX;

/// Names one entry of a table for as long as it is there. A slot that is used again has another id, and a slot whose ids
/// are used up is used no more, so an id kept too long finds nothing rather than a stranger.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    index: u32,
    generation: u32,
}

impl FlowId {
    /// Where the entry stands in its table, for [`FlowTable::iter_places`].
    #[must_use]
    pub const fn place(self) -> usize {
        self.index as usize
    }

    /// As a number, to go through an interface that carries numbers.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Back from [`to_u64`](Self::to_u64). A number that never was an id finds nothing.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        let [g0, g1, g2, g3, i0, i1, i2, i3] = number.to_be_bytes();
        Self {
            index: u32::from_be_bytes([i0, i1, i2, i3]),
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
        }
    }
}

/// A key's hash, to be taken once per packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FlowHash(u32);

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
    heads: Box<[Head]>,
    values: Box<[Option<V>]>,
    free: List,
    observed: List,
    expendable: List,
    kept: List,
    len: usize,
    key: [u8; 16],
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
            heads: vec![head; capacity].into(),
            values: core::iter::repeat_with(|| None).take(capacity).collect(),
            free: EMPTY,
            observed: EMPTY,
            expendable: EMPTY,
            kept: EMPTY,
            len: 0,
            key,
        };
        for index in 0..u32::try_from(capacity).unwrap_or(NONE) {
            table.link(index, Listed::Free);
        }
        table
    }

    /// Entries there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.heads.len()
    }

    /// Entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// No entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash of a key.
    #[must_use]
    pub fn hash(&self, key: &FlowKey) -> FlowHash {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for word in key.words() {
            hasher.write_u64(word);
        }
        let hash = hasher.finish();
        FlowHash(((hash ^ hash >> 32) & 0xffff_ffff) as u32)
    }

    /// Reads what lookups of `hashes` will read, then has `touch` read what the caller will read of each value, and `follow`
    /// what lies behind it. The reads of one step do not depend on each other, so the cache misses of a whole batch overlap.
    /// Flows that are not there may be inserted: of those that would make room for them, `leave` reads what their removal
    /// will. Hashes after the first [`WARM_FLOWS_MAX`] are left cold.
    pub fn warm(
        &self,
        hashes: impl Iterator<Item = FlowHash> + Clone,
        touch: impl Fn(&V),
        follow: impl Fn(&V),
        leave: impl Fn(&V),
    ) {
        let hashes = hashes.take(WARM_FLOWS_MAX);
        let mut seen = 0;
        for hash in hashes.clone() {
            seen ^= self.index.first(hash.0).unwrap_or(NONE);
        }
        black_box(seen);
        let mut slots = [NONE; WARM_FLOWS_MAX];
        let mut strangers = 0;
        for (place, hash) in slots.iter_mut().zip(hashes) {
            *place = self.index.slot(hash.0, |_| true).unwrap_or(NONE);
            match self.heads.get(*place as usize) {
                Some(head) => seen ^= head.generation,
                None => strangers += 1,
            }
        }
        black_box(seen);
        self.warm_values(slots.into_iter(), touch, follow);
        if strangers > 0 && self.free.first == NONE {
            let oldest = self.places_of(self.evictable()).take(strangers);
            oldest.filter_map(|slot| self.value(slot)).for_each(leave);
        }
    }

    /// As [`warm`](Self::warm), for entries that are there.
    pub fn warm_entries(
        &self,
        ids: impl Iterator<Item = FlowId> + Clone,
        touch: impl Fn(&V),
        follow: impl Fn(&V),
    ) {
        let mut seen = 0;
        for id in ids.clone() {
            let head = self.heads.get(id.index as usize);
            seen ^= head.map_or(NONE, |head| head.generation);
        }
        black_box(seen);
        self.warm_values(ids.map(|id| id.index), touch, follow);
    }

    fn warm_values(
        &self,
        slots: impl Iterator<Item = u32> + Clone,
        touch: impl Fn(&V),
        follow: impl Fn(&V),
    ) {
        let values = slots.filter_map(|slot| self.value(slot));
        values.clone().for_each(touch);
        values.for_each(follow);
    }

    /// The entry of a flow.
    #[must_use]
    pub fn lookup(&self, key: &FlowKey) -> Option<FlowId> {
        self.lookup_hashed(self.hash(key), key)
    }

    /// The entry of a flow whose hash is known.
    #[must_use]
    pub fn lookup_hashed(&self, hash: FlowHash, key: &FlowKey) -> Option<FlowId> {
        let is_it = |slot: u32| {
            self.heads
                .get(slot as usize)
                .is_some_and(|head| head.key == *key)
        };
        let index = self.index.slot(hash.0, is_it)?;
        Some(FlowId {
            index,
            generation: self.heads.get(index as usize)?.generation,
        })
    }

    /// The value of an entry.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&V> {
        self.head(id)?;
        self.values.get(id.index as usize)?.as_ref()
    }

    /// The value of an entry, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut V> {
        self.head(id)?;
        self.values.get_mut(id.index as usize)?.as_mut()
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, id: FlowId) -> Option<&FlowKey> {
        self.head(id).map(|head| &head.key)
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
        let hash = self.hash(&key);
        if let Some(id) = self.lookup_hashed(hash, &key) {
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
        let (Some(head), Some(place)) = (
            self.heads.get_mut(index as usize),
            self.values.get_mut(index as usize),
        ) else {
            return Err(Refused {
                why: Refusal::Full,
                value,
            });
        };
        head.key = key;
        let generation = head.generation;
        *place = Some(value);
        self.unlink(index);
        self.link(index, retention.into());
        self.index.occupy(hash.0, index);
        self.len += 1;
        Ok(Inserted {
            id: FlowId { index, generation },
            evicted,
        })
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: FlowId) -> Option<Evicted<V>> {
        let key = *self.key(id)?;
        let value = self.values.get_mut(id.index as usize)?.take()?;
        let hash = self.hash(&key);
        self.index.vacate(hash.0, id.index);
        self.unlink(id.index);
        self.len -= 1;
        let head = self.heads.get_mut(id.index as usize)?;
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
        let generation = self.heads.get(oldest as usize)?.generation;
        self.remove(FlowId {
            index: oldest,
            generation,
        })
    }

    /// Says anew when an entry may make room, and makes it the youngest of its kind. False when there is no such entry.
    pub fn retain(&mut self, id: FlowId, retention: Retention) -> bool {
        let there = self.head(id).is_some();
        if there {
            self.unlink(id.index);
            self.link(id.index, retention.into());
        }
        there
    }

    /// When an entry may make room.
    #[must_use]
    pub fn retention(&self, id: FlowId) -> Option<Retention> {
        match self.head(id)?.list {
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
                let head = self.heads.get(index as usize)?;
                let value = self.values.get(index as usize)?.as_ref()?;
                let id = FlowId {
                    index,
                    generation: head.generation,
                };
                Some((id, &head.key, value))
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
        let heads = self.heads.get(start..end).unwrap_or_default();
        let values = self.values.get(start..end).unwrap_or_default();
        (u32::try_from(start).unwrap_or(NONE)..)
            .zip(heads)
            .zip(values)
            .filter_map(|((index, head), value)| {
                let id = FlowId {
                    index,
                    generation: head.generation,
                };
                value.as_ref().map(|value| (id, &head.key, value))
            })
    }

    /// The list whose oldest entry makes room first.
    fn evictable(&self) -> List {
        let few = self.observed.len <= self.heads.len() / OBSERVED_PLACES_ONE_IN;
        if self.observed.len == 0 || (few && self.expendable.len > 0) {
            self.expendable
        } else {
            self.observed
        }
    }

    /// The slots of a list, oldest first, and then none.
    fn places_of(&self, list: List) -> impl Iterator<Item = u32> {
        core::iter::successors(Some(list.first), |index| {
            self.heads.get(*index as usize).map(|head| head.next)
        })
    }

    fn value(&self, slot: u32) -> Option<&V> {
        self.values.get(slot as usize)?.as_ref()
    }

    fn head(&self, id: FlowId) -> Option<&Head> {
        self.heads.get(id.index as usize).filter(|head| {
            head.generation == id.generation && !matches!(head.list, Listed::Free | Listed::Retired)
        })
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
        if let Some(neighbour) = self.heads.get_mut(previous as usize) {
            neighbour.next = index;
        }
        if let Some(head) = self.heads.get_mut(index as usize) {
            head.previous = previous;
            head.next = NONE;
            head.list = which;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(&Head {
            previous,
            next,
            list,
            ..
        }) = self.heads.get(index as usize)
        else {
            return;
        };
        if let Some(neighbour) = self.heads.get_mut(previous as usize) {
            neighbour.next = next;
        }
        if let Some(neighbour) = self.heads.get_mut(next as usize) {
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
