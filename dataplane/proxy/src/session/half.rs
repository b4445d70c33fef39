//! One half of a session: the TCP connection to one real end, wearing the other end's clothes.

use core::mem::offset_of;
use core::ops::Range;

use sluice_packet::{
    CacheLines, Encapsulation, FlowKey, Instant, LinkTemplate, PathTemplate, SegmentId, Side,
    TcpSegment,
};
use sluice_tcp::{CloseReason, Connection, Outgoing, Repairs};
use sluice_telemetry::{Counter, DropReason};

use super::back_off::BackOff;
use crate::limits::LARGE_SEGMENT_BYTES_MAX;
use crate::{Effects, Finishing};

/// The connection to one real end. What frames wear stands next to what every segment reads of the connection.
#[repr(C)]
pub(crate) struct Half {
    lines: CacheLines,
    headers: Headers,
    /// The port behind which this end lives.
    side: Side,
    /// Bytes at the end of what it was given to send that say only that nothing follows.
    pub(super) goodbye_bytes: u32,
    /// What is counted already.
    counted: Repairs,
    /// Since its port took no more.
    back_off: BackOff,
    pub(crate) tcp: Connection,
}

const TCP_AT: usize = offset_of!(Half, tcp);

const _: () = assert!(
    TCP_AT + Connection::BUSY.end <= 8 * 64,
    "a segment that is only heard reads eight cache lines of its half"
);

/// What frames to one real end wear. Addresses and ports are in the flow's key, which every packet was compared with.
struct Headers {
    link: LinkTemplate,
    /// The end is the lower one of the key.
    to_lower: bool,
    outer: Option<Box<Encapsulation>>,
}

impl Headers {
    fn path(&self, key: &FlowKey) -> PathTemplate {
        let source = if self.to_lower {
            key.higher()
        } else {
            key.lower()
        };
        let path = self.link.with_source(key, source);
        match self.outer.as_deref() {
            Some(outer) => path.within(Some(*outer)),
            None => path,
        }
    }

    /// What the port on that side does to the next frame that wears them.
    fn finishing(&self, segment: SegmentId, side: Side, out: &mut dyn Effects) -> Finishing {
        if self.outer.is_none() {
            out.finishing(segment, side)
        } else {
            Finishing::default()
        }
    }
}

/// How frames to one real end leave.
struct Way<'a> {
    segment: SegmentId,
    side: Side,
    path: &'a PathTemplate,
    finishing: Finishing,
}

impl Way<'_> {
    /// One segment as it leaves. False when it was lost for want of a buffer.
    fn send(&self, head: &TcpSegment<'_>, rest: &[u8], out: &mut dyn Effects) -> bool {
        let len = self.len(head, rest.len());
        let written = if self.finishing.checksums {
            out.emit_unfinished(self.segment, self.side, len, &mut |buffer| {
                sluice_packet::emit_unfinished(buffer, self.path, head, rest, 0).ok()
            })
        } else {
            out.emit(self.segment, self.side, len, &mut |buffer| {
                sluice_packet::emit(buffer, self.path, head, rest).unwrap_or(0)
            })
        };
        if !written {
            // As if the network had lost it: the retransmission timer sends it again.
            out.count(Counter::Drop(DropReason::NoBuffer), 1);
        }
        written
    }

    /// One large segment, for the port to cut. False when it was lost for want of a buffer.
    fn send_uncut(&self, outgoing: &Outgoing<'_>, out: &mut dyn Effects) -> bool {
        let len = self.len(&outgoing.segment, 0);
        let written = out.emit_unfinished(self.segment, self.side, len, &mut |buffer| {
            sluice_packet::emit_unfinished(buffer, self.path, &outgoing.segment, &[], outgoing.cut)
                .ok()
        });
        if !written {
            out.count(Counter::Drop(DropReason::NoBuffer), 1);
        }
        written
    }

    fn len(&self, head: &TcpSegment<'_>, rest: usize) -> usize {
        self.path.header_bytes() + head.options.wire_bytes() + head.payload.len() + rest
    }
}

impl Half {
    /// `path` is what frames to this end wear, which has that place in the flow's key.
    pub(crate) fn new(
        tcp: Connection,
        path: &PathTemplate,
        (side, is_lower): (Side, bool),
    ) -> Self {
        Self {
            lines: CacheLines::default(),
            tcp,
            headers: Headers {
                link: *path.link(),
                to_lower: is_lower,
                outer: path.outer().copied().map(Box::new),
            },
            side,
            goodbye_bytes: 0,
            counted: Repairs::default(),
            back_off: BackOff::default(),
        }
    }

