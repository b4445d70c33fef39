//! Every code that a policy can give, and what is asked first.

use std::collections::BTreeSet;

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
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    load(&[
        document("appliance.toml", appliance),
        document("profiles/lab.toml", LAB),
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

#[test]
fn client_inspection_on_every_detection_port_and_no_other() {
    let policy = policy();
    for port in [443, 8000, 8050, 8100] {
        let flow = flow("10.0.0.1", &format!("198.51.100.1:{port}"));
        let candidate = policy.candidate(&flow).unwrap();
        assert_eq!(candidate.direction, Direction::Client);
        assert_eq!(policy.policy_name(&candidate), "outbound");
        assert_eq!(code(&policy, &flow, &HELLO), DecisionCode::InspectedClient);
    }
    for port in [1, 442, 444, 7999, 8101, 65535] {
        assert_eq!(
            policy.candidate(&flow("10.0.0.1", &format!("198.51.100.1:{port}"))),
            None,
            "{port}"
        );
    }
}

#[test]
fn a_candidate_leads_to_its_names_and_settings() {
    let policy = policy();
    let client = policy.candidate(&flow("10.0.0.1", WEB)).unwrap();
    assert_eq!(policy.profile_name(&client), "lab");
    assert_eq!(policy.proxy_name(&client), "web");
    assert_eq!(
        policy.signing_certificate(&client).unwrap().as_str(),
        "sluice-ca"
    );
    assert_eq!(
        policy.untrusted_certificate(&client).unwrap().as_str(),
        "sluice-untrusted-ca"
    );
    assert_eq!(
        policy.trust_store(&client).unwrap().name.as_str(),
        "default"
    );
    assert_eq!(policy.minimum_key_bits(&client), 2048);
    assert!(policy.resets_client_on_block(&client) && !policy.resets_server_on_block(&client));
    assert!(policy.logs_sessions(&client));
    assert!(
        policy.server_certificates(&client).is_empty() && policy.server_proxy(&client).is_none()
    );

    let server = policy.candidate(&flow("10.0.0.1", DMZ)).unwrap();
    assert_eq!(policy.proxy_name(&server), "dmz");
    let certificates: Vec<&str> = policy
        .server_certificates(&server)
        .iter()
        .map(AsRef::as_ref)
        .collect();
    assert_eq!(certificates, ["site-a", "site-b"]);
    assert!(policy.resets_server_on_block(&server) && !policy.resets_client_on_block(&server));
    assert!(policy.signing_certificate(&server).is_none() && policy.trust_store(&server).is_none());
    assert!(!policy.logs_sessions(&server));
}

#[test]
fn server_inspection_of_addresses_and_ports_of_both_families() {
    let policy = policy();
    for server in [DMZ, "10.201.2.2:443", "[fd00:201::2:2]:8443"] {
        let client = if server.starts_with('[') {
            "[fd00:201::1:2]"
        } else {
            "10.0.0.1"
        };
        let flow = flow(client, server);
        assert_eq!(
            policy.candidate(&flow).unwrap().direction,
            Direction::Server,
            "{server}"
        );
        assert_eq!(code(&policy, &flow, &HELLO), DecisionCode::InspectedServer);
    }
    assert_eq!(
        policy.candidate(&flow("10.0.0.1", "10.201.2.3:8443")),
        None,
        "another address"
    );
}

#[test]
fn f132_the_server_policy_wins_when_both_match() {
    let policy = policy();
    let both = policy
        .candidate(&flow("10.0.0.1", "10.201.2.2:443"))
        .unwrap();
    assert_eq!(
        (both.direction, policy.policy_name(&both)),
        (Direction::Server, "inbound")
    );
    let other = policy
        .candidate(&flow("10.0.0.1", "10.201.2.9:443"))
        .unwrap();
    assert_eq!(
        (other.direction, policy.policy_name(&other)),
        (Direction::Client, "outbound")
    );
    // Also when the client is among the server policy's exceptions: it does not fall through to client inspection.
    let excepted = flow("203.0.113.9", "10.201.2.2:443");
    assert_eq!(
        code(&policy, &excepted, &HELLO),
        DecisionCode::BypassServerException
    );
}

#[test]
fn f130_the_same_address_with_another_port_belongs_to_another_proxy() {
    let policy = policy();
    let candidate = policy
        .candidate(&flow("10.0.0.1", "10.201.2.2:9000"))
        .unwrap();
    assert_eq!(policy.policy_name(&candidate), "inbound-alt");
}

#[test]
fn f131_source_exceptions_of_a_server_policy() {
    let policy = policy();
    let candidate = policy.candidate(&flow("203.0.113.9", DMZ)).unwrap();
    assert_eq!(
        candidate.early().unwrap().code,
        DecisionCode::BypassServerException
    );
    assert_eq!(
        policy.candidate(&flow("203.0.114.9", DMZ)).unwrap().early(),
        None
    );
}

#[test]
fn f122_a_disabled_policy_matches_no_new_flow() {
    assert_eq!(
        policy().candidate(&flow("10.0.0.1", "198.51.100.1:7443")),
        None
    );
}

#[test]
fn f113_domain_exceptions_at_any_depth_with_overrides() {
    let policy = policy();
    let flow = flow("10.0.0.1", WEB);
    for host in [
        "www.bank.example",
        "a.b.c.bank.example",
        "WWW.Bank.Example",
        "www.bank.example.",
        "health.example",
    ] {
        assert_eq!(
            code(&policy, &flow, &named(host)),
            DecisionCode::BypassDomainException,
            "{host}"
        );
    }
    for host in [
        "bank.example",
        "xbank.example",
        "www.health.example",
        "dl.bank.example",
        "DL.BANK.EXAMPLE.",
    ] {
        assert_eq!(
            code(&policy, &flow, &named(host)),
            DecisionCode::InspectedClient,
            "{host}"
        );
    }
    assert_eq!(
        code(&policy, &flow, &HelloFacts { sni: None, ..HELLO }),
        DecisionCode::InspectedClient
    );
}

#[test]
fn domain_exceptions_are_the_client_policys_not_the_servers() {
    assert_eq!(
        code(
            &policy(),
            &flow("10.0.0.1", DMZ),
            &named("www.bank.example")
        ),
        DecisionCode::InspectedServer
    );
}

#[test]
fn f124_never_decrypt_sources_of_both_families() {
    let policy = policy();
    assert_eq!(
        code(&policy, &flow("10.1.9.9", WEB), &HELLO),
        DecisionCode::BypassNeverDecryptSource
    );
    let v6 = flow("[fd00:1::5]", "[2001:db8::1]:443");
    assert_eq!(
        code(&policy, &v6, &HELLO),
        DecisionCode::BypassNeverDecryptSource
    );
    assert_eq!(
        code(&policy, &flow("10.2.9.9", WEB), &HELLO),
        DecisionCode::InspectedClient
    );
}

#[test]
fn f124_always_decrypt_sources_override_domain_exceptions() {
    let policy = policy();
    assert_eq!(
        code(&policy, &flow("10.3.0.1", WEB), &named("www.bank.example")),
        DecisionCode::InspectedClient
    );
    // 10.1.2.0/24 is the longer prefix than the never-decrypted 10.1.0.0/16.
    assert_eq!(
        code(&policy, &flow("10.1.2.3", WEB), &named("www.bank.example")),
        DecisionCode::InspectedClient
    );
}

#[test]
fn f37_each_direction_has_its_switch() {
    let client_off = policy_with("[limits]", "[inspection]\nclient = false\n[limits]");
    assert_eq!(
        code(&client_off, &flow("10.0.0.1", WEB), &HELLO),
        DecisionCode::BypassInspectionOff
    );
    assert_eq!(
        code(&client_off, &flow("10.0.0.1", DMZ), &HELLO),
        DecisionCode::InspectedServer
    );
    let server_off = policy_with("[limits]", "[inspection]\nserver = false\n[limits]");
    assert_eq!(
        code(&server_off, &flow("10.0.0.1", WEB), &HELLO),
        DecisionCode::InspectedClient
    );
    assert_eq!(
        code(&server_off, &flow("10.0.0.1", DMZ), &HELLO),
        DecisionCode::BypassInspectionOff
    );
    let candidate = server_off.candidate(&flow("10.0.0.1", DMZ)).unwrap();
    let decision = server_off.decide_without_hello(&candidate, NoHello::NotTls);
    assert_eq!(
        decision.code,
        DecisionCode::BypassInspectionOff,
        "nothing is blocked while the switch is off"
    );
}

#[test]
fn f28_over_the_limit_sessions_pass_or_are_blocked() {
    let over = |policy: &Policy, inspected_sessions| {
        let flow = flow("10.0.0.1", WEB);
        let candidate = policy.candidate(&flow).unwrap();
        policy
            .decide(
                &candidate,
                &flow,
                &HELLO,
                &LoadFacts {
                    inspected_sessions,
                    learned: None,
                },
            )
            .code
    };
    let bypasses = policy();
    assert_eq!(over(&bypasses, 9), DecisionCode::InspectedClient);
    assert_eq!(over(&bypasses, 10), DecisionCode::BypassOverLimit);
    let blocks = policy_with(
        "inspected_sessions_max = 10",
        "inspected_sessions_max = 10\nover_limit = \"block\"",
    );
    assert_eq!(over(&blocks, 9), DecisionCode::InspectedClient);
    assert_eq!(over(&blocks, u32::MAX), DecisionCode::BlockOverLimit);
}

#[test]
fn f27_what_is_learned_bypasses_the_next_flow() {
    let policy = policy();
    let flow = flow("10.0.0.1", WEB);
    let candidate = policy.candidate(&flow).unwrap();
    let learned = |learned| {
        policy
            .decide(
                &candidate,
                &flow,
                &HELLO,
                &LoadFacts {
                    learned: Some(learned),
                    inspected_sessions: 0,
                },
            )
            .code
    };
    assert_eq!(
        learned(Learned::ClientCertificate),
        DecisionCode::BypassLearnedClientCertificate
    );
    assert_eq!(
        learned(Learned::Pinning),
        DecisionCode::BypassLearnedPinning
    );
}

#[test]
fn versions_that_the_proxy_may_not_speak_pass() {
    let policy = policy();
    let only = |tls12, tls13| HelloFacts {
        offers_tls12: tls12,
        offers_tls13: tls13,
        ..HELLO
    };
    let web = flow("10.0.0.1", WEB);
    assert_eq!(
        code(&policy, &web, &only(false, false)),
        DecisionCode::BypassUnsupportedVersion
    );
    assert_eq!(
        code(&policy, &web, &only(true, false)),
        DecisionCode::InspectedClient
    );
    let lax = flow("10.0.0.1", LAX);
    assert_eq!(
        code(&policy, &lax, &only(true, false)),
        DecisionCode::BypassUnsupportedVersion
    );
    assert_eq!(
        code(&policy, &lax, &only(false, true)),
        DecisionCode::InspectedClient
    );
}

#[test]
fn p81_an_encrypted_hello_is_noted_and_the_outer_name_decided_on() {
    let policy = policy();
    let flow = flow("10.0.0.1", WEB);
    let candidate = policy.candidate(&flow).unwrap();
    let hello = HelloFacts {
        ech: true,
        ..named("www.bank.example")
    };
    let decision = policy.decide(&candidate, &flow, &hello, &LoadFacts::default());
    assert_eq!(decision.code, DecisionCode::BypassDomainException);
    assert_eq!(decision.note, Some(Note::EncryptedHello));
    let nameless = policy.decide(
        &candidate,
        &flow,
        &HelloFacts { sni: None, ..HELLO },
        &LoadFacts::default(),
    );
    assert_eq!(nameless.note, Some(Note::NoServerName));
}

#[test]
fn f16_f17_p76_without_a_hello_client_flows_pass_and_server_flows_are_blocked() {
    let policy = policy();
    let client = policy.candidate(&flow("10.0.0.1", WEB)).unwrap();
    let server = policy.candidate(&flow("10.0.0.1", DMZ)).unwrap();
    let code = |candidate, why| policy.decide_without_hello(candidate, why).code;
    assert_eq!(code(&client, NoHello::NotTls), DecisionCode::BypassNotTls);
    assert_eq!(
        code(&client, NoHello::ServerSpokeFirst),
        DecisionCode::BypassNotTls
    );
    assert_eq!(
        code(&server, NoHello::NotTls),
        DecisionCode::BlockServerNotTls
    );
    assert_eq!(
        code(&server, NoHello::ServerSpokeFirst),
        DecisionCode::BlockServerCleartext
    );
    for candidate in [&client, &server] {
        assert_eq!(
            code(candidate, NoHello::Malformed),
            DecisionCode::BlockClientHelloMalformed
        );
        assert_eq!(
            code(candidate, NoHello::TooLarge),
            DecisionCode::BlockClientHelloTooLarge
        );
        assert_eq!(
            code(candidate, NoHello::TimedOut),
            DecisionCode::BlockHelloTimeout
        );
        assert_eq!(
            code(candidate, NoHello::IrregularHandshake),
            DecisionCode::BypassIrregularHandshake
        );
        assert_eq!(
            code(candidate, NoHello::TcpSignature),
            DecisionCode::BypassTcpSignature
        );
    }
}

#[test]
fn f124_an_excepted_source_passes_whatever_it_sends() {
    let policy = policy();
    let client = policy.candidate(&flow("10.1.9.9", WEB)).unwrap();
    let server = policy.candidate(&flow("203.0.113.9", DMZ)).unwrap();
    for why in NoHello::ALL {
        assert_eq!(
            policy.decide_without_hello(&client, *why).code,
            DecisionCode::BypassNeverDecryptSource
        );
        assert_eq!(
            policy.decide_without_hello(&server, *why).code,
            DecisionCode::BypassServerException
        );
    }
}

const UNVERIFIED: &[(OriginVerdict, DecisionCode)] = &[
    (OriginVerdict::Expired, DecisionCode::BlockOriginExpired),
    (
        OriginVerdict::NotYetValid,
        DecisionCode::BlockOriginNotYetValid,
    ),
    (
        OriginVerdict::UnknownIssuer,
        DecisionCode::BlockOriginUnknownIssuer,
    ),
    (
        OriginVerdict::SelfSigned,
        DecisionCode::BlockOriginSelfSigned,
    ),
    (
        OriginVerdict::NameMismatch,
        DecisionCode::BlockOriginNameMismatch,
    ),
    (OriginVerdict::WeakKey, DecisionCode::BlockOriginWeakKey),
    (
        OriginVerdict::Invalid,
        DecisionCode::BlockOriginInvalidCertificate,
    ),
];

#[test]
fn f106_f107_an_unverified_origin_is_blocked_or_gets_an_untrusted_leaf_never_a_trusted_one() {
    let policy = policy();
    let strict = policy.candidate(&flow("10.0.0.1", WEB)).unwrap();
    let lax = policy.candidate(&flow("10.0.0.1", LAX)).unwrap();
    assert_eq!(UNVERIFIED.len() + 1, OriginVerdict::ALL.len());
    for (verdict, code) in UNVERIFIED {
        assert_eq!(
            policy.decide_origin(&strict, *verdict),
            OriginDecision::Block(*code)
        );
        assert_eq!(
            policy.decide_origin(&lax, *verdict),
            OriginDecision::SignUntrusted,
            "{verdict}"
        );
    }
    for candidate in [&strict, &lax] {
        let decision = policy.decide_origin(candidate, OriginVerdict::Trusted);
        assert_eq!(decision, OriginDecision::SignTrusted);
        assert_eq!(
            decision.code(Direction::Client),
            DecisionCode::InspectedClient
        );
    }
    assert_eq!(
        OriginDecision::SignUntrusted.code(Direction::Client),
        DecisionCode::InspectedClientUntrusted
    );
}

#[test]
fn f107_expired_and_invalid_are_separate_settings() {
    let mut configuration = configuration(APPLIANCE);
    let proxy = &mut configuration.profiles[1].client_proxies[0];
    assert_eq!(proxy.name.as_str(), "web");
    proxy.block_expired_certificates = false;
    let policy = Policy::compile(&configuration).unwrap();
    let candidate = policy.candidate(&flow("10.0.0.1", WEB)).unwrap();
    assert_eq!(
        policy.decide_origin(&candidate, OriginVerdict::Expired),
        OriginDecision::SignUntrusted
    );
    for (verdict, code) in UNVERIFIED.iter().skip(1) {
        assert_eq!(
            policy.decide_origin(&candidate, *verdict),
            OriginDecision::Block(*code)
        );
    }
}

#[test]
fn letting_through_without_an_untrusted_ca_blocks() {
    let mut configuration = configuration(APPLIANCE);
    let proxy = &mut configuration.profiles[1].client_proxies[1];
    assert_eq!(proxy.name.as_str(), "lax");
    proxy.untrusted_certificate = None;
    let policy = Policy::compile(&configuration).unwrap();
    let candidate = policy.candidate(&flow("10.0.0.1", LAX)).unwrap();
    let decision = policy.decide_origin(&candidate, OriginVerdict::SelfSigned);
    assert_eq!(
        decision,
        OriginDecision::Block(DecisionCode::BlockNoSigningCertificate)
    );
}

#[test]
fn a_protected_servers_own_certificate_is_shown_whatever_it_is_worth() {
    let policy = policy();
    let server = policy.candidate(&flow("10.0.0.1", DMZ)).unwrap();
    for verdict in OriginVerdict::ALL {
        let decision = policy.decide_origin(&server, *verdict);
        assert_eq!(
            decision.code(Direction::Server),
            DecisionCode::InspectedServer
        );
    }
}

#[test]
fn f135_virtual_segments_first_match() {
    let policy = policy();
    let guests = |vlan, server: &str, segment| FlowFacts {
        vlan,
        segment: SegmentIndex(segment),
        ..flow("10.5.0.1", server)
    };
    let profile = |flow: &FlowFacts| {
        policy
            .candidate(flow)
            .map(|candidate| policy.profile_name(&candidate).to_owned())
    };
    assert_eq!(
        profile(&guests(Some(100), "192.0.2.1:443", 1)).as_deref(),
        Some("guests")
    );
    assert_eq!(
        profile(&guests(Some(250), "192.0.2.1:443", 1)).as_deref(),
        Some("guests")
    );
    for (vlan, server, segment) in [
        (Some(300), "192.0.2.1:443", 1),
        (None, "192.0.2.1:443", 1),
        (Some(100), "198.51.100.1:443", 1),
        (Some(100), "192.0.2.1:443", 0),
    ] {
        assert_eq!(
            profile(&guests(vlan, server, segment)).as_deref(),
            Some("lab"),
            "{vlan:?} {server} {segment}"
        );
    }
    // The first one claims its sources for no profile at all, whatever the second would say.
    let quiet = FlowFacts {
        vlan: Some(100),
        segment: SegmentIndex(1),
        ..flow("10.99.0.1", "192.0.2.1:443")
    };
    assert_eq!(profile(&quiet), None);
    // 8443 is a port of the lab profile, not of the guests'.
    assert_eq!(profile(&guests(Some(100), "192.0.2.1:8000", 1)), None);
}

#[test]
fn without_a_profile_nothing_is_watched() {
    let policy = policy_with("profile = \"lab\"\n", "");
    assert_eq!(policy.candidate(&flow("10.0.0.1", WEB)), None);
}

#[test]
fn a_candidate_of_another_generation_is_blocked() {
    let policy = policy();
    let strange = Candidate {
        profile: 77,
        ..policy.candidate(&flow("10.0.0.1", WEB)).unwrap()
    };
    let facts = flow("10.0.0.1", WEB);
    let decision = policy.decide(&strange, &facts, &HELLO, &LoadFacts::default());
    assert_eq!(decision.code, DecisionCode::BlockNoSigningCertificate);
    let strange = Candidate {
        direction: Direction::Server,
        ..strange
    };
    let decision = policy.decide(&strange, &facts, &HELLO, &LoadFacts::default());
    assert_eq!(decision.code, DecisionCode::BlockNoServerCertificate);
    assert_eq!(policy.policy_name(&strange), "");
    assert_eq!(
        policy.decide_origin(
            &Candidate {
                direction: Direction::Client,
                ..strange
            },
            OriginVerdict::Trusted
        ),
        OriginDecision::Block(DecisionCode::BlockNoSigningCertificate)
    );
}

#[test]
fn a_reference_that_leads_nowhere_does_not_compile() {
    let mut broken = configuration(APPLIANCE);
    broken.profiles[1].client_policies[0].client_proxy = "gone".parse().unwrap();
    let error = Policy::compile(&broken).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the client policy \"outbound\" of the profile \"lab\" names the client proxy \"gone\", which does not exist; \
         publish a configuration that passed `sluice check`"
    );
    let mut broken = configuration(APPLIANCE);
    broken.appliance.profile = Some("gone".parse().unwrap());
    assert!(matches!(
        Policy::compile(&broken),
        Err(CompileError::Missing {
            kind: "profile",
            ..
        })
    ));
}

/// Issue: at least 12 stable decision codes, each reached by a test. These are the ones that a policy gives; the others
/// are the proxy's.
#[test]
fn every_code_that_a_policy_gives_is_reached() {
    let mut reached = BTreeSet::new();
    let policies = [
        policy(),
        policy_with(
            "[limits]",
            "[inspection]\nclient = false\nserver = false\n[limits]",
        ),
        policy_with(
            "inspected_sessions_max = 10",
            "inspected_sessions_max = 10\nover_limit = \"block\"",
        ),
    ];
    let loads = [
        LoadFacts::default(),
        LoadFacts {
            inspected_sessions: 10,
            learned: None,
        },
        LoadFacts {
            inspected_sessions: 0,
            learned: Some(Learned::ClientCertificate),
        },
        LoadFacts {
            inspected_sessions: 0,
            learned: Some(Learned::Pinning),
        },
    ];
    let hellos = [
        HELLO,
        named("www.bank.example"),
        HelloFacts {
            offers_tls12: false,
            offers_tls13: false,
            ..HELLO
        },
    ];
    let flows = [
        flow("10.0.0.1", WEB),
        flow("10.1.9.9", WEB),
        flow("10.0.0.1", LAX),
        flow("10.0.0.1", DMZ),
        flow("203.0.113.9", DMZ),
    ];
    for policy in &policies {
        for flow in &flows {
            let candidate = policy.candidate(flow).unwrap();
            for hello in &hellos {
                reached.extend(
                    loads
                        .iter()
                        .map(|load| policy.decide(&candidate, flow, hello, load).code),
                );
            }
            reached.extend(
                NoHello::ALL
                    .iter()
                    .map(|why| policy.decide_without_hello(&candidate, *why).code),
            );
            reached.extend(OriginVerdict::ALL.iter().map(|v| {
                policy
                    .decide_origin(&candidate, *v)
                    .code(candidate.direction)
            }));
            let strange = Candidate {
                profile: 77,
                early: None,
                ..candidate
            };
            reached.insert(
                policy
                    .decide(&strange, flow, &HELLO, &LoadFacts::default())
                    .code,
            );
        }
    }
    // What only a proxy can find out: the handshakes themselves, the certificate request, the forging.
    let proxys: BTreeSet<DecisionCode> = [
        DecisionCode::BlockOriginHandshakeFailed,
        DecisionCode::BlockClientCertificateRequested,
        DecisionCode::BlockForgingFailed,
        DecisionCode::BlockClientHandshakeFailed,
    ]
    .into();
    let all: BTreeSet<DecisionCode> = DecisionCode::ALL.iter().copied().collect();
    assert_eq!(reached, &all - &proxys);
}

fn question<'a>(host: &'a str, client: &str, server: &str, port: u16) -> Question<'a> {
    Question {
        host: Some(host),
        client: client.parse().ok(),
        server: server.parse().ok(),
        port,
        segment: SegmentIndex(0),
        vlan: None,
    }
}

