//! Fragments that would not share each other's fate, and buffers that they keep.

use super::*;

/// Of two datagrams with one identification, the first fragment of one and the second of the other could reach the receiver if
/// the others died on the way.
#[test]
fn e111_fragments_of_one_datagram_leave_with_one_header_and_the_smallest_hop_limit() {
    for (v6, tunnel) in tunnels() {
        let path = path(v6, tunnel);
        let frame = whole(&path, &[0x5a; 900]);
        let at = 18 + path.outer_bytes();
        let honest: Vec<_> = cuts(&frame, at, &[304, 608])
            .iter()
            .map(|cut| part(&frame, at, 77, cut))
            .collect();
        let hop_limit_at = at + if v6 { 7 } else { 8 };
        let changes: [(usize, u8); 4] = [
            // Hop limit, Ethernet destination, priority, class.
            (hop_limit_at, 4),
            (0, 0x66),
            (14, 0xe0),
            (at + 1, if v6 { 0x40 } else { 0x28 }),
        ];
        for (number, (place, value)) in changes.into_iter().enumerate() {
            for odd in 0..3 {
                let mut parts = honest.clone();
                parts[odd][place] = value;
                if !v6 {
                    checksum(&mut parts[odd][at..at + 20]);
                }
                let first = parts[0].clone();
                let mut bench = Bench::default();
                assert!(bench.offer(&parts[2]).is_none());
                assert!(bench.offer(&parts[0]).is_none());
                let packet = bench.offer(&parts[1]).unwrap();
                assert!(bench.back.is_empty());
                let Frame::Tcp(tcp) = parse(SEGMENT, packet.frame()) else {
                    panic!("{:?}", parse(SEGMENT, packet.frame()));
                };
                assert!(tcp.checksum_ok(packet.frame()));
                let smallest = if number == 0 { 4 } else { 64 };
                assert_eq!(packet.frame()[hop_limit_at], smallest);
                let mut left = Vec::new();
                packet.each(&mut |fragment| left.push(fragment.0));
                for (fragment, came) in left.iter().zip([&parts[2], &parts[0], &parts[1]]) {
                    assert_eq!(fragment[..18], first[..18], "change {number} of {odd}");
                    assert_eq!(fragment[hop_limit_at], smallest);
                    assert_eq!(fragment[at + 1], first[at + 1]);
                    let Frame::Fragment(read) = parse(SEGMENT, fragment) else {
                        panic!("{:?}", parse(SEGMENT, fragment));
                    };
                    assert!(read.header_ok(fragment));
                    let Frame::Fragment(before) = parse(SEGMENT, came) else {
                        panic!("{:?}", parse(SEGMENT, came));
                    };
                    assert_eq!(
                        (read.key, read.offset, read.more, read.payload(fragment)),
                        (before.key, before.offset, before.more, before.payload(came))
                    );
                }
            }
        }
    }
}

/// The same with these IPv4 options, whole words of them.
fn with_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let end = 38 + options.len();
    frame[18] = 4 << 4 | u8::try_from((end - 18) / 4).unwrap();
    frame.splice(38..38, options.iter().copied());
    let length = u16::try_from(frame.len() - 18).unwrap();
    frame[20..22].copy_from_slice(&length.to_be_bytes());
    checksum(&mut frame[18..end]);
    frame
}

/// A whole frame, and the two parts into which it is cut.
fn halves() -> (Vec<u8>, [Vec<u8>; 2]) {
    let frame = whole(&path(false, None), &[0x5a; 400]);
    let parts = cuts(&frame, 18, &[200]);
    let [first, second] = [0, 1].map(|index| part(&frame, 18, 9, &parts[index]));
    (frame, [first, second])
}

/// An option that every fragment has, and one that only the first has.
const ROUTER_ALERT: &[u8] = &[148, 4, 0, 0];
const RECORD_ROUTE: &[u8] = &[7, 7, 4, 0, 0, 0, 0, 1];

