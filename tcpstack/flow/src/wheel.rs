//! Timers.

use core::ops::Range;

use sluice_packet::{Instant, fetch};

use crate::limits::{
    TIMER_BYTES_MAX, TIMER_LEVEL_BITS, TIMER_LEVELS, TIMER_SLOTS_PER_LEVEL, TIMER_TICK_MICROS,
    TIMERS_AHEAD,
};

const NONE: u32 = u32::MAX;

/// Names one timer until it fires or is cancelled. Like a [`FlowId`](crate::FlowId), it never names another one later.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    /// Names no timer, ever.
    pub const NONE: Self = Self {
        index: NONE,
        generation: 0,
    };
}

/// Timers of one core: a hierarchical wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels").
///
/// A timer's level is that of the highest digit, in base 64, in which its tick differs from the present one; its slot is
/// that digit. So all of a level's slots are in the future, an earlier level fires before a later one, and the next slot is
/// the lowest bit of a word. To schedule, move or cancel a timer costs the same however many there are; each is handed down
/// from a level to a lower one a few times at most before it fires, one at a time, so that a slot with a million timers in
/// it is no stall. A timer never fires early, and less than [`TIMER_TICK_MICROS`] late if all that is due is worked off.
pub struct TimerWheel<K> {
    entries: Vec<Entry<K>>,
    free: u32,
    /// The tick up to which everything has been handed out.
    elapsed: u64,
    levels: [Level; TIMER_LEVELS],
    /// Timers whose tick has come.
    due: List,
    /// The slot that begins at the present tick, while timers are left in it. None can come to it: seen from the present
    /// tick, all of its ticks belong to lower levels.
    draining: Option<(u8, u8)>,
    len: usize,
}

/// Half a cache line, if the key is a flow's.
struct Entry<K> {
    /// Of a free entry, the last one's.
    key: K,
    standing: Standing,
    generation: u32,
    previous: u32,
    next: u32,
    /// One that stands some places behind this one in its list, or did: to be asked for when this one is worked off.
    ahead: u32,
}

const _: () = assert!(size_of::<Entry<crate::FlowId>>() <= TIMER_BYTES_MAX);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Place {
    Free,
    Due,
    Slot { level: u8, slot: u8 },
}

/// A tick and, below it, the level and the slot in which its timer stands.
#[derive(Copy, Clone)]
struct Standing(u64);

impl Standing {
    const SLOT: u32 = TIMER_LEVEL_BITS;
    const TICK: u32 = Self::SLOT + 4;
    const FREE: u8 = 0xf;
    const DUE: u8 = 0xe;

    const fn new(tick: u64, place: Place) -> Self {
        let (level, slot) = match place {
            Place::Free => (Self::FREE, 0),
            Place::Due => (Self::DUE, 0),
            Place::Slot { level, slot } => (level, slot),
        };
        Self(tick << Self::TICK | (level as u64) << Self::SLOT | slot as u64)
    }

    const fn tick(self) -> u64 {
        self.0 >> Self::TICK
    }

    const fn place(self) -> Place {
        match (self.0 >> Self::SLOT & 0xf) as u8 {
            Self::FREE => Place::Free,
            Self::DUE => Place::Due,
            level => Place::Slot {
                level,
                slot: (self.0 & ((1 << Self::SLOT) - 1)) as u8,
            },
        }
    }
}

const _: () = assert!(TIMER_LEVELS <= Standing::DUE as usize);
const _: () = assert!(TICK_MAX.ilog2() as usize / TIMER_LEVEL_BITS as usize + 1 == TIMER_LEVELS);

/// The last tick there is: in 140,000 years.
const TICK_MAX: u64 = u64::MAX >> Standing::TICK;

/// The tick at which a moment has come.
fn tick_of(at: Instant) -> u64 {
    at.micros().div_ceil(TIMER_TICK_MICROS).min(TICK_MAX)
}

#[derive(Copy, Clone)]
struct Level {
    occupied: u64,
    slots: [List; TIMER_SLOTS_PER_LEVEL],
}

#[derive(Copy, Clone)]
struct List {
    first: u32,
    last: u32,
    /// The timer that stands so many places before the last one, or fewer if some behind it were taken back.
    mark: u32,
    behind_mark: u32,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
    mark: NONE,
    behind_mark: 0,
};

/// What one step of working off has done.
enum Step<K> {
    Fired(K),
    /// A timer went down a level, or a slot was opened.
    Moved,
    /// Nothing is left that is due.
    Done,
}

