//! A worker between ends that are played in the same thread. Only the worker's calls are timed.

mod appliance;
mod craft;
mod end;
mod flows;
mod memory;
mod random;
mod sessions;
mod sink;
mod stopwatch;

pub use appliance::{Appliance, SetupError};
pub use craft::{CLIENT_SIDE, Craft, SEGMENT};
pub use flows::{FlowsOptions, FlowsReport, Kind};
pub use memory::{MemoryOptions, MemoryReport};
pub use random::Dice;
pub use sessions::{SessionsOptions, SessionsReport};
pub use stopwatch::Stopwatch;

#[cfg(test)]
mod tests;
