//! CLOSED.

use sluice_packet::TcpSegment;

use super::State;
use crate::control::ControlBlock;

/// Over. What was received and not read is still there.
#[derive(Debug)]
pub(crate) struct Closed;

impl Closed {
    pub(crate) fn on_segment(self, core: &mut ControlBlock, segment: &TcpSegment<'_>) -> State {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
        //# An incoming segment not containing a RST causes a RST to be sent in response.
        core.answer_with_reset(segment);
        State::Closed(self)
    }
}
