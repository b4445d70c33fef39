//! What is known about a flow when it is decided.

use core::net::SocketAddr;

/// Which half of the configuration a flow falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Client inspection: a forged leaf.
    Client,
    /// Server inspection: the server's own certificate.
    Server,
}

impl Direction {
    /// `client` or `server`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Position of a segment in the configuration's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentIndex(pub u16);

/// What the first SYN tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowFacts {
    /// The end that opens the connection.
    pub client: SocketAddr,
    /// The end it is opened to.
    pub server: SocketAddr,
    /// The segment it is on.
    pub segment: SegmentIndex,
    /// The outer VLAN identifier, if the frame is tagged.
    pub vlan: Option<u16>,
}

/// What the ClientHello tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HelloFacts<'a> {
    /// The server name (RFC 6066 section 3), if there is one.
    pub sni: Option<&'a str>,
    /// The application protocols offered (RFC 7301), if any.
    pub alpn: &'a [Vec<u8>],
    /// Whether TLS 1.2 is among the versions offered.
    pub offers_tls12: bool,
    /// Whether TLS 1.3 is among the versions offered.
    pub offers_tls13: bool,
    /// Whether the hello carries an encrypted one, or grease that looks alike.
    pub ech: bool,
}

/// What is learned about an origin from earlier flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Learned {
    /// It asks for a client certificate.
    ClientCertificate,
    /// The client pins its certificate.
    Pinning,
}

/// What the appliance carries now, and what the core remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadFacts {
    /// Sessions inspected now, over all cores.
    pub inspected_sessions: u32,
    /// The core's memory for sessions is used up.
    pub exhausted: bool,
    /// What is learned about the flow's origin.
    pub learned: Option<Learned>,
}

/// Why there is no ClientHello to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoHello {
    /// The client's first bytes are not TLS.
    NotTls,
    /// The server spoke before the client did.
    ServerSpokeFirst,
    /// The client's first bytes are TLS but not a well-formed ClientHello.
    Malformed,
    /// The ClientHello is larger than the limit.
    TooLarge,
    /// The ClientHello was not whole in time.
    TimedOut,
    /// The TCP handshake was not seen whole or cannot be taken over.
    IrregularHandshake,
    /// The TCP segments are signed.
    TcpSignature,
}

impl NoHello {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::NotTls,
        Self::ServerSpokeFirst,
        Self::Malformed,
        Self::TooLarge,
        Self::TimedOut,
        Self::IrregularHandshake,
        Self::TcpSignature,
    ];
}

/// Something about a decided flow that changes nothing but should be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// The hello carries an encrypted one; the outer name was decided on.
    EncryptedHello,
    /// The client asked for no server name.
    NoServerName,
}

impl Note {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptedHello => "encrypted-hello",
            Self::NoServerName => "no-server-name",
        }
    }
}
