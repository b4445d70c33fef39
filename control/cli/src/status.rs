//! status.

use sluice_api::{Adoption, Distribution, Reply, Request, Status};

use crate::Ask;
use crate::outcome::{Failure, Outcome};
use crate::table::{Table, or_dash, pairs, span, time};

pub(crate) fn status(ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Status(status) = ask.call(&Request::Status)? else {
        return Err(Failure::unexpected());
    };
    let mut outcome = Outcome::of(overview(&status), &*status)?;
    outcome.notes.clone_from(&status.problems);
    if status.restart_needed {
        outcome.notes.push(
            "boot settings have changed; they become effective when the data plane restarts"
                .to_owned(),
        );
    }
    Ok(outcome)
}

fn overview(status: &Status) -> String {
    let switch = |on: Option<bool>| match on {
        None => "-",
        Some(true) => "on",
        Some(false) => "off",
    };
    let generation = match (status.distribution.generation, status.applied_unix_s) {
        (Some(number), Some(applied)) => format!("{number}, applied {}", time(applied)),
        (Some(number), None) => number.to_string(),
        (None, _) => "none; apply a configuration with `sluice apply DIR`".to_owned(),
    };
    let sessions = match (status.sessions_inspected, status.inspected_sessions_max) {
        (Some(now), Some(most)) => match status.session_load {
            Some(load) => format!("{now} of at most {most} ({load})"),
            None => format!("{now} of at most {most}"),
        },
        (now, _) => or_dash(now),
    };
    let fallback = status
        .fallback
        .as_ref()
        .map_or_else(|| "-".to_owned(), crate::fallback::state);
    let mut text = pairs(&[
        ("appliance", or_dash(status.appliance.as_ref())),
        (
            "sluiced",
            format!(
                "{}, process {}, up {}",
                status.version,
                status.pid,
                span(status.uptime_s)
            ),
        ),
        ("data plane", dataplane(&status.distribution)),
        ("generation", generation),
        (
            "client inspection",
            switch(status.client_inspection).to_owned(),
        ),
        (
            "server inspection",
            switch(status.server_inspection).to_owned(),
        ),
        ("inspected sessions", sessions),
        ("layer-2 fallback", fallback),
        ("event log", or_dash(status.event_log.as_ref())),
    ]);
    let cores = distribution(&status.distribution);
    if !status.distribution.cores.is_empty() {
        text.push('\n');
        text.push_str(&cores);
    }
    text
}

fn dataplane(distribution: &Distribution) -> String {
    match &distribution.dataplane {
        Some(dataplane) => format!("{}, process {}", dataplane.version, dataplane.pid),
        None => "not connected".to_owned(),
    }
}

/// Which core has adopted which generation, or why not.
pub(crate) fn distribution(distribution: &Distribution) -> String {
    if distribution.dataplane.is_none() {
        return "the data plane is not connected; it takes the current generation when it is\n"
            .to_owned();
    }
    let mut table = Table::new(&["CORE", "GENERATION", "STATE"]);
    for core in &distribution.cores {
        let state = match &core.state {
            Adoption::Adopted => "adopted".to_owned(),
            Adoption::Pending => "pending".to_owned(),
            Adoption::Refused { reason } => format!("refused: {reason}"),
        };
        table.row(vec![core.core.to_string(), or_dash(core.generation), state]);
    }
    table.render()
}
