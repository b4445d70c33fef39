//! What was sent again for nothing.

use core::time::Duration;

use sluice_packet::Timestamps;

use super::support::{MSS, Script, takeover, with_timestamps};
use crate::{Config, Takeover};

/// Ten segments of a window of ten in flight, sent 50 ms ago over a path of 50 ms; more is queued.
fn full_window(takeover: Takeover) -> Script {
    // The segments carry as much with timestamps as without.
    let stamped = takeover.timestamps.is_some();
    let mss = if stamped { MSS + 12 } else { MSS };
    let takeover = Takeover {
        peer_mss: mss,
        path_mss: mss,
        ..takeover
    };
    let mut script = Script::of(takeover, Config::default());
    script.timestamp = stamped.then(Timestamps::default);
    script.send(1_000);
    script.drain();
    script.wait(50);
    script.timestamp = echo(&script, 50);
    script.ack(1_000);
    script.send(100_000);
    assert_eq!(script.drain().len(), 10);
    script.wait(50);
    script.timestamp = echo(&script, 50);
    script
}

/// The timestamps of a segment that answers one of ours sent `ago` milliseconds ago.
fn echo(script: &Script, ago: u32) -> Option<Timestamps> {
    let elapsed = script.now.micros() / 1_000 - 10_000;
    script.timestamp.map(|_| Timestamps {
        value: 4_000,
        echo: 70_000 + u32::try_from(elapsed).unwrap() - ago,
    })
}

fn taken_back(script: &Script) -> u64 {
    script.connection.stats().reductions_taken_back
}

/// Segments that the window lets out once everything before `ack` is acknowledged.
fn burst(script: &mut Script, ack: i32) -> usize {
    script.ack(ack);
    script.drain().len()
}

#[test]
fn p98_what_came_before_anything_was_sent_again_was_not_lost() {
    for (sent_between, expected, fresh) in [(false, 1, 10), (true, 0, 2)] {
        let mut script = full_window(takeover());
        for end in [3_000, 4_000, 5_000] {
            script.ack_sack(1_000, &[(2_000, end)]);
        }
        assert_eq!(script.connection.stats().fast_recoveries, 1);
        if sent_between {
            assert_eq!(script.spans()[0], (1_000, 1_000), "it is sent again");
        }
        script.ack(6_000);
        assert_eq!(taken_back(&script), expected, "{sent_between}");
        assert_eq!(script.drain().len(), fresh, "{sent_between}");
        script.ack(6_000);
        script.nothing();
    }
}

#[test]
fn p98_an_original_that_comes_after_its_repetition_tells_of_reordering() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# If RACK.reordering_seen is FALSE:
    let mut script = full_window(with_timestamps());
    script.ack_sack(1_000, &[(2_000, 5_000)]);
    assert_eq!(script.spans()[0], (1_000, 1_000));
    script.wait(1);
    script.timestamp = echo(&script, 51);
    script.ack(6_000);
    assert_eq!(taken_back(&script), 1);
    script.drain();
    script.timestamp = echo(&script, 51);
    script.ack_sack(6_000, &[(7_000, 10_000)]);
    assert!(
        script.spans().iter().all(|(seq, _)| *seq > 10_000),
        "what was overtaken by three is given time"
    );
    assert_eq!(script.connection.stats().fast_recoveries, 1);
    let (waited, seen) = script.until_sent();
    assert_eq!((waited.as_millis(), seen[0].span()), (12, (6_000, 1_000)));
}

#[test]
fn p98_duplicates_of_the_network_widen_no_reordering_window_and_hide_none_of_ours() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# If RACK.dsack_round is None AND
    for of_the_network in [0, 5] {
        let mut script = full_window(with_timestamps());
        for _ in 0..of_the_network {
            script.ack_sack(1_000, &[(0, 1_000)]);
        }
        // The path reorders.
        script.ack_sack(1_000, &[(2_000, 5_000)]);
        script.drain();
        script.wait(1);
        script.timestamp = echo(&script, 51);
        script.ack(6_000);
        script.drain();
        script.timestamp = echo(&script, 51);
        script.ack_sack(6_000, &[(7_000, 10_000)]);
        script.drain();
        let (waited, seen) = script.until_sent();
        assert_eq!((waited.as_millis(), seen[0].seq), (12, 6_000));
        // That was too soon.
        script.wait(1);
        script.timestamp = echo(&script, 1);
        script.ack_sack(11_000, &[(6_000, 7_000)]);
        script.drain();
        script.wait(50);
        script.timestamp = echo(&script, 50);
        let next = 11_000;
        script.ack_sack(next, &[(next + 1_000, next + 4_000)]);
        assert!(script.spans().iter().all(|(seq, _)| *seq > next));
        let window = script
            .connection
            .next_timeout()
            .map(|at| at.saturating_since(script.now).as_millis());
        assert_eq!(window, Some(25), "{of_the_network}");
    }
}

