//! Flows that are not inspected: forwarded packet by packet, or blocked.

use sluice_flow::Irregularity;
use sluice_packet::{Frame, Instant, PacketBuf, PathTemplate, TcpFrame, parse};
use sluice_telemetry::{Counter, DecisionCode, DropReason, EndReason, Verdict};

use crate::Now;
use crate::corners;
use crate::doubts::Doubts;
use crate::ends::Ends;
use crate::flow::{After, Blocked, Bypassed, Flow, State};
use crate::generation::Resets;
use crate::identity::{Identity, Place};
use crate::limits::{BLOCKED_LINGER, BYPASS_CLOSED_TIMEOUT, BYPASS_IDLE_TIMEOUT};
use crate::output::{Effects, Output};
use crate::shared::Shared;
use crate::succession::Successor;
use crate::unconfirmed::Unconfirmed;

/// A flow whose handshake was not seen: this appliance was started, or its cable plugged in, in the middle of it.
pub(crate) fn picked_up<B>(
    identity: &Identity,
    why: Irregularity,
    shared: &Shared,
    now: Now,
    out: &mut dyn Effects,
) -> State<B> {
    corners::count(why, out);
    let decision = identity.without_hello(corners::no_hello(why));
    let code = decision.code;
    let said = (None, Some(why.name().to_owned()));
    if decision.verdict == Verdict::Block {
        shared.decided(identity, code, EndReason::Blocked, said, now, out);
        return State::Blocked(Blocked::headless(code, identity.resets(), now));
    }
    shared.decided(identity, code, EndReason::Bypassed, said, now, out);
    State::Bypassed(Bypassed::new(code, now))
}

/// A flow that passes from its first packet on, whatever it turns out to be.
pub(crate) fn passed<B>(
    identity: &Identity,
    code: DecisionCode,
    shared: &Shared,
    now: Now,
    out: &mut dyn Effects,
) -> State<B> {
    let said = (None, None);
    shared.decided(identity, code, EndReason::Bypassed, said, now, out);
    State::Bypassed(Bypassed::new(code, now))
}

/// Turns a flow into a bypassed or a blocked one, as the code says.
pub(crate) fn settle<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &Shared,
    code: DecisionCode,
    (sni, detail): (Option<String>, Option<String>),
    now: Now,
    out: &mut impl Output<B>,
) {
    match code.verdict() {
        Verdict::Block => block(flow, shared, code, (sni, detail), now, out),
        Verdict::Bypass | Verdict::Inspect => {
            bypass(flow, shared, code, (sni, detail), now, out);
        }
    }
}

/// The packet that brought a decision about goes the way of the decision.
pub(crate) fn pass_or_drop<B: PacketBuf>(
    flow: &mut Flow<B>,
    packet: B,
    tcp: &TcpFrame,
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    match &mut flow.state {
        State::Blocked(blocked) => {
            blocked.on_packet(flow.place, packet, tcp, from_client, now, out);
        }
        State::Bypassed(bypassed) => {
            bypassed.ends.note(&tcp.head(), &packet, from_client);
            forward(flow.place, packet, from_client, out);
        }
        _ => forward(flow.place, packet, from_client, out),
    }
    After::Keep
}

impl Bypassed {
    fn new(code: DecisionCode, now: Now) -> Self {
        Self {
            code,
            ends: Ends::new(now.mono),
            doubts: None,
        }
    }

    /// A packet of a flow that passes.
    pub(crate) fn on_packet<B: PacketBuf>(
        &mut self,
        place: Place,
        packet: B,
        tcp: &TcpFrame,
        from_client: bool,
        now: Now,
        out: &mut impl Output<B>,
    ) -> After {
        let mut charged = false;
        if let Some(doubts) = &mut self.doubts {
            if !doubts.admit(tcp, packet.frame(), from_client, now.mono, out) {
                out.discard(packet, DropReason::IrregularSegment);
                return After::Undisturbed;
            }
            charged = true;
            self.doubts.take_if(|doubts| doubts.are_over());
        }
        self.ends.touch(now.mono);
        let before = self.ends.ended();
        self.ends.note(&tcp.head(), &packet, from_client);
        forward(place, packet, from_client, out);
        // The alarm comes earlier only when the flow has just ended, or is known to have.
        if charged || self.ends.ended() && !before {
            After::Keep
        } else {
            After::Undisturbed
        }
    }

    /// When something is due: the flow is forgotten, or a number that was watched on its addresses and ports is.
    pub(crate) fn next_timeout(&self) -> Instant {
        let until = self.until();
        let watched = self.successor().map(Successor::until);
        watched.map_or(until, |watched| until.min(watched))
    }

