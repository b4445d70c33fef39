//! A segment ready for the wire.

use sluice_packet::{TcpFlags, TcpSegment};

use crate::sequence::{length, size};

/// The next segment to send. Its payload is `segment.payload` followed by `rest`, both borrowed from the send buffer.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Header fields, options and the first part of the payload.
    pub segment: TcpSegment<'a>,
    /// The payload's second part; empty unless the buffer wraps inside it. Always empty if there is something to cut.
    pub rest: &'a [u8],
    /// Payload bytes of each segment that this one has to be cut into before it leaves, the last one excepted; zero if it
    /// leaves as it is. What cuts it, a port or [`pieces`](Self::pieces), repeats the header with sequence numbers counted
    /// on, leaves CWR to the first piece, and PSH and FIN to the last.
    pub cut: u16,
}

impl Outgoing<'_> {
    /// The segments that leave, for a port that does not cut.
    pub fn pieces(&self) -> impl Iterator<Item = TcpSegment<'_>> {
        let payload = self.segment.payload;
        let step = if self.cut == 0 {
            payload.len()
        } else {
            usize::from(self.cut)
        }
        .max(1);
        let count = payload.len().div_ceil(step).max(1);
        (0..count).map(move |index| {
            let start = index * step;
            let end = (start + step).min(payload.len());
            let mut flags = self.segment.flags;
            if index > 0 {
                flags = flags.without(TcpFlags::CWR);
            }
            if index + 1 < count {
                flags = flags.without(TcpFlags::FIN | TcpFlags::PSH);
            }
            TcpSegment {
                seq: self.segment.seq + length(start),
                flags,
                payload: payload.get(start..end).unwrap_or(&[]),
                ..self.segment
            }
        })
    }

    /// Wire segments in it.
    pub(crate) fn count(payload: u32, cut: u16) -> u64 {
        if cut == 0 {
            1
        } else {
            size(payload).div_ceil(usize::from(cut)) as u64
        }
    }
}
