//! The life of a flow, end to end in memory: observed, held, decided, released, blocked or taken over.

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_telemetry::{Application, Counter, DecisionCode, EndReason, OriginVerdict};
use world::{App, Issued, PROFILE, Pki, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const LONG: Duration = Duration::from_secs(200);

fn inspected(origin: &Issued, pki: &Arc<Pki>, settings: &Settings) -> World {
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(settings, pki, client, server);
    world.run(LONG);
    world
}

fn text(der: &[u8]) -> String {
    String::from_utf8_lossy(der).into_owned()
}

#[test]
fn f3_l43_an_inspected_flow_shows_a_leaf_of_the_trusted_ca_and_passes_both_ways() {
    let pki = Arc::new(Pki::new());
    let world = inspected(
        &pki.origin_root.leaf(&["good.test"]),
        &pki,
        &Settings::default(),
    );
    assert_eq!(world.client.error, None);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.origin.heard, REQUEST);
    let leaf = text(world.client.peer_certificate.as_deref().unwrap());
    assert!(
        leaf.contains("Sluice Trusted CA") && leaf.contains("Origin Ltd"),
        "{leaf}"
    );
    let event = world.event();
    assert_eq!(event.code, DecisionCode::InspectedClient);
    assert_eq!(event.ended, EndReason::Closed);
    assert_eq!(event.sni.as_deref(), Some("good.test"));
    assert_eq!(event.origin_verdict, Some(OriginVerdict::Trusted));
    assert_eq!(event.application, Application::Http1);
    assert_eq!(
        (event.bytes_to_origin, event.bytes_to_client),
        (REQUEST.len() as u64, REPLY.len() as u64)
    );
    assert!(event.client_leg.is_some() && event.origin_leg.is_some());
    assert!(event.forged_sha256.is_some() && event.origin_sha256.is_some());
    assert_ne!(event.forged_sha256, event.origin_sha256);
}

#[test]
fn an_inspected_flow_passes_where_the_ports_fill_in_checksums_and_cut() {
    let pki = Arc::new(Pki::new());
    let reply: Vec<u8> = (0..=250).cycle().take(300_000).collect();
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, reply.len());
    let server = App::server(
        &pki.origin_root.leaf(&["good.test"]),
        &[],
        REQUEST.len(),
        &reply,
    );
    let mut world = World::with(&Settings::default(), &pki, client, server);
    world.out.ports_finish = true;
    world.run(LONG);
    assert_eq!(world.client.heard, reply);
    assert_eq!(world.origin.heard, REQUEST);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    assert!(
        world.out.cut > 20,
        "{} of about 200 segments left whole",
        world.out.cut
    );
}

#[test]
fn t73_close_notify_passes_both_ways_and_everything_is_given_back() {
    let pki = Arc::new(Pki::new());
    let world = inspected(
        &pki.origin_root.leaf(&["good.test"]),
        &pki,
        &Settings::default(),
    );
    assert!(world.origin.saw_close_notify && world.client.saw_close_notify);
    assert_eq!(world.count(Counter::FlowsTaken), 0);
    assert_eq!(world.count(Counter::FlowsObserved), 0);
}

#[test]
fn c02_c03_an_origin_that_does_not_verify_is_blocked_or_shown_an_untrusted_leaf_as_the_profile_says()
 {
    let pki = Arc::new(Pki::new());
    let origin = pki.stranger.leaf(&["good.test"]);
    let world = inspected(&origin, &pki, &Settings::default());
    assert_eq!(world.event().code, DecisionCode::BlockOriginUnknownIssuer);
    assert!(world.client.heard.is_empty() && world.origin.heard.is_empty());
    assert_eq!(world.client.peer_certificate, None);

    let profile = PROFILE.replace(
        "reset_client_on_block = true",
        "block_invalid_certificates = false\nreset_client_on_block = true",
    );
    let settings = Settings {
        profile,
        ..Settings::default()
    };
    let client = App::client(&pki.untrusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(&settings, &pki, client, server);
    world.run(LONG);
    assert_eq!(world.client.heard, REPLY, "{:?}", world.client.error);
    assert!(
        text(world.client.peer_certificate.as_deref().unwrap()).contains("Sluice Untrusted CA")
    );
    assert_eq!(world.event().code, DecisionCode::InspectedClientUntrusted);

    // A client that trusts the trusted CA alone refuses that leaf.
    let world = inspected(&origin, &pki, &settings);
    assert!(
        world.client.error.is_some()
            && world.client.heard.is_empty()
            && world.origin.heard.is_empty()
    );
    assert_eq!(world.event().code, DecisionCode::BlockClientHandshakeFailed);
}

#[test]
fn c06_c07_c09_expired_early_and_misnamed_origins_have_their_own_codes() {
    let pki = Arc::new(Pki::new());
    for (names, years, code) in [
        ("good.test", (2020, 2025), DecisionCode::BlockOriginExpired),
        (
            "good.test",
            (2027, 2030),
            DecisionCode::BlockOriginNotYetValid,
        ),
        (
            "other.test",
            (2025, 2030),
            DecisionCode::BlockOriginNameMismatch,
        ),
    ] {
        let world = inspected(
            &pki.origin_root.leaf_between(&[names], years),
            &pki,
            &Settings::default(),
        );
        assert_eq!(world.event().code, code);
        assert_eq!(world.event().ended, EndReason::Blocked);
        assert_eq!(
            world.client.peer_certificate, None,
            "{code}: no leaf was shown"
        );
        assert!(world.origin.heard.is_empty());
    }
}

#[test]
fn t77_f113_a_bypassed_flow_passes_byte_for_byte() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["login.eu.bank.test"]);
    let client = App::client(
        &pki.origin_root,
        "login.eu.bank.test",
        &[],
        REQUEST,
        REPLY.len(),
    );
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    world.run(LONG);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(
        world.client.peer_certificate.as_deref(),
        Some(origin.chain[0].as_ref())
    );
    assert_eq!(world.event().code, DecisionCode::BypassDomainException);
    assert_eq!(world.count(Counter::SessionsInspected), 0);
}

