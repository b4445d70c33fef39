//! show sessions, stats, log, drops, cores.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_api::{CoreLoad, CounterRow, LogQuery, Reply, Request, Sessions, SessionsQuery};

use crate::Ask;
use crate::args::LogArgs;
use crate::outcome::{Failure, Outcome};
use crate::table::{Table, clean, or_dash, span};

pub(crate) fn sessions(limit: u32, ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Sessions(sessions) = ask.call(&Request::Sessions(SessionsQuery { limit }))? else {
        return Err(Failure::unexpected());
    };
    Outcome::of(session_table(&sessions), &sessions)
}

fn session_table(sessions: &Sessions) -> String {
    let mut table = Table::new(&[
        "CORE",
        "AGE",
        "CLIENT",
        "SERVER",
        "SNI",
        "POLICY",
        "PHASE",
        "DECISION",
        "APPLICATION",
        "TO ORIGIN",
        "TO CLIENT",
    ]);
    for session in &sessions.sessions {
        table.row(vec![
            session.core.to_string(),
            span(session.age_us / 1_000_000),
            session.client.to_string(),
            session.server.to_string(),
            or_dash(session.sni.as_ref()),
            session.policy.clone(),
            session.phase.name().to_owned(),
            or_dash(session.code),
            session.application.to_string(),
            session.bytes_to_origin.to_string(),
            session.bytes_to_client.to_string(),
        ]);
    }
    let head = format!(
        "{} inspected, {} watched or held\n",
        sessions.taken, sessions.observed
    );
    if table.is_empty() {
        head
    } else {
        format!("{head}{}", table.render())
    }
}

pub(crate) fn stats(all: bool, ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Stats(stats) = ask.call(&Request::Stats)? else {
        return Err(Failure::unexpected());
    };
    Outcome::of(
        counter_table("COUNTER", &stats.cores, &stats.counters, all),
        &stats,
    )
}

pub(crate) fn drops(all: bool, ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Drops(drops) = ask.call(&Request::Drops)? else {
        return Err(Failure::unexpected());
    };
    Outcome::of(
        counter_table("REASON", &drops.cores, &drops.reasons, all),
        &drops,
    )
}

fn counter_table(heading: &str, cores: &[u16], rows: &[CounterRow], all: bool) -> String {
    // With one core its column would repeat the total.
    let per_core: Vec<String> = if cores.len() > 1 {
        cores.iter().map(|core| format!("CORE {core}")).collect()
    } else {
        Vec::new()
    };
    let headings: Vec<&str> = [heading, "TOTAL"]
        .into_iter()
        .chain(per_core.iter().map(String::as_str))
        .chain(["MEANING"])
        .collect();
    let mut table = Table::new(&headings);
    for row in rows.iter().filter(|row| all || row.total != 0) {
        let mut cells = vec![row.name.clone(), row.total.to_string()];
        if cores.len() > 1 {
            cells.extend(row.values.iter().map(u64::to_string));
        }
        cells.push(row.description.clone());
        table.row(cells);
    }
    if table.is_empty() {
        "nothing counted yet; --all shows what could be\n".to_owned()
    } else {
        table.render()
    }
}

pub(crate) fn log(args: LogArgs, ask: &Ask) -> Result<Outcome, Failure> {
    let query = LogQuery {
        limit: args.limit,
        event_type: args.event_type.map(|kind| kind.eve_name().to_owned()),
        verdict: args.verdict.map(Into::into),
        sni: args.sni,
    };
    let Reply::Log(log) = ask.call(&Request::Log(query))? else {
        return Err(Failure::unexpected());
    };
    let lines: String = log
        .events
        .iter()
        .map(|event| format!("{}\n", clean(&event_line(event))))
        .collect();
    Outcome::of(
        if lines.is_empty() {
            "no such event\n".to_owned()
        } else {
            lines
        },
        &log,
    )
}

/// One line of an event, in the fields that people look for.
fn event_line(event: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let at = |pointer: &str| text(event.pointer(pointer).unwrap_or(&Value::Null));
    if event.pointer("/event_type").and_then(Value::as_str) == Some("system") {
        return format!(
            "{} {}: {}",
            at("/timestamp"),
            at("/system/severity"),
            at("/system/message")
        );
    }
    let detail = match event
        .pointer("/tls_inspection/detail")
        .and_then(Value::as_str)
    {
        Some(detail) => format!(" ({detail})"),
        None => String::new(),
    };
    format!(
        "{} {} {} {}:{} -> {}:{} sni={} policy={} ended={}{detail}",
        at("/timestamp"),
        at("/tls_inspection/code"),
        at("/tls_inspection/reason"),
        at("/src_ip"),
        at("/src_port"),
        at("/dest_ip"),
        at("/dest_port"),
        at("/tls_inspection/sni"),
        at("/tls_inspection/policy"),
        at("/flow/reason"),
    )
}

