//! Fragments: a datagram is given on whole and once, of fragments that fit without a byte twice, or not at all.

use std::time::Duration;

use sluice_flow::limits::{FRAGMENT_BYTES_HELD_MAX, FRAGMENT_PACKETS_HELD_MAX};
use sluice_flow::{Packet, Reassembler};
use sluice_packet::{Frame, Instant, SegmentId, Side, TestBuf, parse};

use super::Input;

const HEADERS: usize = 14 + 20;
const SEGMENT: SegmentId = SegmentId(0);

/// A fragment, or time, per some bytes of the input.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut now = Instant::from_secs(1);
    let mut reassembler = Reassembler::default();
    let (mut offered, mut given_back, mut given_on) = (0, 0, 0);
    while !input.is_empty() {
        let shape = input.byte();
        if shape & 0xe0 == 0xe0 {
            now += Duration::from_secs(u64::from(input.byte()));
            while reassembler.expire(now, &mut |_, _| given_back += 1) {}
            continue;
        }
        let frame = fragment(shape, &mut input);
        let Frame::Fragment(fragment) = parse(SEGMENT, &frame) else {
            continue;
        };
        offered += 1;
        let side = if shape & 1 == 0 { Side::A } else { Side::B };
        let packet = Packet::Whole(TestBuf(frame));
        let whole = reassembler.offer(packet, &fragment, side, now, &mut |_, _| given_back += 1);
        match whole {
            None => {}
            Some(Packet::Whole(_)) => panic!("a fragment came through"),
            Some(Packet::Reassembled(whole)) => {
                given_on += whole.fragments.len();
                let parts = whole.fragments.iter().map(|part| part.0.as_slice());
                fits(&whole.frame, parts);
            }
        }
        assert!(reassembler.packets() <= FRAGMENT_PACKETS_HELD_MAX);
        assert!(reassembler.bytes() <= FRAGMENT_BYTES_HELD_MAX);
        assert_eq!(offered, given_back + given_on + reassembler.packets());
    }
}

/// Every fragment's bytes stand in their place, and nothing else does.
fn fits<'f>(whole: &[u8], parts: impl Iterator<Item = &'f [u8]>) {
    assert!(!matches!(parse(SEGMENT, whole), Frame::Fragment(_)));
    let mut filled = 0;
    for part in parts {
        let place = usize::from(u16::from_be_bytes([part[20], part[21]]) & 0x1fff) * 8;
        let end = 14 + usize::from(u16::from_be_bytes([part[16], part[17]]));
        let data = &part[HEADERS..end];
        assert_eq!(
            &whole[HEADERS + place..HEADERS + place + data.len()],
            data,
            "a byte that no fragment had there"
        );
        filled += data.len();
    }
    assert_eq!(
        whole.len(),
        HEADERS + filled,
        "bytes twice, or from nowhere"
    );
}

fn fragment(shape: u8, input: &mut Input<'_>) -> Vec<u8> {
    let place = u16::from(input.byte());
    let count = input.byte();
    let len = if shape & 2 == 0 {
        usize::from(count & 31) * 8
    } else {
        usize::from(count)
    };
    let more = u16::from(shape & 4 == 0) << 13;
    let total = u16::try_from(20 + len).unwrap();
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend_from_slice(&total.to_be_bytes());
    frame.extend_from_slice(&[0, shape >> 3 & 3]);
    frame.extend_from_slice(&(place | more).to_be_bytes());
    frame.extend_from_slice(&[64, 6, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]);
    let words = frame[14..34].as_chunks::<2>().0.iter();
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from(sum & 0xffff).unwrap();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let version = input.byte();
    frame.extend((0..len).map(|at| version.wrapping_add(u8::try_from(at % 251).unwrap())));
    frame
}
