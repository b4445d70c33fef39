//! What happens to all flows of a core: layer-2 fallback, exhaustion, and the clearing of sessions. The flows that it is
//! about are looked for a few places at a time: a table of a million flows is walked through between packets, not instead.

use sluice_flow::{FlowId, Packet};
use sluice_packet::{Instant, PacketBuf};
use sluice_schema::OnExhaustion;
use sluice_telemetry::{Counter, DecisionCode, EndReason, FallbackReason, FallbackReasons};
use smallvec::SmallVec;

use crate::Now;
use crate::flow::{Blocked, Flow, State};
use crate::generation::Resets;
use crate::limits::{SWEPT_FLOWS_PER_POLL, SWEPT_PLACES_PER_POLL};
use crate::output::Output;
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

/// Walks through the table that are under way.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    /// The place from which on held flows are still to be let go.
    letting_go: Option<usize>,
    clearing: Option<Clearing>,
    /// Sessions that the last clearing ended, until somebody asks.
    cleared: Option<u64>,
}

#[derive(Debug)]
struct Clearing {
    next: usize,
    /// Sessions that began later are not meant.
    asked: Instant,
    cleared: u64,
}

impl Sweeps {
    pub(crate) fn are_under_way(&self) -> bool {
        self.letting_go.is_some() || self.clearing.is_some()
    }
}

/// Flows found in one step.
type Found = SmallVec<[FlowId; SWEPT_FLOWS_PER_POLL]>;

impl<B: PacketBuf> Worker<B> {
    /// Layer-2 fallback: while there is a reason for it, new flows and those that are not decided yet are forwarded as they
    /// are: what is held goes with the next calls of [`poll`](Self::poll). Sessions that are inspected go on.
    pub fn set_fallback(&mut self, reasons: FallbackReasons) {
        self.shared.degraded.fallback = reasons;
        self.let_go();
    }

    /// Says that packet buffers are nearly used up, and what then happens to new flows; `None` says that there are enough
    /// again. Sessions that are inspected go on.
    pub fn set_exhausted(&mut self, how: Option<OnExhaustion>) {
        self.shared.degraded.exhausted = how;
        self.let_go();
    }

    /// Has every session that is inspected now end with the next calls of [`poll`](Self::poll): both ends are reset,
    /// whatever the profile says, and each is counted and logged.
    pub fn clear_sessions(&mut self, now: Now) {
        let under_way = self.sweeps.clearing.take();
        self.sweeps.clearing = Some(Clearing {
            next: 0,
            asked: now.mono,
            cleared: under_way.map_or(0, |clearing| clearing.cleared),
        });
    }

    /// How many sessions [`clear_sessions`](Self::clear_sessions) has ended, once it has ended all of them; told once.
    pub fn cleared(&mut self) -> Option<u64> {
        self.sweeps.cleared.take()
    }

    /// Goes on with what is to be done to many flows. True if there was any.
    pub(crate) fn sweep(&mut self, now: Now, out: &mut impl Output<Packet<B>>) -> bool {
        let worked = self.sweeps.are_under_way();
        if let Some(place) = self.sweeps.letting_go {
            self.sweeps.letting_go = self.let_some_go(place, now, out);
        }
        if let Some(clearing) = self.sweeps.clearing.take() {
            self.clear_some(clearing, now, out);
        }
        worked
    }

    fn clear_some(&mut self, mut clearing: Clearing, now: Now, out: &mut impl Output<Packet<B>>) {
        let meant = |flow: &Flow<Packet<B>>| {
            let inspected = matches!(&flow.state, State::Taken(session) if !session.is_closing());
            inspected && flow.identity.started <= clearing.asked
        };
        let (found, next) = self.some_flows(clearing.next, meant);
        let mut cleared = 0;
        for id in found {
            let Some(flow) = self.table.get_mut(id) else {
                continue;
            };
            let State::Taken(session) = &mut flow.state else {
                continue;
            };
            let mut turn = Turn {
                flow: id,
                key: flow.identity.key(),
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
            session.near.cancel(&mut self.wheel);
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
        clearing.cleared += cleared;
        match next {
            Some(next) => self.sweeps.clearing = Some(Clearing { next, ..clearing }),
            None => self.sweeps.cleared = Some(clearing.cleared),
        }
    }

    /// Flows that are held are to be let go, if such flows pass now. What is only watched goes when its handshake is complete.
    fn let_go(&mut self) {
        self.sweeps.letting_go = self.shared.degraded.passes().map(|_| 0);
    }

    fn let_some_go(
        &mut self,
        place: usize,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) -> Option<usize> {
        let code = self.shared.degraded.passes()?;
        let held = |flow: &Flow<Packet<B>>| matches!(flow.state, State::Holding(_));
        let (found, next) = self.some_flows(place, held);
        for id in found {
            if let Some(flow) = self.table.get_mut(id) {
                settle(flow, &self.shared, code, (None, None), now, out);
                let retention = flow.state.retention();
                self.table.retain(id, retention);
                self.charge(id);
                self.set_alarm(id, now.mono);
            }
        }
        next
    }

    /// The next flows from a place on that are `wanted`, and where to go on.
    fn some_flows(
        &self,
        start: usize,
        wanted: impl Fn(&Flow<Packet<B>>) -> bool,
    ) -> (Found, Option<usize>) {
        let mut found = Found::new();
        for (id, flow) in self.table.iter_places(start, SWEPT_PLACES_PER_POLL) {
            if found.len() == SWEPT_FLOWS_PER_POLL {
                return (found, Some(id.place()));
            }
            if wanted(flow) {
                found.push(id);
            }
        }
        let next = start + SWEPT_PLACES_PER_POLL;
        (found, (next < self.table.capacity()).then_some(next))
    }
}
