//! End-to-end tests of the appliance: real clients and servers, with the appliance between them, in the lab.
//!
//! The tests stand in `tests/lab`; here is what drives them. They need root, the release binaries and the lab's
//! packages (`tests/lab/setup`). `SLUICE_LAB_PLAIN_BRIDGE=1` runs them against a Linux bridge in the appliance's place:
//! the control run, which shows that the clients, the servers and the tests themselves are right.

#![forbid(unsafe_code)]

mod capture;
mod curl;
mod error;
mod events;
pub mod impair;
mod lab;
mod limits;
mod process;

pub use capture::{Capture, Packet};
pub use curl::{Curl, Response};
pub use error::InteropError;
pub use events::Event;
pub use lab::{Facts, Lab};
pub use process::{Outcome, Running, until};