#[test]
fn e111_options_that_only_the_first_fragment_carries_are_left_out() {
    //= https://www.rfc-editor.org/rfc/rfc791#section-3.1
    //= type=test
    //# The copied flag indicates that this option is copied into all
    let (frame, [first, second]) = halves();
    for copied in [&[][..], ROUTER_ALERT] {
        let expected = with_options(&rejoined(&frame, 18, 9), copied);
        for options in [
            [RECORD_ROUTE, copied].concat(),
            [copied, RECORD_ROUTE].concat(),
            [copied, &[1; 4]].concat(),
        ] {
            let first = with_options(&first, &options);
            let second = with_options(&second, copied);
            for parts in [[&first, &second], [&second, &first]] {
                let mut bench = Bench::default();
                assert!(bench.offer(parts[0]).is_none());
                let packet = bench.offer(parts[1]).expect("it is whole");
                assert_eq!(packet.frame(), expected);
                let Frame::Tcp(tcp) = parse(SEGMENT, packet.frame()) else {
                    panic!("{:?}", parse(SEGMENT, packet.frame()));
                };
                assert!(tcp.checksum_ok(packet.frame()));
                let mut left = Vec::new();
                packet.each(&mut |fragment: TestBuf| left.push(fragment.0));
                // What leaves says the same, and no fragment has another header than the others.
                let mut receiver = Bench::default();
                for fragment in &left {
                    assert_eq!(fragment[18], expected[18]);
                    let again = receiver.offer(fragment);
                    assert_eq!(again.is_some(), Some(fragment) == left.last());
                    assert!(again.is_none_or(|again| again.frame() == expected));
                }
                assert!(receiver.back.is_empty());
            }
        }
    }
}

#[test]
fn e111_fragments_of_which_only_one_has_options_go_nowhere() {
    let (_, [first, second]) = halves();
    for (first, second) in [
        (first.clone(), with_options(&second, RECORD_ROUTE)),
        (with_options(&first, ROUTER_ALERT), second.clone()),
        (
            with_options(&first, RECORD_ROUTE),
            with_options(&second, ROUTER_ALERT),
        ),
    ] {
        let mut bench = Bench::default();
        assert!(bench.offer(&first).is_none());
        assert!(bench.offer(&second).is_none());
        assert_eq!(bench.reasons(), [Unreassembled::Malformed; 2]);
    }
}

