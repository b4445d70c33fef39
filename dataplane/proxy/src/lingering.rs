//! What is left of a session that is over: a few dozen bytes that answer whatever its ends still send.

use sluice_packet::{Instant, PacketBuf, PathTemplate, TcpFrame, TcpSegment};
use sluice_tcp::{TimeWait, TimeWaitAnswer};
use sluice_telemetry::{Counter, DecisionCode, DropReason};

use crate::identity::Place;
use crate::limits::{BLOCKED_LINGER, LINGERING_BYTES_MAX, TIME_WAIT_LINGER};
use crate::output::Output;

/// A session whose halves are closed or in TIME-WAIT. Nothing passes between its ends any more: each is answered in the
/// other's name, with an acknowledgement where its connection ended by both FINs, with a reset where it did not.
#[derive(Debug)]
pub(crate) struct Lingering {
    client: Option<TimeWait>,
    origin: Option<TimeWait>,
    pub(crate) code: Option<DecisionCode>,
    pub(crate) until: Instant,
}

const _: () = assert!(size_of::<Lingering>() <= LINGERING_BYTES_MAX);

impl Lingering {
    /// From what is left of the half that talked to the client, and of the one that talked to the origin. An end that was
    /// given up may not have heard its reset, and is recognised for longer.
    pub(crate) fn new(
        (client, origin): (Option<TimeWait>, Option<TimeWait>),
        code: Option<DecisionCode>,
        gave_up: bool,
        now: Instant,
    ) -> Self {
        let lasts = if gave_up {
            BLOCKED_LINGER
        } else {
            TIME_WAIT_LINGER
        };
        Self {
            client,
            origin,
            code,
            until: now + lasts,
        }
    }

    /// Whether `tcp`, a SYN of the client, can only be a new connection's.
    pub(crate) fn gives_way_to(
        &self,
        tcp: &TcpFrame,
        packet: &impl PacketBuf,
        now: Instant,
    ) -> bool {
        // Asked of a copy: what is not new is answered when it is taken.
        self.client.is_none_or(|mut half| {
            tcp.intact(packet)
                && half.on_segment(now, &tcp.segment(packet.frame())) == TimeWaitAnswer::Reopen
        })
    }

    /// A packet of one of the ends.
    pub(crate) fn on_packet<B: PacketBuf>(
        &mut self,
        place: Place,
        packet: B,
        tcp: &TcpFrame,
        from_client: bool,
        now: Instant,
        out: &mut impl Output<B>,
    ) {
        if !tcp.intact(&packet) {
            out.count(Counter::ChecksumErrors, 1);
            out.discard(packet, DropReason::BadChecksum);
            return;
        }
        let half = if from_client {
            &mut self.client
        } else {
            &mut self.origin
        };
        let segment = tcp.segment(packet.frame());
        let answer = if let Some(half) = half {
            let ended = half.ends_at();
            let answer = half.on_segment(now, &segment);
            if half.ends_at() > ended {
                // A FIN again: its sender may not hear this answer either.
                self.until = self.until.max(now + TIME_WAIT_LINGER);
            }
            match answer {
                TimeWaitAnswer::Acknowledge(answer) => Some(answer),
                TimeWaitAnswer::Silence | TimeWaitAnswer::Reopen => None,
            }
        } else {
            // It has not heard its reset, and may wait long before it tries again.
            self.until = self.until.max(now + BLOCKED_LINGER);
            segment.reset_reply()
        };
        if let Some(answer) = answer {
            reply(place, (&packet, tcp), &answer, from_client, out);
        }
        if from_client && self.client.is_some() || !from_client && self.origin.is_some() {
            out.consume(packet);
        } else {
            out.discard(packet, DropReason::ClosedFlow);
        }
    }
}

/// Answers the sender of `tcp` in the name of the end that it was for.
fn reply<B: PacketBuf>(
    place: Place,
    (packet, tcp): (&B, &TcpFrame),
    answer: &TcpSegment<'_>,
    to_client: bool,
    out: &mut impl Output<B>,
) {
    let path = PathTemplate::from_frame(tcp, packet.frame()).reversed();
    let len = path.header_bytes() + answer.options.wire_bytes();
    let side = place.side_of(to_client);
    let sent = out.emit(place.segment, side, len, &mut |buffer| {
        sluice_packet::emit(buffer, &path, answer, &[]).unwrap_or(0)
    });
    if sent && answer.flags.rst() {
        out.count(Counter::TcpResetsSent, 1);
    }
}
