//! Segments gathered to be cut, and segments taken together: the same outcome as one by one.

use proptest::prelude::*;
use sluice_packet::{Ecn, SackBlocks, TcpFlags, TcpOptions, TcpSegment, Timestamps};

use super::support::{FIN_ACK, Script, ours, takeover, theirs, with_timestamps};
use crate::{Config, Takeover, limits};

/// What leaves, piece by piece, when new text is gathered.
fn cut(script: &mut Script, bytes_max: u32) -> Vec<(TcpSegment<'static>, Vec<u8>)> {
    let mut seen = Vec::new();
    while let Some(outgoing) = script.connection.poll_transmit_large(script.now, bytes_max) {
        assert!(outgoing.segment.payload.len() <= bytes_max.max(1_460) as usize);
        for piece in outgoing.pieces() {
            let header = TcpSegment {
                seq: piece.seq,
                ack: piece.ack,
                flags: piece.flags,
                window: piece.window,
                urgent: piece.urgent,
                ecn: piece.ecn,
                options: piece.options,
                payload: &[],
            };
            seen.push((header, piece.payload.to_vec()));
        }
        assert!(seen.len() < 10_000, "never stops sending");
    }
    seen
}

fn marked() -> Takeover {
    Takeover {
        ecn: true,
        ..with_timestamps()
    }
}

