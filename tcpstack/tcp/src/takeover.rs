//! A connection continued from what was observed of it.

use core::time::Duration;

use sluice_packet::{Instant, SeqNum};

/// A timestamp clock as one end ran it: read at a moment, advancing one per millisecond from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampClock {
    /// The value the clock showed.
    pub value: u32,
    /// When it showed it.
    pub at: Instant,
    /// The peer's latest value: what we echo, and the floor for PAWS.
    pub echo_recent: u32,
}

/// What an observer recorded of one real end, turned into a half that talks to that end, wearing the other's clothes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// Sequence number of the next byte we send to this peer.
    pub send_next: SeqNum,
    /// Sequence number of the next byte we expect from this peer.
    pub receive_next: SeqNum,
    /// The window this peer last advertised, in bytes.
    pub send_window: u32,
    /// The MSS this peer announced.
    pub peer_mss: u16,
    /// The shift of the windows this peer advertises.
    pub send_scale: u8,
    /// The shift that was announced to this peer in the other's name.
    pub receive_scale: u8,
    /// Both ends agreed on selective acknowledgements.
    pub sack: bool,
    /// Both ends agreed on explicit congestion notification (RFC 3168 section 6.1.1).
    pub ecn: bool,
    /// The clock we continue, if both ends agreed on timestamps.
    pub timestamps: Option<TimestampClock>,
    /// The round trip to this peer, if it was measured.
    pub round_trip: Option<Duration>,
    /// Largest segment payload the path towards this peer carries, before options.
    pub path_mss: u16,
    /// What every path of the IP version carries, before options: no message and no silence takes it below that.
    /// [`limits::PATH_MSS_IPV4_BYTES_MIN`](crate::limits::PATH_MSS_IPV4_BYTES_MIN) or
    /// [`limits::PATH_MSS_IPV6_BYTES_MIN`](crate::limits::PATH_MSS_IPV6_BYTES_MIN).
    pub path_mss_min: u16,
}
