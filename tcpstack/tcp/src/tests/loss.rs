use core::time::Duration;

use super::support::{Script, takeover};
use crate::{CloseReason, Config, CongestionAlgorithm, Takeover};

/// A script with a round-trip time of 50 ms measured and 10 segments in flight.
fn in_flight(takeover: Takeover, config: Config) -> Script {
    let mut script = Script::of(takeover, config);
    script.send(1_000);
    script.drain();
    script.wait(50);
    script.ack(1_000);
    script.send(10_000);
    assert_eq!(script.spans().len(), 10);
    script.wait(50);
    script
}

#[test]
fn p88_the_timeout_repeats_the_first_segment_and_doubles() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //# Furthermore, upon a timeout (as specified in [RFC2988]) cwnd MUST be set to no more than the loss window, LW,
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= type=test
    //# (5.1) Every time a packet containing data is sent (including a retransmission), if the timer is not running, start
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= type=test
    //# (5.4) Retransmit the earliest segment that has not been acknowledged by the TCP receiver.
    let mut script = Script::of(
        Takeover {
            sack: false,
            ..takeover()
        },
        Config::default(),
    );
    script.send(3_000);
    assert_eq!(script.spans().len(), 3);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (waited, seen) = script.until_sent();
        assert_eq!(seen.len(), 1, "the loss window is one segment");
        assert_eq!(seen[0].seq, 0);
        waits.push(waited.as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8]);
}

#[test]
fn p89_unacknowledged_data_is_given_up_after_r2() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
    //= type=test
    //# When the number of transmissions of the same segment reaches a threshold R2 greater than R1, close the connection.
    let mut script = Script::new();
    script.send(100);
    script.drain();
    let start = script.now;
    while !script.connection.is_closed() {
        script.until_sent();
    }
    assert_eq!(script.connection.closed_by(), Some(CloseReason::TimedOut));
    let waited = script.now.saturating_since(start);
    assert!(
        waited >= Duration::from_secs(100),
        "RFC 9293 asks for 100 s at least: {waited:?}"
    );
    assert!(waited <= Duration::from_secs(200), "{waited:?}");
}

#[test]
fn p98_three_duplicate_acknowledgements_repeat_the_first_segment() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-2
    //= type=test
    //# An acknowledgment is considered a "duplicate" in the following algorithms when (a) the receiver of the ACK has
    //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
    //= type=test
    //# If this ACK does *not* acknowledge all of the data up to and including recover, then this is a partial ACK. In
    let config = Config {
        congestion: CongestionAlgorithm::NewReno,
        ..Config::default()
    };
    let mut script = in_flight(
        Takeover {
            sack: false,
            ..takeover()
        },
        config,
    );
    script.ack(1_000);
    script.ack(1_000);
    script.drain();
    script.ack(1_000);
    let repeated = script.spans();
    assert_eq!(repeated.first(), Some(&(1_000, 1_000)));
    assert_eq!(script.connection.stats().fast_recoveries, 1);
    // A partial acknowledgement repeats the next hole without waiting.
    script.ack(4_000);
    assert_eq!(script.spans().first(), Some(&(4_000, 1_000)));
    script.ack(11_000);
    script.nothing();
    assert_eq!(script.connection.stats().timeouts, 0);
}

#[test]
fn p98_sack_repeats_exactly_the_holes() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# If RACK.reordering_seen is FALSE:
    let mut script = in_flight(takeover(), Config::default());
    script.ack_sack(1_000, &[(2_000, 3_000)]);
    script.ack_sack(1_000, &[(4_000, 6_000), (2_000, 3_000)]);
    let mut repeated = script.spans();
    script.ack_sack(1_000, &[(7_000, 11_000), (4_000, 6_000), (2_000, 3_000)]);
    repeated.extend(script.spans());
    assert_eq!(repeated, [(1_000, 1_000), (3_000, 1_000), (6_000, 1_000)]);
    assert_eq!(script.connection.stats().fast_recoveries, 1);
}

#[test]
fn p98_a_lost_repetition_is_repeated_again_without_a_timeout() {
    let mut script = in_flight(takeover(), Config::default());
    script.send(20_000);
    script.ack_sack(1_000, &[(2_000, 9_000)]);
    let first = script.spans();
    assert_eq!(first[0], (1_000, 1_000));
    let fresh = first.last().copied().unwrap();
    assert!(fresh.0 >= 11_000, "new data goes with it: {first:?}");
    // New data sent after the repetition arrives, the repetition did not.
    script.wait(51);
    script.ack_sack(1_000, &[(11_000, fresh.0 + 1_000), (2_000, 9_000)]);
    let again = match script.spans() {
        spans if spans.is_empty() => script
            .until_sent()
            .1
            .iter()
            .map(super::support::Seen::span)
            .collect(),
        spans => spans,
    };
    assert!(again.contains(&(1_000, 1_000)), "{again:?}");
    assert_eq!(script.connection.stats().timeouts, 0);
}

