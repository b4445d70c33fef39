//! What routers say about a session's segments.

use sluice_packet::{IcmpError, IcmpKind, Instant};

use super::Session;

impl Session {
    /// An ICMP error about a segment of the half that talks to the client, or of the one that talks to the origin. False when
    /// nothing came of it: whoever reports what was never sent is not believed.
    pub(crate) fn on_icmp(&mut self, error: &IcmpError, to_client: bool, now: Instant) -> bool {
        let half = if to_client {
            &mut self.client
        } else {
            &mut self.origin
        };
        match error.kind {
            // A router that does not say what fits is an old one; silence tells the size then (RFC 8899, RFC 4821).
            IcmpKind::TooBig { .. } => error
                .mss_limit()
                .is_some_and(|mss| half.tcp.on_packet_too_big(now, error.seq, mss)),
            // RFC 9293 3.9.2.2: none of these ends a connection.
            IcmpKind::Unreachable { .. } | IcmpKind::TimeExceeded | IcmpKind::ParameterProblem => {
                half.tcp.on_soft_error();
                true
            }
            // RFC 6633 1: Source Quench is ignored.
            IcmpKind::Quench => false,
        }
    }
}
