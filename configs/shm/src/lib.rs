//! What the two processes share: sealed snapshots, the key segment, statistics and event rings, and the link that
//! hands them over.
//!
//! - [`SealedSnapshot`]: a configuration generation as a sealed, hashed memory file; immutable once sealed.
//! - [`KeySegment`]: private keys in memory that is neither dumped nor swapped, zeroised when retired.
//! - [`StatsSegment`] and [`StatsView`]: counters, busy and idle time, heartbeat and acknowledgements per core.
//! - [`EventProducer`] and [`EventConsumer`]: one single-producer ring of log events per core.
//! - [`link`]: messages and file descriptors over a Unix socket.
//!
//! Whatever stands in shared memory may have been written by a peer that died half-way or went mad: every length is
//! checked, nothing is indexed on a value read from there, and nothing here panics on it. Memory that a peer can still
//! change is only ever touched through atomics; plain slices exist only over memory sealed against writing.

#![allow(
    unsafe_code,
    reason = "one of the three rooms that hold unsafe code; see ARCHITECTURE.md"
)]

mod events;
mod keys;
pub mod limits;
pub mod link;
mod memory;
mod snapshot;
mod stats;

pub use events::{EventConsumer, EventProducer, EventRingError, EventRingHealth, Full};
pub use keys::{KeySegment, KeySegmentError, Protection};
pub use memory::MemoryError;
pub use snapshot::{SealedSnapshot, SnapshotError};
pub use stats::{CoreState, CoreStats, CoreView, Refusal, StatsError, StatsSegment, StatsView};