#[test]
fn p98_reordering_within_a_quarter_of_the_round_trip_repeats_nothing() {
    let mut script = in_flight(takeover(), Config::default());
    script.ack_sack(1_000, &[(2_000, 3_000)]);
    script.nothing();
    script.wait(5);
    script.ack(3_000);
    script.ack(11_000);
    script.nothing();
    assert_eq!(script.connection.stats().retransmits, 0);
}

#[test]
fn p98_a_lost_tail_is_probed_before_the_timeout() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
    //= type=test
    //# PTO = 2 * SRTT
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //= type=test
    //# If such an unsent segment is not available, then the sender SHOULD retransmit the highest-sequence segment
    let mut script = in_flight(takeover(), Config::default());
    script.ack(10_000);
    let (waited, seen) = script.until_sent();
    assert_eq!(seen[0].span(), (10_000, 1_000));
    assert!(waited < Duration::from_millis(200), "{waited:?}");
    assert_eq!(script.connection.stats().tail_probes, 1);
    script.wait(50);
    script.ack(11_000);
    assert_eq!(script.connection.stats().timeouts, 0);
}

#[test]
fn p98_a_duplicate_report_is_counted_and_changes_no_data() {
    //= https://www.rfc-editor.org/rfc/rfc2883#section-5
    //= type=test
    //# If the SACK sequence space is less than this cumulative ACK, it is an indication that the segment
    let mut script = in_flight(takeover(), Config::default());
    script.ack_sack(5_000, &[(2_000, 3_000)]);
    assert_eq!(script.connection.stats().duplicate_sacks, 1);
    script.nothing();
    script.ack(11_000);
    assert!(script.connection.all_sent_acknowledged());
}

#[test]
fn p98_absurd_sack_blocks_are_ignored() {
    let mut script = in_flight(takeover(), Config::default());
    script.ack_sack(1_000, &[(3_000, 2_000), (5_000, 500_000), (11_000, 12_000)]);
    script.nothing();
    assert_eq!(script.connection.stats().fast_recoveries, 0);
}

#[test]
fn p98_a_peer_that_drops_what_it_held_is_served_again() {
    //= https://www.rfc-editor.org/rfc/rfc2018#section-8
    //= type=test
    //# the data receiver is permitted to discard data in its queue that has not been acknowledged to the data sender
    let mut script = in_flight(takeover(), Config::default());
    script.ack_sack(1_000, &[(2_000, 11_000)]);
    script.drain();
    // It forgot everything but the first.
    script.ack(2_000);
    script.drain();
    let mut served = Vec::new();
    for _ in 0..40 {
        if script.connection.all_sent_acknowledged() {
            break;
        }
        let (_, seen) = script.until_sent();
        let end = seen.last().map_or(0, |seen| {
            seen.seq + i32::try_from(seen.payload.len()).unwrap()
        });
        served.extend(seen.iter().map(super::support::Seen::span));
        script.ack(end);
    }
    assert!(script.connection.all_sent_acknowledged(), "{served:?}");
}

#[test]
fn a_loss_halves_the_window_and_a_timeout_starts_over() {
    let config = Config {
        congestion: CongestionAlgorithm::NewReno,
        ..Config::default()
    };
    let mut script = in_flight(takeover(), config);
    script.send(50_000);
    script.ack_sack(1_000, &[(2_000, 5_000)]);
    let repeated = script.spans();
    assert_eq!(repeated[0], (1_000, 1_000));
    script.wait(50);
    script.ack(11_000);
    let burst = script.spans();
    assert!(burst.len() <= 6, "half of ten segments: {burst:?}");
}

#[test]
fn p98_acknowledgements_that_come_together_make_no_window_look_smaller_to_cubic() {
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
    //= type=test
    //# Some implementations of CUBIC currently use _cwnd_ instead of _flight_size_ when calculating a new _ssthresh_.
    //# Implementations that use _cwnd_ MUST use other measures to prevent _cwnd_ from growing when the volume of bytes in
    //# flight is smaller than _cwnd_.
    use CongestionAlgorithm::{Cubic, NewReno};
    for (congestion, filled, segments) in [
        (Cubic, true, 11),
        (Cubic, false, 3),
        (NewReno, true, 3),
        (NewReno, false, 3),
    ] {
        let config = Config {
            congestion,
            ..Config::default()
        };
        let mut script = in_flight(takeover(), config);
        if filled {
            script.send(50_000);
            script.nothing();
        }
        script.ack(7_000);
        script.ack_sack(7_000, &[(8_000, 11_000)]);
        let mut sent = script.spans();
        assert_eq!(sent.remove(0), (7_000, 1_000));
        script.wait(50);
        if !filled {
            script.send(50_000);
        }
        sent.extend(script.spans());
        script.ack(11_000);
        sent.extend(script.spans());
        assert_eq!(sent.len(), segments, "{congestion:?} {filled} {sent:?}");
    }
}

