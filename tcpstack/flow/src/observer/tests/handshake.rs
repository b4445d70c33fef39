//! Handshakes: repeated, replaced, simultaneous, one-way, with data, and with options nobody takes over.

use super::*;

#[test]
fn repeated_syn_and_syn_ack_change_nothing() {
    let mut observer = open(&o(0, 0, SYN).options(options())).unwrap();
    let (syn, syn_ack) = (
        o(0, 0, SYN).options(options()),
        r(0, 1, SYN | ACK).options(options()),
    );
    assert_eq!(see(&mut observer, &syn), Observation::Handshaking);
    assert_eq!(see(&mut observer, &syn_ack), Observation::Handshaking);
    assert_eq!(see(&mut observer, &syn), Observation::Handshaking);
    assert_eq!(see(&mut observer, &syn_ack), Observation::Handshaking);
    assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Established);
    // The confirmation was lost behind the observer.
    assert_eq!(
        see(&mut observer, &syn_ack),
        disregarded(Disregard::WrongFlags)
    );
    assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Segment);
    let mut expected = established().recorded(&key()).unwrap();
    // But for how long an answer took, which nobody can tell any more.
    expected.toward_originator.round_trip = None;
    assert_eq!(observer.recorded(&key()), Some(expected));
}

#[test]
fn a_repeated_syn_may_drop_options() {
    let mut observer = open(&o(0, 0, SYN).options(options())).unwrap();
    assert_eq!(see(&mut observer, &o(0, 0, SYN)), Observation::Handshaking);
    assert_eq!(
        see(&mut observer, &r(0, 1, SYN | ACK)),
        Observation::Handshaking
    );
    assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Established);
    assert!(!observer.recorded(&key()).unwrap().toward_responder.sack);
}

#[test]
fn e113_another_attempt_replaces_the_first() {
    // Before an answer, and after an answer that never arrived.
    for answered in [false, true] {
        let mut observer = open(&o(0, 0, SYN)).unwrap();
        if answered {
            assert_eq!(
                see(&mut observer, &r(0, 1, SYN | ACK)),
                Observation::Handshaking
            );
        }
        assert_eq!(
            see(&mut observer, &o(1000, 0, SYN)),
            Observation::Handshaking
        );
        assert_eq!(
            see(&mut observer, &r(0, 1, SYN | ACK)),
            disregarded(Disregard::WrongAcknowledgement)
        );
        assert_eq!(
            see(&mut observer, &r(50, 1001, SYN | ACK)),
            Observation::Handshaking
        );
        assert_eq!(
            see(&mut observer, &o(1001, 51, ACK)),
            Observation::Established
        );
        assert_eq!(
            observer
                .recorded(&key())
                .unwrap()
                .toward_responder
                .send_next,
            ISN_O + 1001
        );
    }
}

#[test]
fn a_second_syn_ack_with_another_isn_is_not_believed() {
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    see(&mut observer, &r(0, 1, SYN | ACK));
    assert_eq!(
        see(&mut observer, &r(70, 1, SYN | ACK)),
        disregarded(Disregard::OutOfWindow)
    );
    assert_eq!(
        see(&mut observer, &o(1, 71, ACK)),
        disregarded(Disregard::WrongAcknowledgement)
    );
    assert!(!observer.is_established());
}

#[test]
fn a_half_open_connection_is_cleared_and_tried_again() {
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    // RFC 9293 3.5.1: the server still has the old connection, asks back, and is told.
    assert_eq!(
        see(&mut observer, &r(9000, 777, ACK)),
        disregarded(Disregard::WrongAcknowledgement)
    );
    assert_eq!(
        see(&mut observer, &o(777, 0, RST)),
        disregarded(Disregard::OutOfWindow)
    );
    assert_eq!(see(&mut observer, &o(0, 0, SYN)), Observation::Handshaking);
    assert_eq!(
        see(&mut observer, &r(0, 1, SYN | ACK)),
        Observation::Handshaking
    );
    assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Established);
}

#[test]
fn p86_e108_simultaneous_open_and_split_handshakes_are_irregular() {
    let simultaneous = irregular(Irregularity::SimultaneousOpen);
    // Both ends send a SYN.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(see(&mut observer, &r(0, 0, SYN)), simultaneous);
    // It stays irregular, whatever follows.
    assert_eq!(see(&mut observer, &r(0, 1, SYN | ACK)), simultaneous);
    assert_eq!(see(&mut observer, &o(1, 1, ACK)), simultaneous);
    assert_eq!(observer.recorded(&key()), None);

    // Four ways: acknowledgement and SYN apart.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(
        see(&mut observer, &r(0, 1, ACK)),
        disregarded(Disregard::WrongFlags)
    );
    assert_eq!(see(&mut observer, &r(0, 0, SYN)), simultaneous);

    // Five ways: the client answers the server's SYN with a SYN-ACK.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(see(&mut observer, &o(0, 1, SYN | ACK)), simultaneous);
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    see(&mut observer, &r(0, 1, SYN | ACK));
    assert_eq!(see(&mut observer, &o(0, 1, SYN | ACK)), simultaneous);
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    see(&mut observer, &r(0, 1, SYN | ACK));
    assert_eq!(see(&mut observer, &r(0, 0, SYN)), simultaneous);
}

#[test]
fn p103_mid_stream_and_one_way_are_told() {
    assert_eq!(open(&o(1, 1, ACK)).unwrap_err(), Irregularity::MidStream);
    assert_eq!(
        open(&r(1, 1, ACK).payload(b"x")).unwrap_err(),
        Irregularity::MidStream
    );
    assert_eq!(open(&r(0, 1, SYN | ACK)).unwrap_err(), Irregularity::OneWay);
    // The answer takes another way.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK)),
        irregular(Irregularity::OneWay)
    );
    // The confirmation takes another way.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    see(&mut observer, &r(0, 1, SYN | ACK));
    assert_eq!(
        see(&mut observer, &r(1, 1, ACK).payload(b"220 ")),
        irregular(Irregularity::EarlyData)
    );
}

