//! What a table knows of an entry besides its value.

use super::NONE;
use crate::limits::{FLOWS_MAX, HEAD_BYTES};

/// Sixteen bytes, so that what is read first of the value lies in the same cache line.
#[derive(Copy, Clone)]
pub(super) struct Head {
    pub(super) generation: u32,
    /// Of its key.
    pub(super) hash: u32,
    links: Links,
}

const _: () = assert!(size_of::<Head>() == HEAD_BYTES);

/// Which list an entry is in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Free,
    Retired,
    Observed,
    Expendable,
    Kept,
}

/// From the top: the neighbours before and behind, whether something is lent, and the list.
#[derive(Copy, Clone)]
struct Links(u64);

impl Links {
    const SLOT_BITS: u32 = 30;
    const SLOT: u64 = (1 << Self::SLOT_BITS) - 1;
    const PREVIOUS: u32 = 64 - Self::SLOT_BITS;
    const NEXT: u32 = Self::PREVIOUS - Self::SLOT_BITS;
    const LENT: u64 = 1 << 3;
    const LIST: u64 = Self::LENT - 1;

    const fn slot(self, at: u32) -> u32 {
        let slot = (self.0 >> at & Self::SLOT) as u32;
        if slot as u64 == Self::SLOT {
            NONE
        } else {
            slot
        }
    }

    const fn set_slot(&mut self, at: u32, slot: u32) {
        self.0 = self.0 & !(Self::SLOT << at) | (slot as u64 & Self::SLOT) << at;
    }
}

const _: () = assert!((FLOWS_MAX as u64) < Links::SLOT);
const _: () = assert!(Links::LENT < 1 << Links::NEXT);

impl Head {
    /// In no list.
    pub(super) const UNUSED: Self = Self {
        generation: 0,
        hash: 0,
        links: Links(!(Links::LENT | Links::LIST) | Listed::Retired as u64),
    };

    pub(super) const fn previous(&self) -> u32 {
        self.links.slot(Links::PREVIOUS)
    }

    pub(super) const fn next(&self) -> u32 {
        self.links.slot(Links::NEXT)
    }

    pub(super) const fn set_previous(&mut self, slot: u32) {
        self.links.set_slot(Links::PREVIOUS, slot);
    }

    pub(super) const fn set_next(&mut self, slot: u32) {
        self.links.set_slot(Links::NEXT, slot);
    }

    pub(super) const fn list(&self) -> Listed {
        const FREE: u64 = Listed::Free as u64;
        const OBSERVED: u64 = Listed::Observed as u64;
        const EXPENDABLE: u64 = Listed::Expendable as u64;
        const KEPT: u64 = Listed::Kept as u64;
        match self.links.0 & Links::LIST {
            FREE => Listed::Free,
            OBSERVED => Listed::Observed,
            EXPENDABLE => Listed::Expendable,
            KEPT => Listed::Kept,
            _ => Listed::Retired,
        }
    }

    pub(super) const fn set_list(&mut self, list: Listed) {
        self.links.0 = self.links.0 & !Links::LIST | list as u64;
    }

    /// Its value has lent something.
    pub(super) const fn has_lent(&self) -> bool {
        self.links.0 & Links::LENT != 0
    }

    pub(super) const fn set_lent(&mut self, lent: bool) {
        self.links.0 = self.links.0 & !Links::LENT | if lent { Links::LENT } else { 0 };
    }

    /// The entry is a flow's.
    pub(super) const fn is_live(&self) -> bool {
        !matches!(self.list(), Listed::Free | Listed::Retired)
    }
}
