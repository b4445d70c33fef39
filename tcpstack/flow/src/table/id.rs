//! What names an entry of a table, and what finds it.

use sluice_packet::KeyHash;

/// Names one entry of a table for as long as it is there. A slot that is used again has another id, and a slot whose ids
/// are used up is used no more, so an id kept too long finds nothing rather than a stranger.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl FlowId {
    /// Where the entry stands in its table, for [`FlowTable::iter_places`](super::FlowTable::iter_places).
    #[must_use]
    pub const fn place(self) -> usize {
        self.index as usize
    }

    /// As a number, to go through an interface that carries numbers.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Back from [`to_u64`](Self::to_u64). A number that never was an id finds nothing.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        let [g0, g1, g2, g3, i0, i1, i2, i3] = number.to_be_bytes();
        Self {
            index: u32::from_be_bytes([i0, i1, i2, i3]),
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
        }
    }
}

/// A flow that is looked for: its key's hash and, once that was [located](super::FlowTable::locate), where it was then.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    pub(super) hash: KeyHash,
    pub(super) slot: u32,
    /// It had lent what a packet needs.
    pub(super) has_lent: bool,
}

impl Sought {
    /// Whether it had lent what a packet needs when it was [located](super::FlowTable::locate).
    #[must_use]
    pub const fn has_lent(self) -> bool {
        self.has_lent
    }

    /// Whether both may be the same flow. When not, their keys differ.
    #[must_use]
    pub const fn may_be(self, other: Self) -> bool {
        self.hash.short == other.hash.short
    }
}
