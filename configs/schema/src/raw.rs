//! The documents as they are written. The published JSON Schema is generated from these types, and a document's shape is
//! checked against that schema before it is read into them; what the types cannot say is checked in `validate`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Hugepages, IdleMode, IrregularHandshake, OnExhaustion, OverLimit, Service, TlsVersion,
};

/// appliance.toml: the appliance as a whole.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "appliance")]
pub(crate) struct RawAppliance {
    pub(crate) appliance: RawIdentity,
    pub(crate) dataplane: RawDataplane,
    #[serde(default)]
    pub(crate) inspection: RawInspection,
    #[serde(default)]
    pub(crate) limits: RawLimits,
    #[serde(default)]
    pub(crate) network: RawNetwork,
    /// The wires, each between two ports. At least one.
    #[serde(default)]
    pub(crate) segment: Vec<RawSegment>,
    /// Shares of the traffic with a profile of their own. The first that matches a flow claims it.
    #[serde(default)]
    pub(crate) virtual_segment: Vec<RawVirtualSegment>,
}

/// Who the appliance is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "identity")]
pub(crate) struct RawIdentity {
    /// Its name, as it stands in events. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// The profile of every flow that no virtual segment claims. Without it, or with "none", such flows are forwarded
    /// without inspection.
    pub(crate) profile: Option<String>,
}

/// Boot settings of the data plane. A change needs a restart of the data plane.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "dataplane")]
pub(crate) struct RawDataplane {
    /// The processor cores that poll the ports, at least one. The work is spread over them by flow.
    #[schemars(length(min = 1, max = 128))]
    pub(crate) cores: Vec<u16>,
    /// The core of everything that does not poll.
    #[serde(default)]
    pub(crate) main_core: u16,
    /// Memory for packet buffers and tables, MiB.
    #[serde(default = "memory_mib")]
    #[schemars(range(min = 64, max = 1_048_576))]
    pub(crate) memory_mib: u32,
    /// Whether memory comes in huge pages.
    #[serde(default)]
    pub(crate) hugepages: Hugepages,
    /// What a core does when there is nothing to do.
    #[serde(default)]
    pub(crate) idle: IdleMode,
}

/// The switches per direction. Policies can be prepared while a switch is off.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "inspection")]
pub(crate) struct RawInspection {
    /// Client inspection, with forged leaves.
    #[serde(default = "yes")]
    pub(crate) client: bool,
    /// Server inspection, with the servers' own keys.
    #[serde(default = "yes")]
    pub(crate) server: bool,
}

impl Default for RawInspection {
    fn default() -> Self {
        Self {
            client: true,
            server: true,
        }
    }
}

/// What the data plane holds at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "limits")]
pub(crate) struct RawLimits {
    /// Sessions inspected at once.
    #[serde(default = "inspected_sessions_max")]
    #[schemars(range(min = 1))]
    pub(crate) inspected_sessions_max: u32,
    /// What happens to a session past that.
    #[serde(default)]
    pub(crate) over_limit: OverLimit,
    /// The share of `inspected_sessions_max` at which a warning is logged, percent.
    #[serde(default = "sessions_warning_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) sessions_warning_percent: u8,
    /// The share of `inspected_sessions_max` at which the load counts as critical, percent; more than the warning's.
    #[serde(default = "sessions_critical_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) sessions_critical_percent: u8,
    /// What happens to new flows while packet buffers are nearly used up.
    #[serde(default)]
    pub(crate) on_exhaustion: OnExhaustion,
    /// Flows tracked at once, inspected ones included. A change needs a restart of the data plane.
    #[serde(default = "flows_max")]
    #[schemars(range(min = 1_024, max = 67_108_864))]
    pub(crate) flows_max: u32,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            inspected_sessions_max: inspected_sessions_max(),
            over_limit: OverLimit::default(),
            sessions_warning_percent: sessions_warning_percent(),
            sessions_critical_percent: sessions_critical_percent(),
            on_exhaustion: OnExhaustion::default(),
            flows_max: flows_max(),
        }
    }
}

/// The network around the appliance.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "network")]
pub(crate) struct RawNetwork {
    /// Asymmetric-network mode: the two directions of a flow may take different ways, so every flow is forwarded at layer 2.
    /// Needs both switches of [inspection] off.
    #[serde(default)]
    pub(crate) asymmetric: bool,
}

/// A wire: what comes in at one port goes out at the other.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "segment")]
pub(crate) struct RawSegment {
    /// Its name. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// One end: af_packet:INTERFACE, af_xdp:INTERFACE, pci:0000:03:00.0, tap:NAME or vdev:DEVARGS.
    pub(crate) port_a: String,
    /// The other end.
    pub(crate) port_b: String,
    /// VLANs that have another identifier on the other side. Needs both switches of [inspection] off.
    #[serde(default)]
    pub(crate) vlan_translation: Vec<RawVlanTranslation>,
}

