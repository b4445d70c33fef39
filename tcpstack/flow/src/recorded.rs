//! What the observer hands to a takeover.

use core::time::Duration;

use sluice_packet::{Instant, PathTemplate, SeqNum};

/// Both ends of an established connection, as two halves that are ours from now on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The half that talks to the originator, in the responder's name.
    pub toward_originator: Half,
    /// The half that talks to the responder, in the originator's name.
    pub toward_responder: Half,
}

/// One half: what is known of the connection toward one real end, its peer, in the name of the other.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// The next sequence number to send to the peer.
    pub send_next: SeqNum,
    /// The next sequence number the peer sends that the other end has not been given.
    pub receive_next: SeqNum,
    /// The window the peer has offered, in bytes.
    pub send_window: u32,
    /// The window the peer has been offered in the other's name, in bytes. It may count on it (RFC 9293 3.8.6).
    pub receive_window: u32,
    /// The MSS the peer announced, or the default of its IP version.
    pub peer_mss: u16,
    /// By how much the windows that the peer sends are shifted, 0 to 14.
    pub send_scale: u8,
    /// By how much the windows that the peer is sent are shifted, 0 to 14.
    pub receive_scale: u8,
    /// Both ends permit SACK.
    pub sack: bool,
    /// Both ends agreed on ECN (RFC 3168 6.1.1).
    pub ecn: bool,
    /// Both ends use timestamps, and these are the last.
    pub timestamps: Option<TimestampClock>,
    /// What the peer took to answer its part of the handshake; none if that was repeated.
    pub round_trip: Option<Duration>,
    /// What frames to the peer look like.
    pub path: PathTemplate,
}

/// The timestamps of a half.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TimestampClock {
    /// The last value the peer was sent in the other's name.
    pub value: u32,
    /// When it was sent.
    pub at: Instant,
    /// The last value the peer sent: what it is to be echoed (TS.Recent of RFC 7323 4.3).
    pub echo_recent: u32,
}
