//! Layer-2 fallback, exhaustion and the clearing of sessions: what is kept, what is let go, and what comes after.

#![allow(clippy::panic, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Side, TcpFlags, TcpSegment};
use sluice_proxy::limits::SWEPT_PLACES_PER_POLL;
use sluice_schema::OnExhaustion;
use sluice_telemetry::{
    Counter, DecisionCode, DropReason, EndReason, FallbackReason, FallbackReasons,
};
use world::script::{ACK, BEGINNING, C, O, Script, written};
use world::{App, Pki, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SOON: Duration = Duration::from_secs(5);
const OUTBOUND: &str = "10.2.0.1:443";

/// A worker with one inspected session. Its origin answers when `request_bytes` have come.
fn inspecting(request: &[u8], request_bytes: usize) -> World {
    let pki = Arc::new(Pki::new());
    let good = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], request, REPLY.len());
    let origin = App::server(&good, &[], request_bytes, REPLY);
    World::with(&Settings::default(), &pki, client, origin)
}

/// Another flow, whose client trusts the origin itself: it succeeds when it is not inspected.
fn uninspected(world: &mut World, source: &str) {
    let pki = Arc::clone(&world.pki);
    let good = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.origin_root, "good.test", &[], REQUEST, REPLY.len());
    let origin = App::server(&good, &[], REQUEST.len(), REPLY);
    world.reconnect(source, OUTBOUND, client, origin);
    world.run(SOON);
}

fn fallback(world: &mut World, on: bool) {
    fallback_because(world, FallbackReason::Command, on);
}

fn fallback_because(world: &mut World, reason: FallbackReason, on: bool) {
    let mut reasons = FallbackReasons::default();
    reasons.set(reason, on);
    world.worker.set_fallback(reasons);
    let now = world.now();
    world.worker.poll(now, &mut world.out);
}

fn exhausted(world: &mut World, how: Option<OnExhaustion>) {
    world.worker.set_exhausted(how);
    let now = world.now();
    world.worker.poll(now, &mut world.out);
}

/// Has all sessions cleared, and gives how many there were, after how many polls.
fn cleared(world: &mut World) -> (u64, usize) {
    let now = world.now();
    world.worker.clear_sessions(now);
    for polls in 1..1_000 {
        assert_eq!(world.worker.next_timeout(now.mono), Some(now.mono));
        world.worker.poll(now, &mut world.out);
        if let Some(cleared) = world.worker.cleared() {
            return (cleared, polls);
        }
    }
    panic!("clearing comes to an end");
}

#[test]
fn f22_a_large_table_is_walked_through_a_few_places_at_a_time() {
    let pki = Arc::new(Pki::new());
    let good = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, 10_000);
    let origin = App::server(&good, &[], 10_000, REPLY);
    let places = 3 * SWEPT_PLACES_PER_POLL;
    let settings = Settings {
        flows_max: places,
        ..Settings::default()
    };
    let mut world = World::with(&settings, &pki, client, origin);
    // The session's place is not among the first.
    for number in 0..SWEPT_PLACES_PER_POLL {
        let source = format!("10.1.7.{}:{}", number % 250, 2_000 + number / 250);
        let syn = TcpSegment {
            flags: TcpFlags::SYN,
            window: 60_000,
            ..TcpSegment::default()
        };
        let frame = written((&source, OUTBOUND), Side::A, &syn);
        world.inject(Side::A, frame);
    }
    world.out.frames.clear();
    world.run(SOON);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    assert_eq!(cleared(&mut world), (1, 3));
    world.run(SOON);
    assert_eq!(world.count(Counter::FlowsTaken), 0);
}

#[test]
fn f22_in_fallback_sessions_go_on_and_new_flows_pass_with_their_own_code() {
    // Long enough that the session stands, and is not over, when fallback begins.
    let request = vec![b'x'; 400_000];
    let mut world = inspecting(&request, request.len());
    while world.count(Counter::HandshakesClientOk) == 0 {
        world.turn();
        world.run(Duration::from_micros(200));
    }
    assert!(world.client.heard.is_empty(), "it is under way");
    fallback(&mut world, true);
    world.run(SOON);
    assert_eq!(world.client.heard, REPLY, "an inspected session is kept");
    assert_eq!(world.event().code, DecisionCode::InspectedClient);

    world.out.events.clear();
    uninspected(&mut world, "10.1.0.2:40000");
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.event().code, DecisionCode::BypassLayer2Fallback);
    assert_eq!(
        world.count(Counter::Decision(DecisionCode::BypassLayer2Fallback)),
        1
    );

    world.out.events.clear();
    fallback(&mut world, false);
    uninspected(&mut world, "10.1.0.3:40000");
    assert!(
        world.client.error.is_some(),
        "inspected again: this client does not trust the forged leaf"
    );
}

#[test]
fn f22_flows_that_are_held_or_watched_are_let_go_whole() {
    for step in 0..6 {
        let mut world = inspecting(REQUEST, REQUEST.len());
        let (root, good) = (
            &world.pki.origin_root,
            world.pki.origin_root.leaf(&["good.test"]),
        );
        let client = App::client(root, "good.test", &[], REQUEST, REPLY.len());
        let origin = App::server(&good, &[], REQUEST.len(), REPLY);
        // A hello in small pieces is held over several turns.
        world.reconnect("10.1.0.2:40000", OUTBOUND, client, origin);
        world.client.write_max = 100;
        for _ in 0..step {
            world.turn();
        }
        let taken = world.count(Counter::SessionsInspected);
        fallback(&mut world, true);
        world.run(SOON);
        if taken == 0 {
            assert_eq!(world.client.heard, REPLY, "after {step} turns");
            let codes: Vec<_> = world.out.events.iter().map(|event| event.code).collect();
            assert_eq!(codes, [DecisionCode::BypassLayer2Fallback], "{step}");
        }
        assert!(step > 2 || taken == 0, "nothing is taken over so early");
    }
}

