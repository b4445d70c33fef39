//! What is decided about a flow, and with which code.

use std::collections::BTreeSet;

use super::*;

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
                    exhausted: false,
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
                    exhausted: false,
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
    }
    assert_eq!(
        code(&client, NoHello::IrregularHandshake),
        DecisionCode::BypassIrregularHandshake
    );
    assert_eq!(
        code(&client, NoHello::TcpSignature),
        DecisionCode::BypassTcpSignature
    );
    for why in [NoHello::IrregularHandshake, NoHello::TcpSignature] {
        assert_eq!(code(&server, why), DecisionCode::BlockIrregularHandshake);
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

#[test]
fn e108_a_client_proxy_blocks_irregular_handshakes_where_its_settings_say_so() {
    let strict = LAB.replacen(
        "detection_ports = [9443]",
        "detection_ports = [9443]\nirregular_handshake = \"block\"",
        1,
    );
    let policy = Policy::compile(&configuration_of(APPLIANCE, &strict)).unwrap();
    let blocking = policy.candidate(&flow("10.0.0.1", LAX)).unwrap();
    let passing = policy.candidate(&flow("10.0.0.1", WEB)).unwrap();
    for (why, passes) in [
        (
            NoHello::IrregularHandshake,
            DecisionCode::BypassIrregularHandshake,
        ),
        (NoHello::TcpSignature, DecisionCode::BypassTcpSignature),
    ] {
        assert_eq!(
            policy.decide_without_hello(&blocking, why).code,
            DecisionCode::BlockIrregularHandshake
        );
        assert_eq!(policy.decide_without_hello(&passing, why).code, passes);
    }
    assert_eq!(
        policy.decide_without_hello(&blocking, NoHello::NotTls).code,
        DecisionCode::BypassNotTls,
        "only the handshake is meant"
    );
}

/// Every code is reached by a test. These are the ones that a policy gives; the others
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
            exhausted: false,
            learned: None,
        },
        LoadFacts {
            inspected_sessions: 0,
            exhausted: false,
            learned: Some(Learned::ClientCertificate),
        },
        LoadFacts {
            inspected_sessions: 0,
            exhausted: false,
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
        // And what concerns all flows at once.
        DecisionCode::BypassLayer2Fallback,
        DecisionCode::BypassExhausted,
        DecisionCode::BlockSessionCleared,
    ]
    .into();
    let all: BTreeSet<DecisionCode> = DecisionCode::ALL.iter().copied().collect();
    assert_eq!(reached, &all - &proxys);
}
