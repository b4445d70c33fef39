//! What an origin's certificate leads to.

use super::*;

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
