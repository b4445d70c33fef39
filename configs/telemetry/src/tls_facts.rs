//! What one leg of an inspected session negotiated, and what the origin's certificate was worth.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A protocol version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.0, RFC 2246.
    #[serde(rename = "TLS 1.0")]
    Tls10,
    /// TLS 1.1, RFC 4346.
    #[serde(rename = "TLS 1.1")]
    Tls11,
    /// TLS 1.2, RFC 5246.
    #[serde(rename = "TLS 1.2")]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

impl TlsVersion {
    /// The version with this number on the wire (`0x0303` is TLS 1.2).
    #[must_use]
    pub const fn from_wire(number: u16) -> Option<Self> {
        match number {
            0x0301 => Some(Self::Tls10),
            0x0302 => Some(Self::Tls11),
            0x0303 => Some(Self::Tls12),
            0x0304 => Some(Self::Tls13),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn wire(self) -> u16 {
        match self {
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// `TLS 1.3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one leg negotiated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegFacts {
    /// The protocol version.
    pub version: TlsVersion,
    /// The cipher suite by its name in IANA's registry, e.g. `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
    /// The key-exchange group by its name in IANA's registry, e.g. `X25519MLKEM768`.
    pub group: Option<String>,
    /// The application protocol that ALPN chose (RFC 7301); bytes that are not UTF-8 are replaced.
    pub alpn: Option<String>,
}

/// What the verification of the origin's certificate found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginVerdict {
    /// It leads to an authority of the trust store, is valid now and names the host.
    Trusted,
    /// Its validity has ended.
    Expired,
    /// Its validity has not begun.
    NotYetValid,
    /// It leads to no authority of the trust store.
    UnknownIssuer,
    /// It signed itself and is not in the trust store.
    SelfSigned,
    /// It does not name the host.
    NameMismatch,
    /// Its key is shorter than the proxy's minimum.
    WeakKey,
    /// Anything else: signature, constraints, usage, form.
    Invalid,
}

impl OriginVerdict {
    /// Every verdict.
    pub const ALL: &'static [Self] = &[
        Self::Trusted,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownIssuer,
        Self::SelfSigned,
        Self::NameMismatch,
        Self::WeakKey,
        Self::Invalid,
    ];

    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::UnknownIssuer => "unknown-issuer",
            Self::SelfSigned => "self-signed",
            Self::NameMismatch => "name-mismatch",
            Self::WeakKey => "weak-key",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for OriginVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_what_they_write() {
        for version in [
            TlsVersion::Tls10,
            TlsVersion::Tls11,
            TlsVersion::Tls12,
            TlsVersion::Tls13,
        ] {
            assert_eq!(TlsVersion::from_wire(version.wire()), Some(version));
            assert_eq!(serde_json::to_value(version).unwrap(), version.name());
        }
        assert_eq!(TlsVersion::from_wire(0x0300), None, "SSL 3.0 is no TLS");
    }

    #[test]
    fn the_serialised_verdict_is_its_name() {
        for verdict in OriginVerdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
    }
}
