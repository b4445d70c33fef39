use proptest::prelude::*;

use sluice_packet::Timestamps;

use super::*;
use crate::takeover::TimestampClock;
use crate::timestamps::TimestampState;

const LEN: u32 = 100;

/// The obvious scoreboard: one entry per byte.
#[derive(Clone, Copy, Default)]
struct Byte {
    sacked: bool,
    lost: bool,
    resent: bool,
}

struct Reference {
    start: SeqNum,
    acknowledged: usize,
    bytes: Vec<Byte>,
}

impl Reference {
    fn offset(&self, seq: SeqNum) -> usize {
        usize::try_from(ahead(self.start, seq))
            .unwrap()
            .min(self.bytes.len())
    }

    fn waiting(&self) -> &[Byte] {
        &self.bytes[self.acknowledged..]
    }

    fn pipe(&self) -> usize {
        //= https://www.rfc-editor.org/rfc/rfc6675#section-4
        //= type=test
        //# (a) If IsLost (S1) returns false: Pipe is incremented by 1 octet.
        self.waiting()
            .iter()
            .filter(|byte| !byte.sacked && !byte.lost)
            .count()
    }
}

/// An acknowledgement that says nothing of time.
fn arrival(now: Instant) -> Arrival {
    Arrival {
        now,
        rtt_min: Duration::ZERO,
        echo: None,
    }
}

#[derive(Clone, Debug)]
enum Event {
    Send,
    Acknowledge(u32),
    Sack(u32, u32),
    Timeout,
    Resend,
    FirstLost,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => Just(Event::Send),
        2 => (0_u32..30).prop_map(Event::Acknowledge),
        4 => (0_u32..30, 1_u32..6).prop_map(|(from, count)| Event::Sack(from, count)),
        1 => Just(Event::Timeout),
        3 => Just(Event::Resend),
        1 => Just(Event::FirstLost),
    ];
    prop::collection::vec(event, 1..200)
}

fn sent(start: SeqNum, now: Instant) -> Sent {
    Sent {
        start,
        len: LEN,
        syn: false,
        fin: false,
        sent_at: now,
        first_sent_at: now,
        resent: false,
        sacked: false,
        lost: false,
        held_run: 0,
    }
}

