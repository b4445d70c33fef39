//! Which flows are watched, and by which policy.

use super::*;

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

#[test]
fn f8_no_flow_of_an_asymmetric_network_is_watched() {
    let asymmetric = policy_with(
        "[limits]",
        "[network]\nasymmetric = true\n[inspection]\nclient = false\nserver = false\n[limits]",
    );
    for server in [WEB, LAX, DMZ] {
        let flow = flow("10.0.0.1", server);
        assert!(policy().candidate(&flow).is_some(), "{server}");
        assert_eq!(asymmetric.candidate(&flow), None, "{server}");
    }
    assert!(policy().watches() && !asymmetric.watches());
}
