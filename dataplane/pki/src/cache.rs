//! A core's cache of forged leaves.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

use crate::forge::{ForgeRequest, ForgedLeaf};
use crate::limits::{LEAF_CACHE_BYTES_DEFAULT, LEAF_CACHE_PENDING_MAX};
use crate::origin::names_itself;

/// Everything that makes a leaf right. Two flows share a leaf exactly when their keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeafCacheKey {
    /// SHA-256 of the origin's certificate.
    pub origin_sha256: [u8; 32],
    /// Whether the origin verified: a leaf made for one that did not is never found for one that did.
    pub trusted: bool,
    /// SHA-256 of the signing CA's certificate.
    pub ca_sha256: [u8; 32],
    /// The configuration generation the leaf was made under.
    pub generation: u64,
    /// The name written into the leaf, for an origin that names nothing.
    server_name: Option<String>,
}

impl LeafCacheKey {
    /// The key of the leaf that `request` makes, for an origin that verified (`trusted`) or not.
    #[must_use]
    pub fn new(request: &ForgeRequest, trusted: bool, generation: u64) -> Self {
        Self {
            origin_sha256: crate::certificate_sha256(&request.origin),
            trusted,
            ca_sha256: request.ca.sha256(),
            generation,
            server_name: request
                .server_name
                .clone()
                .filter(|_| !names_itself(&request.origin)),
        }
    }
}

/// What the cache has for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The leaf.
    Hit(Arc<ForgedLeaf>),
    /// Nobody is forging it: the caller does, and then calls [`LeafCache::complete`] or [`LeafCache::fail`].
    Start,
    /// Another flow of this core is forging it: the caller waits for that one.
    Pending,
}

/// Counts since the cache was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Lookups answered with a leaf.
    pub hits: u64,
    /// Lookups that started a forging.
    pub misses: u64,
    /// Lookups that were told to wait for a forging under way.
    pub waits: u64,
    /// Leaves given up for room.
    pub evictions: u64,
}

/// Leaves of one core, the least recently used given up first, bounded in bytes.
///
/// Not shared and not locked: each core has its own.
#[derive(Debug)]
pub struct LeafCache {
    bytes_max: usize,
    bytes: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    index: HashMap<LeafCacheKey, State>,
    pending: usize,
    /// Ends of the list through `slots`, most and least recently used.
    newest: Option<usize>,
    oldest: Option<usize>,
    stats: CacheStats,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Pending,
    Ready(usize),
}

#[derive(Debug)]
struct Slot {
    key: LeafCacheKey,
    leaf: Arc<ForgedLeaf>,
    bytes: usize,
    newer: Option<usize>,
    older: Option<usize>,
}

/// What an entry costs beside its certificates and its name: the key twice, the slot, the index entry, the shared leaf.
const ENTRY_BYTES: usize =
    2 * size_of::<LeafCacheKey>() + size_of::<Slot>() + size_of::<ForgedLeaf>() + 64;