/// An inner datagram in two, and each half in two outer datagrams that took ways of their own.
#[test]
fn e111_f5_parts_that_were_cut_within_a_tunnel_as_well_leave_with_one_header() {
    for (v6, tunnel) in tunnels().split_off(2) {
        let path = path(v6, tunnel);
        let at = 18 + path.outer_bytes();
        let mut frame = whole(&path, &[0x5a; 1000]);
        set_limit_and_mark(&mut frame, at, 64, 0b10);
        for (limits, marks) in [
            ([9, 7], [0, 0]),
            ([7, 9], [0b11, 0b10]),
            ([64, 64], [0, 0b11]),
        ] {
            let mut bench = Bench::default();
            let mut result = None;
            for (half, inner) in cuts(&frame, at, &[512]).iter().enumerate() {
                let mut inner = part(&frame, at, 1, inner);
                set_limit_and_mark(&mut inner, 18, limits[half], marks[half]);
                // A class of its own as well.
                inner[19] |= if inner[18] >> 4 == 6 {
                    0
                } else {
                    0x20 * u8::try_from(half).unwrap()
                };
                inner[0] = u8::try_from(half).unwrap() * 2;
                if inner[18] >> 4 == 4 {
                    checksum(&mut inner[18..38]);
                }
                for outer in cuts(&inner, 18, &[256]) {
                    let outer = part(&inner, 18, 100 + u16::try_from(half).unwrap(), &outer);
                    let Some(packet) = bench.offer(&outer) else {
                        continue;
                    };
                    let Frame::Fragment(fragment) = parse(SEGMENT, packet.frame()) else {
                        panic!("{:?}", parse(SEGMENT, packet.frame()));
                    };
                    let back = &mut bench.back;
                    let mut give_back = |frame: TestBuf, why| back.push((frame.0, why));
                    let reassembler = &mut bench.reassembler;
                    result = reassembler.offer(packet, &fragment, Side::A, NOW, &mut give_back);
                }
            }
            assert_eq!(bench.reasons(), [], "{tunnel:?}");
            let packet = result.expect("it is whole");
            let Frame::Tcp(tcp) = parse(SEGMENT, packet.frame()) else {
                panic!("{:?}", parse(SEGMENT, packet.frame()));
            };
            assert!(tcp.checksum_ok(packet.frame()));
            let expected = packet.frame().to_vec();
            let mut left = Vec::new();
            packet.each(&mut |fragment: TestBuf| left.push(fragment.0));
            assert_eq!(left.len(), 4);
            // Its receiver puts the same together, of fragments that were alike on their way.
            let mut receiver = Bench::default();
            let mut received = None;
            for fragment in &left {
                assert_eq!(fragment[..19], left[0][..19]);
                assert_eq!(
                    limit_and_mark(fragment, 18),
                    (limits[0].min(limits[1]), limit_and_mark(&expected, 18).1)
                );
                let Some(packet) = receiver.offer(fragment) else {
                    continue;
                };
                let Frame::Fragment(inner) = parse(SEGMENT, packet.frame()) else {
                    panic!("{:?}", parse(SEGMENT, packet.frame()));
                };
                assert!(inner.header_ok(packet.frame()));
                let mut give_back = |_, why| panic!("{why:?}");
                let reassembler = &mut receiver.reassembler;
                received = reassembler.offer(packet, &inner, Side::A, NOW, &mut give_back);
            }
            let received = received.expect("it is whole there");
            let transport = tcp.l4_offset();
            assert_eq!(received.frame()[transport..], expected[transport..]);
            assert_eq!(
                limit_and_mark(received.frame(), at),
                limit_and_mark(&expected, at)
            );
        }
    }
}

const BUFFER_BYTES: usize = 9 * 1024;

#[test]
fn e112_tiny_fragments_are_counted_with_the_whole_buffers_that_they_keep() {
    let frame = whole(&path(false, None), &[0x5a; 400]);
    let all = cuts(&frame, 18, &[200]);
    let mut reassembler = Reassembler::new();
    let mut back = 0;
    for id in 0..500 {
        let mut frame = part(&frame, 18, id, &all[0]);
        frame.reserve_exact(BUFFER_BYTES - frame.len());
        let Frame::Fragment(fragment) = parse(SEGMENT, &frame) else {
            panic!("{:?}", parse(SEGMENT, &frame));
        };
        let packet = Packet::Whole(TestBuf(frame));
        let mut give_back = |_, why| {
            assert_eq!(why, Unreassembled::Full);
            back += 1;
        };
        let whole = reassembler.offer(packet, &fragment, Side::A, NOW, &mut give_back);
        assert!(whole.is_none());
        assert!(reassembler.bytes() <= FRAGMENT_BYTES_HELD_MAX);
    }
    let most = FRAGMENT_BYTES_HELD_MAX / BUFFER_BYTES;
    assert_eq!((reassembler.packets(), back), (most, 500 - most));
}

/// The hop limit and the congestion mark of the IP header at `at`.
fn limit_and_mark(frame: &[u8], at: usize) -> (u8, u8) {
    if frame[at] >> 4 == 4 {
        (frame[at + 8], frame[at + 1] & 0b11)
    } else {
        (frame[at + 7], frame[at + 1] >> 4 & 0b11)
    }
}

