//! A live flow as `show sessions` lists it.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Application, DecisionCode};

/// Where a tracked flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionPhase {
    /// Its TCP handshake is watched.
    Observed,
    /// The client's first bytes are held until the decision.
    Held,
    /// Taken over; the handshake with the origin is under way.
    OriginHandshake,
    /// Waiting for the forged leaf.
    Forging,
    /// The handshake with the client is under way.
    ClientHandshake,
    /// Both legs stand and data is relayed.
    Relaying,
    /// One or both halves are closing.
    Closing,
    /// Decided to pass; forwarded at layer 2.
    Bypassed,
    /// Decided to be stopped; its frames are discarded.
    Blocked,
}

impl SessionPhase {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Held => "held",
            Self::OriginHandshake => "origin-handshake",
            Self::Forging => "forging",
            Self::ClientHandshake => "client-handshake",
            Self::Relaying => "relaying",
            Self::Closing => "closing",
            Self::Bypassed => "bypassed",
            Self::Blocked => "blocked",
        }
    }
}

/// One tracked flow, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The core that carries it.
    pub core: u16,
    /// The generation that decided it, or that would.
    pub generation: u64,
    /// Since the first SYN, microseconds.
    pub age_us: u64,
    /// Name of the segment.
    pub segment: String,
    /// VLAN identifiers, outer first.
    pub vlan: Vec<u16>,
    /// The end that opened the connection.
    pub client: SocketAddr,
    /// The end it was opened to.
    pub server: SocketAddr,
    /// Name of the policy that matched.
    pub policy: String,
    /// The server name that the client asked for.
    pub sni: Option<String>,
    /// Where it stands.
    pub phase: SessionPhase,
    /// The decision, once made.
    pub code: Option<DecisionCode>,
    /// What the plaintext is.
    pub application: Application,
    /// Bytes sent to the origin so far.
    pub bytes_to_origin: u64,
    /// Bytes sent to the client so far.
    pub bytes_to_client: u64,
    /// Bytes of memory it holds.
    pub memory_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_on_the_wire() {
        use SessionPhase::*;
        for phase in [
            Observed,
            Held,
            OriginHandshake,
            Forging,
            ClientHandshake,
            Relaying,
            Closing,
            Bypassed,
            Blocked,
        ] {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
        }
    }
}
