use super::*;
use crate::limits::PEER_MSS_BYTES_MIN;
use proptest::prelude::*;
use sluice_packet::{
    Frame, PathTemplate, SegmentId, TcpFlags, TcpOptions, TcpSegment, Timestamps, VlanStack, emit,
    parse,
};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;

/// Initial sequence numbers close to the wrap.
const ISN_O: SeqNum = SeqNum(u32::MAX - 2);
const ISN_R: SeqNum = SeqNum(u32::MAX);
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn options() -> TcpOptions {
    TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        ..TcpOptions::default()
    }
}

fn stamped(options: TcpOptions, value: u32, echo: u32) -> TcpOptions {
    TcpOptions {
        timestamps: Some(Timestamps { value, echo }),
        ..options
    }
}

/// A frame as the client (originator, on side A) or the server sends it.
fn frame_on(v6: bool, vlan: VlanStack, from: Role, segment: &TcpSegment<'_>) -> Vec<u8> {
    let (client, server) = if v6 {
        ("[fd00::2]:40000", "[fd00::1]:443")
    } else {
        ("10.0.0.1:40000", "10.0.0.2:443")
    };
    let there = PathTemplate::new(
        CLIENT_MAC,
        SERVER_MAC,
        vlan,
        client.parse().unwrap(),
        server.parse().unwrap(),
    );
    let path = if from == Role::Originator {
        there
    } else {
        there.reversed()
    };
    let mut frame = vec![0; 2000];
    let len = emit(&mut frame, &path, segment, &[]).unwrap();
    frame.truncate(len);
    frame
}

fn read(frame: &[u8]) -> TcpFrame {
    match parse(SegmentId(0), frame) {
        Frame::Tcp(tcp) => tcp,
        Frame::Other(why) => panic!("{}", why.name()),
    }
}

/// Sequence and acknowledgement numbers count from the ISNs, as in packetdrill: the SYN is 0, the first byte is 1.
#[derive(Copy, Clone)]
struct Sent<'a> {
    from: Role,
    seq: u32,
    ack: u32,
    flags: TcpFlags,
    window: u16,
    options: TcpOptions,
    payload: &'a [u8],
}

impl<'a> Sent<'a> {
    fn options(self, options: TcpOptions) -> Self {
        Self { options, ..self }
    }

    fn payload(self, payload: &'a [u8]) -> Self {
        Self { payload, ..self }
    }

    fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    fn frame(&self) -> Vec<u8> {
        self.frame_of(ISN_O, ISN_R)
    }

    fn frame_of(&self, isn_o: SeqNum, isn_r: SeqNum) -> Vec<u8> {
        let (own, other) = if self.from == Role::Originator {
            (isn_o, isn_r)
        } else {
            (isn_r, isn_o)
        };
        let segment = TcpSegment {
            seq: own + self.seq,
            ack: if self.flags.ack() {
                other + self.ack
            } else {
                SeqNum(0)
            },
            flags: self.flags,
            window: self.window,
            options: self.options,
            payload: self.payload,
            ..TcpSegment::default()
        };
        frame_on(false, VlanStack::UNTAGGED, self.from, &segment)
    }
}

fn o(seq: u32, ack: u32, flags: TcpFlags) -> Sent<'static> {
    let window = if flags.syn() { 64240 } else { 502 };
    Sent {
        from: Role::Originator,
        seq,
        ack,
        flags,
        window,
        options: TcpOptions::default(),
        payload: b"",
    }
}

fn r(seq: u32, ack: u32, flags: TcpFlags) -> Sent<'static> {
    let window = if flags.syn() { 65160 } else { 509 };
    Sent {
        from: Role::Responder,
        seq,
        ack,
        flags,
        window,
        options: TcpOptions::default(),
        payload: b"",
    }
}

fn open(first: &Sent<'_>) -> Result<Observer, Irregularity> {
    let frame = first.frame();
    Observer::open(&read(&frame), &frame, Side::A, Instant::from_secs(1))
}

fn side_of(from: Role) -> Side {
    if from == Role::Originator {
        Side::A
    } else {
        Side::B
    }
}

fn see(observer: &mut Observer, sent: &Sent<'_>) -> Observation {
    see_at(observer, sent, Instant::from_secs(1))
}

fn see_at(observer: &mut Observer, sent: &Sent<'_>, now: Instant) -> Observation {
    let frame = sent.frame();
    observer.on_segment(&read(&frame), &frame, side_of(sent.from), now)
}

