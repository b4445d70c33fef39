//! What the owner of a connection may choose.

use core::time::Duration;

use crate::limits;

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
    /// Unanswered probes after which the connection is given up.
    pub probes: u32,
}

/// Settings of one connection; the same value is usually shared by all connections of a core.
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

impl Config {
    pub(crate) fn ack_delay(&self) -> Duration {
        self.delayed_ack
            .min(Duration::from_millis(limits::DELAYED_ACK_MS_MAX))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recv_buffer_bytes_max: 1024 * 1024,
            send_buffer_bytes_max: 1024 * 1024,
            congestion: CongestionAlgorithm::Cubic,
            keepalive: None,
            delayed_ack: Duration::from_millis(limits::DELAYED_ACK_MS_MAX),
            // RFC 6298 section 2.4 asks for 1 s but leaves room; 200 ms is what deployed hosts use.
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(60),
            user_timeout: Duration::from_secs(120),
            open_timeout: Duration::from_secs(180),
            time_wait: Duration::from_secs(60),
        }
    }
}