fn set_limit_and_mark(frame: &mut [u8], at: usize, limit: u8, mark: u8) {
    if frame[at] >> 4 == 4 {
        frame[at + 8] = limit;
        frame[at + 1] = frame[at + 1] & !0b11 | mark;
        checksum(&mut frame[at..at + 20]);
    } else {
        frame[at + 7] = limit;
        frame[at + 1] = frame[at + 1] & !0b11_0000 | mark << 4;
    }
}

#[test]
fn e111_f5_p95_what_the_way_through_a_tunnel_did_to_one_fragment_is_so_for_all() {
    for (v6, tunnel) in tunnels().split_off(2) {
        let path = path(v6, tunnel);
        let at = 18 + path.outer_bytes();
        for (inner, expected) in [(0b10, Ecn::Ce), (0b00, Ecn::NotEct)] {
            for marked in [0, 1] {
                let mut frame = whole(&path, &[0x5a; 400]);
                set_limit_and_mark(&mut frame, at, 64, inner);
                let mut bench = Bench::default();
                let mut packet = None;
                for (index, cut) in cuts(&frame, at, &[200]).iter().enumerate() {
                    let mut part = part(&frame, at, 9, cut);
                    let (limit, mark) = if index == marked {
                        (7, 0b11)
                    } else {
                        (9, inner)
                    };
                    set_limit_and_mark(&mut part, 18, limit, mark);
                    packet = bench.offer(&part);
                }
                let packet = packet.expect("it is whole");
                let Frame::Tcp(tcp) = parse(SEGMENT, packet.frame()) else {
                    panic!("{:?}", parse(SEGMENT, packet.frame()));
                };
                assert_eq!(tcp.segment(packet.frame()).ecn, expected);
                assert_eq!(limit_and_mark(packet.frame(), 18), (7, 0b11));
                let mut count = 0;
                packet.each(&mut |fragment: TestBuf| {
                    assert_eq!(limit_and_mark(&fragment.0, 18), (7, 0b11), "{tunnel:?}");
                    assert_eq!(limit_and_mark(&fragment.0, at), (64, expected.bits()));
                    assert!(matches!(parse(SEGMENT, &fragment.0), Frame::Fragment(part) if part.header_ok(&fragment.0)));
                    count += 1;
                });
                assert_eq!(count, 2);
            }
        }
    }
}

proptest! {
    /// Whatever options the parts have, they leave alike or not at all.
    #[test]
    fn e111_any_options(
        options in proptest::collection::vec(any::<[u8; 4]>(), 0..=10),
        copied in proptest::collection::vec(any::<[u8; 4]>(), 0..3),
        well_formed: bool,
        backwards: bool,
    ) {
        let (_, [first, second]) = halves();
        let mut options = options.concat();
        if well_formed {
            // Options of four bytes each, some of them to be copied.
            for option in options.chunks_mut(4) {
                option[0] = option[0].max(2);
                option[1] = 4;
            }
        }
        let mut parts = [with_options(&first, &options), with_options(&second, &copied.concat())];
        if backwards {
            parts.reverse();
        }
        let mut bench = Bench::default();
        let mut offered = 0;
        let mut left = Vec::new();
        for frame in parts {
            if let Frame::Fragment(_) = parse(SEGMENT, &frame) {
                offered += 1;
                if let Some(packet) = bench.offer(&frame) {
                    packet.each(&mut |fragment: TestBuf| left.push(fragment.0));
                }
            }
        }
        prop_assert_eq!(left.len() + bench.back.len() + bench.reassembler.packets(), offered);
        for fragment in &left {
            let Frame::Fragment(part) = parse(SEGMENT, fragment) else {
                panic!("{:?}", parse(SEGMENT, fragment));
            };
            prop_assert!(part.header_ok(fragment));
            let end = 18 + usize::from(fragment[18] & 0xf) * 4;
            prop_assert_eq!(&fragment[38..end], &left[0][38..end]);
            prop_assert_eq!(fragment[18], left[0][18]);
        }
    }
}
