//! What a worker hands back to the loop that drives it.

use sluice_flow::Packet;
use sluice_packet::{SegmentId, Side, Unfinished};
use sluice_pki::{ForgeError, ForgeRequest, ForgedLeaf};
use sluice_telemetry::{Counter, DropReason, FlowRecord, SystemEvent};

/// What a session does to the world outside its core, whatever packets are made of.
pub trait Effects {
    /// Writes a frame of at most `len` bytes into a fresh buffer and queues it for `to`. `write` returns the bytes written.
    /// False when there was no buffer; nothing was sent then.
    fn emit(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool;

    /// How many further frames the port on that side takes now, as far as can be told. What is written beyond that is lost.
    fn room(&mut self, _segment: SegmentId, _to: Side) -> usize {
        usize::MAX
    }

    /// What the port on that side finishes of the next frame written for it. That it cuts is said only while a buffer for a
    /// segment to be cut is at hand.
    fn finishing(&mut self, _segment: SegmentId, _to: Side) -> Finishing {
        Finishing::default()
    }

    /// Like [`emit`](Self::emit), for a frame that the port finishes as it said in [`finishing`](Self::finishing). `write`
    /// returns the bytes written and where the headers are.
    fn emit_unfinished(
        &mut self,
        _segment: SegmentId,
        _to: Side,
        _len: usize,
        _write: &mut WriteUnfinished<'_>,
    ) -> bool {
        false
    }

    /// Logs what became of a flow.
    fn event(&mut self, record: FlowRecord);

    /// Logs what happened to the appliance. Without a log of its own an implementation may let it go.
    fn system(&mut self, event: SystemEvent) {
        drop(event);
    }

    /// Hands a leaf to a helper thread; the answer comes back by [`crate::Worker::on_completion`].
    fn submit(&mut self, job: ForgeJob);

    /// Moves a counter up.
    fn count(&mut self, counter: Counter, by: u64);

    /// Sets a gauge.
    fn gauge(&mut self, counter: Counter, value: u64);
}

/// Writes a frame into a buffer; returns the bytes written and where the headers are.
pub type WriteUnfinished<'w> = dyn FnMut(&mut [u8]) -> Option<(usize, Unfinished)> + 'w;

/// What a port does to the frames that are written for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finishing {
    /// It fills in their checksums.
    pub checksums: bool,
    /// It cuts segments of at most [`LARGE_SEGMENT_BYTES_MAX`](crate::limits::LARGE_SEGMENT_BYTES_MAX) of payload, and
    /// fills in the checksums of the pieces.
    pub cuts: bool,
}

/// The far side of a [`crate::Worker`]: ports, pool, rings and helper threads; vectors in tests.
pub trait Output<B>: Effects {
    /// Sends a packet on as it came, out of `to`.
    fn forward(&mut self, segment: SegmentId, to: Side, packet: B);

    /// Gives a packet back to its pool, and counts why.
    fn discard(&mut self, packet: B, reason: DropReason);

    /// Gives a datagram that was put together from fragments to the core that owns its flow, if that is another one; the
    /// other core takes it by [`crate::Worker::on_reassembled`].
    fn reassembled(
        &mut self,
        _segment: SegmentId,
        _from: Side,
        packet: Packet<B>,
    ) -> Option<Packet<B>> {
        Some(packet)
    }

    /// Gives a packet back to its pool whose content a session has taken.
    fn consume(&mut self, packet: B) {
        drop(packet);
    }
}

/// A leaf to be forged off the core.
#[derive(Debug)]
pub struct ForgeJob {
    /// Comes back with the answer.
    pub id: u64,
    /// What to forge.
    pub request: ForgeRequest,
}

/// A helper thread's answer.
#[derive(Debug)]
pub struct ForgeDone {
    /// The job's id.
    pub id: u64,
    /// The leaf, or why there is none.
    pub result: Result<ForgedLeaf, ForgeError>,
}
