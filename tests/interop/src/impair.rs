//! A bad link made to order: frames lost, held back, sent twice or with a bit turned, as a seed says.
//!
//! What becomes of a frame depends on the seed, its direction and its number in that direction, and on nothing else: not
//! on its bytes, not on the time. Two runs with one seed meet the same losses as long as they send the same frames.

mod fate;
mod fragment;
mod line;
mod relay;
mod spec;

pub use fate::{Direction, Fate};
pub use line::{Counts, Line};
pub use relay::{Ports, relay};
pub use spec::{Impairments, SpecError};
