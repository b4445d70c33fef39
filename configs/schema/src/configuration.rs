//! A whole validated configuration.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Appliance, CertificateName, Profile, ProfileName};

/// Everything the documents say, validated: names are names and references lead somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The appliance.
    pub appliance: Appliance,
    /// Its profiles, sorted by name.
    pub profiles: Vec<Profile>,
}

/// What a certificate is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UseKind {
    /// Signs leaves for verified origins: a CA with its key.
    Signing,
    /// Signs leaves for origins that did not verify: a CA with its key.
    Untrusted,
    /// An authority of a trust store: no key needed.
    Authority,
    /// A protected server's own: with its key.
    Server,
}

impl UseKind {
    /// Whether the private key has to be there.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        !matches!(self, Self::Authority)
    }
}

impl fmt::Display for UseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signing => "signing certificate",
            Self::Untrusted => "untrusted signing certificate",
            Self::Authority => "authority",
            Self::Server => "server certificate",
        })
    }
}

/// One place where a configuration names a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateUse<'a> {
    /// The certificate.
    pub certificate: &'a CertificateName,
    /// What it is used as.
    pub kind: UseKind,
    /// The profile that names it.
    pub profile: &'a ProfileName,
    /// The proxy or trust store that names it.
    pub object: &'a str,
}

impl Configuration {
    /// The profile of this name.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == *name)
    }

    /// Every place where a certificate is named, in the order of the documents. One certificate may come more than once.
    #[must_use]
    pub fn certificate_uses(&self) -> Vec<CertificateUse<'_>> {
        let mut uses = Vec::new();
        for profile in &self.profiles {
            let mut put = |certificate, kind, object| {
                uses.push(CertificateUse {
                    certificate,
                    kind,
                    profile: &profile.name,
                    object,
                });
            };
            for proxy in &profile.client_proxies {
                put(
                    &proxy.signing_certificate,
                    UseKind::Signing,
                    proxy.name.as_str(),
                );
                if let Some(untrusted) = &proxy.untrusted_certificate {
                    put(untrusted, UseKind::Untrusted, proxy.name.as_str());
                }
            }
            for store in &profile.trust_stores {
                for authority in &store.authorities {
                    put(authority, UseKind::Authority, store.name.as_str());
                }
            }
            for proxy in &profile.server_proxies {
                for certificate in &proxy.certificates {
                    put(certificate, UseKind::Server, proxy.name.as_str());
                }
            }
        }
        uses
    }
}
