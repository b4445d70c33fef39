//! What routers say about the segments of a session (RFC 1191, RFC 5927).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::Side;
use sluice_telemetry::{Counter, EndReason};
use world::end::internet_checksum;
use world::{App, End, Pki, Settings, World, payload_len};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";

/// An ICMP error of a router on the way to the receiver of `frame`, an untagged IPv4 one.
fn icmp(frame: &[u8], (kind, code): (u8, u8), mtu: u16, seq: Option<u32>) -> Vec<u8> {
    let mut quoted = frame[14..14 + 28].to_vec();
    if let Some(seq) = seq {
        quoted[24..28].copy_from_slice(&seq.to_be_bytes());
    }
    let mut message = vec![kind, code, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend(quoted);
    let sum = internet_checksum(&message, 0);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut out = [&frame[6..12], &frame[..6], &[8, 0]].concat();
    let length = u16::try_from(20 + message.len()).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend(length.to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1]);
    ip.extend(&frame[26..30]);
    let sum = internet_checksum(&ip, 0);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(ip);
    out.extend(message);
    out
}

#[test]
fn p94_a_packet_too_big_shrinks_a_halfs_segments_and_a_forged_error_changes_nothing() {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let reply: Vec<u8> = (0..2_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, reply.len());
    let server = App::server(&origin, &[], REQUEST.len(), &reply);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    let large = |world: &World| {
        let last = world.wire_to_client.last()?;
        (payload_len(last) > 1300).then(|| last.clone())
    };
    while large(&world).is_none() || world.client.heard.len() < 100_000 {
        world.turn();
    }
    let frame = large(&world).unwrap();
    let to_origin = world.wire_to_origin.len();
    for forged in [
        icmp(&frame, (3, 4), 1000, Some(77)),
        icmp(&frame, (3, 1), 0, None),
        icmp(&frame, (11, 0), 0, None),
    ] {
        world.inject(Side::A, forged);
    }
    assert_eq!(world.out.frames.len(), 0, "none goes on to the real end");
    assert_eq!(world.wire_to_origin.len(), to_origin);
    let before = world.wire_to_client.len();
    while world.wire_to_client.len() < before + 20 {
        world.turn();
    }
    assert!(large(&world).is_some(), "nothing has changed");

    // A segment in flight is quoted: the last one that left.
    let frame = loop {
        world.turn();
        if let Some(frame) = large(&world) {
            break frame;
        }
    };
    world.inject(Side::A, icmp(&frame, (3, 4), 1000, None));
    let from = world.wire_to_client.len();
    world.run(Duration::from_secs(60));
    assert!(world.client.heard == reply, "the transfer goes on");
    let longest = world.wire_to_client[from..]
        .iter()
        .map(|frame| frame.len() - 14);
    assert!(longest.max().unwrap() <= 1000);
    assert_eq!(world.event().ended, EndReason::Closed);
    assert!(world.count(Counter::IcmpErrorsIgnored) >= 1);
}

