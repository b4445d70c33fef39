//! Who a flow is, and the generation that it was first seen under.

use core::mem::offset_of;
use core::net::SocketAddr;
use std::sync::Arc;

use sluice_packet::{FlowKey, Instant, SegmentId, Side, StoredKey, TcpFrame, VlanStack, fetch};
use sluice_policy::{Candidate, Decision, FlowFacts, HelloFacts, LoadFacts, NoHello, SegmentIndex};
use sluice_tls::ClientHello;

use crate::Now;
use crate::generation::{Generation, Resets};
use crate::learn::Destination;
use crate::shared::Shared;

/// What stays the same over the life of a flow, and is asked for when something is decided or said about it.
#[repr(C)]
pub(crate) struct Identity {
    pub(crate) generation: Arc<Generation>,
    pub(crate) candidate: Candidate,
    key: StoredKey,
    client_is_lower: bool,
    pub(crate) started: Instant,
}

/// Where a flow is and which way round: what every packet of it asks for.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) segment: SegmentId,
    /// The port behind which the client lives.
    pub(crate) client_side: Side,
    /// The client is the lower end of the flow's key.
    client_is_lower: bool,
}

impl Place {
    /// The place of the flow that `tcp` is of, whose client `client` lives behind `client_side`.
    pub(crate) fn new(tcp: &TcpFrame, client: SocketAddr, client_side: Side) -> Self {
        Self {
            segment: tcp.key.segment(),
            client_side,
            client_is_lower: tcp.key.is_lower(client),
        }
    }

    /// The port behind which the client lives, or the origin.
    pub(crate) fn side_of(self, client: bool) -> Side {
        if client {
            self.client_side
        } else {
            self.client_side.other()
        }
    }

    /// Whether the client is the lower end of the flow's key, or the origin.
    pub(crate) const fn is_lower(self, client: bool) -> bool {
        self.client_is_lower == client
    }

    /// Whether the client sent a packet of this flow that the lower end of its key sent, or did not.
    pub(crate) const fn is_from_client(self, from_lower: bool) -> bool {
        from_lower == self.client_is_lower
    }
}

impl Identity {
    /// Of the flow of `key` at `place`, first seen now.
    pub(crate) fn new(
        generation: Arc<Generation>,
        candidate: Candidate,
        key: FlowKey,
        place: Place,
        now: Now,
    ) -> Self {
        Self {
            generation,
            candidate,
            key: StoredKey::of(&key),
            client_is_lower: place.client_is_lower,
            started: now.mono,
        }
    }

    /// Where the key begins, and what is asked for to have it.
    pub(crate) const KEY_AT: usize = offset_of!(Self, key);
    pub(crate) const FETCHED_AT: usize = offset_of!(Self, started);

    /// Asks for the key, which ends where the time begins.
    pub(crate) fn fetch_key(&self) {
        fetch(&self.started);
    }

    /// Asks for all of it: it may lie on two cache lines.
    pub(crate) fn fetch(&self) {
        fetch(&self.generation);
        fetch(&self.started);
    }

    /// The end that opened the connection.
    pub(crate) fn client(&self) -> SocketAddr {
        self.end(self.client_is_lower)
    }

    /// The end that it was opened to.
    pub(crate) fn server(&self) -> SocketAddr {
        self.end(!self.client_is_lower)
    }

    /// When it was first seen, by a clock that says now.
    pub(crate) fn started_unix_us(&self, now: Now) -> u64 {
        let age_us = now.mono.micros().saturating_sub(self.started.micros());
        now.unix_us.saturating_sub(age_us)
    }

    #[inline(always)]
    pub(crate) fn key(&self) -> FlowKey {
        self.key.key()
    }

    /// Whether the flow is that of `key`.
    #[inline(always)]
    pub(crate) fn is_of(&self, key: &FlowKey) -> bool {
        self.key == *key
    }

    pub(crate) fn segment(&self) -> SegmentId {
        self.key().segment()
    }

    pub(crate) fn vlan(&self) -> VlanStack {
        self.key().vlan()
    }

    fn end(&self, lower: bool) -> SocketAddr {
        if lower {
            self.key().lower()
        } else {
            self.key().higher()
        }
    }

    /// What policy is asked about.
    pub(crate) fn flow_facts(&self) -> FlowFacts {
        flow_facts(self.segment(), self.vlan(), self.client(), self.server())
    }

    /// Policy's answer to a whole ClientHello, not counting `taken` sessions: a flow taken over early is one itself.
    pub(crate) fn decide(
        &self,
        hello: &ClientHello,
        shared: &Shared,
        taken: u32,
        now: Now,
    ) -> Decision {
        let destination = Destination {
            server: self.server(),
            sni: hello.sni.clone(),
        };
        let load = LoadFacts {
            inspected_sessions: shared.load.sessions().saturating_sub(taken),
            exhausted: taken == 0 && !shared.memory.may_take_over(),
            learned: shared
                .lessons
                .recall(&destination, self.client().ip(), now.mono),
        };
        let facts = HelloFacts {
            sni: hello.sni.as_deref(),
            alpn: &hello.alpn,
            offers_tls12: hello.offers_tls12(),
            offers_tls13: hello.offers_tls13(),
            ech: hello.ech,
        };
        self.generation
            .policy()
            .decide(&self.candidate, &self.flow_facts(), &facts, &load)
    }

    /// Policy's answer to what came instead of a ClientHello.
    pub(crate) fn without_hello(&self, why: NoHello) -> Decision {
        self.generation
            .policy()
            .decide_without_hello(&self.candidate, why)
    }

    /// Policy's answer where there is no room for the flow.
    pub(crate) fn over_limit(&self) -> Decision {
        self.generation.policy().decide_over_limit(&self.candidate)
    }

    /// Which real ends are reset when this flow is blocked.
    pub(crate) fn resets(&self) -> Resets {
        self.generation.facts(&self.candidate).map_or(
            Resets {
                client: true,
                origin: true,
            },
            |facts| facts.resets,
        )
    }

    /// Whether this flow's outcome is logged when nothing went wrong.
    pub(crate) fn logs_sessions(&self) -> bool {
        self.generation
            .facts(&self.candidate)
            .is_some_and(|facts| facts.session_logging)
    }
}

/// What policy is asked about a flow.
pub(crate) fn flow_facts(
    segment: SegmentId,
    vlan: VlanStack,
    client: SocketAddr,
    server: SocketAddr,
) -> FlowFacts {
    FlowFacts {
        client,
        server,
        segment: SegmentIndex(segment.0),
        vlan: vlan.outer_vid(),
    }
}