#[test]
fn e105_early_data_that_its_receiver_does_not_take_is_disregarded() {
    for (flags, ack, why) in [
        (TcpFlags::NONE, 0, Disregard::WrongFlags),
        (TcpFlags::PSH, 0, Disregard::WrongFlags),
        (ACK, 70, Disregard::WrongAcknowledgement),
    ] {
        let mut observer = open(&o(0, 0, SYN)).unwrap();
        see(&mut observer, &r(0, 1, SYN | ACK));
        let early = r(1, ack, flags).payload(b"hi");
        assert_eq!(see(&mut observer, &early), Observation::Disregarded(why));
        assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Established);
    }
}

#[test]
fn e109_data_on_syn_is_irregular_and_on_the_third_segment_is_not() {
    assert_eq!(
        open(&o(0, 0, SYN).payload(b"x")).unwrap_err(),
        Irregularity::DataOnSyn
    );
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(
        see(&mut observer, &o(0, 0, SYN).payload(b"x")),
        irregular(Irregularity::DataOnSyn)
    );
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(
        see(&mut observer, &r(0, 1, SYN | ACK).payload(b"x")),
        irregular(Irregularity::DataOnSyn)
    );
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    see(&mut observer, &r(0, 1, SYN | ACK));
    assert_eq!(
        see(&mut observer, &r(0, 1, SYN | ACK).payload(b"x")),
        irregular(Irregularity::DataOnSyn)
    );

    // The client's first bytes confirm the handshake; also the second ones, when they overtake the first.
    for seq in [1, 6] {
        let mut observer = open(&o(0, 0, SYN)).unwrap();
        see(&mut observer, &r(0, 1, SYN | ACK));
        assert_eq!(
            see(&mut observer, &o(seq, 1, ACK).payload(b"hello")),
            Observation::Established
        );
        assert_eq!(
            observer
                .recorded(&key())
                .unwrap()
                .toward_originator
                .receive_next,
            ISN_O + 1
        );
    }

    // On FIN it is held like any other; on RST it is nothing.
    let mut observer = established();
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK | FIN).payload(b"hello")),
        Observation::Segment
    );
    assert_eq!(
        observer
            .recorded(&key())
            .unwrap()
            .toward_originator
            .receive_next,
        ISN_O + 1
    );
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK | RST).payload(b"hello")),
        Observation::Reset
    );
}

#[test]
fn irregular_options() {
    assert_eq!(
        open(&o(0, 0, SYN | FIN)).unwrap_err(),
        Irregularity::BadFlags
    );
    assert_eq!(
        open(&o(0, 0, SYN | RST)).unwrap_err(),
        Irregularity::BadFlags
    );
    // No writer for these options: they are put in place of a timestamp.
    let with_option = |sent: Sent<'_>, option: [u8; 10]| {
        let mut frame = sent.options(stamped(TcpOptions::default(), 0, 0)).frame();
        frame[14 + 20 + 20 + 2..][..10].copy_from_slice(&option);
        fill_checksum(&mut frame);
        frame
    };
    let multipath = [30, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    let unknown = [77, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    let malformed = [2, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    let signed = [29, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    let go = |syn: [u8; 10], syn_ack: Option<[u8; 10]>| {
        let syn = with_option(o(0, 0, SYN), syn);
        let mut observer = Observer::open(&read(&syn), &syn, Side::A, Instant::ZERO)?;
        let frame = syn_ack.map_or_else(
            || r(0, 1, SYN | ACK).frame(),
            |option| with_option(r(0, 1, SYN | ACK), option),
        );
        match observer.on_segment(&read(&frame), &frame, Side::B, Instant::ZERO) {
            Observation::Irregular(why) => Err(why),
            other => Ok(other),
        }
    };
    assert_eq!(go(malformed, None), Err(Irregularity::MalformedOptions));
    assert_eq!(go(signed, None), Err(Irregularity::Signed));
    assert_eq!(go(multipath, None), Ok(Observation::Handshaking));
    assert_eq!(go(multipath, Some(multipath)), Err(Irregularity::Multipath));
    assert_eq!(go(unknown, None), Ok(Observation::Handshaking));
    assert_eq!(
        go(unknown, Some(unknown)),
        Err(Irregularity::UnknownOptions)
    );
    assert_eq!(
        go(multipath, Some(malformed)),
        Err(Irregularity::MalformedOptions)
    );
    // E105: the connection began unsigned.
    assert_eq!(
        go(unknown, Some(signed)),
        Ok(disregarded(Disregard::UnexpectedSignature))
    );
    let mut observer = established();
    let before = observer.recorded(&key());
    let frame = with_option(o(1, 1, ACK).payload(b"insertion"), signed);
    assert_eq!(
        observer.on_segment(&read(&frame), &frame, Side::A, Instant::ZERO),
        disregarded(Disregard::UnexpectedSignature)
    );
    assert_eq!(observer.recorded(&key()), before);
}

/// Fills the checksum of an untagged IPv4 frame in anew.
fn fill_checksum(frame: &mut [u8]) {
    fn words(bytes: &[u8]) -> u32 {
        bytes
            .chunks(2)
            .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)))
            .sum()
    }
    frame[50..52].fill(0);
    let length = u32::try_from(frame.len() - 34).unwrap();
    let mut total = words(&frame[26..34]) + words(&frame[34..]) + 6 + length;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    frame[50..52].copy_from_slice(&(!u16::try_from(total).unwrap()).to_be_bytes());
}
