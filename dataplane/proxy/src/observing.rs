//! A flow whose handshake is watched. Everything is forwarded: a SYN costs an evictable entry and nothing else.

use sluice_flow::{Irregularity, Observation, Observer};
use sluice_packet::{PacketBuf, TcpFrame};
use sluice_policy::NoHello;
use sluice_telemetry::DropReason;

use crate::Now;
use crate::flow::{After, Flow, State};
use crate::holding::{self, Holding};
use crate::identity::Identity;
use crate::output::Output;
use crate::passing::{forward, pass_or_drop, picked_up, settle};
use crate::shared::Shared;

/// The state that a candidate's first SYN opens.
pub(crate) fn begin<B: PacketBuf>(
    identity: &Identity,
    shared: &Shared,
    packet: &B,
    tcp: &TcpFrame,
    now: Now,
    out: &mut impl Output<B>,
) -> State<B> {
    match Observer::open(tcp, packet.frame(), identity.client_side, now.mono) {
        Ok(observer) => State::Observing(observer),
        Err(why) => picked_up(identity, no_hello(why), shared, now, out),
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
    let State::Observing(observer) = &mut flow.state else {
        return After::Undisturbed;
    };
    let side = flow.identity.side_of(from_client);
    let observation = observer.on_segment(tcp, packet.frame(), side, now.mono);
    match observation {
        Observation::Established => {
            if tcp.payload_len() == 0 {
                // It may carry a FIN.
                observer.passed(tcp);
            }
            let holding = Holding::new(*observer, tcp, now.mono);
            flow.state = State::Holding(Box::new(holding));
            if tcp.payload_len() == 0 {
                forward(&flow.identity, packet, from_client, out);
                return After::Keep;
            }
            holding::keep_payload(flow, shared, packet, tcp, from_client, now, out)
        }
        Observation::Irregular(why) => {
            let code = flow.identity.without_hello(no_hello(why)).code;
            settle(flow, shared, code, (None, None), now, out);
            pass_or_drop(flow, packet, tcp, from_client, now, out)
        }
        Observation::Reset => {
            forward(&flow.identity, packet, from_client, out);
            After::Remove
        }
        Observation::Reopened => {
            flow.state = begin(&flow.identity, shared, &packet, tcp, now, out);
            flow.identity.started = now.mono;
            flow.identity.started_unix_us = now.unix_us;
            pass_or_drop(flow, packet, tcp, from_client, now, out)
        }
        Observation::Disregarded(_) if from_client && tcp.payload_len() > 0 => {
            // Of two handshakes the origin may believe the other one: nothing of the client's passes undecided.
            out.discard(packet, DropReason::IrregularSegment);
            After::Undisturbed
        }
        Observation::Handshaking
        | Observation::Segment
        | Observation::Finished
        | Observation::Disregarded(_) => {
            // What its receiver disregards, it may as well get.
            forward(&flow.identity, packet, from_client, out);
            After::Undisturbed
        }
    }
}

/// What policy is asked about a handshake that is not one to take over.
pub(crate) fn no_hello(why: Irregularity) -> NoHello {
    match why {
        Irregularity::Signed => NoHello::TcpSignature,
        _ => NoHello::IrregularHandshake,
    }
}
