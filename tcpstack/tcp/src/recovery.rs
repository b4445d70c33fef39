//! Where the sender stands with losses.

use sluice_packet::SeqNum;

use crate::reordering::Reordering;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is known to be lost.
    #[default]
    Open,
    /// Acknowledgements told of a loss; over when everything before `point` is acknowledged.
    Fast { point: SeqNum },
    /// Segments were larger than the path carries and are sent again in pieces; nothing says that it is congested.
    Narrowed { point: SeqNum },
    /// The retransmission timer ran out; over when everything before `point` is acknowledged.
    Loss { point: SeqNum },
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    /// Duplicate acknowledgements, counted only for peers without selective ones.
    pub(crate) duplicates: u32,
    /// The next retransmission goes out whatever the window says.
    pub(crate) forced: bool,
    /// The congestion window was reduced; not again before everything before this is acknowledged.
    reduced: Option<SeqNum>,
    pub(crate) reordering: Reordering,
    /// End of the tail-loss probe in flight, and whether it repeated data.
    pub(crate) tail_probe: Option<TailProbe>,
    /// The round trip was measured since the last tail-loss probe, or since the connection's start.
    pub(crate) timed_since_probe: bool,
}

/// A tail-loss probe in flight (RFC 8985 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailProbe {
    pub(crate) end: SeqNum,
    pub(crate) repeated: bool,
}

impl Recovery {
    pub(crate) fn point(&self) -> Option<SeqNum> {
        match self.phase {
            Phase::Open => None,
            Phase::Fast { point } | Phase::Narrowed { point } | Phase::Loss { point } => {
                Some(point)
            }
        }
    }

    /// No acknowledgement that says nothing new changes anything.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.phase == Phase::Open
            && self.reduced.is_none()
            && self.tail_probe.is_none()
            && self.reordering.is_at_rest()
    }

    /// Losses are being repaired.
    pub(crate) fn in_loss(&self) -> bool {
        matches!(self.phase, Phase::Fast { .. } | Phase::Loss { .. })
    }

    /// Whether the congestion window may be reduced again.
    pub(crate) fn may_reduce(&self, una: SeqNum) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
        //# TCP should not react to congestion indications more than once every window of data
        self.reduced.is_none_or(|point| una.ge(point))
    }

    /// The congestion window was reduced while everything before `next` was sent.
    pub(crate) fn note_reduction(&mut self, next: SeqNum) {
        self.reduced = Some(next);
    }

    /// Forgets a reduction that lies a window of data back, before its number wraps.
    pub(crate) fn forget_reduction(&mut self, una: SeqNum) {
        if self.may_reduce(una) {
            self.reduced = None;
        }
    }

    /// A reduction was taken back.
    pub(crate) fn forget_reductions(&mut self) {
        self.reduced = None;
    }
}
