//! The congestion window.

mod cubic;
mod new_reno;

use core::time::Duration;

use sluice_packet::Instant;

use crate::config::CongestionAlgorithm;
use crate::limits;
use cubic::Cubic;
use new_reno::NewReno;

/// Window and threshold, in bytes, and the algorithm that grows the one beyond the other.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Congestion {
    window: u32,
    threshold: u32,
    mss: u32,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    NewReno(NewReno),
    Cubic(Cubic),
}

impl Congestion {
    pub(crate) fn new(algorithm: CongestionAlgorithm, mss: u32) -> Self {
        Self {
            window: initial_window(mss),
            threshold: u32::MAX,
            mss,
            algorithm: match algorithm {
                CongestionAlgorithm::NewReno => Algorithm::NewReno(NewReno::default()),
                CongestionAlgorithm::Cubic => Algorithm::Cubic(Cubic::default()),
            },
        }
    }

    /// The same where the SYN or SYN-ACK was lost.
    pub(crate) fn after_lost_syn(algorithm: CongestionAlgorithm, mss: u32) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //# Further, if the SYN or SYN/ACK is lost, the initial window used by a sender after a correctly transmitted SYN MUST
        //# be one segment consisting of at most SMSS bytes.
        Self {
            window: mss,
            ..Self::new(algorithm, mss)
        }
    }

    /// Bytes that may be in the network.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// New data was acknowledged, outside of fast recovery, while the window was what held the sender back. `repairing` what a
    /// timeout found lost.
    pub(crate) fn on_acknowledged(
        &mut self,
        count: u32,
        now: Instant,
        rtt: Duration,
        repairing: bool,
    ) {
        let mut count = count;
        if self.window < self.threshold {
            let segments = if repairing {
                // What is acknowledged here mostly arrived long ago, and an acknowledgement of it lets nothing out.
                //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
                //# cwnd += min (N, SMSS)                      (2)
                1
            } else {
                // The clause is of HyStart++, which leaves slow start by delay as well. Of that this sender has only the
                // bound: peers acknowledge many segments at once, and one each would open the window at a fraction of the
                // pace that RFC 5681 means; it loses what overflows at the end of slow start either way.
                //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
                //# L = infinity if paced, L = 8 if non-paced
                limits::SLOW_START_SEGMENTS_PER_ACK_MAX
            };
            count = count.min(segments.saturating_mul(self.mss));
            let slow_start = count.min(self.threshold - self.window);
            self.window = self
                .window
                .saturating_add(slow_start)
                .min(limits::WINDOW_BYTES_MAX);
            count -= slow_start;
        }
        if count == 0 {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //# The RECOMMENDED way to increase cwnd during congestion avoidance is to count the number of bytes that have been
        //# acknowledged by ACKs for new data.
        self.window = match &mut self.algorithm {
            Algorithm::NewReno(algorithm) => algorithm.grow(self.window, count, self.mss),
            Algorithm::Cubic(algorithm) => algorithm.grow(self.window, count, self.mss, now, rtt),
        }
        .min(limits::WINDOW_BYTES_MAX);
    }

    /// New data was acknowledged while something else than the window held the sender back.
    pub(crate) fn on_unlimited(&mut self, now: Instant) {
        if let Algorithm::Cubic(algorithm) = &mut self.algorithm {
            algorithm.pause(now);
        }
    }

    /// A reduction was for nothing: the window grows back to what it was `before` in slow start, from no less than it is now.
    /// `in_network` bytes are there, and `acknowledged` were when this was found out.
    pub(crate) fn restore(&mut self, before: &Self, in_network: u32, acknowledged: u32) {
        //= https://www.rfc-editor.org/rfc/rfc4015#section-3.2
        //# cwnd <- FlightSize + min (bytes_acked, IW)
        //# ssthresh <- pipe_prev
        // What left the network without an acknowledgement in order is not counted into FlightSize, for it lets nothing out.
        let window = in_network.saturating_add(acknowledged.min(initial_window(self.mss)));
        *self = Self {
            window: window.min(before.window).max(self.window),
            threshold: before.threshold.max(before.window),
            mss: self.mss,
            ..*before
        };
    }

    /// A segment was lost; `in_flight` bytes were unacknowledged. Called once per recovery.
    pub(crate) fn on_loss(&mut self, in_flight: u32) {
        // While a hole is repaired, what is held behind it counts as unacknowledged and new text goes out for it: several windows
        // may be. A threshold of that would let a lossy path's window grow from one loss to the next.
        let in_flight = in_flight.min(self.window);
        self.threshold = match &mut self.algorithm {
            Algorithm::NewReno(algorithm) => algorithm.reduce(in_flight),
            Algorithm::Cubic(algorithm) => algorithm.reduce(self.window, in_flight, self.mss),
        }
        .max(2 * self.mss);
        self.window = self.threshold;
    }

    /// The retransmission timer ran out; `first` unless it already had for the same data.
    pub(crate) fn on_timeout(&mut self, in_flight: u32, first: bool) {
        if first {
            self.on_loss(in_flight);
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //# Furthermore, upon a timeout (as specified in [RFC2988]) cwnd MUST be set to no more than the loss window, LW,
        //# which equals 1 full-sized segment (regardless of the value of IW).
        self.window = self.mss;
        if let Algorithm::Cubic(algorithm) = &mut self.algorithm {
            algorithm.time_out();
        }
    }

    /// Nothing was sent for longer than a retransmission timeout.
    pub(crate) fn on_idle(&mut self) {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
        //# a TCP SHOULD set cwnd to no more than RW before beginning transmission if the TCP has not sent data in an interval
        //# exceeding the retransmission timeout.
        self.window = self.window.min(limits::INITIAL_WINDOW_SEGMENTS * self.mss);
        if let Algorithm::Cubic(algorithm) = &mut self.algorithm {
            algorithm.restart();
        }
    }

    /// Full-sized segments carry `mss` bytes from now on.
    pub(crate) fn set_mss(&mut self, mss: u32) {
        self.mss = mss;
        self.window = self.window.max(mss);
    }
}

/// IW, in bytes.
fn initial_window(mss: u32) -> u32 {
    //= https://www.rfc-editor.org/rfc/rfc6928#section-2
    //# min (10*MSS, max (2*MSS, 14600))
    (limits::INITIAL_WINDOW_SEGMENTS * mss).min((2 * mss).max(14_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p88_one_acknowledgement_widens_the_window_by_a_bounded_number_of_segments() {
        //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
        //= type=test
        //# L = infinity if paced, L = 8 if non-paced
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= type=test
        //# cwnd += min (N, SMSS)                      (2)
        let (now, rtt) = (Instant::from_secs(1), Duration::from_millis(50));
        let mut congestion = Congestion::new(CongestionAlgorithm::Cubic, 1_000);
        for (count, repairing, expected) in [
            (3_000, false, 13_000),
            (100, false, 13_100),
            (100_000, false, 21_100),
            (5_000, true, 22_100),
            (100, true, 22_200),
        ] {
            congestion.on_acknowledged(count, now, rtt, repairing);
            assert_eq!(congestion.window(), expected);
        }
    }

    #[test]
    fn p98_a_loss_never_widens_the_window_however_much_is_held_behind_a_hole() {
        for (algorithm, expected) in [
            (CongestionAlgorithm::Cubic, [7_000, 4_900, 3_430]),
            (CongestionAlgorithm::NewReno, [5_000, 2_500, 2_000]),
        ] {
            let mut congestion = Congestion::new(algorithm, 1_000);
            for window in expected {
                congestion.on_loss(30_000);
                assert_eq!(congestion.window(), window);
            }
        }
    }

    #[test]
    fn p98_a_window_is_restored_without_a_burst_and_never_shrinks() {
        //= https://www.rfc-editor.org/rfc/rfc4015#section-3.2
        //= type=test
        //# cwnd <- FlightSize + min (bytes_acked, IW)
        //# ssthresh <- pipe_prev
        let initial = Congestion::new(CongestionAlgorithm::Cubic, 1_000);
        let before = Congestion {
            window: 100_000,
            threshold: 80_000,
            ..initial
        };
        for (in_network, acknowledged, expected) in [
            (0, 0, 1_000),
            (0, 3_000, 3_000),
            (0, 90_000, 10_000),
            (20_000, 90_000, 30_000),
            (99_000, 90_000, 100_000),
        ] {
            let mut congestion = before;
            congestion.on_timeout(100_000, true);
            assert_eq!((congestion.window(), congestion.threshold), (1_000, 70_000));
            congestion.restore(&before, in_network, acknowledged);
            assert_eq!(
                (congestion.window(), congestion.threshold),
                (expected, 100_000)
            );
        }
        let mut congestion = before;
        congestion.restore(&initial, 0, 0);
        assert_eq!(
            (congestion.window(), congestion.threshold),
            (100_000, u32::MAX)
        );
    }
}
