use core::time::Duration;

use sluice_packet::{TcpFlags, Timestamps};

use super::support::{FIN_ACK, OURS, Script, takeover, with_timestamps};
use crate::{Config, StateName, Takeover};

#[test]
fn bytes_in_order_are_readable_at_once_and_acknowledged() {
    let mut script = Script::new();
    script.data(0, b"hello");
    assert_eq!(script.connection.received(), b"hello");
    assert_eq!(script.one().ack, 5);
    script.connection.consume(2);
    assert_eq!(script.connection.received(), b"llo");
}

#[test]
fn received_bytes_can_be_changed_in_place() {
    let mut script = Script::new();
    script.data(0, b"abc");
    script.connection.received().reverse();
    script.data(3, b"def");
    assert_eq!(script.connection.received(), b"cbadef");
}

#[test]
fn p98_out_of_order_is_acknowledged_at_once_with_the_newest_block_first() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= type=test
    //# the receiver SHOULD send an immediate ACK when it receives a data segment that fills in all or part of a gap
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= type=test
    //# Out-of-order data segments SHOULD be acknowledged immediately
    //= https://www.rfc-editor.org/rfc/rfc2018#section-4
    //= type=test
    //# The first SACK block (i.e., the one immediately following the kind and length fields in the option) MUST specify
    let mut script = Script::new();
    script.data(10, b"0123456789");
    let first = script.one();
    assert_eq!((first.ack, first.sack()), (0, vec![(10, 20)]));
    script.data(30, b"0123456789");
    let second = script.one();
    assert_eq!((second.ack, second.sack()), (0, vec![(30, 40), (10, 20)]));
    script.data(0, b"0123456789");
    let third = script.one();
    assert_eq!((third.ack, third.sack()), (20, vec![(30, 40)]));
    script.data(20, b"0123456789");
    assert_eq!(script.one().ack, 40);
    assert_eq!(script.connection.received().len(), 40);
}

#[test]
fn p98_a_duplicate_is_reported_once() {
    //= https://www.rfc-editor.org/rfc/rfc2883#section-4
    //= type=test
    //# (1) A D-SACK block is only used to report a duplicate contiguous sequence of data received by the receiver in
    let mut script = Script::new();
    script.data(0, b"0123456789");
    script.drain();
    script.data(0, b"01234");
    let reported = script.one();
    assert_eq!((reported.ack, reported.sack()), (10, vec![(0, 5)]));
    script.data(10, b"x");
    assert_eq!(script.one().sack(), []);
}

#[test]
fn p98_without_agreement_no_sack_is_sent() {
    let mut script = Script::of(
        Takeover {
            sack: false,
            ..takeover()
        },
        Config::default(),
    );
    script.data(10, b"0123456789");
    let seen = script.one();
    assert_eq!((seen.ack, seen.sack()), (0, vec![]));
}

#[test]
fn p93_every_second_full_segment_is_acknowledged_at_once_and_one_alone_within_40_ms() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= type=test
    //# an ACK SHOULD be generated for at least every second full-sized segment
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
    //= type=test
    //# the delay MUST be less than 0.5 seconds
    let mut script = Script::new();
    let full = [7; 1_000];
    script.data(0, &full);
    script.nothing();
    script.data(1_000, &full);
    assert_eq!(script.one().ack, 2_000);
    script.data(2_000, &full);
    script.nothing();
    let (waited, seen) = script.until_sent();
    assert_eq!(waited, Duration::from_millis(40));
    assert_eq!(seen[0].ack, 3_000);
}

#[test]
fn p93_a_reply_carries_the_acknowledgement_of_the_request() {
    let mut script = Script::new();
    script.data(0, b"request");
    script.send(100);
    let reply = script.one();
    assert_eq!((reply.span(), reply.ack), ((0, 100), 7));
    // In such a conversation the acknowledgement waits for the reply.
    script.feed(TcpFlags::ACK, 7, 100, b"request");
    script.nothing();
    script.send(100);
    assert_eq!(script.one().ack, 14);
}

#[test]
fn p93_a_window_that_was_closed_opens_only_by_a_full_segment() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.2
    //= type=test
    //# keep RCV.NXT+RCV.WND fixed until the reduction satisfies: RCV.BUFF - RCV.USER - RCV.WND >=
    let config = Config {
        recv_buffer_bytes_max: 4_000,
        ..Config::default()
    };
    let mut script = Script::of(takeover(), config);
    for index in 0..4 {
        script.data(index * 1_000, &[1; 1_000]);
    }
    let last = script.drain().pop().unwrap();
    assert_eq!((last.ack, last.window), (4_000, 0));
    script.connection.consume(500);
    script.nothing();
    script.connection.consume(500);
    assert_eq!(script.one().window, 1_000);
    script.connection.consume(3_000);
    assert_eq!(script.one().window, 4_000);
}

