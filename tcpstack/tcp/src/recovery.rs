//! Where the sender stands with losses.

use core::time::Duration;

use sluice_packet::SeqNum;

use crate::limits;
use crate::rto::RtoEstimator;

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
    /// The path was seen to reorder.
    pub(crate) reordering: bool,
    /// Grows with spurious retransmissions, RACK.reo_wnd_mult less one.
    pub(crate) patience: u32,
    /// End of the tail-loss probe in flight, and whether it repeated data.
    pub(crate) tail_probe: Option<TailProbe>,
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

    /// How long a segment overtaken by a later one is given to arrive.
    pub(crate) fn reordering_window(&self, sacked_segments: u32, rto: &RtoEstimator) -> Duration {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# If RACK.reordering_seen is FALSE:
        //# If in Fast or RTO recovery:
        //# Return 0
        //# Else if RACK.segs_sacked >= DupThresh:
        //# Return 0
        //# Return min(RACK.reo_wnd_mult * RACK.min_RTT / 4, SRTT)
        if !self.reordering && (self.in_loss() || sacked_segments >= limits::DUPLICATE_ACKS_MAX) {
            return Duration::ZERO;
        }
        let quarter = rto.smallest().unwrap_or_default() / 4;
        (quarter * (1 + self.patience)).min(rto.smoothed().unwrap_or_default())
    }
}
