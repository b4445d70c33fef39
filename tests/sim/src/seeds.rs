//! One scenario, many seeds.
//!
//! `SLUICE_SIM_SEED=n` runs one seed and prints what came of it; `SLUICE_SIM_TRACE=n` then shows the last n frames of a
//! failure. `SLUICE_SIM_SEEDS=n` runs n seeds instead of the test's own count, from `SLUICE_SIM_FIRST` on.

use crate::simulation::{Failure, Outcome};

/// Failures reported in full; the others only by their seeds.
const REPORTS_MAX: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Frames of a failure's report.
#[must_use]
pub fn trace() -> usize {
    let frames = number("SLUICE_SIM_TRACE").and_then(|frames| usize::try_from(frames).ok());
    frames.unwrap_or(0)
}

/// Runs `scenario` for `SLUICE_SIM_SEED`, or for `SLUICE_SIM_SEEDS` seeds, or for `count`.
///
/// # Panics
/// When a seed fails; its number is in the message.
#[expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is how a test reports its seeds"
)]
pub fn run(count: u64, scenario: impl Fn(u64) -> Result<Outcome, Failure>) {
    if let Some(seed) = number("SLUICE_SIM_SEED") {
        match scenario(seed) {
            Ok(outcome) => println!("seed {seed}: {outcome:?}"),
            Err(failure) => panic!("seed {seed}: {failure}"),
        }
        return;
    }
    let first = number("SLUICE_SIM_FIRST").unwrap_or(0);
    let count = number("SLUICE_SIM_SEEDS").unwrap_or(count);
    let mut failed = Vec::new();
    for seed in first..first + count {
        if let Err(failure) = scenario(seed) {
            if failed.len() < REPORTS_MAX {
                eprintln!("seed {seed}: {failure}\nreplay with SLUICE_SIM_SEED={seed}\n");
            }
            failed.push(seed);
        }
    }
    assert!(
        failed.is_empty(),
        "failed seeds {failed:?}; replay one with SLUICE_SIM_SEED"
    );
}
