//! Segments into the engine: whatever comes in whatever state, what is delivered is the stream.

use std::time::Duration;

use sluice_packet::{Instant, SeqNum, TcpFlags, TcpSegment, Timestamps};
use sluice_tcp::{Config, Connection, Opening, Takeover};

use super::Input;

const OURS: SeqNum = SeqNum(0x1000_0000);
/// The stream wraps soon.
const THEIRS: SeqNum = SeqNum(0xffff_ff00);
/// Far more than one burst of anything.
const SEGMENTS_PER_TURN_MAX: usize = 4_096;
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// The peer's stream: each sequence number has its byte.
fn said(at: SeqNum) -> u8 {
    let [a, b, c, d] = at.0.to_le_bytes();
    a ^ b.wrapping_mul(7) ^ c.wrapping_mul(31) ^ d
}

fn opening() -> Opening {
    Opening {
        iss: OURS,
        path_mss: 1460,
        mss_default: 536,
        window_scale: Some(7),
        sack: true,
        ecn: false,
        timestamps: Some(1),
    }
}

/// The first byte says how the connection begins; then events follow.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut now = Instant::from_secs(1);
    let config = Config::default();
    let kind = input.byte();
    // Where the stream of a connection that we open begins is the peer's affair.
    let mut position = Some(THEIRS);
    let mut connection = match kind % 3 {
        0 => Connection::established(takeover(kind), &config, now),
        1 => {
            let syn = TcpSegment {
                seq: THEIRS - 1,
                flags: TcpFlags::SYN,
                window: 1000,
                ..TcpSegment::default()
            };
            Connection::accept(&syn, opening(), &config, now)
        }
        _ => {
            position = None;
            Connection::connect(opening(), &config, now)
        }
    };
    let mut payload = Vec::new();
    while !input.is_empty() {
        match input.byte() % 8 {
            0..=3 => {
                let segment = segment(&mut input, &mut payload);
                connection.on_segment(now, &segment);
            }
            4 => {
                let count = usize::from(input.half());
                let received = connection.received();
                let count = count.min(received.len());
                if let Some(at) = &mut position {
                    for byte in &received[..count] {
                        assert_eq!(*byte, said(*at), "a byte that the peer never said");
                        *at += 1;
                    }
                }
                connection.consume(count);
            }
            5 => {
                let count = usize::from(input.half());
                let space = connection.send_space();
                assert_eq!(connection.send(&vec![7; count]), count.min(space));
            }
            6 => now += Duration::from_millis(u64::from(input.half())),
            _ => match input.byte() {
                0..=7 => connection.abort(),
                8..=31 => connection.finish(),
                _ => {
                    if let Some(at) = connection.next_timeout() {
                        now = now.max(at);
                    }
                    connection.on_timeout(now);
                }
            },
        }
        for sent in 0.. {
            assert!(sent < SEGMENTS_PER_TURN_MAX, "it never stops sending");
            if connection.poll_transmit(now).is_none() {
                break;
            }
        }
        assert!(connection.memory_bytes() < MEMORY_BYTES_MAX);
    }
    if let Some(mut at) = position {
        for byte in connection.received() {
            assert_eq!(*byte, said(at), "a byte that the peer never said");
            at += 1;
        }
    }
}

fn takeover(kind: u8) -> Takeover {
    Takeover {
        send_next: OURS,
        receive_next: THEIRS,
        send_window: 60_000,
        peer_mss: 1460,
        send_scale: kind >> 4,
        receive_scale: kind & 7,
        sack: kind & 0x10 != 0,
        ecn: kind & 0x20 != 0,
        timestamps: None,
        round_trip: None,
        path_mss: 1460,
        path_mss_min: sluice_tcp::limits::PATH_MSS_IPV4_BYTES_MIN,
    }
}

fn segment<'p>(input: &mut Input<'_>, payload: &'p mut Vec<u8>) -> TcpSegment<'p> {
    let flags = TcpFlags::from_bits(input.byte());
    let seq = THEIRS + input.near();
    let ack = OURS + input.near();
    let window = input.half();
    let shape = input.byte();
    let mut segment = TcpSegment {
        seq,
        ack,
        flags,
        window,
        ..TcpSegment::default()
    };
    if shape & 1 != 0 {
        segment.options.timestamps = Some(Timestamps {
            value: input.near(),
            echo: input.near(),
        });
    }
    for _ in 0..(shape >> 1) & 3 {
        segment
            .options
            .sack
            .push(OURS + input.near(), OURS + input.near());
    }
    let len = if shape & 0x80 == 0 {
        usize::from(input.byte())
    } else {
        usize::from(input.half() % 9_000)
    };
    // Text begins behind a SYN.
    let first = seq + u32::from(flags.syn());
    payload.clear();
    payload.extend((0..len).map(|offset| said(first + u32::try_from(offset).unwrap())));
    segment.payload = payload;
    segment
}
