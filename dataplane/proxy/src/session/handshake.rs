//! The stages of a session up to the relay: collect the ClientHello, meet the origin, get a leaf, meet the client.

use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sluice_inspect::Inspector;
use sluice_pki::{ForgeRequest, ForgedLeaf, SigningCa, certificate_sha256};
use sluice_policy::{NoHello, OriginDecision};
use sluice_telemetry::{Counter, DecisionCode, EndReason, OriginVerdict, Party, Verdict};
use sluice_tls::{
    ClientHandshake, ClientHello, ClientHelloReader, ClientParameters, HelloProgress,
    OriginHandshake, OriginParameters, OriginSession, Records, ServerIdentity, TlsError,
    TlsErrorKind, VersionRange,
};

use super::relay::Relay;
use super::splice::Splice;
use super::{Failure, Session, Stage, Step, Turn};
use crate::identity::Identity;
use crate::learn::Destination;
use crate::leaves::Leaf;
use crate::limits::HANDSHAKE_TIMEOUT;

/// The fatal alerts by which a client refuses a certificate (RFC 8446 section 6.2): bad_certificate,
/// unsupported_certificate, certificate_revoked, certificate_expired, certificate_unknown, unknown_ca, access_denied.
const CERTIFICATE_REFUSALS: [u8; 7] = [42, 43, 44, 45, 46, 48, 49];

/// Taken over early: the client's engine acknowledges what it gets, and the reader sees it.
#[derive(Default)]
pub(super) struct Collecting {
    reader: ClientHelloReader,
    read: usize,
}

impl Collecting {
    pub(super) fn step(mut self, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        let finished = session.client.tcp.peer_finished();
        let received = session.client.tcp.received();
        let fresh = received.get(self.read..).unwrap_or_default();
        if fresh.is_empty() && !finished {
            if session.origin.tcp.received().is_empty() {
                return Step::Stay(Stage::Collecting(self));
            }
            return decided(
                session,
                turn.identity.without_hello(NoHello::ServerSpokeFirst).code,
            );
        }
        self.read = received.len();
        let progress = self.reader.feed(fresh);
        let hello = match progress {
            HelloProgress::NeedMore if finished => {
                return decided(
                    session,
                    turn.identity.without_hello(NoHello::Malformed).code,
                );
            }
            HelloProgress::NeedMore => return Step::Stay(Stage::Collecting(self)),
            HelloProgress::Complete(hello) => hello,
            HelloProgress::NotTls => {
                return decided(session, turn.identity.without_hello(NoHello::NotTls).code);
            }
            HelloProgress::Malformed(error) => {
                session.account.detail = Some(error.to_string());
                return decided(
                    session,
                    turn.identity.without_hello(NoHello::Malformed).code,
                );
            }
            HelloProgress::TooLarge => {
                return decided(session, turn.identity.without_hello(NoHello::TooLarge).code);
            }
        };
        turn.out.count(Counter::ClientHellos, 1);
        session.account.sni.clone_from(&hello.sni);
        let decision = turn.identity.decide(&hello, turn.shared, turn.now);
        if decision.verdict != Verdict::Inspect {
            return decided(session, decision.code);
        }
        session.deadline = turn.now.mono + HANDSHAKE_TIMEOUT;
        session.hello = Some(hello);
        Step::Enter(Stage::MeetingOrigin(Box::default()))
    }
}

/// A flow that was taken over early and turns out not to be inspected.
fn decided(session: &mut Session, code: DecisionCode) -> Step {
    if code.verdict() == Verdict::Block {
        return Step::Fail(Failure {
            code,
            ended: EndReason::Blocked,
            detail: session.account.detail.take(),
        });
    }
    session.account.code = Some(code);
    Step::Enter(Stage::Splicing(Splice::default()))
}

/// The TLS handshake with the origin, before anything is promised to the client.
#[derive(Default)]
pub(super) struct MeetingOrigin {
    /// Begun by the first step: key shares cost as much as any other step.
    handshake: Option<OriginHandshake>,
    /// Input bytes the handshake has seen and could not use yet.
    seen: usize,
}

