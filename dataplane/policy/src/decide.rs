//! The decisions themselves.

use core::net::IpAddr;
use std::borrow::Cow;

use sluice_schema::{IrregularHandshake, OverLimit, TlsVersion};
use sluice_telemetry::{DecisionCode, OriginVerdict, Verdict};

use crate::compile::{CompiledClient, CompiledProfile, Policy};
use crate::{Direction, FlowFacts, HelloFacts, Learned, LoadFacts, NoHello, Note};

/// A flow that a policy matched at its SYN. Valid with the [`Policy`] that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which half of the configuration it falls under.
    pub direction: Direction,
    /// Position of the profile.
    pub profile: u16,
    /// Position of the client or server policy in the profile.
    pub policy: u16,
    /// What the SYN alone decides.
    pub(crate) early: Option<DecisionCode>,
    /// Whether the client is among the always-decrypt sources.
    pub(crate) always: bool,
}

impl Candidate {
    /// What is decided before the client says anything: the switch is off, or the client's address is an exception. A
    /// flow with such a decision need not be held, but then its server name is never known.
    #[must_use]
    pub fn early(&self) -> Option<Decision> {
        self.early.map(Decision::of)
    }
}

/// Proof that a policy decided to inspect: what takes a flow over demands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyDecided(());

/// What happens to a flow, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// Why. For client inspection the code is final only when the origin has shown its certificate.
    pub code: DecisionCode,
    /// What else should be known.
    pub note: Option<Note>,
    /// It is decided as over the limit for want of memory, not of sessions.
    pub memory_used_up: bool,
    proof: Option<PolicyDecided>,
}

impl Decision {
    /// The proof, if the verdict is to inspect.
    #[must_use]
    pub const fn proof(&self) -> Option<PolicyDecided> {
        self.proof
    }

    fn of(code: DecisionCode) -> Self {
        let verdict = code.verdict();
        let proof = (verdict == Verdict::Inspect).then_some(PolicyDecided(()));
        Self {
            verdict,
            code,
            note: None,
            memory_used_up: false,
            proof,
        }
    }
}

/// What happens once the origin has shown its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginDecision {
    /// Client inspection: the trusted CA signs the leaf. Server inspection: the server's own certificate is shown.
    SignTrusted,
    /// The untrusted CA signs the leaf, so that the client warns.
    SignUntrusted,
    /// The flow is blocked with this code.
    Block(DecisionCode),
}

impl OriginDecision {
    /// The flow's final code.
    #[must_use]
    pub const fn code(self, direction: Direction) -> DecisionCode {
        match (self, direction) {
            (Self::Block(code), _) => code,
            (_, Direction::Server) => DecisionCode::InspectedServer,
            (Self::SignTrusted, Direction::Client) => DecisionCode::InspectedClient,
            (Self::SignUntrusted, Direction::Client) => DecisionCode::InspectedClientUntrusted,
        }
    }
}

impl Policy {
    pub(crate) fn client_candidate(
        &self,
        number: u16,
        policy: u16,
        profile: &CompiledProfile,
        client: IpAddr,
    ) -> Candidate {
        let source = profile
            .clients
            .get(usize::from(policy))
            .map_or(Source::Listed(false), |p| source(p, client));
        let early = match source {
            _ if !self.client_on => Some(DecisionCode::BypassInspectionOff),
            Source::Never => Some(DecisionCode::BypassNeverDecryptSource),
            Source::Listed(_) => None,
        };
        Candidate {
            direction: Direction::Client,
            profile: number,
            policy,
            early,
            always: source == Source::Listed(true),
        }
    }

    pub(crate) fn server_candidate(
        &self,
        number: u16,
        policy: u16,
        profile: &CompiledProfile,
        client: IpAddr,
    ) -> Candidate {
        let excepted = profile
            .servers
            .get(usize::from(policy))
            .is_some_and(|server| server.exceptions.contains(client));
        let early = if !self.server_on {
            Some(DecisionCode::BypassInspectionOff)
        } else if excepted {
            Some(DecisionCode::BypassServerException)
        } else {
            None
        };
        Candidate {
            direction: Direction::Server,
            profile: number,
            policy,
            early,
            always: false,
        }
    }

