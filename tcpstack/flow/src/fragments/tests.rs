use super::*;
use proptest::prelude::*;
use sluice_packet::{
    Encapsulation, Frame, PathTemplate, SegmentId, SeqNum, TcpFlags, TcpSegment, TestBuf,
    VlanStack, emit, parse,
};

mod fate;

const SEGMENT: SegmentId = SegmentId(0);
const NOW: Instant = Instant::from_secs(1);

fn path(v6: bool, tunnel: Option<Encapsulation>) -> PathTemplate {
    let (one, other) = if v6 {
        ("[fd00::1]:40000", "[fd00::2]:443")
    } else {
        ("10.0.0.1:40000", "10.0.0.2:443")
    };
    PathTemplate::new(
        [2; 6],
        [4; 6],
        VlanStack::single(5),
        one.parse().unwrap(),
        other.parse().unwrap(),
    )
    .within(tunnel)
}

fn whole(path: &PathTemplate, payload: &[u8]) -> Vec<u8> {
    let segment = TcpSegment {
        seq: SeqNum(7),
        ack: SeqNum(9),
        flags: TcpFlags::ACK,
        payload,
        ..TcpSegment::default()
    };
    let mut frame = vec![0; 200 + payload.len()];
    let len = emit(&mut frame, path, &segment, &[]).unwrap();
    frame.truncate(len);
    frame
}

/// One part of a datagram, as a host or router would send it.
#[derive(Clone, Debug)]
struct Cut {
    offset: usize,
    data: Vec<u8>,
    more: bool,
}

/// Cuts the data of the IP datagram at `at` in `frame` at multiples of eight.
fn cuts(frame: &[u8], at: usize, places: &[usize]) -> Vec<Cut> {
    let header = if frame[at] >> 4 == 6 { 40 } else { 20 };
    let data = &frame[at + header..];
    let mut bounds: Vec<usize> = places.iter().map(|place| place / 8 * 8).collect();
    bounds.extend([0, data.len()]);
    bounds.retain(|bound| *bound <= data.len());
    bounds.sort_unstable();
    bounds.dedup();
    bounds
        .windows(2)
        .map(|pair| Cut {
            offset: pair[0],
            data: data[pair[0]..pair[1]].to_vec(),
            more: pair[1] < data.len(),
        })
        .collect()
}

/// The frame of a part. `frame` is the whole's, whose datagram at `at` was cut.
fn part(frame: &[u8], at: usize, id: u16, cut: &Cut) -> Vec<u8> {
    let mut made = frame[..at].to_vec();
    if frame[at] >> 4 == 6 {
        made.extend(&frame[at..at + 40]);
        made[at + 6] = 44;
        let length = u16::try_from(8 + cut.data.len()).unwrap();
        made[at + 4..at + 6].copy_from_slice(&length.to_be_bytes());
        made.extend([frame[at + 6], 0]);
        let field = u16::try_from(cut.offset).unwrap() | u16::from(cut.more);
        made.extend(field.to_be_bytes());
        made.extend(u32::from(id).to_be_bytes());
    } else {
        made.extend(&frame[at..at + 20]);
        let length = u16::try_from(20 + cut.data.len()).unwrap();
        made[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
        made[at + 4..at + 6].copy_from_slice(&id.to_be_bytes());
        let field = u16::try_from(cut.offset / 8).unwrap() | u16::from(cut.more) << 13;
        made[at + 6..at + 8].copy_from_slice(&field.to_be_bytes());
        checksum(&mut made[at..at + 20]);
    }
    made.extend(&cut.data);
    // A tunnel around it is as much shorter as the part is.
    if at > 18 {
        let length = u16::try_from(made.len() - 18).unwrap();
        if made[18] >> 4 == 6 {
            made[22..24].copy_from_slice(&(length - 40).to_be_bytes());
        } else {
            made[20..22].copy_from_slice(&length.to_be_bytes());
            checksum(&mut made[18..38]);
        }
    }
    made
}

fn checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let mut sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// What a whole datagram's frame is after reassembly: IPv4 loses DF, which a fragmented datagram has not.
fn rejoined(frame: &[u8], at: usize, id: u16) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if frame[at] >> 4 == 4 {
        frame[at + 4..at + 6].copy_from_slice(&id.to_be_bytes());
        frame[at + 6] = 0;
        checksum(&mut frame[at..at + 20]);
    }
    frame
}

#[derive(Default)]
struct Bench {
    reassembler: Reassembler<TestBuf>,
    back: Vec<(Vec<u8>, Unreassembled)>,
}

