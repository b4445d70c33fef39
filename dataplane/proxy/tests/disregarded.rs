//! Segments that their receiver takes nothing from decide nothing: sprayed behind a handshake, or a SYN on the addresses and
//! ports of a connection that goes on or may have ended.

mod world;

use std::time::Duration;

use sluice_packet::{SeqNum, Side, TcpFlags};
use sluice_proxy::limits;
use sluice_schema::OnExhaustion;
use sluice_telemetry::{Counter, DropReason, Verdict};
use world::script::{ACK, BEGINNING, C, FIN, NONE, O, RST, SYN, Script, flows_after};

#[test]
fn e105_what_the_client_does_not_take_of_the_origin_decides_nothing() {
    for established in [false, true] {
        let mut script = Script::new();
        script.clock = Some(100);
        script.pass(Side::A, C, NONE, SYN, b"");
        script.pass(Side::B, O, C + 1, SYN | ACK, b"");
        if established {
            script.pass(Side::A, C + 1, O + 1, ACK, b"");
        }
        let spray = [
            (O + 500_000, C + 1, ACK, 100),
            (O - 500_000, C + 1, ACK, 100),
            (O + 1, C + 1, TcpFlags::default(), 100),
            (O + 1, C + 70, ACK, 100),
            (O + 1, C + 1, ACK, 99),
            (O + 1, C + 1, SYN | ACK, 100),
        ];
        for (seq, ack, flags, clock) in spray {
            if !established && flags.syn() {
                continue;
            }
            script.clock = Some(clock);
            assert_eq!(script.send(Side::B, seq, ack, flags, b"hi"), []);
        }
        script.clock = Some(100);
        if !established {
            script.pass(Side::A, C + 1, O + 1, ACK, b"");
        }
        script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
        assert_eq!(
            script.world.out.events.len(),
            0,
            "it is held like any other"
        );
        let dropped = script.count(Counter::Drop(DropReason::IrregularSegment));
        assert_eq!(dropped, if established { 6 } else { 5 });
    }
}

