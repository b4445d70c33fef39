//! Frames that a port finishes: a tap port does in software what other ports' hardware does.

use dpdk::{Burst, Offloads, Port, PortConfig, Running};
use sluice_packet::{
    Frame, PacketBuf, PathTemplate, SegmentId, SeqNum, TcpFlags, TcpFrame, TcpSegment, Unfinished,
    Verified, VlanStack, emit, emit_unfinished, parse,
};

use crate::support::{Lab, own_network, up};

const HEADERS_BYTES: usize = 14 + 20 + 20;

fn path() -> PathTemplate {
    PathTemplate::new(
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        VlanStack::UNTAGGED,
        "10.9.0.1:40000".parse().expect("an address"),
        "10.9.0.2:443".parse().expect("an address"),
    )
}

/// A TCP segment with this payload, for a port to finish.
fn unfinished(payload: &[u8], cut_bytes: u16) -> (Vec<u8>, Unfinished) {
    let segment = TcpSegment {
        seq: SeqNum(1_000),
        ack: SeqNum(1),
        flags: TcpFlags::ACK | TcpFlags::PSH,
        window: 500,
        payload,
        ..TcpSegment::default()
    };
    let mut frame = vec![0; HEADERS_BYTES + payload.len()];
    let (bytes, layout) =
        emit_unfinished(&mut frame, &path(), &segment, &[], cut_bytes).expect("room");
    assert_eq!(bytes, frame.len());
    (frame, layout)
}

fn tap(lab: &Lab) -> Running {
    let port = Port::attach(&lab.eal, "net_tap0,iface=ta").expect("attached");
    let has = port.info().expect("facts").offloads;
    assert_eq!(has, Offloads::ALL, "this driver has them all");
    let config = PortConfig {
        offloads: Offloads::ALL,
        ..PortConfig::default()
    };
    let port = port.configure(&config, &[lab.pool]).expect("configured");
    let running = port.start().expect("started");
    up("ta");
    running
}

/// Sends one unfinished frame through the tap and returns the TCP frames that come out of its other end.
fn finished(lab: &Lab, payload: &[u8], cut_bytes: u16, frames: usize) -> Vec<Vec<u8>> {
    let mut tap = tap(lab);
    let mut other = lab.open("net_af_packet0,iface=ta");
    let (bytes, layout) = unfinished(payload, cut_bytes);
    let mut came: Vec<Vec<u8>> = Vec::new();
    lab.eventually("the whole segment comes", || {
        if came.is_empty() {
            let mut packet = lab.pool.alloc().expect("a buffer");
            packet
                .append(bytes.len())
                .expect("room")
                .copy_from_slice(&bytes);
            packet.leave_unfinished(layout);
            let mut burst: Burst = Burst::new();
            burst.push(packet).expect("room");
            tap.tx[0].send(&mut burst);
        }
        let mut burst: Burst = Burst::new();
        other.rx[0].receive(&mut burst);
        came.extend(
            burst
                .drain()
                .filter(|packet| tcp(packet.frame()).is_some())
                .map(|packet| packet.frame().to_vec()),
        );
        came.len() >= frames
    });
    assert_eq!(tap.tx[0].unsendable(), 0);
    came.truncate(frames);
    came
}

fn tcp(frame: &[u8]) -> Option<TcpFrame> {
    match parse(SegmentId(0), frame) {
        Frame::Tcp(tcp) => Some(tcp),
        _ => None,
    }
}

#[test]
fn both_checksums_are_filled_in() {
    let alone = own_network();
    let lab = Lab::new();
    if !alone {
        return crate::assert_refused(&lab, "net_tap0,iface=ta", &["Unable to create TAP"]);
    }
    let payload: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    for frame in finished(&lab, &payload, 0, 1) {
        let tcp = tcp(&frame).expect("TCP");
        assert!(tcp.checksum_ok(&frame));
        assert_eq!(tcp.payload(&frame), payload);
    }
}

#[test]
fn a_large_segment_is_cut() {
    let alone = own_network();
    let lab = Lab::new();
    if !alone {
        return crate::assert_refused(&lab, "net_tap0,iface=ta", &["Unable to create TAP"]);
    }
    let payload: Vec<u8> = (0..=250).cycle().take(1_900).collect();
    let frames = finished(&lab, &payload, 500, 4);
    let mut joined = Vec::new();
    for (position, frame) in frames.iter().enumerate() {
        let tcp = tcp(frame).expect("TCP");
        assert!(tcp.checksum_ok(frame), "piece {position}");
        assert_eq!(
            tcp.seq.0,
            1_000 + 500 * u32::try_from(position).expect("small")
        );
        assert_eq!(tcp.flags.psh(), position == 3, "only the last is pushed");
        joined.extend_from_slice(tcp.payload(frame));
    }
    assert_eq!(joined, payload);
}

#[test]
fn checksums_of_received_frames_are_looked_at() {
    let alone = own_network();
    let lab = Lab::new();
    if !alone {
        return crate::assert_refused(&lab, "net_tap0,iface=ta", &["Unable to create TAP"]);
    }
    let mut tap = tap(&lab);
    let mut other = lab.open("net_af_packet0,iface=ta");
    let mut good = vec![0; HEADERS_BYTES];
    emit(&mut good, &path(), &TcpSegment::default(), &[]).expect("room");
    let mut bad = good.clone();
    bad[51] ^= 0x40;
    for (bytes, expected) in [(good, Verified::IpAndTcp), (bad, Verified::Nothing)] {
        let mut verified = None;
        lab.eventually("it comes", || {
            let mut packet = lab.pool.alloc().expect("a buffer");
            packet
                .append(bytes.len())
                .expect("room")
                .copy_from_slice(&bytes);
            let mut burst: Burst = Burst::new();
            burst.push(packet).expect("room");
            other.tx[0].send(&mut burst);
            let mut burst: Burst = Burst::new();
            tap.rx[0].receive(&mut burst);
            verified = burst
                .drain()
                .find(|packet| packet.frame() == bytes)
                .map(|packet| packet.verified());
            verified.is_some()
        });
        assert_eq!(verified, Some(expected));
    }
}
