//! A TCP segment in its frame.

use core::net::SocketAddr;
use core::ops::Range;

use crate::tcp_head::Offsets;
use crate::{Ecn, FlowKey, PacketBuf, SeqNum, TcpFlags, TcpHead, TcpOptions, TcpSegment};

/// A TCP segment in a frame: what its headers say, and where its payload is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TcpFrame {
    /// The flow.
    pub key: FlowKey,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Sequence number.
    pub seq: SeqNum,
    /// Acknowledgement number.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as on the wire: not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
    /// TTL or hop limit.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    pub(crate) from_lower: bool,
    pub(crate) at: Offsets,
}

impl TcpFrame {
    /// What was found of it before it was read.
    #[must_use]
    pub const fn head(&self) -> TcpHead {
        TcpHead {
            key: self.key,
            at: self.at,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            from_lower: self.from_lower,
            ttl: self.ttl,
            traffic_class: self.traffic_class,
        }
    }

    /// Bytes of layer 2: where the first IP header starts, which is a tunnel's when the segment is in one.
    #[must_use]
    pub fn link_len(&self) -> usize {
        usize::from(self.at.link_len)
    }

    /// True when the IP header has no options or extension headers and is in no tunnel: every port's own hash sees its ends.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.at.is_plain(&self.key)
    }

    /// Where the IP header next to the TCP header starts.
    #[must_use]
    pub fn l3_offset(&self) -> usize {
        usize::from(self.at.l3)
    }

    /// Where the TCP header starts.
    #[must_use]
    pub fn l4_offset(&self) -> usize {
        usize::from(self.at.l4)
    }

    /// Where the payload is in the frame. The IP header says where it ends, so Ethernet padding is not in it.
    #[must_use]
    pub const fn payload_range(&self) -> Range<usize> {
        self.at.payload_start as usize..self.at.payload_end as usize
    }

    /// Bytes of payload.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        self.payload_range().end - self.payload_range().start
    }

    /// The payload; `frame` is what this was parsed from.
    #[must_use]
    pub fn payload<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        frame.get(self.payload_range()).unwrap_or_default()
    }

    /// The segment without its addresses; `frame` is what this was parsed from.
    #[must_use]
    pub fn segment<'f>(&self, frame: &'f [u8]) -> TcpSegment<'f> {
        TcpSegment {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            ecn: Ecn::of_traffic_class(self.traffic_class),
            options: self.options,
            payload: self.payload(frame),
        }
    }

    /// Whether the lower end of [`key`](Self::key) sent it.
    #[must_use]
    pub const fn from_lower(&self) -> bool {
        self.from_lower
    }

    /// Like [`checksum_ok`](Self::checksum_ok) for the frame in `packet`, believing the port that has looked already. Ports
    /// do not agree on whose checksums they mean inside of a tunnel or behind options: there it is looked at again.
    #[must_use]
    pub fn intact(&self, packet: &impl PacketBuf) -> bool {
        self.at.intact(&self.key, packet)
    }

    /// Whether both the TCP checksum and the IPv4 header's are right; `frame` is what this was parsed from. A receiver
    /// drops a segment when they are not, so nothing may be concluded from it.
    #[must_use]
    pub fn checksum_ok(&self, frame: &[u8]) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
        //# The sender MUST generate it and the receiver MUST check it.
        self.at.checksum_ok(&self.key, frame)
    }
}
