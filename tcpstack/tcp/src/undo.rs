//! Taking back what was done for a loss that was none.
//!
//! Two things tell of a segment that it was sent again for nothing: the peer reports it as a duplicate (RFC 2883), or what it
//! acknowledges is, by its timestamp, the original (RFC 3522). When that is so of all that were sent again, and nothing else
//! counts as lost, nothing was lost. Nor was it if what counted as lost came before anything was sent again, as it does where
//! acknowledgements come together. The window may then grow as if nothing had been lost (RFC 9438 section 4.9), but not in
//! one burst (RFC 4015).

use sluice_packet::SeqNum;

use crate::congestion::Congestion;
use crate::limits;

/// What to go back to, if there is anything. Its memory is kept for the next loss.
#[derive(Debug, Default)]
pub(crate) struct Memory(Option<Box<Undo>>);

impl Memory {
    /// The congestion window is reduced, which was `congestion`.
    pub(crate) fn remember(&mut self, congestion: Congestion) {
        match &mut self.0 {
            Some(kept) => kept.restart(congestion),
            None => self.0 = Some(Box::new(Undo::new(congestion))),
        }
    }

    pub(crate) fn forget(&mut self) {
        if let Some(kept) = &mut self.0 {
            kept.settled = true;
        }
    }

    pub(crate) fn recall(&mut self) -> Option<&mut Undo> {
        self.0.as_deref_mut().filter(|undo| !undo.settled)
    }

    /// There is nothing to go back to.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.0.as_ref().is_none_or(|undo| undo.settled)
    }

    pub(crate) fn release(&mut self) {
        self.0 = None;
    }

    pub(crate) fn allocated(&self) -> usize {
        self.0.as_ref().map_or(0, |_| size_of::<Undo>())
    }
}

/// What there was before the congestion window was reduced for a loss.
#[derive(Debug)]
pub(crate) struct Undo {
    congestion: Congestion,
    /// Where the segments begin that were sent again since and are not known to have been there.
    repeated: [SeqNum; limits::UNDO_SEGMENTS_MAX],
    count: usize,
    /// There were more of them than are remembered.
    overflowed: bool,
    /// Once everything is repaired: what comes next then. Reports that come after its acknowledgement are not waited for: they
    /// may be of another loss.
    until: Option<SeqNum>,
    settled: bool,
}

impl Undo {
    fn new(congestion: Congestion) -> Self {
        Self {
            congestion,
            repeated: [SeqNum(0); limits::UNDO_SEGMENTS_MAX],
            count: 0,
            overflowed: false,
            until: None,
            settled: false,
        }
    }

    fn restart(&mut self, congestion: Congestion) {
        self.congestion = congestion;
        self.count = 0;
        self.overflowed = false;
        self.until = None;
        self.settled = false;
    }

    pub(crate) fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// Nothing was sent again yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.count == 0 && !self.overflowed
    }

    /// A segment that begins in `start..end` is known to have been sent again.
    pub(crate) fn has_repeated(&self, start: SeqNum, end: SeqNum) -> bool {
        let known = self.repeated.get(..self.count).unwrap_or_default();
        known
            .iter()
            .any(|repeated| repeated.ge(start) && repeated.lt(end))
    }

    /// The segment that begins at `start` is sent again.
    pub(crate) fn on_repetition(&mut self, start: SeqNum) {
        match self.repeated.get_mut(self.count) {
            Some(place) => {
                *place = start;
                self.count += 1;
            }
            None => self.overflowed = true,
        }
    }

    /// The peer reports that each segment that begins in `start..end` came once more than needed. True when with this none is
    /// left that was sent again for a reason. What the network doubled was not sent again, and what was sent again twice
    /// takes two reports.
    pub(crate) fn on_duplicate(&mut self, start: SeqNum, end: SeqNum) -> bool {
        self.remove(|repeated, removed| {
            repeated.ge(start) && repeated.lt(end) && !removed.contains(&repeated)
        })
    }

    /// The original of the segment that begins at `start` arrived, so that no repetition of it was needed. True as above.
    pub(crate) fn on_original(&mut self, start: SeqNum) -> bool {
        self.remove(|repeated, _| repeated == start)
    }

    /// Removes every record for which `needless` holds, which is shown those that were removed before it.
    fn remove(&mut self, needless: impl Fn(SeqNum, &[SeqNum]) -> bool) -> bool {
        let before = self.count;
        let mut kept = 0;
        for index in 0..before {
            let Some(repeated) = self.repeated.get(index).copied() else {
                break;
            };
            // The removed ones gather behind the kept ones.
            let removed = self.repeated.get(kept..index).unwrap_or_default();
            if !needless(repeated, removed) {
                self.repeated.swap(kept, index);
                kept += 1;
            }
        }
        self.count = kept;
        kept == 0 && before > 0 && !self.overflowed
    }

    /// Everything is repaired, and `next` comes next.
    pub(crate) fn on_recovery(&mut self, next: SeqNum) {
        self.until.get_or_insert(next);
    }

    /// Everything before `una` is acknowledged: perhaps nothing more can come that says it was no loss.
    pub(crate) fn on_acknowledgement(&mut self, una: SeqNum) {
        self.settled |= self.until.is_some_and(|until| una.ge(until));
    }
}
