//! One flow's life, sans-IO: two TCP halves, two TLS halves, policy and inspection.
//!
//! A [`Worker`] is everything a core knows: packets and time go in, and whatever leaves goes through [`Output`]. A flow that
//! policy may inspect is watched, held until its ClientHello is whole, decided once, and then released untouched, blocked,
//! or taken over in place of both its ends. ARCHITECTURE.md tells the whole life of a flow.

#![forbid(unsafe_code)]

mod alarm;
mod burst;
mod corners;
mod doubts;
mod ends;
mod fallback;
mod flow;
mod gauges;
mod generation;
mod hold;
mod holding;
mod identity;
mod intake;
mod learn;
mod leaves;
pub mod limits;
mod lingering;
mod load;
mod memory;
mod mtu;
mod observing;
mod output;
mod passing;
mod record;
mod session;
mod shared;
mod succession;
mod syn;
mod takeover;
mod unconfirmed;
mod unknown;
mod worker;

pub use generation::{Generation, GenerationError};
pub use load::SessionLoad;
pub use memory::MemoryBudget;
pub use mtu::PortMtus;
pub use output::{Effects, Finishing, ForgeDone, ForgeJob, Output, WriteUnfinished};
pub use worker::{Worker, WorkerError, WorkerSettings};

use sluice_packet::Instant;

/// The time, as a core's loop reads it once per batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, since the process started.
    pub mono: Instant,
    /// Microseconds since the Unix epoch.
    pub unix_us: u64,
}

impl Now {
    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn unix_s(self) -> u64 {
        self.unix_us / 1_000_000
    }
}
