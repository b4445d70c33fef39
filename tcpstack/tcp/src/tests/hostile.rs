//! Whatever segments come and whatever the application does: no panic, no endless sending, bounded memory.

use proptest::prelude::*;
use sluice_packet::{TcpFlags, Timestamps};

use super::support::{Script, takeover, with_timestamps};
use crate::{Config, Keepalive, Takeover};

#[derive(Clone, Debug)]
enum Event {
    Segment {
        flags: u8,
        seq: i32,
        ack: i32,
        len: usize,
        window: u16,
        sack: Vec<(i32, i32)>,
        timestamp: Option<u32>,
    },
    Send(usize),
    Consume(usize),
    Wait(u64),
    Timer,
    Finish,
    Abort,
    Reserve(usize),
}

/// Mostly near what is expected, now and then anywhere.
fn offset() -> impl Strategy<Value = i32> {
    prop_oneof![4 => -50_i32..3_000, 3 => 0_i32..70_000, 1 => any::<i32>()]
}

fn segment() -> impl Strategy<Value = Event> {
    let flags = prop_oneof![6 => Just(0x10_u8), 2 => Just(0x11), 1 => any::<u8>()];
    let window = prop_oneof![Just(0_u16), 1_u16..3_000, any::<u16>()];
    let sack = prop::collection::vec((offset(), offset()), 0..4);
    let timestamp = prop::option::of(prop_oneof![4_000_u32..5_000, any::<u32>()]);
    (
        flags,
        offset(),
        offset(),
        0_usize..2_000,
        window,
        sack,
        timestamp,
    )
        .prop_map(
            |(flags, seq, ack, len, window, sack, timestamp)| Event::Segment {
                flags,
                seq,
                ack,
                len,
                window,
                sack,
                timestamp,
            },
        )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        20 => segment(),
        6 => (0_usize..20_000).prop_map(Event::Send),
        4 => (0_usize..20_000).prop_map(Event::Consume),
        4 => (0_u64..2_000).prop_map(Event::Wait),
        8 => Just(Event::Timer),
        1 => Just(Event::Finish),
        1 => Just(Event::Reserve(700)),
        1 => Just(Event::Abort),
    ];
    prop::collection::vec(event, 1..150)
}

fn apply(script: &mut Script, event: Event) {
    match event {
        Event::Segment {
            flags,
            seq,
            ack,
            len,
            window,
            sack,
            timestamp,
        } => {
            script.window = window;
            script.timestamp = timestamp.map(|value| Timestamps {
                value,
                echo: 70_000,
            });
            script.feed_sack(
                TcpFlags::from_bits(flags),
                seq,
                ack,
                &vec![0x55; len],
                &sack,
            );
        }
        Event::Send(count) => {
            script.connection.send(&vec![0xaa; count]);
        }
        Event::Consume(count) => script.connection.consume(count),
        Event::Wait(milliseconds) => script.wait(milliseconds),
        Event::Timer => {
            if let Some(at) = script.connection.next_timeout() {
                script.now = script.now.max(at);
            }
        }
        Event::Finish => script.connection.finish(),
        Event::Reserve(count) => {
            if let Some(space) = script.connection.send_reserve(count) {
                space.fill(1);
                script.connection.send_commit(count);
            }
        }
        Event::Abort => script.connection.abort(),
    }
    script.connection.on_timeout(script.now);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn e105_no_input_breaks_a_bound(
        timestamps: bool,
        sack: bool,
        scale in 0_u8..15,
        keepalive: bool,
        events in events(),
    ) {
        let takeover = if timestamps { with_timestamps() } else { takeover() };
        let takeover = Takeover { sack, receive_scale: scale, send_scale: scale, ..takeover };
        let idle = core::time::Duration::from_secs(1);
        let config = Config {
            recv_buffer_bytes_max: 40_000,
            send_buffer_bytes_max: 40_000,
            keepalive: keepalive.then_some(Keepalive { idle, interval: idle, probes: 3 }),
            ..Config::default()
        };
        let mut script = Script::of(takeover, config);
        for event in events {
            apply(&mut script, event);
            let sent = script.drain();
            // What was queued and never acknowledged is at most what one burst can be.
            prop_assert!(sent.len() <= 40_000 / 64 + 50, "{} segments at once", sent.len());
            for seen in sent {
                prop_assert!(seen.payload.len() <= 1_000);
            }
            // Two growing buffers, their slack, and the records of what is in flight.
            let bound = 4 * (40_000 + 32_768 * 2) + 400_000;
            prop_assert!(script.connection.memory_bytes() <= bound, "{}", script.connection.memory_bytes());
            prop_assert!(script.connection.received().len() <= 40_000.max(2 << scale));
        }
    }
}
