//! Every decision code that a flow can end with, reached by a flow.

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Side, TcpFlags};
use sluice_telemetry::{Counter, DecisionCode, DropReason, EndReason, FlowRecord, SystemEvent};
use world::end::server_config;
use world::{APPLIANCE, App, Issued, PROFILE, Pki, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const LONG: Duration = Duration::from_secs(200);
const INBOUND: &str = "10.2.0.8:8443";

struct Case {
    pki: Arc<Pki>,
    settings: Settings,
}

impl Case {
    fn new() -> Self {
        Self {
            pki: Arc::new(Pki::new()),
            settings: Settings::default(),
        }
    }

    fn profile(mut self, from: &str, to: &str) -> Self {
        assert!(PROFILE.contains(from), "{from}");
        self.settings.profile = self.settings.profile.replace(from, to);
        self
    }

    fn appliance(mut self, more: &str) -> Self {
        self.settings.appliance = format!("{APPLIANCE}{more}");
        self
    }

    fn good(&self) -> Issued {
        self.pki.origin_root.leaf(&["good.test"])
    }

    fn client(&self) -> App {
        App::client(&self.pki.trusted, "good.test", &[], REQUEST, REPLY.len())
    }

    fn server(&self) -> App {
        App::server(&self.good(), &[], REQUEST.len(), REPLY)
    }

    fn world(&self, client: App, origin: App) -> World {
        World::with(&self.settings, &self.pki, client, origin)
    }
}

/// Runs and returns the one event.
fn outcome(mut world: World) -> (FlowRecord, World) {
    world.run(LONG);
    (world.event().clone(), world)
}

fn raw(case: &Case, chunks: &[&[u8]], to: &str) -> (FlowRecord, World) {
    let mut world = case.world(App::raw(chunks), App::raw(&[]));
    world.client.aim("10.1.0.1:40000", to);
    outcome(world)
}

const HTTP: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const OUTBOUND: &str = "10.2.0.1:443";

#[test]
fn t76_what_is_not_tls_passes_a_client_proxy_and_not_a_server_proxy() {
    let case = Case::new();
    let (event, world) = raw(&case, &[HTTP], OUTBOUND);
    assert_eq!(event.code, DecisionCode::BypassNotTls);
    assert_eq!(
        world.origin.heard, HTTP,
        "what was held is released as it came"
    );

    let (event, world) = raw(&case, &[HTTP], INBOUND);
    assert_eq!(event.code, DecisionCode::BlockServerNotTls);
    assert_eq!(
        world.payload_to_origin(),
        0,
        "t78: nothing of the client's reaches the origin"
    );
}

#[test]
fn f16_f17_a_server_that_speaks_first_is_dropped_behind_a_server_proxy() {
    let case = Case::new();
    for (to, code, passes) in [
        (INBOUND, DecisionCode::BlockServerCleartext, false),
        (OUTBOUND, DecisionCode::BypassNotTls, true),
    ] {
        let mut world = case.world(App::raw(&[]), App::raw(&[b"220 ready STARTTLS\r\n"]));
        world.client.aim("10.1.0.1:40000", to);
        let (event, world) = outcome(world);
        assert_eq!(event.code, code);
        assert_eq!(!world.client.heard.is_empty(), passes, "{to}");
    }
}

#[test]
fn t66_truncated_and_malformed_hellos_are_blocked() {
    let case = Case::new();
    let malformed: &[u8] = &[22, 3, 1, 0, 4, 2, 0, 0, 0];
    let (event, world) = raw(&case, &[malformed], OUTBOUND);
    assert_eq!(event.code, DecisionCode::BlockClientHelloMalformed);
    assert_eq!(event.ended, EndReason::Blocked);
    assert!(event.detail.is_some());
    assert_eq!(world.payload_to_origin(), 0);

    let mut app = App::raw(&[&[22, 3, 1, 0, 200, 1, 0]]);
    if let App::Raw { finish, .. } = &mut app {
        *finish = true;
    }
    let (event, world) = outcome(case.world(app, App::raw(&[])));
    assert_eq!(event.code, DecisionCode::BlockClientHelloMalformed);
    assert_eq!(world.payload_to_origin(), 0);
}

#[test]
fn t65_a_hello_over_64_kib_is_blocked_and_one_that_stalls_times_out() {
    let case = Case::new();
    let record = {
        let mut record = vec![22, 3, 1, 0x40, 0];
        record.extend_from_slice(&[1, 0xff, 0xff, 0xff]);
        record.resize(5 + 0x4000, 0);
        record
    };
    let follow = {
        let mut record = vec![22, 3, 1, 0x40, 0];
        record.resize(5 + 0x4000, 0);
        record
    };
    let chunks: Vec<&[u8]> = vec![&record, &follow, &follow, &follow, &follow];
    let (event, world) = raw(&case, &chunks, OUTBOUND);
    assert_eq!(event.code, DecisionCode::BlockClientHelloTooLarge);
    assert_eq!(world.payload_to_origin(), 0);

    let (event, world) = raw(&case, &[&[22, 3, 1, 0, 200, 1, 0]], OUTBOUND);
    assert_eq!(event.code, DecisionCode::BlockHelloTimeout);
    assert_eq!(world.payload_to_origin(), 0);
}

#[test]
fn t65_a_hello_in_one_byte_segments_is_read_and_the_flow_inspected_or_spliced() {
    for (name, code) in [
        ("good.test", DecisionCode::InspectedClient),
        ("www.bank.test", DecisionCode::BypassDomainException),
    ] {
        let case = Case::new();
        let origin = case.pki.origin_root.leaf(&[name]);
        let root = if code == DecisionCode::InspectedClient {
            &case.pki.trusted
        } else {
            &case.pki.origin_root
        };
        let client = App::client(root, name, &[], REQUEST, REPLY.len());
        let mut world = case.world(client, App::server(&origin, &[], REQUEST.len(), REPLY));
        world.client.write_max = 1;
        world.run(LONG);
        assert_eq!(
            world.client.heard, REPLY,
            "{:?} {:#?}",
            world.client.error, world.out.events
        );
        assert_eq!(world.event().code, code);
    }
}

#[test]
fn f124_sources_that_are_never_decrypted_pass() {
    let case = Case::new();
    let client = App::client(
        &case.pki.origin_root,
        "good.test",
        &[],
        REQUEST,
        REPLY.len(),
    );
    let mut world = case.world(client, case.server());
    world.client.aim("10.1.9.7:40000", OUTBOUND);
    let (event, world) = outcome(world);
    assert_eq!(event.code, DecisionCode::BypassNeverDecryptSource);
    assert_eq!(world.client.heard, REPLY);

    let client = App::client(
        &case.pki.origin_root,
        "site-a.test",
        &[],
        REQUEST,
        REPLY.len(),
    );
    let mut world = case.world(
        client,
        App::server(&case.pki.site_a, &[], REQUEST.len(), REPLY),
    );
    world.client.aim("10.1.8.7:40000", INBOUND);
    let (event, world) = outcome(world);
    assert_eq!(event.code, DecisionCode::BypassServerException);
    assert_eq!(world.client.heard, REPLY);
}

#[test]
fn f37_inspection_can_be_switched_off() {
    let case = Case::new().appliance("[inspection]\nclient = false\n");
    let client = App::client(
        &case.pki.origin_root,
        "good.test",
        &[],
        REQUEST,
        REPLY.len(),
    );
    let (event, world) = outcome(case.world(client, case.server()));
    assert_eq!(event.code, DecisionCode::BypassInspectionOff);
    assert_eq!(world.client.heard, REPLY);
}

#[test]
fn t71_f27_an_origin_that_asks_for_a_client_certificate_is_learned_and_bypassed() {
    let case = Case::new();
    let origin = case.good();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(case.pki.origin_root.issued.chain[0].clone())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    )
    .allow_unauthenticated()
    .build()
    .unwrap();
    let config = || {
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.clone())
            .with_single_cert(origin.chain.clone(), origin.key())
            .unwrap()
    };
    let mut world = case.world(
        case.client(),
        App::server_config(config(), REQUEST.len(), REPLY),
    );
    world.run(LONG);
    assert_eq!(
        world.event().code,
        DecisionCode::BlockClientCertificateRequested
    );
    assert!(world.client.heard.is_empty() && world.origin.heard.is_empty());

    let again = App::client(
        &case.pki.origin_root,
        "good.test",
        &[],
        REQUEST,
        REPLY.len(),
    );
    world.reconnect(
        "10.1.0.2:40001",
        OUTBOUND,
        again,
        App::server_config(config(), REQUEST.len(), REPLY),
    );
    world.run(LONG);
    assert_eq!(
        world.out.events[1].code,
        DecisionCode::BypassLearnedClientCertificate
    );
    assert_eq!(world.client.heard, REPLY);
    assert_learned(&world, DecisionCode::BypassLearnedClientCertificate);
}

