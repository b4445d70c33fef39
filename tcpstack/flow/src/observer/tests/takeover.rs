//! What a takeover is told of both ends.

use core::time::Duration;

use super::*;
use crate::limits::PEER_MSS_BYTES_MIN;

#[test]
fn p85_a_takeover_wears_both_initial_sequence_numbers() {
    let millis = Instant::from_millis;
    let mut observer = open(&o(0, 0, SYN).options(stamped(options(), 1000, 0))).unwrap();
    assert_eq!(observer.opened(), Instant::from_secs(1));
    assert_eq!(observer.recorded(&key()), None);
    let server = TcpOptions {
        mss: Some(8960),
        window_scale: Some(9),
        ..options()
    };
    let syn_ack = r(0, 1, SYN | ACK).options(stamped(server, 5000, 1000));
    assert_eq!(
        see_at(&mut observer, &syn_ack, millis(1020)),
        Observation::Handshaking
    );
    assert_eq!(observer.recorded(&key()), None);
    let ack = o(1, 1, ACK).options(stamped(TcpOptions::default(), 1021, 5000));
    assert_eq!(
        see_at(&mut observer, &ack, millis(1021)),
        Observation::Established
    );
    assert!(observer.is_established());

    let path = |from| {
        let frame = Sent {
            from,
            ..o(1, 1, ACK)
        }
        .frame();
        PathTemplate::from_frame(&read(&frame), &frame)
    };
    assert_eq!(
        observer.recorded(&key()).unwrap(),
        Recorded {
            toward_originator: Half {
                send_next: ISN_R + 1,
                receive_next: ISN_O + 1,
                send_window: 502 << 7,
                receive_window: 65160,
                peer_mss: 1460,
                send_scale: 7,
                receive_scale: 9,
                sack: true,
                ecn: false,
                timestamps: Some(TimestampClock {
                    value: 5000,
                    at: millis(1020),
                    echo_recent: 1021
                }),
                round_trip: Some(Duration::from_millis(1)),
                path: path(Role::Responder),
            },
            toward_responder: Half {
                send_next: ISN_O + 1,
                receive_next: ISN_R + 1,
                send_window: 65160,
                receive_window: 502 << 7,
                peer_mss: 8960,
                send_scale: 9,
                receive_scale: 7,
                sack: true,
                ecn: false,
                timestamps: Some(TimestampClock {
                    value: 1021,
                    at: millis(1021),
                    echo_recent: 5000
                }),
                round_trip: Some(Duration::from_millis(20)),
                path: path(Role::Originator),
            },
        }
    );
}

#[test]
fn p88_a_round_trip_of_a_repeated_handshake_is_not_told() {
    //= https://www.rfc-editor.org/rfc/rfc6298#section-3
    //= type=test
    //# RTT samples MUST NOT be made using segments that were retransmitted
    let millis = Instant::from_millis;
    let round_trips = |observer: &Observer| {
        let recorded = observer.recorded(&key()).unwrap();
        let (originator, responder) = (recorded.toward_originator, recorded.toward_responder);
        (originator.round_trip, responder.round_trip)
    };
    let ms = |ms| Some(Duration::from_millis(ms));
    let syn = o(0, 0, SYN).options(options());
    let syn_ack = r(0, 1, SYN | ACK).options(options());
    for (syn_again, syn_ack_again, expected) in [
        (false, false, (ms(5), ms(300))),
        (true, false, (ms(5), None)),
        (false, true, (None, ms(300))),
    ] {
        let mut observer = open(&syn).unwrap();
        if syn_again {
            see_at(&mut observer, &syn, millis(1_200));
        }
        see_at(&mut observer, &syn_ack, millis(1_300));
        if syn_ack_again {
            see_at(&mut observer, &syn_ack, millis(1_301));
        }
        see_at(&mut observer, &o(1, 1, ACK), millis(1_305));
        assert_eq!(round_trips(&observer), expected);
    }
    // Timestamps say which one is answered; of two with the same one, the first may be.
    for (repeated, echoed, expected) in [
        ((21, 61), (21, 61), (ms(4), ms(100))),
        ((21, 61), (20, 61), (ms(4), None)),
        ((21, 61), (21, 60), (None, ms(100))),
        ((20, 60), (20, 60), (ms(5), ms(300))),
    ] {
        let (syn_echoed, syn_ack_echoed) = echoed;
        let mut observer = open(&o(0, 0, SYN).options(stamped(options(), 20, 0))).unwrap();
        let again = o(0, 0, SYN).options(stamped(options(), repeated.0, 0));
        see_at(&mut observer, &again, millis(1_200));
        for (value, at) in [(60, 1_300), (repeated.1, 1_301)] {
            let answer = r(0, 1, SYN | ACK).options(stamped(options(), value, syn_echoed));
            see_at(&mut observer, &answer, millis(at));
        }
        let stamp = stamped(TcpOptions::default(), 22, syn_ack_echoed);
        see_at(&mut observer, &o(1, 1, ACK).options(stamp), millis(1_305));
        assert_eq!(round_trips(&observer), expected);
    }
}