#[test]
fn p98_only_the_first_block_reports_a_duplicate_and_only_against_its_own_acknowledgement() {
    //= https://www.rfc-editor.org/rfc/rfc2883#section-5
    //= type=test
    //# If the SACK sequence space is less than this cumulative ACK, it is an indication that the segment identified by the SACK
    //= https://www.rfc-editor.org/rfc/rfc2883#section-5
    //= type=test
    //# If the sequence space in the first SACK block is greater than the cumulative ACK, then the sender next compares the
    let counted = |ack, blocks: &[(i32, i32)]| {
        let mut script = full_window(takeover());
        script.ack(5_000);
        script.drain();
        script.ack_sack(ack, blocks);
        script.connection.stats().duplicate_sacks
    };
    assert_eq!(
        counted(5_000, &[(2_000, 3_000)]),
        1,
        "below the acknowledgement"
    );
    assert_eq!(
        counted(5_000, &[(8_000, 9_000), (7_000, 10_000)]),
        1,
        "inside of the second"
    );
    assert_eq!(
        counted(5_000, &[(7_000, 8_000), (2_000, 3_000)]),
        0,
        "not the first"
    );
    assert_eq!(
        counted(5_000, &[(7_000, 8_000), (9_000, 10_000)]),
        0,
        "held"
    );
    // What was acknowledged before, but is older than what has been acknowledged since.
    assert_eq!(
        counted(2_000, &[(3_000, 4_000)]),
        0,
        "an acknowledgement that was overtaken"
    );
}

#[test]
fn p98_a_window_reduced_for_segments_that_all_came_twice_is_restored() {
    let mut script = full_window(takeover());
    // Three segments come late: those behind them let them seem lost.
    script.ack_sack(1_000, &[(4_000, 9_000)]);
    let repeated = script.spans();
    assert_eq!(
        repeated[..3],
        [(1_000, 1_000), (2_000, 1_000), (3_000, 1_000)]
    );
    script.ack(9_000);
    script.drain();
    script.wait(50);
    for (start, expected) in [(1_000, 0), (2_000, 0), (3_000, 1)] {
        script.ack_sack(9_000, &[(start, start + 1_000)]);
        assert_eq!(taken_back(&script), expected, "the copy of {start}");
    }
    for ack in [11_000, 13_000] {
        script.drain();
        script.ack(ack);
    }
    script.drain();
    let flight = script.connection.stats().bytes_sent - 13_000;
    assert!(
        (10_000..=11_000).contains(&flight),
        "ten segments again: {flight}"
    );
}

#[test]
fn p98_a_window_reduced_for_a_loss_stays_reduced() {
    let mut script = full_window(with_timestamps());
    script.ack_sack(1_000, &[(4_000, 9_000)]);
    script.drain();
    script.wait(50);
    script.timestamp = echo(&script, 50);
    script.ack(9_000);
    script.ack_sack(9_000, &[(2_000, 3_000)]);
    assert_eq!(taken_back(&script), 0, "one of three came twice");
    script.drain();
    let flight = script.connection.stats().bytes_sent - 9_000;
    assert!(flight <= 8_000, "seven tenths of ten segments: {flight}");
}

#[test]
fn p98_a_late_report_of_a_duplicate_restores_nothing() {
    let mut script = full_window(takeover());
    script.ack_sack(1_000, &[(2_000, 9_000)]);
    script.drain();
    script.wait(50);
    script.ack(9_000);
    let sent = 1_000 + i32::try_from(script.drain().len()).unwrap() * 1_000;
    script.wait(50);
    script.ack(11_000);
    script.drain();
    script.wait(50);
    script.ack(11_000 + sent);
    script.drain();
    script.wait(50);
    let next = i32::try_from(script.connection.stats().bytes_sent).unwrap();
    script.ack(next);
    script.ack_sack(next, &[(1_000, 2_000)]);
    assert_eq!(taken_back(&script), 0);
}

