//! A SYN on the addresses and ports of a flow that passes: its successor's, a late one, or a forged one.
//!
//! Only the origin knows which. Until it answers with a SYN-ACK the old connection goes on as before, so that nobody ends
//! it from outside; and nothing passes that would be the new connection's first byte, so that it does not begin unseen
//! where the answer takes another way.

use sluice_flow::{FlowId, Observer, Packet};
use sluice_packet::{PacketBuf, SeqNum, Side, TcpFrame};
use sluice_telemetry::{Counter, DropReason, Verdict};
use smallvec::SmallVec;

use crate::flow::{Bypassed, Flow, State};
use crate::identity::{Identity, Place};
use crate::limits::{SUCCESSOR_SYNS_MAX, SUCCESSOR_WINDOW_BYTES};
use crate::output::{Effects, Output};
use crate::worker::Worker;
use crate::{Now, corners, passing, syn};

/// A connection that may have begun on the addresses and ports of one that passes.
pub(crate) struct Successor {
    identity: Identity,
    place: Place,
    /// Of the last attempt.
    observer: Observer,
    /// Of every SYN that was forwarded, the last one last.
    numbers: SmallVec<[SeqNum; 2]>,
}

impl core::fmt::Debug for Successor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Successor")
            .field("numbers", &self.numbers)
            .finish_non_exhaustive()
    }
}

impl Successor {
    /// Whether a segment of the client has text within the first window behind a SYN, and so would be of the new connection.
    pub(crate) fn claims(&self, tcp: &TcpFrame) -> bool {
        let Ok(len) = u32::try_from(tcp.payload_len()) else {
            return true;
        };
        let within = |number: &SeqNum| {
            let first = *number + 1;
            let ahead = tcp.seq.distance(first);
            (tcp.seq + len).gt(first) && ahead < SUCCESSOR_WINDOW_BYTES
        };
        len > 0 && self.numbers.iter().any(within)
    }

    fn is_answered_by<B: PacketBuf>(&self, tcp: &TcpFrame, packet: &B) -> bool {
        let last = self.numbers.last();
        tcp.flags.syn()
            && tcp.flags.ack()
            && last.is_some_and(|number| tcp.ack == *number + 1)
            && tcp.intact(packet)
    }
}

impl Bypassed {
    /// Watches the connection that `tcp`, a SYN, may begin. False if it may not pass.
    fn on_syn<B: PacketBuf>(
        &mut self,
        (identity, place): (Identity, Place),
        packet: &B,
        tcp: &TcpFrame,
        now: Now,
        out: &mut dyn Effects,
    ) -> bool {
        let side = place.client_side;
        let mut numbers = SmallVec::new();
        let doubts = self.doubts.get_or_insert_default();
        if let Some(successor) = &mut doubts.successor {
            if successor.numbers.last() == Some(&tcp.seq) {
                let observer = &mut successor.observer;
                observer.on_segment(tcp, packet.frame(), side, now.mono);
                return true;
            }
            numbers.clone_from(&successor.numbers);
            numbers.retain(|number| *number != tcp.seq);
            if numbers.len() >= SUCCESSOR_SYNS_MAX {
                return false;
            }
        }
        let observer = match Observer::open(tcp, packet.frame(), side, now.mono) {
            Ok(observer) => observer,
            Err(why) => {
                corners::count(why, out);
                let decision = identity.without_hello(corners::no_hello(why));
                return decision.verdict != Verdict::Block;
            }
        };
        out.count(Counter::FlowsCandidate, 1);
        out.count(Counter::FourTuplesReused, 1);
        numbers.push(tcp.seq);
        doubts.successor = Some(Successor {
            identity,
            place,
            observer,
            numbers,
        });
        true
    }
}

impl<B> Flow<B> {
    /// True if a segment of the origin says that another connection has taken the place of this one, which passed.
    pub(crate) fn is_succeeded(&self, tcp: &TcpFrame, packet: &impl PacketBuf) -> bool {
        match &self.state {
            State::Bypassed(bypassed) => bypassed
                .successor()
                .is_some_and(|successor| successor.is_answered_by(tcp, packet)),
            _ => false,
        }
    }
}

impl<B: PacketBuf> Worker<B> {
    /// A SYN of the client of a flow that passes.
    pub(crate) fn on_syn_of_successor(
        &mut self,
        id: FlowId,
        from: Side,
        mut packet: Packet<B>,
        tcp: &TcpFrame,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) {
        if self.shared.degraded.drops() {
            out.discard(packet, DropReason::Exhausted);
            return;
        }
        let identity = self.identify(from, tcp, now);
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        let State::Bypassed(bypassed) = &mut flow.state else {
            return;
        };
        bypassed.active = now.mono;
        let passes = match identity {
            Some((identity, place)) => {
                let normalised = syn::normalise(&identity, &mut packet, tcp, out);
                let tcp = normalised.as_ref().unwrap_or(tcp);
                bypassed.on_syn((identity, place), &packet, tcp, now, out)
            }
            // Nobody looks into it any more.
            None => true,
        };
        if passes {
            passing::forward(flow.place, packet, true, out);
        } else {
            out.discard(packet, DropReason::IrregularSegment);
        }
    }

    /// The origin has answered the SYN of a successor: it is observed from there on, and the old connection forgotten.
    pub(crate) fn succeed(
        &mut self,
        id: FlowId,
        tcp: &TcpFrame,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) -> Option<FlowId> {
        let flow = self.table.get_mut(id)?;
        let State::Bypassed(bypassed) = &mut flow.state else {
            return None;
        };
        let Successor {
            mut identity,
            place,
            observer,
            numbers,
        } = bypassed.doubts.as_mut()?.successor.take()?;
        // The SYN may have been forged long before it was sent.
        identity.started = now.mono;
        identity.started_unix_us = now.unix_us;
        let reuses = flow.reuses;
        self.remove(id, now, out);
        let state = State::Observing(observer);
        let next = Flow::new((identity, place), state, tcp, reuses);
        let next = next.opened_by(numbers.last().copied()?);
        self.enter(tcp, next, now, out)
    }
}