#[test]
fn p88_a_round_trip_confirmed_by_data_counts_if_it_was_prompt() {
    let millis = Instant::from_millis;
    for (after, expected) in [(5, Some(5)), (300, Some(300)), (301, None), (70_000, None)] {
        let mut observer = open(&o(0, 0, SYN).options(options())).unwrap();
        let answer = r(0, 1, SYN | ACK).options(options());
        see_at(&mut observer, &answer, millis(1_300));
        let hello = o(1, 1, ACK).payload(&[7; 10]);
        see_at(&mut observer, &hello, millis(1_300 + after));
        let recorded = observer.recorded(&key()).unwrap();
        let expected = expected.map(Duration::from_millis);
        assert_eq!(recorded.toward_originator.round_trip, expected, "{after}");
    }
}

#[test]
fn ipv6_in_a_vlan_from_the_other_side() {
    let vlan = VlanStack::double(200, 0x6064);
    let sent = |from, seq, ack, flags| {
        let (own, other) = if from == Role::Originator {
            (ISN_O, ISN_R)
        } else {
            (ISN_R, ISN_O)
        };
        let segment = TcpSegment {
            seq: own + seq,
            ack: other + ack,
            flags,
            window: 100,
            ..TcpSegment::default()
        };
        frame_on(true, vlan, from, &segment)
    };
    let syn = sent(Role::Originator, 0, 0, SYN);
    let mut observer = Observer::open(&read(&syn), &syn, Side::B, Instant::ZERO).unwrap();
    for (from, side, frame, expected) in [
        (
            Role::Responder,
            Side::A,
            sent(Role::Responder, 0, 1, SYN | ACK),
            Observation::Handshaking,
        ),
        (
            Role::Originator,
            Side::B,
            sent(Role::Originator, 1, 1, ACK),
            Observation::Established,
        ),
    ] {
        let tcp = read(&frame);
        assert_eq!(observer.role_of(&tcp), from);
        assert_eq!(observer.side_of(from), side);
        assert_eq!(observer.address_of(from, &tcp.key), tcp.source);
        assert_eq!(
            observer.on_segment(&tcp, &frame, side, Instant::ZERO),
            expected
        );
    }
    let key = read(&syn).key;
    let half = observer.recorded(&key).unwrap().toward_originator;
    assert_eq!(
        (half.peer_mss, half.path.source()),
        (1220, "[fd00::1]:443".parse().unwrap())
    );
    assert_eq!(
        &half.path.link().header()[..],
        &sent(Role::Responder, 0, 0, ACK)[..22]
    );
}

#[test]
fn p97_windows_are_scaled_when_both_ends_say_so_and_by_fourteen_at_most() {
    let with = |scale| TcpOptions {
        window_scale: scale,
        ..options()
    };
    for (one, other, expected) in [
        (Some(7), Some(9), (7, 9)),
        (Some(7), None, (0, 0)),
        (None, Some(7), (0, 0)),
        (Some(0), Some(0), (0, 0)),
        (Some(14), Some(0), (14, 0)),
        (Some(15), Some(255), (14, 14)),
    ] {
        let mut observer = established_with(with(one), with(other));
        see(&mut observer, &r(1, 1, ACK));
        let recorded = observer.recorded(&key()).unwrap();
        let (originator, responder) = (recorded.toward_originator, recorded.toward_responder);
        assert_eq!((originator.send_scale, responder.send_scale), expected);
        assert_eq!(
            (responder.receive_scale, originator.receive_scale),
            expected
        );
        assert_eq!(
            (originator.send_window, responder.send_window),
            (502 << expected.0, 509 << expected.1)
        );
        assert_eq!(
            (responder.receive_window, originator.receive_window),
            (502 << expected.0, 509 << expected.1)
        );
    }
}

