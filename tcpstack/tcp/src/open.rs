//! Parameters of a connection opened by us, and what the two SYNs agree on.

use sluice_packet::{SeqNum, TcpOptions};

use crate::limits;

/// What we announce in our SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Initial sequence number; see [`crate::InitialSequence`].
    pub iss: SeqNum,
    /// Largest segment payload of the path, announced as MSS.
    pub path_mss: u16,
    /// What a peer that announces no MSS takes: [`sluice_packet::limits::DEFAULT_MSS_IPV4_BYTES`] or
    /// [`sluice_packet::limits::DEFAULT_MSS_IPV6_BYTES`].
    pub mss_default: u16,
    /// Window shift to announce; `None` opens without window scaling.
    pub window_scale: Option<u8>,
    /// Announce selective acknowledgements.
    pub sack: bool,
    /// Ask for explicit congestion notification, or agree to it.
    pub ecn: bool,
    /// First value of our timestamp clock; `None` opens without timestamps.
    pub timestamps: Option<u32>,
}

/// What both SYNs agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) peer_mss: u16,
    pub(crate) send_scale: u8,
    pub(crate) receive_scale: u8,
    pub(crate) scaled: bool,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

impl Opening {
    /// What every path of the IP version carries.
    pub(crate) fn path_mss_min(&self) -> u16 {
        if self.mss_default < limits::PATH_MSS_IPV6_BYTES_MIN {
            limits::PATH_MSS_IPV4_BYTES_MIN
        } else {
            limits::PATH_MSS_IPV6_BYTES_MIN
        }
    }

    /// Combines our announcement with the peer's SYN.
    pub(crate) fn agree(&self, peer: &TcpOptions) -> Agreed {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
        //# If an MSS Option is not received at connection setup, TCP implementations MUST assume a default send MSS of
        //# 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for IPv6
        let peer_mss = peer.mss.unwrap_or(self.mss_default);
        let (send_scale, receive_scale) = match (self.window_scale, peer.window_scale) {
            //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
            //# If a Window Scale option is received with a shift.cnt value larger than 14, the TCP SHOULD log the error but
            //# MUST use 14 instead of the specified value.
            (Some(ours), Some(theirs)) => (
                theirs.min(limits::WINDOW_SHIFT_MAX),
                ours.min(limits::WINDOW_SHIFT_MAX),
            ),
            _ => (0, 0),
        };
        Agreed {
            peer_mss,
            send_scale,
            receive_scale,
            scaled: self.window_scale.is_some() && peer.window_scale.is_some(),
            sack: self.sack && peer.sack_permitted,
            timestamps: self.timestamps.is_some() && peer.timestamps.is_some(),
        }
    }
}
