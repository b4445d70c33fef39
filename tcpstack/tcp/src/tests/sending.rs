use core::time::Duration;

use sluice_packet::{TcpFlags, Timestamps};

use super::support::{MSS, Script, takeover, with_timestamps};
use crate::{CloseReason, Config, Keepalive, Takeover};

#[test]
fn p88_an_idle_sender_starts_with_ten_segments() {
    //= https://www.rfc-editor.org/rfc/rfc6928#section-2
    //= type=test
    //# min (10*MSS, max (2*MSS, 14600))
    let mut script = Script::new();
    script.send(20_000);
    let spans = script.spans();
    assert_eq!(spans.len(), 10);
    assert_eq!(spans[9], (9_000, 1_000));
    script.ack(1_000);
    assert_eq!(
        script.spans(),
        [(10_000, 1_000), (11_000, 1_000)],
        "slow start: two for one"
    );
}

#[test]
fn p93_what_is_queued_leaves_at_once_however_small() {
    let mut script = Script::new();
    script.send(10_010);
    assert_eq!(script.spans().len(), 10);
    script.ack(10_000);
    assert_eq!(script.spans(), [(10_000, 10)]);
    script.send(5);
    let seen = script.one();
    assert_eq!(seen.span(), (10_010, 5));
    assert!(seen.flags.psh());
}

#[test]
fn p84_segments_respect_the_smaller_mss_less_the_options() {
    //= https://www.rfc-editor.org/rfc/rfc6691#section-2
    //= type=test
    //# When calculating the value to put in the TCP MSS option, the MTU value SHOULD be decreased by only the size of the
    let small = Takeover {
        peer_mss: 900,
        ..with_timestamps()
    };
    let mut script = Script::of(small, Config::default());
    script.send(2_000);
    assert_eq!(script.spans()[0].1, 888);
    let narrow = Takeover {
        path_mss: 700,
        ..takeover()
    };
    let mut script = Script::of(narrow, Config::default());
    script.send(2_000);
    assert_eq!(script.spans()[0].1, 700);
}

#[test]
fn p84_sack_blocks_take_their_room_from_the_payload() {
    let mut script = Script::of(with_timestamps(), Config::default());
    script.data(10, b"ahead");
    script.data(30, b"ahead");
    script.send(2_000);
    let seen = script.drain();
    assert_eq!(seen[0].sack().len(), 2);
    assert_eq!(seen[0].payload.len(), usize::from(MSS) - 12 - 4 - 16);
}

#[test]
fn p84_a_path_that_narrows_cuts_what_is_sent_again() {
    let mut script = Script::new();
    script.send(2_000);
    assert_eq!(script.spans(), [(0, 1_000), (1_000, 1_000)]);
    script.connection.set_path_mss(600);
    let mut again = Vec::new();
    while !script.connection.all_sent_acknowledged() {
        let seen = match script.drain() {
            seen if seen.is_empty() => script.until_sent().1,
            seen => seen,
        };
        let end = seen
            .iter()
            .map(|seen| seen.seq + i32::try_from(seen.payload.len()).unwrap())
            .max()
            .unwrap();
        again.extend(seen.iter().map(|seen| seen.payload.len()));
        script.ack(if again.len() > 1 { end } else { 0 });
    }
    assert!(again.iter().all(|len| *len <= 600), "{again:?}");
}

#[test]
fn p84_an_absurdly_small_mss_is_not_honoured() {
    let mut script = Script::of(
        Takeover {
            peer_mss: 1,
            ..takeover()
        },
        Config::default(),
    );
    script.send(200);
    assert_eq!(script.spans()[0].1, 64);
}

#[test]
fn p93_the_sender_does_not_fill_slivers_of_a_window() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
    //= type=test
    //# (1) if a maximum-sized segment can be sent, i.e., if: min(D,U) >= Eff.snd.MSS;
    let mut script = Script::new();
    script.window = 3_000;
    script.ack(0);
    script.send(5_000);
    assert_eq!(script.spans(), [(0, 1_000), (1_000, 1_000), (2_000, 1_000)]);
    script.window = 100;
    script.ack(3_000);
    script.nothing();
    // Only the probe timer overrides.
    let (_, seen) = script.until_sent();
    assert_eq!(seen[0].span(), (3_000, 100));
}