#[test]
fn e105_a_syn_within_the_connection_does_not_move_what_was_passed_on() {
    for (from, seq, ack) in [(Side::A, C + 1, O + 1), (Side::B, O + 1, C + 1)] {
        let mut script = Script::established();
        script.pass(from, seq, ack, SYN | ACK, b"");
        script.stop(from, seq, ack, FIN, b"");
        script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
        script.world.pass(limits::HOLD_BEFORE_TAKEOVER);
        let now = script.world.now();
        script.world.worker.poll(now, &mut script.world.out);
        assert_eq!(script.count(Counter::FlowsTaken), 0, "no gauges yet");
        script.world.worker.gauges(&mut script.world.out);
        assert_eq!(script.count(Counter::FlowsTaken), 1, "it is taken over");
        assert_eq!(script.world.out.events.len(), 0);
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A connection that passed because its origin spoke first.
fn bypassed() -> Script {
    let mut script = Script::established();
    script.pass(Side::B, O + 1, C + 1, ACK, b"banner");
    assert_eq!(
        script.world.event().code.verdict(),
        Verdict::Bypass,
        "the server spoke first"
    );
    script.world.out.events.clear();
    script
}

#[test]
fn e113_a_syn_with_the_number_of_a_connection_that_finished_is_observed_anew() {
    let finished = {
        let mut script = bypassed();
        script.pass(Side::B, O + 7, C + 1, ACK | FIN, b"");
        script.pass(Side::A, C + 1, O + 8, ACK | FIN, b"");
        script
    };
    let old = {
        let mut script = bypassed();
        script.world.pass(limits::OBSERVE_TIMEOUT);
        script
    };
    for mut script in [finished, old] {
        script.handshake(C, O + 70_000);
        assert_eq!(script.count(Counter::FourTuplesReused), 1);
        script.stop(Side::A, C + 1, O + 70_001, ACK, BEGINNING);
        assert_eq!(script.world.out.events.len(), 0, "it is held");
    }
    let mut duplicate = bypassed();
    duplicate.pass(Side::A, C, NONE, SYN, b"");
    assert_eq!(duplicate.count(Counter::FourTuplesReused), 0);
    duplicate.pass(Side::A, C + 1, O + 7, ACK, b"goes on");
}

#[test]
fn e113_a_syn_with_a_wrong_checksum_changes_nothing() {
    let mut script = bypassed();
    let mut syn = script.frame(Side::A, C + 70_000, NONE, SYN, b"");
    let last = syn.len() - 1;
    syn[last] ^= 1;
    script.give(Side::A, syn);
    assert_eq!(script.count(Counter::FourTuplesReused), 0);
    script.pass(Side::A, C + 1, O + 7, ACK, b"goes on");
    script.pass(Side::B, O + 7, C + 8, ACK, b"answered");
    assert_eq!(script.world.out.events.len(), 0);
}

#[test]
fn e113_a_forged_syn_on_a_flow_that_passes_ends_nothing() {
    let mut script = bypassed();
    script.pass(Side::A, C + 1_000_000, NONE, SYN, b"");
    assert_eq!(script.count(Counter::FourTuplesReused), 1);
    // The origin has its own connection, and says so (RFC 5961 section 4.2).
    script.pass(Side::B, O + 7, C + 1, ACK, b"");
    script.pass(Side::A, C + 1, O + 7, ACK, b"goes on");
    script.pass(Side::B, O + 7, C + 8, ACK, b"answered");
    // What it says next has the numbers of the one that was forged, and waits no longer than that one's handshake may take.
    let text = [b'g'; 1_000];
    let next = C + 1_000_001;
    script.stop(Side::A, next, O + 15, ACK, &text);
    script.world.pass(limits::SUCCESSOR_TIMEOUT - SECOND);
    script.stop(Side::A, next, O + 15, ACK, &text);
    script.world.pass(SECOND);
    script.pass(Side::A, next, O + 15, ACK, &text);
    script.pass(Side::B, O + 15, next + 1_000, ACK, b"");
    script.pass(Side::A, next + 1_000, O + 15, ACK, &text);
    assert_eq!(script.world.out.events.len(), 0, "nothing new was decided");
}

#[test]
fn e113_a_syn_that_is_repeated_on_a_flow_that_passes_is_watched_from_then_on() {
    let mut script = bypassed();
    let next = C + 1_000_000;
    script.pass(Side::A, next, NONE, SYN, b"");
    script.world.pass(limits::SUCCESSOR_TIMEOUT - SECOND);
    script.pass(Side::A, next, NONE, SYN, b"");
    script.world.pass(limits::SUCCESSOR_TIMEOUT - SECOND);
    script.stop(Side::A, next + 1, O + 7, ACK, b"secret");
    script.pass(Side::B, O + 70_000, next + 1, SYN | ACK, b"");
    script.pass(Side::A, next + 1, O + 70_001, ACK, b"");
    script.stop(Side::A, next + 1, O + 70_001, ACK, BEGINNING);
    assert_eq!(script.world.out.events.len(), 0, "it is held");
}

/// Its client could go on where the SYN that is watched would not lead.
#[test]
fn e113_the_answer_to_an_earlier_syn_on_a_flow_that_passes_does_not_pass() {
    let (first, last) = (C + 1_000_000, C + 9_000_000);
    let mut script = bypassed();
    script.pass(Side::A, first, NONE, SYN, b"");
    script.pass(Side::A, last, NONE, SYN, b"");
    let answer = script.frame(Side::B, O + 70_000, first + 1, SYN | ACK, b"");
    assert_eq!(script.give(Side::B, answer), []);
    script.pass(Side::B, O + 7, C + 1, ACK, b"goes on");
    // The client's own goes again, and is the last one.
    script.pass(Side::A, first, NONE, SYN, b"");
    script.pass(Side::B, O + 70_000, first + 1, SYN | ACK, b"");
    script.pass(Side::A, first + 1, O + 70_001, ACK, b"");
    script.stop(Side::A, first + 1, O + 70_001, ACK, BEGINNING);
    assert_eq!(script.world.out.events.len(), 0, "it is held");
}

#[test]
fn e113_what_a_client_says_behind_a_syn_on_a_flow_that_passes_waits_for_its_answer() {
    let next = C + 1_000_000;
    let mut script = bypassed();
    script.pass(Side::A, next, NONE, SYN, b"");
    let secret = [b's'; 64];
    for seq in [next + 1, next, next - 40, next + 2, next + 60_000] {
        script.stop(Side::A, seq, O + 7, ACK, &secret);
    }
    // Nor is an earlier number forgotten for a later one.
    script.pass(Side::A, next + 500_000, NONE, SYN, b"");
    script.stop(Side::A, next + 1, O + 7, ACK, &secret);
    script.world.pass(limits::SUCCESSOR_TIMEOUT - SECOND);
    script.stop(Side::A, next + 1, O + 7, ACK, &secret);
    script.pass(Side::A, C + 1, O + 7, ACK, b"goes on");
    // The answer: from here on it is another connection, of which nothing is known yet.
    script.pass(Side::B, O + 70_000, next + 500_001, SYN | ACK, b"");
    script.pass(Side::A, next + 500_001, O + 70_001, ACK, b"");
    script.stop(Side::A, C + 8, O + 7, ACK, b"the old one");
    script.stop(Side::A, next + 500_001, O + 70_001, ACK, BEGINNING);
    assert_eq!(script.world.out.events.len(), 0, "it is held");
}

#[test]
fn e113_only_so_many_syns_are_watched_on_a_flow_that_passes() {
    let mut script = bypassed();
    let number = |at: usize| C + 1_000_000 * (u32::try_from(at).unwrap() + 1);
    for at in 0..limits::SUCCESSOR_SYNS_MAX {
        script.pass(Side::A, number(at), NONE, SYN, b"");
    }
    for at in 0..limits::SUCCESSOR_SYNS_MAX {
        script.stop(Side::A, number(at) + 1, O + 7, ACK, b"secret");
    }
    let last = number(limits::SUCCESSOR_SYNS_MAX);
    script.pass(Side::A, last, NONE, SYN, b"");
    for at in 1..=limits::SUCCESSOR_SYNS_MAX {
        script.stop(Side::A, number(at) + 1, O + 7, ACK, b"secret");
    }
    // What is not watched any more does not begin either.
    let answer = script.frame(Side::B, O + 70_000, number(0) + 1, SYN | ACK, b"");
    assert_eq!(script.give(Side::B, answer), []);
    script.pass(Side::A, C + 1, O + 7, ACK, b"goes on");
    // A forged reset opens no further way.
    script.pass(Side::A, C + 5_000, O + 7, RST | ACK, b"");
    script.stop(Side::A, number(1) + 1, O + 7, ACK, b"secret");
    script.pass(Side::A, C + 8, O + 7, ACK, b"and on");
    script.pass(Side::B, O + 70_000, last + 1, SYN | ACK, b"");
    script.pass(Side::A, last + 1, O + 70_001, ACK, b"");
    script.stop(Side::A, last + 1, O + 70_001, ACK, BEGINNING);
    assert_eq!(script.world.out.events.len(), 0, "it is held");
}

/// What is remembered of a flow that passes once it is over is forgotten after this.
const CLOSED: Duration = Duration::from_secs(limits::BYPASS_CLOSED_TIMEOUT.as_secs() + 1);

#[test]
fn p96_e113_a_forged_end_of_a_flow_that_passes_does_not_make_it_forgotten() {
    //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
    //= type=test
    //# If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
    let mut damaged = bypassed();
    let mut reset = damaged.frame(Side::A, C + 1, NONE, RST, b"");
    let checksum = reset.len() - 4;
    reset[checksum] ^= 1;
    damaged.give(Side::A, reset);

    let mut forged = bypassed();
    for seq in [C, C + 2, C + 1_000, C + 70_000, C - 70_000, C + 0x8000_0000] {
        forged.pass(Side::A, seq, NONE, RST, b"");
        forged.pass(Side::B, O + 6 + seq.0, NONE, RST, b"");
    }
    let mut finished = bypassed();
    finished.pass(Side::A, C + 0x4000_0000, O + 7, ACK | FIN, b"");
    finished.pass(Side::A, C + 1, O + 0x4000_0000, ACK | FIN, b"");
    finished.pass(Side::B, O + 0x4000_0000, C + 1, ACK | FIN, b"");
    finished.pass(Side::B, O + 7, C + 0x4000_0000, ACK | FIN, b"");

    // An end that goes on did not take it for a reset.
    let mut goes_on = bypassed();
    goes_on.pass(Side::A, C + 1, NONE, RST, b"");
    goes_on.pass(Side::B, O + 7, C + 1, ACK, b"");

    // What acknowledges nothing is dropped by every end: it shows nobody where one stands.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# if the ACK bit is off, drop the segment and return
    let mut led_on = bypassed();
    for seq in (0..512).map(|step: u32| O + 7 + (step << 23)) {
        for flags in [TcpFlags::default(), FIN] {
            led_on.pass(Side::B, seq, NONE, flags, b"");
            led_on.pass(Side::A, seq, NONE, flags, b"");
        }
    }
    led_on.pass(Side::B, O + 7 + (511 << 23), NONE, RST, b"");
    led_on.pass(Side::A, C + 1 + (511 << 23), NONE, RST, b"");

    for mut script in [damaged, forged, finished, goes_on, led_on] {
        assert_eq!(flows_after(&mut script, CLOSED), 1);
        // It is the same flow still: nothing is logged anew.
        script.pass(Side::A, C + 1, O + 7, ACK, b"goes on");
        assert_eq!(script.world.out.events.len(), 0);
        assert_eq!(flows_after(&mut script, CLOSED), 1);
    }
}

#[test]
fn p96_a_reset_with_the_number_that_is_due_ends_a_flow_that_passes() {
    for (from, seq) in [(Side::A, C + 1), (Side::B, O + 7)] {
        let mut script = bypassed();
        script.pass(from, seq, NONE, RST, b"");
        assert_eq!(flows_after(&mut script, CLOSED), 0);
    }
    // Both ends' FINs, the second one again, and a reset behind text.
    let mut script = bypassed();
    script.pass(Side::A, C + 1, O + 7, ACK | FIN, b"bye");
    script.pass(Side::B, O + 7, C + 5, ACK | FIN, b"");
    script.pass(Side::B, O + 7, C + 5, ACK | FIN, b"");
    assert_eq!(flows_after(&mut script, CLOSED), 0);
    // A reset that answers text which crossed the FIN has the FIN's number.
    let mut script = bypassed();
    script.pass(Side::A, C + 1, O + 7, ACK | FIN, b"bye");
    script.pass(Side::A, C + 4, NONE, RST, b"");
    assert_eq!(flows_after(&mut script, CLOSED), 0);
    // A segment that was damaged on its way moves nothing.
    for (from, due) in [(Side::A, C + 1), (Side::B, O + 7)] {
        let mut script = bypassed();
        for (seq, ack) in [(C + 1, O + 70_007), (C + 70_001, O + 7)] {
            let mut damaged = script.frame(Side::A, seq, ack, ACK, b"text");
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            script.give(Side::A, damaged);
        }
        script.pass(from, due, NONE, RST, b"");
        assert_eq!(flows_after(&mut script, CLOSED), 0);
    }
    // A SYN that passes unread is refused.
    for (ack, left) in [(C + 1, 0), (C + 2, 1)] {
        let mut script = Script::new();
        let now = script.world.now();
        script
            .world
            .worker
            .set_exhausted(Some(OnExhaustion::Bypass));
        script.world.worker.poll(now, &mut script.world.out);
        script.pass(Side::A, C, NONE, SYN, b"");
        script.pass(Side::B, SeqNum(0), ack, RST | ACK, b"");
        assert_eq!(flows_after(&mut script, CLOSED), left);
    }
    // Only one direction is seen, and it acknowledges much.
    let mut script = Script::new();
    script.pass(Side::A, C, O, ACK, b"middle");
    for megabytes in 1..64 {
        script.pass(Side::A, C + 6, O + (megabytes << 20), ACK, b"");
    }
    script.pass(Side::A, C + 6, NONE, RST, b"");
    assert_eq!(flows_after(&mut script, CLOSED), 0);
    let mut script = bypassed();
    script.pass(Side::A, C + 1, O + 7, ACK, b"text");
    script.pass(Side::A, C + 5, O + 7, RST | ACK, b"");
    assert_eq!(flows_after(&mut script, CLOSED), 0);
}
