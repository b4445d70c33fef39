//! What is read first of a flow: whether it is the one that is sought, and what a packet needs of it that only passes.

use sluice_packet::{FlowKey, StoredKey};

/// One cache line. Labels stand side by side, apart from the entries that they name: those of a hundred thousand flows lie on
/// fewer pages than a core keeps the addresses of.
#[repr(C, align(64))]
#[derive(Copy, Clone)]
pub(super) struct Label<B> {
    key: StoredKey,
    tenant: Tenant,
    brief: B,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Tenant {
    None,
    Flow,
    /// A flow that has lent its brief.
    Lending,
}

impl<B: Copy + Default> Label<B> {
    /// Of nothing.
    pub(super) fn unused() -> Self {
        const { assert!(size_of::<Self>() == 64, "a label is a cache line") }
        Self {
            key: StoredKey::NONE,
            tenant: Tenant::None,
            brief: B::default(),
        }
    }

    /// Of a flow that has lent nothing.
    pub(super) fn of(key: &FlowKey) -> Self {
        Self {
            key: StoredKey::of(key),
            tenant: Tenant::Flow,
            ..Self::unused()
        }
    }

    #[inline(always)]
    pub(super) fn is_of(&self, key: &FlowKey) -> bool {
        self.key == *key && self.tenant != Tenant::None
    }

    pub(super) fn key(&self) -> Option<FlowKey> {
        (self.tenant != Tenant::None).then(|| self.key.key())
    }

    /// What the flow of `key` has lent, if it is this one.
    #[inline(always)]
    pub(super) fn lent_by(&mut self, key: &FlowKey) -> Option<&mut B> {
        (self.key == *key && self.tenant == Tenant::Lending).then_some(&mut self.brief)
    }

    pub(super) fn lend(&mut self, brief: B) {
        self.brief = brief;
        self.tenant = Tenant::Lending;
    }

    pub(super) fn take_back(&mut self) -> Option<B> {
        let lent = self.tenant == Tenant::Lending;
        if lent {
            self.tenant = Tenant::Flow;
        }
        lent.then_some(self.brief)
    }
}
