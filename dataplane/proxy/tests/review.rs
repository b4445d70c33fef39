//! What a hostile end, or an unlucky one, may try: nothing passes that was not decided upon, and nothing is lost.

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Frame, SeqNum, Side, TcpFlags, TcpSegment, parse};
use sluice_telemetry::{Counter, DecisionCode, EndReason};
use world::script::{CLIENT, ORIGIN, written};
use world::{APPLIANCE, App, Issued, PROFILE, Pki, SEGMENT, Settings, World, payload_len};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(200);
/// The sequence numbers of the first bytes of the world's ends.
const CLIENT_START: SeqNum = SeqNum(0xffff_ff01);
const ORIGIN_START: SeqNum = SeqNum(0x7fff_0001);

fn good(pki: &Pki) -> Issued {
    pki.origin_root.leaf(&["good.test"])
}

fn tls_client(pki: &Pki) -> App {
    App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len())
}

fn tls_server(pki: &Pki, request_bytes: usize) -> App {
    App::server(&good(pki), &[], request_bytes, REPLY)
}

fn silent(finish: bool) -> App {
    App::Raw {
        chunks: Vec::new(),
        finish,
    }
}

/// A world whose client has connected and says nothing.
fn connected(pki: &Arc<Pki>) -> World {
    let mut world = World::with(
        &Settings::default(),
        pki,
        silent(false),
        tls_server(pki, REQUEST.len()),
    );
    world.run(SHORT);
    world
}

/// A frame of the client, or of the origin.
fn frame(from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let segment = TcpSegment {
        seq,
        ack,
        flags,
        window: 1000,
        payload,
        ..TcpSegment::default()
    };
    written((CLIENT, ORIGIN), from, &segment)
}

/// TCP payload bytes among the frames that wait to leave toward the origin.
fn leaving_for_the_origin(world: &World) -> usize {
    world
        .out
        .frames
        .iter()
        .filter(|(side, _)| *side == Side::B)
        .map(|(_, frame)| payload_len(frame))
        .sum()
}

#[test]
fn e105_an_acknowledgement_ahead_of_the_held_bytes_does_not_open_a_way_past_inspection() {
    let pki = Arc::new(Pki::new());
    for flags in [TcpFlags::ACK, TcpFlags::ACK | TcpFlags::FIN] {
        let mut world = connected(&pki);
        let ahead = frame(Side::A, CLIENT_START + 100, ORIGIN_START, flags, b"");
        world.inject(Side::A, ahead);
        world.client.app = tls_client(&pki);
        world.run(LONG);
        let event = world.event();
        assert_eq!(event.code, DecisionCode::InspectedClient, "{flags:?}");
    }
}

#[test]
fn e113_a_four_tuple_used_again_after_a_silent_connection_is_inspected() {
    let pki = Arc::new(Pki::new());
    let mut world = World::with(&Settings::default(), &pki, silent(true), silent(true));
    world.run(SHORT);
    world.reconnect(
        CLIENT,
        ORIGIN,
        tls_client(&pki),
        tls_server(&pki, REQUEST.len()),
    );
    world.run(SHORT);
    assert_eq!(world.client.heard, REPLY, "{:?}", world.client.error);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
}

#[test]
fn d122_a_connection_that_opens_and_closes_silently_leaves_nothing_behind() {
    let pki = Arc::new(Pki::new());
    let mut world = World::with(&Settings::default(), &pki, silent(true), silent(true));
    world.run(Duration::from_secs(20));
    assert_eq!(world.count(Counter::FlowsObserved), 0);
    world.run(Duration::from_secs(600));
    assert_eq!(world.out.events.len(), 0, "{:?}", world.out.events);
}

#[test]
fn p86_data_behind_a_second_syn_does_not_pass_unseen() {
    let pki = Arc::new(Pki::new());
    let mut world = World::with(&Settings::default(), &pki, silent(false), silent(false));
    let (client, origin) = (SeqNum(1000), SeqNum(9000));
    let none = SeqNum(0);
    let steps = [
        (Side::A, client, none, TcpFlags::SYN),
        (Side::B, origin, client + 1, TcpFlags::SYN | TcpFlags::ACK),
        (Side::A, client + 5_000_000, none, TcpFlags::SYN),
        (Side::A, client + 1, origin + 1, TcpFlags::ACK),
    ];
    for (from, seq, ack, flags) in steps {
        world.inject(from, frame(from, seq, ack, flags, b""));
    }
    world.out.frames.clear();
    let data = frame(Side::A, client + 1, origin + 1, TcpFlags::ACK, b"secret");
    world.inject(Side::A, data);
    assert_eq!(leaving_for_the_origin(&world), 0);
}