    /// Asks for what [`Self::next_timeout`] reads.
    pub(super) fn fetch_deadlines(&self) {
        let back_off = offset_of!(Self, back_off);
        self.lines.fetch(back_off..TCP_AT + Connection::TIMERS.end);
    }

    /// Asks for what the next turn will read; besides, if it `sends` something or waits for an acknowledgement, for what that
    /// needs.
    pub(super) fn fetch(&self, sends: bool) {
        self.lines.fetch(0..TCP_AT + Connection::BUSY.end);
        if sends {
            let Range { start, end } = Connection::SENDING;
            self.lines.fetch(TCP_AT + start..TCP_AT + end);
        }
    }

    /// Bytes of memory this holds, as near as can be told.
    pub(super) fn memory_bytes(&self) -> usize {
        let outer = self.headers.outer.as_deref().map_or(0, size_of_val);
        self.tcp.memory_bytes() + outer
    }

    /// Puts everything on the wire that may go now. When the port takes no more of it, the rest stays with the connection, as
    /// if its window were closed, and waits for another try.
    pub(crate) fn transmit(&mut self, key: &FlowKey, now: Instant, out: &mut dyn Effects) {
        let taken = self.offer(key, now, out);
        self.back_off.note(taken, now);
        let repairs = self.tcp.repairs();
        if repairs != self.counted {
            let before = core::mem::replace(&mut self.counted, repairs);
            let retransmits = repairs.retransmits - before.retransmits;
            let out_of_order = repairs.out_of_order - before.out_of_order;
            out.count(Counter::TcpRetransmits, u64::from(retransmits));
            out.count(Counter::TcpOutOfOrder, u64::from(out_of_order));
        }
    }

    /// Sends the acknowledgement that has to go out before the next segment is heard, if there is one. Without room for it, it
    /// goes with what is sent at the end of the turn, as the last one does: its window is that of what was read by then.
    pub(crate) fn acknowledge(&mut self, key: &FlowKey, now: Instant, out: &mut dyn Effects) {
        let segment = key.segment();
        if !self.tcp.owes_before_next() || out.room(segment, self.side) == 0 {
            return;
        }
        let finishing = self.headers.finishing(segment, self.side, out);
        if let Some(outgoing) = self.tcp.poll_acknowledgement(now) {
            let way = Way {
                segment,
                side: self.side,
                path: &self.headers.path(key),
                finishing,
            };
            way.send(&outgoing.segment, outgoing.rest, out);
        }
    }

    /// When something is due on this half.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.back_off.until().or_else(|| self.tcp.next_timeout())
    }

    /// Writes what may go now. False when there is more than the port took.
    fn offer(&mut self, key: &FlowKey, now: Instant, out: &mut dyn Effects) -> bool {
        let segment = key.segment();
        let mut path = None;
        let mut taken = true;
        while taken {
            let room = out.room(segment, self.side);
            if room == 0 {
                taken = !self.tcp.may_transmit();
                break;
            }
            let finishing = self.headers.finishing(segment, self.side, out);
            // What the port cuts takes one place, and what is cut here one for each piece.
            let bytes_max = if finishing.cuts {
                LARGE_SEGMENT_BYTES_MAX
            } else {
                let room = u32::try_from(room).unwrap_or(u32::MAX);
                let fits = self.tcp.segment_payload_bytes().saturating_mul(room);
                fits.min(LARGE_SEGMENT_BYTES_MAX)
            };
            let Some(outgoing) = self.tcp.poll_transmit_large(now, bytes_max) else {
                break;
            };
            let way = Way {
                segment,
                side: self.side,
                path: path.get_or_insert_with(|| self.headers.path(key)),
                finishing,
            };
            if outgoing.cut == 0 {
                taken = way.send(&outgoing.segment, outgoing.rest, out);
            } else if finishing.cuts {
                taken = way.send_uncut(&outgoing, out);
            } else {
                for piece in outgoing.pieces() {
                    taken &= way.send(&piece, &[], out);
                }
            }
        }
        taken
    }

    /// It has received what the other half may send on.
    pub(super) fn has_text(&self) -> bool {
        self.tcp.received_bytes() > 0
    }

    /// True when the peer has sent its last byte and all of it was consumed.
    pub(crate) fn drained(&mut self) -> bool {
        self.tcp.peer_finished() && self.tcp.received().is_empty()
    }

    /// True while, or if, its peer has not acknowledged what the other end said.
    pub(super) fn owes(&self) -> bool {
        self.tcp.unacknowledged_bytes() > self.goodbye_bytes
    }

    /// True when the connection ended other than by both FINs.
    pub(crate) fn broken(&self) -> bool {
        self.tcp.is_closed() && self.tcp.closed_by() != Some(CloseReason::Finished)
    }
}
