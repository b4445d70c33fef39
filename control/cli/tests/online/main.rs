//! The binary against a server that answers as sluiced does.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has to fail"
)]

mod certificates;
mod daemon;
mod generations;
mod observation;
