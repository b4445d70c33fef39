//! The corners of TCP, one by one, as the table in `src/corners.rs` defines them: what happens to the packet and to the flow,
//! by which code, and what is counted.

mod world;

use std::time::Duration;

use sluice_packet::{Frame, SeqNum, Side, TcpFlags, parse};
use sluice_proxy::limits;
use sluice_telemetry::{Counter, DecisionCode, DropReason, EndReason, Verdict};
use world::end::with_options;
use world::script::{
    ACK, BEGINNING, C, FIN, NONE, O, ORIGIN, PROTECTED, RST, SYN, Script, flows_after, pki,
};
use world::{App, PROFILE, Settings, World};

/// Toward both kinds of proxy: the last of `steps` is what makes the flow irregular, and has the counter and the detail.
fn irregular(
    steps: &[(Side, SeqNum, SeqNum, TcpFlags, &[u8])],
    (counter, name): (Counter, &str),
    bypassed_by: DecisionCode,
) {
    for (server, code) in [
        (ORIGIN, bypassed_by),
        (PROTECTED, DecisionCode::BlockIrregularHandshake),
    ] {
        let mut script = Script::to(server);
        for (step, (from, seq, ack, flags, text)) in steps.iter().enumerate() {
            if step + 1 < steps.len() {
                script.send(*from, *seq, *ack, *flags, text);
            } else if code.verdict() == Verdict::Block {
                script.stop(*from, *seq, *ack, *flags, text);
            } else {
                script.pass(*from, *seq, *ack, *flags, text);
            }
        }
        script.logged(code, name);
        assert_eq!(script.count(counter), 1, "{counter}");
        assert_eq!(counter.name(), format!("irregular-{name}"));
        if code.verdict() == Verdict::Block {
            assert!(script.count(Counter::Drop(DropReason::BlockedFlow)) > 0);
            script.stop(Side::A, C + 1, O + 1, ACK, b"later");
        } else {
            script.pass(Side::A, C + 1, O + 1, ACK, b"later");
        }
        assert_eq!(script.world.out.events.len(), 1, "decided once");
    }
}

const BYPASS: DecisionCode = DecisionCode::BypassIrregularHandshake;

#[test]
fn e109_data_on_the_third_segment_is_held_as_the_client_hello() {
    let mut script = Script::new();
    script.pass(Side::A, C, NONE, SYN, b"");
    script.pass(Side::B, O, C + 1, SYN | ACK, b"");
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    assert_eq!(script.count(Counter::DataOnConfirmation), 1);
    assert_eq!(script.world.out.events.len(), 0, "it goes on");
}

#[test]
fn e109_data_on_a_reset_is_not_kept_as_the_stream() {
    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    // No end delivers what a reset carries, but undecided nothing that the client says passes.
    let reset = script.frame(Side::A, C + 1, O + 1, RST | ACK, b"noise");
    let left = script.give(Side::A, reset);
    assert_eq!(left, []);
    assert_eq!(script.world.out.discarded, [DropReason::IrregularSegment]);
    assert_eq!(script.count(Counter::ClientHellos), 0);
}

#[test]
fn e104_a_hello_sent_again_is_held_once() {
    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    assert_eq!(script.count(Counter::HeldRepeated), 1);
    assert_eq!(
        script.world.out.discarded,
        [DropReason::IrregularSegment],
        "one of them is held"
    );
    assert_eq!(script.world.out.events.len(), 0, "it goes on");
}

#[test]
fn e104_an_overlap_that_says_the_same_is_held_and_another_blocks() {
    let (again, more) = (BEGINNING, [&BEGINNING[8..], b"more"].concat());
    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, again);
    script.stop(Side::A, C + 9, O + 1, ACK, &more);
    assert_eq!(script.count(Counter::HeldRepeated), 1);
    assert_eq!(script.world.out.events.len(), 0, "it goes on");
    script.stop(Side::A, C + 9, O + 1, ACK, b"something else");
    assert_eq!(script.count(Counter::HeldContradicted), 1);
    script.logged(
        DecisionCode::BlockClientHelloMalformed,
        "the client sent two versions of the same bytes",
    );
}

