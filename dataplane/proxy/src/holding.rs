//! An established flow whose ClientHello is awaited: the client's bytes are held, everything else passes.

use sluice_flow::{Disregard, Observation, Observer, Recorded};
use sluice_packet::{Instant, PacketBuf, SeqNum, TcpFlags, TcpFrame, TcpSegment, fetch};
use sluice_policy::NoHello;
use sluice_telemetry::{Counter, DropReason, EndReason, Verdict};
use sluice_tls::{ClientHello, ClientHelloReader, HelloProgress};

use crate::corners;
use crate::flow::{After, Flow, State};
use crate::generation::Resets;
use crate::hold::{Hold, Kept};
use crate::identity::Place;
use crate::limits::{
    HELD_PACKETS_BEFORE_TAKEOVER, HELLO_TIMEOUT, HOLD_BEFORE_TAKEOVER, HOLD_BYTES_MAX,
    SILENT_TIMEOUT,
};
use crate::output::{Effects, Output};
use crate::passing::{forward, pass_or_drop, settle};
use crate::session::Session;
use crate::shared::Shared;
use crate::{Now, takeover};

/// A flow whose ClientHello is awaited.
pub(crate) struct Holding<B> {
    observer: Observer,
    key: sluice_packet::FlowKey,
    pub(crate) hold: Hold<B>,
    reader: ClientHelloReader,
    established: Instant,
    /// When the client's first byte came.
    first_byte: Option<Instant>,
    /// The origin has sent its FIN before anything was decided.
    pub(crate) origin_finished: bool,
    /// The hold has run out while something that has passed was not acknowledged: it goes on for that.
    overdue: bool,
}

impl<B> Holding<B> {
    /// Asks for what the next packet will read.
    pub(crate) fn fetch(&self) {
        self.observer.fetch();
        fetch(&self.hold);
        fetch(&self.established);
    }
}

impl<B: PacketBuf> Holding<B> {
    /// From the segment that ends the handshake.
    pub(crate) fn new(observer: Observer, tcp: &TcpFrame, now: Instant) -> Self {
        // Not at that segment: it may have overtaken what was sent before it.
        let start = observer.next_of(observer.role_of(tcp));
        Self {
            observer,
            key: tcp.key,
            hold: Hold::new(start, HOLD_BYTES_MAX),
            reader: ClientHelloReader::new(),
            established: now,
            first_byte: None,
            origin_finished: false,
            overdue: false,
        }
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        match self.first_byte {
            None => self.established + SILENT_TIMEOUT,
            Some(first) if self.overdue => first + HELLO_TIMEOUT,
            Some(first) => first + HOLD_BEFORE_TAKEOVER,
        }
    }

    /// Bytes of the client that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.reader.memory_bytes() + self.hold.held_bytes()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.reader.memory_bytes() + self.hold.memory_bytes()
    }

    /// Resets both real ends of a flow that is blocked, as its proxy says. Nothing of the client's has been passed on.
    pub(crate) fn reset(&self, place: Place, resets: Resets, out: &mut dyn Effects) {
        let Some(recorded) = self.observer.recorded(&self.key) else {
            return;
        };
        let held = u32::try_from(self.hold.bytes().len()).unwrap_or(u32::MAX);
        let client = &recorded.toward_originator;
        let origin = &recorded.toward_responder;
        let (client_side, origin_side) = (place.side_of(true), place.side_of(false));
        for (wanted, half, side, acknowledged) in [
            (resets.client, client, client_side, held),
            (resets.origin, origin, origin_side, 0),
        ] {
            if !wanted {
                continue;
            }
            let reset = reset_segment(half.send_next, half.receive_next + acknowledged);
            let sent = out.emit(
                place.segment,
                side,
                half.path.header_bytes(),
                &mut |buffer| sluice_packet::emit(buffer, &half.path, &reset, &[]).unwrap_or(0),
            );
            if sent {
                out.count(Counter::TcpResetsSent, 1);
            }
        }
    }
}

fn reset_segment(seq: SeqNum, ack: SeqNum) -> TcpSegment<'static> {
    TcpSegment {
        seq,
        ack,
        flags: TcpFlags::RST | TcpFlags::ACK,
        ..TcpSegment::default()
    }
}