#[test]
fn t78_a_flow_blocked_after_its_takeover_leaks_nothing_later() {
    let pki = Arc::new(Pki::new());
    let settings = Settings {
        profile: PROFILE.replace("reset_client_on_block = true", ""),
        ..Settings::default()
    };
    let server = App::server(&pki.stranger.leaf(&["good.test"]), &[], 1, REPLY);
    let mut world = World::with(&settings, &pki, tls_client(&pki), server);
    world.run(Duration::from_secs(30));
    assert_eq!(world.event().code, DecisionCode::BlockOriginUnknownIssuer);
    world.out.frames.clear();
    let data = frame(
        Side::A,
        CLIENT_START + 600,
        ORIGIN_START,
        TcpFlags::ACK,
        b"secret",
    );
    for _ in 0..4 {
        world.inject(Side::A, data.clone());
        assert_eq!(leaving_for_the_origin(&world), 0);
        world.run(Duration::from_secs(100));
    }
    assert_eq!(world.out.events.len(), 1, "no flow was picked up");
    world.run(LONG);
    assert_eq!(world.count(Counter::FlowsObserved), 0);
}

#[test]
fn p90_keep_alive_probes_with_a_byte_pass_and_decide_nothing() {
    let pki = Arc::new(Pki::new());
    let mut world = connected(&pki);
    for from in [Side::A, Side::B] {
        let (seq, ack) = match from {
            Side::A => (CLIENT_START, ORIGIN_START),
            Side::B => (ORIGIN_START, CLIENT_START),
        };
        world.out.frames.clear();
        world.inject(from, frame(from, seq - 1, ack, TcpFlags::ACK, b"\0"));
        assert_eq!(world.out.frames.len(), 1, "the probe reaches the other end");
    }
    world.run(Duration::from_secs(30));
    world.client.write_max = 100;
    world.client.app = tls_client(&pki);
    world.run(LONG);
    assert_eq!(world.client.heard, REPLY, "{:?}", world.client.error);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
}

#[test]
fn p101_what_came_before_a_reset_is_passed_on_before_it() {
    let pki = Arc::new(Pki::new());
    let mut world = World::with(
        &Settings::default(),
        &pki,
        tls_client(&pki),
        tls_server(&pki, 10_000),
    );
    world.run(SHORT);
    if let App::TlsServer { request_bytes, .. } = &mut world.origin.app {
        *request_bytes = 0;
    }
    let now = world.now().mono;
    let mut frames = world.origin.transmit(now);
    world.origin.abort();
    frames.extend(world.origin.transmit(now));
    let last = frames.last().unwrap();
    assert!(matches!(parse(SEGMENT, last), Frame::Tcp(tcp) if tcp.flags.rst()));
    for frame in frames {
        world.inject(Side::B, frame);
    }
    world.run(SHORT);
    assert_eq!(world.client.heard, REPLY);
    assert!(world.client.tcp().unwrap().is_closed());
    assert_eq!(world.event().ended, EndReason::OriginReset);
}

#[test]
fn t66_f124_a_bypassed_source_that_stops_inside_its_hello_is_not_cut_off() {
    const BEGINNING: &[u8] = &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    let pki = Arc::new(Pki::new());
    let mut world = World::with(
        &Settings::default(),
        &pki,
        App::raw(&[BEGINNING]),
        silent(false),
    );
    world.client.aim("10.1.9.5:40000", ORIGIN);
    world.run(Duration::from_secs(30));
    if let App::Raw { chunks, .. } = &mut world.client.app {
        chunks.push(b"more".to_vec());
    }
    world.run(SHORT);
    assert_eq!(world.origin.heard, [BEGINNING, b"more"].concat());
}

#[test]
fn d127_a_hello_collected_by_an_early_takeover_does_not_count_against_itself() {
    let pki = Arc::new(Pki::new());
    let settings = Settings {
        appliance: format!("{APPLIANCE}[limits]\ninspected_sessions_max = 1\n"),
        ..Settings::default()
    };
    let mut world = World::with(
        &settings,
        &pki,
        silent(false),
        tls_server(&pki, REQUEST.len()),
    );
    world.run(SHORT);
    world.client.write_max = 1;
    world.client.app = tls_client(&pki);
    world.run(LONG);
    assert_eq!(world.client.heard, REPLY, "{:?}", world.client.error);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
}

