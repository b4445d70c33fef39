use super::*;
use crate::{
    Encapsulation, Frame, PathTemplate, SegmentId, TcpFlags, TcpSegment, VlanStack, emit, parse,
};
use proptest::prelude::*;

fn tcp(frame: &[u8]) -> TcpFrame {
    match parse(SegmentId(0), frame) {
        Frame::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

fn path(v6: bool, tunnel: bool) -> PathTemplate {
    let (one, other) = if v6 {
        ("[fd00::1]:40000", "[fd00::2]:443")
    } else {
        ("10.0.0.1:40000", "10.0.0.2:443")
    };
    let outer = Encapsulation::gre([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), Some(7), v6);
    PathTemplate::new(
        [2; 6],
        [4; 6],
        VlanStack::single(5),
        one.parse().unwrap(),
        other.parse().unwrap(),
    )
    .within(tunnel.then_some(outer))
}

/// A SYN with these very option bytes and this payload, checksums right.
fn syn(path: &PathTemplate, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let segment = TcpSegment {
        flags: TcpFlags::SYN,
        payload: &[options, payload].concat(),
        ..TcpSegment::default()
    };
    let mut frame = vec![0; 400];
    let len = emit(&mut frame, path, &segment, &[]).unwrap();
    frame.truncate(len);
    let header = tcp(&frame).l4_offset();
    frame[header + 12] = u8::try_from((20 + options.len()) / 4).unwrap() << 4;
    frame[header + 16..header + 18].fill(0);
    let mut sum = Checksum::default();
    sum.add_pseudo_header(
        path.source().ip(),
        path.destination().ip(),
        PROTOCOL_TCP,
        frame.len() - header,
    );
    sum.add(&frame[header..]);
    frame[header + 16..header + 18].copy_from_slice(&sum.finish().to_be_bytes());
    assert!(tcp(&frame).checksum_ok(&frame));
    frame
}

const LINUX: [u8; 20] = [
    2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
];

#[test]
fn p97_a_plain_syn_is_left_alone() {
    for (v6, tunnel) in [(false, false), (true, false), (false, true), (true, true)] {
        let frame = syn(&path(v6, tunnel), &LINUX, &[]);
        let mut same = frame.clone();
        let done = normalise_syn(&mut same, &tcp(&frame));
        assert_eq!(
            (done.len, done.stripped, done.cut),
            (frame.len(), false, false)
        );
        assert_eq!(same, frame);
    }
}

#[test]
fn p97_what_cannot_be_taken_over_is_padding_afterwards() {
    for (v6, tunnel) in [(false, false), (true, false), (false, true), (true, true)] {
        for options in [
            // Multipath TCP, Fast Open with a cookie, an experiment and an unknown kind.
            &[30, 4, 0x01, 0x81][..],
            &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1],
            &[254, 4, 0xf9, 0x89],
            &[77, 3, 9, 1],
            // Of a known kind and impossible length; of a length that points past the end.
            &[2, 3, 9, 1],
            &[77, 9, 1, 1],
        ] {
            let all = [&LINUX[..], options].concat();
            let mut frame = syn(&path(v6, tunnel), &all, b"");
            let before = tcp(&frame);
            let done = normalise_syn(&mut frame, &before);
            assert_eq!(
                (done.len, done.stripped, done.cut),
                (frame.len(), true, false)
            );
            let after = tcp(&frame);
            assert!(after.checksum_ok(&frame), "{options:?}");
            assert_eq!(
                after.options,
                tcp(&syn(&path(v6, tunnel), &LINUX, b"")).options
            );
            assert_eq!((after.seq, after.payload_len()), (before.seq, 0));
        }
    }
}

#[test]
fn p90_data_on_a_syn_is_cut_off() {
    for (v6, tunnel) in [(false, false), (true, false), (false, true), (true, true)] {
        let path = path(v6, tunnel);
        let mut frame = syn(&path, &LINUX, b"early data");
        // Ethernet padding behind it.
        frame.extend([0xee; 3]);
        let before = tcp(&frame);
        let done = normalise_syn(&mut frame, &before);
        assert!(done.cut && !done.stripped);
        frame.truncate(done.len);
        assert_eq!(frame, syn(&path, &LINUX, b""));
    }
}

#[test]
fn what_its_receiver_would_drop_is_left_as_it_is() {
    let path = path(false, false);
    let mut signed = vec![1, 1, 19, 18];
    signed.extend([0x5a; 16]);
    let mut bad = syn(&path, &[30, 4, 0, 1], b"");
    *bad.last_mut().unwrap() ^= 1;
    for frame in [syn(&path, &signed, b"x"), bad] {
        let mut same = frame.clone();
        let done = normalise_syn(&mut same, &tcp(&frame));
        assert_eq!((same, done.len), (frame.clone(), frame.len()));
    }
}

proptest! {
    #[test]
    fn p97_whatever_the_options_are(
        v6: bool,
        tunnel: bool,
        options in proptest::collection::vec(any::<[u8; 4]>(), 0..=10),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut frame = syn(&path(v6, tunnel), &options.concat(), &payload);
        let before = tcp(&frame);
        let done = normalise_syn(&mut frame, &before);
        frame.truncate(done.len);
        let after = tcp(&frame);
        prop_assert!(after.checksum_ok(&frame));
        if !before.options.signature {
            prop_assert_eq!(after.payload_len(), 0);
            let left = after.options;
            prop_assert!(!left.mptcp && !left.fast_open && !left.unknown);
            prop_assert_eq!(left.timestamps, before.options.timestamps);
            prop_assert_eq!(done.cut, !payload.is_empty());
        }
        let again = normalise_syn(&mut frame.clone(), &after);
        prop_assert!(!again.stripped && !again.cut);
    }
}
