//! What goes on: sessions, counters, events, drops, cores.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_telemetry::{FallbackReason, SessionSummary, Verdict};

/// Which flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsQuery {
    /// At most this many, and never more than [`crate::limits::SESSIONS_MAX`].
    pub limit: u32,
}

/// The flows tracked now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Flows watched or held now, on all cores.
    pub observed: u64,
    /// Flows taken over now, on all cores.
    pub taken: u64,
    /// As many of them as asked for.
    pub sessions: Vec<SessionSummary>,
}

/// Whether the data plane is in layer-2 fallback: new flows pass without inspection, inspected sessions go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// Why it is on; empty: it is off.
    pub reasons: Vec<FallbackReason>,
}

/// The inspected sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// How many there were.
    pub sessions: u64,
}

/// Every counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The cores, in the order of every row's values.
    pub cores: Vec<u16>,
    /// One row per counter.
    pub counters: Vec<CounterRow>,
}

/// One counter on all cores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRow {
    /// Its stable name.
    pub name: String,
    /// One sentence for people, with the unit.
    pub description: String,
    /// Whether it is set to a present value; if not, it only rises.
    pub gauge: bool,
    /// One value per core.
    pub values: Vec<u64>,
    /// Their sum.
    pub total: u64,
}

/// Why frames were discarded: the same rows as in [`Stats`], those of drops only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// The cores, in the order of every row's values.
    pub cores: Vec<u16>,
    /// One row per reason, named without `drop-`.
    pub reasons: Vec<CounterRow>,
}

/// Which events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// At most this many, the latest; never more than [`crate::limits::EVENTS_MAX`].
    pub limit: u32,
    /// Only of this type: `tls_inspection` or `system`.
    pub event_type: Option<String>,
    /// Only flows with this verdict.
    pub verdict: Option<Verdict>,
    /// Only flows whose server name is this one or ends in `.` and this one.
    pub sni: Option<String>,
}

/// The latest events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// In EVE's shape, oldest first.
    pub events: Vec<Value>,
}

/// Busy and idle time per core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores {
    /// One entry per polling core.
    pub cores: Vec<CoreLoad>,
}

/// What one core did with its time since the data plane's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreLoad {
    /// The core.
    pub core: u16,
    /// In polls that found work, nanoseconds.
    pub busy_ns: u64,
    /// In polls that found none, and asleep, nanoseconds.
    pub idle_ns: u64,
    /// Flows watched or held now.
    pub flows_observed: u64,
    /// Flows taken over now.
    pub flows_taken: u64,
    /// Flows taken over since the start.
    pub sessions_inspected: u64,
    /// The generation it runs under; absent before the first.
    pub generation: Option<u64>,
}