fn texts(explanation: &Explanation) -> Vec<&str> {
    explanation
        .steps
        .iter()
        .map(|step| step.text.as_str())
        .collect()
}

#[test]
fn f156_explain_tells_the_way_to_a_bypass() {
    let told = explain(
        &policy(),
        &question("WWW.bank.example", "10.0.0.1", "198.51.100.1", 443),
    );
    assert_eq!(told.code, Some(DecisionCode::BypassDomainException));
    assert_eq!(
        texts(&told),
        [
            "no virtual segment claims the flow: the profile \"lab\" applies",
            "no server policy protects the destination; the client policy \"outbound\" listens on port 443 with the client proxy \"web\"",
            "10.0.0.1 is in neither the never- nor the always-decrypt sources",
            "www.bank.example matches the do-not-decrypt domain *.bank.example",
            DecisionCode::BypassDomainException.description(),
        ]
    );
    assert_eq!(told.steps.last().unwrap().code, told.code);
}

#[test]
fn f156_explain_tells_overrides_sources_and_the_fate_of_bad_origins() {
    let told = explain(
        &policy(),
        &question("dl.bank.example", "10.1.2.3", "198.51.100.1", 443),
    );
    assert_eq!(told.code, Some(DecisionCode::InspectedClient));
    let text = texts(&told).join("\n");
    assert!(text.contains("never-decrypt sources (/16) and in the always-decrypt sources (/24): the longer prefix wins"), "{text}");
    assert!(
        text.contains("*.bank.example, and dl.bank.example re-enables decryption"),
        "{text}"
    );
    assert!(
        text.contains(
            "signed by \"sluice-ca\"; an origin with an invalid certificate would be blocked"
        ),
        "{text}"
    );
}

