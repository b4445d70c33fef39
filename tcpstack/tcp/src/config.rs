//! What the owner of a connection may choose.

use core::time::Duration;

use crate::limits;
use crate::sequence::length;

/// The congestion controller of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionAlgorithm {
    /// CUBIC, RFC 9438.
    #[default]
    Cubic,
    /// NewReno, RFC 5681 and RFC 6582.
    NewReno,
}

/// Probing of an idle peer (RFC 9293 section 3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Between probes.
    pub interval: Duration,
    /// Unanswered probes after which the connection is given up; at least one.
    pub probes: u32,
}

/// Settings of one connection; the same value is usually shared by all connections of a core. Times are kept in whole
/// milliseconds, but for those of the retransmission timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Most bytes buffered towards the application, in order and out of order together.
    pub recv_buffer_bytes_max: usize,
    /// Most bytes queued or in flight towards the peer.
    pub send_buffer_bytes_max: usize,
    /// Congestion controller.
    pub congestion: CongestionAlgorithm,
    /// Probing of an idle peer; off by default, as RFC 9293 asks.
    pub keepalive: Option<Keepalive>,
    /// Longest delay of an acknowledgement; values above [`limits::DELAYED_ACK_MS_MAX`] are cut to it.
    pub delayed_ack: Duration,
    /// Smallest retransmission timeout.
    pub rto_min: Duration,
    /// Largest retransmission timeout, and the longest gap between zero-window probes.
    pub rto_max: Duration,
    /// R2 of RFC 9293 section 3.8.3: how long unacknowledged data is retransmitted before the connection is given up.
    pub user_timeout: Duration,
    /// R2 of a connection that is being opened.
    pub open_timeout: Duration,
    /// TIME-WAIT, twice the maximum segment lifetime.
    pub time_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recv_buffer_bytes_max: 1024 * 1024,
            send_buffer_bytes_max: 1024 * 1024,
            congestion: CongestionAlgorithm::Cubic,
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
            //# If keep-alives are included, the application MUST be able to turn them on or off for each TCP connection, and they
            //# MUST default to off.
            keepalive: None,
            delayed_ack: Duration::from_millis(limits::DELAYED_ACK_MS_MAX),
            // RFC 6298 section 2.4 asks for 1 s but leaves room; 200 ms is what deployed hosts use.
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(60),
            user_timeout: Duration::from_secs(120),
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
            //# R2 for a SYN segment MUST be set large enough to provide retransmission of the segment for at least 3 minutes.
            open_timeout: Duration::from_secs(180),
            time_wait: Duration::from_secs(60),
        }
    }
}

/// What a connection keeps of its [`Config`]: first what is asked for with every segment.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Settings {
    /// Zero without keep-alive.
    keepalive_probes: u16,
    ack_delay_ms: u16,
    user_timeout_ms: u32,
    open_timeout_ms: u32,
    time_wait_ms: u32,
    keepalive_idle_ms: u32,
    keepalive_interval_ms: u32,
    pub(crate) recv_buffer_bytes_max: u32,
    pub(crate) congestion: CongestionAlgorithm,
}

impl Settings {
    pub(crate) fn new(config: &Config) -> Self {
        let keepalive = config.keepalive;
        let ack_delay = config
            .delayed_ack
            .min(Duration::from_millis(limits::DELAYED_ACK_MS_MAX));
        Self {
            recv_buffer_bytes_max: length(config.recv_buffer_bytes_max),
            user_timeout_ms: milliseconds(config.user_timeout),
            open_timeout_ms: milliseconds(config.open_timeout),
            time_wait_ms: milliseconds(config.time_wait),
            keepalive_idle_ms: keepalive.map_or(0, |keepalive| milliseconds(keepalive.idle)),
            keepalive_interval_ms: keepalive
                .map_or(0, |keepalive| milliseconds(keepalive.interval)),
            keepalive_probes: keepalive.map_or(0, |keepalive| {
                u16::try_from(keepalive.probes).unwrap_or(u16::MAX).max(1)
            }),
            ack_delay_ms: u16::try_from(ack_delay.as_millis()).unwrap_or(u16::MAX),
            congestion: config.congestion,
        }
    }

    pub(crate) fn keepalive(&self) -> Option<Keepalive> {
        (self.keepalive_probes > 0).then(|| Keepalive {
            idle: duration(self.keepalive_idle_ms),
            interval: duration(self.keepalive_interval_ms),
            probes: u32::from(self.keepalive_probes),
        })
    }

    pub(crate) fn ack_delay(&self) -> Duration {
        duration(u32::from(self.ack_delay_ms))
    }

    pub(crate) fn user_timeout(&self) -> Duration {
        duration(self.user_timeout_ms)
    }

    pub(crate) fn open_timeout(&self) -> Duration {
        duration(self.open_timeout_ms)
    }

    pub(crate) fn time_wait(&self) -> Duration {
        duration(self.time_wait_ms)
    }
}

fn duration(milliseconds: u32) -> Duration {
    Duration::from_millis(u64::from(milliseconds))
}

/// Rounded up; what is longer than 49 days is cut to that.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX)
}
