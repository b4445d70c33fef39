//! What all flows of one core share.

use std::sync::Arc;

use sluice_telemetry::{Counter, DecisionCode, EndReason};
use sluice_tls::TlsContext;

use crate::fallback::Degraded;
use crate::identity::Identity;
use crate::learn::Lessons;
use crate::leaves::Leaves;
use crate::load::{SessionLoad, Thresholds};
use crate::memory::Memory;
use crate::mtu::PortMtus;
use crate::output::Effects;
use crate::session::Account;
use crate::{Now, record};

/// The state of a core that is not a flow's own.
pub(crate) struct Shared {
    pub(crate) core: u16,
    pub(crate) tls: TlsContext,
    pub(crate) leaves: Leaves,
    pub(crate) lessons: Lessons,
    pub(crate) memory: Memory,
    pub(crate) mtus: PortMtus,
    /// Flows that this core has taken over now.
    pub(crate) inspected_sessions: u32,
    /// Those of all cores.
    pub(crate) load: Arc<SessionLoad>,
    /// Whether new flows are taken over at all.
    pub(crate) degraded: Degraded,
    /// What the newest generation says about that; absent before the first.
    pub(crate) thresholds: Option<Thresholds>,
}

impl Shared {
    /// Counts and logs the decision about a flow that is not taken over.
    pub(crate) fn decided(
        &self,
        identity: &Identity,
        code: DecisionCode,
        ended: EndReason,
        (sni, detail): (Option<String>, Option<String>),
        now: Now,
        out: &mut dyn Effects,
    ) {
        let account = Account {
            code: Some(code),
            sni,
            detail,
            ended: Some(ended),
            ..Account::default()
        };
        self.log(identity, &account, now, out);
    }

    /// Counts a flow as taken over.
    pub(crate) fn session_began(&mut self, out: &mut dyn Effects) {
        self.inspected_sessions += 1;
        self.load.began();
        out.count(Counter::SessionsInspected, 1);
        self.look_at_load(out);
    }

    /// Counts and logs the end of a flow that was taken over.
    pub(crate) fn session_ended(
        &mut self,
        identity: &Identity,
        account: &Account,
        now: Now,
        out: &mut dyn Effects,
    ) {
        self.inspected_sessions = self.inspected_sessions.saturating_sub(1);
        self.load.ended();
        self.log(identity, account, now, out);
        self.look_at_load(out);
    }

    /// Tells of a threshold that was passed, unless another core does.
    pub(crate) fn look_at_load(&self, out: &mut dyn Effects) {
        let event = self
            .thresholds
            .as_ref()
            .and_then(|thresholds| self.load.look(thresholds));
        if let Some(event) = event {
            out.system(event);
        }
    }

    fn log(&self, identity: &Identity, account: &Account, now: Now, out: &mut dyn Effects) {
        if let Some(code) = account.code {
            out.count(Counter::Decision(code), 1);
        }
        if let Some(event) = record::of_flow(self.core, identity, account, now) {
            out.event(event);
        }
    }
}
