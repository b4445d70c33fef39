//! What goes on: sessions, counters, events, drops, cores.

use std::sync::Arc;

use serde_json::Value;
use sluice_api::limits::{EVENTS_MAX, SESSIONS_MAX};
use sluice_api::{
    ApiError, CoreLoad, Cores, CounterRow, Drops, ErrorCode, Log, LogQuery, Reply, Sessions,
    SessionsQuery, Stats,
};
use sluice_shm::StatsView;
use sluice_shm::link::{ControlLink, Query, ReplyBody};
use sluice_telemetry::{Counter, CounterKind};

use crate::limits::QUERY_TIMEOUT;
use crate::process::Daemon;

impl Daemon {
    pub(crate) fn sessions(&self, query: SessionsQuery) -> Result<Reply, ApiError> {
        let (link, stats) = self.running()?;
        let limit = query
            .limit
            .min(u32::try_from(SESSIONS_MAX).unwrap_or(u32::MAX));
        let answer = self
            .dataplane
            .queries
            .ask(&link, Query::Sessions { limit }, QUERY_TIMEOUT);
        let sessions = match answer {
            Ok(ReplyBody::Sessions { sessions }) => sessions,
            Ok(ReplyBody::Failed { reason }) => return Err(no_dataplane(reason)),
            Ok(_) => {
                return Err(no_dataplane(
                    "the data plane's answer is not one to this question".to_owned(),
                ));
            }
            Err(error) => return Err(no_dataplane(error.to_string())),
        };
        Ok(Reply::Sessions(Sessions {
            observed: stats.total(Counter::FlowsObserved),
            taken: stats.total(Counter::FlowsTaken),
            sessions,
        }))
    }

    pub(crate) fn stats(&self) -> Result<Reply, ApiError> {
        let (_, stats) = self.running()?;
        let counters = Counter::ALL
            .into_iter()
            .map(|counter| row(&stats, counter, counter.name()))
            .collect();
        Ok(Reply::Stats(Stats {
            cores: cores(&stats),
            counters,
        }))
    }

    pub(crate) fn drops(&self) -> Result<Reply, ApiError> {
        let (_, stats) = self.running()?;
        let reasons = Counter::ALL
            .into_iter()
            .filter_map(|counter| match counter {
                Counter::Drop(reason) => Some(row(&stats, counter, reason.name())),
                _ => None,
            })
            .collect();
        Ok(Reply::Drops(Drops {
            cores: cores(&stats),
            reasons,
        }))
    }

    pub(crate) fn cores(&self) -> Result<Reply, ApiError> {
        let (_, stats) = self.running()?;
        let cores = stats
            .cores()
            .map(|view| {
                let state = view.state();
                CoreLoad {
                    core: state.core,
                    busy_ns: state.busy_ns,
                    idle_ns: state.idle_ns,
                    flows_observed: view.counter(Counter::FlowsObserved),
                    flows_taken: view.counter(Counter::FlowsTaken),
                    sessions_inspected: view.counter(Counter::SessionsInspected),
                    generation: state.adopted,
                }
            })
            .collect();
        Ok(Reply::Cores(Cores { cores }))
    }

    pub(crate) fn log(&self, query: &LogQuery) -> Reply {
        // What the cores have reported up to now is part of the answer.
        while self.dataplane.rings.drain(&self.events) {}
        let limit = usize::try_from(query.limit)
            .unwrap_or(usize::MAX)
            .min(EVENTS_MAX);
        Reply::Log(Log {
            events: self
                .events
                .recent()
                .last(limit, |event| wanted(event, query)),
        })
    }

    /// The data plane with its statistics.
    pub(crate) fn running(&self) -> Result<(Arc<ControlLink>, Arc<StatsView>), ApiError> {
        match self.dataplane.publisher.peer() {
            Some((link, Some(stats))) => Ok((link, stats)),
            Some((_, None)) => Err(no_dataplane(
                "the data plane is connected and its cores are not up yet; `status` tells why"
                    .to_owned(),
            )),
            None => Err(no_dataplane(format!(
                "no data plane is connected; start it with sluice-dataplane --control {}",
                self.options.dataplane_socket().display()
            ))),
        }
    }
}

/// There is no data plane, or it did not answer.
pub(crate) fn no_dataplane(message: String) -> ApiError {
    ApiError::new(ErrorCode::NoDataplane, message)
}

fn cores(stats: &StatsView) -> Vec<u16> {
    stats.cores().map(|core| core.core()).collect()
}

fn row(stats: &StatsView, counter: Counter, name: &str) -> CounterRow {
    let values: Vec<u64> = stats.cores().map(|core| core.counter(counter)).collect();
    CounterRow {
        name: name.to_owned(),
        description: counter.description().to_owned(),
        gauge: counter.kind() == CounterKind::Gauge,
        total: values.iter().copied().fold(0, u64::wrapping_add),
        values,
    }
}

fn wanted(event: &Value, query: &LogQuery) -> bool {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let inspection = event.get("tls_inspection");
    let of_flow = |key: &str| {
        inspection
            .and_then(|inspection| inspection.get(key))
            .and_then(text)
    };
    if let Some(kind) = &query.event_type
        && event.get("event_type").and_then(text).as_ref() != Some(kind)
    {
        return false;
    }
    if let Some(verdict) = query.verdict
        && of_flow("verdict").as_deref() != Some(verdict.name())
    {
        return false;
    }
    query
        .sni
        .as_ref()
        .is_none_or(|name| of_flow("sni").is_some_and(|sni| within(&sni, name)))
}

/// Whether `sni` is `name` or lies under it.
fn within(sni: &str, name: &str) -> bool {
    let name = name.trim_start_matches("*.");
    match sni.len().checked_sub(name.len()) {
        Some(at) if sni.is_char_boundary(at) => {
            let (above, end) = sni.split_at(at);
            end.eq_ignore_ascii_case(name) && (above.is_empty() || above.ends_with('.'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_telemetry::Verdict;

    use super::*;

    #[test]
    fn a_name_takes_itself_and_what_lies_under_it() {
        assert!(within("a.example", "a.example"));
        assert!(within("www.a.example", "A.example"));
        assert!(within("www.a.example", "*.a.example"));
        assert!(!within("ba.example", "a.example"));
        assert!(!within("example", "a.example"));
        assert!(!within("ä", "a"));
    }

    #[test]
    fn events_are_chosen_by_type_verdict_and_name() {
        let flow = json!({"event_type": "tls_inspection", "tls_inspection": {"verdict": "block", "sni": "a.example"}});
        let system = json!({"event_type": "system"});
        let all = LogQuery {
            limit: 1,
            event_type: None,
            verdict: None,
            sni: None,
        };
        assert!(wanted(&flow, &all) && wanted(&system, &all));
        let blocked = LogQuery {
            verdict: Some(Verdict::Block),
            ..all.clone()
        };
        assert!(wanted(&flow, &blocked) && !wanted(&system, &blocked));
        let named = LogQuery {
            sni: Some("example".to_owned()),
            ..all.clone()
        };
        assert!(wanted(&flow, &named) && !wanted(&system, &named));
        let typed = LogQuery {
            event_type: Some("system".to_owned()),
            ..all
        };
        assert!(!wanted(&flow, &typed) && wanted(&system, &typed));
    }
}