/// The log has told once that this was learned.
fn assert_learned(world: &World, expected: DecisionCode) {
    let told: Vec<(&str, DecisionCode)> = world
        .out
        .system
        .iter()
        .filter_map(|event| match event {
            SystemEvent::Learned { origin, code, .. } => Some((origin.as_str(), *code)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [("good.test (10.2.0.1:443)", expected)]);
}

#[test]
fn z151_a_client_that_pins_is_bypassed_after_repeated_refusals() {
    let case = Case::new();
    let pinning = || {
        App::client(
            &case.pki.origin_root,
            "good.test",
            &[],
            REQUEST,
            REPLY.len(),
        )
    };
    let mut world = case.world(pinning(), case.server());
    world.run(LONG);
    for port in 1..=3 {
        assert_eq!(
            world.out.events.last().unwrap().code,
            DecisionCode::BlockClientHandshakeFailed
        );
        world.reconnect(
            &format!("10.1.0.1:{}", 40000 + port),
            OUTBOUND,
            pinning(),
            case.server(),
        );
        world.run(LONG);
    }
    assert_eq!(
        world.out.events.last().unwrap().code,
        DecisionCode::BypassLearnedPinning
    );
    assert_eq!(world.client.heard, REPLY);

    assert_learned(&world, DecisionCode::BypassLearnedPinning);

    // Another client is inspected as before.
    world.reconnect("10.1.0.2:40000", OUTBOUND, case.client(), case.server());
    world.run(LONG);
    assert_eq!(
        world.out.events.last().unwrap().code,
        DecisionCode::InspectedClient
    );
}

#[test]
fn d127_f28_over_the_limit_sessions_pass_or_are_blocked_as_the_setting_says() {
    for (setting, code, heard) in [
        ("bypass", DecisionCode::BypassOverLimit, REPLY),
        ("block", DecisionCode::BlockOverLimit, &b""[..]),
    ] {
        let limits = format!("[limits]\ninspected_sessions_max = 1\nover_limit = \"{setting}\"\n");
        let case = Case::new().appliance(&limits);
        let mut world = case.world(case.client(), App::server(&case.good(), &[], 10_000, REPLY));
        world.run(Duration::from_secs(1));
        assert_eq!(
            world.count(Counter::FlowsTaken),
            1,
            "the first one is inspected, and waits"
        );
        let second = App::client(
            &case.pki.origin_root,
            "good.test",
            &[],
            REQUEST,
            REPLY.len(),
        );
        world.reconnect("10.1.0.2:40000", OUTBOUND, second, case.server());
        world.run(Duration::from_secs(5));
        assert_eq!(world.event().code, code);
        assert_eq!(world.client.heard, heard);
    }
}

#[test]
fn t55_a_client_without_a_version_we_may_speak_passes() {
    let case = Case::new().profile(
        "detection_ports = [443]",
        "detection_ports = [443]\ntls_versions = [\"1.3\"]",
    );
    let client = App::client_versions(
        &case.pki.origin_root,
        "good.test",
        &[],
        REQUEST,
        REPLY.len(),
        &[&rustls::version::TLS12],
    );
    let (event, world) = outcome(case.world(client, case.server()));
    assert_eq!(event.code, DecisionCode::BypassUnsupportedVersion);
    assert_eq!(world.client.heard, REPLY);
}

#[test]
fn c05_t58_an_origin_whose_handshake_fails_is_blocked() {
    let case = Case::new();
    let not_tls = App::raw(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"]);
    let (event, world) = outcome(case.world(case.client(), not_tls));
    assert_eq!(event.code, DecisionCode::BlockOriginHandshakeFailed);
    assert_eq!(world.client.peer_certificate, None);

    let config = server_config(&case.good(), &["spdy"], rustls::ALL_VERSIONS);
    let client = App::client(
        &case.pki.trusted,
        "good.test",
        &["h2"],
        REQUEST,
        REPLY.len(),
    );
    let (event, world) =
        outcome(case.world(client, App::server_config(config, REQUEST.len(), REPLY)));
    assert_eq!(event.code, DecisionCode::BlockOriginHandshakeFailed);
    assert_eq!(world.client.peer_certificate, None);
}

#[test]
fn p103_a_flow_picked_up_in_the_middle_passes_and_is_logged_once() {
    let case = Case::new();
    let mut world = case.world(App::raw(&[]), App::raw(&[]));
    for number in 0..3_u32 {
        let frame = world
            .client
            .stray(1000 + number, TcpFlags::ACK, b"middle of something");
        world.inject(Side::A, frame);
    }
    assert_eq!(world.out.frames.len(), 3);
    assert_eq!(world.event().code, DecisionCode::BypassIrregularHandshake);
}

#[test]
fn e105_a_bad_checksum_never_enters_an_inspected_stream() {
    let case = Case::new();
    let mut world = case.world(case.client(), App::server(&case.good(), &[], 10_000, REPLY));
    world.run(Duration::from_secs(1));
    let mut frame = world.client.stray(7, TcpFlags::ACK, b"x");
    let last = frame.len() - 1;
    frame[last] ^= 0xff;
    world.inject(Side::A, frame);
    assert_eq!(world.count(Counter::ChecksumErrors), 1);
    assert_eq!(world.out.frames.len(), 0);
}

#[test]
fn f138_a_session_keeps_the_generation_it_began_under() {
    // Another profile's name; and a profile that does not look at the session's port any more.
    for (before, after) in [
        ("name = \"outbound\"", "name = \"renamed\""),
        ("detection_ports = [443]", "detection_ports = [8443]"),
    ] {
        let case = Case::new();
        let server = App::server(&case.good(), &[], 10_000, REPLY);
        let mut world = case.world(case.client(), server);
        world.bursts = true;
        world.run(Duration::from_secs(1));
        world.adopt(&Settings {
            profile: case.settings.profile.replace(before, after),
            ..Settings::default()
        });
        world.client.abort();
        world.run(LONG);
        let event = world.event();
        assert_eq!((event.policy.as_str(), event.generation), ("outbound", 1));
        assert_eq!(event.ended, EndReason::ClientReset);
    }
}

#[test]
fn an_aborted_client_resets_the_origin() {
    let case = Case::new();
    let mut world = case.world(case.client(), App::server(&case.good(), &[], 10_000, REPLY));
    world.run(Duration::from_secs(1));
    world.client.abort();
    world.run(LONG);
    assert!(world.origin.tcp().unwrap().is_closed());
    assert_eq!(world.count(Counter::FlowsTaken), 0);
}

#[test]
fn d121_a_full_table_forgets_what_is_only_observed() {
    let mut case = Case::new();
    case.settings.flows_max = 8;
    let mut world = case.world(case.client(), App::server(&case.good(), &[], 10_000, REPLY));
    world.run(Duration::from_secs(1));
    for port in 0..100_u16 {
        let frame =
            world
                .client
                .stray_from(&format!("10.1.3.1:{}", 1000 + port), 5, TcpFlags::SYN, b"");
        world.inject(Side::A, frame);
    }
    assert_eq!(world.out.frames.len(), 100, "every SYN is forwarded");
    world.out.frames.clear();
    assert_eq!(
        world.count(Counter::FlowsTaken),
        1,
        "the inspected flow is still there"
    );
}

#[test]
fn t78_a_blocked_flow_sends_the_origin_nothing_and_resets_both_ends() {
    let case = Case::new();
    let origin = case.pki.stranger.leaf(&["good.test"]);
    let world = case.world(
        case.client(),
        App::server(&origin, &[], REQUEST.len(), REPLY),
    );
    let (event, mut world) = outcome(world);
    assert_eq!(event.code, DecisionCode::BlockOriginUnknownIssuer);
    assert!(world.origin.heard.is_empty());
    assert!(world.client.tcp().unwrap().is_closed() && world.origin.tcp().unwrap().is_closed());
}

#[test]
fn c02_c24_self_signed_and_misused_certificates_have_their_own_codes() {
    let case = Case::new();
    for (origin, code) in [
        (
            Issued::by_itself("good.test").unwrap(),
            DecisionCode::BlockOriginSelfSigned,
        ),
        (
            case.pki.origin_root.client_leaf("good.test"),
            DecisionCode::BlockOriginInvalidCertificate,
        ),
    ] {
        let (event, world) = outcome(case.world(
            case.client(),
            App::server(&origin, &[], REQUEST.len(), REPLY),
        ));
        assert_eq!(event.code, code);
        assert_eq!(world.client.peer_certificate, None);
    }
}

#[test]
fn l48_a_leaf_that_the_ca_may_not_sign_is_not_forged() {
    let mut pki = Pki::new();
    pki.trusted = world::certificates::Ca::constrained("Narrow CA", "elsewhere.test");
    let case = Case {
        pki: Arc::new(pki),
        settings: Settings::default(),
    };
    let (event, world) = outcome(case.world(case.client(), case.server()));
    assert_eq!(event.code, DecisionCode::BlockForgingFailed);
    assert!(event.detail.is_some());
    assert_eq!(world.client.peer_certificate, None);
}

#[test]
fn e105_a_flow_signed_by_tcp_md5_passes() {
    let case = Case::new();
    let mut world = case.world(App::raw(&[]), App::raw(&[]));
    let syn = world.client.stray(5, TcpFlags::SYN, b"");
    world.inject(Side::A, world::end::with_md5_option(&syn));
    assert_eq!(world.event().code, DecisionCode::BypassTcpSignature);
    assert_eq!(world.out.frames.len(), 1);
}

#[test]
fn p103_what_was_not_seen_from_its_beginning_is_no_way_past_server_inspection() {
    let case = Case::new();
    let mut world = case.world(App::raw(&[]), App::raw(&[]));
    world.client.aim("10.1.0.1:40000", INBOUND);
    for number in 0..3_u32 {
        let frame = world
            .client
            .stray(1000 + number, TcpFlags::ACK, b"middle of something");
        world.inject(Side::A, frame);
    }
    assert_eq!(world.event().code, DecisionCode::BlockIrregularHandshake);
    assert_eq!(world.count(Counter::Drop(DropReason::BlockedFlow)), 3);
    let answered: Vec<Side> = world.out.frames.iter().map(|(side, _)| *side).collect();
    assert_eq!(
        answered,
        [Side::A; 3],
        "each is answered with a reset, and nothing is passed on"
    );
}

#[test]
fn p103_a_lost_reset_of_a_blocked_flow_is_sent_again() {
    let case = Case::new();
    let origin = case.pki.stranger.leaf(&["good.test"]);
    let mut world = case.world(
        case.client(),
        App::server(&origin, &[], REQUEST.len(), REPLY),
    );
    world.run(Duration::from_secs(5));
    assert_eq!(world.event().code, DecisionCode::BlockOriginUnknownIssuer);
    world.out.frames.clear();
    let before = world.count(Counter::TcpResetsSent);
    let frame = world.client.stray(77, TcpFlags::ACK, b"again");
    world.inject(Side::A, frame);
    assert_eq!(world.count(Counter::TcpResetsSent), before + 1);
    assert_eq!(world.out.frames.len(), 1);
    assert_eq!(world.out.frames[0].0, Side::A);
}