#[test]
fn p97_windows_are_scaled_up_to_14() {
    let mut script = Script::of(
        Takeover {
            send_scale: 14,
            ..takeover()
        },
        Config::default(),
    );
    script.window = 1;
    script.ack(0);
    script.send(20_000);
    let sent: usize = script.spans().iter().map(|span| span.1).sum();
    assert_eq!(sent, 10_000, "a window of 16 KiB admits the initial window");
    script.ack(10_000);
    let sent: usize = script.spans().iter().map(|span| span.1).sum();
    assert_eq!(sent, 10_000);
}

#[test]
fn p92_a_closed_window_is_probed_for_ever_and_opens() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //= type=test
    //# The sending TCP peer must regularly transmit at least one octet of new data (if available), or retransmit to the
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //= type=test
    //# As long as the receiving TCP peer continues to send acknowledgments in response to the probe segments, the
    let mut script = Script::new();
    script.window = 0;
    script.ack(0);
    script.send(3_000);
    script.nothing();
    let mut gaps = Vec::new();
    for _ in 0..20 {
        let (waited, seen) = script.until_sent();
        assert_eq!(seen[0].span(), (0, 1), "one byte of new data");
        gaps.push(waited);
        script.ack(0);
        script.nothing();
    }
    assert!(gaps[1] >= gaps[0] * 2, "{gaps:?}");
    assert_eq!(gaps[19], Duration::from_secs(60));
    script.window = 60_000;
    script.ack(0);
    assert_eq!(script.spans(), [(0, 1_000), (1_000, 1_000), (2_000, 1_000)]);
}

#[test]
fn p92_a_probe_that_the_peer_takes_counts_as_sent() {
    let mut script = Script::new();
    script.window = 0;
    script.ack(0);
    script.send(3_000);
    script.nothing();
    script.until_sent();
    script.window = 60_000;
    script.ack(1);
    assert_eq!(script.spans(), [(1, 1_000), (1_001, 1_000), (2_001, 999)]);
}

#[test]
fn p92_unanswered_probes_end_the_connection() {
    let mut script = Script::new();
    script.window = 0;
    script.ack(0);
    script.send(3_000);
    script.drain();
    while !script.connection.is_closed() {
        script.until_sent();
    }
    assert_eq!(script.connection.closed_by(), Some(CloseReason::TimedOut));
    assert!(script.now.micros() >= 130_000_000);
}

#[test]
fn p92_a_window_shrunk_below_what_is_in_flight_is_survived() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
    //= type=test
    //# a sending TCP peer MUST be robust against window shrinking, which may cause the "usable window" (see Section
    let mut script = Script::new();
    script.send(5_000);
    assert_eq!(script.spans().len(), 5);
    script.window = 500;
    script.ack(1_000);
    script.nothing();
    let (_, seen) = script.until_sent();
    assert_eq!(
        seen[0].span(),
        (1_000, 1_000),
        "the first segment only: {seen:?}"
    );
    assert_eq!(seen.len(), 1);
    script.window = 60_000;
    script.ack(2_000);
    let spans = script.spans();
    assert_eq!(spans.first(), Some(&(2_000, 1_000)));
}

#[test]
fn p92_a_reset_at_a_closed_window_is_honoured() {
    let mut script = Script::new();
    script.window = 0;
    script.ack(0);
    script.send(10);
    script.feed(TcpFlags::RST, 0, 0, b"");
    assert_eq!(script.connection.closed_by(), Some(CloseReason::PeerReset));
}

#[test]
fn p90_keepalive_probes_an_idle_peer_and_gives_up() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //= type=test
    //# SEG.SEQ = SND.NXT-1
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //= type=test
    //# if a keep-alive mechanism is implemented it MUST NOT interpret failure to respond to any specific probe as a dead
    let keepalive = Keepalive {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(5),
        probes: 3,
    };
    let config = Config {
        keepalive: Some(keepalive),
        ..Config::default()
    };
    let mut script = Script::of(takeover(), config);
    let (waited, seen) = script.until_sent();
    assert_eq!(waited, Duration::from_secs(30));
    assert_eq!((seen[0].seq, seen[0].payload.len()), (-1, 0));
    script.ack(0);
    let (waited, _) = script.until_sent();
    assert_eq!(waited, Duration::from_secs(30), "an answer starts over");
    for _ in 0..2 {
        assert_eq!(script.until_sent().0, Duration::from_secs(5));
    }
    let (_, seen) = script.until_sent();
    assert!(seen[0].flags.rst());
    assert_eq!(script.connection.closed_by(), Some(CloseReason::TimedOut));
}

#[test]
fn p90_keepalive_is_off_by_default() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //= type=test
    //# If keep-alives are included, the application MUST be able to turn them on or off for each TCP connection, and they
    assert_eq!(Script::new().connection.next_timeout(), None);
}

