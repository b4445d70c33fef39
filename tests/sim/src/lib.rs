//! A seeded network and clock for TCP endpoints and the appliance.
//!
//! Everything a [`Simulation`] does follows from one seed: the network's delays, losses, reorderings, duplicates and
//! corruptions, when it goes dark, how much each end sends, in what pieces, and how slowly it reads. Time is virtual, so
//! minutes of retransmission take microseconds. A failure names its seed and the same seed replays it.

#![forbid(unsafe_code)]

mod appliance;
mod application;
mod between;
pub mod draw;
mod endpoint;
mod engine;
mod icmp;
mod independent;
mod network;
mod preface;
mod random;
pub mod seeds;
mod simulation;
mod tls;

pub use appliance::{
    Appliance, AppliancePlan, Expected, ORIGIN_NAME, START_UNIX_S, Site, SiteError,
};
pub use application::{Application, ApplicationPlan, Mismatch, Pace};
pub use between::Between;
pub use endpoint::Endpoint;
pub use engine::{Engine, Start};
pub use independent::Independent;
pub use network::{Counts, Impairments, Network, Side};
pub use preface::{BYPASSED_NAME, Preface};
pub use random::Random;
pub use simulation::{Failure, Outcome, Simulation};
pub use tls::{TlsEnd, TlsError};
