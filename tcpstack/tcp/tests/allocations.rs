//! Sending and receiving on a connection that is warm takes nothing from the heap. One test: a second one's memory would be
//! counted with it.

#![allow(clippy::unwrap_used, reason = "tests")]

use core::time::Duration;
use std::alloc::System;

use sluice_packet::{Instant, SeqNum, TcpSegment};
use sluice_tcp::{Config, Connection, Takeover, TimestampClock, limits};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const START: Instant = Instant::from_secs(1);
const TRAIN_SEGMENTS: usize = 8;

fn end(send: u32, receive: u32) -> Connection {
    let clock = TimestampClock {
        value: 1,
        at: START,
        echo_recent: 1,
    };
    let takeover = Takeover {
        send_next: SeqNum(send),
        receive_next: SeqNum(receive),
        send_window: 1_000_000,
        peer_mss: 1_460,
        send_scale: 7,
        receive_scale: 7,
        sack: true,
        ecn: true,
        timestamps: Some(clock),
        round_trip: None,
        path_mss: 1_460,
        path_mss_min: sluice_tcp::limits::PATH_MSS_IPV4_BYTES_MIN,
    };
    Connection::established(takeover, &Config::default(), START)
}

/// How segments are handed on.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// One by one.
    Singly,
    /// Gathered by the sender, cut, and taken as trains.
    Trains,
    /// One by one, and every so many are lost.
    Losing(usize),
}

struct Path {
    now: Instant,
    carried: usize,
}

impl Path {
    /// Everything that `from` has to send.
    fn carry(&mut self, way: Way, from: &mut Connection, to: &mut Connection) {
        from.on_timeout(self.now);
        let bytes_max = match way {
            Way::Trains => limits::LARGE_SEGMENT_BYTES_MAX,
            Way::Singly | Way::Losing(_) => 0,
        };
        while let Some(outgoing) = from.poll_transmit_large(self.now, bytes_max) {
            let mut train = [TcpSegment::default(); TRAIN_SEGMENTS];
            let mut count = 0;
            for piece in outgoing.pieces() {
                self.carried += 1;
                if matches!(way, Way::Losing(every) if self.carried.is_multiple_of(every)) {
                    continue;
                }
                train[count] = piece;
                count += 1;
                if count == TRAIN_SEGMENTS {
                    to.on_train(self.now, &train);
                    count = 0;
                }
            }
            to.on_train(self.now, &train[..count]);
        }
        to.consume(usize::MAX);
    }

    fn turns(&mut self, way: Way, count: usize, ends: &mut (Connection, Connection)) {
        let (left, right) = ends;
        for _ in 0..count {
            self.now += Duration::from_millis(1);
            left.send(&[5; 40_000]);
            right.send(&[6; 900]);
            self.carry(way, left, right);
            self.carry(way, right, left);
        }
    }
}

#[test]
fn a_warm_connection_allocates_nothing() {
    for way in [Way::Singly, Way::Trains, Way::Losing(97)] {
        let mut ends = (end(7, 9), end(9, 7));
        let mut path = Path {
            now: START,
            carried: 0,
        };
        path.turns(way, 2_000, &mut ends);
        let before = ends.1.stats().bytes_received;
        let region = Region::new(ALLOCATOR);
        path.turns(way, 2_000, &mut ends);
        let change = region.change();
        let calls = change.allocations + change.deallocations + change.reallocations;
        let received = ends.1.stats().bytes_received - before;
        assert!(received > 10_000_000, "{way:?}: {received} bytes");
        assert_eq!(calls, 0, "{way:?}: {change:?}");
        if matches!(way, Way::Losing(_)) {
            assert!(ends.0.stats().retransmits > 100);
            assert!(ends.1.stats().out_of_order > 100);
        }
    }
    let region = Region::new(ALLOCATOR);
    drop(core::hint::black_box(Box::new(0_u64)));
    assert_eq!(region.change().allocations, 1, "the count is not blind");
}