/// One VLAN that has another identifier on the other side. The outer tag's identifier is rewritten, whichever its type;
/// frames of other VLANs and untagged ones pass as they are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "vlan_translation")]
pub(crate) struct RawVlanTranslation {
    /// The identifier at the segment's port A.
    #[schemars(range(min = 1, max = 4_094))]
    pub(crate) port_a: u16,
    /// The identifier at the segment's port B.
    #[schemars(range(min = 1, max = 4_094))]
    pub(crate) port_b: u16,
}

/// A share of the traffic with a profile of its own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "virtual_segment")]
pub(crate) struct RawVirtualSegment {
    /// Its name. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// The segment it is on; without it, every segment.
    pub(crate) segment: Option<String>,
    /// Outer VLAN identifiers or ranges ("100-199"); empty takes tagged and untagged frames alike.
    #[serde(default)]
    pub(crate) vlan: Vec<RawNumbers>,
    /// The clients' addresses or networks; empty takes all.
    #[serde(default)]
    pub(crate) sources: Vec<String>,
    /// The servers' addresses or networks; empty takes all.
    #[serde(default)]
    pub(crate) destinations: Vec<String>,
    /// The profile of its flows, or "none": they are forwarded without inspection.
    pub(crate) profile: String,
}

/// profiles/NAME.toml: which flows are inspected, with which certificates, and what happens when something is wrong.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "profile")]
pub(crate) struct RawProfile {
    /// Its name, unique on the appliance. Letters, digits, `_`, `-` and space, at most 64; not "none".
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// How client traffic is terminated.
    #[serde(default)]
    pub(crate) client_proxy: Vec<RawClientProxy>,
    /// Which authorities origins may lead to.
    #[serde(default)]
    pub(crate) trust_store: Vec<RawTrustStore>,
    /// Which domains are not decrypted.
    #[serde(default)]
    pub(crate) decryption_policy: Vec<RawDecryptionPolicy>,
    /// Client inspection. The detection ports of different client policies must not overlap.
    #[serde(default)]
    pub(crate) client_policy: Vec<RawClientPolicy>,
    /// Which servers are protected, with their certificates.
    #[serde(default)]
    pub(crate) server_proxy: Vec<RawServerProxy>,
    /// Server inspection. It wins over client inspection where both match.
    #[serde(default)]
    pub(crate) server_policy: Vec<RawServerPolicy>,
}

/// How client traffic is terminated: with leaves forged by a signing certificate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "client_proxy")]
pub(crate) struct RawClientProxy {
    /// Its name. Letters, digits, `_`, `-` and space, at most 128.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// The CA certificate that signs leaves for origins that verified, by its name in the certificate store.
    pub(crate) signing_certificate: String,
    /// The CA certificate that signs leaves for origins that did not verify. Needed when such origins are not blocked.
    pub(crate) untrusted_certificate: Option<String>,
    /// The protocol inside TLS.
    #[serde(default)]
    pub(crate) service: Service,
    /// The servers' ports or ranges of ports ("8000-8100").
    #[schemars(length(min = 1))]
    pub(crate) detection_ports: Vec<RawNumbers>,
    /// Origins with a shorter key count as invalid, bits of RSA.
    #[serde(default = "minimum_key_bits")]
    #[schemars(range(min = 512, max = 16_384))]
    pub(crate) minimum_key_bits: u16,
    /// Whether an origin with an invalid certificate is blocked. If not, the client sees an untrusted leaf.
    #[serde(default = "yes")]
    pub(crate) block_invalid_certificates: bool,
    /// Whether an origin with an expired certificate is blocked. If not, the client sees an untrusted leaf.
    #[serde(default = "yes")]
    pub(crate) block_expired_certificates: bool,
    /// Whether the client gets a TCP reset when its flow is blocked.
    #[serde(default)]
    pub(crate) reset_client_on_block: bool,
    /// What happens to a flow whose TCP handshake was not seen whole, is signed, or cannot be taken over.
    #[serde(default)]
    pub(crate) irregular_handshake: IrregularHandshake,
    /// Whether every session leaves an event, not only the ones that went wrong.
    #[serde(default)]
    pub(crate) session_logging: bool,
    /// The TLS versions spoken on both legs, without a gap.
    #[serde(default = "tls_versions")]
    #[schemars(length(min = 1))]
    pub(crate) tls_versions: Vec<TlsVersion>,
}

/// Authorities that origins may lead to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "trust_store")]
pub(crate) struct RawTrustStore {
    /// Its name. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// Whether Mozilla's roots are in it, all or none.
    #[serde(default = "yes")]
    pub(crate) default_authorities: bool,
    /// Further authorities, by their names in the certificate store.
    #[serde(default)]
    pub(crate) authorities: Vec<String>,
}

