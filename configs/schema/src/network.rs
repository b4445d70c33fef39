//! Ports, VLANs, domains and TLS versions as documents write them.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{DOMAIN_BYTES_MAX, LABEL_BYTES_MAX, VLAN_ID_MAX};

/// Why a text is no port, VLAN or domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not a port or a range of ports.
    #[error(
        "`{0}` is no port; write one such as 443 or a range such as \"8000-8100\", from 1 to 65535"
    )]
    Port(String),
    /// A range that ends before it begins.
    #[error("the range `{0}` ends before it begins; write the lower number first")]
    Backwards(String),
    /// Not a VLAN identifier or a range.
    #[error(
        "`{0}` is no VLAN; write an identifier such as 100 or a range such as \"100-199\", from 0 to 4094"
    )]
    Vlan(String),
    /// A domain that is none.
    #[error("`{domain}` is no domain: {reason}")]
    Domain {
        /// What was written.
        domain: String,
        /// Why it is none, and what to write.
        reason: DomainError,
    },
}

/// Why a text is no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Empty, or an empty label.
    #[error("a label is empty")]
    EmptyLabel,
    /// Too long.
    #[error("it is longer than {DOMAIN_BYTES_MAX} bytes, or a label longer than {LABEL_BYTES_MAX}")]
    TooLong,
    /// Not ASCII.
    #[error("write international names in their ASCII form (xn--…)")]
    NotAscii,
    /// A character no host name has.
    #[error("labels consist of letters, digits, `-` and `_`")]
    Character,
    /// A `*` that is not a whole first label.
    #[error("`*` stands only alone and leftmost, as in `*.example.com`; it matches any depth")]
    Wildcard,
    /// An address.
    #[error("it is an address; list addresses among the sources instead")]
    Address,
}

/// An inclusive range of TCP ports, never empty, never port 0. Written `443` or `8000-8100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The range `first..=last`; absent when it is empty or holds port 0.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || last < first {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is in the range.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether the ranges share a port.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for PortRange {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (first, last) = range(text).ok_or_else(|| NetworkError::Port(text.to_owned()))?;
        if last < first {
            return Err(NetworkError::Backwards(text.to_owned()));
        }
        Self::new(first, last).ok_or_else(|| NetworkError::Port(text.to_owned()))
    }
}

/// An inclusive range of VLAN identifiers (IEEE 802.1Q: 0 to 4094; 0 is priority-tagged). Written `100` or `100-199`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VlanRange {
    first: u16,
    last: u16,
}

impl VlanRange {
    /// The range `first..=last`; absent when it is empty or goes past 4094.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if last < first || last > VLAN_ID_MAX {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// The lowest identifier.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest identifier.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether `vlan` is in the range.
    #[must_use]
    pub const fn contains(self, vlan: u16) -> bool {
        self.first <= vlan && vlan <= self.last
    }
}

impl FromStr for VlanRange {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (first, last) = range(text).ok_or_else(|| NetworkError::Vlan(text.to_owned()))?;
        if last < first {
            return Err(NetworkError::Backwards(text.to_owned()));
        }
        Self::new(first, last).ok_or_else(|| NetworkError::Vlan(text.to_owned()))
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |part: &str| -> Option<u16> {
        let part = part.trim();
        // `parse` alone would take a leading `+`.
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            None
        } else {
            part.parse().ok()
        }
    };
    match text.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(text).map(|one| (one, one)),
    }
}

/// A domain as an exception names it: the name itself, or with `*.` everything below it at any depth.
///
/// Lower case and without a final dot. `*.bank.example` matches `www.bank.example` and `a.b.bank.example` but not
/// `bank.example`, which is listed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DomainPattern {
    /// Exactly this name.
    Exact(String),
    /// Every name below this one.
    Below(String),
}

impl DomainPattern {
    /// The name without `*.`.
    #[must_use]
    pub fn domain(&self) -> &str {
        match self {
            Self::Exact(domain) | Self::Below(domain) => domain,
        }
    }

    /// Whether `host` (lower case, no final dot) matches.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(domain) => host == domain,
            Self::Below(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl FromStr for DomainPattern {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = |reason| NetworkError::Domain {
            domain: text.to_owned(),
            reason,
        };
        if !text.is_ascii() {
            return Err(wrong(DomainError::NotAscii));
        }
        let lower = text.to_ascii_lowercase();
        let (below, domain) = match lower.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        if domain.contains('*') {
            return Err(wrong(DomainError::Wildcard));
        }
        if domain.len() > DOMAIN_BYTES_MAX
            || domain.split('.').any(|label| label.len() > LABEL_BYTES_MAX)
        {
            return Err(wrong(DomainError::TooLong));
        }
        if domain.split('.').any(str::is_empty) {
            return Err(wrong(DomainError::EmptyLabel));
        }
        if domain.parse::<core::net::Ipv4Addr>().is_ok() || domain.contains(':') {
            return Err(wrong(DomainError::Address));
        }
        if !domain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        {
            return Err(wrong(DomainError::Character));
        }
        Ok(if below {
            Self::Below(domain.to_owned())
        } else {
            Self::Exact(domain.to_owned())
        })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, self.first, self.last)
    }
}

impl fmt::Display for VlanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, self.first, self.last)
    }
}

