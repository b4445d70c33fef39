//! The appliance's event log.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::InteropError;
use crate::process::until;

/// One event of type `tls_inspection`.
#[derive(Clone, Debug)]
pub struct Event(pub Value);

impl Event {
    /// A field of `tls_inspection` as text; numbers and absent fields read as their JSON.
    #[must_use]
    pub fn field(&self, path: &str) -> String {
        match self.0.pointer(&format!("/tls_inspection/{path}")) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "absent".to_owned(),
        }
    }

    /// `inspect`, `bypass` or `block`.
    #[must_use]
    pub fn verdict(&self) -> String {
        self.field("verdict")
    }

    /// Name of the decision code.
    #[must_use]
    pub fn reason(&self) -> String {
        self.field("reason")
    }

    /// The client's port.
    #[must_use]
    pub fn client_port(&self) -> Option<u64> {
        self.0.get("src_port").and_then(Value::as_u64)
    }
}

/// Every whole inspection event of the log behind its first `skipped` bytes.
pub(crate) fn read(log: &Path, skipped: u64) -> Vec<Event> {
    read_type(log, skipped, "tls_inspection")
        .map(Event)
        .collect()
}

/// Every whole event of the appliance itself, of this name, behind the log's first `skipped` bytes.
pub(crate) fn read_system(log: &Path, skipped: u64, name: &str) -> Vec<Value> {
    read_type(log, skipped, "system")
        .filter(|event| event.pointer("/system/event").and_then(Value::as_str) == Some(name))
        .collect()
}

fn read_type(log: &Path, skipped: u64, kind: &str) -> impl Iterator<Item = Value> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
    let text = String::from_utf8_lossy(bytes.get(skipped..).unwrap_or_default());
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event.get("event_type").and_then(Value::as_str) == Some(kind))
        .collect();
    events.into_iter()
}

/// The last event of the flow from this client port.
pub(crate) fn wait_for(
    log: &Path,
    skipped: u64,
    port: u16,
    limit: Duration,
) -> Result<Event, InteropError> {
    let mut found = None;
    until(limit, || {
        found = read(log, skipped)
            .into_iter()
            .rfind(|event| event.client_port() == Some(u64::from(port)));
        found.is_some()
    });
    found.ok_or_else(|| {
        let last = read(log, skipped)
            .pop()
            .map_or_else(|| "none".to_owned(), |event| event.0.to_string());
        InteropError::Event { port, limit, last }
    })
}