impl MeetingOrigin {
    fn begin(hello: &ClientHello, turn: &Turn<'_>) -> Result<OriginHandshake, Failure> {
        let (identity, shared) = (turn.identity, &*turn.shared);
        let candidate = &identity.candidate;
        let generation = &identity.generation;
        let (trust, minimum_key_bits) = if let Some(how) = generation.client_inspection(candidate) {
            (&how.trust, how.minimum_key_bits)
        } else if let Some(how) = generation.server_inspection(candidate) {
            (&how.trust, 0)
        } else {
            return Err(Failure::ours(DecisionCode::BlockNoSigningCertificate, None));
        };
        let versions = generation
            .facts(candidate)
            .map_or(VersionRange::TLS12_AND_13, |facts| facts.versions);
        OriginHandshake::new(
            &shared.tls,
            &OriginParameters {
                server_name: hello.sni.as_deref(),
                address: identity.server.ip(),
                alpn: &hello.alpn,
                trust: Arc::clone(trust),
                minimum_key_bits,
                versions,
                post_quantum: hello.offers_post_quantum(),
                now_unix_s: turn.now.unix_s(),
            },
        )
        .map_err(|error| {
            Failure::ours(
                DecisionCode::BlockOriginHandshakeFailed,
                Some(error.to_string()),
            )
        })
    }

    pub(super) fn step(mut self: Box<Self>, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        let half = &mut session.origin;
        let finished = half.tcp.peer_finished();
        let input = half.tcp.received();
        let news = self.handshake.is_none() || self.seen != input.len() || finished;
        if !news || !turn.take_handshake_step() {
            return Step::Stay(Stage::MeetingOrigin(self));
        }
        let handshake = match (&mut self.handshake, &session.hello) {
            (Some(handshake), _) => handshake,
            (empty, Some(hello)) => match Self::begin(hello, turn) {
                Ok(begun) => empty.insert(begun),
                Err(failure) => return Step::Fail(failure),
            },
            (None, None) => {
                return Step::Fail(Failure::ours(
                    DecisionCode::BlockOriginHandshakeFailed,
                    None,
                ));
            }
        };
        let mut output = Vec::new();
        let progress = handshake.advance(input, &mut output, turn.now.unix_s());
        if let Ok(progress) = &progress {
            half.tcp.consume(progress.consumed);
        }
        half.tcp.send(&output);
        self.seen = half.tcp.received().len();
        match progress {
            Ok(progress) if progress.done => self.finish(session, turn),
            Ok(_) if finished => Self::failed(
                turn,
                "the origin closed the connection during its TLS handshake",
            ),
            Ok(_) => Step::Stay(Stage::MeetingOrigin(self)),
            Err(error) => Self::failed(turn, &error.to_string()),
        }
    }

    fn failed(turn: &mut Turn<'_>, detail: &str) -> Step {
        turn.out.count(Counter::HandshakesOriginFailed, 1);
        Step::Fail(Failure {
            code: DecisionCode::BlockOriginHandshakeFailed,
            ended: EndReason::Failed(Party::Origin),
            detail: Some(detail.to_owned()),
        })
    }

    fn finish(self, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        let Some(handshake) = self.handshake else {
            return Self::failed(turn, "the handshake was never begun");
        };
        let origin = match handshake.finish() {
            Ok(origin) => origin,
            Err(error) => return Self::failed(turn, &error.to_string()),
        };
        turn.out.count(Counter::HandshakesOriginOk, 1);
        session.account.origin_leg = Some(origin.leg.clone());
        session.account.origin_sha256 = origin
            .certificate_chain
            .first()
            .map(|der| certificate_sha256(der));
        let identity = turn.identity;
        if origin.client_certificate_requested {
            let destination = Destination {
                server: identity.server,
                sni: session.account.sni.clone(),
            };
            turn.shared
                .lessons
                .client_certificate_requested(destination, turn.now.mono);
            return Step::Fail(Failure {
                code: DecisionCode::BlockClientCertificateRequested,
                ended: EndReason::Blocked,
                detail: None,
            });
        }
        match identity.generation.server_inspection(&identity.candidate) {
            Some(how) => meet_as_server(session, turn, origin, &how.identities),
            None => Self::mimic(session, turn, origin),
        }
    }

