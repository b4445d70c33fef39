//! SYN and SYN-ACK of a flow that may be inspected, made such that a takeover can carry on what they agree on.

use sluice_packet::{Frame, PacketBuf, TcpFrame, is_to_be_normalised, normalise_syn, parse};
use sluice_telemetry::Counter;

use crate::identity::Identity;
use crate::output::Effects;

/// Takes out of the SYN or SYN-ACK in `packet` what a takeover cannot carry on: Multipath TCP (RFC 8684), Fast Open
/// (RFC 7413), unknown options, and data, which its sender sends again after the handshake. Gives the frame as it is then, if
/// anything was taken out. What policy bypasses whatever it says is left alone, and so is what is signed.
pub(crate) fn normalise<B: PacketBuf>(
    identity: &Identity,
    packet: &mut B,
    tcp: &TcpFrame,
    out: &mut dyn Effects,
) -> Option<TcpFrame> {
    if identity.candidate.early().is_some() || !is_to_be_normalised(packet.frame(), tcp) {
        // Not even asked to be changed: what was put together leaves as the fragments that it came in.
        return None;
    }
    let normalised = normalise_syn(packet.frame_mut(), tcp);
    if !normalised.stripped && !normalised.cut {
        return None;
    }
    out.count(Counter::SynOptionsStripped, normalised.stripped.into());
    out.count(Counter::SynDataCut, normalised.cut.into());
    packet.truncate(normalised.len);
    match parse(identity.segment(), packet.frame()) {
        Frame::Tcp(tcp) => Some(tcp),
        _ => None,
    }
}
