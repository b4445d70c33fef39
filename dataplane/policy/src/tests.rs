//! Every code that a policy can give, and what is asked first.

mod candidates;
mod decisions;
mod explain;
mod origin;

use sluice_schema::{Configuration, Document, load};
use sluice_telemetry::{DecisionCode, OriginVerdict, Verdict};

use super::*;

const APPLIANCE: &str = r#"
[appliance]
name = "lab"
profile = "lab"
[dataplane]
cores = [1]
[limits]
inspected_sessions_max = 10
[[segment]]
name = "segment-1"
port_a = "af_packet:a1"
port_b = "af_packet:b1"
[[segment]]
name = "segment-2"
port_a = "af_packet:a2"
port_b = "af_packet:b2"
[[virtual_segment]]
name = "quiet"
sources = ["10.99.0.0/16"]
profile = "none"
[[virtual_segment]]
name = "guests"
segment = "segment-2"
vlan = [100, "200-299"]
destinations = ["192.0.2.0/24", "2001:db8::/32"]
profile = "guests"
"#;

const LAB: &str = r#"
name = "lab"
[[client_proxy]]
name = "web"
signing_certificate = "sluice-ca"
untrusted_certificate = "sluice-untrusted-ca"
detection_ports = [443, "8000-8100"]
reset_client_on_block = true
session_logging = true
[[client_proxy]]
name = "lax"
signing_certificate = "sluice-ca"
untrusted_certificate = "sluice-untrusted-ca"
detection_ports = [9443]
block_invalid_certificates = false
block_expired_certificates = false
tls_versions = ["1.3"]
[[client_proxy]]
name = "off"
signing_certificate = "sluice-ca"
detection_ports = [7443]
[[trust_store]]
name = "default"
[[decryption_policy]]
name = "standard"
do_not_decrypt = ["*.bank.example", "health.example"]
always_decrypt = ["dl.bank.example"]
[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "standard"
trust_store = "default"
never_decrypt_sources = ["10.1.0.0/16", "fd00:1::/32"]
always_decrypt_sources = ["10.1.2.0/24", "10.3.0.0/16"]
[[client_policy]]
name = "lax"
client_proxy = "lax"
trust_store = "default"
[[client_policy]]
name = "disabled"
enabled = false
client_proxy = "off"
trust_store = "default"
[[server_proxy]]
name = "dmz"
addresses = ["10.201.2.2/32", "fd00:201::2:2/128"]
ports = [443, 8443]
certificates = ["site-a", "site-b"]
reset_server_on_block = true
[[server_proxy]]
name = "dmz-alt"
addresses = ["10.201.2.2/32"]
ports = [9000]
certificates = ["site-c"]
[[server_policy]]
name = "inbound"
server_proxy = "dmz"
source_exceptions = ["203.0.113.0/24"]
[[server_policy]]
name = "inbound-alt"
server_proxy = "dmz-alt"
"#;

const GUESTS: &str = r#"
name = "guests"
[[client_proxy]]
name = "web"
signing_certificate = "guest-ca"
detection_ports = [443]
[[trust_store]]
name = "default"
[[client_policy]]
name = "guests"
client_proxy = "web"
trust_store = "default"
"#;

fn configuration(appliance: &str) -> Configuration {
    configuration_of(appliance, LAB)
}

fn configuration_of(appliance: &str, lab: &str) -> Configuration {
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    load(&[
        document("appliance.toml", appliance),
        document("profiles/lab.toml", lab),
        document("profiles/guests.toml", GUESTS),
    ])
    .unwrap()
}

fn policy() -> Policy {
    Policy::compile(&configuration(APPLIANCE)).unwrap()
}

fn policy_with(from: &str, to: &str) -> Policy {
    assert!(APPLIANCE.contains(from));
    Policy::compile(&configuration(&APPLIANCE.replacen(from, to, 1))).unwrap()
}

fn flow(client: &str, server: &str) -> FlowFacts {
    FlowFacts {
        client: format!("{client}:50000").parse().unwrap(),
        server: server.parse().unwrap(),
        segment: SegmentIndex(0),
        vlan: None,
    }
}

const HELLO: HelloFacts<'static> = HelloFacts {
    sni: Some("www.example"),
    alpn: &[],
    offers_tls12: true,
    offers_tls13: true,
    ech: false,
};

fn named(sni: &str) -> HelloFacts<'_> {
    HelloFacts {
        sni: Some(sni),
        ..HELLO
    }
}

/// What is decided about a flow with this hello, without load.
fn code(policy: &Policy, flow: &FlowFacts, hello: &HelloFacts<'_>) -> DecisionCode {
    let candidate = policy.candidate(flow).expect("a candidate");
    let decision = policy.decide(&candidate, flow, hello, &LoadFacts::default());
    assert_eq!(decision.verdict, decision.code.verdict());
    assert_eq!(
        decision.proof().is_some(),
        decision.verdict == Verdict::Inspect,
        "only inspection has the proof"
    );
    decision.code
}

const WEB: &str = "198.51.100.1:443";
const LAX: &str = "198.51.100.1:9443";
const DMZ: &str = "10.201.2.2:8443";
