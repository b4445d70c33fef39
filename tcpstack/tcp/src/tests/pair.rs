//! Two engines that talk over a path of constant delay: no answer waits for a timer.

use core::time::Duration;
use std::collections::VecDeque;

use sluice_packet::{Instant, SeqNum, TcpSegment};

use crate::{Config, Connection, Takeover, limits};

const ONE_WAY: Duration = Duration::from_millis(10);
const CLIENT: usize = 0;
const SERVER: usize = 1;

struct Pair {
    ends: [Connection; 2],
    now: Instant,
    /// What is on its way: when it arrives, and at whom.
    wire: VecDeque<(Instant, usize, TcpSegment<'static>, Vec<u8>)>,
    /// Times that a timer let an end send.
    timers_that_sent: usize,
}

impl Pair {
    fn new(delayed_ack: Duration) -> Self {
        let now = Instant::from_secs(1);
        let config = Config {
            delayed_ack,
            ..Config::default()
        };
        let takeover = |send, receive| Takeover {
            send_next: SeqNum(send),
            receive_next: SeqNum(receive),
            send_window: 65_535,
            peer_mss: 1_000,
            send_scale: 7,
            receive_scale: 7,
            sack: true,
            ecn: false,
            timestamps: None,
            round_trip: None,
            path_mss: 1_000,
            path_mss_min: limits::PATH_MSS_IPV4_BYTES_MIN,
        };
        Self {
            ends: [
                Connection::established(takeover(7, 900), &config, now),
                Connection::established(takeover(900, 7), &config, now),
            ],
            now,
            wire: VecDeque::new(),
            timers_that_sent: 0,
        }
    }

    /// Puts what `end` may send on the wire. Returns how much that was.
    fn transmit(&mut self, end: usize) -> usize {
        let mut count = 0;
        while let Some(outgoing) = self.ends[end].poll_transmit(self.now) {
            let header = TcpSegment {
                seq: outgoing.segment.seq,
                ack: outgoing.segment.ack,
                flags: outgoing.segment.flags,
                window: outgoing.segment.window,
                options: outgoing.segment.options,
                ..TcpSegment::default()
            };
            let payload = outgoing.segment.payload.to_vec();
            self.wire
                .push_back((self.now + ONE_WAY, 1 - end, header, payload));
            count += 1;
        }
        count
    }

    /// Queues `bytes` in `pieces` writes, each sent before the next one.
    fn write(&mut self, end: usize, bytes: usize, pieces: usize) {
        let mut left = bytes;
        for piece in 0..pieces {
            let count = if piece + 1 == pieces {
                left
            } else {
                bytes / pieces
            };
            left -= count;
            assert_eq!(self.ends[end].send(&vec![1; count]), count);
            self.transmit(end);
        }
    }

    /// Lets time pass until `end` has received `bytes`, and takes them.
    fn until_read(&mut self, end: usize, bytes: usize) {
        let mut taken = 0;
        while taken < bytes {
            let arrival = self.wire.front().map(|(at, ..)| *at);
            let timer = self.ends.iter().filter_map(Connection::next_timeout).min();
            let next = arrival.into_iter().chain(timer).min().expect("stuck");
            self.now = self.now.max(next);
            for side in [CLIENT, SERVER] {
                self.ends[side].on_timeout(self.now);
                self.timers_that_sent += self.transmit(side);
            }
            while let Some((_, side, header, payload)) =
                self.wire.pop_front_if(|(at, ..)| *at <= self.now)
            {
                let segment = TcpSegment {
                    payload: &payload,
                    ..header
                };
                self.ends[side].on_segment(self.now, &segment);
                if side == end {
                    let count = self.ends[end].received().len();
                    self.ends[end].consume(count);
                    taken += count;
                }
                if taken < bytes {
                    self.transmit(side);
                }
            }
        }
        assert_eq!(taken, bytes);
    }
}

#[test]
fn p93_no_answer_ever_waits_for_a_timer() {
    for delay in [0, 1, 40] {
        for request in [1, 999, 1_000, 1_001, 2_000, 3_000] {
            for response in [1, 500, 1_000, 1_500, 2_000, 2_999, 7_000, 9_001] {
                for pieces in [1, 2, 3] {
                    let mut pair = Pair::new(Duration::from_millis(delay));
                    let start = pair.now;
                    for _ in 0..8 {
                        pair.write(CLIENT, request, pieces);
                        pair.until_read(SERVER, request);
                        pair.write(SERVER, response, pieces);
                        pair.until_read(CLIENT, response);
                    }
                    assert_eq!(
                        pair.now.saturating_since(start),
                        ONE_WAY * 2 * 8,
                        "requests of {request}, responses of {response}, {pieces} writes, ACK delay {delay} ms"
                    );
                }
            }
        }
    }
}

#[test]
fn p93_a_response_larger_than_the_window_takes_round_trips_only() {
    for delay in [0, 40] {
        for segments in [11, 20, 31, 64] {
            let mut pair = Pair::new(Duration::from_millis(delay));
            let start = pair.now;
            pair.write(CLIENT, 100, 1);
            pair.until_read(SERVER, 100);
            pair.write(SERVER, segments * 1_000 - 1, 1);
            pair.until_read(CLIENT, segments * 1_000 - 1);
            // Slow start from ten segments: 10, 30, 70 after one, two and three round trips.
            let trips = match segments {
                11..=30 => 2,
                _ => 3,
            };
            assert_eq!(
                pair.now.saturating_since(start),
                ONE_WAY * 2 * trips,
                "{segments} segments, ACK delay {delay} ms"
            );
            assert_eq!(pair.timers_that_sent, 0);
        }
    }
}
