//! What becomes of segments that were sent again although they had arrived.

use sluice_packet::{SackBlock, SeqNum, TcpSegment};

use super::ControlBlock;
use crate::flight::{Arrival, Delivered};
use crate::recovery::Phase;

impl ControlBlock {
    pub(super) fn may_have_arrived(&self, block: &SackBlock) -> bool {
        block.left.lt(block.right) && block.right.le(self.send.max())
    }

    /// The peer received the text of `block` twice.
    pub(super) fn take_duplicate(&mut self, block: SackBlock, delivered: &mut Delivered) {
        self.stats.duplicate_sacks += 1;
        // RFC 8985 counts any (section 6.2). What the network doubled is no sign that something was sent again too soon, and
        // would make every repair on such a path wait: only what was sent again counts, or may have been.
        let repeated = self
            .before_loss
            .recall()
            .is_some_and(|undo| undo.has_repeated(block.left, block.right));
        delivered.duplicate =
            repeated || self.stats.duplicate_sacks.get() <= self.stats.retransmits.get();
        if self
            .recovery
            .tail_probe
            .is_some_and(|probe| probe.repeated && block.right == probe.end)
        {
            // The probe was not needed: the original had arrived.
            self.recovery.tail_probe = None;
        }
        delivered.needless |= self
            .before_loss
            .recall()
            .is_some_and(|undo| undo.on_duplicate(block.left, block.right));
    }

    /// Notes which segments were sent again although, by the timestamp of an acknowledgement, it was the originals that came.
    /// True when with this none is left that was sent again for a reason.
    pub(super) fn note_originals(&mut self, ack: SeqNum, arrival: &Arrival) -> bool {
        let Some(undo) = self.before_loss.recall() else {
            return false;
        };
        let mut needless = false;
        for start in self.flight.originals(ack, arrival) {
            needless |= undo.on_original(start);
        }
        needless
    }

    /// There was no loss, unless something still counts as lost: the congestion window may become what it was. `acknowledged`
    /// bytes were when this was found out.
    pub(super) fn take_back(&mut self, acknowledged: u32) {
        if self.flight.has_lost() {
            return;
        }
        let in_network = self.in_network();
        let Some(undo) = self.before_loss.recall() else {
            return;
        };
        self.stats.reductions_taken_back += 1;
        self.congestion
            .restore(undo.congestion(), in_network, acknowledged);
        self.before_loss.forget();
        self.recovery.forget_reductions();
        self.recovery.phase = Phase::Open;
        self.recovery.forced = false;
    }
}

/// The text that an acknowledgement reports as received twice.
pub(super) fn duplicate_block(segment: &TcpSegment<'_>) -> Option<SackBlock> {
    let mut blocks = segment.options.sack.iter();
    let first = blocks.next()?;
    //= https://www.rfc-editor.org/rfc/rfc2883#section-5
    //# If the SACK sequence space is less than this cumulative ACK, it is an indication that the segment identified by the SACK
    //# block has been received more than once by the receiver. An implementation MUST NOT compare the sequence space in the SACK
    //# block to the TCP state variable snd.una (which carries the total cumulative ACK), as this may result in the wrong
    //# conclusion if ACK packets are reordered.
    let acknowledged = first.right.le(segment.ack);
    //= https://www.rfc-editor.org/rfc/rfc2883#section-5
    //# If the sequence space in the first SACK block is greater than the cumulative ACK, then the sender next compares the
    //# sequence space in the first SACK block with the sequence space in the second SACK block, if there is one.
    let held = blocks
        .next()
        .is_some_and(|second| second.left.le(first.left) && first.right.le(second.right));
    (acknowledged || held).then_some(first)
}
