//! What a session is charged with beside what it takes from the heap, counted by the allocator. One test: a second one's
//! memory would be counted with it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod world;

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use sluice_telemetry::Counter;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use world::{App, Pki, Settings, World};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: usize = 32;
const MOMENT: Duration = Duration::from_millis(20);

/// Bytes on the heap now.
fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Where a session is left standing.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Its origin does not answer the hello.
    MeetingOrigin,
    /// Its client does not answer the leaf.
    MeetingClient,
    Relaying,
}

fn open(world: &mut World, pki: &Pki, at: At, number: usize) {
    let (request, reply) = (vec![b'a'; 300], vec![b'b'; 1_000]);
    let client = App::client(&pki.trusted, "site-a.test", &[], &request, usize::MAX);
    let origin = match at {
        At::MeetingOrigin => App::raw(&[]),
        At::MeetingClient | At::Relaying => App::server(&pki.site_a, &[], request.len(), &reply),
    };
    let hellos = world.count(Counter::ClientHellos);
    let source = format!("10.1.0.1:{}", 41_000 + number);
    world.reconnect(&source, "10.2.0.1:443", client, origin);
    while world.count(Counter::ClientHellos) == hellos {
        world.turn();
    }
    world.client.asleep = matches!(at, At::MeetingClient);
    world.run(MOMENT);
    if matches!(at, At::Relaying) {
        assert_eq!(world.client.heard, reply);
    }
}

/// Takes the ends away, and what the world remembers; what is left is the appliance's.
fn settle(world: &mut World) -> (usize, u64) {
    let silent = || App::raw(&[]);
    world.reconnect("10.1.0.1:40999", "10.2.0.1:80", silent(), silent());
    world.wire_to_client = Vec::new();
    world.wire_to_origin = Vec::new();
    world.out.events = Vec::new();
    world.worker.gauges(&mut world.out);
    (heap(), world.count(Counter::SessionBytes))
}

#[test]
fn d126_what_a_session_is_charged_with_is_what_it_takes_from_the_heap() {
    let pki = Arc::new(Pki::new());
    let mut measured = Vec::new();
    for at in [At::MeetingOrigin, At::MeetingClient, At::Relaying] {
        let silent = || App::raw(&[]);
        let mut world = World::with(&Settings::default(), &pki, silent(), silent());
        for number in 0..4 {
            open(&mut world, &pki, at, number);
        }
        let (heap_before, charged_before) = settle(&mut world);
        for number in 4..4 + SESSIONS {
            open(&mut world, &pki, at, number);
        }
        let (heap, charged) = settle(&mut world);
        let taken = (heap - heap_before) / SESSIONS;
        let charged = usize::try_from(charged - charged_before).unwrap() / SESSIONS;
        println!("{at:?}: {taken} bytes taken, {charged} charged");
        assert_eq!(world.count(Counter::FlowsTaken), 4 + SESSIONS as u64);
        measured.push((at, taken, charged));
    }
    for (at, taken, charged) in measured {
        assert!(
            (taken..=2 * taken).contains(&charged),
            "{at:?}: {taken} bytes taken, {charged} charged"
        );
    }
}
