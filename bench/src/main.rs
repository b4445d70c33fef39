//! `sluice-bench`: a TLS load generator and the fast origin to go with it, and the appliance measured in memory.
//!
//! Generator and origin are plain threads over blocking sockets, so that what they cost is known and small; `bench/compare`
//! drives them around each proxy in turn.

#![forbid(unsafe_code)]

mod clock;
mod http;
mod limits;
mod load;
mod origin;
mod tls;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use sluice_bench::lockstep::{FlowsOptions, SessionsOptions, SetupError};
use tikv_jemallocator::Jemalloc;

/// The data plane's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A TLS load generator and the fast origin to go with it.
#[derive(Parser)]
#[command(name = "sluice-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Open TLS connections, send requests, print one JSON object of counts and latencies.
    Load(load::Options),
    /// Serve /bytes/N over TLS until killed.
    Origin(origin::Options),
    /// The appliance's cost per packet against the number of flows, in memory.
    Flows(FlowsOptions),
    /// The appliance's cost per inspected connection, request and MiB, in memory.
    Sessions(SessionsOptions),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Load(options) => load::run(&options)
            .map_err(|error| error.to_string())
            .and_then(|report| print(&report).map(|()| report.failed() == 0)),
        Command::Origin(options) => origin::serve(&options)
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Command::Flows(options) => {
            as_a_core(|| options.run()).and_then(|report| print(&report).map(|()| true))
        }
        Command::Sessions(options) => {
            as_a_core(|| options.run()).and_then(|report| print(&report).map(|()| true))
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            // Nobody is left to tell when the standard error is closed.
            let _closed = writeln!(std::io::stderr(), "sluice-bench: {message}");
            ExitCode::from(2)
        }
    }
}

/// Measures in a thread of its own, as a core is one: its part of the heap is not the main thread's.
fn as_a_core<R: Send>(measure: impl FnOnce() -> Result<R, SetupError> + Send) -> Result<R, String> {
    std::thread::scope(|threads| {
        let outcome = threads.spawn(measure).join();
        outcome
            .map_err(|_| "the measurement ended before its time".to_owned())?
            .map_err(|error| error.to_string())
    })
}

fn print(report: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string(report).map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
}
