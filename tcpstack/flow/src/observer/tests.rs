//! An observer between two ends; what they send is written as in packetdrill.

use super::*;
use sluice_packet::{
    Frame, PathTemplate, SegmentId, TcpFlags, TcpOptions, TcpSegment, Timestamps, VlanStack, emit,
    parse,
};

mod arbitrary;
mod ending;
mod handshake;
mod insertion;
mod takeover;

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
        other => panic!("{other:?}"),
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
