//! A seeded network and clock for TCP endpoints and the appliance.
//!
//! Everything a [`Simulation`] does follows from one seed: the network's delays, losses, reorderings, duplicates and
//! corruptions, when it goes dark, how much each end sends, in what pieces, and how slowly it reads. Time is virtual, so
//! minutes of retransmission take microseconds. A failure names its seed and the same seed replays it:
//!
//! ```text
//! SLUICE_SIM_SEED=157 SLUICE_SIM_TRACE=60 cargo nextest run -p sluice-sim --test through spliced_flows_deliver
//! SLUICE_SIM_FIRST=1000 SLUICE_SIM_SEEDS=20000 cargo nextest run -p sluice-sim --test through
//! ```
//!
//! The [`Appliance`] stands in for the network: one worker of the proxy between two networks, audited frame by frame. Runs of
//! bypassed and spliced flows replay to the bit. Those of inspected flows do but for the lengths of ECDSA signatures, whose
//! nonces no library takes from outside: now and then a seed comes out differently where a byte more makes a frame more.

#![forbid(unsafe_code)]

mod appliance;
mod application;
mod between;
mod certificates;
pub mod draw;
mod endpoint;
mod engine;
mod fragments;
mod icmp;
mod independent;
mod network;
mod preface;
mod random;
pub mod seeds;
mod simulation;
mod tls;

pub use appliance::{Appliance, AppliancePlan, Expected, ORIGIN_NAME, Site, SiteError, compile};
pub use application::{Application, ApplicationPlan, Mismatch, Pace};
pub use between::Between;
pub use certificates::{Authority, Issued, START_UNIX_S};
pub use endpoint::Endpoint;
pub use engine::{Engine, Start};
pub use independent::Independent;
pub use network::{Counts, Impairments, Network, Side};
pub use preface::{BYPASSED_NAME, Preface};
pub use random::Random;
pub use simulation::{Failure, Outcome, Simulation};
pub use tls::{TlsEnd, TlsError};
