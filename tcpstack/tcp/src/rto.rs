//! The retransmission timeout (RFC 6298).

use core::time::Duration;

use sluice_packet::Instant;

use crate::config::Config;
use crate::limits;

#[derive(Clone, Copy, Debug)]
pub(crate) struct RtoEstimator {
    /// Microseconds, as everything here; meaningful once `sampled`.
    smoothed: u32,
    variation: u32,
    smallest: RecentMin,
    min: u32,
    max: u32,
    backoff: u8,
    sampled: bool,
    /// The timer ran out over the SYN of a connection that is open now.
    syn_lost: bool,
}

impl RtoEstimator {
    pub(crate) fn new(config: &Config) -> Self {
        let min = micros(config.rto_min);
        Self {
            smoothed: 0,
            variation: 0,
            smallest: RecentMin::default(),
            min,
            max: micros(config.rto_max).max(min),
            backoff: 0,
            sampled: false,
            syn_lost: false,
        }
    }

    /// Takes a round-trip time. The caller never samples a segment that was sent twice (Karn's algorithm).
    pub(crate) fn sample(&mut self, rtt: Duration, now: Instant) {
        self.smallest.take(micros(rtt), now);
        self.smooth(micros(rtt));
    }

    /// Takes the round-trip time of a segment that was sent twice, by the timestamp that says which copy is acknowledged.
    pub(crate) fn sample_by_timestamp(&mut self, rtt: Duration) {
        // The timestamp's clock says nothing below its step: a path of microseconds would seem to take none at all.
        self.smooth(micros(rtt).max(limits::TIMESTAMP_STEP_US));
    }

    fn smooth(&mut self, rtt: u32) {
        if self.sampled {
            //= https://www.rfc-editor.org/rfc/rfc6298#section-2
            //# RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|
            //# SRTT <- (1 - alpha) * SRTT + alpha * R'
            self.variation = weighted(self.variation, 3, self.smoothed.abs_diff(rtt));
            self.smoothed = weighted(self.smoothed, 7, rtt);
        } else {
            //= https://www.rfc-editor.org/rfc/rfc6298#section-2
            //# SRTT <- R
            //# RTTVAR <- R/2
            self.smoothed = rtt;
            self.variation = rtt / 2;
            self.sampled = true;
        }
    }

    /// The timeout, backed off.
    pub(crate) fn timeout(&self) -> Duration {
        // Microseconds: this is asked for with every segment.
        let base = if self.sampled {
            let variation = u64::from(self.variation) * 4;
            u64::from(self.smoothed) + variation.max(limits::RTO_GRANULARITY_MS * 1_000)
        } else if self.syn_lost {
            limits::RTO_AFTER_LOST_SYN_MS * 1_000
        } else {
            limits::RTO_INITIAL_MS * 1_000
        };
        let (min, max) = (u64::from(self.min), u64::from(self.max));
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.5) The host MUST set RTO <- RTO * 2 ("back off the timer").
        let doubled = base.clamp(min, max) << self.backoff.min(limits::BACKOFF_SHIFT_MAX);
        Duration::from_micros(doubled.min(max))
    }

    /// The timer ran out.
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(limits::BACKOFF_SHIFT_MAX);
    }

    /// The connection is open, and data may follow; the timer ran out over its SYN.
    pub(crate) fn after_lost_syn(&mut self) {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.7) If the timer expires awaiting the ACK of a SYN segment and the TCP implementation is using an RTO less than 3
        //# seconds, the RTO MUST be re-initialized to 3 seconds when data transmission begins (i.e., after the three-way
        //# handshake completes).
        // We deviate: a round trip measured since, by the timestamp that tells which SYN was answered, says more.
        self.syn_lost = true;
        self.backoff = 0;
    }

    /// New data was acknowledged: the next timer starts without the doublings.
    pub(crate) fn progress(&mut self) {
        self.backoff = 0;
    }

    /// Timeouts since the last progress.
    pub(crate) fn backoff(&self) -> u8 {
        self.backoff
    }

    /// The timeout is longer than the estimate says.
    pub(crate) fn is_backed_off(&self) -> bool {
        self.backoff > 0
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.sampled
            .then(|| Duration::from_micros(u64::from(self.smoothed)))
    }

    /// The smallest round trip of late, RACK.min_RTT.
    pub(crate) fn smallest(&self) -> Option<Duration> {
        self.smallest
            .value()
            .map(|smallest| Duration::from_micros(u64::from(smallest)))
    }
}

/// The smallest of the values that were taken within the last one or two of [`limits::RTT_MIN_WINDOW_S`].
#[derive(Clone, Copy, Debug)]
struct RecentMin {
    current: u32,
    before: u32,
    /// Second at which `current` was begun.
    since: u32,
}

impl Default for RecentMin {
    fn default() -> Self {
        Self {
            current: u32::MAX,
            before: u32::MAX,
            since: 0,
        }
    }
}