impl Bench {
    fn offer_at(&mut self, frame: &[u8], side: Side, now: Instant) -> Option<Packet<TestBuf>> {
        let Frame::Fragment(fragment) = parse(SEGMENT, frame) else {
            panic!("{:?}", parse(SEGMENT, frame));
        };
        let back = &mut self.back;
        self.reassembler.offer(
            Packet::Whole(TestBuf(frame.to_vec())),
            &fragment,
            side,
            now,
            &mut |frame, why| back.push((frame.0, why)),
        )
    }

    fn offer(&mut self, frame: &[u8]) -> Option<Packet<TestBuf>> {
        self.offer_at(frame, Side::A, NOW)
    }

    fn reasons(&self) -> Vec<Unreassembled> {
        self.back.iter().map(|(_, why)| *why).collect()
    }
}

fn tunnels() -> Vec<(bool, Option<Encapsulation>)> {
    let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let (one6, other6) = ("fd01::1".parse().unwrap(), "fd01::2".parse().unwrap());
    vec![
        (false, None),
        (true, None),
        (false, Some(Encapsulation::gre(one, other, Some(5), false))),
        (true, Some(Encapsulation::ip_in_ip(one, other, true))),
        (false, Some(Encapsulation::ip_in_ip(one6, other6, false))),
        (true, Some(Encapsulation::gre(one6, other6, None, true))),
    ]
}

#[test]
fn e111_a_datagram_is_put_together_in_any_order_and_its_fragments_are_kept() {
    for (v6, tunnel) in tunnels() {
        let path = path(v6, tunnel);
        let frame = whole(&path, &[0x5a; 3000]);
        let at = 18 + path.outer_bytes();
        let parts: Vec<_> = cuts(&frame, at, &[8, 1480, 2000])
            .iter()
            .map(|cut| part(&frame, at, 77, cut))
            .collect();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]] {
            let mut bench = Bench::default();
            for index in &order[..3] {
                assert!(bench.offer(&parts[*index]).is_none());
            }
            assert_eq!(bench.reassembler.packets(), 3);
            let packet = bench.offer(&parts[order[3]]).unwrap();
            assert_eq!(packet.frame(), rejoined(&frame, at, 77));
            let Frame::Tcp(tcp) = parse(SEGMENT, packet.frame()) else {
                panic!("{:?}", parse(SEGMENT, packet.frame()));
            };
            assert!(tcp.checksum_ok(packet.frame()));
            let mut came = Vec::new();
            packet.each(&mut |fragment| came.push(fragment.0));
            assert_eq!(came, order.map(|index| parts[index].clone()));
            assert_eq!(
                (bench.reassembler.packets(), bench.reassembler.bytes()),
                (0, 0)
            );
            assert_eq!(bench.reassembler.next_timeout(), None);
            assert!(bench.back.is_empty());
        }
    }
}

#[test]
fn e111_f5_an_outer_datagram_that_was_cut_is_put_together_before_the_inner_one() {
    let outer = Encapsulation::gre([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), None, false);
    let path = path(false, Some(outer));
    let frame = whole(&path, &[0x5a; 1000]);
    let at = 18 + path.outer_bytes();
    let mut bench = Bench::default();
    let mut came = 0;
    let mut result = None;
    for inner in cuts(&frame, at, &[512]) {
        let inner = part(&frame, at, 1, &inner);
        for outer in cuts(&inner, 18, &[256]) {
            came += 1;
            let outer = part(&inner, 18, 100 + came, &outer);
            // Each half of the inner datagram has an identification of its own outside.
            let mut outer = outer;
            outer[22..24].copy_from_slice(&(100 + came.div_ceil(2)).to_be_bytes());
            checksum(&mut outer[18..38]);
            if let Some(packet) = bench.offer(&outer) {
                let Frame::Fragment(fragment) = parse(SEGMENT, packet.frame()) else {
                    panic!("{:?}", parse(SEGMENT, packet.frame()));
                };
                let back = &mut bench.back;
                result =
                    bench
                        .reassembler
                        .offer(packet, &fragment, Side::A, NOW, &mut |frame, why| {
                            back.push((frame.0, why));
                        });
            }
        }
    }
    let packet = result.unwrap();
    assert_eq!((packet.frames(), bench.back.len()), (4, 0));
    assert!(matches!(parse(SEGMENT, packet.frame()), Frame::Tcp(tcp) if tcp.payload_len() == 1000));
    assert_eq!(bench.reassembler.packets(), 0);
}