pub(crate) fn cores(interval: Option<u64>, ask: &Ask) -> Result<Outcome, Failure> {
    let sample = || match ask.call(&Request::Cores)? {
        Reply::Cores(cores) => Ok(cores.cores),
        _ => Err(Failure::unexpected()),
    };
    let mut loads = sample()?;
    if let Some(seconds) = interval {
        let before = loads;
        pause(Duration::from_secs(seconds));
        loads = sample()?
            .into_iter()
            .map(|now| since(&before, now))
            .collect();
    }
    let outcome = json!({ "interval_s": interval, "cores": loads });
    Ok(Outcome::new(core_table(&loads), outcome))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process itself waits between two samples"
)]
fn pause(span: Duration) {
    thread::sleep(span);
}

/// What the core did since the earlier sample; a data plane restarted in between counts from zero.
fn since(before: &[CoreLoad], now: CoreLoad) -> CoreLoad {
    match before.iter().find(|load| load.core == now.core) {
        Some(before) if now.busy_ns >= before.busy_ns && now.idle_ns >= before.idle_ns => {
            CoreLoad {
                busy_ns: now.busy_ns - before.busy_ns,
                idle_ns: now.idle_ns - before.idle_ns,
                sessions_inspected: now
                    .sessions_inspected
                    .saturating_sub(before.sessions_inspected),
                ..now
            }
        }
        _ => now,
    }
}

fn core_table(loads: &[CoreLoad]) -> String {
    let mut table = Table::new(&[
        "CORE",
        "BUSY",
        "BUSY S",
        "IDLE S",
        "INSPECTED",
        "INSPECTED NOW",
        "WATCHED NOW",
        "GENERATION",
    ]);
    for load in loads {
        table.row(vec![
            load.core.to_string(),
            share(load.busy_ns, load.idle_ns),
            seconds(load.busy_ns),
            seconds(load.idle_ns),
            load.sessions_inspected.to_string(),
            load.flows_taken.to_string(),
            load.flows_observed.to_string(),
            or_dash(load.generation),
        ]);
    }
    if table.is_empty() {
        "the data plane is not connected\n".to_owned()
    } else {
        table.render()
    }
}

/// The busy share in per cent with one decimal.
fn share(busy_ns: u64, idle_ns: u64) -> String {
    let whole = u128::from(busy_ns) + u128::from(idle_ns);
    match (u128::from(busy_ns) * 1000).checked_div(whole) {
        Some(per_mille) => format!("{}.{} %", per_mille / 10, per_mille % 10),
        None => "-".to_owned(),
    }
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(busy_ns: u64, idle_ns: u64) -> CoreLoad {
        CoreLoad {
            core: 1,
            busy_ns,
            idle_ns,
            flows_observed: 2,
            flows_taken: 1,
            sessions_inspected: 5,
            generation: Some(4),
        }
    }

    #[test]
    fn busy_and_idle_time_per_core() {
        let text = core_table(&[load(250_000_000, 750_000_000)]);
        let row = text.lines().nth(1).unwrap();
        assert!(row.starts_with("1     25.0 %  0.250   0.750"), "{text}");
        assert_eq!(share(0, 0), "-");
        assert_eq!(share(u64::MAX, u64::MAX), "50.0 %");
    }

    #[test]
    fn an_interval_is_the_difference_of_two_samples() {
        let span = since(&[load(100, 200)], load(150, 300));
        assert_eq!(
            (span.busy_ns, span.idle_ns, span.sessions_inspected),
            (50, 100, 0)
        );
        let restarted = since(&[load(100, 200)], load(10, 300));
        assert_eq!((restarted.busy_ns, restarted.idle_ns), (10, 300));
    }

    #[test]
    fn counters_that_are_zero_are_left_out_unless_asked_for() {
        let row = |name: &str, values: &[u64]| CounterRow {
            name: name.to_owned(),
            description: "D.".to_owned(),
            gauge: false,
            values: values.to_vec(),
            total: values.iter().sum(),
        };
        let rows = [row("a", &[1, 2]), row("b", &[0, 0])];
        assert_eq!(
            counter_table("COUNTER", &[1, 2], &rows, false),
            "COUNTER  TOTAL  CORE 1  CORE 2  MEANING\na        3      1       2       D.\n"
        );
        assert_eq!(
            counter_table("COUNTER", &[1, 2], &rows, true)
                .lines()
                .count(),
            3
        );
        assert!(
            counter_table("COUNTER", &[1, 2], &rows[1..], false).starts_with("nothing counted yet")
        );
    }

    #[test]
    fn an_event_is_one_line() {
        let flow = json!({
            "timestamp": "T", "event_type": "tls_inspection", "src_ip": "10.0.0.1", "src_port": 5, "dest_ip": "10.0.0.2",
            "dest_port": 443, "flow": {"reason": "blocked"},
            "tls_inspection": {"code": 300, "reason": "block-origin-expired", "policy": "outbound", "detail": "d"},
        });
        assert_eq!(
            event_line(&flow),
            "T 300 block-origin-expired 10.0.0.1:5 -> 10.0.0.2:443 sni=- policy=outbound ended=blocked (d)"
        );
        let system = json!({"timestamp": "T", "event_type": "system", "system": {"severity": "error", "message": "m"}});
        assert_eq!(event_line(&system), "T error: m");
    }
}