#[test]
fn p101_a_fin_behind_a_part_of_a_hello_blocks() {
    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    script.stop(Side::A, C + 17, O + 1, ACK | FIN, b"");
    assert_eq!(script.count(Counter::EndedWhileHeld), 1);
    script.logged(
        DecisionCode::BlockClientHelloMalformed,
        "the client closed before its ClientHello was whole",
    );
}

#[test]
fn p101_a_reset_while_a_part_is_held_passes_and_what_is_held_never_leaves() {
    for (from, seq, ack, ended, detail) in [
        (
            Side::A,
            C + 17,
            O + 1,
            EndReason::ClientReset,
            "the client reset before the ClientHello was whole",
        ),
        (
            Side::B,
            O + 1,
            C + 1,
            EndReason::OriginReset,
            "the origin reset before the ClientHello was whole",
        ),
    ] {
        let mut script = Script::established();
        script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
        script.pass(from, seq, ack, RST | ACK, b"");
        assert_eq!(script.count(Counter::EndedWhileHeld), 1);
        assert_eq!(script.world.out.discarded, [DropReason::ClosedFlow]);
        script.logged(DecisionCode::BlockClientHelloMalformed, detail);
        assert_eq!(script.world.event().ended, ended);
    }
}

#[test]
fn p101_a_bypassed_source_that_resets_has_its_bytes_passed_first() {
    let mut script = Script::established();
    script.world = {
        let mut world = Script::new().world;
        world.client.aim("10.1.9.5:40000", ORIGIN);
        world.client.app = App::raw(&[BEGINNING]);
        world
    };
    script.world.run(Duration::from_millis(50));
    script.world.client.abort();
    script.world.run(Duration::from_secs(1));
    assert_eq!(script.world.origin.heard, BEGINNING);
    assert_eq!(
        script.world.event().code,
        DecisionCode::BypassNeverDecryptSource
    );
}

#[test]
fn p101_a_connection_that_ends_without_a_word_is_not_logged() {
    let mut reset = Script::established();
    reset.pass(Side::A, C + 1, O + 1, RST | ACK, b"");
    let mut closed = Script::established();
    closed.pass(Side::A, C + 1, O + 1, ACK | FIN, b"");
    closed.pass(Side::B, O + 1, C + 2, ACK | FIN, b"");
    closed.pass(Side::A, C + 2, O + 2, ACK, b"");
    // The last FIN and its acknowledgement may come again.
    closed.pass(Side::B, O + 1, C + 2, ACK | FIN, b"");
    closed.pass(Side::A, C + 2, O + 2, ACK, b"");
    for script in [reset, closed] {
        assert_eq!(script.world.out.events.len(), 0);
        assert_eq!(script.count(Counter::EndedWhileHeld), 0);
    }
}

#[test]
fn e109_data_on_the_syn_is_cut_off_and_the_flow_goes_on() {
    for server in [ORIGIN, PROTECTED] {
        let mut script = Script::to(server);
        let bare = script.frame(Side::A, C, NONE, SYN, b"");
        let left = script.send(Side::A, C, NONE, SYN, b"early");
        assert_eq!(left, [(Side::B, bare)]);
        let bare = script.frame(Side::B, O, C + 1, SYN | ACK, b"");
        let left = script.send(Side::B, O, C + 1, SYN | ACK, b"early");
        assert_eq!(left, [(Side::A, bare)]);
        script.pass(Side::A, C + 1, O + 1, ACK, b"");
        script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
        assert_eq!(script.count(Counter::SynDataCut), 2);
        assert_eq!(script.world.out.events.len(), 0, "it goes on");
    }
}

#[test]
fn p86_e108_simultaneous_opens_and_split_handshakes_are_irregular() {
    let named = (Counter::IrregularSimultaneousOpen, "simultaneous-open");
    let both = [
        (Side::A, C, NONE, SYN, &b""[..]),
        (Side::B, O, NONE, SYN, b""),
    ];
    irregular(&both, named, BYPASS);
    // Five ways: the origin acknowledges the SYN first, and sends its own afterwards.
    let split = [
        (Side::A, C, NONE, SYN, &b""[..]),
        (Side::B, O, C + 1, ACK, b""),
        (Side::B, O, NONE, SYN, b""),
    ];
    irregular(&split, named, BYPASS);
}

