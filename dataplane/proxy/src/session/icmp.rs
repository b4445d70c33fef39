//! What routers say about a session's segments.

use sluice_packet::limits::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, TCP_HEADER_BYTES};
use sluice_packet::{IcmpError, IcmpKind, Instant};
use sluice_tcp::limits::{PATH_MTU_IPV4_BYTES_MIN, PATH_MTU_IPV6_BYTES_MIN};

use super::Session;

/// The MSS of the smallest path that a router's word can make.
fn mss_min(error: &IcmpError) -> u16 {
    let (mtu, header) = if error.source.is_ipv4() {
        (PATH_MTU_IPV4_BYTES_MIN, IPV4_HEADER_BYTES)
    } else {
        (PATH_MTU_IPV6_BYTES_MIN, IPV6_HEADER_BYTES)
    };
    mtu.saturating_sub(u16::try_from(header + TCP_HEADER_BYTES).unwrap_or(0))
}

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
            IcmpKind::TooBig { .. } => error.mss_limit().is_some_and(|mss| {
                let mss = mss.max(mss_min(error));
                half.tcp.on_packet_too_big(now, error.seq, mss)
            }),
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