pub(crate) fn on_packet<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    packet: B,
    tcp: &TcpFrame,
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let State::Holding(holding) = &mut flow.state else {
        return After::Undisturbed;
    };
    let side = flow.place.side_of(from_client);
    match holding
        .observer
        .on_segment(tcp, packet.frame(), side, now.mono)
    {
        Observation::Irregular(why) => {
            let packet = (packet, tcp);
            return corners::irregular(flow, shared, why, packet, from_client, now, out);
        }
        Observation::Reset => {
            return on_end(flow, shared, packet, (from_client, true), now, out);
        }
        Observation::Finished => {
            return on_end(flow, shared, packet, (from_client, false), now, out);
        }
        Observation::Disregarded(Disregard::BadChecksum) => {
            out.count(Counter::ChecksumErrors, 1);
            out.discard(packet, DropReason::BadChecksum);
            return After::Undisturbed;
        }
        Observation::Disregarded(_) if tcp.payload_len() > 0 || tcp.flags.fin() => {
            // Its receiver takes nothing from it, but some other receiver might: nothing of either end passes, and nothing
            // is decided by it.
            out.discard(packet, DropReason::IrregularSegment);
            return After::Undisturbed;
        }
        Observation::Disregarded(_) => {
            // A challenge, a repeated SYN: its receiver may answer it, but it is no part of what was passed on.
            forward(flow.place, packet, from_client, out);
            return After::Undisturbed;
        }
        _ => {}
    }
    let probes = tcp.payload_len() == 1 && holding.observer.is_repetition(tcp);
    if probes && holding.hold.is_empty() {
        // A keep-alive: the other end answers it.
        forward(flow.place, packet, from_client, out);
        return After::Undisturbed;
    }
    if from_client {
        let after = from_the_client(flow, shared, packet, tcp, now, out);
        return catch_up(flow, shared, now, out).unwrap_or(after);
    }
    if tcp.payload_len() > 0 && !probes {
        let code = flow.identity.without_hello(NoHello::ServerSpokeFirst).code;
        settle(flow, shared, code, (None, None), now, out);
        return pass_or_drop(flow, packet, tcp, from_client, now, out);
    }
    if let State::Holding(holding) = &mut flow.state {
        holding.origin_finished |= tcp.flags.fin();
        holding.observer.passed(tcp);
    }
    forward(flow.place, packet, from_client, out);
    catch_up(flow, shared, now, out).unwrap_or(After::Undisturbed)
}

/// A hold that ran out ends as soon as everything that has passed is acknowledged.
fn catch_up<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    now: Now,
    out: &mut impl Output<B>,
) -> Option<After> {
    match &flow.state {
        State::Holding(holding) if holding.overdue => {
            let first = holding.first_byte?;
            recorded(holding)?;
            Some(collect(flow, shared, first, now, out))
        }
        _ => None,
    }
}

/// The connection ends. What is held of it was never decided upon, and never leaves; without any there is nothing to tell.
fn on_end<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    packet: B,
    (from_client, reset): (bool, bool),
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let State::Holding(holding) = &mut flow.state else {
        return After::Undisturbed;
    };
    let spoke = holding.first_byte.is_some();
    let code = flow.identity.without_hello(NoHello::Malformed).code;
    if spoke && code.verdict() != Verdict::Block {
        settle(flow, shared, code, (None, None), now, out);
        forward(flow.place, packet, from_client, out);
    } else {
        for held in holding.hold.release() {
            out.discard(held, DropReason::ClosedFlow);
        }
        forward(flow.place, packet, from_client, out);
        if spoke {
            let (ended, how) = match (reset, from_client) {
                (false, _) => (EndReason::Closed, "both ends closed"),
                (true, true) => (EndReason::ClientReset, "the client reset"),
                (true, false) => (EndReason::OriginReset, "the origin reset"),
            };
            let detail = format!("{how} before the ClientHello was whole");
            let said = (None, Some(detail));
            shared.decided(&flow.identity, code, ended, said, now, out);
        }
    }
    if spoke {
        out.count(Counter::EndedWhileHeld, 1);
    }
    corners::over(flow, now)
}

