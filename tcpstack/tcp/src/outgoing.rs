//! A segment ready for the wire.

use sluice_packet::TcpSegment;

/// The next segment to send. Its payload is `segment.payload` followed by `rest`, both borrowed from the send buffer.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Header fields, options and the first part of the payload.
    pub segment: TcpSegment<'a>,
    /// The payload's second part; empty unless the buffer wraps inside it.
    pub rest: &'a [u8],
}
