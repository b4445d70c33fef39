use sluice_packet::{
    Frame, PathTemplate, SegmentId, TcpFlags, TcpSegment, TestBuf, VlanStack, emit, parse,
};

use super::*;

const START: SeqNum = SeqNum(0xffff_fff0);

fn packet(offset: u32, payload: &[u8]) -> (TestBuf, TcpFrame) {
    let path = PathTemplate::new(
        [2; 6],
        [4; 6],
        VlanStack::UNTAGGED,
        "10.0.0.1:1".parse().unwrap(),
        "10.0.0.2:443".parse().unwrap(),
    );
    let segment = TcpSegment {
        seq: START + offset,
        flags: TcpFlags::ACK,
        payload,
        ..TcpSegment::default()
    };
    let mut frame = vec![0; 2000];
    let len = emit(&mut frame, &path, &segment, &[]).unwrap();
    frame.truncate(len);
    let Frame::Tcp(tcp) = parse(SegmentId(0), &frame) else {
        panic!("a TCP frame")
    };
    (TestBuf(frame), tcp)
}

fn offer(hold: &mut Hold<TestBuf>, offset: u32, payload: &[u8]) -> Kept {
    let (buffer, tcp) = packet(offset, payload);
    hold.offer(buffer, &tcp).0
}

fn held(fresh: usize) -> Kept {
    Kept::Held {
        fresh,
        repeated: false,
    }
}

#[test]
fn t65_bytes_are_put_in_order_across_the_wrap_and_packets_released_as_they_came() {
    let mut hold = Hold::new(START, 1000);
    assert_eq!(offer(&mut hold, 20, b"world"), held(0));
    assert_eq!(offer(&mut hold, 10, b"0123456789"), held(0));
    assert_eq!(offer(&mut hold, 0, b"helloHELLO"), held(25));
    assert_eq!(hold.bytes(), b"helloHELLO0123456789world");
    assert_eq!(hold.fresh(5), b"world");
    let lens: Vec<usize> = hold.release().map(|buffer| buffer.0.len() - 54).collect();
    assert_eq!(lens, [5, 10, 10]);
}

#[test]
fn retransmissions_are_duplicates_and_partial_ones_extend() {
    let mut hold = Hold::new(START, 1000);
    assert_eq!(offer(&mut hold, 0, b"abcdef"), held(6));
    assert_eq!(offer(&mut hold, 0, b"abcdef"), Kept::Duplicate);
    assert_eq!(offer(&mut hold, 2, b"cd"), Kept::Duplicate);
    let repeated = Kept::Held {
        fresh: 2,
        repeated: true,
    };
    assert_eq!(offer(&mut hold, 4, b"efgh"), repeated);
    assert_eq!(hold.bytes(), b"abcdefgh");
    assert_eq!(offer(&mut hold, 20, b"later"), held(0));
    assert_eq!(offer(&mut hold, 20, b"later"), Kept::Duplicate);
    assert_eq!(hold.len(), 3);
}

#[test]
fn e104_overlaps_that_say_different_things_are_contradictions() {
    let mut hold = Hold::new(START, 1000);
    assert_eq!(offer(&mut hold, 0, b"abcdef"), held(6));
    assert_eq!(offer(&mut hold, 3, b"dXf"), Kept::Contradiction);
    assert_eq!(offer(&mut hold, 10, b"klm"), held(0));
    assert_eq!(offer(&mut hold, 8, b"ijK"), Kept::Contradiction);
    assert_eq!(offer(&mut hold, 6, b"ghijklm"), held(7));
    assert_eq!(hold.bytes(), b"abcdefghijklm");
}

#[test]
fn the_hold_is_bounded_in_bytes_and_packets() {
    let mut hold = Hold::new(START, 1000);
    assert_eq!(offer(&mut hold, 995, b"123456"), Kept::Full);
    assert_eq!(offer(&mut hold, u32::MAX, b"x"), Kept::Duplicate);
    for at in 0..HELD_PACKETS_MAX {
        let at = u32::try_from(at).unwrap();
        assert_eq!(offer(&mut hold, at, b"z"), held(1));
    }
    assert_eq!(offer(&mut hold, 100, b"z"), Kept::Full);
}

#[test]
fn e112_tiny_held_segments_are_charged_with_the_whole_buffers_that_they_keep() {
    let mut hold = Hold::new(START, 1000);
    for number in 1..=4 {
        // A byte of payload in a buffer of 2,000.
        assert_eq!(offer(&mut hold, number * 2, b"x"), held(0));
        let least = usize::try_from(number).unwrap() * 2_000;
        assert!(hold.held_bytes() >= least, "{}", hold.held_bytes());
    }
    assert_eq!(hold.release().count(), 4);
    assert_eq!(hold.held_bytes(), 0);
}
