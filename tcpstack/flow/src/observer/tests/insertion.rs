//! Segments that the receiving end would not believe.

use super::*;

#[test]
fn e105_insertions_teach_nothing() {
    let mut observer = established();
    let before = observer.recorded(&key());
    for (sent, why) in [
        (
            o(1, 2, ACK).payload(b"bad acknowledgement"),
            Disregard::WrongAcknowledgement,
        ),
        (
            o(1, 1, TcpFlags::NONE).payload(b"no acknowledgement"),
            Disregard::WrongFlags,
        ),
        (o(1, 1, ACK | SYN).payload(b"syn"), Disregard::WrongFlags),
        (
            o(70_000, 1, ACK).payload(b"beyond the window"),
            Disregard::OutOfWindow,
        ),
        (
            o(0x9000_0000, 1, ACK).payload(b"long ago"),
            Disregard::OutOfWindow,
        ),
        (o(2, 1, RST), Disregard::DoubtfulReset),
        (r(2, 1, RST | ACK), Disregard::DoubtfulReset),
        (r(1, 2, ACK), Disregard::WrongAcknowledgement),
    ] {
        assert_eq!(see(&mut observer, &sent), disregarded(why));
        assert_eq!(observer.recorded(&key()), before);
    }
    let mut frame = o(1, 1, RST).frame();
    frame[50] ^= 1;
    assert_eq!(
        observer.on_segment(&read(&frame), &frame, Side::A, Instant::ZERO),
        disregarded(Disregard::BadChecksum)
    );
    let frame = o(1, 1, RST).frame();
    assert_eq!(
        observer.on_segment(&read(&frame), &frame, Side::B, Instant::ZERO),
        disregarded(Disregard::WrongSide)
    );
    assert_eq!(observer.recorded(&key()), before);
}

#[test]
fn e105_a_wrong_checksum_before_the_first_syn_begins_nothing() {
    for decoy in [
        o(500, 0, SYN).payload(b"x"),
        o(1, 1, ACK),
        r(0, 1, SYN | ACK),
        r(0, 0, SYN),
    ] {
        let mut frame = decoy.frame();
        frame[50] ^= 1;
        let decoy = read(&frame);
        let side = side_of(if decoy.source.port() == 443 {
            Role::Responder
        } else {
            Role::Originator
        });
        let mut observer = Observer::open(&decoy, &frame, side, Instant::ZERO).unwrap();
        assert!(!observer.is_established());
        assert_eq!(
            observer.on_segment(&decoy, &frame, side, Instant::ZERO),
            disregarded(Disregard::BadChecksum)
        );
        assert_eq!(
            see(&mut observer, &o(0, 0, SYN).options(options())),
            Observation::Handshaking
        );
        assert_eq!(
            see(&mut observer, &r(0, 1, SYN | ACK).options(options())),
            Observation::Handshaking
        );
        assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Established);
        assert_eq!(observer.recorded(&key()), established().recorded(&key()));
    }
    let mut frame = o(0, 0, SYN).frame();
    frame[50] ^= 1;
    let mut observer = Observer::open(&read(&frame), &frame, Side::A, Instant::ZERO).unwrap();
    assert_eq!(
        see(&mut observer, &r(0, 1, SYN | ACK)),
        irregular(Irregularity::OneWay)
    );
}

#[test]
fn p97_a_stale_timestamp_teaches_nothing_and_overtaking_makes_none_stale() {
    let at = |value| stamped(TcpOptions::default(), value, 0);
    let mut observer = established_with(stamped(options(), 100, 0), stamped(options(), 900, 100));
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK).options(at(99)).payload(b"old")),
        disregarded(Disregard::StaleTimestamp)
    );
    // Across the wrap of the clock a later value is a smaller one.
    let mut wrapped = established_with(stamped(options(), u32::MAX, 0), stamped(options(), 900, 0));
    assert_eq!(
        see(&mut wrapped, &o(1, 1, ACK).options(at(3))),
        Observation::Segment
    );
    assert_eq!(
        wrapped
            .recorded(&key())
            .unwrap()
            .toward_originator
            .timestamps
            .unwrap()
            .echo_recent,
        3
    );

    assert_eq!(
        see(
            &mut observer,
            &o(6, 1, ACK).options(at(105)).payload(b"world")
        ),
        Observation::Segment
    );
    assert_eq!(
        see(
            &mut observer,
            &o(1, 1, ACK).options(at(104)).payload(b"hello")
        ),
        Observation::Segment
    );
    let recorded = observer.recorded(&key()).unwrap();
    assert_eq!(
        recorded.toward_originator.timestamps.unwrap().echo_recent,
        104
    );
    assert_eq!(recorded.toward_responder.timestamps.unwrap().value, 105);
}
