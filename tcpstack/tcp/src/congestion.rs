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
            //= https://www.rfc-editor.org/rfc/rfc6928#section-2
            //# min (10*MSS, max (2*MSS, 14600))
            window: (limits::INITIAL_WINDOW_SEGMENTS * mss).min((2 * mss).max(14_600)),
            threshold: u32::MAX,
            mss,
            algorithm: match algorithm {
                CongestionAlgorithm::NewReno => Algorithm::NewReno(NewReno::default()),
                CongestionAlgorithm::Cubic => Algorithm::Cubic(Cubic::default()),
            },
        }
    }

    /// Bytes that may be in the network.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// New data was acknowledged, outside of recovery, while the window was what held the sender back.
    pub(crate) fn on_acknowledged(&mut self, count: u32, now: Instant, rtt: Duration) {
        let mut count = count;
        if self.window < self.threshold {
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

    /// A segment was lost; `in_flight` bytes were unacknowledged. Called once per recovery.
    pub(crate) fn on_loss(&mut self, in_flight: u32) {
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
            algorithm.restart();
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