fn see_and_pass(observer: &mut Observer, sent: &Sent<'_>) -> Observation {
    let observation = see(observer, sent);
    observer.passed(&read(&sent.frame()));
    observation
}

fn key() -> FlowKey {
    read(&o(0, 0, SYN).frame()).key
}

fn established_with(syn: TcpOptions, syn_ack: TcpOptions) -> Observer {
    let mut observer = open(&o(0, 0, SYN).options(syn)).unwrap();
    assert_eq!(
        see(&mut observer, &r(0, 1, SYN | ACK).options(syn_ack)),
        Observation::Handshaking
    );
    assert_eq!(see(&mut observer, &o(1, 1, ACK)), Observation::Established);
    observer
}

fn established() -> Observer {
    established_with(options(), options())
}

const fn disregarded(why: Disregard) -> Observation {
    Observation::Disregarded(why)
}

const fn irregular(why: Irregularity) -> Observation {
    Observation::Irregular(why)
}

#[test]
fn an_observed_flow_is_small() {
    assert!(
        size_of::<Observer>() <= OBSERVER_BYTES_MAX,
        "{}",
        size_of::<Observer>()
    );
}

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
                path: path(Role::Originator),
            },
        }
    );
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
        half.path.link().header(),
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
    assert_eq!(observer.recorded(&key()), established().recorded(&key()));
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
fn resets_count_when_they_hit_the_next_number() {
    // Refused: the answer to the SYN is a reset that acknowledges it.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(
        see(&mut observer, &r(0, 2, RST | ACK)),
        disregarded(Disregard::WrongAcknowledgement)
    );
    assert_eq!(
        see(&mut observer, &r(0, 1, RST)),
        disregarded(Disregard::WrongAcknowledgement)
    );
    assert_eq!(see(&mut observer, &r(0, 1, RST | ACK)), Observation::Reset);
    // Given up before and after the answer.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(see(&mut observer, &o(1, 0, RST)), Observation::Reset);
    for reset in [o(1, 0, RST), r(1, 0, RST), r(0, 1, RST | ACK)] {
        let mut observer = open(&o(0, 0, SYN)).unwrap();
        see(&mut observer, &r(0, 1, SYN | ACK));
        assert_eq!(see(&mut observer, &reset), Observation::Reset);
        assert_eq!(observer.recorded(&key()), None);
    }
    // While something is held its sender is ahead of what was forwarded.
    for reset in [o(1, 0, RST), o(11, 0, RST | ACK), r(1, 1, RST | ACK)] {
        let mut observer = established();
        see(&mut observer, &o(1, 1, ACK).payload(b"hello"));
        see(&mut observer, &o(6, 1, ACK).payload(b"world"));
        assert_eq!(
            see(&mut observer, &o(6, 1, RST)),
            disregarded(Disregard::DoubtfulReset)
        );
        assert_eq!(see(&mut observer, &reset), Observation::Reset);
    }
}

fn finished() -> Observer {
    let mut observer = established_with(stamped(options(), 100, 0), stamped(options(), 900, 100));
    assert_eq!(
        see_and_pass(&mut observer, &o(1, 1, ACK | FIN)),
        Observation::Segment
    );
    assert_eq!(see(&mut observer, &r(1, 2, ACK)), Observation::Segment);
    assert_eq!(
        see_and_pass(&mut observer, &r(1, 2, ACK | FIN)),
        Observation::Segment
    );
    assert_eq!(see(&mut observer, &o(2, 2, ACK)), Observation::Finished);
    observer
}

#[test]
fn p87_e113_after_the_end_only_a_newer_syn_opens_anew() {
    let mut observer = finished();
    assert_eq!(observer.recorded(&key()), None);
    // The last FIN comes again, and its acknowledgement.
    assert_eq!(
        see(&mut observer, &r(1, 2, ACK | FIN)),
        Observation::Finished
    );
    assert_eq!(see(&mut observer, &o(2, 2, ACK)), Observation::Finished);
    // Old duplicates open nothing.
    assert_eq!(
        see(
            &mut observer,
            &o(0, 0, SYN).options(stamped(options(), 100, 0))
        ),
        disregarded(Disregard::OutOfWindow)
    );
    assert_eq!(
        see(&mut observer, &o(2, 2, ACK).payload(b"more")),
        irregular(Irregularity::AfterEnd)
    );
    // A later sequence number does, or a later clock.
    assert_eq!(
        see(&mut observer, &o(2, 0, SYN).options(options())),
        Observation::Reopened
    );
    let earlier = o(0x9000_0000, 0, SYN);
    assert_eq!(
        see(&mut observer, &earlier.options(stamped(options(), 101, 0))),
        Observation::Reopened
    );
    assert_eq!(
        see(&mut observer, &earlier),
        disregarded(Disregard::OutOfWindow)
    );
}

