//! `sluice-bench-memory`: what a million observed and a hundred thousand inspected flows take. A program of its own: its
//! allocator counts, which costs time.

#![forbid(unsafe_code)]

use std::alloc::System;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use sluice_bench::lockstep::MemoryOptions;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of memory per flow, counted by the allocator.
#[derive(Parser)]
#[command(name = "sluice-bench-memory", version)]
struct Arguments {
    #[command(flatten)]
    options: MemoryOptions,
}

fn main() -> ExitCode {
    let heap = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let outcome = Arguments::parse()
        .options
        .run(&heap)
        .map_err(|error| error.to_string())
        .and_then(|report| serde_json::to_string(&report).map_err(|error| error.to_string()));
    match outcome {
        Ok(text) => match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(message) => {
            // Nobody is left to tell when the standard error is closed.
            let _closed = writeln!(std::io::stderr(), "sluice-bench-memory: {message}");
            ExitCode::from(2)
        }
    }
}