proptest! {
    /// Whole segments are acknowledged and reported; what is in the network, held and lost always equals a recount.
    #[test]
    fn p98_the_scoreboard_equals_a_map_of_bytes(isn: u32, events in events()) {
        let start = SeqNum(isn);
        let mut flight = Flight::default();
        let mut reference = Reference { start, acknowledged: 0, bytes: Vec::new() };
        let mut now = Instant::from_secs(1);
        let segment = usize::try_from(LEN).unwrap();
        for event in events {
            now += Duration::from_millis(1);
            let first = start + u32::try_from(reference.acknowledged).unwrap();
            let mut delivered = Delivered::default();
            match event {
                Event::Send => {
                    flight.push(sent(start + u32::try_from(reference.bytes.len()).unwrap(), now));
                    reference.bytes.extend(vec![Byte::default(); segment]);
                }
                Event::Acknowledge(count) => {
                    let to = reference.offset(first + count * LEN / 2);
                    flight.acknowledge(start + u32::try_from(to).unwrap(), &arrival(now), &mut delivered);
                    prop_assert_eq!(usize::try_from(delivered.acknowledged).unwrap(), to - reference.acknowledged);
                    reference.acknowledged = to;
                }
                Event::Sack(from, count) => {
                    // Blocks end where segments end; the first may begin inside one.
                    let left = reference.offset(first + from * LEN);
                    let left = left.div_ceil(segment) * segment;
                    let right = (left + usize::try_from(count).unwrap() * segment).min(reference.bytes.len());
                    if left >= right {
                        continue;
                    }
                    let edge = |offset: usize| start + u32::try_from(offset).unwrap();
                    flight.sack(edge(left), edge(right), &arrival(now), &mut delivered);
                    let mut fresh = 0;
                    for byte in &mut reference.bytes[left..right] {
                        fresh += u32::from(!byte.sacked);
                        *byte = Byte { sacked: true, lost: false, ..*byte };
                    }
                    prop_assert_eq!(delivered.sacked, fresh);
                }
                Event::Timeout => {
                    flight.mark_lost_by_timeout(now, None);
                    let from = reference.acknowledged;
                    let reneged = reference.waiting().first().is_some_and(|byte| byte.sacked);
                    for byte in &mut reference.bytes[from..] {
                        byte.sacked &= !reneged;
                        byte.lost = !byte.sacked;
                    }
                }
                Event::FirstLost => {
                    let len = flight.front().map_or(0, Sent::sequence_len);
                    flight.mark_first_lost();
                    let from = reference.acknowledged;
                    let to = from + usize::try_from(len).unwrap();
                    for byte in &mut reference.bytes[from..to] {
                        byte.lost |= !byte.sacked;
                    }
                }
                Event::Resend => {
                    let expected = reference.waiting().iter().position(|byte| byte.lost);
                    let found = flight.next_lost();
                    prop_assert_eq!(found.is_some(), expected.is_some());
                    let (Some((index, lost)), Some(expected)) = (found, expected) else { continue };
                    prop_assert_eq!(reference.offset(lost.start), reference.acknowledged + expected);
                    let again = flight.resend(index, LEN / 2, now).unwrap();
                    prop_assert!(again.len <= LEN / 2 && again.resent);
                    let at = reference.offset(again.start);
                    for byte in &mut reference.bytes[at..at + usize::try_from(again.len).unwrap()] {
                        byte.lost = false;
                        byte.resent = true;
                    }
                }
            }
            // Record by record: each says of all its bytes what the map says of every one.
            for sent in &flight.segments {
                let from = reference.offset(sent.start);
                let to = reference.offset(sent.end());
                for byte in &reference.bytes[from..to] {
                    prop_assert_eq!((sent.sacked, sent.lost), (byte.sacked, byte.lost));
                    prop_assert!(sent.resent || !byte.resent);
                }
            }
            let held = reference.waiting().iter().filter(|byte| byte.sacked).count();
            prop_assert_eq!(usize::try_from(flight.sacked).unwrap(), held);
            prop_assert_eq!(usize::try_from(flight.pipe()).unwrap(), reference.pipe());
            prop_assert_eq!(flight.has_lost(), reference.waiting().iter().any(|byte| byte.lost));
            prop_assert_eq!(flight.is_empty(), reference.waiting().is_empty());
            prop_assert_eq!(usize::try_from(flight.outstanding()).unwrap(), reference.waiting().len());
        }
    }
}

#[test]
fn p98_what_a_later_segment_overtook_is_lost_after_a_round_trip_and_the_window() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# remaining = Segment.xmit_ts + RACK.rtt + RACK.reo_wnd - Now()
    let start = SeqNum(u32::MAX - 150);
    let mut flight = Flight::default();
    let sent_at = Instant::from_secs(1);
    for index in 0..4 {
        flight.push(sent(start + index * LEN, sent_at));
    }
    let now = sent_at + Duration::from_millis(100);
    let mut delivered = Delivered::default();
    flight.sack(start + LEN, start + 2 * LEN, &arrival(now), &mut delivered);
    let window = Duration::from_millis(25);
    let (marked, until) = flight.mark_lost_by_time(now, window);
    assert_eq!((marked, until), (0, Some(now + window)));
    let (marked, until) = flight.mark_lost_by_time(now + window, window);
    assert_eq!((marked, until), (1, None));
    assert_eq!(
        flight.next_lost().map(|(index, sent)| (index, sent.start)),
        Some((0, start))
    );
    assert_eq!(
        flight.pipe(),
        2 * LEN,
        "two are in the network, one is held, one is lost"
    );
}

#[test]
fn p98_the_round_trip_is_that_of_the_latest_segment_which_an_acknowledgement_tells_of() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# Among all the segments newly ACKed or SACKed by this ACK that pass the checks above, update the RACK.rtt to be
    let start = SeqNum(0);
    let mut flight = Flight::default();
    let begin = Instant::from_secs(1);
    let at = |milliseconds| begin + Duration::from_millis(milliseconds);
    for (index, sent_at) in [(0, 0), (1, 0), (2, 50)] {
        flight.push(sent(start + index * LEN, at(sent_at)));
    }
    let mut delivered = Delivered::default();
    let both = (start + LEN, start + 3 * LEN);
    flight.sack(both.0, both.1, &arrival(at(100)), &mut delivered);
    // Fifty milliseconds, not the hundred of the earlier one.
    let (marked, until) = flight.mark_lost_by_time(at(100), Duration::from_millis(75));
    assert_eq!((marked, until), (0, Some(at(125))));
}

