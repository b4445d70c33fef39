//! What routers say about the segments of a session (RFC 1191, RFC 5927).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::Side;
use sluice_telemetry::{Counter, EndReason};
use world::end::internet_checksum;
use world::{App, Pki, Settings, World, payload_len};

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