#[test]
fn e111_any_overlap_spoils_the_whole_datagram_and_what_comes_later_of_it() {
    //= https://www.rfc-editor.org/rfc/rfc5722#section-4
    //= type=test
    //# When reassembling an IPv6 datagram, if one or more its constituent
    for v6 in [false, true] {
        let frame = whole(&path(v6, None), &[0x5a; 400]);
        let all = cuts(&frame, 18, &[200]);
        let (first, second) = (&all[0], &all[1]);
        for overlap in [
            // The same bytes, but not the same fragment.
            Cut {
                data: first.data[..64].to_vec(),
                ..first.clone()
            },
            Cut {
                offset: 8,
                data: first.data[8..].to_vec(),
                more: true,
            },
            // The same place and length, other bytes.
            Cut {
                data: vec![0xee; first.data.len()],
                ..first.clone()
            },
            // Tiny, over the ports.
            Cut {
                data: first.data[..8].to_vec(),
                ..first.clone()
            },
            Cut {
                offset: 192,
                data: vec![1; 16],
                more: true,
            },
        ] {
            let mut bench = Bench::default();
            assert!(bench.offer(&part(&frame, 18, 9, first)).is_none());
            assert!(bench.offer(&part(&frame, 18, 9, &overlap)).is_none());
            assert_eq!(bench.reasons(), [Unreassembled::Overlap; 2], "{overlap:?}");
            // Neither the rest nor all of it again makes it whole.
            for cut in [second, first, second] {
                assert!(bench.offer(&part(&frame, 18, 9, cut)).is_none());
            }
            assert_eq!(bench.reasons(), [Unreassembled::Overlap; 5]);
            // Another datagram of the same ends is not harmed.
            assert!(bench.offer(&part(&frame, 18, 10, first)).is_none());
            assert!(bench.offer(&part(&frame, 18, 10, second)).is_some());
            // Neither is one of the same number that comes in at the other side, once the first is forgotten here.
            assert!(
                bench
                    .offer_at(&part(&frame, 18, 9, first), Side::B, NOW)
                    .is_none()
            );
            assert!(
                bench
                    .offer_at(&part(&frame, 18, 9, second), Side::B, NOW)
                    .is_some()
            );
        }
    }
}

#[test]
fn e111_an_exact_duplicate_changes_nothing() {
    let frame = whole(&path(false, None), &[0x5a; 400]);
    let all = cuts(&frame, 18, &[200]);
    let parts: Vec<_> = all.iter().map(|cut| part(&frame, 18, 9, cut)).collect();
    let mut bench = Bench::default();
    assert!(bench.offer(&parts[1]).is_none());
    assert!(bench.offer(&parts[1]).is_none());
    let packet = bench.offer(&parts[0]).unwrap();
    assert_eq!(
        (packet.frames(), bench.reasons()),
        (2, vec![Unreassembled::Duplicate])
    );
}

#[test]
fn e111_fragments_that_contradict_each_other_or_themselves() {
    let frame = whole(&path(false, None), &[0x5a; 400]);
    let first = Cut {
        offset: 0,
        data: vec![1; 200],
        more: true,
    };
    for (cut, why) in [
        (
            Cut {
                offset: 200,
                data: vec![1; 13],
                more: true,
            },
            Unreassembled::Malformed,
        ),
        (
            Cut {
                offset: 200,
                data: vec![],
                more: true,
            },
            Unreassembled::Malformed,
        ),
        (
            Cut {
                offset: 65_528,
                data: vec![1; 16],
                more: false,
            },
            Unreassembled::Malformed,
        ),
    ] {
        let mut bench = Bench::default();
        assert!(bench.offer(&part(&frame, 18, 9, &first)).is_none());
        assert!(bench.offer(&part(&frame, 18, 9, &cut)).is_none());
        assert_eq!(bench.reasons(), [why; 2], "{cut:?}");
    }
    // Bytes behind the end, and an end before bytes.
    let end = Cut {
        offset: 200,
        data: vec![1; 8],
        more: false,
    };
    let behind = Cut {
        offset: 208,
        data: vec![1; 8],
        more: true,
    };
    for pair in [[&end, &behind], [&behind, &end]] {
        let mut bench = Bench::default();
        assert!(bench.offer(&part(&frame, 18, 9, pair[0])).is_none());
        assert!(bench.offer(&part(&frame, 18, 9, pair[1])).is_none());
        assert_eq!(bench.reasons(), [Unreassembled::Malformed; 2]);
    }
    // A header that its receiver drops teaches nothing.
    let mut bad = part(&frame, 18, 9, &first);
    bad[28] ^= 1;
    let mut bench = Bench::default();
    assert!(bench.offer(&bad).is_none());
    assert_eq!(bench.reasons(), [Unreassembled::Malformed]);
    assert_eq!(bench.reassembler.next_timeout(), None);
}

