//! SYN-SENT and SYN-RECEIVED.

use sluice_packet::{Instant, TcpFlags, TcpSegment};

use super::{CloseReason, Established, State, close};
use crate::control::{ControlBlock, Screened};

/// Our SYN waits for an answer.
#[derive(Debug, Default)]
pub(crate) struct SynSent {
    finish_wanted: bool,
}

impl SynSent {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        let acknowledges = segment.flags.ack();
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
        //# If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so drop the segment and
        //# return)
        if acknowledges && (segment.ack.le(core.send.una()) || segment.ack.gt(core.send.max())) {
            core.answer_with_reset(segment);
            return State::SynSent(self);
        }
        if segment.flags.rst() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
            //# If the ACK was acceptable, then signal to the user "error: connection reset", drop the segment, enter CLOSED
            //# state, delete TCB, and return. Otherwise (no ACK), drop the segment and return.
            return if acknowledges {
                close(core, CloseReason::PeerReset, false)
            } else {
                State::SynSent(self)
            };
        }
        if !segment.flags.syn() {
            return State::SynSent(self);
        }
        core.take_syn(segment, now);
        if !acknowledges {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
            //# Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
            core.repeat_syn();
            return State::SynReceived(SynReceived {
                finish_wanted: self.finish_wanted,
            });
        }
        core.acknowledge_at_once();
        if !core.take_acknowledgement(now, segment) {
            return State::SynSent(self);
        }
        let established = Established::enter(core, self.finish_wanted);
        // Text beside the SYN is taken as if it had come after it.
        let rest = behind_syn(core, segment);
        if rest.sequence_len() == 0 {
            established
        } else {
            established.on_segment(core, now, &rest)
        }
    }

    pub(crate) fn finish(self) -> State {
        State::SynSent(Self {
            finish_wanted: true,
        })
    }
}

/// Both SYNs are there; ours waits for its acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct SynReceived {
    finish_wanted: bool,
}

impl SynReceived {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        if segment.flags.syn() && !segment.flags.rst() && segment.seq + 1 == core.receive.next() {
            core.take_syn_again(segment);
            if !segment.flags.ack() {
                // The peer's SYN again: our answer was lost.
                core.repeat_syn();
                return State::SynReceived(self);
            }
            // Simultaneous open: the peer's SYN-ACK repeats the SYN and acknowledges ours.
            let rest = behind_syn(core, segment);
            core.acknowledge_at_once();
            return self.on_segment(core, now, &rest);
        }
        match core.screen(now, segment) {
            Screened::Reset => return close(core, CloseReason::PeerReset, false),
            Screened::Drop => return State::SynReceived(self),
            Screened::Accept if !segment.flags.ack() => return State::SynReceived(self),
            Screened::Accept => {}
        }
        if segment.ack.le(core.send.una()) || segment.ack.gt(core.send.max()) {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //# If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST>
            core.answer_with_reset(segment);
            return State::SynReceived(self);
        }
        Established::enter(core, self.finish_wanted).on_segment(core, now, segment)
    }

    pub(crate) fn finish(self) -> State {
        State::SynReceived(Self {
            finish_wanted: true,
        })
    }
}

/// What a segment with a SYN says behind it. In a SYN the flags of RFC 3168 mean something else, and are done with.
fn behind_syn<'a>(core: &ControlBlock, segment: &TcpSegment<'a>) -> TcpSegment<'a> {
    TcpSegment {
        seq: segment.seq + 1,
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
        //# The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled.
        window: core.send.field_of(segment.window),
        flags: segment
            .flags
            .without(TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR),
        ..*segment
    }
}