#[test]
fn p98_an_acknowledgement_too_early_for_the_repetition_is_for_the_original() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# 2.  The segment was last retransmitted less than RACK.min_rtt ago.
    let start = SeqNum(0);
    let mut flight = Flight::default();
    let begin = Instant::from_secs(1);
    let at = |milliseconds| begin + Duration::from_millis(milliseconds);
    for index in 0..3 {
        flight.push(sent(start + index * LEN, at(0)));
    }
    let mut delivered = Delivered::default();
    flight.acknowledge(start + LEN, &arrival(at(100)), &mut delivered);
    flight.mark_first_lost();
    let (index, _) = flight.next_lost().unwrap();
    flight.resend(index, LEN, at(110)).unwrap();
    // Ten milliseconds after the repetition: a tenth of the round trip.
    let early = Arrival {
        rtt_min: Duration::from_millis(100),
        ..arrival(at(120))
    };
    flight.acknowledge(start + 2 * LEN, &early, &mut Delivered::default());
    let (marked, until) = flight.mark_lost_by_time(at(150), Duration::ZERO);
    assert_eq!(
        (marked, until),
        (0, None),
        "nothing sent later was delivered"
    );
}

#[test]
fn p98_an_acknowledgement_that_echoes_the_original_tells_nothing_of_the_repetition() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //# 1.  The Timestamp Echo Reply field (TSecr) of the ACK's timestamp option [RFC7323], if available, indicates the
    let begin = Instant::from_secs(1);
    let at = |milliseconds| begin + Duration::from_millis(milliseconds);
    let clock = TimestampState::new(
        TimestampClock {
            value: 7,
            at: begin,
            echo_recent: 0,
        },
        begin,
    );
    for (echoed_at, marked) in [(0, 0), (110, 1)] {
        let start = SeqNum(0);
        let mut flight = Flight::default();
        for index in 0..2 {
            flight.push(sent(start + index * LEN, at(0)));
        }
        flight.mark_first_lost();
        flight.resend(0, LEN, at(110)).unwrap();
        let echo = clock.echoed(Timestamps {
            value: 0,
            echo: clock.now(at(echoed_at)),
        });
        let arrival = Arrival {
            echo: Some(echo),
            ..arrival(at(120))
        };
        flight.acknowledge(start + LEN, &arrival, &mut Delivered::default());
        // What was sent with the original is overtaken by the repetition only.
        let lost = flight.mark_lost_by_time(at(500), Duration::ZERO);
        assert_eq!(lost.0, marked, "echo of {echoed_at} ms");
    }
}

#[test]
fn p98_a_timeout_loses_only_what_is_overdue() {
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.3
    //= type=test
    //# For each segment, Segment, not acknowledged yet:
    let start = SeqNum(0);
    let mut flight = Flight::default();
    let begin = Instant::from_secs(1);
    let at = |milliseconds| begin + Duration::from_millis(milliseconds);
    flight.push(sent(start, at(0)));
    flight.acknowledge(start + LEN, &arrival(at(100)), &mut Delivered::default());
    for (index, sent_at) in [(1, 100), (2, 150), (3, 290)] {
        flight.push(sent(start + index * LEN, at(sent_at)));
    }
    flight.mark_lost_by_timeout(at(300), Some(Duration::from_millis(25)));
    assert_eq!((flight.lost_segments(), flight.pipe()), (2, LEN));
    let mut young = Flight::default();
    young.push(sent(start, at(0)));
    young.acknowledge(start + LEN, &arrival(at(100)), &mut Delivered::default());
    young.push(sent(start + LEN, at(290)));
    young.mark_lost_by_timeout(at(300), Some(Duration::from_millis(25)));
    assert!(young.has_lost(), "the first is lost however young");
}