#[test]
fn e111_congestion_marks_of_fragments_are_the_whole_s() {
    let frame = whole(&path(false, None), &[0x5a; 400]);
    let all = cuts(&frame, 18, &[200]);
    for (marks, expected) in [
        ([0b10, 0b11], Some(0b11)),
        ([0b01, 0b01], Some(0b01)),
        ([0b10, 0b10], Some(0b10)),
        ([0b00, 0b10], Some(0b00)),
        ([0b00, 0b11], None),
    ] {
        let mut bench = Bench::default();
        let mut packet = None;
        for (cut, mark) in all.iter().zip(marks) {
            let mut part = part(&frame, 18, 9, cut);
            part[19] |= mark;
            checksum(&mut part[18..38]);
            packet = bench.offer(&part);
        }
        let mark = packet.map(|packet| packet.frame()[19] & 0b11);
        assert_eq!(mark, expected, "{marks:?}");
    }
}

#[test]
fn e111_what_never_gets_whole_is_given_up_in_time() {
    for (v6, wait) in [(false, 30), (true, 60)] {
        let frame = whole(&path(v6, None), &[0x5a; 400]);
        let all = cuts(&frame, 18, &[200]);
        let mut bench = Bench::default();
        for id in 0..40 {
            assert!(bench.offer(&part(&frame, 18, id, &all[0])).is_none());
        }
        let due = NOW + Duration::from_secs(wait);
        assert_eq!(bench.reassembler.next_timeout(), Some(due));
        let back = &mut bench.back;
        let mut give_back = |frame: TestBuf, why| back.push((frame.0, why));
        assert!(
            !bench
                .reassembler
                .expire(due - Duration::from_micros(1), &mut give_back)
        );
        // A few per call.
        assert!(bench.reassembler.expire(due, &mut give_back));
        assert!(bench.reassembler.expire(due, &mut give_back));
        assert!(!bench.reassembler.expire(due, &mut give_back));
        assert_eq!(bench.reasons(), [Unreassembled::TimedOut; 40]);
        assert_eq!(bench.reassembler.packets(), 0);
        // The rest comes too late.
        assert!(
            bench
                .offer_at(&part(&frame, 18, 3, &all[1]), Side::A, due)
                .is_none()
        );
    }
}

#[test]
fn e112_a_flood_of_fragments_takes_no_more_than_its_share() {
    let frame = whole(&path(false, None), &[0x5a; 1400]);
    let all = cuts(&frame, 18, &[1000]);
    let mut bench = Bench::default();
    for id in 0..5_000 {
        assert!(bench.offer(&part(&frame, 18, id, &all[0])).is_none());
        assert!(bench.reassembler.packets() <= FRAGMENT_PACKETS_HELD_MAX);
        assert!(bench.reassembler.bytes() <= FRAGMENT_BYTES_HELD_MAX);
    }
    assert_eq!(bench.reassembler.packets(), FRAGMENTED_DATAGRAMS_MAX);
    let full = bench
        .reasons()
        .iter()
        .filter(|why| **why == Unreassembled::Full)
        .count();
    assert_eq!(full, 5_000 - FRAGMENTED_DATAGRAMS_MAX);
    // The youngest are there yet.
    assert!(bench.offer(&part(&frame, 18, 4_999, &all[1])).is_some());
    // Many fragments in few datagrams.
    let frame = whole(&path(false, None), &[0x5a; 60_000]);
    let mut bench = Bench::default();
    for id in 0..100 {
        for cut in &cuts(&frame, 18, &(0..50).map(|n| n * 1200).collect::<Vec<_>>())[1..] {
            assert!(bench.offer(&part(&frame, 18, id, cut)).is_none());
            assert!(bench.reassembler.packets() <= FRAGMENT_PACKETS_HELD_MAX);
            assert!(bench.reassembler.bytes() <= FRAGMENT_BYTES_HELD_MAX);
        }
    }
    assert!(bench.reassembler.packets() > FRAGMENT_PACKETS_HELD_MAX - FRAGMENTS_PER_DATAGRAM_MAX);
}

