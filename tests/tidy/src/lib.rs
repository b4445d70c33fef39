//! The rules of the house, as tests: tiers between rooms, rooms that may hold `unsafe`, file sizes, and the ledger of
//! SPECIFICATION.md held against the tests that exist.

#![forbid(unsafe_code)]

mod clauses;
mod ledger;
mod rooms;
mod tree;

pub use clauses::{Clause, Clauses};
pub use ledger::{Ledger, Row, Standing};
pub use rooms::{TIERS, UNSAFE_ROOMS};
pub use tree::{Source, Tree};
