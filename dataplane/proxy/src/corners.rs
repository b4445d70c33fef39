//! Where TCP may go and hosts rarely do: what becomes of the packet and of its flow.
//!
//! *Irregular* means that the connection cannot be taken over, now or later. Policy decides such a flow: toward a protected
//! server it is blocked (319), on a client proxy's port bypassed (206) or, as the proxy's `irregular_handshake` says,
//! blocked. Its record carries the irregularity's name in `detail`. Every row has a test in `tests/corners.rs`.
//!
//! | Corner | The packet | The flow | Code | Counter |
//! |---|---|---|---|---|
//! | data on the SYN or SYN-ACK | its data is cut off, and sent again later | goes on | its own | `syn-data-cut` |
//! | Multipath TCP, Fast Open, unknown or malformed options there | they are made padding | goes on | its own | `syn-options-stripped` |
//! | any of it where policy bypasses the flow whatever it says | untouched | irregular | 201, 205, 209 | `irregular-data-on-syn`, `-multipath`, `-unknown-options`, `-malformed-options` |
//! | data on the third segment | held: it is the ClientHello | goes on | its own | `data-on-confirmation` |
//! | the ClientHello sent again | discarded, the same bytes are held | goes on | its own | `held-repeated` |
//! | an overlap that says the same | its new bytes are held | goes on | its own | `held-repeated` |
//! | an overlap that says something else | discarded | blocked | 309 | `held-contradicted` |
//! | FIN behind a part of a ClientHello | discarded | blocked | 309 | `ended-while-held` |
//! | RST while a part is held | forwarded; what is held never leaves | blocked, over | 309 | `ended-while-held` |
//! | FIN or RST while nothing is held | forwarded | over, not logged | none | none |
//! | both ends send SYN; SYN answered by SYN (split handshake) | as the flow | irregular | 206, 319 | `irregular-simultaneous-open` |
//! | a SYN on the addresses and ports of a connection just over | forwarded: it is the origin's TIME-WAIT (RFC 6191) | observed anew | its own | `four-tuples-reused` |
//! | such a SYN on those of a flow that passes | forwarded; the ninth different one within a minute takes the oldest one's place | goes on, and is observed anew once the origin answers | its own | `four-tuples-reused` |
//! | the client speaks behind it before that, within a minute | discarded | goes on | none | `drop-irregular-segment` |
//! | the origin answers another SYN than the last one there | discarded | goes on | none | `drop-irregular-segment` |
//! | what was read of a flow that passes is not acknowledged for five minutes, or as long as there is room for it | none | forgotten: what comes then is picked up in the middle | its own | none, `flows-evicted` |
//! | a reset on a flow that passes | forwarded | over if it has the very number that is due and neither end goes on, else goes on | its own | none |
//! | such a SYN behind a session of ours that both ends finished | forwarded if it can only be a new connection's, else answered | observed anew, or lingers | its own | `four-tuples-reused` |
//! | a FIN again behind such a session | acknowledged in the other end's name | lingers | none | none |
//! | anything but a reset from an end of a session that was reset | answered with a reset | lingers | none | `drop-closed-flow` |
//! | the client speaks behind such a SYN without an answer to it | discarded | blocked | 319 | `irregular-after-end` |
//! | picked up in the middle | as the flow | irregular | 206, 319 | `irregular-mid-stream` |
//! | only one direction is seen | as the flow | irregular | 206, 319 | `irregular-one-way` |
//! | the origin speaks before the third segment | as the flow | irregular | 206, 319 | `irregular-early-data` |
//! | the client speaks after the connection is over | discarded | blocked | 319 | `irregular-after-end` |
//! | the origin speaks after the connection is over | discarded | stays over | none | `drop-closed-flow` |
//! | SYN with FIN | as the flow | irregular | 206, 319 | `irregular-bad-flags` |
//! | signed segments (MD5, TCP-AO) | untouched, as the flow | irregular | 207, 319 | `irregular-signed` |
//! | a wrong checksum on what begins a flow | forwarded, its receiver drops it | none is begun | none | none |

