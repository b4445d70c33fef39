//! A profile: which flows are inspected, with which certificates, and what happens when something is wrong.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    CertificateName, DecryptionPolicyName, Description, DomainPattern, PolicyName, PortRange,
    ProfileName, ProxyName, TrustStoreName, VersionRange,
};

/// What one document of `profiles/` says, validated. Every name a policy refers to exists in the same profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name, unique on the appliance.
    pub name: ProfileName,
    /// For people.
    pub description: Option<Description>,
    /// How client traffic is terminated.
    pub client_proxies: Vec<ClientProxy>,
    /// Which authorities origins may lead to.
    pub trust_stores: Vec<TrustStore>,
    /// Which domains are not decrypted.
    pub decryption_policies: Vec<DecryptionPolicy>,
    /// Client inspection, in the order of the document; their ports do not overlap.
    pub client_policies: Vec<ClientPolicy>,
    /// Which servers are protected, with their certificates.
    pub server_proxies: Vec<ServerProxy>,
    /// Server inspection, in the order of the document.
    pub server_policies: Vec<ServerPolicy>,
}

/// The protocol inside TLS that a proxy is told to expect.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// HTTP/1 and HTTP/2.
    #[default]
    Https,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// Anything else: generic rules only.
    Other,
}

impl Service {
    /// `https`, `imap`, `pop3` or `other`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Other => "other",
        }
    }
}

/// What happens on a client proxy's ports to a flow whose TCP handshake cannot be followed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum IrregularHandshake {
    /// It passes without inspection.
    #[default]
    Bypass,
    /// It is blocked.
    Block,
}

/// How client traffic is terminated: with leaves forged by a signing certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientProxy {
    /// Its name.
    pub name: ProxyName,
    /// For people.
    pub description: Option<Description>,
    /// The CA that signs leaves for origins that verified.
    pub signing_certificate: CertificateName,
    /// The CA that signs leaves for origins that did not; present whenever the settings let such origins through.
    pub untrusted_certificate: Option<CertificateName>,
    /// The protocol inside.
    pub service: Service,
    /// The servers' ports it listens for, sorted, merged, at least one.
    pub detection_ports: Vec<PortRange>,
    /// Origins with a shorter key count as invalid, bits of RSA.
    pub minimum_key_bits: u16,
    /// Whether an origin with an invalid certificate is blocked; if not, the client sees an untrusted leaf.
    pub block_invalid_certificates: bool,
    /// Whether an origin with an expired certificate is blocked; if not, the client sees an untrusted leaf.
    pub block_expired_certificates: bool,
    /// Whether the client gets a TCP reset when its flow is blocked.
    pub reset_client_on_block: bool,
    /// What happens to a flow whose TCP handshake was not seen whole, is signed, or cannot be taken over.
    pub irregular_handshake: IrregularHandshake,
    /// Whether every session leaves an event, not only the ones that went wrong.
    pub session_logging: bool,
    /// The versions spoken on both legs.
    pub tls_versions: VersionRange,
}

/// Authorities that origins may lead to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustStore {
    /// Its name.
    pub name: TrustStoreName,
    /// For people.
    pub description: Option<Description>,
    /// Whether Mozilla's roots are in it, all or none.
    pub default_authorities: bool,
    /// Further authorities, by their names in the certificate store.
    pub authorities: Vec<CertificateName>,
}

/// Domains that are not decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecryptionPolicy {
    /// Its name.
    pub name: DecryptionPolicyName,
    /// For people.
    pub description: Option<Description>,
    /// Not decrypted, by the server name that the client asks for.
    pub do_not_decrypt: Vec<DomainPattern>,
    /// Decrypted after all.
    pub always_decrypt: Vec<DomainPattern>,
}

/// Client inspection of one client proxy's ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPolicy {
    /// Its name, unique among all policies of the profile.
    pub name: PolicyName,
    /// For people.
    pub description: Option<Description>,
    /// Whether new flows are matched against it.
    pub enabled: bool,
    /// The client proxy.
    pub client_proxy: ProxyName,
    /// The decryption policy, if any.
    pub decryption_policy: Option<DecryptionPolicyName>,
    /// The trust store that origins are verified against.
    pub trust_store: TrustStoreName,
    /// Clients that are never decrypted.
    pub never_decrypt_sources: Vec<IpNet>,
    /// Clients that are always decrypted, whatever the domain. Between the lists the longest prefix wins.
    pub always_decrypt_sources: Vec<IpNet>,
}

/// Protected servers with their certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerProxy {
    /// Its name.
    pub name: ProxyName,
    /// For people.
    pub description: Option<Description>,
    /// The servers' addresses, at least one.
    pub addresses: Vec<IpNet>,
    /// The servers' ports, sorted, merged, at least one.
    pub ports: Vec<PortRange>,
    /// The protocol inside.
    pub service: Service,
    /// Certificates with keys, at least one, none twice; chosen by SNI, the first is the default.
    pub certificates: Vec<CertificateName>,
    /// Whether the server gets a TCP reset when a flow is blocked.
    pub reset_server_on_block: bool,
    /// Whether every session leaves an event, not only the ones that went wrong.
    pub session_logging: bool,
    /// The versions spoken on both legs.
    pub tls_versions: VersionRange,
}

/// Server inspection of one server proxy's addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPolicy {
    /// Its name, unique among all policies of the profile.
    pub name: PolicyName,
    /// For people.
    pub description: Option<Description>,
    /// Whether new flows are matched against it.
    pub enabled: bool,
    /// The server proxy.
    pub server_proxy: ProxyName,
    /// Clients that are not decrypted.
    pub source_exceptions: Vec<IpNet>,
}

impl Profile {
    /// The client proxy of this name.
    #[must_use]
    pub fn client_proxy(&self, name: &ProxyName) -> Option<&ClientProxy> {
        self.client_proxies.iter().find(|proxy| proxy.name == *name)
    }

    /// The server proxy of this name.
    #[must_use]
    pub fn server_proxy(&self, name: &ProxyName) -> Option<&ServerProxy> {
        self.server_proxies.iter().find(|proxy| proxy.name == *name)
    }

    /// The trust store of this name.
    #[must_use]
    pub fn trust_store(&self, name: &TrustStoreName) -> Option<&TrustStore> {
        self.trust_stores.iter().find(|store| store.name == *name)
    }

    /// The decryption policy of this name.
    #[must_use]
    pub fn decryption_policy(&self, name: &DecryptionPolicyName) -> Option<&DecryptionPolicy> {
        self.decryption_policies
            .iter()
            .find(|policy| policy.name == *name)
    }
}