impl LeafCache {
    /// A cache that holds up to `bytes_max` bytes, bookkeeping included.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            pending: 0,
            newest: None,
            oldest: None,
            stats: CacheStats::default(),
        }
    }

    /// Looks a leaf up; a leaf near the end of its validity at `now_unix_s` is given up and forged anew.
    ///
    /// While [`LEAF_CACHE_PENDING_MAX`] forgings are under way, further ones are started without being kept track of, so that
    /// flows with the same key do not wait for each other.
    pub fn lookup(&mut self, key: &LeafCacheKey, now_unix_s: u64) -> Lookup {
        match self.index.get(key).copied() {
            Some(State::Pending) => {
                self.stats.waits += 1;
                return Lookup::Pending;
            }
            Some(State::Ready(at)) => {
                if let Some(leaf) = self.fresh(at, now_unix_s) {
                    self.unlink(at);
                    self.link_newest(at);
                    self.stats.hits += 1;
                    return Lookup::Hit(leaf);
                }
                self.remove(at);
            }
            None => {}
        }
        self.stats.misses += 1;
        if self.pending < LEAF_CACHE_PENDING_MAX {
            self.index.insert(key.clone(), State::Pending);
            self.pending += 1;
        }
        Lookup::Start
    }

    /// Takes a leaf in, ends the wait for it and gives it back to be used by all who waited.
    ///
    /// A leaf too large for the cache is given back without being kept.
    pub fn complete(&mut self, key: LeafCacheKey, leaf: ForgedLeaf) -> Arc<ForgedLeaf> {
        self.forget(&key);
        let leaf = Arc::new(leaf);
        let bytes = ENTRY_BYTES + leaf.bytes + 2 * key.server_name.as_ref().map_or(0, String::len);
        if bytes > self.bytes_max {
            return leaf;
        }
        self.make_room(bytes);
        let slot = Slot {
            key: key.clone(),
            leaf: Arc::clone(&leaf),
            bytes,
            newer: None,
            older: None,
        };
        let at = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(at) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        self.bytes += bytes;
        self.index.insert(key, State::Ready(at));
        self.link_newest(at);
        leaf
    }

    /// Ends the wait for a leaf that could not be forged. The next lookup starts again.
    pub fn fail(&mut self, key: &LeafCacheKey) {
        if let Some(State::Pending) = self.index.get(key) {
            self.forget(key);
        }
    }

    /// Gives up every leaf that was not made under `generation`, and lets go of forgings under way for others.
    pub fn purge(&mut self, generation: u64) {
        let mut at = self.newest;
        while let Some(slot) = at.and_then(|at| self.slot(at)) {
            let (older, stale) = (slot.older, slot.key.generation != generation);
            if let (Some(at), true) = (at, stale) {
                self.remove(at);
            }
            at = older;
        }
        self.index
            .retain(|key, state| key.generation == generation || matches!(state, State::Ready(_)));
        self.pending = self.index.len() - self.len();
        if self.is_empty() {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }

    /// Leaves held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no leaf is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes accounted for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgings under way that are kept track of.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Counts since the cache was made.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.stats
    }

    fn fresh(&self, at: usize, now_unix_s: u64) -> Option<Arc<ForgedLeaf>> {
        self.slot(at)
            .filter(|slot| now_unix_s < slot.leaf.renew_at_unix_s)
            .map(|slot| Arc::clone(&slot.leaf))
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max
            && let Some(oldest) = self.oldest
        {
            self.remove(oldest);
            self.stats.evictions += 1;
        }
    }

    /// Takes `key` out of the index, whatever is known of it.
    fn forget(&mut self, key: &LeafCacheKey) {
        match self.index.get(key).copied() {
            Some(State::Ready(at)) => self.remove(at),
            Some(State::Pending) => {
                self.index.remove(key);
                self.pending -= 1;
            }
            None => {}
        }
    }

    fn remove(&mut self, at: usize) {
        self.unlink(at);
        let Some(slot) = self.slots.get_mut(at).and_then(Option::take) else {
            return;
        };
        self.bytes -= slot.bytes;
        self.free.push(at);
        if let MapEntry::Occupied(entry) = self.index.entry(slot.key) {
            entry.remove();
        }
    }

    fn link_newest(&mut self, at: usize) {
        let before = self.newest.replace(at);
        if let Some(slot) = self.slot_mut(at) {
            slot.older = before;
            slot.newer = None;
        }
        match before.and_then(|before| self.slot_mut(before)) {
            Some(before) => before.newer = Some(at),
            None => self.oldest = Some(at),
        }
    }

    fn unlink(&mut self, at: usize) {
        let Some((newer, older)) = self.slot(at).map(|slot| (slot.newer, slot.older)) else {
            return;
        };
        match newer.and_then(|newer| self.slot_mut(newer)) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match older.and_then(|older| self.slot_mut(older)) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn slot(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)?.as_ref()
    }

    fn slot_mut(&mut self, at: usize) -> Option<&mut Slot> {
        self.slots.get_mut(at)?.as_mut()
    }
}

impl Default for LeafCache {
    fn default() -> Self {
        Self::new(LEAF_CACHE_BYTES_DEFAULT)
    }
}

#[cfg(test)]
mod tests;
