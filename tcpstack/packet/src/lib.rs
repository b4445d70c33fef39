//! Checked views of the packets on the wire, and the packets the appliance writes.
//!
//! [`parse`] is the only door for untrusted bytes: it looks at a frame once and says what it is. [`emit`] is the only way
//! out: it writes a whole frame, checksums included, wearing a header learned from a real one. Neither allocates.

#![forbid(unsafe_code)]

mod buffer;
mod checksum;
mod ecn;
mod emit;
mod fetch;
mod fragment;
mod frame;
mod icmp;
mod ip;
mod ipv4;
mod ipv6;
mod key;
pub mod limits;
mod link;
mod normalise;
mod opaque;
mod options;
mod path;
mod rss;
mod segment;
mod seq;
mod tcp;
mod tcp_frame;
mod tcp_head;
mod time;
mod tunnel;
mod urgent;
mod vlan;

pub use buffer::{PacketBuf, TestBuf, Verified};
pub use ecn::Ecn;
pub use emit::{EmitError, Unfinished, emit, emit_reset, emit_unfinished};
pub use fetch::{CacheLines, fetch};
pub use fragment::{FragmentFrame, FragmentKey, Wear};
pub use frame::{Frame, Glance, glance, parse};
pub use icmp::{IcmpError, IcmpKind};
pub use key::{FlowKey, KeyHash, ShortKey, StoredKey};
pub use normalise::{Normalised, is_to_be_normalised, normalise_syn};
pub use opaque::Opaque;
pub use options::{SackBlock, SackBlocks, TcpOptions, Timestamps};
pub use path::{LinkHeader, LinkTemplate, PathTemplate};
pub use rss::{CoreSpread, SYMMETRIC_RSS_KEY, fragment_hash, symmetric_hash, toeplitz};
pub use segment::{SegmentId, Side};
pub use seq::SeqNum;
pub use tcp::{TcpFlags, TcpSegment};
pub use tcp_frame::TcpFrame;
pub use tcp_head::TcpHead;
pub use time::Instant;
pub use tunnel::{Encapsulation, TunnelId, key_tunnels};
pub use urgent::clear_urgent;
pub use vlan::VlanStack;
