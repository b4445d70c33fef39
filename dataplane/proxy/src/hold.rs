//! The client's first bytes, held until the ClientHello is whole.
//!
//! Packets are kept as they came, so that a bypassed flow gets its very own packets back; their bytes are put in order
//! on the side, for the reader. What overlaps must say the same twice: a flow that sends one ClientHello to the
//! inspector and another to the origin is malformed.

use sluice_packet::{Instant, PacketBuf, SeqNum, TcpFrame};
use smallvec::SmallVec;

use crate::limits::HELD_PACKETS_MAX;
use crate::unconfirmed::Unconfirmed;

/// What became of a packet offered to the hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Held; that many new in-order bytes can be read.
    Held {
        /// Bytes now readable by [`Hold::fresh`] that were not before.
        fresh: usize,
        /// Some of its bytes were held before.
        repeated: bool,
    },
    /// Nothing in it is new; the packet may be discarded.
    Duplicate,
    /// No room: the packet may be discarded, the client sends it again.
    Full,
    /// It contradicts bytes already held.
    Contradiction,
}

/// One held packet: where its payload lies in sequence space.
struct Item<B> {
    packet: B,
    seq: SeqNum,
    payload: core::ops::Range<usize>,
}

/// Packets of one client that await the decision.
pub(crate) struct Hold<B> {
    items: SmallVec<[Item<B>; 2]>,
    start: SeqNum,
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Bytes of the packets' buffers.
    packet_bytes: usize,
}

impl<B: PacketBuf> Hold<B> {
    /// An empty hold for a client whose first payload byte has sequence number `start`.
    pub(crate) fn new(start: SeqNum, bytes_max: usize) -> Self {
        Self {
            items: SmallVec::new(),
            start,
            bytes: Vec::new(),
            bytes_max,
            packet_bytes: 0,
        }
    }

    /// Packets held.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// True while nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// True when bytes that are neither held nor passed lie before `frame`.
    pub(crate) fn is_ahead(&self, frame: &TcpFrame) -> bool {
        frame.seq.gt(self.start)
    }

    /// All in-order bytes from the start of the stream.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The last `count` in-order bytes.
    pub(crate) fn fresh(&self, count: usize) -> &[u8] {
        self.bytes
            .get(self.bytes.len().saturating_sub(count)..)
            .unwrap_or_default()
    }

    /// Offers a packet with payload; gives it back unless it was kept.
    pub(crate) fn offer(&mut self, packet: B, frame: &TcpFrame) -> (Kept, Option<B>) {
        let payload = frame.payload_range();
        let len = payload.len();
        let offset = frame.seq.distance(self.start);
        let Ok(begin) = usize::try_from(offset) else {
            // Keep-alive probes and retransmissions from before the stream's start carry nothing to hold.
            return (Kept::Duplicate, Some(packet));
        };
        if begin + len > self.bytes_max || self.items.len() >= HELD_PACKETS_MAX {
            return (Kept::Full, Some(packet));
        }
        let bytes = packet.frame().get(payload.clone()).unwrap_or_default();
        if self.contradicts(begin, bytes) {
            return (Kept::Contradiction, Some(packet));
        }
        if begin + len <= self.bytes.len() || self.holds_exactly(frame.seq, len) {
            return (Kept::Duplicate, Some(packet));
        }
        let repeated = begin < self.bytes.len();
        self.packet_bytes += packet.buffer_bytes();
        self.items.push(Item {
            packet,
            seq: frame.seq,
            payload,
        });
        let before = self.bytes.len();
        self.extend();
        (
            Kept::Held {
                fresh: self.bytes.len() - before,
                repeated,
            },
            None,
        )
    }

    /// Keeps a packet without payload (a FIN behind held data) in its place.
    pub(crate) fn keep(&mut self, packet: B, frame: &TcpFrame) -> Option<B> {
        if self.items.len() >= HELD_PACKETS_MAX {
            return Some(packet);
        }
        self.packet_bytes += packet.buffer_bytes();
        self.items.push(Item {
            packet,
            seq: frame.seq,
            payload: 0..0,
        });
        None
    }

    /// The packets in the order in which they came.
    pub(crate) fn release(&mut self) -> impl Iterator<Item = B> + '_ {
        self.packet_bytes = 0;
        self.items.drain(..).map(|item| item.packet)
    }

    /// The bytes that were read, to be remembered until they have arrived.
    pub(crate) fn into_unconfirmed(self, now: Instant) -> Option<Unconfirmed> {
        Unconfirmed::new(self.start, self.bytes, now)
    }

    /// Bytes of the buffers of the packets held and of what was read from them.
    pub(crate) fn held_bytes(&self) -> usize {
        self.packet_bytes + self.bytes.capacity()
    }

    /// Heap bytes, the packets not counted.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.items.len() * size_of::<Item<B>>()
    }

    fn contradicts(&self, begin: usize, bytes: &[u8]) -> bool {
        let end = self.bytes.len().min(begin + bytes.len());
        let ordered = self.bytes.get(begin..end).unwrap_or_default();
        let overlap = bytes.get(..ordered.len()).unwrap_or_default();
        if ordered != overlap {
            return true;
        }
        self.items
            .iter()
            .any(|item| self.item_contradicts(item, begin, bytes))
    }

    /// Compares with a packet that may lie beyond the in-order bytes.
    fn item_contradicts(&self, item: &Item<B>, begin: usize, bytes: &[u8]) -> bool {
        let Ok(item_begin) = usize::try_from(item.seq.distance(self.start)) else {
            return false;
        };
        let held = item
            .packet
            .frame()
            .get(item.payload.clone())
            .unwrap_or_default();
        let from = begin.max(item_begin);
        let to = (begin + bytes.len()).min(item_begin + held.len());
        if from >= to {
            return false;
        }
        bytes.get(from - begin..to - begin) != held.get(from - item_begin..to - item_begin)
    }

    fn holds_exactly(&self, seq: SeqNum, len: usize) -> bool {
        self.items
            .iter()
            .any(|item| item.seq == seq && item.payload.len() >= len)
    }

    /// Appends every held byte that continues the in-order bytes.
    fn extend(&mut self) {
        loop {
            let have = self.bytes.len();
            let next = self.items.iter().find_map(|item| {
                let begin = usize::try_from(item.seq.distance(self.start)).ok()?;
                let held = item.packet.frame().get(item.payload.clone())?;
                let skip = have.checked_sub(begin)?;
                held.get(skip..).filter(|rest| !rest.is_empty())
            });
            match next {
                Some(rest) => self.bytes.extend_from_slice(rest),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
