//! How long a session that was taken over waits for its ends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_proxy::limits::{HANDSHAKE_TIMEOUT, SESSION_IDLE_TIMEOUT};
use sluice_telemetry::{Counter, DecisionCode, EndReason};
use world::{App, Pki, Settings, World};

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
