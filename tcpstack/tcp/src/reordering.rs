//! How long a segment that was overtaken is given to arrive (RFC 8985 section 6.2 step 4).

use core::time::Duration;

use sluice_packet::SeqNum;

use crate::limits;
use crate::rto::RtoEstimator;

/// What is known of reordering on the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reordering {
    /// RACK.reordering_seen.
    seen: bool,
    /// RACK.reo_wnd_mult.
    steps: u8,
    /// RACK.reo_wnd_persist.
    recoveries: u8,
    /// RACK.dsack_round: duplicates count once until everything before it is acknowledged.
    round: Option<SeqNum>,
}

impl Default for Reordering {
    fn default() -> Self {
        Self {
            seen: false,
            steps: 1,
            recoveries: limits::REORDERING_RECOVERIES,
            round: None,
        }
    }
}

impl Reordering {
    /// No duplicate was counted of which the round is not over.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.round.is_none()
    }

    /// An original arrived after one that was sent later.
    pub(crate) fn note_seen(&mut self) {
        self.seen = true;
    }

    /// Takes what an acknowledgement says: whether it reports a `duplicate`, and whether it ends a recovery.
    pub(crate) fn on_acknowledgement(
        &mut self,
        una: SeqNum,
        next: SeqNum,
        duplicate: bool,
        recovered: bool,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# If RACK.dsack_round is not None AND
        //# SND.UNA >= RACK.dsack_round:
        //# RACK.dsack_round = None
        self.round = self.round.filter(|round| una.lt(*round));
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# If RACK.dsack_round is None AND
        //# any DSACK option is present on latest received ACK:
        //# RACK.dsack_round = SND.NXT
        //# RACK.reo_wnd_mult += 1
        //# RACK.reo_wnd_persist = 16
        //# Else if exiting Fast or RTO recovery:
        //# RACK.reo_wnd_persist -= 1
        //# If RACK.reo_wnd_persist <= 0:
        //# RACK.reo_wnd_mult = 1
        if duplicate && self.round.is_none() {
            self.round = Some(next);
            self.steps = (self.steps + 1).min(limits::REORDERING_STEPS_MAX);
            self.recoveries = limits::REORDERING_RECOVERIES;
        } else if recovered {
            self.recoveries = self.recoveries.saturating_sub(1);
            if self.recoveries == 0 {
                self.steps = 1;
            }
        }
    }

    /// RACK.reo_wnd. `recovering` while losses are repaired; `sacked_segments` are held by the peer ahead of a gap.
    pub(crate) fn window(
        &self,
        recovering: bool,
        sacked_segments: u32,
        rto: &RtoEstimator,
    ) -> Duration {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# If RACK.reordering_seen is FALSE:
        //# If in Fast or RTO recovery:
        //# Return 0
        //# Else if RACK.segs_sacked >= DupThresh:
        //# Return 0
        //# Return min(RACK.reo_wnd_mult * RACK.min_RTT / 4, SRTT)
        if !self.seen && (recovering || sacked_segments >= limits::DUPLICATE_ACKS_MAX) {
            return Duration::ZERO;
        }
        let quarter = rto.smallest().unwrap_or_default() / 4;
        (quarter * u32::from(self.steps)).min(rto.smoothed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use sluice_packet::Instant;

    use super::*;
    use crate::config::Config;

    /// The window over a path of 40 ms.
    fn window(reordering: &Reordering) -> u128 {
        let mut rto = RtoEstimator::new(&Config::default());
        rto.sample(Duration::from_millis(40), Instant::from_secs(1));
        reordering.window(true, 0, &rto).as_millis()
    }

    #[test]
    fn p98_the_reordering_window_grows_once_a_round_trip_and_never_beyond_one() {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //= type=test
        //# If RACK.dsack_round is not None AND
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //= type=test
        //# If RACK.dsack_round is None AND
        let mut reordering = Reordering::default();
        assert_eq!(window(&reordering), 0, "nothing was reordered yet");
        reordering.note_seen();
        assert_eq!(window(&reordering), 10);
        for (una, next, expected) in [(0, 100, 20), (50, 150, 20), (99, 200, 20), (100, 200, 30)] {
            reordering.on_acknowledgement(SeqNum(una), SeqNum(next), true, false);
            assert_eq!(window(&reordering), expected, "{una}");
        }
        for round in 2..200 {
            reordering.on_acknowledgement(
                SeqNum(round * 100),
                SeqNum(round * 100 + 100),
                true,
                false,
            );
        }
        assert_eq!(window(&reordering), 40);
    }

    #[test]
    fn p98_sixteen_recoveries_without_duplicates_narrow_the_reordering_window() {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //= type=test
        //# If RACK.dsack_round is None AND
        let mut reordering = Reordering::default();
        reordering.note_seen();
        let (una, next) = (SeqNum(0), SeqNum(0));
        reordering.on_acknowledgement(una, next, true, false);
        for _ in 0..15 {
            reordering.on_acknowledgement(una, next, false, true);
            reordering.on_acknowledgement(una, next, false, false);
            assert_eq!(window(&reordering), 20);
        }
        reordering.on_acknowledgement(una, next, false, true);
        assert_eq!(window(&reordering), 10);
    }
}