#[test]
fn t74_a_session_ended_by_a_broken_record_resets_both_ends_and_leaks_nothing_later() {
    let pki = Arc::new(Pki::new());
    let mut world = World::with(
        &Settings::default(),
        &pki,
        tls_client(&pki),
        tls_server(&pki, 10_000),
    );
    world.run(SHORT);
    world.client.tcp().unwrap().send(&[23, 3, 3, 0, 64]);
    world.client.tcp().unwrap().send(&[0; 64]);
    world.client.app = silent(false);
    world.origin.app = silent(false);
    world.run(Duration::from_secs(30));
    assert_eq!(world.count(Counter::FlowsTaken), 0);
    assert!(world.client.tcp().unwrap().is_closed());
    assert!(world.origin.tcp().unwrap().is_closed());
    world.out.frames.clear();
    let seq = CLIENT_START + 2000;
    let data = frame(Side::A, seq, ORIGIN_START, TcpFlags::ACK, b"secret");
    world.inject(Side::A, data);
    assert_eq!(leaving_for_the_origin(&world), 0);
    assert_eq!(world.out.events.len(), 1, "no flow was picked up");
}

#[test]
fn p92_d124_a_client_that_has_finished_and_reads_late_gets_everything() {
    let pki = Arc::new(Pki::new());
    // More than fits the window, with its records.
    let reply = vec![b'x'; 64 * 1024];
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, 0);
    let server = App::server(&good(&pki), &[], REQUEST.len(), &reply);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    while !matches!(world.client.app, App::TlsClient { closed: true, .. }) {
        world.turn();
    }
    world.client.asleep = true;
    world.run(Duration::from_secs(300));
    assert!(world.client.heard.is_empty());
    world.client.asleep = false;
    world.run(LONG);
    assert_eq!(world.client.heard.len(), reply.len());
    assert!(world.client.saw_close_notify);
    assert_eq!(world.event().ended, EndReason::Closed);
    assert_eq!(world.count(Counter::FlowsObserved), 0);
}

#[test]
fn d122_a_client_that_speaks_after_the_origin_has_finished_is_not_left_waiting() {
    let pki = Arc::new(Pki::new());
    let mut world = World::with(&Settings::default(), &pki, silent(false), silent(true));
    world.run(SHORT);
    world.client.app = tls_client(&pki);
    world.run(Duration::from_secs(40));
    assert_eq!(world.event().code, DecisionCode::BlockOriginHandshakeFailed);
    assert!(world.client.tcp().unwrap().is_closed());
}

/// A ClientHello that lists `count` application protocols of one byte, in as many records as it takes.
fn listing(count: usize) -> Vec<u8> {
    let number = |value: usize| u16::try_from(value).expect("16 bits").to_be_bytes();
    let mut body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    body.extend(number(2 * count + 6));
    body.extend([0, 16]);
    body.extend(number(2 * count + 2));
    body.extend(number(2 * count));
    body.extend(b"\x01x".repeat(count));
    let [_, length @ ..] = u32::try_from(body.len()).expect("32 bits").to_be_bytes();
    let message = [&[1][..], &length, &body].concat();
    let records = message.chunks(0x4000);
    let record = |part: &[u8]| [&[22, 3, 1][..], &number(part.len()), part].concat();
    records.flat_map(record).collect()
}

#[test]
fn t66_a_hello_with_more_application_protocols_than_anybody_speaks_is_blocked() {
    let pki = Arc::new(Pki::new());
    let most = sluice_tls::limits::ALPN_PROTOCOLS_MAX;
    for (count, blocked) in [(most, false), (most + 1, true), (30_000, true)] {
        let client = App::raw(&[&listing(count)]);
        let mut world = World::with(&Settings::default(), &pki, client, silent(false));
        world.run(LONG);
        let event = world.event();
        let malformed = event.code == DecisionCode::BlockClientHelloMalformed;
        assert_eq!(malformed, blocked, "{count}: {event:?}");
        if blocked {
            let detail = event.detail.as_deref().expect("it says why");
            assert!(detail.contains("application protocols"), "{detail}");
            assert_eq!(world.payload_to_origin(), 0);
        }
    }
}