use sluice_flow::Irregularity;
use sluice_packet::{Instant, PacketBuf, TcpFrame};
use sluice_policy::NoHello;
use sluice_telemetry::{Counter, DecisionCode, DropReason};

use crate::Now;
use crate::flow::{After, Flow, State};
use crate::limits::ENDED_LINGER;
use crate::output::{Effects, Output};
use crate::passing::{forward, pass_or_drop, settle};
use crate::shared::Shared;

/// What policy is asked about a handshake that is not one to take over.
pub(crate) const fn no_hello(why: Irregularity) -> NoHello {
    match why {
        Irregularity::Signed => NoHello::TcpSignature,
        _ => NoHello::IrregularHandshake,
    }
}

/// Counts an irregular flow.
pub(crate) fn count(why: Irregularity, out: &mut dyn Effects) {
    out.count(counter(why), 1);
}

const fn counter(why: Irregularity) -> Counter {
    match why {
        Irregularity::MidStream => Counter::IrregularMidStream,
        Irregularity::OneWay => Counter::IrregularOneWay,
        Irregularity::SimultaneousOpen => Counter::IrregularSimultaneousOpen,
        Irregularity::DataOnSyn => Counter::IrregularDataOnSyn,
        Irregularity::EarlyData => Counter::IrregularEarlyData,
        Irregularity::BadFlags => Counter::IrregularBadFlags,
        Irregularity::MalformedOptions => Counter::IrregularMalformedOptions,
        Irregularity::UnknownOptions => Counter::IrregularUnknownOptions,
        Irregularity::Multipath => Counter::IrregularMultipath,
        Irregularity::Signed => Counter::IrregularSigned,
        Irregularity::AfterEnd => Counter::IrregularAfterEnd,
    }
}

/// A flow that turned out irregular is decided, and its packet goes the way of the decision.
pub(crate) fn irregular<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    why: Irregularity,
    (packet, tcp): (B, &TcpFrame),
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    if flow.reuses && why == Irregularity::OneWay {
        return after_end(flow, shared, (packet, tcp), from_client, now, out);
    }
    count(why, out);
    let code = flow.identity.without_hello(no_hello(why)).code;
    let detail = Some(why.name().to_owned());
    settle(flow, shared, code, (None, detail), now, out);
    pass_or_drop(flow, packet, tcp, from_client, now, out)
}

/// A connection that was watched to its end before anything was decided: reset, or closed by both ends without a word.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) until: Instant,
}

/// A packet of a connection that is over. Its ends repeat FINs and acknowledgements; whoever sends data goes on with
/// a connection that the other end may not think over: a reset may have been meant for this appliance alone.
pub(crate) fn on_packet_after_end<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    packet: B,
    tcp: &TcpFrame,
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    if tcp.payload_len() == 0 {
        forward(flow.place, packet, from_client, out);
        return After::Undisturbed;
    }
    if !from_client || !tcp.checksum_ok(packet.frame()) {
        out.discard(packet, DropReason::ClosedFlow);
        return After::Undisturbed;
    }
    after_end(flow, shared, (packet, tcp), from_client, now, out)
}

/// What claims to go on with a connection that is over is blocked: no end that keeps to the rules would take it.
fn after_end<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    (packet, tcp): (B, &TcpFrame),
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let why = Irregularity::AfterEnd;
    count(why, out);
    let early = flow.identity.candidate.early();
    let code = early.map_or(DecisionCode::BlockIrregularHandshake, |early| early.code);
    let detail = Some(why.name().to_owned());
    settle(flow, shared, code, (None, detail), now, out);
    pass_or_drop(flow, packet, tcp, from_client, now, out)
}

/// Leaves a flow whose end was seen in the table, for what may still come.
pub(crate) fn over<B>(flow: &mut Flow<B>, now: Now) -> After {
    let until = now.mono + ENDED_LINGER;
    flow.state = State::Over(Over { until });
    After::Keep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_irregularity_is_counted_under_its_name() {
        for why in Irregularity::ALL {
            assert_eq!(counter(why).name(), format!("irregular-{}", why.name()));
        }
    }
}
