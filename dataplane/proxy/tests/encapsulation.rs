//! Flows in tunnels, behind extension headers and in fragments: inspected like any other, or passed as they came.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Encapsulation, Frame, Side, TcpFrame, TunnelId, parse};
use sluice_telemetry::{Counter, DecisionCode, DropReason};
use world::cut::{self, IP};
use world::{App, End, Pki, SEGMENT, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const LONG: Duration = Duration::from_secs(200);

/// Longer than any path's segment, so that lengths are filled.
fn reply() -> Vec<u8> {
    let mut reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec();
    reply.extend([b'x'; 5000]);
    reply
}

fn world_to(name: &str, v6: bool) -> World {
    let pki = Arc::new(Pki::new());
    let root = if name == "good.test" {
        &pki.trusted
    } else {
        &pki.origin_root
    };
    let client = App::client(root, name, &[], REQUEST, reply().len());
    let server = App::server(&pki.origin_root.leaf(&[name]), &[], REQUEST.len(), &reply());
    let mut world = World::with(&Settings::default(), &pki, client, server);
    if v6 {
        let client = App::client(root, name, &[], REQUEST, reply().len());
        world.client = End::client("[fd00:1::1]:40000", "[fd00:2::1]:443", client);
    }
    world
}

#[track_caller]
fn assert_inspected(world: &World) {
    assert_eq!(world.client.error, None);
    assert_eq!(world.client.heard, reply());
    assert_eq!(world.origin.heard, REQUEST);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
}

fn tcp(frame: &[u8]) -> TcpFrame {
    match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

fn v4(one: u8) -> IpAddr {
    [192, 0, 2, one].into()
}

fn v6(one: u16) -> IpAddr {
    [0xfd99, 0, 0, 0, 0, 0, 0, one].into()
}

/// Every outer header that may stand around IPv4, or around IPv6.
fn encapsulations(carries_ipv6: bool) -> [Encapsulation; 6] {
    [
        Encapsulation::ip_in_ip(v4(1), v4(2), carries_ipv6),
        Encapsulation::ip_in_ip(v6(1), v6(2), carries_ipv6),
        Encapsulation::gre(v4(1), v4(2), None, carries_ipv6),
        Encapsulation::gre(v4(1), v4(2), Some(0xdead_beef), carries_ipv6),
        Encapsulation::gre(v6(1), v6(2), None, carries_ipv6),
        Encapsulation::gre(v6(1), v6(2), Some(7), carries_ipv6),
    ]
}

/// Reads the outer headers of a frame by hand: outer addresses, protocol, GRE header, and that all lengths and checksums are
/// right.
fn outer(frame: &[u8]) -> (Vec<u8>, u8, Vec<u8>) {
    let tcp = tcp(frame);
    assert!(tcp.checksum_ok(frame));
    let length = frame.len() - IP;
    if frame[IP] >> 4 == 6 {
        assert_eq!(frame[12..14], [0x86, 0xdd]);
        assert_eq!(
            usize::from(frame[IP + 4]) << 8 | usize::from(frame[IP + 5]),
            length - 40
        );
        return (
            frame[IP + 8..IP + 40].to_vec(),
            frame[IP + 6],
            frame[IP + 40..tcp.l3_offset()].to_vec(),
        );
    }
    assert_eq!(
        (frame[12..14].to_vec(), frame[IP]),
        (vec![0x08, 0x00], 0x45)
    );
    assert_eq!(
        usize::from(frame[IP + 2]) << 8 | usize::from(frame[IP + 3]),
        length
    );
    assert_eq!(world::end::internet_checksum(&frame[IP..IP + 20], 0), 0);
    (
        frame[IP + 12..IP + 20].to_vec(),
        frame[IP + 9],
        frame[IP + 20..tcp.l3_offset()].to_vec(),
    )
}

#[test]
fn f5_f6_f7_p102_a_session_in_a_tunnel_is_inspected_and_wears_the_tunnel_s_headers() {
    for inner_v6 in [false, true] {
        for encapsulation in encapsulations(inner_v6) {
            let mut world = world_to("good.test", inner_v6);
            world.client.tunnel(encapsulation);
            world.run(LONG);
            assert_inspected(&world);
            let sample = outer(&world.wire_to_origin[0]);
            let half = sample.0.len() / 2;
            let back = [&sample.0[half..], &sample.0[..half]].concat();
            let key = tcp(&world.wire_to_origin[0]).key;
            assert_ne!(key.tunnel(), TunnelId::NONE);
            let mut longest = 0;
            for frame in &world.wire_to_origin {
                assert_eq!(outer(frame), sample, "{encapsulation:?}");
                assert_eq!(tcp(frame).key, key);
            }
            for frame in &world.wire_to_client {
                assert_eq!(outer(frame), (back.clone(), sample.1, sample.2.clone()));
                longest = longest.max(frame.len() - IP);
            }
            // The path's MTU counts the tunnel's headers, and is made use of.
            assert_eq!(longest, 1500, "{encapsulation:?}");
        }
    }
}

#[test]
fn p102_hop_limit_and_dscp_of_the_tunnel_are_each_direction_s_own() {
    let mut world = world_to("good.test", false);
    world
        .client
        .tunnel(Encapsulation::gre(v4(1), v4(2), None, false));
    world.router = Some(Box::new(|side, mut frame| {
        if side == Side::A {
            // Hop limit 61, DSCP 46, and may be fragmented.
            (frame[IP + 8], frame[IP + 1], frame[IP + 6]) = (61, 0xb8, 0);
        } else {
            (frame[IP + 8], frame[IP + 1], frame[IP + 6]) = (57, 0x28, 0x40);
        }
        cut::mend(&mut frame);
        vec![frame]
    }));
    world.run(LONG);
    assert_inspected(&world);
    let seen = |frame: &Vec<u8>| (frame[IP + 8], frame[IP + 1], frame[IP + 6]);
    assert!(
        world
            .wire_to_origin
            .iter()
            .all(|frame| seen(frame) == (61, 0xb8, 0))
    );
    assert!(
        world
            .wire_to_client
            .iter()
            .all(|frame| seen(frame) == (57, 0x28, 0x40))
    );
    // What may be fragmented on its way has a number of its own.
    let data = world.wire_to_origin.iter().skip(3);
    let numbers: std::collections::BTreeSet<_> = data
        .clone()
        .map(|frame| frame[IP + 4..IP + 6].to_vec())
        .collect();
    assert!(numbers.len() > data.count() / 2);
}

#[test]
fn f6_a_gre_key_that_differs_between_the_directions_is_passed_uninspected() {
    let mut world = world_to("bank.test", false);
    world
        .client
        .tunnel(Encapsulation::gre(v4(1), v4(2), Some(1), false));
    world.router = Some(Box::new(|side, mut frame| {
        if side == Side::B {
            frame[IP + 24..IP + 28].copy_from_slice(&2u32.to_be_bytes());
        }
        vec![frame]
    }));
    world.run(LONG);
    assert_eq!(world.client.heard, reply());
    assert_eq!(world.origin.heard, REQUEST);
    assert!(
        world
            .out
            .events
            .iter()
            .all(|event| event.code == DecisionCode::BypassIrregularHandshake)
    );
    assert_eq!(world.count(Counter::SessionsInspected), 0);
}

#[test]
fn f6_f7_what_is_not_looked_into_passes_as_it_came_and_is_counted() {
    let plain = world_to("good.test", false)
        .client
        .stray(1, sluice_packet::TcpFlags::SYN, b"");
    let wrap = |protocol: u8, header: &[u8]| {
        let mut frame = plain[..IP].to_vec();
        frame.extend(&plain[IP..IP + 20]);
        frame[IP + 9] = protocol;
        frame.extend(header);
        frame.extend(&plain[IP..]);
        cut::mend(&mut frame);
        frame
    };
    let second = [&wrap(4, &[])[IP..IP + 20], &[0, 0, 8, 0]].concat();
    for (frame, counter) in [
        (
            wrap(47, &[0x10, 0, 8, 0, 0, 0, 0, 1]),
            Counter::OpaqueGreSequence,
        ),
        (
            wrap(47, &[0x80, 0, 8, 0, 0, 0, 0, 0]),
            Counter::OpaqueGreChecksum,
        ),
        (
            wrap(47, &[0x40, 0, 8, 0, 0, 0, 0, 0]),
            Counter::OpaqueGreRouting,
        ),
        (
            wrap(47, &[0x20, 1, 0x88, 0x0b, 0, 0, 0, 0]),
            Counter::OpaqueGreVersion,
        ),
        (wrap(47, &[0, 0, 0x65, 0x58]), Counter::OpaqueGrePayload),
        (
            wrap(17, &[0, 9, 0x08, 0x68, 0, 60, 0, 0]),
            Counter::OpaqueGtp,
        ),
        (
            {
                let mut frame = wrap(4, &second);
                frame[IP + 20 + 9] = 47;
                let inner = u16::try_from(frame.len() - IP - 20).unwrap();
                frame[IP + 22..IP + 24].copy_from_slice(&inner.to_be_bytes());
                frame
            },
            Counter::OpaqueSecondTunnel,
        ),
    ] {
        let mut world = world_to("good.test", false);
        world.inject(Side::A, frame.clone());
        assert_eq!(world.count(counter), 1, "{counter}");
        assert_eq!(world.out.frames.pop_front(), Some((Side::B, frame)));
        assert_eq!(world.count(Counter::FlowsCandidate), 0);
    }
}

#[test]
fn e111_a_session_behind_ipv6_extension_headers_is_inspected() {
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.1
    //= type=test
    //# IPv6 nodes must accept and attempt to process extension headers in
    let padding = [0u8, 0, 1, 4, 0, 0, 0, 0];
    let to_fragment = [44u8, 0, 1, 4, 0, 0, 0, 0];
    let cases: [(u8, Vec<&[u8]>); 5] = [
        (0, vec![&padding]),
        (60, vec![&padding]),
        // A routing header without a segment left.
        (43, vec![&[0, 0, 4, 0, 0, 0, 0, 0]]),
        // An atomic fragment behind destination options.
        (60, vec![&to_fragment, &[0, 0, 0, 0, 0, 0, 0, 9]]),
        (0, vec![&[60, 0, 5, 2, 0, 0, 1, 0], &padding]),
    ];
    for (kind, headers) in cases {
        let mut world = world_to("good.test", true);
        let headers: Vec<Vec<u8>> = headers.into_iter().map(<[u8]>::to_vec).collect();
        world.router = Some(Box::new(move |side, frame| {
            let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
            if side == Side::A {
                vec![cut::with_extensions(&frame, kind, &headers)]
            } else {
                vec![frame]
            }
        }));
        world.run(LONG);
        assert_inspected(&world);
        // What is written for the flow has none.
        let last = world.wire_to_origin.last().unwrap();
        assert_eq!(last[IP + 6], 6);
    }
}

#[test]
fn e111_a_session_behind_ipv4_options_is_inspected() {
    // Router alert, a timestamp, and a source route that has come to its end.
    for options in [
        &[148u8, 4, 0, 0][..],
        &[68, 4, 5, 0],
        &[1, 131, 7, 8, 10, 9, 9, 9],
    ] {
        let mut world = world_to("good.test", false);
        let options = options.to_vec();
        world.router = Some(Box::new(move |_, frame| {
            vec![cut::with_options(&frame, &options)]
        }));
        world.run(LONG);
        assert_inspected(&world);
    }
}

#[test]
fn e111_an_endless_chain_of_extension_headers_reaches_nobody() {
    let mut world = world_to("good.test", true);
    let header = [60u8, 0, 1, 4, 0, 0, 0, 0];
    world.router = Some(Box::new(move |side, frame| {
        let headers: Vec<&[u8]> = core::iter::repeat_n(&header[..], 9).collect();
        if side == Side::A {
            vec![cut::with_extensions(&frame, 60, &headers)]
        } else {
            vec![frame]
        }
    }));
    world.run(Duration::from_secs(5));
    assert!(world.wire_to_origin.is_empty());
    assert!(world.count(Counter::Drop(DropReason::Ipv6ChainTooLong)) > 0);
}

/// A router that records its address, or one that is to be told of every fragment, cuts what the client sends.
#[test]
fn e111_a_session_whose_first_fragments_alone_have_options_is_inspected() {
    let record_route = [7u8, 7, 4, 0, 0, 0, 0, 1];
    let router_alert = [148u8, 4, 0, 0];
    for copied in [&[][..], &router_alert] {
        let mut world = world_to("good.test", false);
        let (first, copied) = ([copied, &record_route].concat(), copied.to_vec());
        let mut id = 0;
        world.router = Some(Box::new(move |_, frame| {
            id += 1;
            let parts = cut::fragments(&frame, id, 64);
            let with = |(number, part): (usize, &Vec<u8>)| match number {
                0 => cut::with_options(part, &first),
                _ => cut::with_options(part, &copied),
            };
            parts.iter().enumerate().map(with).collect()
        }));
        world.run(LONG);
        assert_inspected(&world);
        assert_eq!(world.out.discarded, []);
    }
}

#[test]
fn e111_a_session_in_fragments_is_inspected() {
    for v6 in [false, true] {
        // Tiny first fragments, which do not even hold the TCP header, among them.
        for size in [8, 24, 64, 512] {
            let mut world = world_to("good.test", v6);
            let mut id = 0;
            world.router = Some(Box::new(move |_, frame| {
                id += 1;
                let mut parts = cut::fragments(&frame, id, size.max(frame.len() / 60 / 8 * 8 + 8));
                parts.reverse();
                parts
            }));
            world.run(LONG);
            assert_inspected(&world);
            assert!(world.count(Counter::DatagramsReassembled) > 1);
            assert_eq!(world.count(Counter::FragmentsHeld), 0);
            // What the appliance writes is whole.
            assert!(matches!(
                parse(SEGMENT, world.wire_to_origin.last().unwrap()),
                Frame::Tcp(_)
            ));
        }
    }
}

#[test]
fn e111_p102_fragments_within_a_tunnel_and_of_a_tunnel_are_inspected() {
    for inner_v6 in [false, true] {
        for encapsulation in encapsulations(inner_v6) {
            let mut world = world_to("good.test", inner_v6);
            world.client.tunnel(encapsulation);
            let mut id = 0;
            world.router = Some(Box::new(move |_, frame| {
                id += 1;
                cut::fragments(&frame, id, 256)
            }));
            world.run(LONG);
            assert_inspected(&world);
        }
    }
}

#[test]
fn e111_a_bypassed_flow_in_fragments_passes_fragment_by_fragment_as_it_came() {
    for (name, source) in [
        ("www.bank.test", "10.1.0.1:40000"),
        ("good.test", "10.1.9.1:40000"),
    ] {
        let mut world = world_to("www.bank.test", false);
        let origin_root = Arc::clone(&world.pki);
        let client = App::client(&origin_root.origin_root, name, &[], REQUEST, reply().len());
        world.origin = End::server(App::server(
            &origin_root.origin_root.leaf(&[name]),
            &[],
            REQUEST.len(),
            &reply(),
        ));
        world.client = End::client(source, "10.2.0.1:443", client);
        let sent = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let record = std::rc::Rc::clone(&sent);
        let mut id = 0;
        world.router = Some(Box::new(move |side, frame| {
            id += 1;
            let parts = cut::fragments(&frame, id, 64);
            if side == Side::A {
                record.borrow_mut().extend(parts.clone());
            }
            parts
        }));
        world.run(LONG);
        assert_eq!(world.client.error, None);
        assert_eq!(world.client.heard, reply());
        assert_eq!(world.origin.heard, REQUEST);
        assert_eq!(*sent.borrow(), world.wire_to_origin);
        let fragments = sent
            .borrow()
            .iter()
            .filter(|frame| frame[IP + 6] & 0x20 != 0)
            .count();
        assert!(fragments > 2);
        assert_eq!(world.count(Counter::SessionsInspected), 0);
    }
}

/// Some of a datagram's fragments could die behind the appliance, and make room for those of another one.
#[test]
fn e111_fragments_with_different_hop_limits_leave_with_the_smallest() {
    const TTL: usize = IP + 8;
    let mut world = world_to("www.bank.test", false);
    let mut id = 0;
    world.router = Some(Box::new(move |side, frame| {
        id += 1;
        let mut parts = cut::fragments(&frame, id, 64);
        if side == Side::A && parts.len() > 1 {
            for (number, part) in (0..).zip(&mut parts) {
                part[TTL] = 9 - number % 2;
                cut::mend(part);
            }
        }
        parts
    }));
    world.run(LONG);
    assert_eq!(world.origin.heard, REQUEST);
    assert_eq!(world.count(Counter::SessionsInspected), 0);
    let fragmented = |frame: &&Vec<u8>| frame[IP + 6] & 0x3f != 0 || frame[IP + 7] != 0;
    let left: Vec<u8> = world
        .wire_to_origin
        .iter()
        .filter(fragmented)
        .map(|frame| frame[TTL])
        .collect();
    assert!(left.len() > 2);
    assert!(left.iter().all(|ttl| *ttl == 8), "{left:?}");
}

#[test]
fn e111_overlapping_fragments_never_reach_the_origin() {
    for v6 in [false, true] {
        for strange in [8usize..16, 0..32, 16..40, 24..32] {
            let mut world = world_to("good.test", v6);
            let mut id = 0;
            let range = strange.clone();
            world.router = Some(Box::new(move |side, frame| {
                id += 1;
                let mut parts = cut::fragments(&frame, id, 24);
                let header = if frame[IP] >> 4 == 6 { 40 } else { 20 };
                let data = vec![0xee; frame.len() - IP - header];
                if side == Side::A && data.len() > 48 {
                    parts.insert(2, cut::fragment(&frame, id, range.clone(), true, &data));
                }
                parts
            }));
            world.run(Duration::from_secs(20));
            assert_eq!(world.payload_to_origin(), 0);
            assert!(world.count(Counter::Drop(DropReason::FragmentOverlap)) > 3);
            // The handshake, which is shorter, did reach it.
            assert!(!world.wire_to_origin.is_empty());
            assert!(
                world
                    .wire_to_origin
                    .iter()
                    .all(|frame| !frame.contains(&0xee))
            );
        }
    }
}

#[test]
fn e111_fragments_that_stay_alone_are_given_up_and_counted() {
    let mut world = world_to("good.test", false);
    let frame = world
        .client
        .stray(1, sluice_packet::TcpFlags::ACK, &[0x5a; 100]);
    let parts = cut::fragments(&frame, 1, 48);
    world.run(Duration::from_secs(1));
    world.inject(Side::A, parts[0].clone());
    world.run(Duration::from_secs(60));
    assert_eq!(world.count(Counter::Drop(DropReason::FragmentTimeout)), 1);
    assert!(!world.wire_to_origin.contains(&parts[0]));
}

#[test]
fn e111_fragments_of_what_is_no_tcp_pass_at_once() {
    let mut world = world_to("good.test", false);
    let mut frame = world
        .client
        .stray(1, sluice_packet::TcpFlags::ACK, &[0x5a; 100]);
    frame[IP + 9] = 17;
    cut::mend(&mut frame);
    let parts = cut::fragments(&frame, 1, 48);
    world.inject(Side::A, parts[1].clone());
    assert_eq!(
        world.out.frames.pop_front(),
        Some((Side::B, parts[1].clone()))
    );
    assert_eq!(world.count(Counter::OpaqueOtherFragment), 1);
}
