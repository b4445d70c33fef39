//! The TCP engine: one struct per state, sans-IO.
//!
//! A [`Connection`] is fed segments, told the time, and asked what to send; it reads no clock, opens no socket and owns
//! no thread. It can be opened as any TCP (active or passive), or *taken over* in place ([`Connection::established`]):
//! born ESTABLISHED from what was observed of a handshake between two real ends, continuing one of them.
//!
//! The states of RFC 9293 section 3.3.2 are structs of their own in [`state`](StateName); a handler consumes a state and
//! returns the next one. What the states share stands in components: the send sequence space and what is in flight, the
//! receive sequence space and its reassembly, the retransmission-timeout estimator, the congestion window, the timers.

#![forbid(unsafe_code)]

mod buffer;
mod challenge;
mod config;
mod congestion;
mod connection;
mod control;
mod ecn;
mod flight;
mod isn;
pub mod limits;
mod open;
mod outgoing;
mod reassembly;
mod receive;
mod recovery;
mod rto;
mod send;
mod sequence;
mod state;
mod stats;
mod takeover;
mod time_wait;
mod timers;
mod timestamps;

pub use config::{Config, CongestionAlgorithm, Keepalive};
pub use connection::Connection;
pub use isn::InitialSequence;
pub use open::Opening;
pub use outgoing::Outgoing;
pub use state::{CloseReason, StateName};
pub use stats::Stats;
pub use takeover::{Takeover, TimestampClock};
pub use time_wait::{TimeWait, TimeWaitAnswer};

#[cfg(test)]
mod tests;