#[test]
fn p98_sack_timestamps_and_ecn_only_when_both_ends_say_so() {
    for both in [false, true] {
        let plain = TcpOptions {
            mss: Some(1460),
            ..TcpOptions::default()
        };
        let full = stamped(options(), 1, 0);
        let ece = if both { TcpFlags::ECE } else { TcpFlags::NONE };
        let mut observer =
            open(&o(0, 0, SYN | TcpFlags::ECE | TcpFlags::CWR).options(full)).unwrap();
        see(
            &mut observer,
            &r(0, 1, SYN | ACK | ece).options(if both { full } else { plain }),
        );
        see(&mut observer, &o(1, 1, ACK));
        let recorded = observer.recorded(&key()).unwrap();
        for half in [recorded.toward_originator, recorded.toward_responder] {
            assert_eq!(
                (half.sack, half.timestamps.is_some(), half.ecn),
                (both, both, both)
            );
        }
    }
}

#[test]
fn p84_mss_default_and_floor() {
    let with = |mss| TcpOptions { mss, ..options() };
    for (announced, believed) in [
        (None, 536),
        (Some(1460), 1460),
        (Some(0), PEER_MSS_BYTES_MIN),
        (Some(65_535), 65_535),
    ] {
        let observer = established_with(with(announced), with(Some(1000)));
        let recorded = observer.recorded(&key()).unwrap();
        assert_eq!(
            (
                recorded.toward_originator.peer_mss,
                recorded.toward_responder.peer_mss
            ),
            (believed, 1000)
        );
    }
}

#[test]
fn p92_the_last_window_counts_also_a_closed_one() {
    let mut observer = established();
    let window = |observer: &Observer| {
        observer
            .recorded(&key())
            .unwrap()
            .toward_responder
            .send_window
    };
    assert_eq!(window(&observer), 65160);
    assert_eq!(
        see(&mut observer, &r(1, 1, ACK).window(3)),
        Observation::Segment
    );
    assert_eq!(window(&observer), 3 << 7);
    assert_eq!(
        see(&mut observer, &r(1, 1, ACK).window(0)),
        Observation::Segment
    );
    assert_eq!(window(&observer), 0);
    // A probe of a closed window is looked at; what is beyond it is not.
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK).payload(b"x")),
        Observation::Segment
    );
    assert_eq!(
        see(&mut observer, &o(9, 1, ACK).payload(b"x")),
        disregarded(Disregard::OutOfWindow)
    );
}

#[test]
fn an_overtaken_window_is_old() {
    let mut observer = established();
    let banner = r(1, 1, ACK).payload(b"220 ready").window(700);
    see_and_pass(&mut observer, &banner);
    see(&mut observer, &r(10, 1, ACK).window(800));
    see(&mut observer, &r(1, 1, ACK).window(100));
    see(&mut observer, &o(1, 10, ACK));
    assert_eq!(
        observer
            .recorded(&key())
            .unwrap()
            .toward_responder
            .send_window,
        800 << 7
    );
}

#[test]
fn what_was_forwarded_must_have_arrived_before_a_takeover() {
    let mut observer = established();
    assert_eq!(
        see_and_pass(&mut observer, &r(1, 1, ACK).payload(b"220 ready")),
        Observation::Segment
    );
    assert_eq!(observer.recorded(&key()), None);
    assert_eq!(see(&mut observer, &o(1, 5, ACK)), Observation::Segment);
    assert_eq!(observer.recorded(&key()), None);
    assert_eq!(see(&mut observer, &o(1, 10, ACK)), Observation::Segment);
    let recorded = observer.recorded(&key()).unwrap();
    assert_eq!(recorded.toward_originator.send_next, ISN_R + 10);
    assert_eq!(recorded.toward_responder.receive_next, ISN_R + 10);
    // What is held is not forwarded.
    assert_eq!(
        see(&mut observer, &o(1, 10, ACK).payload(b"hello")),
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
}

#[test]
fn p97_a_repeated_syn_ack_moves_the_clock_that_a_takeover_continues() {
    let millis = Instant::from_millis;
    let mut observer = open(&o(0, 0, SYN).options(stamped(options(), 1000, 0))).unwrap();
    // The first was long under way: its clock says less about now than that of the second.
    let first = r(0, 1, SYN | ACK).options(stamped(options(), 5000, 1000));
    see_at(&mut observer, &first, millis(2000));
    let again = r(0, 1, SYN | ACK).options(stamped(options(), 5900, 1000));
    assert_eq!(
        see_at(&mut observer, &again, millis(2300)),
        Observation::Handshaking
    );
    let ack = o(1, 1, ACK).options(stamped(TcpOptions::default(), 2400, 5900));
    see_at(&mut observer, &ack, millis(2400));
    let clock = observer.recorded(&key()).unwrap();
    let clock = clock.toward_originator.timestamps.unwrap();
    assert_eq!(
        (clock.value, clock.at),
        (5900, millis(2300)),
        "PAWS drops what falls behind"
    );
}
