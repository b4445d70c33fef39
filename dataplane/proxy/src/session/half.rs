//! One half of a session: the TCP connection to one real end, wearing the other end's clothes.

use sluice_packet::{Instant, PathTemplate, SegmentId, Side};
use sluice_tcp::{CloseReason, Connection};
use sluice_telemetry::{Counter, DropReason};

use crate::{Effects, Finishing};

/// The connection to one real end.
pub(crate) struct Half {
    pub(crate) tcp: Connection,
    /// Headers of what is written to this end.
    path: PathTemplate,
    /// The port behind which this end lives.
    side: Side,
    /// Retransmissions and segments out of order already counted.
    counted: (u64, u64),
}

impl Half {
    pub(crate) fn new(tcp: Connection, path: PathTemplate, side: Side) -> Self {
        Self {
            tcp,
            path,
            side,
            counted: (0, 0),
        }
    }

    /// Puts everything on the wire that may go now.
    pub(crate) fn transmit(&mut self, segment: SegmentId, now: Instant, out: &mut dyn Effects) {
        let path = &self.path;
        let finishing = if path.outer().is_none() {
            out.finishing(segment, self.side)
        } else {
            Finishing::default()
        };
        while let Some(outgoing) = self.tcp.poll_transmit(now) {
            let payload = outgoing.segment.payload.len() + outgoing.rest.len();
            let len = path.header_bytes() + outgoing.segment.options.wire_bytes() + payload;
            let (head, rest) = (&outgoing.segment, outgoing.rest);
            let written = if finishing.checksums {
                out.emit_unfinished(segment, self.side, len, &mut |buffer| {
                    sluice_packet::emit_unfinished(buffer, path, head, rest, 0).ok()
                })
            } else {
                out.emit(segment, self.side, len, &mut |buffer| {
                    sluice_packet::emit(buffer, path, head, rest).unwrap_or(0)
                })
            };
            if !written {
                // As if the network had lost it: the retransmission timer sends it again.
                out.count(Counter::Drop(DropReason::NoBuffer), 1);
            }
        }
        let stats = self.tcp.stats();
        let (retransmits, out_of_order) = (stats.retransmits, stats.out_of_order);
        let before = core::mem::replace(&mut self.counted, (retransmits, out_of_order));
        if before != self.counted {
            out.count(Counter::TcpRetransmits, retransmits - before.0);
            out.count(Counter::TcpOutOfOrder, out_of_order - before.1);
        }
    }

    /// True when the peer has sent its last byte and all of it was consumed.
    pub(crate) fn drained(&mut self) -> bool {
        self.tcp.peer_finished() && self.tcp.received().is_empty()
    }

    /// True when the connection ended other than by both FINs.
    pub(crate) fn broken(&self) -> bool {
        self.tcp.is_closed() && self.tcp.closed_by() != Some(CloseReason::Finished)
    }
}
