//! The process against a data plane that is none, through the management interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers stop it where something is not as it should be"
)]

mod load;
mod operation;
mod publishing;
mod support;
