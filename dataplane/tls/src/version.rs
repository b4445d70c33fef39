//! Which versions a leg may speak.

use sluice_telemetry::TlsVersion;

/// A contiguous range of TLS versions; this crate speaks 1.2 and 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    lowest: TlsVersion,
    highest: TlsVersion,
}

impl VersionRange {
    /// TLS 1.2 and 1.3.
    pub const TLS12_AND_13: Self = Self {
        lowest: TlsVersion::Tls12,
        highest: TlsVersion::Tls13,
    };
    /// TLS 1.2 alone.
    pub const TLS12: Self = Self {
        lowest: TlsVersion::Tls12,
        highest: TlsVersion::Tls12,
    };
    /// TLS 1.3 alone.
    pub const TLS13: Self = Self {
        lowest: TlsVersion::Tls13,
        highest: TlsVersion::Tls13,
    };

    /// The part of `lowest..=highest` that this crate speaks, or `None` where it speaks nothing of it.
    #[must_use]
    pub fn new(lowest: TlsVersion, highest: TlsVersion) -> Option<Self> {
        let range = Self {
            lowest: lowest.max(TlsVersion::Tls12),
            highest,
        };
        (range.lowest <= range.highest).then_some(range)
    }

    /// The lowest version.
    #[must_use]
    pub const fn lowest(self) -> TlsVersion {
        self.lowest
    }

    /// The highest version.
    #[must_use]
    pub const fn highest(self) -> TlsVersion {
        self.highest
    }

    /// Whether `version` may be spoken.
    #[must_use]
    pub fn contains(self, version: TlsVersion) -> bool {
        (self.lowest..=self.highest).contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_versions_are_cut_off() {
        assert_eq!(
            VersionRange::new(TlsVersion::Tls10, TlsVersion::Tls13),
            Some(VersionRange::TLS12_AND_13)
        );
        assert_eq!(
            VersionRange::new(TlsVersion::Tls10, TlsVersion::Tls12),
            Some(VersionRange::TLS12)
        );
        assert_eq!(
            VersionRange::new(TlsVersion::Tls10, TlsVersion::Tls11),
            None
        );
        assert_eq!(
            VersionRange::new(TlsVersion::Tls13, TlsVersion::Tls12),
            None
        );
        assert!(VersionRange::TLS12.contains(TlsVersion::Tls12));
        assert!(!VersionRange::TLS12.contains(TlsVersion::Tls13));
    }
}
