//! Frames at a watched handshake: what its receiver disregards teaches nothing, and an irregular connection stays one.

use sluice_flow::{Irregularity, Observation, Observer};
use sluice_packet::{
    FlowKey, Frame, Instant, PathTemplate, SegmentId, SeqNum, Side, TcpFlags, TcpFrame, TcpSegment,
    Timestamps, VlanStack, emit, parse,
};

use super::Input;

const SEGMENT: SegmentId = SegmentId(0);

/// A segment per some bytes of the input.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut observer: Option<(Observer, FlowKey)> = None;
    let mut irregular = None;
    while !input.is_empty() {
        let (frame, from_client) = written(&mut input);
        let tcp = read(&frame);
        let side = if from_client { Side::A } else { Side::B };
        let Some((observer, key)) = &mut observer else {
            observer = Observer::open(&tcp, &frame, side, Instant::ZERO)
                .ok()
                .map(|observer| (observer, tcp.key));
            continue;
        };
        // A repeated SYN-ACK is answered by its receiver and says what its sender's clock shows; nothing else is learned.
        let clock_alone = tcp.flags.contains(TcpFlags::SYN | TcpFlags::ACK);
        let learned = |observer: &Observer| {
            let mut recorded = observer.recorded(key)?;
            if clock_alone {
                recorded.toward_originator.timestamps = None;
                recorded.toward_responder.timestamps = None;
            }
            Some(recorded)
        };
        let before = learned(observer);
        let observation = observer.on_segment(&tcp, &frame, side, Instant::from_secs(1));
        match (irregular, observation) {
            (Some(why), other) => assert!(
                other == Observation::Irregular(why)
                    || matches!(other, Observation::Disregarded(_)),
                "{why:?}, then {other:?}"
            ),
            // After the end a new connection may begin.
            (None, Observation::Irregular(Irregularity::AfterEnd)) => {}
            (None, Observation::Irregular(why)) => irregular = Some(why),
            (None, Observation::Disregarded(_)) => assert_eq!(learned(observer), before),
            (None, Observation::Established | Observation::Segment) => observer.passed(&tcp),
            (None, _) => {}
        }
        if observer.recorded(key).is_some() {
            assert!(observer.is_established() && irregular.is_none());
        }
    }
}

fn read(frame: &[u8]) -> TcpFrame {
    match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

fn written(input: &mut Input<'_>) -> (Vec<u8>, bool) {
    let shape = input.byte();
    let from_client = shape & 1 != 0;
    let (client, server) = ("10.1.0.1:40000", "10.2.0.1:443");
    let (source, destination) = if from_client {
        (client, server)
    } else {
        (server, client)
    };
    let path = PathTemplate::new(
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        VlanStack::UNTAGGED,
        source.parse().unwrap(),
        destination.parse().unwrap(),
    );
    let mut segment = TcpSegment {
        flags: TcpFlags::from_bits(input.byte()),
        seq: SeqNum(1000) + input.near(),
        ack: SeqNum(1000) + input.near(),
        window: input.half(),
        ..TcpSegment::default()
    };
    if shape & 2 != 0 {
        segment.options.timestamps = Some(Timestamps {
            value: input.near(),
            echo: input.near(),
        });
    }
    if shape & 4 != 0 {
        segment.options.window_scale = Some(input.byte());
        segment.options.sack_permitted = true;
    }
    if shape & 8 != 0 {
        segment.payload = input.take(usize::from(shape >> 4) * 4);
    }
    let mut frame = vec![0; 256];
    let len = emit(&mut frame, &path, &segment, &[]).unwrap();
    frame.truncate(len);
    if shape & 0xf0 == 0xf0 {
        // A wrong checksum.
        frame[50] ^= 1;
    }
    (frame, from_client)
}
