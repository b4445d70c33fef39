//! The origin is known; the leaf that mimics it is awaited.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sluice_pki::{ForgeRequest, ForgedLeaf, SigningCa};
use sluice_telemetry::{DecisionCode, OriginVerdict};
use sluice_tls::OriginSession;

use super::meeting_client::MeetingClient;
use super::{Failure, Session, Stage, Step, Turn};
use crate::leaves::Leaf;

/// Proof that the origin's chain, name and dates verified: only with it a leaf is signed by the trusted CA.
pub(super) struct UpstreamVerified(());

impl UpstreamVerified {
    pub(super) fn of(verdict: OriginVerdict) -> Option<Self> {
        (verdict == OriginVerdict::Trusted).then_some(Self(()))
    }
}

/// What is known of the origin.
pub(super) enum Proof {
    /// It verified.
    Verified(UpstreamVerified),
    /// It did not, and the profile lets it through.
    Unverified,
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
    pub(super) fn new(
        origin: OriginSession,
        proof: Proof,
        certificate: CertificateDer<'static>,
        ca: Arc<SigningCa>,
    ) -> Self {
        Self {
            origin,
            proof,
            certificate,
            ca,
            asked: false,
            leaf: None,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let beside_origin = size_of::<Self>() - size_of::<OriginSession>();
        beside_origin + self.origin.memory_bytes() + self.certificate.len()
    }

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
        let address = || turn.identity.server().ip().to_string();
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
