//! The TLS handshake with the origin, and what its outcome leads to.

use std::sync::Arc;

use sluice_pki::certificate_sha256;
use sluice_policy::{OriginDecision, PolicyDecided};
use sluice_telemetry::{Counter, DecisionCode, EndReason, OriginVerdict, Party};
use sluice_tls::{
    ClientHello, OriginHandshake, OriginParameters, OriginSession, ServerIdentity, VersionRange,
};

use super::awaiting_leaf::{AwaitingLeaf, Proof, UpstreamVerified};
use super::meeting_client::MeetingClient;
use super::{Failure, Session, Stage, Step, Turn};
use crate::limits::ORIGIN_HANDSHAKE_BYTES;

/// The TLS handshake with the origin, before anything is promised to the client.
pub(super) struct MeetingOrigin {
    /// Begun by the first step: key shares cost as much as any other step.
    handshake: Option<OriginHandshake>,
    /// Input bytes the handshake has seen and could not use yet.
    seen: usize,
    /// Input bytes that it has used, and may have kept.
    used: usize,
}

impl MeetingOrigin {
    /// Only what policy decided to inspect meets an origin in the client's place.
    pub(super) fn new(_: PolicyDecided) -> Self {
        Self {
            handshake: None,
            seen: 0,
            used: 0,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let begun = self.handshake.is_some();
        size_of::<Self>() + self.used + if begun { ORIGIN_HANDSHAKE_BYTES } else { 0 }
    }

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
                address: identity.server().ip(),
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
            self.used += progress.consumed;
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
            Err(error) => {
                let (verdict, asked) = (
                    handshake.verdict(),
                    handshake.client_certificate_requested(),
                );
                Self::failed_knowing(session, turn, verdict, asked, &error.to_string())
            }
        }
    }

    /// A handshake that failed may have failed for what was known about the origin already: a key too weak to sign with, or
    /// a client certificate that an interceptor cannot present.
    fn failed_knowing(
        session: &mut Session,
        turn: &mut Turn<'_>,
        verdict: Option<OriginVerdict>,
        client_certificate_requested: bool,
        detail: &str,
    ) -> Step {
        if client_certificate_requested {
            turn.out.count(Counter::HandshakesOriginFailed, 1);
            return Self::client_certificate_requested(session, turn);
        }
        let mut step = Self::failed(turn, detail);
        let identity = turn.identity;
        if let (Step::Fail(failure), Some(verdict)) = (&mut step, verdict)
            && identity
                .generation
                .client_inspection(&identity.candidate)
                .is_some()
        {
            session.account.origin_verdict = Some(verdict);
            let decision = identity
                .generation
                .policy()
                .decide_origin(&identity.candidate, verdict);
            if let OriginDecision::Block(code) = decision {
                failure.code = code;
            }
        }
        step
    }

    /// Learned, so that the next flow passes; this one has got too far.
    fn client_certificate_requested(session: &Session, turn: &mut Turn<'_>) -> Step {
        let (destination, _) = session.learned_about(turn.identity);
        let origin = destination.to_string();
        let lessons = &mut turn.shared.lessons;
        if lessons.client_certificate_requested(destination, turn.now.mono) {
            turn.tell_learned(origin, DecisionCode::BypassLearnedClientCertificate);
        }
        Step::Fail(Failure {
            code: DecisionCode::BlockClientCertificateRequested,
            ended: EndReason::Blocked,
            detail: None,
        })
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
            return Self::client_certificate_requested(session, turn);
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
        let awaiting = AwaitingLeaf::new(origin, proof, certificate, Arc::clone(ca));
        Step::Enter(Stage::AwaitingLeaf(Box::new(awaiting)))
    }
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