#[test]
fn p92_bytes_beyond_the_window_are_not_taken_and_a_probe_is_answered() {
    let config = Config {
        recv_buffer_bytes_max: 2_000,
        ..Config::default()
    };
    let mut script = Script::of(takeover(), config);
    script.data(0, &[1; 2_000]);
    script.drain();
    script.data(2_000, b"x");
    let answer = script.one();
    assert_eq!((answer.ack, answer.window), (2_000, 0));
    assert_eq!(script.connection.received().len(), 2_000);
}

#[test]
fn the_offered_edge_never_moves_back() {
    let mut script = Script::of(
        Takeover {
            receive_scale: 7,
            ..takeover()
        },
        Config::default(),
    );
    let mut edge = 0;
    let mut seq = 0;
    for round in 0..500 {
        let len = usize::try_from(round % 97 + 1).unwrap();
        script.data(seq, &vec![0; len]);
        seq += i32::try_from(len).unwrap();
        if round % 3 == 0 {
            script.connection.consume(len * 2);
        }
        for seen in script.drain() {
            let offered = seen.ack + (i32::from(seen.window) << 7);
            // The scale's rounding is the only step back.
            assert!(offered + 127 >= edge, "{offered} after {edge}");
            edge = edge.max(offered);
        }
    }
}

#[test]
fn the_window_grows_while_the_application_keeps_up() {
    let config = Config {
        recv_buffer_bytes_max: 1 << 20,
        ..Config::default()
    };
    let mut script = Script::of(
        Takeover {
            receive_scale: 7,
            ..takeover()
        },
        config,
    );
    let mut seq = 0;
    let mut last = 0;
    for _ in 0..4_000 {
        script.data(seq, &[0; 1_000]);
        seq += 1_000;
        script.connection.consume(1_000);
        if let Some(seen) = script.drain().pop() {
            last = u32::from(seen.window) << 7;
        }
    }
    assert!(last > 1_000_000, "{last}");
}

#[test]
fn p97_old_timestamps_are_refused_and_answered() {
    //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
    //= type=test
    //# Send an acknowledgment in reply as specified in Section 3.9 of [RFC0793], page 69, and drop the segment.
    //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
    //= type=test
    //# R1) If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is valid (see
    let mut script = Script::of(with_timestamps(), Config::default());
    script.timestamp = Some(Timestamps {
        value: 5_000,
        echo: 70_000,
    });
    script.data(0, b"new");
    script.drain();
    script.timestamp = Some(Timestamps {
        value: 4_999,
        echo: 70_000,
    });
    script.data(3, b"old");
    assert_eq!(script.connection.received(), b"new");
    assert_eq!(script.one().ack, 3);
    assert_eq!(script.connection.stats().old_timestamps, 1);
    script.timestamp = Some(Timestamps {
        value: 5_000,
        echo: 70_000,
    });
    script.data(3, b"same");
    assert_eq!(script.connection.received(), b"newsame");
}

#[test]
fn p97_a_timestamp_that_proves_nothing_any_more_is_not_held_against_the_peer() {
    let mut script = Script::of(with_timestamps(), Config::default());
    script.timestamp = Some(Timestamps {
        value: 5_000,
        echo: 70_000,
    });
    script.data(0, b"a");
    script.drain();
    script.wait(25 * 24 * 3_600 * 1_000);
    script.timestamp = Some(Timestamps {
        value: 5_000_u32.wrapping_sub(1 << 30),
        echo: 70_000,
    });
    script.data(1, b"b");
    assert_eq!(script.connection.received(), b"ab");
}

#[test]
fn p97_a_reset_is_not_subject_to_timestamps() {
    let mut script = Script::of(with_timestamps(), Config::default());
    script.timestamp = Some(Timestamps { value: 1, echo: 0 });
    script.feed(TcpFlags::RST, 0, 0, b"");
    assert!(script.connection.is_closed());
}

#[test]
fn p97_the_clock_of_the_other_end_goes_on_and_the_peers_value_is_echoed() {
    //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
    //= type=test
    //# SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent
    //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
    //= type=test
    //# Once TSopt has been successfully negotiated, that is both <SYN> and <SYN,ACK> contain TSopt, the TSopt MUST be sent
    //# in every non-<RST> segment for the duration of the connection
    let mut script = Script::of(with_timestamps(), Config::default());
    script.wait(250);
    script.timestamp = Some(Timestamps {
        value: 4_321,
        echo: 70_000,
    });
    script.data(0, b"x");
    assert_eq!(
        script.one().options.timestamps,
        Some(Timestamps {
            value: 70_250,
            echo: 4_321
        })
    );
    script.send(3_000);
    script.connection.finish();
    let seen = script.drain();
    assert!(seen.len() > 3 && seen.iter().all(|seen| seen.options.timestamps.is_some()));
}

