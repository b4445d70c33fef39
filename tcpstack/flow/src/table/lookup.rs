//! From a packet to its flow.

use sluice_packet::{FlowKey, ShortKey};

use super::index::Found;
use super::{Entry, FlowId, FlowTable, Lender, NONE, Sought};

impl<V: Lender> FlowTable<V> {
    /// What the flow of `key` is looked for by, to be taken once per packet.
    #[inline(always)]
    #[must_use]
    pub fn seek(&self, key: &FlowKey) -> Sought {
        Sought {
            hash: key.hash(&self.keyed),
            slot: NONE,
            has_lent: false,
        }
    }

    /// Asks for where the place of the flow that is sought is written.
    #[inline(always)]
    pub fn fetch_place(&self, sought: Sought) {
        self.index.fetch(sought.hash.short);
    }

    /// Finds the place of the flow that is `sought` and asks for what is read there first: of a flow that has lent what a
    /// packet needs nothing else, unless its packet `tells` more. False if it has none.
    #[inline]
    pub fn locate(&self, sought: &mut Sought, tells: bool) -> bool {
        let found = self.index.search(sought.hash.short, |_| true);
        let Some(Found { slot, has_lent }) = found else {
            (sought.slot, sought.has_lent) = (NONE, false);
            return false;
        };
        sought.slot = slot;
        sought.has_lent = has_lent;
        if has_lent {
            self.fetch_label(slot);
        }
        if tells || !has_lent {
            self.fetch_entry(slot);
        }
        true
    }

    /// What stands at the place that was [located](Self::locate), unless it has lent what a packet needs: most likely, but
    /// not for sure, the value of the flow.
    #[inline]
    #[must_use]
    pub fn at(&self, sought: Sought) -> Option<&V> {
        if sought.has_lent {
            None
        } else {
            self.value(sought.slot)
        }
    }

    /// What the flow of `key`, which was [located](Self::locate), has lent. That it is that flow is certain as far as
    /// [`ShortKey`] says.
    #[inline]
    pub fn brief_mut(&mut self, sought: Sought, key: &FlowKey) -> Option<&mut V::Brief> {
        if !sought.has_lent {
            return None;
        }
        let label = self.labels.get_mut(sought.slot as usize)?;
        label.lent_by(ShortKey::of(key, sought.hash))
    }

    /// Lends what the value of an entry has to lend, until [`get_mut`](Self::get_mut) or [`find_mut`](Self::find_mut) asks for
    /// the value.
    pub fn lend(&mut self, id: FlowId) {
        if let Some(Entry { head, value }) = self.entries.get_mut(id.index as usize)
            && head.generation == id.generation
            && !head.has_lent()
            && let Some((value, brief)) = value
                .as_ref()
                .and_then(|value| Some((value, value.lend()?)))
        {
            head.set_lent(true);
            self.index.mark(head.hash, id.index, true);
            if let Some(label) = self.labels.get_mut(id.index as usize) {
                let key = value.key();
                label.lend(ShortKey::of(&key, key.hash(&self.keyed)), brief);
            }
        }
    }

    /// The entry of a flow.
    #[must_use]
    pub fn lookup(&self, key: &FlowKey) -> Option<FlowId> {
        self.find(self.seek(key), key)
    }

    /// The entry of the flow of `key`, which is `sought`.
    #[inline]
    #[must_use]
    pub fn find(&self, sought: Sought, key: &FlowKey) -> Option<FlowId> {
        let index = self.slot(sought, key)?;
        let generation = self.entries.get(index as usize)?.head.generation;
        Some(FlowId { index, generation })
    }

    /// As [`find`](Self::find), with its value to be changed.
    #[inline]
    pub fn find_mut(&mut self, sought: Sought, key: &FlowKey) -> Option<(FlowId, &mut V)> {
        let id = self.find(sought, key)?;
        Some((id, self.get_mut(id)?))
    }

    #[inline]
    fn slot(&self, sought: Sought, key: &FlowKey) -> Option<u32> {
        if sought.has_lent {
            // Its entry need not be asked whose it is.
            let label = self.labels.get(sought.slot as usize);
            if label.is_some_and(|label| label.is_lent_by(ShortKey::of(key, sought.hash))) {
                return Some(sought.slot);
            }
        }
        let is_it = |slot| self.value(slot).is_some_and(|value| value.is_of(key));
        if is_it(sought.slot) {
            return Some(sought.slot);
        }
        // Its place was not looked for yet, or it came since.
        let found = self.index.search(sought.hash.short, is_it);
        found.map(|found| found.slot)
    }
}
