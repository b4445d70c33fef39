//! Why not everything that claims to be of a flow that passes may pass, and what remembering that may take.
//!
//! Whoever makes flows that pass decides how much is remembered of them: so it is charged like what is held, and is what is
//! forgotten first. The flow goes with it. What comes of it then looks picked up in the middle.

use std::collections::VecDeque;

use sluice_flow::{FlowId, Packet};
use sluice_packet::{Instant, PacketBuf, TcpFrame};
use sluice_telemetry::Counter;

use crate::Now;
use crate::flow::{Bypassed, Flow, State};
use crate::limits::DOUBTFUL_LOOKS_PER_FLOW;
use crate::output::{Effects, Output};
use crate::succession::Successor;
use crate::unconfirmed::Unconfirmed;
use crate::worker::Worker;

/// Why not everything that claims to be of a flow that passes may pass.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// What policy has read, as long as it may not have arrived.
    pub(crate) unconfirmed: Option<Unconfirmed>,
    /// A connection that may have begun on its addresses and ports.
    pub(crate) successor: Option<Successor>,
}

impl Doubts {
    pub(crate) fn of(unconfirmed: Unconfirmed) -> Box<Self> {
        Box::new(Self {
            unconfirmed: Some(unconfirmed),
            successor: None,
        })
    }

    /// Whether a packet may pass, and what it says about the doubts.
    pub(crate) fn admit(
        &mut self,
        tcp: &TcpFrame,
        frame: &[u8],
        from_client: bool,
        now: Instant,
        out: &mut dyn Effects,
    ) -> bool {
        let Self {
            unconfirmed,
            successor,
        } = self;
        successor.take_if(|next| next.is_over(now));
        if !from_client {
            if successor.is_some() && tcp.flags.syn() {
                // The answer to another SYN than the last: what it would begin is observed by nobody. Its client tries again.
                return false;
            }
            unconfirmed.take_if(|unconfirmed| unconfirmed.is_confirmed_by(tcp, frame));
            return true;
        }
        if successor.as_ref().is_some_and(|next| next.claims(tcp, now)) {
            return false;
        }
        let admitted = unconfirmed
            .as_ref()
            .is_none_or(|unconfirmed| unconfirmed.admits(tcp, frame));
        if !admitted {
            out.count(Counter::HeldContradicted, 1);
        }
        admitted
    }

    pub(crate) fn are_over(&self) -> bool {
        self.unconfirmed.is_none() && self.successor.is_none()
    }

    /// Heap bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let unconfirmed = self.unconfirmed.as_ref();
        let successor = self.successor.as_ref();
        size_of::<Self>()
            + unconfirmed.map_or(0, Unconfirmed::heap_bytes)
            + successor.map_or(0, Successor::heap_bytes)
    }
}

impl Bypassed {
    /// What policy has read, as long as it may not have arrived.
    pub(crate) fn unconfirmed(&self) -> Option<&Unconfirmed> {
        self.doubts.as_ref()?.unconfirmed.as_ref()
    }

    /// A connection that may have begun on its addresses and ports.
    pub(crate) fn successor(&self) -> Option<&Successor> {
        self.doubts.as_ref()?.successor.as_ref()
    }

    /// Heap bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.doubts
            .as_ref()
            .map_or(0, |doubts| doubts.memory_bytes())
    }

    /// Forgets what has had its time.
    pub(crate) fn expire_doubts(&mut self, now: Instant) {
        if let Some(doubts) = &mut self.doubts {
            doubts.successor.take_if(|next| next.is_over(now));
        }
        self.doubts.take_if(|doubts| doubts.are_over());
    }
}

impl<B> Flow<B> {
    /// True while what policy has read of a flow that passes may not have arrived.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        matches!(&self.state, State::Bypassed(bypassed) if bypassed.unconfirmed().is_some())
    }
}

/// The flows that pass of which something is remembered, those longest unlooked at first; and some of which nothing is any
/// more.
#[derive(Debug, Default)]
pub(crate) struct Doubtful(VecDeque<FlowId>);

impl<B: PacketBuf> Worker<B> {
    /// Charges the core's memory with what a flow holds now.
    pub(crate) fn charge(&mut self, id: FlowId) {
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        flow.charge(&mut self.shared.memory);
        let State::Bypassed(bypassed) = &mut flow.state else {
            return;
        };
        let Some(unconfirmed) = &mut bypassed
            .doubts
            .as_mut()
            .and_then(|doubts| doubts.unconfirmed.as_mut())
        else {
            return;
        };
        if core::mem::replace(&mut unconfirmed.queued, true) {
            return;
        }
        // Looking at two for each that comes keeps the queue at no more than twice what is in it for a reason.
        for _ in 0..DOUBTFUL_LOOKS_PER_FLOW.min(self.doubtful.0.len()) {
            let oldest = self.doubtful.0.pop_front();
            if let Some(oldest) = oldest.filter(|oldest| self.is_unconfirmed(*oldest)) {
                self.doubtful.0.push_back(oldest);
            }
        }
        self.doubtful.0.push_back(id);
    }

    fn is_unconfirmed(&mut self, id: FlowId) -> bool {
        let flow = self.table.get_mut(id);
        flow.is_some_and(|flow| flow.is_unconfirmed())
    }

    /// Makes room for what is to be held: flows that pass and may not be what was read are forgotten.
    pub(crate) fn make_room(&mut self, now: Now, out: &mut impl Output<Packet<B>>) {
        while !self.shared.memory.may_hold() {
            let Some(oldest) = self.doubtful.0.pop_front() else {
                return;
            };
            if self.is_unconfirmed(oldest) {
                self.evicted += 1;
                self.remove(oldest, now, out);
            }
        }
    }
}