#[test]
fn p83_segments_without_or_with_unknown_options_are_taken() {
    let mut script = Script::of(with_timestamps(), Config::default());
    script.data(0, b"no timestamps here");
    assert_eq!(script.connection.received(), b"no timestamps here");
}

#[test]
fn p91_urgent_data_stays_in_line() {
    for (urgent, flags) in [
        (3, TcpFlags::ACK | TcpFlags::URG),
        (0, TcpFlags::ACK | TcpFlags::URG),
        (u16::MAX, TcpFlags::ACK | TcpFlags::URG),
        (3, TcpFlags::ACK),
    ] {
        let mut script = Script::new();
        let segment = sluice_packet::TcpSegment {
            seq: super::support::THEIRS,
            ack: OURS,
            flags,
            window: 1_000,
            urgent,
            payload: b"abc!def",
            ..sluice_packet::TcpSegment::default()
        };
        script.connection.on_segment(script.now, &segment);
        assert_eq!(script.connection.received(), b"abc!def");
        script.send(700);
        let outgoing = script.connection.poll_transmit(script.now).unwrap();
        assert!(!outgoing.segment.flags.urg() && outgoing.segment.urgent == 0);
    }
}

#[test]
fn p91_an_urgent_pointer_without_text_brings_nothing_and_costs_nothing() {
    let mut script = Script::new();
    script.feed(TcpFlags::ACK | TcpFlags::URG, 0, 0, b"");
    assert_eq!(script.connection.received(), b"");
    script.nothing();
}

#[test]
fn e104_nothing_after_a_fin_is_delivered_and_a_contradicting_fin_is_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# This should not occur since a FIN has been received from the remote side. Ignore the segment text.
    let mut script = Script::new();
    script.data(10, b"0123456789");
    // A FIN in the middle of bytes already held.
    script.feed(FIN_ACK, 5, 0, b"56789");
    script.data(0, b"01234");
    assert_eq!(script.connection.received().len(), 20);
    assert!(!script.connection.peer_finished());

    let mut script = Script::new();
    script.feed(FIN_ACK, 5, 0, b"56789");
    script.data(10, b"0123456789");
    script.data(0, b"01234");
    assert_eq!(script.connection.received(), b"0123456789");
    assert_eq!(script.connection.state(), StateName::CloseWait);
}

#[test]
fn a_steady_relay_takes_no_more_memory() {
    let mut script = Script::new();
    let mut settled = 0;
    for round in 0..2_000 {
        let seq = round * 1_000;
        script.feed(TcpFlags::ACK, seq, seq, &[3; 1_000]);
        script.connection.consume(1_000);
        script.send(1_000);
        script.drain();
        script.wait(1);
        script.feed(TcpFlags::ACK, seq + 1_000, seq + 1_000, b"");
        if round == 100 {
            settled = script.connection.memory_bytes();
        }
    }
    assert_eq!(script.connection.memory_bytes(), settled);
}

#[test]
fn memory_is_given_back_when_idle() {
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= type=test
    //# (5.2) When all outstanding data has been acknowledged, turn off the retransmission timer.
    let mut script = Script::new();
    let fresh = script.connection.memory_bytes();
    script.data(0, &[1; 1_000]);
    script.send(5_000);
    script.drain();
    assert!(script.connection.memory_bytes() > fresh + 5_000);
    script.connection.consume(1_000);
    script.feed(TcpFlags::ACK, 1_000, 5_000, b"");
    script.drain();
    let at = script
        .connection
        .next_timeout()
        .expect("the release timer runs");
    script.now = at;
    script.connection.on_timeout(at);
    script.drain();
    let at = script.connection.next_timeout().unwrap_or(at);
    script.now = at;
    script.connection.on_timeout(at);
    assert_eq!(script.connection.memory_bytes(), fresh);
    assert_eq!(
        script.connection.next_timeout(),
        None,
        "an idle connection costs no timer"
    );
}

#[test]
fn p92_at_a_closed_window_acknowledgements_and_resets_are_heard() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to accept valid
    let config = Config {
        recv_buffer_bytes_max: 2_000,
        ..Config::default()
    };
    let mut script = Script::of(takeover(), config);
    script.send(500);
    script.drain();
    script.data(0, &[1; 1_000]);
    script.data(1_000, &[1; 1_000]);
    assert_eq!(script.one().window, 0);
    script.feed(TcpFlags::ACK, 2_000, 500, b"");
    assert!(script.connection.all_sent_acknowledged());
    script.feed(TcpFlags::RST, 2_000, 0, b"");
    assert!(script.connection.is_closed());
}
