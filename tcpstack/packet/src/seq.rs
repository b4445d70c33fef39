//! Sequence numbers.

use core::ops::{Add, AddAssign, Sub};

/// A TCP sequence number: comparisons are modulo 2^32 (RFC 9293 3.4) and hold between numbers less than 2^31 apart.
///
/// There is no `Ord`: such a comparison is not transitive.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// How far `self` is after `other`: negative when it is before.
    #[must_use]
    pub const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// Strictly before `other`.
    #[must_use]
    pub const fn lt(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// Before `other`, or the same.
    #[must_use]
    pub const fn le(self, other: Self) -> bool {
        self.distance(other) <= 0
    }

    /// Strictly after `other`.
    #[must_use]
    pub const fn gt(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// After `other`, or the same.
    #[must_use]
    pub const fn ge(self, other: Self) -> bool {
        self.distance(other) >= 0
    }

    /// One of the `len` numbers from `start` on. Right for any `len`, also past 2^31.
    #[must_use]
    pub const fn within(self, start: Self, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }

    /// The later of both.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.lt(other) { other } else { self }
    }

    /// The earlier of both.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.gt(other) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, count: u32) {
        *self = *self + count;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }
}

/// [`SeqNum::distance`].
impl Sub for SeqNum {
    type Output = i32;

    fn sub(self, other: Self) -> i32 {
        self.distance(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn e113_comparisons_hold_across_the_wrap() {
        let before = SeqNum(u32::MAX - 1);
        let after = before + 5;
        assert_eq!(after, SeqNum(3));
        assert!(before.lt(after) && after.gt(before) && before.le(before) && after.ge(after));
        assert_eq!(after - before, 5);
        assert_eq!(before - after, -5);
        assert_eq!(before.max(after), after);
        assert_eq!(before.min(after), before);
        assert!(SeqNum(1).within(before, 4) && !SeqNum(2).within(before, 4));
    }

    proptest! {
        #[test]
        fn distance_undoes_addition(start: u32, count in 0..=i32::MAX.cast_unsigned()) {
            let start = SeqNum(start);
            prop_assert_eq!((start + count).distance(start), count.cast_signed());
            prop_assert_eq!(start + count - count, start);
            prop_assert!(start.le(start + count));
        }
    }
}
