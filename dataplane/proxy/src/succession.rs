//! A SYN on the addresses and ports of a flow that passes: its successor's, a late one, or a forged one.
//!
//! Only the origin knows which. Until it answers with a SYN-ACK the old connection goes on as before, so that nobody ends
//! it from outside; and for as long as a handshake may take nothing passes that would be the new connection's first byte, so
//! that it does not begin unseen where the answer takes another way. Of several only the last can begin: the answer to another
//! one, which its client needs to go on, does not pass.

use sluice_flow::{FlowId, Observer, Packet};
use sluice_packet::{Instant, PacketBuf, SeqNum, Side, TcpFrame};
use sluice_telemetry::{Counter, DropReason, Verdict};
use smallvec::SmallVec;

use crate::flow::{Bypassed, Flow, State};
use crate::identity::{Identity, Place};
use crate::limits::{SUCCESSOR_SYNS_MAX, SUCCESSOR_TIMEOUT, SUCCESSOR_WINDOW_BYTES};
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
    numbers: SmallVec<[Watched; 2]>,
}

/// The number of a SYN, and when that was last forwarded.
#[derive(Debug, Clone, Copy)]
struct Watched {
    number: SeqNum,
    forwarded: Instant,
}

impl Watched {
    fn until(&self) -> Instant {
        self.forwarded + SUCCESSOR_TIMEOUT
    }
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
    pub(crate) fn claims(&self, tcp: &TcpFrame, now: Instant) -> bool {
        let Ok(len) = u32::try_from(tcp.payload_len()) else {
            return true;
        };
        let within = |watched: &Watched| {
            let first = watched.number + 1;
            let ahead = tcp.seq.distance(first);
            now < watched.until() && (tcp.seq + len).gt(first) && ahead < SUCCESSOR_WINDOW_BYTES
        };
        len > 0 && self.numbers.iter().any(within)
    }

    fn is_answered_by<B: PacketBuf>(&self, tcp: &TcpFrame, packet: &B) -> bool {
        let last = self.numbers.last();
        tcp.flags.syn()
            && tcp.flags.ack()
            && last.is_some_and(|last| tcp.ack == last.number + 1)
            && tcp.intact(packet)
    }

    /// When the last of its numbers is no longer watched.
    pub(crate) fn until(&self) -> Instant {
        self.numbers.last().map_or(Instant::ZERO, Watched::until)
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until() <= now
    }

    /// Heap bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        if self.numbers.spilled() {
            self.numbers.capacity() * size_of::<Watched>()
        } else {
            0
        }
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
        self.expire_doubts(now.mono);
        let watched = Watched {
            number: tcp.seq,
            forwarded: now.mono,
        };
        let mut numbers = SmallVec::new();
        let successor = self
            .doubts
            .as_mut()
            .and_then(|doubts| doubts.successor.as_mut());
        if let Some(successor) = successor {
            if let Some(last) = successor.numbers.last_mut()
                && last.number == tcp.seq
            {
                *last = watched;
                let observer = &mut successor.observer;
                observer.on_segment(tcp, packet.frame(), side, now.mono);
                return true;
            }
            numbers.clone_from(&successor.numbers);
            numbers.retain(|earlier| earlier.number != tcp.seq && now.mono < earlier.until());
            if numbers.len() >= SUCCESSOR_SYNS_MAX {
                numbers.remove(0);
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
        numbers.push(watched);
        self.doubts.get_or_insert_default().successor = Some(Successor {
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
        let watchable = self.shared.memory.may_watch() || bypassed.successor().is_some();
        let passes = match identity {
            Some(_) if !watchable => {
                out.count(Counter::MemoryRefusals, 1);
                false
            }
            Some((identity, place)) => {
                let normalised = syn::normalise(&identity, &mut packet, tcp, out);
                let tcp = normalised.as_ref().unwrap_or(tcp);
                bypassed.on_syn((identity, place), &packet, tcp, now, out)
            }
            // Nobody looks into it any more.
            None => true,
        };
        if passes {
            bypassed.ends.touch(now.mono);
            passing::forward(flow.place, packet, true, out);
        } else {
            out.discard(packet, DropReason::IrregularSegment);
        }
        self.charge(id);
        self.set_alarm(id, now.mono);
    }

    /// The origin has answered the SYN of a successor: it is observed from there on, and the old connection forgotten.
    pub(crate) fn succeed(
        &mut self,
        id: FlowId,
        from: Side,
        packet: Packet<B>,
        tcp: &TcpFrame,
        now: Now,
        out: &mut impl Output<Packet<B>>,
    ) {
        let Some((next, reuses)) = self.successor_of(id) else {
            out.discard(packet, DropReason::IrregularSegment);
            return;
        };
        let Successor {
            mut identity,
            place,
            observer,
            numbers,
        } = next;
        // The SYN may have been forged long before it was sent.
        identity.started = now.mono;
        self.remove(id, now, out);
        let state = State::Observing(observer);
        let next = Flow::new((identity, place), state, tcp, reuses);
        let next = match numbers.last() {
            Some(last) => next.opened_by(last.number),
            None => next,
        };
        match self.enter(next, now, out) {
            Some(id) => self.on_known(id, from, packet, tcp, now, out),
            None => out.discard(packet, DropReason::FlowTableFull),
        }
    }

    fn successor_of(&mut self, id: FlowId) -> Option<(Successor, bool)> {
        let flow = self.table.get_mut(id)?;
        let State::Bypassed(bypassed) = &mut flow.state else {
            return None;
        };
        let next = bypassed.doubts.as_mut()?.successor.take()?;
        Some((next, flow.reuses))
    }
}