fn from_the_client<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    packet: B,
    tcp: &TcpFrame,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    if tcp.payload_len() > 0 {
        return keep_payload(flow, shared, packet, tcp, true, now, out);
    }
    let State::Holding(holding) = &mut flow.state else {
        return After::Undisturbed;
    };
    if tcp.flags.fin() && holding.hold.is_empty() && holding.hold.is_ahead(tcp) {
        // The end of a stream whose beginning has not come: the client sends both again.
        out.discard(packet, DropReason::IrregularSegment);
        return After::Undisturbed;
    }
    if !tcp.flags.fin() || holding.hold.is_empty() {
        // Acknowledgements, keep-alives, and the close of a connection on which nothing was said.
        holding.observer.passed(tcp);
        forward(flow.place, packet, true, out);
        return After::Undisturbed;
    }
    // The client ends its stream behind a ClientHello that will never be whole.
    let rejected = holding.hold.keep(packet, tcp);
    out.count(Counter::EndedWhileHeld, 1);
    let code = flow.identity.without_hello(NoHello::Malformed).code;
    let detail = Some("the client closed before its ClientHello was whole".to_owned());
    settle(flow, shared, code, (None, detail), now, out);
    match rejected {
        Some(packet) => pass_or_drop(flow, packet, tcp, true, now, out),
        None => After::Keep,
    }
}

/// Holds a packet with payload and decides as soon as the ClientHello is whole.
pub(crate) fn keep_payload<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    packet: B,
    tcp: &TcpFrame,
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let State::Holding(holding) = &mut flow.state else {
        return After::Undisturbed;
    };
    let unanswered = holding.origin_finished && recorded(holding).is_none();
    if unanswered || !from_client {
        // The client has not heard that the server has finished, so the flow cannot be taken over yet. It sends this again.
        out.discard(packet, DropReason::IrregularSegment);
        return After::Undisturbed;
    }
    if !shared.memory.may_hold() {
        out.count(Counter::MemoryRefusals, 1);
        let code = flow.identity.over_limit().code;
        settle(flow, shared, code, (None, memory_used_up()), now, out);
        return pass_or_drop(flow, packet, tcp, true, now, out);
    }
    let (kept, rejected) = holding.hold.offer(packet, tcp);
    let first = holding.first_byte.unwrap_or(now.mono);
    if kept != Kept::Duplicate {
        // What was there before the stream begins none.
        holding.first_byte = Some(first);
    }
    match (kept, rejected) {
        (Kept::Contradiction, rejected) => {
            out.count(Counter::HeldContradicted, 1);
            let code = flow.identity.without_hello(NoHello::Malformed).code;
            let detail = Some("the client sent two versions of the same bytes".to_owned());
            settle(flow, shared, code, (None, detail), now, out);
            rejected.map_or(After::Keep, |packet| {
                pass_or_drop(flow, packet, tcp, true, now, out)
            })
        }
        (Kept::Held { fresh, repeated }, _) => {
            if repeated {
                out.count(Counter::HeldRepeated, 1);
            }
            let progress = holding.reader.feed(holding.hold.fresh(fresh));
            let crowded = holding.hold.len() > HELD_PACKETS_BEFORE_TAKEOVER;
            on_progress(flow, shared, progress, crowded, first, now, out)
        }
        (reason @ (Kept::Duplicate | Kept::Full), Some(packet)) => {
            let full = reason == Kept::Full;
            if !full {
                out.count(Counter::HeldRepeated, 1);
            }
            out.discard(
                packet,
                if full {
                    DropReason::HoldFull
                } else {
                    DropReason::IrregularSegment
                },
            );
            if full {
                collect(flow, shared, first, now, out)
            } else {
                After::Undisturbed
            }
        }
        (Kept::Duplicate | Kept::Full, None) => After::Undisturbed,
    }
}

