//! What happens to all flows of a core at once: layer-2 fallback, exhaustion, and the clearing of sessions.

use sluice_flow::{FlowId, Packet};
use sluice_packet::PacketBuf;
use sluice_schema::OnExhaustion;
use sluice_telemetry::{Counter, DecisionCode, EndReason, FallbackReason, FallbackReasons};

use crate::Now;
use crate::flow::{Blocked, State};
use crate::generation::Resets;
use crate::intake::Frames;
use crate::output::{Effects, Output};
use crate::passing::settle;
use crate::session::Turn;
use crate::worker::Worker;

/// Why new flows are not taken over, whatever policy says.
#[derive(Debug, Default)]
pub(crate) struct Degraded {
    fallback: FallbackReasons,
    exhausted: Option<OnExhaustion>,
}

impl Degraded {
    /// The code by which a flow that is not decided yet passes, if that is so.
    pub(crate) fn passes(&self) -> Option<DecisionCode> {
        if self.drops() {
            None
        } else if !self.fallback.is_empty() {
            Some(DecisionCode::BypassLayer2Fallback)
        } else if self.exhausted == Some(OnExhaustion::Bypass) {
            Some(DecisionCode::BypassExhausted)
        } else {
            None
        }
    }

    /// Whether a flow's first packet is dropped. Who can use up the buffers may bring about a failure as well: where the setting
    /// closes the one way past inspection, the other one does not open it. An operator's word does.
    pub(crate) fn drops(&self) -> bool {
        let commanded = self.fallback.contains(FallbackReason::Command);
        self.exhausted == Some(OnExhaustion::Drop) && !commanded
    }
}

impl<B: PacketBuf> Worker<B> {
    /// Layer-2 fallback: while there is a reason for it, new flows and those that are not decided yet are forwarded as they are.
    /// Sessions that are inspected go on.
    pub fn set_fallback(&mut self, reasons: FallbackReasons, now: Now, out: &mut impl Output<B>) {
        self.shared.degraded.fallback = reasons;
        self.let_go(now, out);
    }

    /// Says that packet buffers are nearly used up, and what then happens to new flows; `None` says that there are enough
    /// again. Sessions that are inspected go on.
    pub fn set_exhausted(&mut self, how: Option<OnExhaustion>, now: Now, out: &mut impl Output<B>) {
        self.shared.degraded.exhausted = how;
        self.let_go(now, out);
    }

    /// Ends every inspected session: both ends are reset, whatever the profile says, and each is counted and logged. Gives
    /// how many there were.
    pub fn clear_sessions(&mut self, now: Now, out: &mut impl Output<B>) -> u64 {
        let out = &mut Frames(out);
        let mut cleared = 0;
        for id in
            self.flows(|state| matches!(state, State::Taken(session) if !session.is_closing()))
        {
            let Some(flow) = self.table.get_mut(id) else {
                continue;
            };
            let State::Taken(session) = &mut flow.state else {
                continue;
            };
            let mut turn = Turn {
                flow: id,
                place: flow.place,
                identity: &flow.identity,
                shared: &mut self.shared,
                now,
                out,
                budget: &mut 0,
                starved: false,
            };
            session.stop(EndReason::Cleared, &mut turn);
            if let Some(account) = session.close(EndReason::Cleared) {
                self.shared
                    .session_ended(&flow.identity, &account, now, out);
            }
            // Whoever has not heard of it is told again.
            let both = Resets {
                client: true,
                origin: true,
            };
            flow.state = State::Blocked(Blocked::new(DecisionCode::BlockSessionCleared, both, now));
            flow.charge(&mut self.shared.memory);
            let retention = flow.state.retention();
            self.table.retain(id, retention);
            self.set_alarm(id, now.mono);
            cleared += 1;
        }
        out.count(Counter::SessionsCleared, cleared);
        cleared
    }

    /// Lets flows go that are held, if such flows pass now. What is only watched goes when its handshake is complete.
    fn let_go(&mut self, now: Now, out: &mut impl Output<B>) {
        let Some(code) = self.shared.degraded.passes() else {
            return;
        };
        let out = &mut Frames(out);
        for id in self.flows(|state| matches!(state, State::Holding(_))) {
            if let Some(flow) = self.table.get_mut(id) {
                settle(flow, &self.shared, code, (None, None), now, out);
                let retention = flow.state.retention();
                self.table.retain(id, retention);
                self.charge(id);
                self.set_alarm(id, now.mono);
            }
        }
    }

    fn flows(&self, wanted: impl Fn(&State<Packet<B>>) -> bool) -> Vec<FlowId> {
        let flows = self.table.iter();
        flows
            .filter(|(_, _, flow)| wanted(&flow.state))
            .map(|(id, _, _)| id)
            .collect()
    }
}
