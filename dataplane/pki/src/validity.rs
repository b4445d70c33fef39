//! The dates a leaf carries.

use crate::limits::{LEAF_BACKDATE_S, LEAF_VALIDITY_S_MAX};

/// A validity period, both ends included, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl Validity {
    /// ASN.1 reaches back to 1950 and a leaf need not: what lies before the epoch becomes the epoch.
    pub(crate) fn from_asn1(validity: &x509_parser::certificate::Validity) -> Self {
        let seconds =
            |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        Self {
            not_before: seconds(validity.not_before),
            not_after: seconds(validity.not_after),
        }
    }

    pub(crate) fn holds(self, now: u64) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The leaf's dates: the origin's, within the CA's, and no longer than clients accept.
    ///
    /// An origin that has expired or is not valid yet keeps saying so: its dates are only ever cut, so the end is never
    /// after the origin's or the CA's, and where the two periods do not meet, the leaf is as invalid as the origin is.
    pub(crate) fn of_leaf(origin: Self, ca: Self, now: u64) -> Self {
        let not_after = origin.not_after.min(ca.not_after);
        let within_ca = origin.not_before.max(ca.not_before);
        let not_before = if within_ca <= not_after {
            within_ca
        } else {
            origin.not_before.min(not_after)
        };
        Self {
            not_before,
            not_after,
        }
        .shortened(now)
    }

    fn shortened(self, now: u64) -> Self {
        if self.not_after - self.not_before <= LEAF_VALIDITY_S_MAX || !self.holds(now) {
            return self;
        }
        let not_before = self.not_before.max(now.saturating_sub(LEAF_BACKDATE_S));
        let not_after = self
            .not_after
            .min(not_before.saturating_add(LEAF_VALIDITY_S_MAX));
        Self {
            not_before,
            not_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn validity(from: u64, to: u64) -> Validity {
        Validity {
            not_before: from * DAY,
            not_after: to * DAY,
        }
    }

    #[test]
    fn l45_not_after_is_within_origin_and_ca() {
        let now = 150 * DAY;
        assert_eq!(
            Validity::of_leaf(validity(100, 200), validity(0, 9000), now),
            validity(100, 200)
        );
        assert_eq!(
            Validity::of_leaf(validity(100, 200), validity(120, 180), now),
            validity(120, 180)
        );
        assert_eq!(
            Validity::of_leaf(validity(100, 400), validity(120, 9000), now),
            validity(120, 400)
        );
    }

    #[test]
    fn l45_a_long_lived_origin_gets_a_leaf_clients_accept() {
        let now = 1000 * DAY;
        let leaf = Validity::of_leaf(validity(0, 5000), validity(0, 9000), now);
        assert_eq!(leaf, validity(998, 998 + 397));
        let near_the_end = Validity::of_leaf(validity(0, 1010), validity(0, 9000), now);
        assert_eq!(near_the_end, validity(998, 1010));
    }

    #[test]
    fn an_expired_origin_stays_expired() {
        let now = 1000 * DAY;
        assert_eq!(
            Validity::of_leaf(validity(100, 900), validity(0, 9000), now),
            validity(100, 900)
        );
        // Expired before the CA began: the end is still the origin's.
        assert_eq!(
            Validity::of_leaf(validity(100, 200), validity(990, 9000), now),
            validity(100, 200)
        );
    }

    #[test]
    fn an_origin_not_yet_valid_stays_so() {
        let now = 1000 * DAY;
        assert_eq!(
            Validity::of_leaf(validity(1100, 1200), validity(0, 9000), now),
            validity(1100, 1200)
        );
        // Valid only after the CA ends: a moment at the CA's end, never after it.
        assert_eq!(
            Validity::of_leaf(validity(1100, 1200), validity(0, 1050), now),
            validity(1050, 1050)
        );
        // Malformed: ends before it begins.
        assert_eq!(
            Validity::of_leaf(validity(900, 800), validity(0, 9000), now),
            validity(800, 800)
        );
    }
}