#[test]
fn p103_a_flow_picked_up_in_the_middle_is_irregular() {
    let named = (Counter::IrregularMidStream, "mid-stream");
    irregular(&[(Side::A, C, O, ACK, b"middle")], named, BYPASS);
}

#[test]
fn p103_one_direction_alone_is_irregular() {
    let named = (Counter::IrregularOneWay, "one-way");
    let unanswered = [
        (Side::A, C, NONE, SYN, &b""[..]),
        (Side::A, C + 1, O + 1, ACK, b"unanswered"),
    ];
    irregular(&unanswered, named, BYPASS);
    let answers_only = [(Side::B, O, C + 1, SYN | ACK, &b""[..])];
    irregular(&answers_only, named, BYPASS);
}

#[test]
fn e109_an_origin_that_speaks_before_the_handshake_is_over_is_irregular() {
    let named = (Counter::IrregularEarlyData, "early-data");
    let steps = [
        (Side::A, C, NONE, SYN, &b""[..]),
        (Side::B, O, C + 1, SYN | ACK, b""),
        (Side::B, O + 1, C + 1, ACK, b"banner"),
    ];
    irregular(&steps, named, BYPASS);
}

#[test]
fn p83_flags_that_contradict_each_other_are_irregular() {
    let named = (Counter::IrregularBadFlags, "bad-flags");
    irregular(&[(Side::A, C, NONE, SYN | FIN, b"")], named, BYPASS);
}

const MALFORMED: &[u8] = &[2, 3, 5];
const MPTCP: &[u8] = &[30, 4, 1, 1];
const FAST_OPEN: &[u8] = &[34, 6, 1, 2, 3, 4];
const UNKNOWN: &[u8] = &[70, 4, 1, 1];
const SIGNED: &[u8] = &[
    19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];

#[test]
fn p83_options_that_a_takeover_cannot_carry_on_are_stripped_and_the_flow_goes_on() {
    for option in [MALFORMED, MPTCP, FAST_OPEN, UNKNOWN] {
        let mut script = Script::new();
        for (from, seq, ack, flags) in [
            (Side::A, C, NONE, SYN),
            (Side::B, O, C + 1, SYN | ACK),
            (Side::A, C, NONE, SYN),
        ] {
            let plain = script.frame(from, seq, ack, flags, b"");
            let padding = vec![1; option.len()];
            let expected = with_options(&plain, &padding);
            let left = script.give(from, with_options(&plain, option));
            assert_eq!(left, [(from.other(), expected)], "{option:?}");
        }
        script.pass(Side::A, C + 1, O + 1, ACK, b"");
        script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
        assert_eq!(script.count(Counter::SynOptionsStripped), 3);
        assert_eq!(script.world.out.events.len(), 0, "it goes on");
    }
}

#[test]
fn p83_e105_signed_segments_pass_untouched_or_are_blocked() {
    for (server, code) in [
        (ORIGIN, DecisionCode::BypassTcpSignature),
        (PROTECTED, DecisionCode::BlockIrregularHandshake),
    ] {
        let mut script = Script::to(server);
        let syn = script.frame(Side::A, C, NONE, SYN, b"");
        let signed = with_options(&with_options(&syn, UNKNOWN), SIGNED);
        let left = script.give(Side::A, signed.clone());
        if code.verdict() == Verdict::Bypass {
            assert_eq!(left, [(Side::B, signed)]);
        } else {
            assert!(left.iter().all(|(to, _)| *to == Side::A), "only resets");
        }
        script.logged(code, "signed");
        assert_eq!(script.count(Counter::IrregularSigned), 1);
    }
}

#[test]
fn p83_f124_the_handshake_of_a_source_that_is_never_decrypted_is_left_alone() {
    for (option, text, counter) in [
        (MALFORMED, &b""[..], Counter::IrregularMalformedOptions),
        (MPTCP, b"", Counter::IrregularMultipath),
        (UNKNOWN, b"", Counter::IrregularUnknownOptions),
        (FAST_OPEN, b"early", Counter::IrregularDataOnSyn),
    ] {
        let mut script = Script::new();
        script.client = "10.1.9.5:40000";
        for (from, seq, ack, flags) in [(Side::A, C, NONE, SYN), (Side::B, O, C + 1, SYN | ACK)] {
            let plain = script.frame(from, seq, ack, flags, text);
            let frame = with_options(&plain, option);
            let left = script.give(from, frame.clone());
            assert_eq!(left, [(from.other(), frame)], "{option:?}");
        }
        let name = counter.name().trim_start_matches("irregular-");
        script.logged(DecisionCode::BypassNeverDecryptSource, name);
        assert_eq!(script.count(counter), 1);
        assert_eq!(script.count(Counter::SynOptionsStripped), 0);
        assert_eq!(script.count(Counter::SynDataCut), 0);
    }
}

