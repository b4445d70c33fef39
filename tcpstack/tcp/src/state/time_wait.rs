//! TIME-WAIT.

use sluice_packet::{Instant, TcpSegment};

use super::State;
use crate::control::ControlBlock;
use crate::timers::Timer;

/// Both finished; late segments are absorbed until twice the maximum segment lifetime has passed.
#[derive(Debug)]
pub(crate) struct TimeWait;

impl TimeWait {
    pub(crate) fn enter(core: &mut ControlBlock, now: Instant) -> State {
        core.rest();
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
        //# When a connection is closed actively, it MUST linger in the TIME-WAIT state for a time 2xMSL (Maximum Segment Lifetime)
        core.timers
            .set(Timer::TimeWait, now + core.settings.time_wait());
        State::TimeWait(Self)
    }

    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> State {
        //= https://www.rfc-editor.org/rfc/rfc1337#section-3
        //# F1) Ignore RST segments in TIME-WAIT state.
        if segment.flags.rst() {
            return State::TimeWait(self);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart
        //# the 2 MSL timeout.
        if segment.flags.fin() && segment.seq + segment.sequence_len() == core.receive.next() {
            core.timers
                .set(Timer::TimeWait, now + core.settings.time_wait());
        }
        // Everything else is old: screening owes the acknowledgement that says so.
        core.screen(now, segment);
        core.timers.stop(Timer::Keepalive);
        State::TimeWait(self)
    }
}
