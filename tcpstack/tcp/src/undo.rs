//! Taking back what was done for a loss that was none.
//!
//! Two things tell of it, each by itself: the peer reports every segment that was sent again as a duplicate (RFC 2883), or what
//! it acknowledges of them is, by its timestamp, the first copy (RFC 3522). The window is then as if nothing had been lost
//! (RFC 9438 section 4.9, RFC 4015).

use sluice_packet::{Instant, SeqNum};

use crate::congestion::Congestion;
use crate::timestamps::Echo;

/// What to go back to, if there is anything. Its memory is kept for the next loss.
#[derive(Debug, Default)]
pub(crate) struct Memory(Option<Box<Undo>>);

impl Memory {
    /// The congestion window is reduced, which was `congestion` while `una` was the first that was not acknowledged.
    pub(crate) fn remember(&mut self, congestion: Congestion, una: SeqNum) {
        let undo = Undo::new(congestion, una);
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
    /// SND.UNA: nothing before it was sent again since.
    from: SeqNum,
    /// Segments sent again since and not reported as duplicates.
    repeated: u32,
    /// When the first of them was sent again.
    repeated_at: Option<Instant>,
    /// Once everything is repaired: the last that was sent until then. After its acknowledgement no more is reported.
    until: Option<SeqNum>,
    settled: bool,
}

impl Undo {
    fn new(congestion: Congestion, from: SeqNum) -> Self {
        Self {
            congestion,
            from,
            repeated: 0,
            repeated_at: None,
            until: None,
            settled: false,
        }
    }

    /// Everything is repaired, and `next` comes next.
    pub(crate) fn on_recovery(&mut self, next: SeqNum) {
        self.until.get_or_insert(next);
    }

    /// Everything before `una` is acknowledged: perhaps nothing more can come that says it was no loss.
    pub(crate) fn on_acknowledgement(&mut self, una: SeqNum) {
        self.settled |= self.until.is_some_and(|until| una.ge(until));
    }

    pub(crate) fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// A segment is sent again.
    pub(crate) fn on_repetition(&mut self, now: Instant) {
        self.repeated += 1;
        self.repeated_at.get_or_insert(now);
    }

    /// The peer reports that `segments` that begin at `start` came twice. True when that makes all that were sent again.
    pub(crate) fn on_duplicates(&mut self, start: SeqNum, segments: u32) -> bool {
        if start.lt(self.from) || self.repeated == 0 {
            return false;
        }
        self.repeated = self.repeated.saturating_sub(segments);
        self.repeated == 0
    }

    /// Whether an acknowledgement of a segment that was sent again is, by what it `echo`es, one of the first copy.
    pub(crate) fn is_disproved_by(&self, echo: &Echo) -> bool {
        self.repeated_at.is_some_and(|at| echo.is_before(at))
    }
}