/// What the core's flows hold beside their entries, as it is this moment.
fn charged(world: &mut World) -> [u64; 2] {
    world.worker.gauges(&mut world.out);
    [Counter::HeldBytes, Counter::SessionBytes].map(|gauge| world.count(gauge))
}

#[test]
fn f22_what_is_let_go_or_cleared_gives_its_memory_back_at_once() {
    let mut world = inspecting(REQUEST, 10_000);
    world.run(SOON);
    let [_, session] = charged(&mut world);
    assert!(session > 0, "a session is under way");
    assert_eq!(cleared(&mut world), (1, 1));
    assert_eq!(charged(&mut world), [0, 0]);

    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    let [held, session] = charged(&mut script.world);
    assert!(held > 0, "the first piece of a hello is held");
    assert_eq!(session, 0);
    exhausted(&mut script.world, Some(OnExhaustion::Bypass));
    // What was read is remembered until it has arrived.
    script.world.out.frames.clear();
    let read = u32::try_from(BEGINNING.len()).unwrap();
    script.pass(Side::B, O + 1, C + 1 + read, ACK, b"");
    assert_eq!(charged(&mut script.world), [0, 0]);
}

#[test]
fn f22_clearing_ends_every_inspected_session_with_resets_and_logs_it() {
    let mut world = inspecting(REQUEST, 10_000);
    world.run(SOON);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    fallback(&mut world, true);
    assert_eq!(cleared(&mut world), (1, 1));
    assert_eq!(world.count(Counter::SessionsCleared), 1);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    assert_eq!(world.event().ended, EndReason::Cleared);
    let resets = |world: &World| world.count(Counter::TcpResetsSent);
    world.run(SOON);
    assert_eq!(world.count(Counter::FlowsTaken), 0);
    assert!(world.client.heard.is_empty());
    let told = world.wire_to_client.last().expect("a frame").clone();
    assert_eq!(tcp_flags(&told) & RST, RST, "the client is reset");
    let told = world.wire_to_origin.last().expect("a frame").clone();
    assert_eq!(tcp_flags(&told) & RST, RST, "so is the origin");
    assert_eq!(cleared(&mut world), (0, 1));

    // Whoever has missed that and goes on is reset again, and nothing of it passes as a flow picked up in the middle.
    let (before, frames) = (resets(&world), world.wire_to_origin.len());
    let stray = world.wire_to_origin.iter().rev();
    let stray = stray.clone().find(|frame| tcp_flags(frame) & RST == 0);
    let stray = stray.expect("a segment that was no reset").clone();
    world.inject(sluice_packet::Side::A, stray);
    world.run(SOON);
    assert_eq!(resets(&world), before + 1);
    assert_eq!(world.wire_to_origin.len(), frames);
    assert_eq!(world.out.events.len(), 1, "logged once");
}

#[test]
fn d128_while_buffers_are_short_new_flows_pass_or_wait_by_setting_and_are_inspected_afterwards() {
    let mut world = inspecting(REQUEST, REQUEST.len());
    world.run(SOON);
    assert_eq!(world.client.heard, REPLY);
    world.out.events.clear();

    exhausted(&mut world, Some(OnExhaustion::Bypass));
    uninspected(&mut world, "10.1.0.2:40000");
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.event().code, DecisionCode::BypassExhausted);
    world.out.events.clear();

    exhausted(&mut world, Some(OnExhaustion::Drop));
    uninspected(&mut world, "10.1.0.3:40000");
    assert!(world.client.heard.is_empty(), "nothing passes");
    assert!(world.out.events.is_empty(), "nothing was decided");
    let dropped = world.count(Counter::Drop(DropReason::Exhausted));
    assert!(dropped >= 1, "the SYN and its repetitions are counted");

    // The client sends its SYN again.
    exhausted(&mut world, None);
    world.run(Duration::from_secs(60));
    assert!(
        world.client.error.is_some(),
        "inspected: this client does not trust the forged leaf"
    );
    assert_eq!(
        world.count(Counter::Drop(DropReason::Exhausted)),
        dropped,
        "no more"
    );
}

#[test]
fn d128_f22_a_failure_does_not_open_what_a_shortage_of_buffers_closes_and_an_operator_does() {
    for reason in FallbackReason::ALL {
        let mut world = inspecting(REQUEST, REQUEST.len());
        world.run(SOON);
        world.out.events.clear();
        exhausted(&mut world, Some(OnExhaustion::Drop));
        fallback_because(&mut world, reason, true);
        uninspected(&mut world, "10.1.0.2:40000");
        let dropped = world.count(Counter::Drop(DropReason::Exhausted));
        if reason == FallbackReason::Command {
            assert_eq!(world.client.heard, REPLY);
            assert_eq!(world.event().code, DecisionCode::BypassLayer2Fallback);
            assert_eq!(dropped, 0);
            continue;
        }
        assert!(world.client.heard.is_empty(), "{}", reason.name());
        assert!(world.origin.heard.is_empty() && world.out.events.is_empty());
        assert!(dropped > 0);
        // With enough buffers the failure is what counts; the client sends its SYN again.
        exhausted(&mut world, None);
        world.run(Duration::from_secs(60));
        assert_eq!(world.client.heard, REPLY);
        assert_eq!(world.event().code, DecisionCode::BypassLayer2Fallback);
    }
}

const RST: u8 = 4;

/// The flags of a TCP segment over IPv4 without options or tags.
fn tcp_flags(frame: &[u8]) -> u8 {
    frame.get(14 + 20 + 13).copied().unwrap_or_default()
}