/// A router's Packet Too Big (RFC 4443 section 3.2) about `frame`, an untagged IPv6 one.
fn packet_too_big(frame: &[u8], mtu: u32, seq: Option<u32>, right: bool) -> Vec<u8> {
    let mut quoted = frame[14..frame.len().min(14 + 1232)].to_vec();
    if let Some(seq) = seq {
        quoted[44..48].copy_from_slice(&seq.to_be_bytes());
    }
    let mut message = vec![2, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend(quoted);
    let length = u16::try_from(message.len()).unwrap();
    let router = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe];
    let receiver = &frame[22..38];
    let mut pseudo = [router.as_slice(), receiver].concat();
    pseudo.extend(u32::from(length).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    let start = u32::from(!internet_checksum(&pseudo, 0));
    let sum = internet_checksum(&message, start) ^ u16::from(!right);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut out = [&frame[6..12], &frame[..6], &[0x86, 0xdd]].concat();
    out.extend([0x60, 0, 0, 0]);
    out.extend(length.to_be_bytes());
    out.extend([58, 64]);
    out.extend(router);
    out.extend(receiver);
    out.extend(message);
    out
}

const MUCH: u32 = 12_000_000;

/// A session that moves much to one end; `v6` or not.
fn moving(to: Side, v6: bool) -> (World, Vec<u8>) {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let much: Vec<u8> = (0..MUCH).map(|at| at.to_le_bytes()[0]).collect();
    let (request, reply) = match to {
        Side::A => (REQUEST, much.as_slice()),
        Side::B => (much.as_slice(), REQUEST),
    };
    let client = || App::client(&pki.trusted, "good.test", &[], request, reply.len());
    let server = App::server(&origin, &[], request.len(), reply);
    let mut world = World::with(&Settings::default(), &pki, client(), server);
    if v6 {
        world.client = End::client("[fd00:1::1]:40000", "[fd00:2::1]:443", client());
    }
    for _ in 0..10_000 {
        world.run(Duration::from_micros(100));
        if heard(&world, to).len() >= 100_000 {
            break;
        }
    }
    (world, much)
}

fn heard(world: &World, end: Side) -> &Vec<u8> {
    match end {
        Side::A => &world.client.heard,
        Side::B => &world.origin.heard,
    }
}

fn wire(world: &World, to: Side) -> &Vec<Vec<u8>> {
    match to {
        Side::A => &world.wire_to_client,
        Side::B => &world.wire_to_origin,
    }
}

/// A full segment that has just left, and is in flight.
fn in_flight(world: &mut World, to: Side) -> Vec<u8> {
    for _ in 0..1_000 {
        let before = wire(world, to).len();
        world.run(Duration::from_micros(100));
        let left = wire(world, to).get(before..).unwrap_or_default();
        let full = left.last().filter(|frame| payload_len(frame) > 1300);
        if let Some(frame) = full {
            return frame.clone();
        }
    }
    unreachable!("no full segment leaves any more")
}

/// Over IPv6 and toward the origin too: what is forged changes nothing, what is genuine shrinks that half's segments.
#[test]
fn p94_over_either_family_and_toward_either_end_only_a_genuine_error_shrinks_segments() {
    for (to, v6) in [(Side::A, true), (Side::B, true), (Side::B, false)] {
        let (mut world, much) = moving(to, v6);
        let error = |frame: &[u8], mtu: u16, seq| {
            if v6 {
                packet_too_big(frame, mtu.into(), seq, true)
            } else {
                icmp(frame, (3, 4), mtu, seq)
            }
        };
        let frame = in_flight(&mut world, to);
        let mut forged = vec![error(&frame, 1300, Some(77))];
        if v6 {
            // Its checksum is wrong.
            forged.push(packet_too_big(&frame, 1300, None, false));
        }
        let left = world.out.frames.len();
        for forged in forged {
            world.inject(to, forged);
        }
        // From the other side it cannot come.
        world.inject(to.other(), error(&frame, 1300, None));
        assert_eq!(world.out.frames.len(), left, "{to:?} {v6}: none goes on");
        // Longer than what was forged: nothing has changed.
        let frame = in_flight(&mut world, to);
        world.inject(to, error(&frame, 1290, None));
        let from = wire(&world, to).len();
        world.run(Duration::from_secs(60));
        assert!(
            *heard(&world, to) == much,
            "{to:?} {v6}: the transfer goes on"
        );
        let longest = |frames: &[Vec<u8>]| frames.iter().map(|frame| frame.len() - 14).max();
        let after = longest(&wire(&world, to)[from..]).unwrap();
        assert!(after <= 1290 && after > 1200, "{to:?} {v6}: {after}");
        assert_eq!(world.event().ended, EndReason::Closed);
        assert!(world.count(Counter::IcmpErrorsTaken) >= 1);
    }
}