#[test]
fn e111_a_datagram_cut_too_fine_is_dropped() {
    let frame = whole(&path(false, None), &[0x5a; 1400]);
    let places: Vec<usize> = (0..200).map(|n| n * 8).collect();
    let all = cuts(&frame, 18, &places);
    assert!(all.len() > FRAGMENTS_PER_DATAGRAM_MAX);
    let mut bench = Bench::default();
    for cut in &all {
        assert!(bench.offer(&part(&frame, 18, 1, cut)).is_none());
    }
    assert_eq!(bench.reasons(), vec![Unreassembled::TooMany; all.len()]);
}

proptest! {
    #[test]
    fn e111_any_cut_in_any_order_with_duplicates_gives_exactly_the_datagram(
        which in 0usize..6,
        payload in proptest::collection::vec(any::<u8>(), 20..4000),
        places in proptest::collection::vec(0usize..4000, 1..12),
        order in any::<proptest::sample::Index>(),
        shuffle in proptest::collection::vec(any::<proptest::sample::Index>(), 40),
        repeats in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        let (v6, tunnel) = tunnels()[which];
        let path = path(v6, tunnel);
        let frame = whole(&path, &payload);
        let at = 18 + path.outer_bytes();
        let all = cuts(&frame, at, &places);
        prop_assume!(all.len() > 1);
        let mut parts: Vec<_> = all.iter().map(|cut| part(&frame, at, 3, cut)).collect();
        let last = parts.remove(order.index(parts.len()));
        for repeat in repeats {
            let again = parts[repeat.index(parts.len())].clone();
            parts.push(again);
        }
        for (to, from) in shuffle.iter().enumerate().take(parts.len()) {
            let from = from.index(parts.len());
            parts.swap(to, from);
        }
        let mut bench = Bench::default();
        for part in &parts {
            prop_assert!(bench.offer(part).is_none());
        }
        let packet = bench.offer(&last).unwrap();
        prop_assert_eq!(packet.frame(), rejoined(&frame, at, 3));
        prop_assert!(bench.reasons().iter().all(|why| *why == Unreassembled::Duplicate));
        prop_assert_eq!(packet.frames() + bench.back.len(), parts.len() + 1);
    }

    #[test]
    fn e111_any_overlap_yields_nothing(
        v6: bool,
        payload in proptest::collection::vec(any::<u8>(), 100..2000),
        places in proptest::collection::vec(0usize..2000, 1..8),
        from in 0usize..240,
        units in 1usize..100,
        when in any::<proptest::sample::Index>(),
    ) {
        let frame = whole(&path(v6, None), &payload);
        let all = cuts(&frame, 18, &places);
        prop_assume!(all.len() > 1);
        let end = all.last().map_or(0, |cut| cut.offset + cut.data.len());
        let offset = (from * 8) % (end / 8 * 8);
        let length = (units * 8).min(end - offset) / 8 * 8;
        prop_assume!(length > 0);
        prop_assume!(!all.iter().any(|cut| (cut.offset, cut.data.len()) == (offset, length)));
        let strange = Cut { offset, data: vec![0xee; length], more: true };
        let mut parts: Vec<_> = all.iter().map(|cut| part(&frame, 18, 3, cut)).collect();
        // Anywhere before the last of what it overlaps.
        let touched = all
            .iter()
            .rposition(|cut| cut.offset < offset + length && offset < cut.offset + cut.data.len());
        let at = when.index(touched.unwrap_or(0) + 1);
        parts.insert(at, part(&frame, 18, 3, &strange));
        let mut bench = Bench::default();
        for part in &parts {
            prop_assert!(bench.offer(part).is_none());
        }
        prop_assert_eq!(bench.back.len() + bench.reassembler.packets(), parts.len());
    }

    #[test]
    fn any_fragments(frames in proptest::collection::vec(
        (any::<bool>(), 0u16..3, 0usize..20, 0usize..40, any::<bool>()), 0..40
    )) {
        let mut bench = Bench::default();
        let mut whole_frames = 0;
        for (v6, id, units, length, more) in &frames {
            let frame = whole(&path(*v6, None), &[0x5a; 10]);
            let cut = Cut { offset: units * 8, data: vec![7; *length], more: *more };
            if *units == 0 && !more {
                continue;
            }
            if let Some(packet) = bench.offer(&part(&frame, 18, *id, &cut)) {
                whole_frames += packet.frames();
                let _ = parse(SEGMENT, packet.frame());
            }
        }
        let offered = frames.iter().filter(|(_, _, units, _, more)| *units > 0 || *more).count();
        prop_assert_eq!(whole_frames + bench.back.len() + bench.reassembler.packets(), offered);
    }
}
