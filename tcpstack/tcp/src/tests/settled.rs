//! Where everything that was sent is settled, what an acknowledgement that says nothing new would do is left out: the outcome
//! is the same.

use core::time::Duration;

use proptest::prelude::*;
use sluice_packet::{TcpFlags, TcpOptions, TcpSegment, Timestamps};

use super::support::{FIN_ACK, Script, ours, takeover, theirs, with_timestamps};
use crate::{Config, CongestionAlgorithm, Keepalive, Takeover, limits};

/// Of one segment of a train.
const TEXT: [u8; 1_000] = [3; 1_000];

#[test]
fn what_is_in_flight_or_was_just_repaired_is_not_settled() {
    let mut script = Script::new();
    script.ack(0);
    assert!(script.connection.is_settled(), "nothing was ever sent");
    script.send(3_000);
    script.drain();
    assert!(!script.connection.is_settled());
    script.ack(2_000);
    assert!(!script.connection.is_settled(), "a segment is in flight");
    script.ack(3_000);
    assert!(script.connection.is_settled());
    script.data(0, b"text");
    script.drain();
    assert!(
        script.connection.is_settled(),
        "acknowledgements are not in flight"
    );
    script.send(5_000);
    script.drain();
    script.feed_sack(TcpFlags::ACK, 4, 3_000, b"", &[(4_000, 8_000)]);
    script.drain();
    script.feed(TcpFlags::ACK, 4, 8_000, b"");
    assert!(
        !script.connection.is_settled(),
        "reports of duplicates may follow the repair"
    );
    script.feed(TcpFlags::ACK, 4, 8_000, b"");
    assert!(script.connection.is_settled(), "none has followed");
}

#[test]
fn memory_that_is_kept_for_a_while_is_told_of_and_given_back() {
    let mut script = Script::new();
    script.ack(0);
    let idle = script.connection.memory_bytes();
    script.send(60_000);
    while let Some((seq, len)) = script.spans().last() {
        script.ack(seq + i32::try_from(*len).unwrap());
    }
    assert!(script.connection.is_settled());
    assert!(script.connection.memory_bytes() > idle);
    script.wait(limits::BUFFER_IDLE_MS);
    script.connection.on_timeout(script.now);
    assert_eq!(script.connection.memory_bytes(), idle);
}

#[test]
fn a_closed_window_and_its_probe_are_not_settled() {
    let mut script = Script::new();
    script.window = 0;
    script.ack(0);
    assert!(!script.connection.is_settled());
    script.send(100);
    script.nothing();
    let (_, probe) = script.until_sent();
    assert_eq!(probe.len(), 1);
    script.ack(0);
    assert!(!script.connection.is_settled());
    script.window = 60_000;
    script.ack(0);
    assert!(
        !script.connection.is_settled(),
        "the probe may be acknowledged yet"
    );
    script.ack(1);
    assert!(script.connection.is_settled(), "the probe was taken");
    script.drain();
    assert!(!script.connection.is_settled(), "the rest is in flight");
}

#[derive(Clone, Debug)]
enum Event {
    /// Text so far from where it would go on.
    Text(usize, i32),
    /// An acknowledgement of so much more, or one that was overtaken.
    Acknowledge(i32),
    /// The same, with text held behind it.
    Selective(i32, i32, i32),
    /// An acknowledgement that echoes a mark.
    Echo,
    Window(u16),
    Send(usize),
    Take(usize),
    Wait(u64),
    TooBig(u16),
    /// Segments of text that come together.
    Train(usize),
    Finish,
    PeerFinish,
}

fn event() -> impl Strategy<Value = Event> {
    let shift = prop_oneof![6 => Just(0), 1 => -1_500_i32..3_000];
    let more = prop_oneof![3 => Just(0), 3 => Just(100_000), 2 => 0_i32..6_000, 1 => -6_000_i32..0];
    let window = prop_oneof![4 => Just(60_000_u16), 1 => Just(0), 1 => any::<u16>()];
    let wait = prop_oneof![4 => 0_u64..30, 1 => 0_u64..3_000];
    prop_oneof![
        8 => (1_usize..1_400, shift).prop_map(|(len, shift)| Event::Text(len, shift)),
        6 => more.prop_map(Event::Acknowledge),
        2 => (0_i32..3_000, -4_000_i32..4_000, 1_i32..4_000)
            .prop_map(|(more, from, len)| Event::Selective(more, from, len)),
        1 => Just(Event::Echo),
        1 => window.prop_map(Event::Window),
        4 => (1_usize..9_000).prop_map(Event::Send),
        4 => (0_usize..4_000).prop_map(Event::Take),
        5 => wait.prop_map(Event::Wait),
        1 => (300_u16..1_000).prop_map(Event::TooBig),
        2 => (2_usize..12).prop_map(Event::Train),
        1 => Just(Event::Finish),
        1 => Just(Event::PeerFinish),
    ]
}

