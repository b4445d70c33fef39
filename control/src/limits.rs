//! Every bound of the control-plane process, with its unit.

use std::time::Duration;

/// Events kept in memory for `show log`.
pub(crate) const RECENT_EVENTS_MAX: usize = 10_000;
/// Bytes of events kept in memory for `show log`.
pub(crate) const RECENT_BYTES_MAX: usize = 16 << 20;

/// How often the rings and the acknowledgements are read.
pub(crate) const PUMP_INTERVAL: Duration = Duration::from_millis(20);
/// Events taken from one ring before the next one's turn.
pub(crate) const PUMP_BATCH_EVENTS_MAX: usize = 1_000;

/// How long a core may go without a heartbeat before that is a problem.
pub(crate) const CORE_SILENT_MAX: Duration = Duration::from_secs(2);

/// Management connections served at once.
pub(crate) const API_CONNECTIONS_MAX: usize = 32;

/// How long the data plane has to answer a question.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a waiting thread looks whether the process stops.
pub(crate) const STOP_POLL: Duration = Duration::from_millis(200);
/// How long a new connection from the data plane has for its first message.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// A certificate that ends within this time is listed as expiring soon, seconds: 30 days.
pub(crate) const EXPIRES_SOON_S: u64 = 30 * 24 * 3600;
/// How often certificates in use are looked at for their expiry.
pub(crate) const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_secs(3600);
