//! Back-pressure and memory: who does not read stops who sends, and what a core may hold is bounded.

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Frame, Side, TcpFlags, parse};
use sluice_proxy::limits::SESSION_BYTES_MAX;
use sluice_proxy::{MemoryBudget, PortMtus};
use sluice_telemetry::{Counter, DecisionCode, DropReason};
use world::script::{ACK, BEGINNING, C, O, RST, Script, pki};
use world::{APPLIANCE, App, Pki, SEGMENT, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(200);

fn body(len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

fn client(pki: &Pki, request: &[u8], reply_bytes: usize) -> App {
    App::client(&pki.trusted, "good.test", &[], request, reply_bytes)
}

fn server(pki: &Pki, request_bytes: usize, reply: &[u8]) -> App {
    App::server(
        &pki.origin_root.leaf(&["good.test"]),
        &[],
        request_bytes,
        reply,
    )
}

/// A core that may hold so many bytes.
fn holding(held_bytes_max: usize) -> Settings {
    Settings {
        memory: MemoryBudget {
            held_bytes_max,
            ..MemoryBudget::default()
        },
        ..Settings::default()
    }
}

/// A core whose sessions may take so many bytes.
fn buffering(buffer_bytes_max: usize) -> Settings {
    Settings {
        memory: MemoryBudget {
            buffer_bytes_max,
            ..MemoryBudget::default()
        },
        ..Settings::default()
    }
}

/// Until data has begun to flow.
fn begin(world: &mut World, flows: impl Fn(&World) -> bool) {
    for _ in 0..1000 {
        if flows(world) {
            return;
        }
        world.run(Duration::from_millis(1));
    }
    assert!(flows(world), "nothing flows");
}

/// What the appliance holds for its flows taken over.
fn held_by_sessions(world: &World) -> u64 {
    world.count(Counter::SessionBytes)
}

/// Whoever sends to an end that does not read is stopped, and memory stays bounded, however long that lasts; what it has
/// sent until then is less than `all`.
fn assert_stopped(world: &mut World, sent: impl Fn(&mut World) -> usize, all: usize) {
    world.run(Duration::from_secs(60));
    let before = sent(world);
    let held = held_by_sessions(world);
    assert!(held <= SESSION_BYTES_MAX as u64, "{held} bytes");
    world.run(Duration::from_secs(600));
    assert_eq!(sent(world), before, "the sender is stopped");
    assert!(before < all, "{before}");
}

#[test]
fn d125_a_client_that_never_reads_stops_the_origin_and_loses_nothing() {
    let pki: Arc<Pki> = pki();
    let reply = body(8_000_000);
    let mut world = World::with(
        &Settings::default(),
        &pki,
        client(&pki, REQUEST, reply.len()),
        server(&pki, REQUEST.len(), &reply),
    );
    begin(&mut world, |world| !world.client.heard.is_empty());
    world.client.asleep = true;
    assert_stopped(
        &mut world,
        |world| world.sent_by_client_and_origin().1,
        reply.len(),
    );
    world.client.asleep = false;
    world.run(LONG);
    assert!(world.client.heard == reply, "{}", world.client.heard.len());
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    assert_eq!(held_by_sessions(&world), 0);
}

#[test]
fn d125_an_origin_that_never_reads_stops_the_client_and_loses_nothing() {
    let pki = pki();
    let request = body(8_000_000);
    let mut world = World::with(
        &Settings::default(),
        &pki,
        client(&pki, &request, 5),
        server(&pki, request.len(), b"hello"),
    );
    begin(&mut world, |world| !world.origin.heard.is_empty());
    world.origin.asleep = true;
    assert_stopped(
        &mut world,
        |world| world.sent_by_client_and_origin().0,
        request.len(),
    );
    world.origin.asleep = false;
    world.run(LONG);
    let heard = &world.origin.heard;
    assert!(*heard == request, "{}", heard.len());
    assert_eq!(world.client.heard, b"hello");
    assert_eq!(held_by_sessions(&world), 0);
}

#[test]
fn d126_a_core_whose_memory_for_sessions_is_used_up_passes_or_blocks_and_recovers() {
    for (setting, code) in [
        ("bypass", DecisionCode::BypassOverLimit),
        ("block", DecisionCode::BlockOverLimit),
    ] {
        let pki = pki();
        let settings = Settings {
            appliance: format!("{APPLIANCE}[limits]\nover_limit = \"{setting}\"\n"),
            ..buffering(1)
        };
        let first = client(&pki, REQUEST, 10);
        let mut world = World::with(&settings, &pki, first, server(&pki, 10_000, b""));
        world.run(SHORT);
        assert_eq!(world.count(Counter::FlowsTaken), 1);
        let mut idle = (
            core::mem::replace(&mut world.client, world::End::server(App::raw(&[]))),
            core::mem::replace(&mut world.origin, world::End::server(App::raw(&[]))),
        );
        world.reconnect(
            "10.1.0.2:40000",
            "10.2.0.1:443",
            client(&pki, REQUEST, 5),
            server(&pki, REQUEST.len(), b"hello"),
        );
        world.run(SHORT);
        assert_eq!(world.event().code, code);
        assert_eq!(
            world.event().detail.as_deref(),
            Some("the memory for flows like this is used up")
        );
        assert_eq!(world.count(Counter::MemoryRefusals), 1);
        // The first one ends, and there is room again.
        core::mem::swap(&mut world.client, &mut idle.0);
        core::mem::swap(&mut world.origin, &mut idle.1);
        world.client.abort();
        world.run(SHORT);
        assert_eq!(world.count(Counter::SessionBytes), 0);
        world.reconnect(
            "10.1.0.3:40000",
            "10.2.0.1:443",
            client(&pki, REQUEST, 5),
            server(&pki, REQUEST.len(), b"hello"),
        );
        world.run(SHORT);
        assert_eq!(world.client.heard, b"hello", "{:?}", world.client.error);
        let last = world.out.events.last().map(|event| event.code);
        assert_eq!(last, Some(DecisionCode::InspectedClient));
    }
}

#[test]
fn d126_windows_do_not_grow_while_memory_is_short() {
    let pki = pki();
    let reply = body(2_000_000);
    let mut widest = Vec::new();
    for buffer_bytes_max in [1, usize::MAX] {
        let settings = buffering(buffer_bytes_max);
        let mut world = World::with(
            &settings,
            &pki,
            client(&pki, REQUEST, reply.len()),
            server(&pki, REQUEST.len(), &reply),
        );
        world.run(LONG);
        assert!(world.client.heard == reply, "{}", world.client.heard.len());
        let windows = world.wire_to_origin.iter().rev().take(200);
        let offered = windows.filter_map(|frame| match parse(SEGMENT, frame) {
            Frame::Tcp(tcp) if !tcp.flags.syn() => Some(u32::from(tcp.window) << 7),
            _ => None,
        });
        widest.push(offered.max().unwrap_or(0));
    }
    assert!(widest[0] <= 64 * 1024, "{widest:?}");
    assert!(widest[1] > 64 * 1024, "{widest:?}");
}

#[test]
fn d122_a_core_that_holds_too_much_decides_without_holding_more_and_recovers() {
    let settings = holding(50);
    let mut script = Script::under(&settings, world::script::ORIGIN);
    script.handshake(C, O);
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    let first = script.server;
    script.server = "10.2.0.2:443";
    script.handshake(C, O);
    script.pass(Side::A, C + 1, O + 1, ACK, BEGINNING);
    script.logged(
        DecisionCode::BypassOverLimit,
        "the memory for flows like this is used up",
    );
    assert_eq!(script.count(Counter::MemoryRefusals), 1);
    // The first one ends, and another may be held.
    script.server = first;
    script.pass(Side::A, C + 17, O + 1, RST | ACK, b"");
    assert_eq!(script.world.out.discarded, [DropReason::ClosedFlow]);
    script.server = "10.2.0.3:443";
    script.handshake(C, O);
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    assert_eq!(script.count(Counter::MemoryRefusals), 1);
}

/// Whole hellos of two flows come before either flow has its turn.
#[test]
fn d126_sessions_that_begin_in_one_batch_share_the_memory_there_is() {
    let settings = buffering(1);
    let hello = client(&pki(), REQUEST, 10).first_flight();
    let servers = ["10.2.0.1:443", "10.2.0.2:443"];
    let mut script = Script::under(&settings, world::script::ORIGIN);
    for server in servers {
        script.server = server;
        script.handshake(C, O);
    }
    for server in servers {
        script.server = server;
        let frame = script.frame(Side::A, C + 1, O + 1, ACK, &hello);
        script.world.inject(Side::A, frame);
    }
    script.logged(
        DecisionCode::BypassOverLimit,
        "the memory for flows like this is used up",
    );
    assert_eq!(script.count(Counter::MemoryRefusals), 1);
}

/// What a flow held is no more held when it is taken over, in the same batch.
#[test]
fn d122_what_a_takeover_gives_back_may_be_held_for_other_flows_at_once() {
    let hello = client(&pki(), REQUEST, 10).first_flight();
    let (first, rest) = hello.split_at(16);
    let servers = ["10.2.0.1:443", "10.2.0.2:443", "10.2.0.3:443"];
    // Room for what one flow holds, and a byte more.
    let held = |held_bytes_max: usize| {
        let settings = holding(held_bytes_max);
        let mut script = Script::under(&settings, servers[0]);
        for server in servers {
            script.server = server;
            script.handshake(C, O);
        }
        script.server = servers[0];
        script.stop(Side::A, C + 1, O + 1, ACK, first);
        script.world.worker.gauges(&mut script.world.out);
        let bytes = usize::try_from(script.count(Counter::HeldBytes)).unwrap();
        (script, bytes)
    };
    let (_, one) = held(MemoryBudget::default().held_bytes_max);
    let (mut script, _) = held(one + 1);
    let rest = script.frame(Side::A, C + 17, O + 1, ACK, rest);
    script.world.inject(Side::A, rest);
    for server in &servers[1..] {
        script.server = server;
        let other = script.frame(Side::A, C + 1, O + 1, ACK, BEGINNING);
        script.world.inject(Side::A, other);
    }
    assert_eq!(script.count(Counter::MemoryRefusals), 0);
    assert!(script.world.out.events.is_empty());
}

#[test]
fn p97_t65_a_hello_of_sixty_kilobytes_is_collected_whatever_the_window_scale() {
    let pki = pki();
    let names: Vec<String> = (0..240).map(|n| format!("{n:0>250}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for scale in [0, 7, 14] {
        let client = App::client(&pki.trusted, "good.test", &names, REQUEST, 5);
        let mut world = World::with(
            &Settings::default(),
            &pki,
            client,
            server(&pki, REQUEST.len(), b"hello"),
        );
        world.client.write_max = 1000;
        world.client.window_scale = scale;
        world.client.open(world.now().mono);
        world.origin.window_scale = scale;
        world.run(Duration::from_secs(9));
        assert_eq!(
            world.client.heard, b"hello",
            "{scale}: {:?} {:?}",
            world.client.error, world.out.events
        );
        assert_eq!(world.event().code, DecisionCode::InspectedClient);
    }
}

#[test]
fn p102_p84_segments_fit_the_port_that_they_leave_by_up_to_jumbo_frames() {
    let pki = pki();
    let bulk = body(600_000);
    for (a, b) in [(9000, 1500), (1500, 9000), (1400, 9000), (9000, 9000)] {
        let mut mtus = PortMtus::default();
        mtus.set(SEGMENT, Side::A, a);
        mtus.set(SEGMENT, Side::B, b);
        let settings = Settings {
            mtus,
            ..Settings::default()
        };
        let client = client(&pki, &bulk, bulk.len());
        let mut world = World::with(&settings, &pki, client, server(&pki, bulk.len(), &bulk));
        world.client.path_mss = 8960;
        world.client.open(world.now().mono);
        world.origin.path_mss = 8960;
        world.run(LONG);
        assert!(world.client.heard == bulk && world.origin.heard == bulk);
        let longest = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).max().unwrap_or(0);
        let ethernet = 14;
        assert_eq!(longest(&world.wire_to_client), usize::from(a) + ethernet);
        assert_eq!(longest(&world.wire_to_origin), usize::from(b) + ethernet);
    }
}

#[test]
fn d121_forged_segments_that_begin_nothing_do_not_fill_the_table() {
    let pki = Pki::new();
    let settings = Settings {
        flows_max: 8,
        ..Settings::default()
    };
    let reply = body(100);
    let (from, to) = (
        client(&pki, REQUEST, reply.len()),
        server(&pki, REQUEST.len(), &reply),
    );
    let mut world = World::with(&settings, &Arc::new(pki), from, to);
    for port in 50_000..50_064_u32 {
        world
            .client
            .aim(&format!("10.1.0.1:{port}"), "10.2.0.8:8443");
        let frame = world.client.stray(1000, TcpFlags::ACK, b"middle");
        world.inject(Side::A, frame);
    }
    assert_eq!(world.count(Counter::Drop(DropReason::FlowTableFull)), 0);
    assert_eq!(world.count(Counter::IrregularMidStream), 64);
    world.out.events.clear();
    world.out.frames.clear();
    world.client.aim("10.1.0.1:40000", "10.2.0.1:443");
    world.run(LONG);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
}

#[test]
fn d128_a_port_that_takes_nothing_is_asked_rarely_and_nothing_is_lost() {
    let pki = pki();
    let reply = body(2_000_000);
    let mut world = World::with(
        &Settings::default(),
        &pki,
        client(&pki, REQUEST, reply.len()),
        server(&pki, REQUEST.len(), &reply),
    );
    begin(&mut world, |world| world.client.heard.len() > 100_000);
    world.out.ports_full = true;
    // What was on its way arrives, and is acknowledged.
    world.run(Duration::from_millis(10));
    let (asked, heard) = (world.out.asked, world.client.heard.len());
    assert!(heard < reply.len());
    for _ in 0..10_000 {
        world.pass(Duration::from_micros(100));
        world.step();
    }
    let asked = world.out.asked - asked;
    assert!(asked > 0, "it is tried again");
    // A second in turns of 64 ms, each for both halves before and after the relay.
    assert!(asked < 100, "{asked} times in ten thousand turns");
    world.out.ports_full = false;
    world.run(LONG);
    assert!(world.client.heard == reply, "{}", world.client.heard.len());
    assert_eq!(world.count(Counter::TcpRetransmits), 0);
    assert_eq!(world.count(Counter::Drop(DropReason::NoBuffer)), 0);
}
