//! The attacker's tests: what inspection sees is byte for byte what the receiving end delivers, or the flow is blocked.
//!
//! Rows E104 to E113. They are written against that sentence and not against the code: an attacker writes any packet
//! ([`craft`]), receivers of every known temper stand behind the appliance ([`receiver`]), and what they deliver is
//! compared with what policy read ([`lab`]).

#![allow(unreachable_pub, reason = "modules of one test")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may end the world"
)]

mod craft;
mod defrag;
mod fragments;
mod handshakes;
mod lab;
mod overlaps;
mod pressure;
mod receiver;
mod strategies;
mod table;
#[path = "../world/mod.rs"]
mod world;
