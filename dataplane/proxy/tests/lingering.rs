//! What answers when a session is over: TIME-WAIT in a few dozen bytes, and resets where an end was given up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests state what they expect"
)]
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{
    Frame, SeqNum, Side, TcpFlags, TcpFrame, TcpOptions, TcpSegment, Timestamps, parse,
};
use sluice_proxy::limits::{BLOCKED_LINGER, GIVE_UP_TIMEOUT, TIME_WAIT_LINGER};
use sluice_telemetry::{Counter, DecisionCode, EndReason};
use world::script::{CLIENT, ORIGIN, written};
use world::{App, Pki, SEGMENT, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SHORT: Duration = Duration::from_secs(1);

type Seen = Rc<RefCell<Vec<(Side, Vec<u8>)>>>;

/// Two ends about to be inspected, and what they send.
fn inspected() -> (World, Seen) {
    let pki = Arc::new(Pki::new());
    let origin = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let server = App::server(&origin, &[], REQUEST.len(), REPLY);
    let mut world = World::with(&Settings::default(), &pki, client, server);
    let seen = Seen::default();
    let all = Rc::clone(&seen);
    world.router = Some(Box::new(move |side, frame| {
        all.borrow_mut().push((side, frame.clone()));
        vec![frame]
    }));
    (world, seen)
}

/// A session that both ends have finished, and what they sent.
fn finished() -> (World, Seen) {
    let (mut world, seen) = inspected();
    world.run(SHORT);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.out.events.len(), 1);
    world.out.frames.clear();
    (world, seen)
}

fn tcp(frame: &[u8]) -> TcpFrame {
    match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => tcp,
        _ => panic!("TCP"),
    }
}

/// The last of an end's frames that has this flag.
fn last(seen: &Seen, from: Side, flag: TcpFlags) -> Vec<u8> {
    let seen = seen.borrow();
    let mut frames = seen.iter().filter(|(side, _)| *side == from);
    let found = frames.rfind(|(_, frame)| tcp(frame).flags.intersects(flag));
    found.unwrap().1.clone()
}

/// What leaves when `frame` comes in.
fn give(world: &mut World, from: Side, frame: &[u8]) -> Vec<(Side, Vec<u8>)> {
    world.inject(from, frame.to_vec());
    world.step().1.into()
}

fn syn(seq: SeqNum, clock: u32) -> Vec<u8> {
    let segment = TcpSegment {
        seq,
        flags: TcpFlags::SYN,
        window: 60_000,
        options: TcpOptions {
            timestamps: Some(Timestamps {
                value: clock,
                echo: 0,
            }),
            ..TcpOptions::default()
        },
        ..TcpSegment::default()
    };
    written((CLIENT, ORIGIN), Side::A, &segment)
}

#[test]
fn p87_a_late_fin_of_either_end_is_acknowledged() {
    let (mut world, seen) = finished();
    for from in [Side::A, Side::B] {
        let late = last(&seen, from, TcpFlags::FIN);
        let left = give(&mut world, from, &late);
        assert_eq!(left.len(), 1, "{from:?}");
        let (to, answer) = &left[0];
        let (late, answered) = (tcp(&late), tcp(answer));
        assert_eq!(*to, from, "its sender is answered");
        assert!(answered.checksum_ok(answer));
        assert_eq!(answered.flags, TcpFlags::ACK);
        assert_eq!(answered.payload_len(), 0);
        assert_eq!(
            (answered.source, answered.destination),
            (late.destination, late.source)
        );
        assert_eq!(answered.seq, tcp(&last(&seen, from, TcpFlags::ACK)).ack);
        let end = late.seq + u32::try_from(late.payload_len()).unwrap() + 1;
        assert_eq!(answered.ack, end);
        assert!(answered.options.timestamps.is_some());
    }
    assert_eq!(world.out.events.len(), 1, "nothing is decided again");
}

#[test]
fn p87_a_finished_session_gives_its_memory_back_at_once_and_lingers() {
    let (mut world, seen) = finished();
    for (gauge, left) in [
        (Counter::FlowsTaken, 0),
        (Counter::SessionBytes, 0),
        (Counter::FlowsObserved, 1),
    ] {
        assert_eq!(world.count(gauge), left, "{gauge}");
    }
    // A FIN that comes again makes it last.
    world.run(TIME_WAIT_LINGER / 2);
    world.inject(Side::B, last(&seen, Side::B, TcpFlags::FIN));
    world.run(TIME_WAIT_LINGER - SHORT);
    assert_eq!(world.count(Counter::FlowsObserved), 1);
    world.run(2 * SHORT);
    assert_eq!(world.count(Counter::FlowsObserved), 0);
    assert_eq!(world.out.events.len(), 1, "nothing is decided again");
}

