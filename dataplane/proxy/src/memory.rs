//! What one core's flows hold beside their entries, and how much that may be.

use sluice_telemetry::Counter;

use crate::limits::{BUFFER_BYTES_PER_CORE_MAX, HELD_BYTES_PER_CORE_MAX, SUCCESSORS_PERCENT};
use crate::output::Effects;

/// How much memory one core's flows may take beside their entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Bytes held before decisions, and of what is remembered of flows that pass.
    pub held_bytes_max: usize,
    /// Bytes of sessions and their buffers. What is there already may keep what it was offered; nothing new is taken over.
    pub buffer_bytes_max: usize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self {
            held_bytes_max: HELD_BYTES_PER_CORE_MAX,
            buffer_bytes_max: BUFFER_BYTES_PER_CORE_MAX,
        }
    }
}

/// What a flow was last seen to hold: bytes, and one bit for what they are. Four bytes, as every observed flow has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Charge(u32);

impl Charge {
    const SESSION: u32 = 1 << 31;

    /// Nothing beside its entry.
    pub(crate) const NOTHING: Self = Self(0);

    /// Bytes held before its decision, or remembered of it since.
    pub(crate) fn held(bytes: usize) -> Self {
        Self(u32::try_from(bytes).map_or(Self::SESSION - 1, |bytes| bytes & !Self::SESSION))
    }

    /// Bytes of its session.
    pub(crate) fn session(bytes: usize) -> Self {
        Self(Self::held(bytes).0 | Self::SESSION)
    }

    const fn bytes(self) -> usize {
        (self.0 & !Self::SESSION) as usize
    }

    const fn is_session(self) -> bool {
        self.0 & Self::SESSION != 0
    }
}

/// What one core's flows hold now.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: MemoryBudget,
    held_bytes: usize,
    session_bytes: usize,
}

impl Memory {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self {
            budget,
            held_bytes: 0,
            session_bytes: 0,
        }
    }

    /// Replaces what a flow is charged with.
    pub(crate) fn charge(&mut self, charged: &mut Charge, now: Charge) {
        let before = core::mem::replace(charged, now);
        *self.account(before) -= before.bytes();
        *self.account(now) += now.bytes();
    }

    const fn account(&mut self, charge: Charge) -> &mut usize {
        if charge.is_session() {
            &mut self.session_bytes
        } else {
            &mut self.held_bytes
        }
    }

    /// Whether another client's bytes may be held.
    pub(crate) fn may_hold(&self) -> bool {
        self.held_bytes < self.budget.held_bytes_max
    }

    /// Whether another SYN may be watched on a flow that passes: what is held keeps the rest for itself.
    pub(crate) fn may_watch(&self) -> bool {
        self.held_bytes < self.budget.held_bytes_max / 100 * SUCCESSORS_PERCENT
    }

    /// Whether another flow may be taken over, and windows may grow.
    pub(crate) fn may_take_over(&self) -> bool {
        self.session_bytes < self.budget.buffer_bytes_max
    }

    pub(crate) fn gauges(&self, out: &mut dyn Effects) {
        out.gauge(Counter::HeldBytes, self.held_bytes as u64);
        out.gauge(Counter::SessionBytes, self.session_bytes as u64);
    }
}
