//! Congestion marks (RFC 3168) of a connection that was taken over: each leg answers those that were seen on it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod world;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sluice_packet::Side;
use sluice_telemetry::{Counter, DecisionCode};
use world::cut::{self, IP};
use world::{App, Pki, Settings, World, payload_len};

const CE: u8 = 0b11;
const ECT: u8 = 0b10;
const SYN: u8 = 0x02;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;
const BYTES: usize = 2_000_000;
/// Marked, counted among the data frames of one direction: some while the transfer is well under way.
const MARKED: core::ops::Range<usize> = 60..63;

fn mark(frame: &[u8]) -> u8 {
    frame[IP + 1] & CE
}

fn flags(frame: &[u8]) -> u8 {
    frame[IP + 20 + 13]
}

/// Ends that move much both ways, with congestion marks agreed on or not.
fn world(ecn: bool) -> World {
    let pki = Arc::new(Pki::new());
    let (request, reply) = (vec![b'q'; BYTES], vec![b'r'; BYTES]);
    let client = App::client(&pki.trusted, "good.test", &[], &request, reply.len());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let server = App::server(&origin, &[], request.len(), &reply);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    (world.client.ecn, world.origin.ecn) = (ecn, ecn);
    let now = world.now().mono;
    world.client.open(now);
    world
}

fn finish(world: &mut World) {
    world.run(Duration::from_secs(60));
    assert_eq!(world.client.heard.len(), BYTES, "{:?}", world.client.error);
    assert_eq!(world.origin.heard.len(), BYTES);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    assert_eq!(world.count(Counter::TcpRetransmits), 0, "nothing was lost");
}

/// Marks some data frames that go through a router on `side`, and counts how often their sender says that it has slowed down.
fn router(side: Side, slowed: &Rc<Cell<usize>>) -> world::Router {
    let (mut data, slowed) = (0, Rc::clone(slowed));
    Box::new(move |at, mut frame| {
        if at != side {
            return vec![frame];
        }
        if flags(&frame) & (SYN | CWR) == CWR {
            slowed.set(slowed.get() + 1);
        }
        if payload_len(&frame) > 0 {
            data += 1;
            if MARKED.contains(&data) && mark(&frame) == ECT {
                frame[IP + 1] |= CE;
                cut::mend(&mut frame);
            }
        }
        vec![frame]
    })
}

/// Frames that answer marks, without those of the handshake.
fn echoes(frames: &[Vec<u8>]) -> usize {
    let echoes = |frame: &&Vec<u8>| flags(frame) & (SYN | ECE) == ECE;
    frames.iter().filter(echoes).count()
}

#[test]
fn p98_marks_toward_the_appliance_are_echoed_to_the_end_whose_text_was_marked() {
    for side in [Side::A, Side::B] {
        let slowed = Rc::default();
        let mut world = world(true);
        world.router = Some(router(side, &slowed));
        finish(&mut world);
        let (marked, other) = match side {
            Side::A => (&world.wire_to_client, &world.wire_to_origin),
            Side::B => (&world.wire_to_origin, &world.wire_to_client),
        };
        assert!(echoes(marked) > 0, "{side:?}: the mark is echoed");
        assert_eq!(echoes(other), 0, "{side:?}: and on its own leg only");
        assert!(slowed.get() > 0, "{side:?}: its sender has slowed down");
        let last = marked
            .iter()
            .rposition(|frame| flags(frame) & (SYN | ECE) == ECE);
        assert!(
            marked.len() - last.unwrap() > 20,
            "{side:?}: and the echo ended with that"
        );
    }
}

#[test]
fn p98_marks_behind_the_appliance_slow_the_half_that_sent_what_was_marked() {
    for side in [Side::A, Side::B] {
        let slowed = Rc::default();
        let mut world = world(true);
        world.far_router = Some(router(side, &slowed));
        finish(&mut world);
        assert!(slowed.get() > 0, "{side:?}: the half says so");
        let other = match side {
            Side::A => &world.wire_to_origin,
            Side::B => &world.wire_to_client,
        };
        let none = other.iter().all(|frame| flags(frame) & (SYN | CWR) != CWR);
        assert!(
            none,
            "{side:?}: the other half had nothing to slow down for"
        );
        assert_eq!(
            echoes(&world.wire_to_client) + echoes(&world.wire_to_origin),
            0
        );
    }
}

#[test]
fn p98_only_where_both_ends_agreed_does_text_ask_for_marks() {
    for ecn in [true, false] {
        let mut world = world(ecn);
        finish(&mut world);
        for wire in [&world.wire_to_client, &world.wire_to_origin] {
            let data = wire.iter().filter(|frame| payload_len(frame) > 0);
            let capable = data.clone().filter(|frame| mark(frame) == ECT).count();
            // The hello passed as the client sent it, or was taken; all other text is the appliance's own.
            assert_eq!(capable, if ecn { data.count() } else { 0 });
            let signals = |frame: &&Vec<u8>| flags(frame) & (ECE | CWR) != 0;
            let beyond = wire.iter().filter(|frame| flags(frame) & SYN == 0);
            assert_eq!(beyond.filter(signals).count(), 0);
        }
    }
}