#[test]
fn e113_addresses_and_ports_used_again_are_observed_anew() {
    let mut script = Script::established();
    script.pass(Side::A, C + 1, O + 1, ACK | FIN, b"");
    script.pass(Side::B, O + 1, C + 2, ACK | FIN, b"");
    script.pass(Side::A, C + 2, O + 2, ACK, b"");
    // Whatever its number: the origin may have forgotten the old one, and the client be another behind the same address.
    script.handshake(C - 50_000, O + 70_000);
    assert_eq!(script.count(Counter::FourTuplesReused), 1);
    script.stop(Side::A, C - 49_999, O + 70_001, ACK, BEGINNING);
    assert_eq!(
        script.world.out.events.len(),
        0,
        "it is held like any other"
    );
}

#[test]
fn e113_data_behind_a_syn_that_nobody_answered_does_not_pass_as_one_direction() {
    let mut script = Script::established();
    // Both meant for this appliance alone: the old connection lives on.
    script.pass(Side::A, C + 1, O + 1, RST | ACK, b"");
    script.pass(Side::A, C + 70_000, NONE, SYN, b"");
    script.stop(Side::A, C + 1, O + 1, ACK, b"out of every window");
    script.stop(Side::A, C + 70_001, O + 1, ACK, b"secret");
    script.logged(DecisionCode::BlockIrregularHandshake, "after-end");
    assert_eq!(script.count(Counter::IrregularAfterEnd), 1);
    script.stop(Side::A, C + 1, O + 1, ACK, b"secret");
}

#[test]
fn e105_data_behind_a_reset_meant_for_the_inspector_alone_blocks() {
    for established in [true, false] {
        let mut script = Script::new();
        script.pass(Side::A, C, NONE, SYN, b"");
        script.pass(Side::B, O, C + 1, SYN | ACK, b"");
        if established {
            script.pass(Side::A, C + 1, O + 1, ACK, b"");
        }
        script.pass(Side::A, C + 1, O + 1, RST | ACK, b"");
        script.pass(Side::A, C + 1, O + 1, ACK, b"");
        script.stop(Side::B, O + 1, C + 1, ACK, b"banner");
        assert_eq!(script.world.out.discarded, [DropReason::ClosedFlow]);
        script.stop(Side::A, C + 1, O + 1, ACK, b"secret");
        assert_eq!(script.count(Counter::IrregularAfterEnd), 1);
        script.logged(DecisionCode::BlockIrregularHandshake, "after-end");
        script.stop(Side::A, C + 1, O + 1, ACK, b"secret");
    }
}

#[test]
fn p82_a_wrong_checksum_begins_no_flow() {
    let mut script = Script::new();
    let mut frame = script.frame(Side::A, C, O, ACK, b"middle");
    let last = frame.len() - 1;
    frame[last] ^= 1;
    assert_eq!(script.give(Side::A, frame.clone()), [(Side::B, frame)]);
    assert_eq!(script.count(Counter::FlowsCandidate), 0);
}

fn blocking() -> Settings {
    Settings {
        profile: PROFILE.replace(
            "detection_ports",
            "irregular_handshake = \"block\"\ndetection_ports",
        ),
        ..Settings::default()
    }
}

