//! The last events in memory, for `show log`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::limits::{RECENT_BYTES_MAX, RECENT_EVENTS_MAX};

/// The last events, bounded in number and bytes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    events: Mutex<Events>,
}

#[derive(Debug, Default)]
struct Events {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Recent {
    /// Adds one rendered event; the oldest make room.
    pub(crate) fn push(&self, line: String) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.bytes += line.len();
        events.lines.push_back(line);
        while events.lines.len() > RECENT_EVENTS_MAX || events.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = events.lines.pop_front() else {
                break;
            };
            events.bytes -= oldest.len();
        }
    }

    /// The last `limit` events that `wanted` takes, oldest first.
    pub(crate) fn last(&self, limit: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines: Vec<String> = {
            let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.lines.iter().rev().cloned().collect()
        };
        let parsed = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut found: Vec<Value> = parsed.filter(wanted).take(limit).collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_oldest_events_make_room() {
        let recent = Recent::default();
        for number in 0..RECENT_EVENTS_MAX + 5 {
            recent.push(json!({ "number": number }).to_string());
        }
        let all = recent.last(usize::MAX, |_| true);
        assert_eq!(all.len(), RECENT_EVENTS_MAX);
        assert_eq!(all[0]["number"], 5);
    }

    #[test]
    fn large_events_are_bounded_in_bytes() {
        let recent = Recent::default();
        let large = json!({ "text": "x".repeat(1 << 20) }).to_string();
        for _ in 0..40 {
            recent.push(large.clone());
        }
        assert_eq!(recent.last(usize::MAX, |_| true).len(), 15);
    }

    #[test]
    fn the_last_that_are_wanted_come_in_order() {
        let recent = Recent::default();
        for number in 0..10 {
            recent.push(json!({ "number": number, "even": number % 2 == 0 }).to_string());
        }
        let even = recent.last(2, |event| event["even"] == true);
        assert_eq!(
            even,
            [
                json!({ "number": 6, "even": true }),
                json!({ "number": 8, "even": true })
            ]
        );
    }
}
