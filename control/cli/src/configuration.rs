//! check, diff, apply, rollback, history.

use std::path::Path;

use serde_json::json;
use sluice_api::{Applied, Apply, Compared, Reply, Request, Rollback};
use sluice_schema::Change;

use crate::outcome::{Exit, Failure, Outcome};
use crate::table::{Table, clean, time};
use crate::{Ask, args, documents, status};

/// Validates the documents here; with `ask` also at sluiced, which has the certificates.
pub(crate) fn check(directory: &Path, ask: Option<&Ask>) -> Result<Outcome, Failure> {
    let documents = documents::read(directory)?;
    let configuration = sluice_schema::load(&documents).map_err(Failure::documents)?;
    let mut outcome = Outcome::new(
        format!(
            "{}: valid ({}, {})\n",
            directory.display(),
            counted(configuration.appliance.segments.len(), "segment"),
            counted(configuration.profiles.len(), "profile"),
        ),
        json!({
            "appliance": configuration.appliance.name,
            "segments": configuration.appliance.segments.len(),
            "profiles": configuration.profiles.len(),
            "warnings": [],
        }),
    );
    if let Some(ask) = ask {
        let Reply::Checked(checked) = ask.call(&Request::Check { documents })? else {
            return Err(Failure::unexpected());
        };
        if let Some(warnings) = outcome.json.get_mut("warnings") {
            *warnings = json!(checked.warnings);
        }
        outcome.notes = checked.warnings;
    }
    Ok(outcome)
}

pub(crate) fn diff(directory: &Path, ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Compared(compared) = ask.call(&Request::Diff {
        documents: valid(directory)?,
    })?
    else {
        return Err(Failure::unexpected());
    };
    let mut outcome = Outcome::of(comparison(&compared), &compared)?;
    if !compared.restart_needed.is_empty() {
        outcome.notes.push(restart(&compared.restart_needed));
    }
    Ok(outcome)
}

fn comparison(compared: &Compared) -> String {
    let with = compared.generation.map_or_else(
        || "nothing".to_owned(),
        |number| format!("generation {number}"),
    );
    if compared.changes.is_empty() {
        format!("no difference to {with}\n")
    } else {
        changes(&compared.changes)
    }
}

pub(crate) fn apply(args: args::Apply, ask: &Ask) -> Result<Outcome, Failure> {
    let request = Apply {
        documents: valid(&args.directory)?,
        wait_s: args.wait.wait_s(),
        comment: args.comment,
    };
    let Reply::Applied(applied) = ask.call(&Request::Apply(request))? else {
        return Err(Failure::unexpected());
    };
    done(&applied, args.wait.no_wait)
}

pub(crate) fn rollback(args: &args::Rollback, ask: &Ask) -> Result<Outcome, Failure> {
    let request = Rollback {
        generation: args.generation,
        wait_s: args.wait.wait_s(),
    };
    let Reply::Applied(applied) = ask.call(&Request::Rollback(request))? else {
        return Err(Failure::unexpected());
    };
    done(&applied, args.wait.no_wait)
}

/// Who did not wait does not mind that nobody has adopted it yet.
fn done(applied: &Applied, no_wait: bool) -> Result<Outcome, Failure> {
    let mut text = changes(&applied.changes);
    text.push_str(&format!("generation {} applied\n", applied.generation));
    text.push_str(&status::distribution(&applied.distribution));
    let mut outcome = Outcome::of(text, applied)?;
    outcome.notes.clone_from(&applied.warnings);
    if !applied.restart_needed.is_empty() {
        outcome.notes.push(restart(&applied.restart_needed));
    }
    if !applied.distribution.is_adopted() && !no_wait {
        outcome.notes.push(format!(
            "generation {} is stored but not adopted by every core; `sluice status` follows it",
            applied.generation
        ));
        outcome.exit = Exit::NotAdopted;
    }
    Ok(outcome)
}

pub(crate) fn history(ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::History(history) = ask.call(&Request::History)? else {
        return Err(Failure::unexpected());
    };
    let mut table = Table::new(&["GENERATION", "APPLIED", "COMMENT"]);
    for generation in &history.generations {
        let mark = if generation.current { " *" } else { "" };
        table.row(vec![
            format!("{}{mark}", generation.generation),
            time(generation.applied_unix_s),
            generation.comment.clone().unwrap_or_default(),
        ]);
    }
    let text = if table.is_empty() {
        "no configuration has been applied yet\n".to_owned()
    } else {
        table.render()
    };
    Outcome::of(text, &history)
}

/// The documents, if they are valid: what is wrong is then told without sluiced.
fn valid(directory: &Path) -> Result<Vec<sluice_schema::Document>, Failure> {
    let documents = documents::read(directory)?;
    match sluice_schema::load(&documents) {
        Ok(_) => Ok(documents),
        Err(problems) => Err(Failure::documents(problems)),
    }
}

fn changes(changes: &[Change]) -> String {
    changes
        .iter()
        .map(|change| format!("{}\n", clean(&change.to_string())))
        .collect()
}

fn restart(changes: &[Change]) -> String {
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    format!(
        "boot settings differ ({}); they become effective when the data plane restarts (systemctl restart \
         sluice-dataplane), which interrupts inspected sessions",
        paths.join(", ")
    )
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
