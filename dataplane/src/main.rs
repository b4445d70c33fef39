//! The pinned-core process: poll loop, snapshot adoption, ports.
//!
//! The main core waits for generations from `sluiced` and hands them to the polling cores; those do everything else. It
//! has no configuration of its own: ports, cores and memory come with the first generation.

#![forbid(unsafe_code)]

mod adoption;
mod affinity;
mod boot;
mod claim;
mod core_loop;
mod exhaustion;
mod failure;
mod handoff;
mod helpers;
mod idle;
mod limits;
mod link;
mod main_loop;
mod output;
mod ports;
mod status;
mod translation;
mod wall_clock;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use tikv_jemallocator::Jemalloc;

use crate::failure::StartFailure;
use crate::link::Control;

/// A session of 2,048 bytes takes as much and no more, and the heap lies in transparent hugepages.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const _: () = assert!(
    option_env!("JEMALLOC_SYS_WITH_MALLOC_CONF").is_some(),
    "built without .cargo/config.toml, the allocator asks for no hugepages: run cargo inside the repository"
);

/// Sluice's data plane: forwards, and inspects what policy says, on its own cores.
#[derive(Debug, Parser)]
#[command(name = "sluice-dataplane", version, after_help = status::EXIT_STATUS_HELP)]
struct Arguments {
    /// The socket on which sluiced waits for the data plane.
    #[arg(
        long,
        value_name = "SOCKET",
        default_value = "/run/sluice/dataplane.sock"
    )]
    control: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::from(status::STOPPED),
        Err(failure) => {
            status::say(&failure);
            status::exit_code(&failure)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), StartFailure> {
    keep_memory_private()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| {
            StartFailure::System {
                what: "waiting for signals",
                error,
            }
        })?;
    }
    main_loop::serve(Control::new(arguments.control), &stop)
}

/// Private keys pass through this process: it leaves no core file and cannot be attached to.
fn keep_memory_private() -> Result<(), StartFailure> {
    let failed = |errno: rustix::io::Errno| StartFailure::System {
        what: "forbidding core files",
        error: errno.into(),
    };
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .map_err(failed)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)
}