#[test]
fn p103_e108_where_the_setting_says_so_a_client_proxy_blocks_what_is_irregular() {
    type Steps<'a> = &'a [(Side, SeqNum, SeqNum, TcpFlags, &'a [u8])];
    let cases: [(&str, Steps<'_>); 3] = [
        ("mid-stream", &[(Side::A, C, O, ACK, b"middle")]),
        (
            "one-way",
            &[
                (Side::A, C, NONE, SYN, b""),
                (Side::A, C + 1, O + 1, ACK, b"unanswered"),
            ],
        ),
        (
            "simultaneous-open",
            &[
                (Side::A, C, NONE, SYN, b""),
                (Side::B, O, NONE, SYN, b""),
                (Side::A, C + 1, O + 1, ACK, b"opened"),
            ],
        ),
    ];
    for (name, steps) in cases {
        let mut script = Script::under(&blocking(), ORIGIN);
        for (from, seq, ack, flags, text) in steps {
            if text.is_empty() {
                script.send(*from, *seq, *ack, *flags, text);
            } else {
                script.stop(*from, *seq, *ack, *flags, text);
            }
        }
        script.logged(DecisionCode::BlockIrregularHandshake, name);
        assert_eq!(DecisionCode::BlockIrregularHandshake.number(), 319);
        assert!(script.count(Counter::TcpResetsSent) > 0, "{name}");
    }
}

#[test]
fn d121_e112_a_handshake_evicted_by_a_flood_is_blocked_where_the_setting_says_so() {
    let settings = Settings {
        flows_max: 16,
        ..blocking()
    };
    let mut script = Script::under(&settings, ORIGIN);
    script.pass(Side::A, C, NONE, SYN, b"");
    for port in 0..64 {
        let source = format!("10.1.0.2:{}", 50_000 + port);
        let syn = script.world.client.stray_from(&source, 1, SYN, b"");
        script.give(Side::A, syn);
    }
    script.stop(Side::A, C + 1, O + 1, ACK, b"the second half");
    script.logged(DecisionCode::BlockIrregularHandshake, "mid-stream");
}

#[test]
fn p97_held_segments_older_than_a_copy_that_came_later_are_not_lost() {
    let hello = App::client(&pki().trusted, "good.test", &[], b"", 0).first_flight();
    let (first, second) = hello.split_at(100);
    let mut script = Script::new();
    script.clock = Some(10);
    script.handshake(C, O);
    // The second part was sent before the first one's repetition, and held before it.
    script.clock = Some(12);
    script.stop(Side::A, C + 101, O + 1, ACK, &second[..100]);
    script.clock = Some(11);
    script.stop(Side::A, C + 1, O + 1, ACK, first);
    script.clock = Some(30);
    script.stop(Side::A, C + 1, O + 1, ACK, first);
    script.clock = Some(31);
    let left = script.send(Side::A, C + 201, O + 1, ACK, &second[100..]);
    assert_eq!(script.count(Counter::SessionsInspected), 1);
    let end = C + 1 + u32::try_from(hello.len()).unwrap_or(0);
    let now = script.world.now();
    // All of it is acknowledged, at the latest when a delayed acknowledgement is due.
    let later = sluice_proxy::Now {
        mono: now.mono + Duration::from_millis(100),
        ..now
    };
    script.world.worker.poll(later, &mut script.world.out);
    let acknowledged: Vec<SeqNum> = script
        .world
        .out
        .frames
        .iter()
        .chain(&left)
        .filter(|(to, _)| *to == Side::A)
        .filter_map(|(_, frame)| match parse(world::SEGMENT, frame) {
            Frame::Tcp(tcp) => Some(tcp.ack),
            _ => None,
        })
        .collect();
    assert_eq!(acknowledged.last(), Some(&end));
}

#[test]
fn stopping_resets_both_ends_of_what_is_inspected_and_gives_back_what_is_held() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
    let pki = pki();
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, 10);
    let server = App::server(&pki.origin_root.leaf(&["good.test"]), &[], 10_000, b"");
    let mut world = World::with(&Settings::default(), &pki, client, server);
    world.run(Duration::from_secs(1));
    assert_eq!(world.count(Counter::FlowsTaken), 1);
    let mut script = Script {
        world,
        client: world::script::CLIENT,
        server: "10.2.0.2:443",
        clock: None,
    };
    script.handshake(C, O);
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    let mut world = script.world;
    let now = world.now();
    world.worker.shutdown(now, &mut world.out);
    assert_eq!(world.out.discarded, [DropReason::ClosedFlow]);
    assert_eq!(world.count(Counter::SessionsStopped), 1);
    assert_eq!(world.event().ended, EndReason::Stopped);
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    world.run(Duration::from_secs(1));
    assert!(world.client.tcp().is_some_and(|tcp| tcp.is_closed()));
    assert!(world.origin.tcp().is_some_and(|tcp| tcp.is_closed()));
    assert_eq!(world.count(Counter::FlowsTaken), 0);
    assert_eq!(world.count(Counter::FlowsObserved), 0);
}

#[test]
fn p101_a_fin_on_the_first_packet_seen_of_a_flow_counts_as_its_end() {
    let mut script = Script::new();
    script.pass(Side::A, C, O, ACK | FIN, b"middle");
    script.pass(Side::B, O, C + 7, ACK | FIN, b"");
    script.pass(Side::A, C + 7, O + 1, ACK, b"");
    let closed = limits::BYPASS_CLOSED_TIMEOUT + Duration::from_secs(1);
    assert_eq!(flows_after(&mut script, closed), 0);
}

#[test]
fn p101_an_origin_that_finishes_while_a_part_is_held_is_waited_for() {
    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    script.pass(Side::B, O + 1, C + 1, ACK | FIN, b"");
    // The hold runs out before the acknowledgement comes.
    assert_eq!(
        flows_after(&mut script, limits::HOLD_BEFORE_TAKEOVER * 4),
        1
    );
    assert_eq!(script.world.out.events.len(), 0, "nothing is decided");
    assert_eq!(script.count(Counter::SessionsInspected), 0);
    script.send(Side::A, C + 17, O + 2, ACK, b"");
    assert_eq!(script.count(Counter::SessionsInspected), 1, "taken over");
    assert_eq!(script.world.out.events.len(), 0, "nothing is decided");

    let mut script = Script::established();
    script.stop(Side::A, C + 1, O + 1, ACK, BEGINNING);
    script.pass(Side::B, O + 1, C + 1, ACK | FIN, b"");
    flows_after(&mut script, limits::HOLD_BEFORE_TAKEOVER * 4);
    flows_after(&mut script, limits::HELLO_TIMEOUT);
    script.logged(BYPASS, "what passed is not acknowledged yet");
}

#[test]
fn d122_every_state_that_waits_for_its_ends_has_a_timeout() {
    type Begin = fn(&mut Script);
    let cases: [(&str, Duration, Begin); 5] = [
        ("a SYN", limits::OBSERVE_TIMEOUT, |script| {
            script.pass(Side::A, C, NONE, SYN, b"");
        }),
        ("reset undecided", limits::ENDED_LINGER, |script| {
            script.handshake(C, O);
            script.pass(Side::A, C + 1, O + 1, RST | ACK, b"");
        }),
        ("bypassed", limits::BYPASS_IDLE_TIMEOUT, |script| {
            script.pass(Side::A, C, O, ACK, b"middle");
        }),
        (
            "bypassed and closed",
            limits::BYPASS_CLOSED_TIMEOUT,
            |script| {
                script.pass(Side::A, C, O, ACK, b"middle");
                script.pass(Side::A, C + 6, O, ACK | FIN, b"");
                script.pass(Side::B, O, C + 7, ACK | FIN, b"");
            },
        ),
        ("blocked", limits::BLOCKED_LINGER, |script| {
            script.server = PROTECTED;
            script.stop(Side::A, C, O, ACK, b"middle");
        }),
    ];
    let little = Duration::from_secs(1);
    for (name, timeout, begin) in cases {
        let mut script = Script::new();
        begin(&mut script);
        assert_eq!(flows_after(&mut script, timeout - little), 1, "{name}");
        assert_eq!(flows_after(&mut script, 2 * little), 0, "{name}");
    }
    // A client that connects and stays silent is decided upon, and goes as a blocked one does.
    let mut script = Script::established();
    let silent = limits::SILENT_TIMEOUT;
    assert_eq!(flows_after(&mut script, silent - little), 1);
    assert_eq!(script.world.out.events.len(), 0);
    assert_eq!(flows_after(&mut script, 2 * little), 1);
    assert_eq!(script.world.event().code, DecisionCode::BlockHelloTimeout);
    assert_eq!(flows_after(&mut script, limits::BLOCKED_LINGER), 0);
}