#[test]
fn p84_a_partly_acknowledged_segment_is_repeated_from_there() {
    let mut script = Script::new();
    script.send(1_000);
    script.drain();
    script.ack(300);
    let (_, seen) = script.until_sent();
    assert_eq!(seen[0].span(), (300, 700));
    assert_eq!(seen[0].payload[0], u8::try_from(300 % 251).unwrap());
}

#[test]
fn p98_a_second_probe_waits_for_a_round_trip_measured_since_the_first() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //= type=test
    //# 1.  First, there is no other previous loss probe still in flight.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //= type=test
    //# 2.  Second, the sender has obtained an RTT measurement since the last loss probe transmission or the start of the
    for measured in [false, true] {
        let mut script = in_flight(takeover(), Config::default());
        script.ack(10_000);
        script.until_sent();
        script.wait(50);
        // Both copies came: what is acknowledged was sent twice, and tells no round trip.
        script.ack_sack(11_000, &[(10_000, 11_000)]);
        if measured {
            script.send(1_000);
            script.drain();
            script.wait(50);
            script.ack(12_000);
        }
        script.send(1_000);
        script.drain();
        script.until_sent();
        let stats = script.connection.stats();
        let expected = if measured { (2, 0) } else { (1, 1) };
        assert_eq!((stats.tail_probes, stats.timeouts), expected);
    }
}

#[test]
fn p98_a_probe_goes_out_in_place_of_a_timeout_that_comes_sooner() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
    //= type=test
    //# If Now() + PTO > TCP_RTO_expiration():
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //= type=test
    //# After attempting to send a loss probe, regardless of whether a loss probe was sent, the sender MUST re-arm the
    let mut script = Script::new();
    let mut acknowledged = 0;
    for _ in 0..40 {
        script.send(1_000);
        script.drain();
        script.wait(150);
        acknowledged += 1_000;
        script.ack(acknowledged);
    }
    script.send(1_000);
    script.drain();
    let (waited, _) = script.until_sent();
    assert!(
        waited < Duration::from_millis(300),
        "two round trips: {waited:?}"
    );
    let stats = script.connection.stats();
    assert_eq!((stats.tail_probes, stats.timeouts), (1, 0));
    let (again, _) = script.until_sent();
    assert!(again >= Duration::from_millis(200), "{again:?}");
    assert_eq!(script.connection.stats().timeouts, 1);
}

/// What the peer says of a probe that repeats bytes 10 000 to 11 000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing but that they are there: the original was lost.
    Repaired,
    /// Both copies in one acknowledgement.
    Duplicate,
    /// The original first, then the probe: a flow that was held back and then let go.
    OriginalFirst,
    /// The same by a peer that reports no duplicates.
    Unreported,
}

#[test]
fn p98_a_probe_that_repaired_a_loss_reduces_the_window_and_one_that_was_not_needed_does_not() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2
    //= type=test
    //# If the TLP sender does not receive such an indication, then it MUST assume that the original data segment,
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2
    //= type=test
    //# Else If ACK is a DupAck without any SACK option:
    for answer in [
        Answer::Repaired,
        Answer::Duplicate,
        Answer::OriginalFirst,
        Answer::Unreported,
    ] {
        let config = Config {
            congestion: CongestionAlgorithm::NewReno,
            ..Config::default()
        };
        let mut script = in_flight(takeover(), config);
        script.ack(10_000);
        let (_, probe) = script.until_sent();
        assert_eq!(probe[0].span(), (10_000, 1_000));
        script.wait(50);
        if answer != Answer::Duplicate {
            script.ack(11_000);
        }
        match answer {
            Answer::Repaired => {}
            Answer::Duplicate | Answer::OriginalFirst => {
                script.ack_sack(11_000, &[(10_000, 11_000)]);
            }
            Answer::Unreported => script.ack(11_000),
        }
        script.send(1_000);
        script.drain();
        script.wait(50);
        script.ack(12_000);
        script.send(100_000);
        let burst = script.drain().len();
        assert_eq!(
            burst < 10,
            answer == Answer::Repaired,
            "{answer:?}: {burst} segments"
        );
        assert_eq!(script.connection.stats().timeouts, 0);
    }
}

#[test]
fn p98_a_lost_tail_is_probed_from_the_first_segment_on_if_the_round_trip_is_known() {
    for (round_trip, expected_ms) in [(Some(20), 80), (None, 1_000)] {
        let takeover = Takeover {
            round_trip: round_trip.map(Duration::from_millis),
            ..takeover()
        };
        let mut script = Script::of(takeover, Config::default());
        script.send(500);
        script.drain();
        let before = script.now;
        script.until_sent();
        let waited = script.now.saturating_since(before);
        assert_eq!(waited, Duration::from_millis(expected_ms), "{round_trip:?}");
    }
}