#[test]
fn p98_an_acknowledgement_that_echoes_the_first_copy_takes_a_recovery_back() {
    //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
    //= type=test
    //# If the value of the Timestamp Echo Reply field of the acceptable ACK's Timestamps option is smaller than the value
    for (ago, expected) in [(60, 1), (10, 0)] {
        let mut script = full_window(with_timestamps());
        script.ack_sack(1_000, &[(2_000, 6_000)]);
        assert_eq!(script.spans().first(), Some(&(1_000, 1_000)));
        script.wait(10);
        script.timestamp = echo(&script, ago);
        script.ack(6_000);
        assert_eq!(taken_back(&script), expected, "an echo of {ago} ms ago");
    }
}

#[test]
fn p88_a_timeout_that_was_only_a_delay_is_taken_back() {
    for (late, expected) in [(true, 1), (false, 0)] {
        let mut script = full_window(with_timestamps());
        // Nothing is heard: a probe, then the timer.
        while script.connection.stats().timeouts == 0 {
            script.until_sent();
        }
        script.wait(20);
        let since_sent = script.now.micros() / 1_000 - 10_000 - 50;
        let ago = if late {
            u32::try_from(since_sent).unwrap()
        } else {
            20
        };
        script.timestamp = echo(&script, ago);
        let sent = burst(&mut script, 2_000);
        assert_eq!(taken_back(&script), expected);
        let repeated = script.connection.stats().retransmits;
        script.wait(50);
        script.timestamp = echo(&script, 50);
        burst(&mut script, 11_000);
        if late {
            assert_eq!(
                script.connection.stats().retransmits,
                repeated,
                "the rest was on its way"
            );
        } else {
            assert!(sent >= 1, "what else was lost is sent again");
        }
        assert!(
            script
                .now
                .saturating_since(sluice_packet::Instant::from_secs(10))
                < Duration::from_secs(2)
        );
    }
}

#[test]
fn p98_what_the_network_doubled_restores_nothing() {
    let mut script = full_window(takeover());
    script.ack_sack(1_000, &[(2_000, 9_000)]);
    assert_eq!(script.spans().first(), Some(&(1_000, 1_000)));
    script.ack(9_000);
    script.drain();
    for start in [5_000, 7_000] {
        script.ack_sack(9_000, &[(start, start + 1_000)]);
    }
    assert_eq!(
        taken_back(&script),
        0,
        "the one that was sent again was lost"
    );
}

#[test]
fn p98_one_real_loss_among_what_came_late_keeps_the_window_reduced() {
    let mut script = full_window(with_timestamps());
    script.ack_sack(1_000, &[(3_000, 9_000)]);
    assert_eq!(script.spans()[..2], [(1_000, 1_000), (2_000, 1_000)]);
    script.wait(10);
    // The original of the first was only late.
    script.timestamp = echo(&script, 60);
    script.ack_sack(2_000, &[(3_000, 9_000)]);
    // The second is there by its repetition.
    script.wait(10);
    script.timestamp = echo(&script, 20);
    script.ack(9_000);
    assert_eq!(taken_back(&script), 0);
}

#[test]
fn p98_one_report_is_of_one_repetition() {
    for (reports, expected) in [(1, 0), (2, 1)] {
        let mut script = full_window(takeover());
        script.ack_sack(1_000, &[(2_000, 9_000)]);
        assert_eq!(script.spans().first(), Some(&(1_000, 1_000)));
        // The copy is late as well: what was sent behind it is there.
        script.wait(50);
        let behind = i32::try_from(script.connection.stats().bytes_sent).unwrap();
        script.ack_sack(1_000, &[(2_000, behind)]);
        script.wait(20);
        script.connection.on_timeout(script.now);
        assert!(script.spans().len() > 1, "and new text");
        script.wait(20);
        script.ack(behind);
        for _ in 0..reports {
            script.ack_sack(behind, &[(1_000, 2_000)]);
        }
        assert_eq!(script.connection.stats().retransmits, 2);
        assert_eq!(taken_back(&script), expected, "{reports} reports");
    }
}