    /// When the flow is forgotten.
    fn until(&self) -> Instant {
        let active = self.ends.active();
        // An end that the origin may not have seen is none.
        match self.unconfirmed().map(Unconfirmed::until) {
            Some(until) => until.min(active + BYPASS_IDLE_TIMEOUT),
            None if self.ends.ended() => active + BYPASS_CLOSED_TIMEOUT,
            None => active + BYPASS_IDLE_TIMEOUT,
        }
    }

    pub(crate) fn on_timeout(&mut self, now: Instant) -> After {
        if now >= self.until() {
            return After::Remove;
        }
        self.expire_doubts(now);
        After::Keep
    }
}

impl Blocked {
    pub(crate) fn new(code: DecisionCode, resets: Resets, now: Now) -> Self {
        Self {
            code,
            resets,
            until: now.mono + BLOCKED_LINGER,
            headless: false,
        }
    }

    /// A flow that is blocked by its first packet, which begins none.
    fn headless(code: DecisionCode, resets: Resets, now: Now) -> Self {
        Self {
            headless: true,
            ..Self::new(code, resets, now)
        }
    }

    /// A packet of a flow that is blocked: its sender is reset, again if the first reset was lost, where the proxy says so.
    pub(crate) fn on_packet<B: PacketBuf>(
        &mut self,
        place: Place,
        packet: B,
        tcp: &TcpFrame,
        from_client: bool,
        now: Now,
        out: &mut impl Output<B>,
    ) {
        self.until = now.mono + BLOCKED_LINGER;
        let wanted = if from_client {
            self.resets.client
        } else {
            self.resets.origin
        };
        let side = place.side_of(from_client);
        if wanted && !tcp.flags.rst() && tcp.checksum_ok(packet.frame()) {
            let len = PathTemplate::from_frame(tcp, packet.frame()).header_bytes();
            let sent = out.emit(place.segment, side, len, &mut |buffer| {
                let written = sluice_packet::emit_reset(buffer, tcp, packet.frame());
                written.ok().flatten().unwrap_or(0)
            });
            if sent {
                out.count(Counter::TcpResetsSent, 1);
            }
        }
        out.discard(packet, DropReason::BlockedFlow);
    }

    /// Nothing depends on the entry: both ends were told that it is over, or whatever comes next is blocked without it. The
    /// latter is what anybody can make many of, with nothing but forged addresses.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.headless || self.resets.client && self.resets.origin
    }
}

/// Sends a packet of a known flow on as it came.
pub(crate) fn forward<B: PacketBuf>(
    place: Place,
    packet: B,
    from_client: bool,
    out: &mut impl Output<B>,
) {
    out.count(Counter::ForwardedPackets, 1);
    out.count(Counter::ForwardedBytes, packet.frame().len() as u64);
    let to = place.side_of(!from_client);
    out.forward(place.segment, to, packet);
}

/// Turns a flow into a bypassed one, with what is logged about it.
fn bypass<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &Shared,
    code: DecisionCode,
    (sni, detail): (Option<String>, Option<String>),
    now: Now,
    out: &mut impl Output<B>,
) {
    shared.decided(
        &flow.identity,
        code,
        EndReason::Bypassed,
        (sni, detail),
        now,
        out,
    );
    let mut bypassed = Bypassed::new(code, now);
    let passes = State::Over(corners::Over { until: now.mono });
    if let State::Holding(mut holding) = core::mem::replace(&mut flow.state, passes) {
        if holding.origin_finished {
            bypassed.ends.origin_has_finished();
        }
        for packet in holding.hold.release() {
            if let Frame::Tcp(tcp) = parse(flow.place.segment, packet.frame()) {
                bypassed.ends.note(&tcp.head(), &packet, true);
            }
            forward(flow.place, packet, true, out);
        }
        bypassed.doubts = holding.hold.into_unconfirmed(now.mono).map(Doubts::of);
    }
    flow.state = State::Bypassed(bypassed);
}

/// Turns a flow into a blocked one. What was held never leaves.
fn block<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &Shared,
    code: DecisionCode,
    (sni, detail): (Option<String>, Option<String>),
    now: Now,
    out: &mut impl Output<B>,
) {
    shared.decided(
        &flow.identity,
        code,
        EndReason::Blocked,
        (sni, detail),
        now,
        out,
    );
    let before = core::mem::replace(
        &mut flow.state,
        State::Blocked(Blocked::new(code, flow.identity.resets(), now)),
    );
    if let State::Holding(mut holding) = before {
        holding.reset(flow.place, flow.identity.resets(), out);
        for packet in holding.hold.release() {
            out.discard(packet, DropReason::BlockedFlow);
        }
    }
}
