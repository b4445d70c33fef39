//! What the log will say about a session.

use sluice_policy::Note;
use sluice_telemetry::{Application, DecisionCode, EndReason, LegFacts, OriginVerdict};

/// Facts collected over the life of one flow. A session keeps beside it what packets change.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) code: Option<DecisionCode>,
    pub(crate) sni: Option<String>,
    pub(crate) origin_verdict: Option<OriginVerdict>,
    pub(crate) client_leg: Option<LegFacts>,
    pub(crate) origin_leg: Option<LegFacts>,
    pub(crate) forged_sha256: Option<[u8; 32]>,
    pub(crate) origin_sha256: Option<[u8; 32]>,
    pub(crate) detail: Option<String>,
    pub(crate) application: Application,
    pub(crate) ended: Option<EndReason>,
    pub(crate) bytes_to_origin: u64,
    pub(crate) bytes_to_client: u64,
}

impl Account {
    /// What should be known although it changed nothing; a failure says more.
    pub(crate) fn note(&mut self, note: Option<Note>) {
        self.detail = note.map(|note| note.name().to_owned());
    }
}