    /// Client inspection: what the origin proved decides who signs the leaf, if anybody does.
    fn mimic(session: &mut Session, turn: &mut Turn<'_>, origin: OriginSession) -> Step {
        let identity = turn.identity;
        session.account.origin_verdict = Some(origin.verdict);
        let decision = identity
            .generation
            .policy()
            .decide_origin(&identity.candidate, origin.verdict);
        let Some(how) = identity.generation.client_inspection(&identity.candidate) else {
            return Step::Fail(Failure::ours(DecisionCode::BlockNoSigningCertificate, None));
        };
        let (ca, proof) = match decision {
            OriginDecision::SignTrusted => match UpstreamVerified::of(origin.verdict) {
                Some(verified) => (Some(&how.signing), Proof::Verified(verified)),
                None => (None, Proof::Unverified),
            },
            OriginDecision::SignUntrusted => (how.untrusted.as_ref(), Proof::Unverified),
            OriginDecision::Block(code) => {
                return Step::Fail(Failure {
                    code,
                    ended: EndReason::Blocked,
                    detail: None,
                });
            }
        };
        let (Some(ca), Some(certificate)) = (ca, origin.certificate_chain.first().cloned()) else {
            return Step::Fail(Failure::ours(DecisionCode::BlockNoSigningCertificate, None));
        };
        let awaiting = AwaitingLeaf {
            origin,
            proof,
            certificate,
            ca: Arc::clone(ca),
            asked: false,
            leaf: None,
        };
        Step::Enter(Stage::AwaitingLeaf(Box::new(awaiting)))
    }
}

/// Proof that the origin's chain, name and dates verified: only with it a leaf is signed by the trusted CA.
pub(super) struct UpstreamVerified(());

impl UpstreamVerified {
    fn of(verdict: OriginVerdict) -> Option<Self> {
        (verdict == OriginVerdict::Trusted).then_some(Self(()))
    }
}

enum Proof {
    Verified(UpstreamVerified),
    Unverified,
}

/// Server inspection: the certificate that names what the client asked for, else the first.
fn meet_as_server(
    session: &mut Session,
    turn: &mut Turn<'_>,
    origin: OriginSession,
    identities: &[Arc<ServerIdentity>],
) -> Step {
    let sni = session.account.sni.as_deref();
    let named = sni.and_then(|name| identities.iter().find(|identity| identity.names(name)));
    let Some(identity) = named.or_else(|| identities.first()) else {
        return Step::Fail(Failure::ours(DecisionCode::BlockNoServerCertificate, None));
    };
    session.account.forged_sha256 = None;
    MeetingClient::begin(
        session,
        turn,
        origin,
        identity,
        DecisionCode::InspectedServer,
    )
}

/// The origin is known; its leaf is asked for, once, and waited for.
pub(super) struct AwaitingLeaf {
    origin: OriginSession,
    proof: Proof,
    certificate: CertificateDer<'static>,
    ca: Arc<SigningCa>,
    asked: bool,
    leaf: Option<Result<Arc<ForgedLeaf>, String>>,
}

impl AwaitingLeaf {
    /// A helper thread's answer.
    pub(super) fn answer(&mut self, leaf: Result<Arc<ForgedLeaf>, String>) {
        self.leaf = Some(leaf);
    }

    pub(super) fn step(mut self: Box<Self>, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        if !self.asked {
            self.asked = true;
            match self.ask(session, turn) {
                Leaf::Ready(leaf) => self.leaf = Some(Ok(leaf)),
                Leaf::Failed(error) => self.leaf = Some(Err(error.to_string())),
                Leaf::Wait => {}
            }
        }
        let leaf = match self.leaf.take() {
            None => return Step::Stay(Stage::AwaitingLeaf(self)),
            Some(Ok(leaf)) => leaf,
            Some(Err(detail)) => {
                return Step::Fail(Failure::ours(
                    DecisionCode::BlockForgingFailed,
                    Some(detail),
                ));
            }
        };
        session.account.forged_sha256 = Some(leaf.sha256);
        let code = match self.proof {
            Proof::Verified(_) => DecisionCode::InspectedClient,
            Proof::Unverified => DecisionCode::InspectedClientUntrusted,
        };
        let identity = match turn.shared.leaves.identity(&leaf) {
            Ok(identity) => identity,
            Err(error) => {
                let detail = Some(error.to_string());
                return Step::Fail(Failure::ours(DecisionCode::BlockForgingFailed, detail));
            }
        };
        MeetingClient::begin(session, turn, self.origin, &identity, code)
    }

    fn ask(&self, session: &Session, turn: &mut Turn<'_>) -> Leaf {
        let address = || turn.identity.server.ip().to_string();
        let request = ForgeRequest {
            ca: Arc::clone(&self.ca),
            origin: self.certificate.clone(),
            leaf_key: turn.shared.leaves.leaf_key(),
            server_name: Some(session.account.sni.clone().unwrap_or_else(address)),
            now_unix_s: turn.now.unix_s(),
        };
        let trusted = matches!(self.proof, Proof::Verified(_));
        let generation = turn.identity.generation.number();
        turn.shared
            .leaves
            .request(turn.flow, request, trusted, generation, turn.out)
    }
}

