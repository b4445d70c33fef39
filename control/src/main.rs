//! The control-plane process.
//!
//! `sluiced` owns the configuration and the certificates, hands generations to the data plane and writes the event log.
//! No traffic passes through it: when it dies the data plane goes on, and when it comes back they find each other again.

#![forbid(unsafe_code)]

mod administration;
mod api;
mod certificate_requests;
mod certificate_view;
mod certificates;
mod clock;
mod dataplane;
mod event_log;
mod events;
mod explain;
mod fallback;
mod journal;
mod limits;
mod manage;
mod options;
mod places;
mod process;
mod pump;
mod queries;
mod recent;
mod rings;
mod show;
mod status;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    match process::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
