//! The per-core flow table, the handshake observer, the timer wheel and the reassembly of fragments.
//!
//! All of them belong to one core, are given the time, and cost the same however many flows there are.

#![forbid(unsafe_code)]

mod fragments;
pub mod limits;
mod observation;
mod observer;
mod recorded;
mod table;
mod wheel;

pub use fragments::{Packet, Reassembled, Reassembler, Unreassembled};
pub use observation::{Disregard, Irregularity, Observation, Role};
pub use observer::Observer;
pub use recorded::{Half, Recorded, TimestampClock};
pub use table::{
    Evicted, FlowId, FlowTable, Inserted, Lender, Refusal, Refused, Retention, Sought,
};
pub use wheel::{TimerId, TimerWheel};