/// The TLS handshake with the client.
pub(super) struct MeetingClient {
    handshake: ClientHandshake,
    origin: Records,
    alpn: Option<Vec<u8>>,
    code: DecisionCode,
    seen: Option<usize>,
}

impl MeetingClient {
    fn begin(
        session: &mut Session,
        turn: &Turn<'_>,
        origin: OriginSession,
        identity: &ServerIdentity,
        code: DecisionCode,
    ) -> Step {
        let facts = turn.identity.generation.facts(&turn.identity.candidate);
        let alpn = origin.leg.alpn.clone().map(String::into_bytes);
        let parameters = ClientParameters {
            identity,
            alpn: alpn.as_deref(),
            versions: facts.map_or(VersionRange::TLS12_AND_13, |facts| facts.versions),
        };
        session.account.code = Some(code);
        match ClientHandshake::new(&turn.shared.tls, &parameters) {
            Ok(handshake) => Step::Enter(Stage::MeetingClient(Box::new(Self {
                handshake,
                origin: origin.records,
                alpn,
                code,
                seen: None,
            }))),
            Err(error) => Step::Fail(Failure::ours(
                DecisionCode::BlockClientHandshakeFailed,
                Some(error.to_string()),
            )),
        }
    }

    pub(super) fn step(mut self: Box<Self>, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        let half = &mut session.client;
        let finished = half.tcp.peer_finished();
        let input = half.tcp.received();
        if self.seen == Some(input.len()) && !finished {
            return Step::Stay(Stage::MeetingClient(self));
        }
        if !turn.take_handshake_step() {
            return Step::Stay(Stage::MeetingClient(self));
        }
        let mut output = Vec::new();
        let progress = self
            .handshake
            .advance(input, &mut output, turn.now.unix_s());
        if let Ok(progress) = &progress {
            half.tcp.consume(progress.consumed);
        }
        half.tcp.send(&output);
        self.seen = Some(half.tcp.received().len());
        match progress {
            Ok(progress) if progress.done => {
                turn.out.count(Counter::HandshakesClientOk, 1);
                self.finish(session, turn)
            }
            Ok(_) if finished => self.failed(
                session,
                turn,
                None,
                "the client closed the connection during its TLS handshake",
            ),
            Ok(_) => Step::Stay(Stage::MeetingClient(self)),
            Err(error) => {
                let detail = error.to_string();
                self.failed(session, turn, Some(error), &detail)
            }
        }
    }

    fn failed(
        &self,
        session: &Session,
        turn: &mut Turn<'_>,
        error: Option<TlsError>,
        detail: &str,
    ) -> Step {
        turn.out.count(Counter::HandshakesClientFailed, 1);
        let refused = error.is_some_and(|error| match error.kind {
            TlsErrorKind::AlertReceived { number } => CERTIFICATE_REFUSALS.contains(&number),
            _ => false,
        });
        if refused && self.code == DecisionCode::InspectedClient {
            let (destination, client) = learned_about(session, turn.identity);
            turn.shared
                .lessons
                .leaf_refused(destination, client, turn.now.mono);
        }
        Step::Fail(Failure {
            code: DecisionCode::BlockClientHandshakeFailed,
            ended: EndReason::Failed(Party::Client),
            detail: Some(detail.to_owned()),
        })
    }

    fn finish(self, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        let client = match self.handshake.finish() {
            Ok(client) => client,
            Err(error) => {
                return Step::Fail(Failure::ours(
                    DecisionCode::BlockClientHandshakeFailed,
                    Some(error.to_string()),
                ));
            }
        };
        if self.code == DecisionCode::InspectedClient {
            let (destination, address) = learned_about(session, turn.identity);
            turn.shared.lessons.leaf_accepted(&destination, address);
        }
        session.account.client_leg = Some(client.leg);
        session.hello = None;
        let inspector = Inspector::new(self.alpn.as_deref());
        Step::Enter(Stage::Relaying(Box::new(Relay::new(
            client.records,
            self.origin,
            inspector,
        ))))
    }
}

fn learned_about(session: &Session, identity: &Identity) -> (Destination, IpAddr) {
    let destination = Destination {
        server: identity.server,
        sni: session.account.sni.clone(),
    };
    (destination, identity.client.ip())
}
