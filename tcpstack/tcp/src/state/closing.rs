//! The states in which at least one end has finished: FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK.

use sluice_packet::{Instant, TcpSegment};

use super::{CloseReason, State, TimeWait, close, synchronised};
use crate::control::ControlBlock;

/// We finished; our FIN waits for its acknowledgement.
#[derive(Debug)]
pub(crate) struct FinWait1;

impl FinWait1 {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        synchronised(self, core, now, segment, |state, core| {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //# if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in that state.
            let acknowledged = core.send.fin_acknowledged();
            let peer_finished = core.take_text(now, segment);
            match (acknowledged, peer_finished) {
                (false, false) => State::FinWait1(state),
                (true, false) => State::FinWait2(FinWait2),
                (false, true) => State::Closing(Closing),
                (true, true) => TimeWait::enter(core, now),
            }
        })
    }
}

/// Our FIN is acknowledged; the peer still sends.
#[derive(Debug)]
pub(crate) struct FinWait2;

impl FinWait2 {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        synchronised(self, core, now, segment, |state, core| {
            if core.take_text(now, segment) {
                TimeWait::enter(core, now)
            } else {
                State::FinWait2(state)
            }
        })
    }
}

/// The peer finished; we still send.
#[derive(Debug)]
pub(crate) struct CloseWait;

impl CloseWait {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# This should not occur since a FIN has been received from the remote side. Ignore the segment text.
        synchronised(self, core, now, segment, |state, _| State::CloseWait(state))
    }

    pub(crate) fn finish(self, core: &mut ControlBlock) -> State {
        core.send.finish();
        State::LastAck(LastAck)
    }
}

/// Both finished at once; our FIN waits for its acknowledgement.
#[derive(Debug)]
pub(crate) struct Closing;

impl Closing {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        synchronised(self, core, now, segment, |state, core| {
            if core.send.fin_acknowledged() {
                TimeWait::enter(core, now)
            } else {
                State::Closing(state)
            }
        })
    }
}

/// The peer finished first; our FIN waits for its acknowledgement.
#[derive(Debug)]
pub(crate) struct LastAck;

impl LastAck {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        synchronised(self, core, now, segment, |state, core| {
            if core.send.fin_acknowledged() {
                close(core, CloseReason::Finished, false)
            } else {
                State::LastAck(state)
            }
        })
    }
}