    /// Decides on a whole ClientHello. The first that applies wins: the switch, the client's address, the server name,
    /// what is learned, the versions, the limit; else the flow is inspected.
    ///
    /// A candidate of another generation, which no policy here stands for, is blocked.
    #[must_use]
    pub fn decide(
        &self,
        candidate: &Candidate,
        _flow: &FlowFacts,
        hello: &HelloFacts<'_>,
        load: &LoadFacts,
    ) -> Decision {
        let code = self.code(candidate, hello, load);
        let note = if hello.ech {
            Some(Note::EncryptedHello)
        } else if hello.sni.is_none() {
            Some(Note::NoServerName)
        } else {
            None
        };
        let over_limit = matches!(
            code,
            DecisionCode::BypassOverLimit | DecisionCode::BlockOverLimit
        );
        Decision {
            note,
            memory_used_up: over_limit && load.exhausted,
            ..Decision::of(code)
        }
    }

    fn code(
        &self,
        candidate: &Candidate,
        hello: &HelloFacts<'_>,
        load: &LoadFacts,
    ) -> DecisionCode {
        if let Some(code) = candidate.early {
            return code;
        }
        let inspected = match candidate.direction {
            Direction::Client => {
                let Some(policy) = self.client(candidate) else {
                    return DecisionCode::BlockNoSigningCertificate;
                };
                if !candidate.always && hello.sni.is_some_and(|name| excepted(policy, name)) {
                    return DecisionCode::BypassDomainException;
                }
                DecisionCode::InspectedClient
            }
            Direction::Server => {
                if self.server(candidate).is_none() {
                    return DecisionCode::BlockNoServerCertificate;
                }
                DecisionCode::InspectedServer
            }
        };
        match load.learned {
            Some(Learned::ClientCertificate) => {
                return DecisionCode::BypassLearnedClientCertificate;
            }
            Some(Learned::Pinning) => return DecisionCode::BypassLearnedPinning,
            None => {}
        }
        let versions = self.tls_versions(candidate);
        let speaks = (hello.offers_tls13 && versions.contains(TlsVersion::Tls13))
            || (hello.offers_tls12 && versions.contains(TlsVersion::Tls12));
        if !speaks {
            return DecisionCode::BypassUnsupportedVersion;
        }
        if load.exhausted || load.inspected_sessions >= self.inspected_sessions_max {
            return self.over_limit_code();
        }
        inspected
    }

    fn over_limit_code(&self) -> DecisionCode {
        match self.over_limit {
            OverLimit::Bypass => DecisionCode::BypassOverLimit,
            OverLimit::Block => DecisionCode::BlockOverLimit,
        }
    }

    /// Decides on a flow for which the core has no room before it has a ClientHello to decide on.
    #[must_use]
    pub fn decide_over_limit(&self, candidate: &Candidate) -> Decision {
        Decision::of(candidate.early.unwrap_or_else(|| self.over_limit_code()))
    }