fn on_progress<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    progress: HelloProgress,
    crowded: bool,
    first: Instant,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let (why, detail) = match progress {
        HelloProgress::NeedMore if crowded => return collect(flow, shared, first, now, out),
        HelloProgress::NeedMore => return After::Keep,
        HelloProgress::Complete(hello) => return on_hello(flow, shared, hello, now, out),
        HelloProgress::NotTls => (NoHello::NotTls, None),
        HelloProgress::Malformed(error) => (NoHello::Malformed, Some(error.to_string())),
        HelloProgress::TooLarge => (NoHello::TooLarge, None),
    };
    let code = flow.identity.without_hello(why).code;
    settle(flow, shared, code, (None, detail), now, out);
    After::Keep
}

fn on_hello<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    hello: Box<ClientHello>,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    out.count(Counter::ClientHellos, 1);
    let decision = flow.identity.decide(&hello, shared, 0, now);
    let Some(decided) = decision.proof() else {
        let mut note = decision.note.map(|note| note.name().to_owned());
        if decision.memory_used_up {
            out.count(Counter::MemoryRefusals, 1);
            note = memory_used_up();
        }
        settle(flow, shared, decision.code, (hello.sni, note), now, out);
        return After::Keep;
    };
    let note = decision.note;
    take_over(flow, shared, now, out, |client, origin| {
        Session::inspect((client, origin), hello, decided, note, now.mono)
    })
}

/// Takes over before the ClientHello is whole: the client's window opens, and the rest is read from there. What is bypassed
/// whatever it says is not taken over for it.
fn collect<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    first: Instant,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    if let Some(early) = flow.identity.candidate.early() {
        settle(flow, shared, early.code, (None, None), now, out);
        return After::Keep;
    }
    if !shared.memory.may_take_over() {
        out.count(Counter::MemoryRefusals, 1);
        let code = flow.identity.over_limit().code;
        settle(flow, shared, code, (None, memory_used_up()), now, out);
        return After::Keep;
    }
    let deadline = first + HELLO_TIMEOUT;
    take_over(flow, shared, now, out, |client, origin| {
        Session::collect(client, origin, deadline, now.mono)
    })
}

fn memory_used_up() -> Option<String> {
    Some("the memory for flows like this is used up".to_owned())
}

fn take_over<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    now: Now,
    out: &mut impl Output<B>,
    session: impl FnOnce(crate::session::Half, crate::session::Half) -> Session,
) -> After {
    let State::Holding(holding) = &mut flow.state else {
        return After::Undisturbed;
    };
    let Some(recorded) = recorded(holding) else {
        let code = flow
            .identity
            .without_hello(NoHello::IrregularHandshake)
            .code;
        let detail = Some("what passed is not acknowledged yet".to_owned());
        settle(flow, shared, code, (None, detail), now, out);
        return After::Keep;
    };
    let (client, origin) = takeover::halves(&recorded, flow.place, &shared.mtus, now.mono);
    let mut session = session(client, origin);
    let segment = flow.place.segment;
    let recent = recorded.toward_originator.timestamps;
    for packet in holding.hold.release() {
        if let sluice_packet::Frame::Tcp(tcp) = sluice_packet::parse(segment, packet.frame()) {
            let mut held = tcp.segment(packet.frame());
            if let (Some(clock), Some(stamp)) = (recent, &mut held.options.timestamps) {
                // It was found acceptable when it came. A copy that came later has moved the clock on since.
                let recent = SeqNum(clock.echo_recent);
                stamp.value = SeqNum(stamp.value).max(recent).0;
            }
            let half = session.half(true, now.mono);
            half.tcp.on_segment(now.mono, &held);
        }
        out.consume(packet);
    }
    shared.session_began(out);
    flow.state = State::Taken(Box::new(session));
    After::Service
}

fn recorded<B>(holding: &Holding<B>) -> Option<Recorded> {
    holding.observer.recorded(&holding.key)
}

/// The client is silent, or its ClientHello does not get whole.
pub(crate) fn on_timeout<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let State::Holding(holding) = &mut flow.state else {
        return After::Undisturbed;
    };
    if let Some(first) = holding.first_byte {
        if !holding.overdue && recorded(holding).is_none() {
            // A round trip may take longer than this hold.
            holding.overdue = true;
            return After::Keep;
        }
        return collect(flow, shared, first, now, out);
    }
    let code = flow.identity.without_hello(NoHello::TimedOut).code;
    settle(flow, shared, code, (None, None), now, out);
    After::Keep
}
