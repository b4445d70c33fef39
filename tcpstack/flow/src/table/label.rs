//! What a packet needs of a flow that only passes.

use sluice_packet::ShortKey;

/// Half a cache line. Labels stand side by side, apart from the entries that they name: those of a hundred thousand flows lie on
/// fewer pages than a core keeps the addresses of.
#[repr(C, align(32))]
#[derive(Copy, Clone)]
pub(super) struct Label<B> {
    /// Of the flow that has lent `brief`, if one has.
    lender: ShortKey,
    brief: B,
}

impl<B: Copy + Default> Label<B> {
    /// Nothing is lent.
    pub(super) fn unused() -> Self {
        const { assert!(size_of::<Self>() == 32, "a label is half a cache line") }
        Self {
            lender: ShortKey::NONE,
            brief: B::default(),
        }
    }

    /// Whether the flow of this key has lent what stands here.
    #[inline(always)]
    pub(super) fn is_lent_by(&self, key: ShortKey) -> bool {
        self.lender == key
    }

    /// What the flow of this key has lent, if it has.
    #[inline(always)]
    pub(super) fn lent_by(&mut self, key: ShortKey) -> Option<&mut B> {
        self.is_lent_by(key).then_some(&mut self.brief)
    }

    pub(super) fn lend(&mut self, key: ShortKey, brief: B) {
        *self = Self { lender: key, brief };
    }

    pub(super) fn take_back(&mut self) -> Option<B> {
        let lender = core::mem::replace(&mut self.lender, ShortKey::NONE);
        (lender != ShortKey::NONE).then_some(self.brief)
    }
}
