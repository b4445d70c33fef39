//! The TCP engine: one struct per state, sans-IO.
//!
//! A [`Connection`] is fed segments, told the time, and asked what to send; it reads no clock, opens no socket and owns
//! no thread. It can be opened as any TCP (active or passive), or *taken over* in place ([`Connection::established`]):
//! born ESTABLISHED from what was observed of a handshake between two real ends, continuing one of them.
//!
//! The states of RFC 9293 section 3.3.2 are structs of their own in [`state`](StateName); a handler consumes a state and
//! returns the next one. What the states share stands in components: the send sequence space and what is in flight, the
//! receive sequence space and its reassembly, the retransmission-timeout estimator, the congestion window, the timers.
//!
//! # What is decided
//!
//! - **When text leaves.** At once, as soon as windows admit it: there is no Nagle algorithm (RFC 9293 section 3.7.4 lets
//!   it be turned off), so a last small segment never waits for the peer's delayed acknowledgement. What is to leave in
//!   full segments is corked by its owner: it queues everything of a turn before it polls. The one thing that waits is a
//!   sliver of a window (RFC 9293 section 3.8.6.2.1), and never the end of what is queued.
//! - **When acknowledgements leave.** At once for the second full-sized segment, for one smaller than any full-sized one,
//!   for anything out of order, for a congestion mark and for a FIN. One full-sized segment alone, or text in a
//!   conversation in which replies follow within [`Config::delayed_ack`], waits for the reply or that long. Whoever's reply
//!   did not come in time is acknowledged at once from then on.
//! - **Urgent data.** Is text like any other, in its place in the stream (RFC 6093 section 6): the pointer is read by
//!   nobody and never sent on, so no two readers can disagree on which byte is outside of the stream.
//! - **Path MTU.** ICMP messages are believed only about what is in flight; timeouts of full-sized segments stand in for
//!   messages that never come ([`Connection::on_packet_too_big`]).
//! - **Congestion marks.** RFC 3168 as a takeover found it agreed, or as the two SYNs agree.
//! - **Losses.** With selective acknowledgements by time (RFC 8985), and what is in the network is counted as RFC 6675
//!   section 4 counts it: sent, neither held by the peer nor lost. Without, by duplicate acknowledgements (RFC 6582).
//! - **The end.** Keep-alive only if asked for. A finished connection becomes a [`TimeWait`].

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
mod pool;
mod reassembly;
mod receive;
mod recovery;
mod reordering;
mod rto;
mod send;
mod sequence;
mod state;
mod stats;
mod takeover;
mod time_wait;
mod timers;
mod timestamps;
mod undo;

pub use config::{Config, CongestionAlgorithm, Keepalive};
pub use connection::Connection;
pub use isn::InitialSequence;
pub use open::Opening;
pub use outgoing::Outgoing;
pub use state::{CloseReason, StateName};
pub use stats::{Repairs, Stats};
pub use takeover::{Takeover, TimestampClock};
pub use time_wait::{TimeWait, TimeWaitAnswer};

#[cfg(test)]
mod tests;
