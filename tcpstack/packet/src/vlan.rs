//! VLAN tags.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::limits::VLAN_TAGS_MAX;

/// The tag types that [`parse`](crate::parse) looks behind: 802.1Q, 802.1ad, and the type that QinQ used before it.
pub(crate) const TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Where 802.1Q and 802.1ad are among them.
pub(crate) const TYPE_CUSTOMER: usize = 0;
pub(crate) const TYPE_SERVICE: usize = 1;

const VID_MASK: u16 = 0x0fff;

/// The VLAN tags of a frame, outermost first.
///
/// Two stacks are equal when their VLAN identifiers are. Priority and drop eligibility are kept but not compared, and a
/// priority tag (identifier 0) names no VLAN, so it counts as no tag (IEEE 802.1Q 9.6).
#[derive(Copy, Clone, Default)]
pub struct VlanStack {
    /// In network byte order, so that a flow's key has no gap.
    tags: [[u8; 2]; VLAN_TAGS_MAX],
    len: u8,
}

impl VlanStack {
    /// An untagged frame.
    pub const UNTAGGED: Self = Self {
        tags: [[0; 2]; VLAN_TAGS_MAX],
        len: 0,
    };

    /// One tag; `tci` is the tag control information: priority, drop eligibility and VLAN identifier.
    #[must_use]
    pub const fn single(tci: u16) -> Self {
        Self {
            tags: [tci.to_be_bytes(), [0; 2]],
            len: 1,
        }
    }

    /// Two tags, outer and inner.
    #[must_use]
    pub const fn double(outer: u16, inner: u16) -> Self {
        Self {
            tags: [outer.to_be_bytes(), inner.to_be_bytes()],
            len: 2,
        }
    }

    /// Tags on the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// No tag on the frame.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tag control information, outermost first.
    pub fn tags(&self) -> impl Iterator<Item = u16> + '_ {
        self.tags
            .iter()
            .take(self.len())
            .map(|tag| u16::from_be_bytes(*tag))
    }

    /// With one more tag inside; none when there are as many as there may be.
    pub(crate) fn pushed(mut self, tci: u16) -> Option<Self> {
        let at = self.len();
        *self.tags.get_mut(at)? = tci.to_be_bytes();
        self.len += 1;
        Some(self)
    }

    /// VLAN identifiers, outermost first; priority tags left out.
    pub fn vids(&self) -> impl Iterator<Item = u16> + '_ {
        self.tags()
            .map(|tci| tci & VID_MASK)
            .filter(|&vid| vid != 0)
    }

    /// The outermost VLAN identifier: what a virtual segment is chosen by.
    #[must_use]
    pub fn outer_vid(&self) -> Option<u16> {
        self.vids().next()
    }

    /// What comparisons see, as one number: the last identifier in the lower half, the one before it in the upper.
    pub(crate) const fn identity(&self) -> u32 {
        // What is not on the frame is zero, as is a priority tag.
        let [outer, inner] = self.tags;
        let outer = (u16::from_be_bytes(outer) & VID_MASK) as u32;
        let inner = (u16::from_be_bytes(inner) & VID_MASK) as u32;
        if inner == 0 {
            outer
        } else {
            outer << 16 | inner
        }
    }

    /// The stack of nothing but the identifiers that [`identity`](Self::identity) names.
    pub(crate) const fn identified(identity: u32) -> Self {
        match ((identity >> 16) as u16, (identity & 0xffff) as u16) {
            (0, 0) => Self::UNTAGGED,
            (0, vid) => Self::single(vid),
            (outer, inner) => Self::double(outer, inner),
        }
    }
}

impl fmt::Debug for VlanStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tags()).finish()
    }
}

impl PartialEq for VlanStack {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for VlanStack {}

impl Ord for VlanStack {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl PartialOrd for VlanStack {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for VlanStack {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_are_compared() {
        assert_eq!(VlanStack::single(0xe064), VlanStack::single(0x0064));
        assert_eq!(VlanStack::single(0xe000), VlanStack::UNTAGGED);
        assert_eq!(VlanStack::double(0xe000, 100), VlanStack::single(100));
        assert_ne!(VlanStack::single(100), VlanStack::single(101));
        assert_ne!(VlanStack::double(100, 101), VlanStack::double(101, 100));
        assert_ne!(VlanStack::double(100, 100), VlanStack::single(100));
        assert!(VlanStack::single(0xe064).tags().eq([0xe064]));
        assert_eq!(VlanStack::double(0, 7).outer_vid(), Some(7));
        assert_eq!(VlanStack::UNTAGGED.outer_vid(), None);
        assert!(VlanStack::UNTAGGED.is_empty());
        for stack in [
            VlanStack::UNTAGGED,
            VlanStack::single(0xe064),
            VlanStack::double(0xe000, 100),
            VlanStack::double(200, 0xe000),
            VlanStack::double(0xe0c8, 100),
        ] {
            let named = VlanStack::identified(stack.identity());
            assert_eq!(named, stack);
            assert!(named.vids().eq(stack.vids()) && named.tags().eq(stack.vids()));
        }
    }
}
