//! CUBIC: RFC 9438. Windows in segments, times in seconds, as its formulas have them.

use core::time::Duration;

use sluice_packet::Instant;

/// Aggressiveness.
const C: f64 = 0.4;
/// Multiplicative decrease.
const BETA: f64 = 0.7;
/// Additive increase that is as fair to Reno as BETA allows.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cubic {
    /// Window before the last reduction.
    max: f64,
    /// The current stretch of congestion avoidance.
    epoch: Option<Epoch>,
    /// Window not yet large enough to be a byte.
    fraction: f64,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    /// Seconds until the window is back at `max`.
    k: f64,
    /// What Reno would have.
    reno: f64,
}

impl Cubic {
    /// The window after `count` bytes were acknowledged in congestion avoidance.
    pub(super) fn grow(
        &mut self,
        window: u32,
        count: u32,
        mss: u32,
        now: Instant,
        rtt: Duration,
    ) -> u32 {
        let mss_bytes = f64::from(mss.max(1));
        let current = f64::from(window) / mss_bytes;
        let acknowledged = f64::from(count) / mss_bytes;
        let max = &mut self.max;
        let epoch = self.epoch.get_or_insert_with(|| {
            if *max < current {
                *max = current;
            }
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
            //# _K_ is the time period that the above function takes to increase the congestion window size at the beginning
            //# of the current congestion avoidance stage to _W_max_ if there are no further congestion events.
            Epoch {
                start: now,
                k: ((*max - current) / C).cbrt(),
                reno: current,
            }
        });
        let elapsed = now.saturating_since(epoch.start).as_secs_f64();
        let cubic = |t: f64| C * (t - epoch.k).powi(3) + self.max;
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //# _W_est_ is set equal to _cwnd_epoch_ at the start of the congestion avoidance stage. After that, on every new
        //# ACK, _W_est_ is updated using Figure 4.
        let alpha = if epoch.reno >= self.max { 1.0 } else { ALPHA };
        epoch.reno += alpha * acknowledged / current;
        let grown = if cubic(elapsed) < epoch.reno {
            epoch.reno.max(current)
        } else {
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.4
            //# In this region, _cwnd_ MUST be incremented by
            //# target - cwnd
            //# ─────────────
            //# cwnd
            //# for each received new ACK
            let target = cubic(elapsed + rtt.as_secs_f64()).clamp(current, 1.5 * current);
            current + (target - current) / current * acknowledged
        };
        let bytes = grown * mss_bytes + self.fraction;
        self.fraction = bytes.fract();
        whole(bytes)
    }

    /// The threshold after a loss.
    pub(super) fn reduce(&mut self, window: u32, in_flight: u32, mss: u32) -> u32 {
        let current = f64::from(window) / f64::from(mss.max(1));
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.7
        //# With fast convergence, when a congestion event occurs, _W_max_ is updated as follows, before the window reduction
        //# described in Section 4.6.
        self.max = if current < self.max {
            current * (1.0 + BETA) / 2.0
        } else {
            current
        };
        self.restart();
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
        //# ssthresh =  flight_size * β      new  ssthresh
        //# cubic
        whole(f64::from(in_flight) * BETA)
    }

    /// Starts a new epoch at the next acknowledgement.
    pub(super) fn restart(&mut self) {
        self.epoch = None;
        self.fraction = 0.0;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and the values are positive"
)]
fn whole(bytes: f64) -> u32 {
    bytes as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One round trip of full windows acknowledged.
    fn round(cubic: &mut Cubic, window: u32, now: Instant, rtt: Duration) -> u32 {
        let mut grown = window;
        for _ in 0..window / 1_000 {
            grown = cubic.grow(grown, 1_000, 1_000, now, rtt);
        }
        grown
    }

    #[test]
    fn p98_cubic_returns_to_its_old_window_in_k_and_then_probes_beyond() {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
        //= type=test
        //# _K_ is the time period that the above function takes to increase the congestion window size at the beginning
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.4
        //= type=test
        //# In this region, _cwnd_ MUST be incremented by
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
        //= type=test
        //# ssthresh =  flight_size * β      new  ssthresh
        let mut cubic = Cubic::default();
        let rtt = Duration::from_millis(100);
        let before = 200_000;
        let mut window = cubic.reduce(before, before, 1_000);
        assert_eq!(window, 140_000);
        // K = cbrt(200 * 0.3 / 0.4) = 5.3 s.
        let mut now = Instant::from_secs(1);
        let mut reached = None;
        for turn in 0..100_u32 {
            window = round(&mut cubic, window, now, rtt);
            if window >= before && reached.is_none() {
                reached = Some(turn);
            }
            now += rtt;
        }
        let reached = reached.expect("the window comes back");
        assert!(
            (40..=56).contains(&reached),
            "back after {reached} round trips"
        );
        assert!(window > before, "then grows beyond");
    }

    #[test]
    fn p98_cubic_gives_way_faster_when_losses_come_early() {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.7
        //= type=test
        //# With fast convergence, when a congestion event occurs, _W_max_ is updated as follows, before the window reduction
        let mut cubic = Cubic::default();
        cubic.reduce(200_000, 200_000, 1_000);
        cubic.reduce(100_000, 100_000, 1_000);
        assert!(cubic.max < 100.0, "{}", cubic.max);
    }

    #[test]
    fn p98_cubic_is_no_slower_than_reno_where_round_trips_are_short() {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //= type=test
        //# _W_est_ is set equal to _cwnd_epoch_ at the start of the congestion avoidance stage. After that, on every new
        let mut cubic = Cubic::default();
        let rtt = Duration::from_millis(2);
        let mut window = cubic.reduce(100_000, 100_000, 1_000);
        let mut now = Instant::from_secs(1);
        for _ in 0..60 {
            window = round(&mut cubic, window, now, rtt);
            now += rtt;
        }
        // The cubic alone would be at 72 segments: it takes 4 s. Reno's share grows by half a segment per round trip.
        assert!((95_000..115_000).contains(&window), "{window}");
    }
}
