//! The TLS handshake with the client.

use sluice_inspect::Inspector;
use sluice_telemetry::{Counter, DecisionCode, EndReason, Party};
use sluice_tls::{
    ClientHandshake, ClientParameters, OriginSession, Records, ServerIdentity, TlsError,
    TlsErrorKind, VersionRange,
};

use super::relay::Relay;
use super::{Failure, Session, Stage, Step, Turn};
use crate::limits::CLIENT_HANDSHAKE_BYTES;

/// The fatal alerts by which a client refuses a certificate (RFC 8446 section 6.2): bad_certificate,
/// unsupported_certificate, certificate_revoked, certificate_expired, certificate_unknown, unknown_ca, access_denied.
const CERTIFICATE_REFUSALS: [u8; 7] = [42, 43, 44, 45, 46, 48, 49];

/// The TLS handshake with the client.
pub(super) struct MeetingClient {
    handshake: ClientHandshake,
    origin: Records,
    alpn: Option<Vec<u8>>,
    code: DecisionCode,
    seen: Option<usize>,
}

impl MeetingClient {
    pub(super) fn begin(
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

    pub(super) fn memory_bytes(&self) -> usize {
        let beside_origin = size_of::<Self>() - size_of::<Records>();
        beside_origin + self.origin.memory_bytes() + CLIENT_HANDSHAKE_BYTES
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
            let (destination, client) = session.learned_about(turn.identity);
            let origin = destination.to_string();
            let lessons = &mut turn.shared.lessons;
            if lessons.leaf_refused(destination, client, turn.now.mono) {
                turn.tell_learned(origin, DecisionCode::BypassLearnedPinning);
            }
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
            let (destination, address) = session.learned_about(turn.identity);
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
