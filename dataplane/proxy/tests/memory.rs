//! What a flow costs in memory, counted by the allocator. One test: a second one's memory would be counted with it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod world;

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Instant, SeqNum, Side, TcpFlags, TcpSegment, TestBuf};
use sluice_pki::LeafKey;
use sluice_proxy::limits::{LINGERING_BYTES_MAX, OBSERVED_FLOW_BYTES_MAX, TAKEN_FLOW_BYTES_MAX};
use sluice_proxy::{Now, Worker, WorkerSettings};
use sluice_random::CoreRandom;
use sluice_telemetry::Counter;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use world::script::{ORIGIN, written};
use world::{App, Out, Pki, SEGMENT, Settings, World, generation};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes on the heap now.
fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn syn(number: usize) -> Vec<u8> {
    let [.., a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
    let segment = TcpSegment {
        seq: SeqNum(1),
        flags: TcpFlags::SYN,
        window: 60_000,
        ..TcpSegment::default()
    };
    let client = format!("10.1.{a}.{b}:{}", 1024 + u16::from(c));
    let mut frame = written((&client, ORIGIN), Side::A, &segment);
    frame.shrink_to_fit();
    frame
}

/// Bytes per place of a table, all of them taken when it is made; and what a flood of SYNs takes beyond them.
fn observed() {
    const FLOWS: usize = 1 << 16;
    let pki = Pki::new();
    let mut random = CoreRandom::new().unwrap();
    let leaf_key = Arc::new(LeafKey::generate(&mut random).unwrap());
    let before = heap();
    let settings = WorkerSettings {
        flows_max: FLOWS,
        leaf_key,
        hash_key: [7; 16],
        load: Arc::default(),
        memory: sluice_proxy::MemoryBudget::default(),
        mtus: sluice_proxy::PortMtus::default(),
        now: Instant::ZERO,
    };
    let mut worker: Worker<TestBuf> = Worker::new(1, settings).unwrap();
    let per_flow = (heap() - before) as f64 / FLOWS as f64;
    println!("{per_flow:.1} bytes per observed flow");
    // A wheel and the TLS context are there for all flows together.
    assert!(
        per_flow <= OBSERVED_FLOW_BYTES_MAX as f64 * 1.02,
        "{per_flow} bytes per flow"
    );

    worker.adopt(generation(1, &Settings::default(), &pki).unwrap());
    let mut out = Out::default();
    let now = Now {
        mono: Instant::from_secs(1),
        unix_us: 0,
    };
    let mut flood = |numbers: core::ops::Range<usize>| {
        for number in numbers {
            worker.on_packet(SEGMENT, Side::A, TestBuf(syn(number)), now, &mut out);
            out.frames.clear();
        }
        worker.poll(now, &mut out);
        worker.gauges(&mut out);
        out.count_of(Counter::FlowsObserved)
    };
    flood(0..100);
    let before = heap();
    let flows = flood(100..2 * FLOWS);
    assert_eq!(flows, FLOWS as u64, "the table is full");
    assert_eq!(heap(), before, "a flood of SYNs takes no memory");
}

/// Bytes per inspected TLS 1.3 session on which nothing moves.
fn taken() {
    const SESSIONS: usize = 64;
    let pki = Arc::new(Pki::new());
    let request = vec![b'a'; 300];
    let reply = vec![b'b'; 10_000];
    let client = || App::client(&pki.trusted, "site-a.test", &[], &request, usize::MAX);
    let origin = || App::server(&pki.site_a, &[], request.len(), &reply);
    let mut world = World::with(&Settings::default(), &pki, client(), origin());
    world.run(Duration::from_secs(5));
    let open = |world: &mut World, number: usize| {
        let source = format!("10.1.0.1:{}", 41_000 + number);
        world.reconnect(&source, "10.2.0.1:443", client(), origin());
        world.run(Duration::from_secs(5));
        assert_eq!(world.client.heard, reply);
    };
    let settle = |world: &mut World| {
        world.reconnect(
            "10.1.0.1:40999",
            "10.2.0.1:80",
            App::raw(&[]),
            App::raw(&[]),
        );
        world.wire_to_client = Vec::new();
        world.wire_to_origin = Vec::new();
        world.out.events = Vec::new();
    };
    for number in 0..4 {
        open(&mut world, number);
    }
    settle(&mut world);
    let before = heap();
    for number in 4..4 + SESSIONS {
        open(&mut world, number);
    }
    settle(&mut world);
    let per_flow = (heap() - before) as f64 / SESSIONS as f64;
    println!("{per_flow:.0} bytes per taken flow beside its entry");
    let inspected = world.count(Counter::SessionsInspected);
    assert_eq!(inspected, (SESSIONS + 5) as u64);
    assert_eq!(
        world.count(Counter::FlowsTaken),
        inspected,
        "none has ended"
    );
    let whole = per_flow + OBSERVED_FLOW_BYTES_MAX as f64;
    assert!(
        whole <= TAKEN_FLOW_BYTES_MAX as f64,
        "{whole} bytes per flow"
    );
}

/// Bytes beside its entry of a session that both ends have finished, while it answers late segments.
fn lingering() {
    const SESSIONS: usize = 64;
    let pki = Arc::new(Pki::new());
    let (request, reply) = (vec![b'a'; 300], vec![b'b'; 10_000]);
    let client = || App::client(&pki.trusted, "site-a.test", &[], &request, reply.len());
    let origin = || App::server(&pki.site_a, &[], request.len(), &reply);
    let moment = Duration::from_millis(100);
    let mut world = World::with(&Settings::default(), &pki, client(), origin());
    world.run(moment);
    let mut before = 0;
    for number in 0..4 + SESSIONS {
        if number == 4 {
            before = heap();
        }
        let source = format!("10.1.0.1:{}", 41_000 + number);
        world.reconnect(&source, "10.2.0.1:443", client(), origin());
        world.run(moment);
        assert_eq!(world.client.heard, reply);
        world.reconnect(
            "10.1.0.1:40999",
            "10.2.0.1:80",
            App::raw(&[]),
            App::raw(&[]),
        );
        world.wire_to_client = Vec::new();
        world.wire_to_origin = Vec::new();
        world.out.events = Vec::new();
    }
    let per_flow = heap().saturating_sub(before) as f64 / SESSIONS as f64;
    println!("{per_flow:.1} bytes per lingering flow beside its entry");
    assert_eq!(world.count(Counter::FlowsTaken), 0);
    assert!(world.count(Counter::FlowsObserved) >= SESSIONS as u64);
    const { assert!(LINGERING_BYTES_MAX < OBSERVED_FLOW_BYTES_MAX) };
    assert!(per_flow < 8.0, "{per_flow} bytes per flow");
}

#[test]
fn d126_p87_a_flow_fits_in_its_stated_memory() {
    observed();
    taken();
    lingering();
}
