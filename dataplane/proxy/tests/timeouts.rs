//! How long a session that was taken over waits for its ends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::TcpFlags;
use sluice_proxy::limits::{
    CLOSED_LINGER, CLOSING_TIMEOUT, HANDSHAKE_TIMEOUT, SESSION_IDLE_TIMEOUT,
};
use sluice_telemetry::{Counter, DecisionCode, EndReason};
use world::cut::IP;
use world::end::internet_checksum;
use world::{App, PROFILE, Pki, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SHORT: Duration = Duration::from_secs(1);

/// A client that never finishes, and this origin.
fn world(pki: &Arc<Pki>, origin: App) -> World {
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, usize::MAX);
    World::with(&Settings::default(), pki, client, origin)
}

fn both_are_over(world: &mut World) {
    assert!(world.client.tcp().unwrap().is_closed());
    assert!(world.origin.tcp().unwrap().is_closed());
    assert_eq!(world.count(Counter::FlowsTaken), 0);
}

#[test]
fn d122_an_origin_that_never_answers_the_hello_is_given_up() {
    let pki = Arc::new(Pki::new());
    let mut world = world(&pki, App::raw(&[]));
    world.run(HANDSHAKE_TIMEOUT - SHORT);
    assert_eq!(world.out.events.len(), 0);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    world.run(2 * SHORT);
    let event = world.event();
    assert_eq!(event.code, DecisionCode::BlockOriginHandshakeFailed);
    assert_eq!(event.ended, EndReason::TimedOut);
    assert_eq!(world.count(Counter::FlowsTaken), 0);
    assert!(world.client.tcp().unwrap().is_closed());
}

#[test]
fn d122_a_session_on_which_nothing_moves_is_given_up() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let mut world = world(&pki, App::server(&origin, &[], REQUEST.len(), REPLY));
    world.run(SESSION_IDLE_TIMEOUT - SHORT);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.out.events.len(), 0);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    world.run(2 * SHORT);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    assert_eq!(world.event().ended, EndReason::TimedOut);
    both_are_over(&mut world);
}

/// An untagged IPv4 frame that never says that its sender has finished.
fn without_fin(mut frame: Vec<u8>) -> Vec<u8> {
    const TCP: usize = IP + 20;
    frame[TCP + 13] &= !1;
    frame[TCP + 16..TCP + 18].fill(0);
    let pseudo = [&frame[IP + 12..TCP], &[0, 6]].concat();
    let length = u16::try_from(frame.len() - TCP).unwrap();
    let start = [pseudo.as_slice(), &length.to_be_bytes()].concat();
    let sum = u32::from(!internet_checksum(&start, 0));
    let sum = internet_checksum(&frame[TCP..], sum);
    frame[TCP + 16..TCP + 18].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Both ends have said goodbye, and one of them never closes.
#[test]
fn d122_an_end_that_never_closes_a_finished_session_is_reset() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    world.tamper = Some(Box::new(|frame| vec![without_fin(frame)]));
    world.run(SHORT);
    assert_eq!(world.client.heard, REPLY);
    assert!(world.client.saw_close_notify && world.origin.saw_close_notify);
    assert_eq!(world.out.events.len(), 0, "it has not ended");
    world.origin.abort();
    world.run(CLOSING_TIMEOUT - SHORT);
    assert_eq!(world.event().ended, EndReason::Closed);
    assert!(
        world.count(Counter::SessionBytes) > 0,
        "the client is waited for"
    );
    let resets = |world: &World| {
        let frames = world.wire_to_client.iter();
        let reset = |frame: &&Vec<u8>| frame[IP + 20 + 13] & TcpFlags::RST.bits() != 0;
        frames.filter(reset).count()
    };
    assert_eq!(resets(&world), 0);
    world.run(2 * SHORT);
    assert_eq!(world.count(Counter::SessionBytes), 0);
    assert!(resets(&world) > 0, "it is told");
}

/// A session that is blocked without a reset: its client is told by a FIN, and does nothing.
#[test]
fn d122_a_client_that_does_not_close_a_blocked_session_is_not_waited_for_long() {
    let profile = PROFILE.replace(
        "reset_client_on_block = true",
        "reset_client_on_block = false",
    );
    let settings = Settings {
        profile,
        ..Settings::default()
    };
    let pki = Arc::new(Pki::new());
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(
        &pki.stranger.leaf(&["good.test"]),
        &[],
        REQUEST.len(),
        REPLY,
    );
    let mut world = World::with(&settings, &pki, client, server);
    while world.count(Counter::ClientHellos) == 0 {
        world.turn();
    }
    world.client.asleep = true;
    let short = Duration::from_millis(100);
    world.run(CLOSED_LINGER - short);
    assert_eq!(
        world.event().code.verdict(),
        sluice_telemetry::Verdict::Block
    );
    assert!(world.count(Counter::SessionBytes) > 0, "it may close");
    world.run(2 * short);
    assert_eq!(world.count(Counter::SessionBytes), 0);
    assert!(
        !world.client.tcp().unwrap().is_closed(),
        "nobody has reset it"
    );
}
