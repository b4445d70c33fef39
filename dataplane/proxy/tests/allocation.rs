//! The steady state takes nothing from the heap, counted by the allocator. One test: a second one's memory would be counted
//! with it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{SegmentId, Side, TestBuf};
use sluice_proxy::{Effects, ForgeJob, Output};
use sluice_telemetry::{Counter, DropReason, FlowRecord};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use world::{App, Pki, SEGMENT, Settings, World};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

const FRAMES_MAX: usize = 4096;

/// Ports and a pool whose memory is there beforehand.
struct Quiet {
    frames: Vec<(Side, usize, [u8; 2048])>,
    counted: [u64; Counter::COUNT],
}

impl Effects for Quiet {
    fn emit(
        &mut self,
        _segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        assert!(self.frames.len() < FRAMES_MAX, "the ports have room");
        let mut frame = [0; 2048];
        let written = write(&mut frame[..len]);
        self.frames.push((to, written, frame));
        true
    }

    fn event(&mut self, _record: FlowRecord) {}

    fn submit(&mut self, _job: ForgeJob) {}

    fn count(&mut self, counter: Counter, by: u64) {
        self.counted[counter.index()] += by;
    }

    fn gauge(&mut self, _counter: Counter, _value: u64) {}
}

impl Output<TestBuf> for Quiet {
    fn forward(&mut self, _segment: SegmentId, to: Side, packet: TestBuf) {
        let mut frame = [0; 2048];
        frame[..packet.0.len()].copy_from_slice(&packet.0);
        self.frames.push((to, packet.0.len(), frame));
    }

    fn discard(&mut self, _packet: TestBuf, _reason: DropReason) {}
}

/// Passes whatever moves between both ends for `rounds` rounds, and counts what the worker takes from the heap for it.
fn relay(world: &mut World, quiet: &mut Quiet, rounds: usize) -> usize {
    let mut taken = 0;
    for _ in 0..rounds {
        let now = world.now();
        let leaving = [
            (Side::A, world.client.transmit(now.mono)),
            (Side::B, world.origin.transmit(now.mono)),
        ];
        for (side, frames) in leaving {
            for frame in frames {
                let packet = TestBuf(frame);
                let before = allocations();
                world.worker.on_packet(SEGMENT, side, packet, now, quiet);
                taken += allocations() - before;
            }
        }
        let before = allocations();
        world.worker.poll(now, quiet);
        taken += allocations() - before;
        for (to, len, frame) in quiet.frames.drain(..) {
            match to {
                Side::A => world.client.receive(&frame[..len], now.mono),
                Side::B => world.origin.receive(&frame[..len], now.mono),
            }
        }
        world.pass(Duration::from_micros(200));
    }
    taken
}

#[test]
fn d126_relaying_both_ways_takes_nothing_from_the_heap() {
    let pki = Arc::new(Pki::new());
    let bulk = vec![b'x'; 40_000_000];
    let client = App::client(&pki.trusted, "site-a.test", &[], &bulk, usize::MAX);
    let origin = App::server(&pki.site_a, &[], 1000, &bulk);
    let mut world = World::with(&Settings::default(), &pki, client, origin);
    world.run(Duration::from_millis(5));
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    let mut quiet = Quiet {
        frames: Vec::with_capacity(FRAMES_MAX),
        counted: [0; Counter::COUNT],
    };
    // Buffers and windows have grown to what they will be.
    relay(&mut world, &mut quiet, 150);
    let both = |quiet: &Quiet| {
        [
            quiet.counted[Counter::BytesInspectedToOrigin.index()],
            quiet.counted[Counter::BytesInspectedToClient.index()],
        ]
    };
    let before = both(&quiet);
    let taken = relay(&mut world, &mut quiet, 100);
    let after = both(&quiet);
    for (before, after) in before.into_iter().zip(after) {
        assert!(after - before > 1_000_000, "{before} {after}");
    }
    assert_eq!(taken, 0, "allocations while relaying");
}