impl<K: Copy> TimerWheel<K> {
    /// A wheel that starts at `now`, with memory for `capacity` timers. More than that are scheduled too, but take memory
    /// when they come.
    #[must_use]
    pub fn new(now: Instant, capacity: usize) -> Self {
        Self {
            entries: Vec::with_capacity(capacity),
            free: NONE,
            elapsed: now.micros() / TIMER_TICK_MICROS,
            levels: [Level {
                occupied: 0,
                slots: [EMPTY; TIMER_SLOTS_PER_LEVEL],
            }; TIMER_LEVELS],
            due: EMPTY,
            draining: None,
            len: 0,
        }
    }

    /// The addresses of the memory that it has for timers, for whoever knows how to place that well.
    #[must_use]
    pub fn addresses(&self) -> Range<usize> {
        let start = self.entries.as_ptr().addr();
        start..start + self.entries.capacity() * size_of::<Entry<K>>()
    }

    /// Timers waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// No timer is waiting.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Has `key` come back once `at` is there.
    pub fn schedule(&mut self, key: K, at: Instant) -> TimerId {
        let index = self.allocate(key, tick_of(at));
        self.place(index);
        self.len += 1;
        TimerId {
            index,
            generation: self.entry(index).map_or(0, |entry| entry.generation),
        }
    }

    /// Asks for what moving a timer reads of it.
    pub fn fetch(&self, id: TimerId) {
        if let Some(entry) = self.entry(id.index) {
            fetch(entry);
        }
    }

    /// Whether a timer has neither fired nor been cancelled.
    #[must_use]
    pub fn is_waiting(&self, id: TimerId) -> bool {
        self.live(id).is_some()
    }

