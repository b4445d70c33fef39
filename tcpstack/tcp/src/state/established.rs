//! ESTABLISHED.

use sluice_packet::{Instant, TcpSegment};

use super::{CloseWait, FinWait1, State, synchronised};
use crate::control::ControlBlock;

/// Data goes both ways.
#[derive(Debug)]
pub(crate) struct Established;

impl Established {
    /// Both SYNs are acknowledged.
    pub(crate) fn enter(core: &mut ControlBlock, finish_wanted: bool) -> State {
        core.open();
        if finish_wanted {
            Self.finish(core)
        } else {
            State::Established(Self)
        }
    }

    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        synchronised(self, core, now, segment, |state, core| {
            if core.take_text(now, segment) {
                State::CloseWait(CloseWait)
            } else {
                State::Established(state)
            }
        })
    }

    pub(crate) fn finish(self, core: &mut ControlBlock) -> State {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.4
        //# Queue this until all preceding SENDs have been segmentized, then form a FIN segment and send it. In any case, enter
        //# FIN-WAIT-1 state.
        core.send.finish();
        State::FinWait1(FinWait1)
    }
}
