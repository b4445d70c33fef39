//! The closing record of one flow, as it crosses the event ring.

use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{DecisionCode, LegFacts, OriginVerdict};

/// What one decided flow was, from its first packet to its end.
///
/// Names are copied out of the generation that decided the flow, so a record still reads right after the profile is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// The generation that decided.
    pub generation: u64,
    /// The core that carried the flow.
    pub core: u16,
    /// When the first SYN was seen by the clock at the flow's end, microseconds since the Unix epoch.
    pub started_unix_us: u64,
    /// From the first SYN to the end, microseconds.
    pub duration_us: u64,
    /// Name of the segment.
    pub segment: String,
    /// VLAN identifiers, outer first; empty without tags.
    pub vlan: Vec<u16>,
    /// The end that opened the connection.
    pub client: SocketAddr,
    /// The end it was opened to.
    pub server: SocketAddr,
    /// Name of the profile.
    pub profile: String,
    /// Name of the client or server proxy.
    pub proxy: String,
    /// Name of the client or server policy.
    pub policy: String,
    /// The server name that the client asked for (RFC 6066 section 3).
    pub sni: Option<String>,
    /// Why the flow was treated as it was.
    pub code: DecisionCode,
    /// What the origin's certificate was worth; absent when none was seen.
    pub origin_verdict: Option<OriginVerdict>,
    /// What was negotiated with the client.
    pub client_leg: Option<LegFacts>,
    /// What was negotiated with the origin.
    pub origin_leg: Option<LegFacts>,
    /// SHA-256 of the forged leaf's DER.
    pub forged_sha256: Option<[u8; 32]>,
    /// SHA-256 of the origin's end-entity certificate's DER.
    pub origin_sha256: Option<[u8; 32]>,
    /// What the plaintext was.
    pub application: Application,
    /// Plaintext bytes sent to the origin when inspected, else TCP payload bytes.
    pub bytes_to_origin: u64,
    /// Plaintext bytes sent to the client when inspected, else TCP payload bytes.
    pub bytes_to_client: u64,
    /// How the flow ended.
    pub ended: EndReason,
    /// What more there is to say, e.g. the TLS alert.
    pub detail: Option<String>,
}

/// The protocol inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Application {
    /// Not known, or not known yet.
    #[default]
    Unknown,
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// WebSocket, after its upgrade.
    WebSocket,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// Something else: seen, and none of the above.
    Other,
}

impl Application {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::WebSocket => "web-socket",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who a failure is to be laid to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The client's end.
    Client,
    /// The origin's end.
    Origin,
    /// This appliance.
    Appliance,
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Both ends finished.
    Closed,
    /// The client reset the connection.
    ClientReset,
    /// The origin reset the connection.
    OriginReset,
    /// Nothing came for too long, or retransmissions were given up.
    TimedOut,
    /// The decision stopped it.
    Blocked,
    /// The decision let it pass; from here on it is only forwarded.
    Bypassed,
    /// It was forgotten to make room.
    Evicted,
    /// The data plane stopped.
    Stopped,
    /// An operator cleared the inspected sessions.
    Cleared,
    /// Something failed on this side.
    Failed(Party),
}

impl EndReason {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ClientReset => "client-reset",
            Self::OriginReset => "origin-reset",
            Self::TimedOut => "timed-out",
            Self::Blocked => "blocked",
            Self::Bypassed => "bypassed",
            Self::Evicted => "evicted",
            Self::Stopped => "stopped",
            Self::Cleared => "cleared",
            Self::Failed(Party::Client) => "failed-client",
            Self::Failed(Party::Origin) => "failed-origin",
            Self::Failed(Party::Appliance) => "failed-appliance",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_on_the_wire() {
        use Application::{Http1, Http2, Imap, Other, Pop3, Unknown, WebSocket};
        for application in [Unknown, Http1, Http2, WebSocket, Imap, Pop3, Other] {
            assert_eq!(
                serde_json::to_value(application).unwrap(),
                application.name()
            );
        }
        use EndReason::{
            Blocked, Bypassed, ClientReset, Closed, Evicted, OriginReset, Stopped, TimedOut,
        };
        for reason in [
            Closed,
            ClientReset,
            OriginReset,
            TimedOut,
            Blocked,
            Bypassed,
            Evicted,
            Stopped,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
