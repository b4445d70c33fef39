//! The decision: flow facts and a profile in, verdict and decision code out.
//!
//! [`Policy::compile`] turns a validated configuration into tables; one is made per generation and shared by all cores.
//! [`Policy::candidate`] answers at the SYN whether a flow is to be watched at all, [`Policy::decide`] when the
//! ClientHello is whole, [`Policy::decide_without_hello`] when there is none to come, and [`Policy::decide_origin`] when
//! the origin has shown its certificate. Nothing here has a clock, a lock or an allocation per flow.

#![forbid(unsafe_code)]

mod compile;
mod decide;
mod domains;
mod explain;
mod facts;
pub mod limits;
mod ports;
mod prefixes;

pub use compile::{CompileError, Policy};
pub use decide::{Candidate, Decision, OriginDecision, PolicyDecided};
pub use explain::{Explanation, Question, Step, explain};
pub use facts::{
    Direction, FlowFacts, HelloFacts, Learned, LoadFacts, NoHello, Note, SegmentIndex,
};
pub use ports::PortSet;

#[cfg(test)]
mod tests;