fn write_range(f: &mut fmt::Formatter<'_>, first: u16, last: u16) -> fmt::Result {
    if first == last {
        write!(f, "{first}")
    } else {
        write!(f, "{first}-{last}")
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(domain) => f.write_str(domain),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

macro_rules! as_string {
    ($($name:ident),+) => {
        $(
            impl TryFrom<String> for $name {
                type Error = NetworkError;
                fn try_from(text: String) -> Result<Self, NetworkError> {
                    text.parse()
                }
            }

            impl From<$name> for String {
                fn from(value: $name) -> Self {
                    value.to_string()
                }
            }
        )+
    };
}

as_string!(PortRange, VlanRange, DomainPattern);

/// A TLS version that a proxy may be told to speak.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

impl TlsVersion {
    /// Every version, lowest first.
    pub const ALL: &'static [Self] = &[Self::Tls12, Self::Tls13];

    /// `1.2` or `1.3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    /// The number on the wire: `0x0303` or `0x0304`.
    #[must_use]
    pub const fn wire(self) -> u16 {
        match self {
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A contiguous range of TLS versions, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VersionRange {
    /// The lowest version.
    pub lowest: TlsVersion,
    /// The highest version.
    pub highest: TlsVersion,
}

impl VersionRange {
    /// TLS 1.2 and 1.3.
    pub const DEFAULT: Self = Self {
        lowest: TlsVersion::Tls12,
        highest: TlsVersion::Tls13,
    };

    /// Whether `version` is in the range.
    #[must_use]
    pub fn contains(self, version: TlsVersion) -> bool {
        self.lowest <= version && version <= self.highest
    }

    /// The range of exactly these versions; absent when there are none or one in between is missing.
    #[must_use]
    pub fn of(versions: &[TlsVersion]) -> Option<Self> {
        let lowest = *versions.iter().min()?;
        let highest = *versions.iter().max()?;
        let range = Self { lowest, highest };
        TlsVersion::ALL
            .iter()
            .filter(|v| range.contains(**v))
            .all(|v| versions.contains(v))
            .then_some(range)
    }
}

impl Default for VersionRange {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_read_what_they_write() {
        for text in ["1", "443", "8000-8100", "65535", "1-65535"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
        for bad in [
            "", "0", "0-5", "65536", "-", "1-", "-1", "a", "+5", "1-2-3", "443 445",
        ] {
            assert!(
                matches!(bad.parse::<PortRange>(), Err(NetworkError::Port(_))),
                "{bad:?}"
            );
        }
        assert!(matches!(
            "9-8".parse::<PortRange>(),
            Err(NetworkError::Backwards(_))
        ));
    }

    #[test]
    fn f103_ranges_that_share_a_port_overlap() {
        let range = |text: &str| text.parse::<PortRange>().unwrap();
        assert!(range("400-500").overlaps(range("443")));
        assert!(range("443").overlaps(range("400-500")));
        assert!(range("1-2").overlaps(range("2-3")));
        assert!(!range("1-2").overlaps(range("3-4")));
    }

    #[test]
    fn vlans_are_0_to_4094() {
        assert!("0".parse::<VlanRange>().is_ok());
        assert!("4094".parse::<VlanRange>().is_ok());
        assert!("4095".parse::<VlanRange>().is_err());
        assert!("100-199".parse::<VlanRange>().unwrap().contains(150));
    }

    #[test]
    fn f113_a_wildcard_matches_any_depth_below_and_nothing_beside() {
        let pattern: DomainPattern = "*.Bank.Example.".parse().unwrap();
        assert_eq!(pattern.to_string(), "*.bank.example");
        for host in ["www.bank.example", "a.b.c.bank.example"] {
            assert!(pattern.matches(host), "{host}");
        }
        for host in [
            "bank.example",
            "xbank.example",
            ".bank.example",
            "bank.example.org",
            "example",
            "",
        ] {
            assert!(!pattern.matches(host), "{host}");
        }
        let exact: DomainPattern = "health.example".parse().unwrap();
        assert!(exact.matches("health.example"));
        assert!(!exact.matches("www.health.example"));
    }

    #[test]
    fn what_is_no_domain_is_refused_with_its_reason() {
        let reason = |text: &str| match text.parse::<DomainPattern>() {
            Err(NetworkError::Domain { reason, .. }) => reason,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(reason("a.*.example"), DomainError::Wildcard);
        assert_eq!(reason("*"), DomainError::Wildcard);
        assert_eq!(reason("w*.example"), DomainError::Wildcard);
        assert_eq!(reason(""), DomainError::EmptyLabel);
        assert_eq!(reason("a..b"), DomainError::EmptyLabel);
        assert_eq!(reason("bücher.example"), DomainError::NotAscii);
        assert_eq!(reason("a b.example"), DomainError::Character);
        assert_eq!(reason("10.1.2.3"), DomainError::Address);
        assert_eq!(reason("fd00::1"), DomainError::Address);
        assert_eq!(
            reason(&format!("{}.example", "a".repeat(64))),
            DomainError::TooLong
        );
        assert_eq!(reason(&["abc"; 70].join(".")), DomainError::TooLong);
    }

    #[test]
    fn f30_versions_are_contiguous() {
        assert_eq!(
            VersionRange::of(&[TlsVersion::Tls13, TlsVersion::Tls12]),
            Some(VersionRange::DEFAULT)
        );
        assert_eq!(VersionRange::of(&[]), None);
        let only = VersionRange::of(&[TlsVersion::Tls13]).unwrap();
        assert!(!only.contains(TlsVersion::Tls12));
    }
}
