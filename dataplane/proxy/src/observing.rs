//! A flow whose handshake is watched. Everything is forwarded: a SYN costs an evictable entry and nothing else.

use sluice_flow::{Observation, Observer};
use sluice_packet::{PacketBuf, TcpFrame};
use sluice_telemetry::{Counter, DropReason};

use crate::Now;
use crate::corners;
use crate::flow::{After, Flow, State};
use crate::holding::{self, Holding};
use crate::identity::{Identity, Place};
use crate::output::Output;
use crate::passing::{forward, pass_or_drop, picked_up, settle};
use crate::shared::Shared;
use crate::syn;

/// The state that a candidate's first SYN opens.
pub(crate) fn begin<B: PacketBuf>(
    (identity, place): (&Identity, Place),
    shared: &Shared,
    packet: &B,
    tcp: &TcpFrame,
    now: Now,
    out: &mut impl Output<B>,
) -> State<B> {
    match Observer::open(tcp, packet.frame(), place.client_side, now.mono) {
        Ok(observer) => State::Observing(observer),
        Err(why) => picked_up(identity, why, shared, now, out),
    }
}

pub(crate) fn on_packet<B: PacketBuf>(
    flow: &mut Flow<B>,
    shared: &mut Shared,
    mut packet: B,
    tcp: &TcpFrame,
    from_client: bool,
    now: Now,
    out: &mut impl Output<B>,
) -> After {
    let State::Observing(observer) = &mut flow.state else {
        return After::Undisturbed;
    };
    let normalised = syn::normalise(&flow.identity, &mut packet, tcp, out);
    let tcp = normalised.as_ref().unwrap_or(tcp);
    let side = flow.place.side_of(from_client);
    let observation = observer.on_segment(tcp, packet.frame(), side, now.mono);
    match observation {
        Observation::Established if shared.degraded.passes().is_some() => {
            if let Some(code) = shared.degraded.passes() {
                settle(flow, shared, code, (None, None), now, out);
            }
            pass_or_drop(flow, packet, tcp, from_client, now, out)
        }
        Observation::Established => {
            if tcp.payload_len() == 0 {
                // It may carry a FIN.
                observer.passed(tcp);
            }
            if tcp.payload_len() > 0 {
                out.count(Counter::DataOnConfirmation, 1);
            }
            let holding = Holding::new(observer.clone(), tcp, now.mono);
            flow.state = State::Holding(Box::new(holding));
            if tcp.payload_len() == 0 {
                forward(flow.place, packet, from_client, out);
                return After::Keep;
            }
            holding::keep_payload(flow, shared, packet, tcp, from_client, now, out)
        }
        Observation::Irregular(why) => {
            let packet = (packet, tcp);
            corners::irregular(flow, shared, why, packet, from_client, now, out)
        }
        Observation::Reset | Observation::Finished => {
            forward(flow.place, packet, from_client, out);
            corners::over(flow, now)
        }
        Observation::Disregarded(_) if tcp.payload_len() > 0 => {
            // Of two handshakes an end may believe the other one: nothing that either says passes undecided.
            out.discard(packet, DropReason::IrregularSegment);
            After::Undisturbed
        }
        Observation::Handshaking
        | Observation::Segment
        | Observation::Reopened
        | Observation::Disregarded(_) => {
            // What its receiver disregards, it may as well get.
            forward(flow.place, packet, from_client, out);
            After::Undisturbed
        }
    }
}
