//! The command line of the appliance.

#![forbid(unsafe_code)]

mod args;
mod certificates;
mod configuration;
mod documents;
mod explain;
mod fallback;
mod limits;
mod observe;
mod outcome;
mod status;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use serde_json::json;
use sluice_api::{Client, Reply, Request};

use crate::args::{Args, Command, Show};
use crate::outcome::{Exit, Failure, Outcome};

fn main() -> ExitCode {
    // Usage errors end here with exit code 2, help and version with 0.
    let args = Args::parse();
    let json = args.json;
    match run(args) {
        Ok(outcome) => show(&outcome, json),
        Err(failure) => fail(&failure, json),
    }
}

fn run(args: Args) -> Result<Outcome, Failure> {
    let ask = Ask {
        socket: args.socket_path(),
    };
    match args.command {
        Command::Check { directory, online } => {
            configuration::check(&directory, online.then_some(&ask))
        }
        Command::Diff { directory } => configuration::diff(&directory, &ask),
        Command::Apply(apply) => configuration::apply(apply, &ask),
        Command::Rollback(rollback) => configuration::rollback(&rollback, &ask),
        Command::History => configuration::history(&ask),
        Command::Status => status::status(&ask),
        Command::Certificate(command) => certificates::run(command, args.json, &ask),
        Command::Fallback(wanted) => fallback::fallback(wanted, &ask),
        Command::Sessions(args::Sessions::Clear) => fallback::clear_sessions(&ask),
        Command::Show(Show::Sessions { limit }) => observe::sessions(limit, &ask),
        Command::Show(Show::Stats { all }) => observe::stats(all, &ask),
        Command::Show(Show::Log(query)) => observe::log(query, &ask),
        Command::Show(Show::Drops { all }) => observe::drops(all, &ask),
        Command::Show(Show::Cores { interval }) => observe::cores(interval, &ask),
        Command::Explain(question) => explain::explain(question, &ask),
        Command::Schema { kind } => {
            let schema = sluice_schema::json_schema(kind.into());
            Ok(Outcome::new(format!("{schema:#}\n"), schema))
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "sluice", &mut script);
            let text = String::from_utf8_lossy(&script).into_owned();
            Ok(Outcome::new(
                text.clone(),
                json!({ "shell": shell.to_string(), "script": text }),
            ))
        }
    }
}

/// Where to ask.
struct Ask {
    socket: std::path::PathBuf,
}

impl Ask {
    fn call(&self, request: &Request) -> Result<Reply, Failure> {
        Ok(Client::connect(&self.socket)?.call(request)?)
    }
}

fn show(outcome: &Outcome, json: bool) -> ExitCode {
    let bytes = if json {
        format!("{:#}\n", outcome.json).into_bytes()
    } else {
        outcome.output.clone()
    };
    let mut exit = write_out(&mut io::stdout(), &bytes).map_or(Exit::Failed, |()| outcome.exit);
    if !json {
        for note in &outcome.notes {
            if write_out(&mut io::stderr(), format!("sluice: {note}\n").as_bytes()).is_err() {
                exit = Exit::Failed;
            }
        }
    }
    exit.into()
}

fn fail(failure: &Failure, json: bool) -> ExitCode {
    if json {
        let told = json!({ "error": {
            "code": failure.code,
            "message": failure.message,
            "problems": failure.problems,
        }});
        // When not even this can be written there is nobody to tell.
        let _ = write_out(&mut io::stdout(), format!("{told:#}\n").as_bytes());
    } else {
        let problems: String = failure
            .problems
            .iter()
            .map(|problem| format!("{}\n", table::clean(&problem.to_string())))
            .collect();
        let text = format!("{problems}sluice: {}\n", failure.message);
        let _ = write_out(&mut io::stderr(), text.as_bytes());
    }
    failure.exit.into()
}

/// A reader that has seen enough (`| head`) is no failure.
fn write_out(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
