//! What a core tells about itself: gauges, and its sessions one by one.

use sluice_packet::{Instant, PacketBuf};
use sluice_telemetry::{Counter, LoadState, SessionSummary};

use crate::flow::State;
use crate::output::Output;
use crate::worker::Worker;

impl<B: PacketBuf> Worker<B> {
    /// What seeds this core's random numbers at present.
    #[must_use]
    pub fn random_source(&self) -> sluice_random::Source {
        self.shared.leaves.random_source()
    }

    /// How the sessions of the whole process compare with the limit.
    #[must_use]
    pub fn load_state(&self) -> LoadState {
        self.shared.load.state()
    }

    /// Sets the gauges: flows, queues and memory as they are now.
    pub fn gauges(&self, out: &mut impl Output<B>) {
        // A new generation may have moved the thresholds.
        self.shared.look_at_load(out);
        let taken = u64::from(self.shared.inspected_sessions);
        out.gauge(Counter::FlowsTaken, taken);
        out.gauge(
            Counter::FlowsObserved,
            (self.table.len() as u64).saturating_sub(taken),
        );
        let pending = self.touched.len() + self.starved.len();
        out.gauge(Counter::HandshakesPending, pending as u64);
        out.gauge(Counter::LeafCacheBytes, self.shared.leaves.bytes() as u64);
        out.gauge(Counter::RandomReseeds, self.shared.leaves.reseeds());
        out.gauge(Counter::FlowsEvicted, self.evicted);
        self.shared.memory.gauges(out);
        out.gauge(Counter::FragmentsHeld, self.fragments.packets() as u64);
    }

    /// Up to `limit` of this core's flows: those first that are never evicted, the taken-over ones before the others.
    #[must_use]
    pub fn sessions(&self, limit: usize, now: Instant) -> Vec<SessionSummary> {
        let (taken, rest): (Vec<_>, Vec<_>) = self
            .table
            .iter_kept_first()
            .take(limit)
            .partition(|(_, flow)| matches!(flow.state, State::Taken(_)));
        let flows = taken.into_iter().chain(rest);
        flows
            .map(|(_, flow)| flow.summary(self.shared.core, now))
            .collect()
    }
}
