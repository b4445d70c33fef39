//! What a run counted.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::http::ReadError;
use crate::limits::{EXAMPLES_MAX, LATENCY_US_MAX};

/// Why one connection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The TCP connection was not made.
    #[error("connect: {0}")]
    Connect(std::io::Error),
    /// The peer reset, ended or let time run out during the handshake.
    #[error("handshake: {0}")]
    Handshake(std::io::Error),
    /// TLS itself refused: an alert, or a certificate that does not verify.
    #[error("tls: {0}")]
    Tls(String),
    /// A request or response broke off.
    #[error("exchange: {0}")]
    Exchange(ReadError),
    /// A status other than success.
    #[error("status {0}")]
    Status(String),
}

impl Failure {
    /// Tells TLS errors, which rustls wraps, from those of the socket.
    pub(crate) fn handshake(error: std::io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(inner) => Self::Tls(inner.to_string()),
            None => Self::Handshake(error),
        }
    }

    /// A request that could not be sent.
    pub(crate) fn request(error: std::io::Error) -> Self {
        Self::Exchange(ReadError::Io(error))
    }

    /// A response that could not be read.
    pub(crate) fn response(error: ReadError) -> Self {
        Self::Exchange(error)
    }

    /// A short stable name to count by.
    fn name(&self) -> String {
        match self {
            Self::Connect(error) => format!("connect-{}", kind(error)),
            Self::Handshake(error) => format!("handshake-{}", kind(error)),
            Self::Tls(_) => "tls".to_owned(),
            Self::Exchange(ReadError::Io(error)) => format!("exchange-{}", kind(error)),
            Self::Exchange(ReadError::Malformed) => "exchange-malformed".to_owned(),
            Self::Exchange(_) => "exchange-truncated".to_owned(),
            Self::Status(_) => "status".to_owned(),
        }
    }
}

fn kind(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionReset => "reset",
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timeout",
        ErrorKind::UnexpectedEof => "ended",
        ErrorKind::BrokenPipe => "broken-pipe",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable",
        _ => "other",
    }
}

/// The parts of a connection that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// TCP handshake.
    Connect,
    /// From the ClientHello to the end of the TLS handshake as the client sees it.
    Handshake,
    /// First request to the last byte of its response.
    FirstRequest,
    /// The same for each later request.
    Request,
}

impl Phase {
    const ALL: [Self; 4] = [
        Self::Connect,
        Self::Handshake,
        Self::FirstRequest,
        Self::Request,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::FirstRequest => "first_request",
            Self::Request => "request",
        }
    }
}

/// Counts of one thread, or of all.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) requests: u64,
    pub(crate) body_bytes: u64,
    errors: BTreeMap<String, u64>,
    examples: Vec<String>,
    negotiated: BTreeMap<String, u64>,
    latencies: BTreeMap<Phase, Histogram<u64>>,
}

impl Tally {
    /// All zero.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One latency.
    pub(crate) fn record(&mut self, phase: Phase, latency: Duration) {
        let micros = u64::try_from(latency.as_micros())
            .unwrap_or(u64::MAX)
            .clamp(1, LATENCY_US_MAX);
        let histogram = match self.latencies.entry(phase) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                match Histogram::new_with_max(LATENCY_US_MAX, 3) {
                    Ok(histogram) => entry.insert(histogram),
                    Err(_) => return,
                }
            }
        };
        histogram.saturating_record(micros);
    }

    /// What a handshake agreed on.
    pub(crate) fn negotiated(&mut self, facts: &str) {
        *self.negotiated.entry(facts.to_owned()).or_default() += 1;
    }

    /// One failed connection.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.failed += 1;
        *self.errors.entry(failure.name()).or_default() += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(failure.to_string());
        }
    }

    /// Adds another thread's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.requests += other.requests;
        self.body_bytes += other.body_bytes;
        for (name, count) in &other.errors {
            *self.errors.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &other.negotiated {
            *self.negotiated.entry(name.clone()).or_default() += count;
        }
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples
            .extend(other.examples.iter().take(room).cloned());
        for (phase, histogram) in &other.latencies {
            match self.latencies.get_mut(phase) {
                // Both have the same range.
                Some(mine) => drop(mine.add(histogram)),
                None => drop(self.latencies.insert(*phase, histogram.clone())),
            }
        }
    }
}

/// The JSON object a run prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    connections: Connections,
    requests: u64,
    body_bytes: u64,
    elapsed_us: u64,
    connections_per_second: f64,
    requests_per_second: f64,
    body_mbit_per_second: f64,
    errors: BTreeMap<String, u64>,
    examples: Vec<String>,
    negotiated: BTreeMap<String, u64>,
    latency_us: BTreeMap<&'static str, Latency>,
}

#[derive(Debug, Serialize)]
struct Connections {
    wanted: u64,
    completed: u64,
    failed: u64,
}

/// Percentiles, microseconds.
#[derive(Debug, Serialize)]
struct Latency {
    count: u64,
    min: u64,
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Report {
    /// From the counts of all threads.
    pub(crate) fn new(wanted: u64, elapsed: Duration, total: &Tally) -> Self {
        let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let mut latency_us = BTreeMap::new();
        for phase in Phase::ALL {
            if let Some(histogram) = total.latencies.get(&phase) {
                latency_us.insert(phase.name(), Latency::new(histogram));
            }
        }
        Self {
            connections: Connections {
                wanted,
                completed: total.completed,
                failed: total.failed,
            },
            requests: total.requests,
            body_bytes: total.body_bytes,
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            connections_per_second: per(total.completed, seconds),
            requests_per_second: per(total.requests, seconds),
            body_mbit_per_second: per(total.body_bytes, seconds) * 8.0 / 1e6,
            errors: total.errors.clone(),
            examples: total.examples.clone(),
            negotiated: total.negotiated.clone(),
            latency_us,
        }
    }

    /// Connections that did not do all they should, those never begun included.
    pub(crate) fn failed(&self) -> u64 {
        self.connections
            .wanted
            .saturating_sub(self.connections.completed)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with a few digits"
)]
fn per(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

impl Latency {
    fn new(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}