/// Domains that are not decrypted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "decryption_policy")]
pub(crate) struct RawDecryptionPolicy {
    /// Its name. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// Domains that are not decrypted. `*.example.com` is everything below example.com at any depth.
    #[serde(default)]
    pub(crate) do_not_decrypt: Vec<String>,
    /// Domains among them that are decrypted after all.
    #[serde(default)]
    pub(crate) always_decrypt: Vec<String>,
}

/// Client inspection of one client proxy's ports.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "client_policy")]
pub(crate) struct RawClientPolicy {
    /// Its name, unique among all policies of the profile. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// Whether new flows are matched against it. Sessions that exist go on.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// The client proxy, by name.
    pub(crate) client_proxy: String,
    /// The decryption policy, by name; without it, every domain is decrypted.
    pub(crate) decryption_policy: Option<String>,
    /// The trust store, by name.
    pub(crate) trust_store: String,
    /// Clients that are never decrypted: addresses or networks.
    #[serde(default)]
    pub(crate) never_decrypt_sources: Vec<String>,
    /// Clients that are always decrypted, whatever the domain. Between the two lists the longest prefix wins.
    #[serde(default)]
    pub(crate) always_decrypt_sources: Vec<String>,
}

/// Protected servers with their certificates.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "server_proxy")]
pub(crate) struct RawServerProxy {
    /// Its name. Letters, digits, `_`, `-` and space, at most 128.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// The servers' addresses or networks.
    #[schemars(length(min = 1))]
    pub(crate) addresses: Vec<String>,
    /// The servers' ports or ranges of ports ("8000-8100").
    #[schemars(length(min = 1))]
    pub(crate) ports: Vec<RawNumbers>,
    /// The protocol inside TLS.
    #[serde(default)]
    pub(crate) service: Service,
    /// Server certificates with their keys, by their names in the certificate store. Chosen by the server name that the
    /// client asks for; the first is the default.
    #[schemars(length(min = 1))]
    pub(crate) certificates: Vec<String>,
    /// Whether the server gets a TCP reset when a flow is blocked.
    #[serde(default)]
    pub(crate) reset_server_on_block: bool,
    /// Whether every session leaves an event, not only the ones that went wrong.
    #[serde(default)]
    pub(crate) session_logging: bool,
    /// The TLS versions spoken on both legs, without a gap.
    #[serde(default = "tls_versions")]
    #[schemars(length(min = 1))]
    pub(crate) tls_versions: Vec<TlsVersion>,
}

/// Server inspection of one server proxy's addresses and ports.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "server_policy")]
pub(crate) struct RawServerPolicy {
    /// Its name, unique among all policies of the profile. Letters, digits, `_`, `-` and space, at most 64.
    pub(crate) name: String,
    /// For people, at most 512 characters.
    pub(crate) description: Option<String>,
    /// Whether new flows are matched against it. Sessions that exist go on.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// The server proxy, by name.
    pub(crate) server_proxy: String,
    /// Clients that are not decrypted: addresses or networks.
    #[serde(default)]
    pub(crate) source_exceptions: Vec<String>,
}

/// A number, or a range of numbers as text: 443 or "8000-8100".
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "numbers")]
pub(crate) enum RawNumbers {
    /// One number.
    One(u16),
    /// One number or a range.
    Range(String),
}

impl core::fmt::Display for RawNumbers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::One(number) => number.fmt(f),
            Self::Range(text) => f.write_str(text),
        }
    }
}

const fn yes() -> bool {
    true
}

const fn memory_mib() -> u32 {
    512
}

const fn inspected_sessions_max() -> u32 {
    20_000
}

const fn sessions_warning_percent() -> u8 {
    80
}

const fn sessions_critical_percent() -> u8 {
    95
}

const fn flows_max() -> u32 {
    131_072
}

const fn minimum_key_bits() -> u16 {
    2_048
}

fn tls_versions() -> Vec<TlsVersion> {
    TlsVersion::ALL.to_vec()
}

const _: () = assert!(
    memory_mib() >= crate::limits::MEMORY_MIB_MIN && memory_mib() <= crate::limits::MEMORY_MIB_MAX
);
const _: () =
    assert!(flows_max() >= crate::limits::FLOWS_MIN && flows_max() <= crate::limits::FLOWS_MAX);
const _: () = assert!(inspected_sessions_max() <= flows_max());
const _: () = assert!(sessions_warning_percent() < sessions_critical_percent());
const _: () = assert!(
    minimum_key_bits() >= crate::limits::MINIMUM_KEY_BITS_MIN
        && minimum_key_bits() <= crate::limits::MINIMUM_KEY_BITS_MAX
);