#[test]
fn f156_explain_tells_why_nothing_happens() {
    let told = explain(
        &policy(),
        &question("www.example", "10.0.0.1", "198.51.100.1", 25),
    );
    assert_eq!((told.verdict, told.code), (None, None));
    assert!(
        texts(&told)
            .last()
            .unwrap()
            .contains("no enabled client policy listens on port 25: forwarded at layer 2")
    );
    let told = explain(
        &policy(),
        &question("www.example", "10.99.0.1", "198.51.100.1", 443),
    );
    assert!(
        texts(&told).contains(&"the virtual segment \"quiet\" claims the flow: no profile applies")
    );
    assert_eq!(told.verdict, None);
}

#[test]
fn f156_explain_without_addresses_says_what_it_assumes() {
    let told = explain(&policy(), &question("www.example", "", "", 443));
    assert_eq!(told.code, Some(DecisionCode::InspectedClient));
    assert!(texts(&told)[0].contains("the client's address is not given"));
    assert!(texts(&told)[1].contains("the server's address is not given"));
}

#[test]
fn explain_and_decide_never_differ() {
    let policies = [
        policy(),
        policy_with("[limits]", "[inspection]\nclient = false\n[limits]"),
    ];
    for policy in &policies {
        for client in [
            "10.0.0.1",
            "10.1.9.9",
            "10.1.2.3",
            "10.99.0.1",
            "203.0.113.9",
        ] {
            for server in [WEB, LAX, DMZ, "10.201.2.2:443", "198.51.100.1:25"] {
                for host in ["www.example", "www.bank.example", "dl.bank.example"] {
                    let flow = flow(client, server);
                    let decided = policy.candidate(&flow).map(|candidate| {
                        policy
                            .decide(&candidate, &flow, &named(host), &LoadFacts::default())
                            .code
                    });
                    let ip = flow.server.ip().to_string();
                    let told = explain(policy, &question(host, client, &ip, flow.server.port()));
                    assert_eq!(told.code, decided, "{client} {server} {host}");
                }
            }
        }
    }
}