    /// Decides on a flow that has no ClientHello. On a client proxy's port, what is not TLS passes; toward a protected
    /// server it is blocked. What handshake cannot be followed passes a client proxy unless its settings block it.
    #[must_use]
    pub fn decide_without_hello(&self, candidate: &Candidate, why: NoHello) -> Decision {
        Decision::of(candidate.early.unwrap_or(match (why, candidate.direction) {
            (NoHello::IrregularHandshake | NoHello::TcpSignature, Direction::Client)
                if self.blocks_irregular_handshakes(candidate) =>
            {
                DecisionCode::BlockIrregularHandshake
            }
            (NoHello::IrregularHandshake, Direction::Client) => {
                DecisionCode::BypassIrregularHandshake
            }
            (NoHello::TcpSignature, Direction::Client) => DecisionCode::BypassTcpSignature,
            // Anybody outside can make a handshake irregular: that must be no way past the inspection of a server.
            (NoHello::IrregularHandshake | NoHello::TcpSignature, Direction::Server) => {
                DecisionCode::BlockIrregularHandshake
            }
            (NoHello::Malformed, _) => DecisionCode::BlockClientHelloMalformed,
            (NoHello::TooLarge, _) => DecisionCode::BlockClientHelloTooLarge,
            (NoHello::TimedOut, _) => DecisionCode::BlockHelloTimeout,
            (NoHello::NotTls | NoHello::ServerSpokeFirst, Direction::Client) => {
                DecisionCode::BypassNotTls
            }
            (NoHello::NotTls, Direction::Server) => DecisionCode::BlockServerNotTls,
            (NoHello::ServerSpokeFirst, Direction::Server) => DecisionCode::BlockServerCleartext,
        }))
    }

    fn blocks_irregular_handshakes(&self, candidate: &Candidate) -> bool {
        self.client(candidate)
            .is_some_and(|policy| policy.proxy.irregular_handshake == IrregularHandshake::Block)
    }

    /// Decides on what the origin's certificate is worth. In server inspection the origin is the protected server
    /// itself, and its own certificate is shown whatever the verdict.
    #[must_use]
    pub fn decide_origin(&self, candidate: &Candidate, verdict: OriginVerdict) -> OriginDecision {
        if candidate.direction == Direction::Server {
            return OriginDecision::SignTrusted;
        }
        let Some(policy) = self.client(candidate) else {
            return OriginDecision::Block(DecisionCode::BlockNoSigningCertificate);
        };
        let blocks_invalid = policy.proxy.block_invalid_certificates;
        let (blocks, code) = match verdict {
            OriginVerdict::Trusted => return OriginDecision::SignTrusted,
            OriginVerdict::Expired => (
                policy.proxy.block_expired_certificates,
                DecisionCode::BlockOriginExpired,
            ),
            OriginVerdict::NotYetValid => (blocks_invalid, DecisionCode::BlockOriginNotYetValid),
            OriginVerdict::UnknownIssuer => {
                (blocks_invalid, DecisionCode::BlockOriginUnknownIssuer)
            }
            OriginVerdict::SelfSigned => (blocks_invalid, DecisionCode::BlockOriginSelfSigned),
            OriginVerdict::NameMismatch => (blocks_invalid, DecisionCode::BlockOriginNameMismatch),
            OriginVerdict::WeakKey => (blocks_invalid, DecisionCode::BlockOriginWeakKey),
            OriginVerdict::Invalid => (blocks_invalid, DecisionCode::BlockOriginInvalidCertificate),
        };
        if blocks {
            OriginDecision::Block(code)
        } else if policy.proxy.untrusted_certificate.is_some() {
            OriginDecision::SignUntrusted
        } else {
            OriginDecision::Block(DecisionCode::BlockNoSigningCertificate)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Never,
    /// Whether it is among the always-decrypt sources.
    Listed(bool),
}

/// Between the two lists the longest prefix wins; the documents refuse a network that is in both.
fn source(policy: &CompiledClient, client: IpAddr) -> Source {
    match (
        policy.never_sources.longest(client),
        policy.always_sources.longest(client),
    ) {
        (Some(never), Some(always)) if always > never => Source::Listed(true),
        (Some(_), _) => Source::Never,
        (None, always) => Source::Listed(always.is_some()),
    }
}

fn excepted(policy: &CompiledClient, name: &str) -> bool {
    let host = normal(name);
    policy.do_not_decrypt.contains(&host) && !policy.always_decrypt.contains(&host)
}

/// Lower case, without a final dot. Names that are so already are not copied.
pub(crate) fn normal(name: &str) -> Cow<'_, str> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(bare.to_ascii_lowercase())
    } else {
        Cow::Borrowed(bare)
    }
}