#[test]
fn f2_f14_server_inspection_shows_the_certificate_that_the_sni_names() {
    let pki = Arc::new(Pki::new());
    for (name, expected) in [
        ("site-a.test", &pki.site_a),
        ("site-b.test", &pki.site_b),
        ("x.b.test", &pki.site_b),
    ] {
        let client = App::client(&pki.origin_root, name, &[], REQUEST, REPLY.len());
        let server = App::server(expected, &[], REQUEST.len(), REPLY);
        let mut world = World::with(&Settings::default(), &pki, client, server);
        world.client.aim("10.1.0.1:40000", "10.2.0.8:8443");
        world.run(LONG);
        assert_eq!(
            world.client.heard, REPLY,
            "{name}: {:?}",
            world.client.error
        );
        assert_eq!(
            world.client.peer_certificate.as_deref(),
            Some(expected.chain[0].as_ref())
        );
        assert_eq!(world.event().code, DecisionCode::InspectedServer);
        assert_eq!(world.event().policy, "inbound");
    }
}

#[test]
fn t72_the_origins_alpn_choice_is_the_clients() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    for (offered, spoken, chosen) in [
        (&["h2", "http/1.1"][..], &["h2", "http/1.1"][..], Some("h2")),
        (&["h2", "http/1.1"], &["http/1.1"], Some("http/1.1")),
        (&["h2"], &[], None),
    ] {
        let client = App::client(&pki.trusted, "good.test", offered, REQUEST, REPLY.len());
        let server = App::server(&origin, spoken, REQUEST.len(), REPLY);
        let mut world = World::with(&Settings::default(), &pki, client, server);
        world.run(LONG);
        assert_eq!(world.client.heard, REPLY, "{:?}", world.client.error);
        let event = world.event();
        assert_eq!(event.client_leg.as_ref().unwrap().alpn.as_deref(), chosen);
        assert_eq!(event.origin_leg.as_ref().unwrap().alpn.as_deref(), chosen);
    }
}

#[test]
fn t55_f18_the_legs_negotiate_independently() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    for client_versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        for origin_versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
            let client = App::client_versions(
                &pki.trusted,
                "good.test",
                &[],
                REQUEST,
                REPLY.len(),
                client_versions,
            );
            let config = world::end::server_config(&origin, &[], origin_versions);
            let server = App::server_config(config, REQUEST.len(), REPLY);
            let mut world = World::with(&Settings::default(), &pki, client, server);
            world.run(LONG);
            assert_eq!(
                world.client.heard, REPLY,
                "{:?} {:?}",
                world.client.error, world.origin.error
            );
            assert_eq!(world.origin.heard, REQUEST);
        }
    }
}

#[test]
fn bulk_passes_both_ways_unchanged() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let request: Vec<u8> = (0..3_000_000_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let reply: Vec<u8> = request.iter().map(|byte| byte ^ 0x5a).collect();
    let client = App::client(&pki.trusted, "good.test", &[], &request, reply.len());
    let server = App::server(&origin, &[], request.len(), &reply);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    world.run(LONG);
    assert!(
        world.origin.heard == request,
        "{} of {}",
        world.origin.heard.len(),
        request.len()
    );
    assert!(
        world.client.heard == reply,
        "{} of {}",
        world.client.heard.len(),
        reply.len()
    );
    assert_eq!(world.event().bytes_to_origin, request.len() as u64);
}

#[test]
fn a_lost_client_hello_is_sent_again_and_inspected() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    world.lose_from_client = vec![2, 3, 5];
    world.run(LONG);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
}

#[test]
fn d128_a_pool_that_runs_dry_delays_and_recovers() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    for _ in 0..4 {
        world.turn();
    }
    world.out.no_buffers = true;
    world.run(Duration::from_millis(400));
    world.out.no_buffers = false;
    world.run(LONG);
    assert_eq!(world.client.heard, REPLY, "{:?}", world.out.events);
}