#[test]
fn p98_a_repetition_that_was_needed_between_originals_keeps_the_window_reduced() {
    let mut script = full_window(with_timestamps());
    script.ack_sack(1_000, &[(4_000, 9_000)]);
    assert_eq!(
        script.spans()[..3],
        [(1_000, 1_000), (2_000, 1_000), (3_000, 1_000)]
    );
    // The second is there by its repetition; the first and the third were only late.
    script.wait(10);
    script.ack_sack(1_000, &[(2_000, 3_000), (4_000, 9_000)]);
    script.timestamp = echo(&script, 60);
    script.ack(9_000);
    assert_eq!(taken_back(&script), 0);
}

#[test]
fn p98_an_acknowledgement_that_reports_a_duplicate_is_not_judged_by_its_timestamp() {
    //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
    //= type=test
    //# If the acceptable ACK carries a DSACK option [RFC2883], then proceed to step (DONE),
    for (reported, expected) in [(&[][..], 1), (&[(3_000, 4_000)][..], 0)] {
        let mut script = full_window(with_timestamps());
        script.ack_sack(1_000, &[(2_000, 6_000)]);
        assert_eq!(script.spans().first(), Some(&(1_000, 1_000)));
        script.wait(10);
        script.timestamp = echo(&script, 60);
        script.ack_sack(6_000, reported);
        assert_eq!(taken_back(&script), expected);
    }
}

#[test]
fn p88_a_window_is_restored_without_a_burst() {
    //= https://www.rfc-editor.org/rfc/rfc4015#section-3.2
    //= type=test
    //# cwnd <- FlightSize + min (bytes_acked, IW)
    let takeover = Takeover {
        send_scale: 6,
        ..with_timestamps()
    };
    let mut script = full_window(takeover);
    script.send(400_000);
    let mut acked = 1_000;
    for _ in 0..4 {
        // An acknowledgement for every two segments.
        let sent = i32::try_from(script.connection.stats().bytes_sent).unwrap();
        while acked < sent {
            acked = (acked + 2_000).min(sent);
            script.timestamp = echo(&script, 50);
            script.ack(acked);
        }
        script.drain();
        script.wait(50);
    }
    let last = script.now;
    let sent = i32::try_from(script.connection.stats().bytes_sent).unwrap();
    assert!(sent - acked > 60_000, "{sent} {acked}");
    while script.connection.stats().timeouts == 0 {
        script.until_sent();
    }
    // Everything was there all the time.
    let ago = script.now.saturating_since(last).as_millis() + 50;
    script.timestamp = echo(&script, u32::try_from(ago).unwrap());
    let next = i32::try_from(script.connection.stats().bytes_sent).unwrap();
    let burst = burst(&mut script, next);
    assert_eq!(taken_back(&script), 1);
    assert!((1..=18).contains(&burst), "{burst} segments at once");
}

#[test]
fn p98_timestamps_that_stand_still_take_nothing_back() {
    for value in [0, 70_003] {
        let mut script = full_window(with_timestamps());
        let still = Timestamps {
            value: 4_000,
            echo: value,
        };
        script.wait(2_000);
        script.timestamp = Some(still);
        script.ack(11_000);
        script.drain();
        script.wait(50);
        // Ten segments are lost.
        let sent = i32::try_from(script.connection.stats().bytes_sent).unwrap();
        assert!(sent >= 22_000, "{sent}");
        script.ack_sack(11_000, &[(21_000, sent)]);
        let mut ack = 11_000;
        let (start, mut rounds) = (script.now, 0);
        while ack < 21_000 {
            for (seq, len) in script.spans() {
                let end = seq + i32::try_from(len).unwrap();
                ack = if seq == ack { end } else { ack };
            }
            rounds += 1;
            script.wait(50);
            script.ack_sack(ack.min(20_999), &[(21_000, sent)]);
            assert!(rounds < 20, "repaired up to {ack}");
        }
        let stats = script.connection.stats();
        assert_eq!((stats.reductions_taken_back, stats.timeouts), (0, 0));
        assert!(script.now.saturating_since(start) <= Duration::from_millis(300));
    }
}
