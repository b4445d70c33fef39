//! Taking back what was done for a loss that was none.
//!
//! Two things tell of a segment that it was sent again for nothing: the peer reports it as a duplicate (RFC 2883), or what it
//! acknowledges is, by its timestamp, the original (RFC 3522). When that is so of all that were sent again, nothing was lost. The window is then as if nothing had been lost
//! (RFC 9438 section 4.9, RFC 4015).

use sluice_packet::SeqNum;

use crate::congestion::Congestion;
use crate::limits;

/// What to go back to, if there is anything. Its memory is kept for the next loss.
#[derive(Debug, Default)]
pub(crate) struct Memory(Option<Box<Undo>>);

impl Memory {
    /// The congestion window is reduced, which was `congestion`.
    pub(crate) fn remember(&mut self, congestion: Congestion) {
        let undo = Undo::new(congestion);
        match &mut self.0 {
            Some(kept) => **kept = undo,
            None => self.0 = Some(Box::new(undo)),
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

    pub(crate) fn release(&mut self) {
        self.0 = None;
    }

    pub(crate) fn allocated(&self) -> usize {
        self.0.as_ref().map_or(0, |_| size_of::<Undo>())
    }
}

/// What there was before the congestion window was reduced for a loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    congestion: Congestion,
    /// Where the segments begin that were sent again since and are not known to have been there.
    repeated: [SeqNum; limits::UNDO_SEGMENTS_MAX],
    count: usize,
    /// There were more of them than are remembered.
    overflowed: bool,
    /// Once everything is repaired: the last that was sent until then. After its acknowledgement no more is reported.
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

    pub(crate) fn congestion(&self) -> &Congestion {
        &self.congestion
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

    /// The original of whatever begins in `start..end` arrived. True when with this none is left that was sent again for a
    /// reason. What the network doubled was not sent again, and what was sent again twice is there twice.
    pub(crate) fn on_needless(&mut self, start: SeqNum, end: SeqNum) -> bool {
        let before = self.count;
        let mut kept = 0;
        for index in 0..before {
            let Some(repeated) = self.repeated.get(index).copied() else {
                break;
            };
            if (repeated.lt(start) || repeated.ge(end))
                && let Some(place) = self.repeated.get_mut(kept)
            {
                *place = repeated;
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
