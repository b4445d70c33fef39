//! A packet of no flow in the table: whose it would be, and whether that flow begins.

use core::net::SocketAddr;
use std::sync::Arc;

use sluice_flow::{FlowId, Irregularity, Packet};
use sluice_packet::{PacketBuf, Side, TcpFrame};
use sluice_telemetry::{Counter, DropReason, EndReason};

use crate::flow::Flow;
use crate::identity::{Identity, Place, flow_facts};
use crate::output::Output;
use crate::worker::{Worker, forward};
use crate::{Now, observing, passing, syn};

impl<B: PacketBuf> Worker<B> {
    pub(crate) fn on_unknown(
        &mut self,
        (from, reuses): (Side, bool),
        mut packet: Packet<B>,
        tcp: &TcpFrame,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) {
        let opens = tcp.flags.syn() && !tcp.flags.ack();
        let answers = tcp.flags.syn() && tcp.flags.ack();
        let Some((identity, place)) = self.identify(from, tcp, now) else {
            forward(tcp.key.segment(), from, packet, out);
            return;
        };
        // A reset begins nothing, and neither does what its receiver drops.
        if tcp.flags.rst() || !(opens || tcp.checksum_ok(packet.frame())) {
            forward(tcp.key.segment(), from, packet, out);
            return;
        }
        out.count(Counter::FlowsCandidate, 1);
        if opens && self.shared.degraded.drops() {
            out.discard(packet, DropReason::Exhausted);
            return;
        }
        let passes = self.shared.degraded.passes();
        let normalised = match passes {
            // What passes is passed as it came.
            Some(_) => None,
            None => syn::normalise(&identity, &mut packet, tcp, out),
        };
        let tcp = normalised.as_ref().unwrap_or(tcp);
        let state = if let Some(code) = passes {
            passing::passed(&identity, code, &self.shared, now, out)
        } else if opens {
            observing::begin((&identity, place), &self.shared, &packet, tcp, now, out)
        } else {
            let why = if tcp.options.signature {
                Irregularity::Signed
            } else if answers {
                Irregularity::OneWay
            } else {
                Irregularity::MidStream
            };
            passing::picked_up(&identity, why, &self.shared, now, out)
        };
        let flow = Flow::new((identity, place), state, tcp, reuses);
        let Some(id) = self.enter(flow, now, out) else {
            // Nothing may slip past inspection because the table is full of flows that are inspected.
            out.discard(packet, DropReason::FlowTableFull);
            return;
        };
        if let Some(flow) = self.table.get_mut(id) {
            let from_client = flow.place.is_from_client(tcp.from_lower());
            passing::pass_or_drop(flow, packet, tcp, from_client, now, out);
            self.table.lend(id);
        }
    }

    /// Who the flow of `tcp`, which came in at `from`, would be, and where. None where policy bypasses it without looking.
    pub(crate) fn identify(
        &self,
        from: Side,
        tcp: &TcpFrame,
        now: Now,
    ) -> Option<(Identity, Place)> {
        let generation = self.generation.as_ref()?;
        let as_client = (from, tcp.source, tcp.destination);
        let as_server = (from.other(), tcp.destination, tcp.source);
        let orientations: &[(Side, SocketAddr, SocketAddr)] =
            match (tcp.flags.syn(), tcp.flags.ack()) {
                (true, false) => &[as_client],
                (true, true) => &[as_server],
                (false, _) => &[as_client, as_server],
            };
        orientations.iter().find_map(|(side, client, server)| {
            let facts = flow_facts(tcp.key.segment(), tcp.key.vlan(), *client, *server);
            let candidate = generation.policy().candidate(&facts)?;
            let place = Place::new(tcp, *client, *side);
            let generation = Arc::clone(generation);
            let identity = Identity::new(generation, candidate, tcp.key, place, now);
            Some((identity, place))
        })
    }

    /// Puts a flow into the table, whatever had to be forgotten for it. None when nothing could be.
    pub(crate) fn enter(
        &mut self,
        flow: Flow<Packet<B>>,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) -> Option<FlowId> {
        let retention = flow.state.retention();
        let inserted = self.table.insert(flow, retention).ok()?;
        if let Some(evicted) = inserted.evicted {
            self.evicted += 1;
            self.forget(evicted.value, EndReason::Evicted, now, out);
        }
        self.set_alarm(inserted.id, now.mono);
        Some(inserted.id)
    }
}