    /// Takes a timer back. None when it has fired or was cancelled.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        self.live(id)?;
        self.unlink(id.index);
        self.release(id.index)
    }

    /// Moves a timer. False when it has fired or was cancelled.
    pub fn reschedule(&mut self, id: TimerId, at: Instant) -> bool {
        let Some(entry) = self.live(id) else {
            return false;
        };
        let tick = tick_of(at);
        if entry.standing.tick() == tick {
            return true;
        }
        self.unlink(id.index);
        if let Some(entry) = self.entry_mut(id.index) {
            entry.standing = Standing::new(tick, Place::Free);
        }
        self.place(id.index);
        true
    }

    /// The next timer that is due at `now`, in the order of their ticks. Between two calls timers may be scheduled and
    /// cancelled; stopping after a number of them bounds the work.
    pub fn pop_expired(&mut self, now: Instant) -> Option<K> {
        loop {
            match self.step(now) {
                Step::Fired(key) => return Some(key),
                Step::Moved => {}
                Step::Done => return None,
            }
        }
    }

    /// Hands timers that are due at `now` to `fire`, in at most `steps_max` steps: a step fires a timer, or brings one
    /// closer. False when more steps are left to do.
    pub fn expire(&mut self, now: Instant, steps_max: usize, mut fire: impl FnMut(K)) -> bool {
        for _ in 0..steps_max {
            match self.step(now) {
                Step::Fired(key) => fire(key),
                Step::Moved => {}
                Step::Done => return true,
            }
        }
        false
    }

    /// When [`pop_expired`](Self::pop_expired) has something to do next: at the first timer or, when that is far off, some
    /// time before it. None when there is no timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let tick = if self.due.first == NONE && self.draining.is_none() {
            self.next_slot()?.2
        } else {
            self.elapsed
        };
        Some(Instant::from_micros(tick.saturating_mul(TIMER_TICK_MICROS)))
    }

    fn step(&mut self, now: Instant) -> Step<K> {
        let now = now.micros() / TIMER_TICK_MICROS;
        let index = self.due.first;
        if index != NONE {
            self.fetch_ahead(index);
            self.unlink(index);
            return self.release(index).map_or(Step::Done, Step::Fired);
        }
        if let Some((level, slot)) = self.draining {
            let first = self
                .list(Place::Slot { level, slot })
                .map(|list| list.first);
            match first {
                Some(index) if index != NONE => {
                    self.fetch_ahead(index);
                    self.unlink(index);
                    self.place(index);
                }
                _ => self.draining = None,
            }
            return Step::Moved;
        }
        match self.next_slot() {
            Some((level, slot, tick)) if tick <= now => {
                self.elapsed = tick;
                self.draining = Some((level, slot));
                Step::Moved
            }
            _ => {
                self.elapsed = self.elapsed.max(now);
                Step::Done
            }
        }
    }

    /// Each entry says where the next one is: without this they would be read one after the other.
    fn fetch_ahead(&self, index: u32) {
        let ahead = self.entry(index).and_then(|entry| self.entry(entry.ahead));
        if let Some(entry) = ahead {
            fetch(entry);
        }
    }

    fn entry(&self, index: u32) -> Option<&Entry<K>> {
        self.entries.get(index as usize)
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<K>> {
        self.entries.get_mut(index as usize)
    }

    fn live(&self, id: TimerId) -> Option<&Entry<K>> {
        self.entry(id.index).filter(|entry| {
            entry.generation == id.generation && entry.standing.place() != Place::Free
        })
    }

    fn allocate(&mut self, key: K, tick: u64) -> u32 {
        let index = self.free;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            self.free = entry.next;
            entry.key = key;
            entry.standing = Standing::new(tick, Place::Free);
            return index;
        }
        let entry = Entry {
            key,
            standing: Standing::new(tick, Place::Free),
            generation: 0,
            previous: NONE,
            next: NONE,
            ahead: NONE,
        };
        self.entries.push(entry);
        u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
    }

    fn release(&mut self, index: u32) -> Option<K> {
        let free = self.free;
        let entry = self.entry_mut(index)?;
        let key = entry.key;
        entry.standing = Standing::new(0, Place::Free);
        // An entry whose ids are used up is left unused.
        if let Some(generation) = entry.generation.checked_add(1) {
            entry.generation = generation;
            entry.next = free;
            self.free = index;
        }
        self.len -= 1;
        Some(key)
    }

    /// Puts a timer where its tick belongs, seen from the present tick.
    fn place(&mut self, index: u32) {
        let Some(tick) = self.entry(index).map(|entry| entry.standing.tick()) else {
            return;
        };
        let place = if tick <= self.elapsed {
            Place::Due
        } else {
            let level = (tick ^ self.elapsed).ilog2() / TIMER_LEVEL_BITS;
            Place::Slot {
                level: u8::try_from(level).unwrap_or(u8::MAX),
                slot: (tick >> (level * TIMER_LEVEL_BITS) & 63) as u8,
            }
        };
        let Some(list) = self.list(place) else { return };
        let List {
            last: previous,
            mark,
            ..
        } = *list;
        list.last = index;
        if mark == previous {
            list.behind_mark = 0;
        }
        list.behind_mark += 1;
        if list.first == NONE {
            list.first = index;
        }
        if mark == NONE {
            (list.mark, list.behind_mark) = (index, 0);
        }
        let full = list.behind_mark >= TIMERS_AHEAD;
        if let Place::Slot { level, slot } = place
            && let Some(level) = self.levels.get_mut(usize::from(level))
        {
            level.occupied |= 1 << slot;
        }
        if let Some(neighbour) = self.entry_mut(previous) {
            neighbour.next = index;
        }
        if let Some(entry) = self.entry_mut(index) {
            entry.previous = previous;
            entry.next = NONE;
            entry.ahead = NONE;
            entry.standing = Standing::new(tick, place);
        }
        if full && let Some(marked) = self.entry_mut(mark) {
            marked.ahead = index;
            let next = marked.next;
            if let Some(list) = self.list(place) {
                (list.mark, list.behind_mark) = (next, TIMERS_AHEAD - 1);
            }
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(&Entry {
            previous,
            next,
            standing,
            ..
        }) = self.entry(index)
        else {
            return;
        };
        let place = standing.place();
        if let Some(neighbour) = self.entry_mut(previous) {
            neighbour.next = next;
        }
        if let Some(neighbour) = self.entry_mut(next) {
            neighbour.previous = previous;
        }
        let Some(list) = self.list(place) else { return };
        if list.first == index {
            list.first = next;
        }
        if list.last == index {
            list.last = previous;
        }
        if list.mark == index {
            list.mark = next;
            list.behind_mark = list.behind_mark.saturating_sub(1);
        }
        let empty = list.first == NONE;
        if let (true, Place::Slot { level, slot }) = (empty, place)
            && let Some(level) = self.levels.get_mut(usize::from(level))
        {
            level.occupied &= !(1 << slot);
        }
    }

    fn list(&mut self, place: Place) -> Option<&mut List> {
        match place {
            Place::Free => None,
            Place::Due => Some(&mut self.due),
            Place::Slot { level, slot } => self
                .levels
                .get_mut(usize::from(level))?
                .slots
                .get_mut(usize::from(slot)),
        }
    }

    /// The first slot in use, and the tick at which it begins.
    fn next_slot(&self) -> Option<(u8, u8, u64)> {
        let (level, occupied) = (0u8..)
            .zip(&self.levels)
            .find(|(_, level)| level.occupied != 0)
            .map(|(number, level)| (number, level.occupied))?;
        let slot = occupied.trailing_zeros();
        let shift = u32::from(level) * TIMER_LEVEL_BITS;
        // The digits above this level's are the present ones, those below it zero.
        let above = self
            .elapsed
            .checked_shr(shift + TIMER_LEVEL_BITS)
            .unwrap_or(0);
        let tick = (above << TIMER_LEVEL_BITS | u64::from(slot)) << shift;
        Some((level, u8::try_from(slot).unwrap_or(0), tick))
    }
}

#[cfg(test)]
mod tests;
