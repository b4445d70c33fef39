//! CUBIC: RFC 9438. Windows in segments, times in seconds, as its formulas have them.

use core::time::Duration;

use sluice_packet::Instant;

/// Aggressiveness.
const C: f64 = 0.4;
/// Multiplicative decrease.
const BETA: f64 = 0.7;
/// Additive increase that is as fair to Reno as BETA allows.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Cubic {
    /// Since when the window is not what holds the sender back: what most acknowledgements read.
    paused: Instant,
    /// W_max: the window before the last reduction, or less where it shrinks from one to the next; 0 if the window where
    /// congestion avoidance begins is to be taken for it.
    max: f32,
    /// cwnd_prior: the window when the threshold was set.
    prior: f32,
    /// The current stretch of congestion avoidance.
    epoch: Option<Epoch>,
    /// Window not yet large enough to be a byte.
    fraction: f32,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    /// Seconds until the window is back at `max`.
    k: f32,
    /// What Reno would have.
    reno: f64,
}

impl Default for Cubic {
    fn default() -> Self {
        Self {
            max: 0.0,
            prior: 0.0,
            epoch: None,
            fraction: 0.0,
            paused: Instant::MAX,
        }
    }
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
        let paused = core::mem::replace(&mut self.paused, Instant::MAX);
        let max = &mut self.max;
        let epoch = self.epoch.get_or_insert_with(|| {
            *max = max.max(narrow(current));
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
            //# _K_ is the time period that the above function takes to increase the congestion window size at the beginning of
            //# the current congestion avoidance stage to _W_max_ if there are no further congestion events.
            // After a timeout that is none, as section 4.8 has it.
            Epoch {
                start: now,
                k: narrow(((f64::from(*max) - current).max(0.0) / C).cbrt()),
                reno: current,
            }
        });
        if paused <= now {
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
            //# The elapsed time _t_ in Figure 1 MUST NOT include periods during which _cwnd_ has not been updated due to
            //# application-limited behavior (see Section 5.8).
            epoch.start += now.saturating_since(paused.max(epoch.start));
        }
        let elapsed = now.saturating_since(epoch.start).as_secs_f64();
        let cubic = |t: f64| C * (t - f64::from(epoch.k)).powi(3) + f64::from(self.max);
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //# _W_est_ is set equal to _cwnd_epoch_ at the start of the congestion avoidance stage. After that, on every new
        //# ACK, _W_est_ is updated using Figure 4.
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //# Once _W_est_ has grown to reach the _cwnd_ at the time of most recently setting _ssthresh_ -- that is,
        //# _W_est_ >= _cwnd_prior_ -- the sender SHOULD set α__cubic_ to 1 to ensure that it can achieve the same congestion
        //# window increment rate as Reno, which uses AIMD(1, 0.5).
        let alpha = if epoch.reno >= f64::from(self.prior) {
            1.0
        } else {
            ALPHA
        };
        epoch.reno += alpha * acknowledged / current;
        let grown = if cubic(elapsed) < epoch.reno {
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
            //# If so, CUBIC is in the Reno-friendly region and _cwnd_ SHOULD be set to _W_est_ at each reception of a new ACK.
            epoch.reno.max(current)
        } else {
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.4
            //# In this region, _cwnd_ MUST be incremented by
            //# target - cwnd
            //# ─────────────
            //# cwnd
            //# for each received new ACK
            // Once for each segment of it: an acknowledgement of several stands for those that a peer that delays none
            // would have sent.
            let target = cubic(elapsed + rtt.as_secs_f64()).clamp(current, 1.5 * current);
            current + (target - current) / current * acknowledged
        };
        let bytes = grown * mss_bytes + f64::from(self.fraction);
        self.fraction = narrow(bytes.fract());
        whole(bytes)
    }

    /// The threshold after a loss.
    pub(super) fn reduce(&mut self, window: u32, in_flight: u32, mss: u32) -> u32 {
        let current = narrow(f64::from(window) / f64::from(mss.max(1)));
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.7
        //# With fast convergence, when a congestion event occurs, _W_max_ is updated as follows, before the window reduction
        //# described in Section 4.6.
        self.max = if current < self.max {
            current * narrow((1.0 + BETA) / 2.0)
        } else {
            current
        };
        self.prior = current;
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
        self.paused = Instant::MAX;
    }

    /// The retransmission timer ran out.
    pub(super) fn time_out(&mut self) {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
        //# During the first congestion avoidance stage after a timeout, CUBIC increases its congestion window size using
        //# Figure 1, where _t_ is the elapsed time since the beginning of the current congestion avoidance stage, _K_ is set
        //# to 0, and _W_max_ is set to the congestion window size at the beginning of the current congestion avoidance stage.
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
        //# In addition, for the Reno-friendly region, _W_est_ SHOULD be set to the congestion window size at the beginning
        //# of the current congestion avoidance stage.
        self.max = 0.0;
        self.restart();
    }

    /// The window is not what holds the sender back.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paused = self.paused.min(now);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven digits of a window or a time are kept"
)]
fn narrow(value: f64) -> f32 {
    value as f32
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
        //# _K_ is the time period that the above function takes to increase the congestion window size at the beginning of
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

    #[test]
    fn p98_after_a_timeout_cubic_begins_at_its_plateau() {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
        //= type=test
        //# During the first congestion avoidance stage after a timeout, CUBIC increases its congestion window size using
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
        //= type=test
        //# In addition, for the Reno-friendly region, _W_est_ SHOULD be set to the congestion window size at the beginning
        let rtt = Duration::from_millis(100);
        let begin = Instant::from_secs(1);
        let mut cubic = Cubic::default();
        cubic.reduce(200_000, 200_000, 1_000);
        cubic.time_out();
        round(&mut cubic, 140_000, begin, rtt);
        let epoch = cubic.epoch.expect("it began");
        assert!(epoch.k.abs() < 1e-6 && (cubic.max - 140.0).abs() < 1e-3);
        assert!((140.0..142.0).contains(&epoch.reno), "{}", epoch.reno);
        // Without the timeout the same window has 60 segments to win back.
        let mut lossy = Cubic::default();
        lossy.reduce(200_000, 200_000, 1_000);
        round(&mut lossy, 140_000, begin, rtt);
        assert!(lossy.epoch.expect("it began").k > 5.0);
    }

    #[test]
    fn p98_time_in_which_the_sender_had_nothing_to_send_does_not_count() {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
        //= type=test
        //# The elapsed time _t_ in Figure 1 MUST NOT include periods during which _cwnd_ has not been updated due to
        let rtt = Duration::from_millis(100);
        let grown = |pause: Option<Duration>| {
            let mut cubic = Cubic::default();
            let mut window = cubic.reduce(200_000, 200_000, 1_000);
            let mut now = Instant::from_secs(1);
            for turn in 0..10 {
                if let Some(pause) = pause.filter(|_| turn == 5) {
                    cubic.pause(now);
                    now += pause;
                }
                window = round(&mut cubic, window, now, rtt);
                now += rtt;
            }
            window
        };
        assert_eq!(grown(Some(Duration::from_secs(30))), grown(None));
    }

    #[test]
    fn p98_beyond_its_old_window_the_reno_friendly_region_grows_by_a_segment() {
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //= type=test
        //# Once _W_est_ has grown to reach the _cwnd_ at the time of most recently setting _ssthresh_ -- that is,
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //= type=test
        //# If so, CUBIC is in the Reno-friendly region and _cwnd_ SHOULD be set to _W_est_ at each reception of a new ACK.
        let rtt = Duration::from_millis(1);
        let mut cubic = Cubic::default();
        // Losses at 50 and then at 40 segments: W_max is 34, the window before the last reduction 40.
        cubic.reduce(50_000, 50_000, 1_000);
        let mut window = cubic.reduce(40_000, 40_000, 1_000);
        let mut now = Instant::from_secs(1);
        let mut steps = Vec::new();
        for _ in 0..60 {
            let grown = round(&mut cubic, window, now, rtt);
            steps.push((window, grown - window));
            window = grown;
            now += rtt;
        }
        for (window, step) in steps {
            match window {
                0..39_000 => assert!((450..600).contains(&step), "{step} at {window}"),
                41_000.. => assert!((950..1_100).contains(&step), "{step} at {window}"),
                _ => {}
            }
        }
    }
}
