//! The log event of a flow.

use sluice_telemetry::{DecisionCode, EndReason, FlowRecord, Verdict};

use crate::Now;
use crate::identity::Identity;
use crate::session::Account;

/// The closing record of a flow, or none where the profile keeps quiet about it: a session is logged when its proxy says
/// so, a block always.
pub(crate) fn of_flow(
    core: u16,
    identity: &Identity,
    account: &Account,
    now: Now,
) -> Option<FlowRecord> {
    let code = account
        .code
        .unwrap_or(DecisionCode::BypassIrregularHandshake);
    if code.verdict() != Verdict::Block && !identity.logs_sessions() {
        return None;
    }
    let generation = &identity.generation;
    let facts = generation.facts(&identity.candidate);
    let named = |name: Option<&str>| name.unwrap_or_default().to_owned();
    Some(FlowRecord {
        generation: generation.number(),
        core,
        started_unix_us: identity.started_unix_us(now),
        duration_us: now.mono.micros().saturating_sub(identity.started.micros()),
        segment: generation.segment_name(identity.segment().0).to_owned(),
        vlan: identity.vlan().vids().collect(),
        client: identity.client(),
        server: identity.server(),
        profile: named(facts.map(|facts| facts.profile.as_str())),
        proxy: named(facts.map(|facts| facts.proxy.as_str())),
        policy: named(facts.map(|facts| facts.policy.as_str())),
        sni: account.sni.clone(),
        code,
        origin_verdict: account.origin_verdict,
        client_leg: account.client_leg.clone(),
        origin_leg: account.origin_leg.clone(),
        forged_sha256: account.forged_sha256,
        origin_sha256: account.origin_sha256,
        application: account.application,
        bytes_to_origin: account.bytes_to_origin,
        bytes_to_client: account.bytes_to_client,
        ended: account.ended.unwrap_or(EndReason::Closed),
        detail: account.detail.clone(),
    })
}