#[test]
fn p87_a_newer_syn_is_observed_anew_and_an_older_one_is_challenged() {
    let (mut world, seen) = finished();
    let older = last(&seen, Side::A, TcpFlags::SYN);
    let left = give(&mut world, Side::A, &older);
    assert_eq!(left.len(), 1);
    let (to, challenge) = &left[0];
    assert_eq!((*to, tcp(challenge).flags), (Side::A, TcpFlags::ACK));
    assert_eq!(
        tcp(challenge).ack,
        tcp(&last(&seen, Side::A, TcpFlags::ACK)).seq
    );
    assert_eq!(world.count(Counter::FourTuplesReused), 0);

    let mut spoilt = syn(SeqNum(77), 1 << 20);
    spoilt[40] ^= 1;
    assert_eq!(give(&mut world, Side::A, &spoilt), []);
    assert_eq!(world.count(Counter::FourTuplesReused), 0);

    let newer = syn(SeqNum(77), 1 << 20);
    let left = give(&mut world, Side::A, &newer);
    assert_eq!(left, [(Side::B, newer)]);
    assert_eq!(world.count(Counter::FourTuplesReused), 1);
    assert_eq!(world.count(Counter::FlowsObserved), 1);
}

/// A session whose relay has ended while nothing of the client arrives any more: it has finished, and is owed the reply.
fn owing() -> World {
    let (mut world, _) = inspected();
    if let App::TlsClient { reply_bytes, .. } = &mut world.client.app {
        *reply_bytes = 0;
    }
    while !matches!(world.client.app, App::TlsClient { closed: true, .. }) {
        world.turn();
    }
    world.client.asleep = true;
    world.router = Some(Box::new(|side, frame| {
        Vec::from_iter((side == Side::B).then_some(frame))
    }));
    world.run(SHORT);
    assert_eq!(world.origin.heard, REQUEST);
    assert!(world.origin.tcp().unwrap().is_closed() || world.origin.saw_close_notify);
    world
}

const NOT_ACKNOWLEDGED: &str = "the last bytes to the client were not acknowledged";

#[test]
fn d124_a_session_whose_last_bytes_do_not_arrive_is_told_as_timed_out_and_answered_with_resets() {
    let mut world = owing();
    let late = world.client.stray(0x7777, TcpFlags::ACK, b"late");
    world.run(GIVE_UP_TIMEOUT / 2);
    assert_eq!(world.out.events.len(), 0, "they may still arrive");
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    world.run(GIVE_UP_TIMEOUT);
    let event = world.event();
    assert_eq!(event.code, DecisionCode::InspectedClient);
    assert_eq!(event.ended, EndReason::TimedOut);
    assert_eq!(event.detail.as_deref(), Some(NOT_ACKNOWLEDGED));
    assert_eq!(world.count(Counter::FlowsTaken), 0);

    let mut world = owing();
    while world.out.events.is_empty() {
        world.run(SHORT);
    }
    // The reset that was sent then may be lost: whatever the client still says is answered, and goes no further.
    world.router = None;
    world.out.frames.clear();
    for _ in 0..3 {
        world.pass(BLOCKED_LINGER - SHORT);
        let left = give(&mut world, Side::A, &late);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].0, Side::A);
        assert!(tcp(&left[0].1).flags.rst());
    }
    assert_eq!(world.out.events.len(), 1, "nothing is decided again");
}

#[test]
fn p101_a_reset_before_the_last_bytes_have_arrived_is_told() {
    let mut world = owing();
    assert_eq!(world.out.events.len(), 0, "they may still arrive");
    world.router = None;
    world.client.abort();
    world.run(SHORT);
    let event = world.event();
    assert_eq!(event.ended, EndReason::ClientReset);
    assert_eq!(event.detail.as_deref(), Some(NOT_ACKNOWLEDGED));
}

#[test]
fn p101_a_reset_in_answer_to_the_last_goodbye_loses_nothing() {
    let (mut world, _) = inspected();
    while !world.client.saw_close_notify {
        world.turn();
        // It is read in the client's next turn.
        let came = world.wire_to_client.last().map(|frame| tcp(frame).flags);
        if world.client.heard == REPLY && came.is_some_and(sluice_packet::TcpFlags::fin) {
            break;
        }
    }
    world.client.abort();
    world.run(SHORT);
    assert_eq!(world.client.heard, REPLY);
    assert_eq!(world.event().ended, EndReason::Closed);
    assert_eq!(world.event().detail, None);
}
