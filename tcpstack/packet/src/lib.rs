//! Checked views of the packets on the wire, and the packets the appliance writes.
//!
//! [`parse`] is the only door for untrusted bytes: it looks at a frame once and says what it is. [`emit`] is the only way
//! out: it writes a whole frame, checksums included, wearing a header learned from a real one. Neither allocates.

#![forbid(unsafe_code)]

mod buffer;
mod checksum;
mod ecn;
mod emit;
mod frame;
mod key;
pub mod limits;
mod options;
mod path;
mod rss;
mod segment;
mod seq;
mod tcp;
mod time;
mod vlan;

pub use buffer::{PacketBuf, TestBuf, Verified};
pub use ecn::Ecn;
pub use emit::{EmitError, emit, emit_reset};
pub use frame::{Frame, Opaque, TcpFrame, parse};
pub use key::FlowKey;
pub use options::{SackBlock, SackBlocks, TcpOptions, Timestamps};
pub use path::{LinkTemplate, PathTemplate};
pub use rss::{SYMMETRIC_RSS_KEY, symmetric_hash, toeplitz};
pub use segment::{SegmentId, Side};
pub use seq::SeqNum;
pub use tcp::{TcpFlags, TcpSegment};
pub use time::Instant;
pub use vlan::VlanStack;
