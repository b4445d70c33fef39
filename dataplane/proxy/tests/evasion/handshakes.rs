//! E108, E109, E113: handshakes in pieces, data where there should be none, and sequence numbers of another time.

use std::time::Duration;

use sluice_packet::TcpFlags;
use sluice_telemetry::{Counter, DecisionCode, DropReason};

use super::craft::Craft;
use super::lab::{CLIENT_ISS, EXCEPTED, INSPECTED, Outcome, Run, Way, hello, strict};
use super::receiver::{MODERN, ORIGIN_ISS, PROFILES};
use super::strategies::before_the_decision;
use super::table::{MISPLACED, STALE};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;

#[test]
fn e109_data_on_syn_third_acknowledgement_fin_and_reset_shows_policy_what_the_receiver_gets() {
    before_the_decision(MISPLACED);
}

#[test]
fn e113_stale_and_wrapped_sequence_numbers_show_policy_what_the_receiver_gets() {
    before_the_decision(STALE);
}

/// A segment of the server's.
fn server(run: &Run, flags: TcpFlags, seq: u32, ack: u32) -> Craft {
    let mut segment = Craft::new(run.server, run.client);
    (segment.flags, segment.seq, segment.ack) = (flags, seq, ack);
    segment
}

/// A segment of the client's.
fn client(run: &Run, flags: TcpFlags, seq: u32, ack: u32) -> Craft {
    let mut segment = Craft::new(run.client, run.server);
    (segment.flags, segment.seq, segment.ack) = (flags, seq, ack);
    segment
}

/// Beardsley and Qian, *The TCP Split Handshake* (2010): the server answers a SYN with a SYN of its own, after an
/// acknowledgement of something else or at once, so that client and server seem to change places.
#[test]
fn e108_split_handshakes_of_four_and_five_segments_are_never_inspected_as_something_else() {
    let said = hello(INSPECTED);
    for acknowledged_first in [false, true] {
        for way in [Way::Outbound, Way::Inbound] {
            let mut run = Run::with(way, MODERN, &strict());
            run.mute = true;
            run.send(&client(&run, SYN, CLIENT_ISS, 0));
            if acknowledged_first {
                run.answer(&server(&run, ACK, 0, CLIENT_ISS.wrapping_add(9)));
            }
            run.answer(&server(&run, SYN, ORIGIN_ISS, 0));
            run.send(&client(&run, SYN | ACK, CLIENT_ISS, ORIGIN_ISS + 1));
            let next = CLIENT_ISS.wrapping_add(1);
            run.answer(&server(&run, ACK, ORIGIN_ISS + 1, next));
            let before = run.to_origin.len();
            let mut data = client(&run, ACK, next, ORIGIN_ISS + 1);
            data.payload.clone_from(&said.bytes);
            run.send(&data);
            run.wait(Duration::from_secs(1));
            run.send(&data);
            assert_eq!(run.to_origin.len(), before, "nothing passes any more");
            let event = run.world.event();
            assert_eq!(event.code, DecisionCode::BlockIrregularHandshake);
            assert_eq!(event.detail.as_deref(), Some("simultaneous-open"));
            assert_eq!(run.count(Counter::IrregularSimultaneousOpen), 1);
        }
    }
}

#[test]
fn e108_a_simultaneous_open_is_blocked_or_logged_as_passed_unseen() {
    for (settings, code) in [
        (strict(), DecisionCode::BlockIrregularHandshake),
        (
            super::world::Settings::default(),
            DecisionCode::BypassIrregularHandshake,
        ),
    ] {
        let mut run = Run::with(Way::Outbound, MODERN, &settings);
        run.mute = true;
        run.send(&client(&run, SYN, CLIENT_ISS, 0));
        run.answer(&server(&run, SYN, ORIGIN_ISS, 0));
        run.send(&client(&run, SYN | ACK, CLIENT_ISS, ORIGIN_ISS + 1));
        run.answer(&server(
            &run,
            SYN | ACK,
            ORIGIN_ISS,
            CLIENT_ISS.wrapping_add(1),
        ));
        assert_eq!(run.world.event().code, code);
        assert_eq!(run.count(Counter::IrregularSimultaneousOpen), 1);
    }
}

/// A connection that passed because of its name is over, or seems to be; another begins on its addresses and ports.
#[test]
fn e113_a_four_tuple_used_again_is_decided_anew() {
    let (bank, good) = (hello(EXCEPTED), hello(INSPECTED));
    for profile in PROFILES {
        for ahead in [1_000_000_u32, 0x7000_0000, 0x9000_0000, 0xffff_0000] {
            let mut run = Run::with(Way::Outbound, profile, &strict());
            run.connect();
            run.send(&run.data(&bank.bytes));
            assert_eq!(
                run.world.event().code,
                DecisionCode::BypassDomainException,
                "{}",
                profile.name
            );
            let mut fin = run.ack();
            fin.flags = ACK | TcpFlags::FIN;
            fin.seq = fin
                .seq
                .wrapping_add(u32::try_from(bank.bytes.len()).unwrap());
            run.send(&fin);
            run.world.out.events.clear();
            let moved = |mut segment: Craft| {
                segment.seq = segment.seq.wrapping_add(ahead);
                segment
            };
            for segment in [run.syn(), run.ack(), run.data(&good.bytes)].map(moved) {
                run.send(&segment);
            }
            // What was in flight of the old connection comes late.
            let late = run.data(&bank.bytes);
            run.send(&late);
            run.wait(Duration::from_secs(1));
            let outcome = run.judge(&[&good]).unwrap();
            assert_eq!(outcome, Outcome::Inspected, "{} {ahead:x}", profile.name);
            assert_eq!(run.count(Counter::SessionsInspected), 1);
        }
    }
}

/// The SYN that uses a four-tuple again never arrives, and the old connection goes on.
#[test]
fn e113_a_four_tuple_used_again_for_the_appliance_alone_is_no_way_past_it() {
    let (bank, good) = (hello(EXCEPTED), hello(INSPECTED));
    for settings in [strict(), super::world::Settings::default()] {
        let mut run = Run::with(Way::Outbound, MODERN, &settings);
        run.connect();
        let mut short = run.data(&bank.bytes);
        short.ttl = 4;
        run.send(&short);
        let mut syn = run.syn();
        (syn.ttl, syn.seq) = (4, syn.seq.wrapping_add(9999));
        run.send(&syn);
        run.send(&run.data(&good.bytes));
        run.wait(Duration::from_secs(1));
        run.send(&run.data(&good.bytes));
        assert!(run.receiver.delivered.is_empty());
        // Nobody answers the new SYN, so what comes belongs to no connection that is known.
        assert_eq!(run.world.event().code, DecisionCode::BypassDomainException);
        assert_eq!(run.count(Counter::FourTuplesReused), 1);
        assert_eq!(run.count(Counter::Drop(DropReason::IrregularSegment)), 2);
    }
}
