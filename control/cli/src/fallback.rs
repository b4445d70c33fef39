//! fallback, sessions clear.

use sluice_api::{Fallback, Reply, Request};
use sluice_telemetry::FallbackReason;

use crate::Ask;
use crate::args;
use crate::outcome::{Failure, Outcome};

pub(crate) fn fallback(wanted: args::Fallback, ask: &Ask) -> Result<Outcome, Failure> {
    let command = match wanted {
        args::Fallback::On => Some(true),
        args::Fallback::Off => Some(false),
        args::Fallback::Status => None,
    };
    let Reply::Fallback(fallback) = ask.call(&Request::Fallback { command })? else {
        return Err(Failure::unexpected());
    };
    let mut outcome = Outcome::of(
        format!("layer-2 fallback  {}\n", state(&fallback)),
        &fallback,
    )?;
    match command {
        Some(true) => outcome.notes.push(
            "inspected sessions are kept; `sluice sessions clear` ends them".to_owned(),
        ),
        Some(false) if !fallback.reasons.is_empty() => outcome.notes.push(
            "it stays on for another reason than the command; `sluice show log --type system` tells more".to_owned(),
        ),
        _ => {}
    }
    Ok(outcome)
}

/// `off`, or `on` with every reason.
pub(crate) fn state(fallback: &Fallback) -> String {
    let reasons: Vec<&str> = fallback
        .reasons
        .iter()
        .copied()
        .map(FallbackReason::description)
        .collect();
    if reasons.is_empty() {
        "off".to_owned()
    } else {
        format!("on: {}", reasons.join("; "))
    }
}

pub(crate) fn clear_sessions(ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Cleared(cleared) = ask.call(&Request::ClearSessions)? else {
        return Err(Failure::unexpected());
    };
    let sessions = cleared.sessions;
    let text = format!("{sessions} inspected sessions cleared: both ends of each were reset\n");
    Outcome::of(text, &cleared)
}
