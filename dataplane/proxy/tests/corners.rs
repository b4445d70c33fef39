//! The corners of TCP, one by one, as the table in `src/corners.rs` defines them: what happens to the packet and to the flow,
//! by which code, and what is counted.

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{PathTemplate, SeqNum, Side, TcpFlags, TcpSegment, VlanStack, emit};
use sluice_telemetry::{Counter, DecisionCode, DropReason, EndReason, Verdict};
use world::{App, Pki, Settings, World, end::with_options};

const CLIENT: &str = "10.1.0.1:40000";
const ORIGIN: &str = "10.2.0.1:443";
const PROTECTED: &str = "10.2.0.8:8443";
const C: SeqNum = SeqNum(1000);
const O: SeqNum = SeqNum(9000);
const NONE: SeqNum = SeqNum(0);
const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;

/// The beginning of a ClientHello of 400 bytes.
const BEGINNING: &[u8] = &[22, 3, 1, 1, 139, 1, 0, 1, 135, 3, 3, 7, 7, 7, 7, 7];

/// Two ends written by hand, and the appliance between them.
struct Script {
    world: World,
    server: &'static str,
}

impl Script {
    fn to(server: &'static str) -> Self {
        let silent = || App::raw(&[]);
        Self {
            world: World::with(&Settings::default(), &pki(), silent(), silent()),
            server,
        }
    }

    fn new() -> Self {
        Self::to(ORIGIN)
    }

    /// With the three segments of a regular handshake behind it.
    fn established() -> Self {
        let mut script = Self::new();
        script.handshake(C, O);
        script
    }

    fn handshake(&mut self, client: SeqNum, origin: SeqNum) {
        self.pass(Side::A, client, NONE, SYN, b"");
        self.pass(Side::B, origin, client + 1, SYN | ACK, b"");
        self.pass(Side::A, client + 1, origin + 1, ACK, b"");
    }

    #[expect(clippy::unwrap_used, reason = "what the test writes is right")]
    fn frame(&self, from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, text: &[u8]) -> Vec<u8> {
        let (source, destination) = match from {
            Side::A => (CLIENT, self.server),
            Side::B => (self.server, CLIENT),
        };
        let path = PathTemplate::new(
            [2, 0, 0, 0, 0, 1],
            [2, 0, 0, 0, 0, 2],
            VlanStack::UNTAGGED,
            source.parse().unwrap(),
            destination.parse().unwrap(),
        );
        let segment = TcpSegment {
            seq,
            ack,
            flags,
            window: 60_000,
            payload: text,
            ..TcpSegment::default()
        };
        let mut frame = vec![0; 2048];
        let len = emit(&mut frame, &path, &segment, &[]).unwrap();
        frame.truncate(len);
        frame
    }

    /// What leaves when `frame` comes in.
    fn give(&mut self, from: Side, frame: Vec<u8>) -> Vec<(Side, Vec<u8>)> {
        self.world.inject(from, frame);
        let now = self.world.now();
        self.world.worker.poll(now, &mut self.world.out);
        self.world.out.frames.drain(..).collect()
    }

    fn send(
        &mut self,
        from: Side,
        seq: SeqNum,
        ack: SeqNum,
        flags: TcpFlags,
        text: &[u8],
    ) -> Vec<(Side, Vec<u8>)> {
        let frame = self.frame(from, seq, ack, flags, text);
        self.give(from, frame)
    }

    /// A segment that passes as it came.
    fn pass(&mut self, from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, text: &[u8]) {
        let frame = self.frame(from, seq, ack, flags, text);
        let left = self.give(from, frame.clone());
        assert_eq!(left, [(from.other(), frame)], "{from:?} {flags:?} passes");
    }

    /// A segment that goes no further.
    fn stop(&mut self, from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, text: &[u8]) {
        let left = self.send(from, seq, ack, flags, text);
        let through = left.iter().filter(|(to, _)| *to == from.other());
        let payload: usize = through.map(|(_, frame)| world::payload_len(frame)).sum();
        assert_eq!(payload, 0, "{from:?} {flags:?} goes no further");
    }

    fn count(&self, counter: Counter) -> u64 {
        self.world.count(counter)
    }

    fn logged(&self, code: DecisionCode, detail: &str) {
        let event = self.world.event();
        assert_eq!(
            (event.code, event.detail.as_deref()),
            (code, Some(detail)),
            "{event:?}"
        );
        assert_eq!(self.count(Counter::Decision(code)), 1);
    }
}

fn pki() -> Arc<Pki> {
    thread_local!(static PKI: Arc<Pki> = Arc::new(Pki::new()));
    PKI.with(Arc::clone)
}

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
    // The reset passes with what it carries, which no end delivers; what was held does not.
    let reset = script.frame(Side::A, C + 1, O + 1, RST | ACK, b"noise");
    let left = script.give(Side::A, reset.clone());
    assert_eq!(left, [(Side::B, reset)]);
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
fn e109_data_on_the_syn_is_irregular() {
    let named = (Counter::IrregularDataOnSyn, "data-on-syn");
    irregular(&[(Side::A, C, NONE, SYN, b"early")], named, BYPASS);
    let answered = [
        (Side::A, C, NONE, SYN, &b""[..]),
        (Side::B, O, C + 1, SYN | ACK, b"early"),
    ];
    irregular(&answered, named, BYPASS);
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

#[test]
fn p83_options_that_cannot_be_carried_through_a_takeover_are_irregular() {
    const MALFORMED: &[u8] = &[2, 3, 5];
    const MPTCP: &[u8] = &[30, 4, 1, 1];
    const UNKNOWN: &[u8] = &[70, 4, 1, 1];
    const SIGNED: &[u8] = &[
        19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    ];
    for (option, counter, code) in [
        (MALFORMED, Counter::IrregularMalformedOptions, BYPASS),
        (MPTCP, Counter::IrregularMultipath, BYPASS),
        (UNKNOWN, Counter::IrregularUnknownOptions, BYPASS),
        (
            SIGNED,
            Counter::IrregularSigned,
            DecisionCode::BypassTcpSignature,
        ),
    ] {
        let name = counter.name().trim_start_matches("irregular-");
        for (server, code) in [
            (ORIGIN, code),
            (PROTECTED, DecisionCode::BlockIrregularHandshake),
        ] {
            let mut script = Script::to(server);
            let syn = script.frame(Side::A, C, NONE, SYN, b"");
            script.give(Side::A, with_options(&syn, option));
            let answer = script.frame(Side::B, O, C + 1, SYN | ACK, b"");
            script.give(Side::B, with_options(&answer, option));
            script.logged(code, name);
            assert_eq!(script.count(counter), 1, "{counter}");
        }
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
