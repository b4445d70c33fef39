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

#[test]
fn e111_fragments_of_which_only_one_has_options_go_nowhere() {
    let frame = whole(&path(false, None), &[0x5a; 400]);
    let parts: Vec<_> = cuts(&frame, 18, &[200])
        .iter()
        .map(|cut| part(&frame, 18, 9, cut))
        .collect();
    for odd in 0..2 {
        let mut parts = parts.clone();
        let with = &mut parts[odd];
        with[18] += 1;
        with.splice(38..38, [1; 4]);
        let length = u16::try_from(with.len() - 18).unwrap();
        with[20..22].copy_from_slice(&length.to_be_bytes());
        checksum(&mut with[18..42]);
        let mut bench = Bench::default();
        assert!(bench.offer(&parts[0]).is_none());
        assert!(bench.offer(&parts[1]).is_none());
        assert_eq!(bench.reasons(), [Unreassembled::Malformed; 2]);
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
