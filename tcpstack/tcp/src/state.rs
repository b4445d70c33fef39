//! The states of RFC 9293 section 3.3.2, one struct each.
//!
//! A handler consumes its state and returns the next one; what the states share is the [`ControlBlock`] they are lent.

mod closed;
mod closing;
mod established;
mod opening;
mod time_wait;

use sluice_packet::{Instant, TcpSegment};

use crate::control::{ControlBlock, Screened};
pub(crate) use closed::Closed;
pub(crate) use closing::{CloseWait, Closing, FinWait1, FinWait2, LastAck};
pub(crate) use established::Established;
pub(crate) use opening::{SynReceived, SynSent};
pub(crate) use time_wait::TimeWait;

/// The name of a connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StateName {
    /// Our SYN waits for an answer.
    SynSent,
    /// Both SYNs are there; ours waits for its acknowledgement.
    SynReceived,
    /// Data goes both ways.
    Established,
    /// We finished; our FIN waits for its acknowledgement.
    FinWait1,
    /// Our FIN is acknowledged; the peer still sends.
    FinWait2,
    /// The peer finished; we still send.
    CloseWait,
    /// Both finished at once; our FIN waits for its acknowledgement.
    Closing,
    /// The peer finished first; our FIN waits for its acknowledgement.
    LastAck,
    /// Both finished; late segments are absorbed.
    TimeWait,
    /// Over.
    Closed,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer reset it.
    PeerReset,
    /// The peer did not answer within the configured time.
    TimedOut,
    /// We reset it.
    Aborted,
    /// Both ends finished and everything was acknowledged.
    Finished,
}

#[derive(Debug)]
pub(crate) enum State {
    SynSent(SynSent),
    SynReceived(SynReceived),
    Established(Established),
    FinWait1(FinWait1),
    FinWait2(FinWait2),
    CloseWait(CloseWait),
    Closing(Closing),
    LastAck(LastAck),
    TimeWait(TimeWait),
    Closed(Closed),
}

impl State {
    pub(crate) fn on_segment(
        self,
        core: &mut ControlBlock,
        now: Instant,
        segment: &TcpSegment<'_>,
    ) -> Self {
        match self {
            Self::SynSent(state) => state.on_segment(core, now, segment),
            Self::SynReceived(state) => state.on_segment(core, now, segment),
            Self::Established(state) => state.on_segment(core, now, segment),
            Self::FinWait1(state) => state.on_segment(core, now, segment),
            Self::FinWait2(state) => state.on_segment(core, now, segment),
            Self::CloseWait(state) => state.on_segment(core, now, segment),
            Self::Closing(state) => state.on_segment(core, now, segment),
            Self::LastAck(state) => state.on_segment(core, now, segment),
            Self::TimeWait(state) => state.on_segment(core, now, segment),
            Self::Closed(state) => state.on_segment(core, segment),
        }
    }

    /// The application has nothing more to send.
    pub(crate) fn finish(self, core: &mut ControlBlock) -> Self {
        match self {
            Self::SynSent(state) => state.finish(),
            Self::SynReceived(state) => state.finish(),
            Self::Established(state) => state.finish(core),
            Self::CloseWait(state) => state.finish(core),
            other => other,
        }
    }

    /// The application gives the connection up.
    pub(crate) fn abort(self, core: &mut ControlBlock) -> Self {
        match self {
            Self::Closed(state) => Self::Closed(state),
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.5
            //# Respond with "ok" and delete the TCB, enter CLOSED state, and return.
            Self::TimeWait(_) => close(core, CloseReason::Finished, false),
            // By the clauses' states: whoever has not sent its FIN yet is in CLOSE-WAIT or FIN-WAIT-1 there. Unlike there, a
            // peer that has not acknowledged all text is told: an ordinary host that gives up leaves it to the application
            // to notice, but whoever stands between two others would let the tail go missing without a word.
            Self::Closing(_) | Self::LastAck(_) => {
                let owed = core.send.fin_due() || !core.send.text_acknowledged();
                close(core, CloseReason::Aborted, owed)
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.5
            //# <SEQ=SND.NXT><CTL=RST>
            _ => close(core, CloseReason::Aborted, true),
        }
    }

    pub(crate) fn name(&self) -> StateName {
        match self {
            Self::SynSent(_) => StateName::SynSent,
            Self::SynReceived(_) => StateName::SynReceived,
            Self::Established(_) => StateName::Established,
            Self::FinWait1(_) => StateName::FinWait1,
            Self::FinWait2(_) => StateName::FinWait2,
            Self::CloseWait(_) => StateName::CloseWait,
            Self::Closing(_) => StateName::Closing,
            Self::LastAck(_) => StateName::LastAck,
            Self::TimeWait(_) => StateName::TimeWait,
            Self::Closed(_) => StateName::Closed,
        }
    }
}

/// Ends the connection.
pub(crate) fn close(core: &mut ControlBlock, reason: CloseReason, reset: bool) -> State {
    core.close(reason, reset);
    State::Closed(Closed)
}

/// The checks that all synchronised states begin with. `then` goes on with a segment whose ACK field was taken.
fn synchronised<S>(
    state: S,
    core: &mut ControlBlock,
    now: Instant,
    segment: &TcpSegment<'_>,
    then: impl FnOnce(S, &mut ControlBlock) -> State,
) -> State
where
    State: From<S>,
{
    match core.screen(now, segment) {
        Screened::Reset => close(core, CloseReason::PeerReset, false),
        Screened::Accept if core.take_acknowledgement(now, segment) => then(state, core),
        Screened::Accept | Screened::Drop => State::from(state),
    }
}

macro_rules! into_state {
    ($($name:ident),+) => {
        $(impl From<$name> for State {
            fn from(state: $name) -> Self {
                Self::$name(state)
            }
        })+
    };
}

into_state!(
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed
);
