//! What policy has read of a flow that passes, until its receiver has it.
//!
//! A packet that was released may get lost behind the appliance, by chance or because it was made to: its TTL ends there,
//! or its receiver refuses an option, an acknowledgement, a timestamp of it. Its sender could then say something else in its
//! place, and policy would have decided upon a stream that nobody received. So until the origin acknowledges what was read,
//! nothing that contradicts it passes.

use sluice_packet::{Instant, SeqNum, TcpFrame};

use crate::limits::UNCONFIRMED_TIMEOUT;

/// The client's bytes that were read, and not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    start: SeqNum,
    bytes: Vec<u8>,
    since: Instant,
    /// In the queue of flows of which something is remembered.
    pub(crate) queued: bool,
}

impl Unconfirmed {
    /// None where nothing was read.
    pub(crate) fn new(start: SeqNum, bytes: Vec<u8>, now: Instant) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self {
            start,
            bytes,
            since: now,
            queued: false,
        })
    }

    /// When it is no longer waited for, whatever comes meanwhile.
    pub(crate) fn until(&self) -> Instant {
        self.since + UNCONFIRMED_TIMEOUT
    }

    /// Whether a packet of the client's says nothing but what was read, wherever it says anything about that.
    pub(crate) fn admits(&self, tcp: &TcpFrame, frame: &[u8]) -> bool {
        let payload = tcp.payload(frame);
        if payload.is_empty() {
            return true;
        }
        if tcp.flags.syn() {
            // Its text begins one further, for those who take any.
            return false;
        }
        let distance = tcp.seq.distance(self.start);
        let skipped = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
        let (said, read) = if distance < 0 {
            (
                payload.get(skipped..).unwrap_or_default(),
                self.bytes.as_slice(),
            )
        } else {
            (payload, self.bytes.get(skipped..).unwrap_or_default())
        };
        said.iter().zip(read).all(|(said, read)| said == read)
    }

    /// Whether a packet of the origin's acknowledges all of it.
    pub(crate) fn is_confirmed_by(&self, tcp: &TcpFrame, frame: &[u8]) -> bool {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        tcp.flags.ack() && tcp.ack.ge(self.start + len) && tcp.checksum_ok(frame)
    }

    /// Heap bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}