#[test]
fn new_text_is_gathered_and_its_flags_stand_on_the_right_pieces() {
    let mut script = Script::of(marked(), Config::default());
    script.send(5_000);
    script.drain();
    script.timestamp = Some(Timestamps {
        value: 4_001,
        echo: 70_000,
    });
    // An echoed mark: the next new text announces that the window was reduced.
    script.feed(TcpFlags::ACK | TcpFlags::ECE, 0, 5_000, b"");
    script.send(2_500);
    script.connection.finish();
    let outgoing = script
        .connection
        .poll_transmit_large(script.now, 60_000)
        .unwrap();
    assert_eq!((outgoing.segment.payload.len(), outgoing.cut), (2_500, 988));
    let seen: Vec<_> = outgoing
        .pieces()
        .map(|piece| {
            let flags = piece.flags;
            (
                piece.payload.len(),
                flags.cwr(),
                flags.psh(),
                flags.fin(),
                piece.ecn,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (988, true, false, false, Ecn::Ect0),
            (988, false, false, false, Ecn::Ect0),
            (524, false, true, true, Ecn::Ect0),
        ]
    );
    script.nothing();
}

#[test]
fn what_is_repeated_or_asked_for_singly_is_never_gathered() {
    let mut script = Script::new();
    script.send(9_000);
    for bytes_max in [0, 1_999] {
        let outgoing = script
            .connection
            .poll_transmit_large(script.now, bytes_max)
            .unwrap();
        assert_eq!((outgoing.segment.payload.len(), outgoing.cut), (1_000, 0));
    }
    script.drain();
    script.now = script.connection.next_timeout().unwrap();
    script.connection.on_timeout(script.now);
    let mut again = 0;
    while let Some(outgoing) = script
        .connection
        .poll_transmit_large(script.now, limits::LARGE_SEGMENT_BYTES_MAX)
    {
        assert_eq!(outgoing.cut, 0);
        again += 1;
    }
    assert!(again > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A sender asked for large segments sends, once they are cut, what it would have sent one by one.
    #[test]
    fn cut_segments_equal_single_ones(
        timestamps: bool,
        ecn: bool,
        bytes_max in 0_u32..70_000,
        turns in prop::collection::vec((0_usize..30_000, 0_i32..12_000, any::<bool>(), 0_u64..300), 1..40),
        finish: bool,
    ) {
        let base = if timestamps { with_timestamps() } else { takeover() };
        let base = Takeover { ecn, ..base };
        let mut one = Script::of(base, Config::default());
        let mut other = Script::of(base, Config::default());
        let mut acknowledged = 0;
        let last = turns.len() - 1;
        for (at, (count, more, echo, wait)) in turns.into_iter().enumerate() {
            let mut sent = 0;
            for script in [&mut one, &mut other] {
                sent = script.connection.send(&vec![7; count]);
                if finish && at == last {
                    script.connection.finish();
                }
            }
            let singly = cut(&mut one, 0);
            prop_assert_eq!(&singly, &cut(&mut other, bytes_max));
            prop_assert!(sent <= count);
            let highest = singly.iter().map(|(header, payload)| {
                header.seq.distance(ours(0)) + i32::try_from(payload.len()).unwrap()
            }).max().unwrap_or(acknowledged);
            acknowledged = acknowledged.max(highest.min(acknowledged + more));
            let flags = if echo { TcpFlags::ACK | TcpFlags::ECE } else { TcpFlags::ACK };
            for script in [&mut one, &mut other] {
                script.wait(wait);
                script.feed(flags, 0, acknowledged, b"");
                script.connection.on_timeout(script.now);
            }
            prop_assert_eq!(one.connection.stats(), other.connection.stats());
            prop_assert_eq!(one.connection.next_timeout(), other.connection.next_timeout());
        }
    }
}

/// What each acknowledgement says that goes out while segments of a kilobyte at `starts` are taken together, and at their end.
fn acknowledgements(script: &mut Script, starts: &[i32]) -> Vec<(i32, Vec<(i32, i32)>)> {
    let text = [7; 1_000];
    let segments: Vec<TcpSegment<'_>> = starts
        .iter()
        .map(|start| TcpSegment {
            seq: theirs(*start),
            ack: ours(0),
            flags: TcpFlags::ACK,
            window: script.window,
            payload: &text,
            ..TcpSegment::default()
        })
        .collect();
    let mut said = Vec::new();
    let mut rest = &segments[..];
    while !rest.is_empty() {
        let taken = script.connection.on_train(script.now, rest);
        rest = &rest[taken..];
        said.extend(script.acknowledgement());
    }
    said.extend(script.drain());
    let received = script.connection.received().len();
    script.connection.consume(received);
    said.iter().map(|seen| (seen.ack, seen.sack())).collect()
}

#[test]
fn p98_behind_a_gap_segments_are_acknowledged_one_by_one_even_if_they_come_together() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= type=test
    //# Out-of-order data segments SHOULD be acknowledged immediately
    //= https://www.rfc-editor.org/rfc/rfc2018#section-4
    //= type=test
    //# the data receiver SHOULD include as many distinct SACK blocks as possible in the SACK option
    let mut script = Script::of(takeover(), Config::default());
    let together = acknowledgements(&mut script, &[0, 1_000, 2_000, 3_000, 4_000]);
    assert_eq!(together, [(5_000, vec![])], "one for all on a good path");
    let gaps = acknowledgements(&mut script, &[6_000, 8_000, 10_000, 12_000]);
    assert_eq!(
        gaps,
        [
            (5_000, vec![(6_000, 7_000)]),
            (5_000, vec![(8_000, 9_000), (6_000, 7_000)]),
            (
                5_000,
                vec![(10_000, 11_000), (8_000, 9_000), (6_000, 7_000)]
            ),
            (
                5_000,
                vec![(12_000, 13_000), (10_000, 11_000), (8_000, 9_000)]
            ),
        ]
    );
    let filled = acknowledgements(&mut script, &[5_000, 7_000, 9_000, 11_000]);
    let acknowledged: Vec<i32> = filled.iter().map(|(ack, _)| *ack).collect();
    assert_eq!(acknowledged, [7_000, 9_000, 11_000, 13_000]);
}

#[test]
fn p98_where_segments_get_lost_every_second_one_is_acknowledged_until_none_was_for_long() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= type=test
    //# an ACK SHOULD be generated for at least every second full-sized segment
    let mut script = Script::of(takeover(), Config::default());
    acknowledgements(&mut script, &[1_000, 0]);
    let mut next = 2_000;
    let mut train = |script: &mut Script| {
        let starts: Vec<i32> = (0..16).map(|index| next + index * 1_000).collect();
        next += 16_000;
        acknowledgements(script, &starts).len()
    };
    let closely = usize::from(limits::ACKNOWLEDGED_CLOSELY_SEGMENTS) / 16;
    for _ in 0..closely {
        assert_eq!(train(&mut script), 8);
    }
    assert_eq!(train(&mut script), 1);
}

#[test]
fn p98_every_duplicate_that_comes_in_one_train_is_reported() {
    let mut script = Script::of(takeover(), Config::default());
    acknowledgements(&mut script, &[0, 1_000, 2_000]);
    let again = acknowledgements(&mut script, &[0, 2_000]);
    assert_eq!(
        again,
        [(3_000, vec![(0, 1_000)]), (3_000, vec![(2_000, 3_000)]),]
    );
}

