//! Segments that overtook others: what comes first is not always what was sent first.

mod world;

use std::time::Duration;

use sluice_packet::{SeqNum, Side, TcpFlags, TcpSegment};
use sluice_telemetry::{Counter, DecisionCode};
use world::script::{ACK, C, CLIENT, O, ORIGIN, SYN, pki, written};
use world::{App, Settings, World};

fn frame(from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let segment = TcpSegment {
        seq,
        ack,
        flags,
        window: 60_000,
        payload,
        ..TcpSegment::default()
    };
    written((CLIENT, ORIGIN), from, &segment)
}

/// A SYN and its answer have passed.
fn answered() -> World {
    let silent = || App::raw(&[]);
    let mut world = World::with(&Settings::default(), &pki(), silent(), silent());
    world.inject(Side::A, frame(Side::A, C, SeqNum(0), SYN, b""));
    world.inject(Side::B, frame(Side::B, O, C + 1, SYN | ACK, b""));
    world.out.frames.clear();
    world
}

#[test]
fn e104_what_overtakes_the_clients_first_bytes_is_not_taken_for_them() {
    let mut world = answered();
    // Not TLS, were it the beginning; and it confirms the handshake.
    let ahead = frame(Side::A, C + 1001, O + 1, ACK, b"SSH-2.0-elsewhere\r\n");
    world.inject(Side::A, ahead);
    assert!(world.out.frames.is_empty(), "it is held");
    assert!(world.out.events.is_empty(), "{:?}", world.out.events);
    // The real beginning: a ClientHello, though not the whole of it.
    let beginning = [22, 3, 1, 1, 139, 1, 0, 1, 135, 3, 3, 7, 7, 7, 7, 7];
    let first = frame(Side::A, C + 1, O + 1, ACK, &beginning);
    world.inject(Side::A, first);
    assert!(world.out.frames.is_empty(), "it is held as well");
    assert!(world.out.events.is_empty(), "{:?}", world.out.events);
}

#[test]
fn p99_a_confirmation_that_overtakes_data_leaves_its_place_to_the_data() {
    let mut world = answered();
    world.inject(Side::A, frame(Side::A, C + 7, O + 1, ACK, b""));
    world.out.frames.clear();
    world.inject(Side::A, frame(Side::A, C + 1, O + 1, ACK, b"SSH-2."));
    assert_eq!(world.event().code, DecisionCode::BypassNotTls);
    assert_eq!(world.out.frames.len(), 1, "and the data passes");
}

#[test]
fn p99_a_late_duplicate_of_its_syn_does_not_end_a_bypassed_flow() {
    let mut world = answered();
    let first = frame(Side::A, C + 1, O + 1, ACK, b"SSH-2.0-client\r\n");
    world.inject(Side::A, first);
    assert_eq!(world.event().code, DecisionCode::BypassNotTls);
    world.inject(Side::A, frame(Side::A, C, SeqNum(0), SYN, b""));
    let more = frame(Side::A, C + 17, O + 1, ACK, b"more");
    world.inject(Side::A, more);
    assert_eq!(world.out.frames.len(), 3, "all of it passes");
    assert_eq!(world.event().code, DecisionCode::BypassNotTls);
    assert_eq!(world.count(Counter::FlowsCandidate), 1);
    // Another SYN is another connection's.
    world.inject(Side::A, frame(Side::A, C + 5000, SeqNum(0), SYN, b""));
    assert_eq!(world.count(Counter::FlowsCandidate), 2);
    world.run(Duration::from_secs(1));
}
