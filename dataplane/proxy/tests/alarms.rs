//! The timers of a flow that is taken over: one that stands far off, one for what is due soon, and none of either when it is over.

#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_proxy::limits::{BLOCKED_LINGER, NEAR_ALARM_MAX};
use sluice_telemetry::Counter;
use world::{App, Pki, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const MOMENT: Duration = Duration::from_millis(20);
const TURNS: usize = 100;

fn world(flows_max: usize) -> World {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, usize::MAX);
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let settings = Settings {
        flows_max,
        ..Settings::default()
    };
    World::with(&settings, &pki, client, server)
}

/// A session that has sent something which is not acknowledged yet.
fn waiting() -> World {
    let mut world = world(1_024);
    let mut turns = 0..TURNS;
    while world.worker.timers() < 2 && turns.next().is_some() {
        world.turn();
    }
    assert_eq!(world.worker.timers(), 2);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    world
}

#[test]
fn d122_nothing_is_due_soon_once_all_is_acknowledged() {
    let mut world = waiting();
    world.run(NEAR_ALARM_MAX);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    assert_eq!(world.worker.timers(), 1);
}

#[test]
fn d122_what_is_due_soon_is_forgotten_with_its_session() {
    let mut world = waiting();
    let now = world.now();
    world.worker.shutdown(now, &mut world.out);
    assert_eq!(world.worker.timers(), 0);
}

#[test]
fn d122_a_session_that_is_cleared_leaves_one_timer() {
    let mut world = waiting();
    let now = world.now();
    world.worker.clear_sessions(now);
    while world.worker.cleared().is_none() {
        world.worker.poll(now, &mut world.out);
    }
    assert_eq!(world.worker.timers(), 1);
    world.run(2 * BLOCKED_LINGER);
    assert_eq!(world.worker.timers(), 0);
}

#[test]
fn d122_a_session_whose_client_goes_leaves_one_timer() {
    let mut world = waiting();
    world.client.abort();
    world.run(MOMENT);
    assert_eq!(
        world.event().ended,
        sluice_telemetry::EndReason::ClientReset
    );
    assert_eq!(world.worker.timers(), 1);
    world.run(2 * BLOCKED_LINGER);
    assert_eq!(world.worker.timers(), 0);
}

#[test]
fn d122_without_room_for_more_timers_one_is_enough() {
    let mut world = world(3);
    let mut most = 0;
    for _ in 0..TURNS {
        world.run(Duration::from_millis(1));
        most = most.max(world.worker.timers());
    }
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(most, 1);
}

/// What was sent last before the path broke is repeated until it is given up.
#[test]
fn d122_what_is_due_soon_comes_again_and_again() {
    let mut world = waiting();
    world.router = Some(Box::new(|_, _| Vec::new()));
    let sent = world.wire_to_origin.len();
    world.run(Duration::from_secs(10));
    assert!(world.wire_to_origin.len() > sent + 3);
    assert_eq!(world.count(Counter::FlowsTaken), 1);
}