#[test]
fn bytes_are_written_in_place() {
    let mut script = Script::new();
    let space = script.connection.send_reserve(100).unwrap();
    space[..3].copy_from_slice(b"abc");
    script.connection.send_commit(3);
    assert_eq!(script.one().payload, b"abc");
    assert!(script.connection.send_reserve(usize::MAX).is_none());
}

#[test]
fn d125_the_send_queue_is_bounded() {
    let mut script = Script::of(
        takeover(),
        Config {
            send_buffer_bytes_max: 5_000,
            ..Config::default()
        },
    );
    assert_eq!(script.connection.send(&[0; 9_000]), 5_000);
    assert_eq!(script.connection.send_space(), 0);
    script.drain();
    script.ack(2_000);
    assert_eq!(script.connection.send_space(), 2_000);
}

#[test]
fn p88_round_trips_are_measured_by_timestamps_when_segments_were_repeated() {
    let mut script = Script::of(with_timestamps(), Config::default());
    script.send(100);
    script.drain();
    let (_, seen) = script.until_sent();
    let echo = seen[0].options.timestamps.unwrap().value;
    script.wait(30);
    script.timestamp = Some(Timestamps { value: 4_001, echo });
    script.ack(100);
    assert_eq!(script.connection.stats().srtt_us, 30_000);
}

#[test]
fn p88_karn_without_timestamps_a_repeated_segment_is_never_timed() {
    //= https://www.rfc-editor.org/rfc/rfc6298#section-3
    //= type=test
    //# RTT samples MUST NOT be made using segments that were retransmitted (and thus for which it is ambiguous whether
    let mut script = Script::new();
    script.send(100);
    script.drain();
    script.until_sent();
    script.wait(30);
    script.ack(100);
    assert_eq!(script.connection.stats().srtt_us, 0);
}

#[test]
fn p88_a_sender_that_was_idle_starts_from_the_initial_window() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
    //= type=test
    //# a TCP SHOULD set cwnd to no more than RW before beginning transmission if the TCP has not sent data in an interval
    let mut script = Script::new();
    script.send(60_000);
    let mut acknowledged = 0;
    while acknowledged < 60_000 {
        acknowledged += i32::try_from(script.drain().len()).unwrap() * 1_000;
        script.wait(10);
        script.ack(acknowledged);
    }
    script.send(30_000);
    assert_eq!(script.drain().len(), 30, "the window has grown");
    script.ack(90_000);
    script.wait(1_000);
    script.send(30_000);
    assert_eq!(script.drain().len(), 10);
}

#[test]
fn p88_progress_restarts_the_retransmission_timer() {
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= type=test
    //# (5.3) When an ACK is received that acknowledges new data, restart the retransmission timer so that it will
    let mut script = Script::of(
        Takeover {
            sack: false,
            ..takeover()
        },
        Config::default(),
    );
    script.send(2_000);
    script.drain();
    script.wait(200);
    script.ack(1_000);
    let restarted = script.now;
    let (_, seen) = script.until_sent();
    assert_eq!(seen[0].span(), (1_000, 1_000));
    // One sample of 200 ms: the timeout is 200 + 4 * 100 ms from the last progress on.
    assert_eq!(
        script.now.saturating_since(restarted),
        Duration::from_millis(600)
    );
}

#[test]
fn p92_an_older_segment_does_not_change_the_window() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND, set SND.WL1 <-
    let mut script = Script::new();
    script.data(0, b"ab");
    script.drain();
    script.window = 3_000;
    script.feed(TcpFlags::ACK, 2, 0, b"");
    // Sent before it and overtaken on the way.
    script.window = 60_000;
    script.feed(TcpFlags::ACK, 1, 0, b"");
    script.send(9_000);
    assert_eq!(script.drain().len(), 3);
}

#[test]
fn p92_a_newer_acknowledgement_on_old_text_brings_its_window() {
    let mut script = Script::new();
    script.send(4_000);
    assert_eq!(script.spans().len(), 4);
    // The peer's second segment comes before its first, which it sends again with a newer acknowledgement.
    script.window = 8_000;
    script.feed(TcpFlags::ACK, 10, 1_000, b"ahead");
    script.window = 3_000;
    script.feed(TcpFlags::ACK, 0, 2_000, b"behind");
    script.drain();
    script.send(8_000);
    let (at, len) = script.spans().pop().unwrap();
    let end = at + i32::try_from(len).unwrap();
    assert!(end <= 5_000, "the window offered last is kept to: {end}");
}