/// All that a connection knows, but whether it is settled.
fn knowledge(script: &Script) -> String {
    format!("{:?}", script.connection).replace("all_settled: true", "all_settled: false")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn what_is_left_out_would_change_nothing(
        timestamps: bool,
        ecn: bool,
        sack: bool,
        reno: bool,
        keeps_alive: bool,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let base = if timestamps { with_timestamps() } else { takeover() };
        let base = Takeover { ecn, sack, ..base };
        let congestion = if reno { CongestionAlgorithm::NewReno } else { CongestionAlgorithm::Cubic };
        let keepalive = keeps_alive.then_some(Keepalive {
            idle: Duration::from_secs(2),
            interval: Duration::from_secs(1),
            probes: 2,
        });
        let config = Config { congestion, keepalive, recv_buffer_bytes_max: 30_000, ..Config::default() };
        let mut scripts = [Script::of(base, config), Script::of(base, config)];
        let (mut next, mut sent, mut acknowledged) = (0_i32, 0_i32, 0_i32);
        for (stamp, event) in (0..).zip(events) {
            let ack = match event {
                Event::Acknowledge(more) | Event::Selective(more, ..) => (acknowledged + more).min(sent),
                _ => acknowledged,
            };
            for (number, script) in scripts.iter_mut().enumerate() {
                script.timestamp = timestamps.then_some(Timestamps { value: 5_000 + stamp, echo: 70_000 });
                if number > 0 {
                    script.connection.unsettle();
                }
                match &event {
                    Event::Text(len, shift) => script.feed(TcpFlags::ACK, next + shift, ack, &vec![3; *len]),
                    Event::Acknowledge(_) => script.feed(TcpFlags::ACK, next, ack, b""),
                    Event::Selective(_, from, len) => {
                        script.feed_sack(TcpFlags::ACK, next, ack, b"", &[(ack + from, ack + from + len)]);
                    }
                    Event::Train(count) => {
                        let segments: Vec<_> = (0..*count).map(|at| TcpSegment {
                            seq: theirs(next + i32::try_from(at).unwrap() * 1_000),
                            ack: ours(ack),
                            flags: TcpFlags::ACK,
                            window: script.window,
                            options: TcpOptions { timestamps: script.timestamp, ..TcpOptions::default() },
                            payload: &TEXT,
                            ..TcpSegment::default()
                        }).collect();
                        let taken = script.connection.on_train(script.now, &segments);
                        script.connection.on_train(script.now, &segments[taken..]);
                    }
                    Event::Finish => script.connection.finish(),
                    Event::PeerFinish => script.feed(FIN_ACK, next, ack, b""),
                    Event::Echo => script.feed(TcpFlags::ACK | TcpFlags::ECE, next, ack, b""),
                    Event::Window(window) => script.window = *window,
                    Event::Send(count) => {
                        script.connection.send(&vec![7; *count]);
                    }
                    Event::Take(count) => script.connection.consume(*count),
                    Event::Wait(milliseconds) => {
                        script.wait(*milliseconds);
                        script.connection.on_timeout(script.now);
                    }
                    Event::TooBig(path_mss) => {
                        script.connection.on_packet_too_big(script.now, ours(acknowledged), *path_mss);
                    }
                }
            }
            match event {
                Event::Text(len, 0) => next += i32::try_from(len).unwrap(),
                Event::Train(count) => next += i32::try_from(count).unwrap() * 1_000,
                _ => {}
            }
            acknowledged = acknowledged.max(ack);
            prop_assert_eq!(knowledge(&scripts[0]), knowledge(&scripts[1]));
            let [one, other] = &mut scripts;
            other.connection.unsettle();
            let said = one.drain();
            prop_assert_eq!(&said, &other.drain());
            for seen in said {
                let fin = i32::from(seen.flags.fin());
                sent = sent.max(seen.seq + i32::try_from(seen.payload.len()).unwrap() + fin);
            }
            prop_assert_eq!(knowledge(one), knowledge(other));
            prop_assert_eq!(one.connection.next_timeout(), other.connection.next_timeout());
            prop_assert_eq!(one.connection.memory_bytes(), other.connection.memory_bytes());
        }
    }
}