#[test]
fn e105_a_connection_that_goes_on_after_a_reset_is_irregular() {
    let mut observer = established();
    assert_eq!(see(&mut observer, &o(1, 1, RST)), Observation::Reset);
    assert_eq!(see(&mut observer, &o(1, 1, RST)), Observation::Reset);
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK).payload(b"hello")),
        irregular(Irregularity::AfterEnd)
    );
    assert_eq!(see(&mut observer, &o(0, 0, SYN)), Observation::Reopened);
}

#[test]
fn names_differ() {
    for (index, why) in Irregularity::ALL.iter().enumerate() {
        assert!(
            Irregularity::ALL[..index]
                .iter()
                .all(|other| other.name() != why.name())
        );
    }
    assert_eq!(Role::Originator.other(), Role::Responder);
    assert_eq!(Role::Responder.other(), Role::Originator);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// However the handshake's segments are lost, repeated and reordered: when it is found established, both ends agree
    /// with what is recorded.
    #[test]
    fn a_shuffled_handshake_is_recorded_right_or_not_at_all(
        isns: (u32, u32),
        order in proptest::collection::vec(0usize..6, 0..30),
    ) {
        let (isn_o, isn_r) = (SeqNum(isns.0), SeqNum(isns.1));
        let script = [
            o(0, 0, SYN).options(options()),
            r(0, 1, SYN | ACK).options(options()),
            o(1, 1, ACK),
            o(1, 1, ACK).payload(b"hello"),
            o(6, 1, ACK).payload(b"world"),
            r(1, 1, ACK),
        ];
        let first = script[0].frame_of(isn_o, isn_r);
        let mut observer = Observer::open(&read(&first), &first, Side::A, Instant::ZERO).unwrap();
        let (mut answered, mut confirmed) = (false, false);
        for step in order {
            let frame = script[step].frame_of(isn_o, isn_r);
            observer.on_segment(&read(&frame), &frame, side_of(script[step].from), Instant::ZERO);
            answered |= step == 1;
            confirmed |= answered && (2..=4).contains(&step);
        }
        if let Some(recorded) = observer.recorded(&key()) {
            prop_assert!(confirmed);
            for half in [recorded.toward_originator, recorded.toward_responder] {
                prop_assert_eq!((half.send_scale, half.sack, half.peer_mss), (7, true, 1460));
            }
            prop_assert_eq!(recorded.toward_originator.send_next, isn_r + 1);
            prop_assert_eq!(recorded.toward_originator.receive_next, isn_o + 1);
            prop_assert_eq!(recorded.toward_responder.send_next, isn_o + 1);
            prop_assert_eq!(recorded.toward_responder.receive_next, isn_r + 1);
        }
    }

    /// Hostile segments of any kind: no panic, no overflow, and nothing recorded that was not established.
    #[test]
    fn any_segments(segments in proptest::collection::vec(
        (any::<bool>(), any::<bool>(), 0u32..20, 0u32..20, any::<u8>(), any::<u16>(), 0usize..20, any::<Option<(u32, u8)>>()),
        1..40,
    )) {
        let mut observer: Option<Observer> = None;
        for (originator, pass, seq, ack, flags, window, len, extra) in segments {
            let from = if originator { Role::Originator } else { Role::Responder };
            let mut options = TcpOptions::default();
            if let Some((value, scale)) = extra {
                options.timestamps = Some(Timestamps { value, echo: 0 });
                options.window_scale = Some(scale);
            }
            let payload = [0; 20];
            let flags = TcpFlags::from_bits(flags);
            let sent = Sent { from, seq, ack, flags, window, options, payload: &payload[..len] };
            let frame = sent.frame();
            let tcp = read(&frame);
            match &mut observer {
                None => observer = Observer::open(&tcp, &frame, side_of(from), Instant::ZERO).ok(),
                Some(observer) => {
                    let before = observer.is_established();
                    let observation = observer.on_segment(&tcp, &frame, observer.side_of(observer.role_of(&tcp)), Instant::MAX);
                    let now = observer.is_established();
                    prop_assert_eq!(now && !before, observation == Observation::Established);
                    if pass {
                        observer.passed(&tcp);
                    }
                    prop_assert!(observer.recorded(&tcp.key).is_none() || now);
                }
            }
        }
    }
}
