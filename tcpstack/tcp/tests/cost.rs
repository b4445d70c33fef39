//! What the engine's shortcuts save, as ratios. `cargo test -p sluice-tcp --test cost -- --ignored --nocapture`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests; this one measures"
)]

use core::hint::black_box;
use core::time::Duration;

use sluice_packet::{Instant, SackBlocks, SeqNum, TcpFlags, TcpOptions, TcpSegment};
use sluice_tcp::{Config, Connection, Takeover};

const START: Instant = Instant::from_secs(1);
const MSS: u32 = 1_460;

fn connection() -> Connection {
    let takeover = Takeover {
        send_next: SeqNum(0),
        receive_next: SeqNum(0),
        send_window: 1 << 29,
        peer_mss: 1_460,
        send_scale: 14,
        receive_scale: 14,
        sack: true,
        ecn: false,
        timestamps: None,
        round_trip: None,
        path_mss: 1_460,
        path_mss_min: sluice_tcp::limits::PATH_MSS_IPV4_BYTES_MIN,
    };
    let config = Config {
        send_buffer_bytes_max: 64 << 20,
        ..Config::default()
    };
    Connection::established(takeover, &config, START)
}

fn acknowledgement(ack: SeqNum, sack: SackBlocks) -> TcpSegment<'static> {
    TcpSegment {
        ack,
        flags: TcpFlags::ACK,
        window: 30_000,
        options: TcpOptions {
            sack,
            ..TcpOptions::default()
        },
        ..TcpSegment::default()
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Nanoseconds per segment received in trains of `train` segments.
fn receiving(train: usize) -> f64 {
    const ROUNDS: u32 = 40_000;
    let mut connection = connection();
    let payload = [1; 1_460];
    let mut seq = SeqNum(0);
    let spent = seconds(|| {
        for _ in 0..ROUNDS {
            let segments: [TcpSegment<'_>; 16] = core::array::from_fn(|_| {
                let segment = TcpSegment {
                    seq,
                    flags: TcpFlags::ACK,
                    window: 30_000,
                    payload: &payload,
                    ..TcpSegment::default()
                };
                seq += MSS;
                segment
            });
            for train in segments.chunks(train) {
                connection.on_train(START, train);
            }
            connection.consume(usize::MAX);
            while let Some(outgoing) = connection.poll_transmit(START) {
                black_box(outgoing);
            }
        }
    });
    spent * 1e9 / f64::from(ROUNDS * 16)
}

/// Nanoseconds per segment sent, up to `bytes_max` bytes at once.
fn sending(bytes_max: u32) -> f64 {
    const ROUNDS: u32 = 20_000;
    let mut connection = connection();
    let text = vec![1; 64 * 1_460];
    let mut now = START;
    let mut sent = 0_u32;
    let mut spent = 0.0;
    for _ in 0..ROUNDS {
        connection.send(&text);
        now += Duration::from_millis(1);
        spent += seconds(|| {
            while let Some(outgoing) = connection.poll_transmit_large(now, bytes_max) {
                sent = sent.wrapping_add(u32::try_from(outgoing.segment.payload.len()).unwrap());
                black_box(outgoing);
            }
        });
        let ack = acknowledgement(SeqNum(sent), SackBlocks::default());
        connection.on_segment(now, &ack);
    }
    let segments = connection.stats().bytes_sent / u64::from(MSS);
    spent * 1e9 / f64::from(u32::try_from(segments).unwrap())
}

/// Nanoseconds per acknowledgement while the first of `flight` segments is missing and the peer reports the others.
fn recovering(flight: u32) -> f64 {
    let mut connection = connection();
    let mut now = START;
    let mut acknowledged = 0_u32;
    let mut sent = 0_u32;
    // Slow start up to the flight.
    while (sent - acknowledged) / MSS < flight {
        acknowledged = sent;
        now += Duration::from_millis(10);
        connection.on_segment(
            now,
            &acknowledgement(SeqNum(acknowledged), SackBlocks::default()),
        );
        connection.send(&vec![1; 2 * (flight * MSS) as usize]);
        while let Some(outgoing) = connection.poll_transmit(now) {
            sent += u32::try_from(outgoing.segment.payload.len()).unwrap();
        }
    }
    let last = acknowledged + flight * MSS;
    now += Duration::from_millis(10);
    let mut reported = acknowledged + MSS;
    let mut count = 0;
    let spent = seconds(|| {
        while reported + MSS <= last {
            reported += MSS;
            let mut sack = SackBlocks::default();
            sack.push(SeqNum(acknowledged + MSS), SeqNum(reported));
            connection.on_segment(now, &acknowledgement(SeqNum(acknowledged), sack));
            while let Some(outgoing) = connection.poll_transmit(now) {
                black_box(outgoing);
            }
            count += 1;
        }
    });
    spent * 1e9 / f64::from(count)
}

fn best(measure: impl Fn() -> f64) -> f64 {
    (0..3).map(|_| measure()).fold(f64::MAX, f64::min)
}

#[test]
#[ignore = "measures"]
fn shortcuts_are_worth_their_code() {
    let (singly, trains) = (best(|| receiving(1)), best(|| receiving(16)));
    println!(
        "receiving: {singly:.0} ns a segment, in trains of 16 {trains:.0} ns, ratio {:.2}",
        trains / singly
    );
    let (small, large) = (best(|| sending(0)), best(|| sending(65_000)));
    println!(
        "sending: {small:.0} ns a segment, gathered {large:.0} ns, ratio {:.2}",
        large / small
    );
    let (short, long) = (best(|| recovering(100)), best(|| recovering(4_000)));
    println!(
        "recovering: {short:.0} ns an acknowledgement at 100 in flight, {long:.0} ns at 4000, ratio {:.2}",
        long / short
    );
    assert!(trains < singly && large < small && long < 8.0 * short);
}