#[test]
fn p98_a_copy_from_far_behind_the_window_is_no_sign_of_loss() {
    for (copy, acknowledged) in [(0, 8), (-1_000_000_000, 1)] {
        let mut script = Script::of(takeover(), Config::default());
        acknowledgements(&mut script, &[0, 1_000]);
        acknowledgements(&mut script, &[copy]);
        let train: Vec<i32> = (2..18).map(|index| index * 1_000).collect();
        assert_eq!(acknowledgements(&mut script, &train).len(), acknowledged);
    }
}

/// One segment of a train: mostly the next one, now and then something else.
#[derive(Clone, Debug)]
struct Car {
    len: usize,
    shift: i32,
    flags: TcpFlags,
    ack: i32,
    window: u16,
    mark: Ecn,
    older: u32,
    sack: bool,
}

fn car() -> impl Strategy<Value = Car> {
    let len = prop_oneof![6 => Just(1_000_usize), 2 => 1_usize..1_400, 1 => Just(0)];
    let shift = prop_oneof![12 => Just(0), 1 => -1_500_i32..3_000, 1 => -90_000_i32..90_000];
    let flags = prop_oneof![
        12 => Just(TcpFlags::ACK),
        4 => Just(TcpFlags::ACK | TcpFlags::PSH),
        1 => Just(FIN_ACK),
        1 => any::<u8>().prop_map(TcpFlags::from_bits),
    ];
    let ack = prop_oneof![8 => Just(0), 1 => 0_i32..6_000, 1 => any::<i32>()];
    let window = prop_oneof![8 => Just(60_000_u16), 1 => any::<u16>(), 1 => Just(0)];
    let mark = prop_oneof![4 => Just(Ecn::Ect0), 1 => Just(Ecn::Ce)];
    let older = prop_oneof![8 => Just(0_u32), 1 => 0_u32..3];
    (len, shift, flags, ack, window, mark, older, 0_u8..12).prop_map(
        |(len, shift, flags, ack, window, mark, older, sack)| Car {
            len,
            shift,
            flags,
            ack,
            window,
            mark,
            older,
            sack: sack == 0,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_train_has_the_outcome_of_its_segments(
        timestamps: bool,
        ecn: bool,
        trains in prop::collection::vec((prop::collection::vec(car(), 1..24), 0_usize..20_000, 0_u64..90), 1..12),
    ) {
        let base = if timestamps { with_timestamps() } else { takeover() };
        let base = Takeover { ecn, ..base };
        let config = Config { recv_buffer_bytes_max: 30_000, ..Config::default() };
        let mut one = Script::of(base, config);
        let mut other = Script::of(base, config);
        let text: Vec<u8> = (0..1_400_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let mut next = 0_i32;
        let mut stamp = 5_000;
        for (cars, consumed, wait) in trains {
            let segments: Vec<TcpSegment<'_>> = cars.iter().map(|car| {
                let mut sack = SackBlocks::default();
                if car.sack {
                    sack.push(ours(1_000), ours(2_000));
                }
                stamp += 1;
                let segment = TcpSegment {
                    seq: theirs(next + car.shift),
                    ack: ours(car.ack),
                    flags: car.flags,
                    window: car.window,
                    urgent: 0,
                    ecn: car.mark,
                    options: TcpOptions {
                        timestamps: timestamps.then_some(Timestamps { value: stamp - car.older * 2, echo: 70_000 }),
                        sack,
                        ..TcpOptions::default()
                    },
                    payload: &text[..car.len],
                };
                if car.shift == 0 {
                    next += i32::try_from(car.len).unwrap();
                }
                segment
            }).collect();
            let mut said = [Vec::new(), Vec::new()];
            for segment in &segments {
                one.connection.on_segment(one.now, segment);
                said[0].extend(one.acknowledgement());
            }
            let mut rest = &segments[..];
            while !rest.is_empty() {
                let taken = other.connection.on_train(other.now, rest);
                prop_assert!(taken > 0);
                rest = &rest[taken..];
                said[1].extend(other.acknowledgement());
            }
            prop_assert_eq!(&said[0], &said[1]);
            for script in [&mut one, &mut other] {
                script.connection.send(&[9; 500]);
            }
            prop_assert_eq!(one.connection.stats(), other.connection.stats());
            prop_assert_eq!(one.connection.next_timeout(), other.connection.next_timeout());
            prop_assert_eq!(one.connection.state(), other.connection.state());
            prop_assert_eq!(one.drain(), other.drain());
            prop_assert_eq!(one.connection.received(), other.connection.received());
            for script in [&mut one, &mut other] {
                script.connection.consume(consumed);
                script.wait(wait);
                script.connection.on_timeout(script.now);
            }
            prop_assert_eq!(one.drain(), other.drain());
        }
    }
}
