//! NewReno: RFC 5681 and RFC 6582.

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NewReno {
    /// Bytes acknowledged towards the next step of one segment.
    acknowledged: u32,
}

impl NewReno {
    /// The window after `count` bytes were acknowledged in congestion avoidance.
    pub(super) fn grow(&mut self, window: u32, count: u32, mss: u32) -> u32 {
        self.acknowledged = self.acknowledged.saturating_add(count);
        if self.acknowledged < window {
            return window;
        }
        self.acknowledged -= window;
        window.saturating_add(mss)
    }

    /// The threshold after a loss.
    pub(super) fn reduce(&mut self, in_flight: u32) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //# ssthresh = max (FlightSize / 2, 2*SMSS)
        self.acknowledged = 0;
        in_flight / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p98_new_reno_adds_a_segment_per_window_and_halves() {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= type=test
        //# ssthresh = max (FlightSize / 2, 2*SMSS)
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= type=test
        //# The RECOMMENDED way to increase cwnd during congestion avoidance is to count the number of bytes that have been
        let mut new_reno = NewReno::default();
        let mut window = 10_000;
        for _ in 0..10 {
            window = new_reno.grow(window, 1_000, 1_000);
        }
        assert_eq!(window, 11_000);
        assert_eq!(new_reno.reduce(11_000), 5_500);
    }
}