impl RecentMin {
    fn take(&mut self, value: u32, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# The sender SHOULD track a windowed min-filtered estimate of recent RTT measurements that can adapt when migrating
        //# to significantly longer paths rather than tracking a simple global minimum of all RTT measurements.
        let second = u32::try_from(now.micros() / 1_000_000).unwrap_or(u32::MAX);
        let age = second.saturating_sub(self.since);
        if age >= limits::RTT_MIN_WINDOW_S {
            let recent = age < 2 * limits::RTT_MIN_WINDOW_S;
            self.before = if recent { self.current } else { u32::MAX };
            self.current = value;
            self.since = second;
        } else {
            self.current = self.current.min(value);
        }
    }

    fn value(&self) -> Option<u32> {
        let value = self.current.min(self.before);
        (value != u32::MAX).then_some(value)
    }
}

/// What is longer than an hour counts as an hour and some.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The mean of `new` and `weight` times `old`.
fn weighted(old: u32, weight: u64, new: u32) -> u32 {
    let mean = (u64::from(old) * weight + u64::from(new)) / (weight + 1);
    u32::try_from(mean).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimator() -> RtoEstimator {
        RtoEstimator::new(&Config::default())
    }

    #[test]
    fn p88_first_timeout_is_one_second() {
        assert_eq!(estimator().timeout(), Duration::from_secs(1));
    }

    #[test]
    fn p88_samples_smooth_as_rfc_6298_says() {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-2
        //= type=test
        //# RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|
        //= https://www.rfc-editor.org/rfc/rfc6298#section-2
        //= type=test
        //# SRTT <- R
        let mut estimator = estimator();
        let now = Instant::from_secs(1);
        estimator.sample(Duration::from_millis(400), now);
        assert_eq!(estimator.timeout(), Duration::from_millis(400 + 4 * 200));
        estimator.sample(Duration::from_millis(800), now);
        assert_eq!(estimator.smoothed(), Some(Duration::from_millis(450)));
        assert_eq!(estimator.timeout(), Duration::from_millis(450 + 4 * 250));
    }

    #[test]
    fn p88_backoff_doubles_to_the_maximum_and_ends_with_progress() {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //= type=test
        //# (5.5) The host MUST set RTO <- RTO * 2 ("back off the timer").
        let mut estimator = estimator();
        estimator.sample(Duration::from_millis(10), Instant::from_secs(1));
        let first = estimator.timeout();
        assert_eq!(first, Config::default().rto_min);
        estimator.back_off();
        assert_eq!(estimator.timeout(), first * 2);
        estimator.back_off();
        assert_eq!(estimator.timeout(), first * 4);
        for _ in 0..100 {
            estimator.back_off();
        }
        assert_eq!(estimator.timeout(), Config::default().rto_max);
        estimator.progress();
        assert_eq!(estimator.timeout(), first);
    }

    #[test]
    fn p98_the_smallest_round_trip_is_one_of_late() {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //= type=test
        //# The sender SHOULD track a windowed min-filtered estimate of recent RTT measurements that can adapt when migrating
        let mut estimator = estimator();
        let window = u64::from(limits::RTT_MIN_WINDOW_S);
        assert_eq!(estimator.smallest(), None);
        for second in 0..10 {
            estimator.sample(Duration::from_millis(10), Instant::from_secs(second));
        }
        for second in 10..window * 2 {
            estimator.sample(Duration::from_millis(50), Instant::from_secs(second));
            assert_eq!(
                estimator.smallest(),
                Some(Duration::from_millis(10)),
                "{second}"
            );
        }
        for second in window * 2..window * 3 {
            estimator.sample(Duration::from_millis(50), Instant::from_secs(second));
        }
        assert_eq!(estimator.smallest(), Some(Duration::from_millis(50)));
    }

    #[test]
    fn p98_the_smallest_round_trip_before_a_long_silence_is_forgotten() {
        let window = u64::from(limits::RTT_MIN_WINDOW_S);
        for (silence, expected) in [(window, 10), (2 * window - 1, 10), (2 * window, 50)] {
            let mut estimator = estimator();
            for (second, rtt) in [(1_000, 10), (1_000 + silence, 50)] {
                estimator.sample(Duration::from_millis(rtt), Instant::from_secs(second));
            }
            assert_eq!(
                estimator.smallest(),
                Some(Duration::from_millis(expected)),
                "after {silence} s"
            );
        }
    }

    #[test]
    fn p98_a_timestamp_tells_no_smallest_round_trip() {
        let mut estimator = estimator();
        estimator.sample(Duration::from_micros(300), Instant::from_secs(1));
        estimator.sample_by_timestamp(Duration::ZERO);
        assert_eq!(estimator.smallest(), Some(Duration::from_micros(300)));
        assert!(estimator.smoothed() > Some(Duration::from_micros(300)));
    }
}
