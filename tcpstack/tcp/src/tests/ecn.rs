//! RFC 3168: what is negotiated, marked, echoed and answered.

use sluice_packet::{Ecn, Instant, SeqNum, TcpFlags, TcpOptions, TcpSegment};

use super::support::{OURS, Script, Seen, THEIRS, takeover};
use crate::{Config, CongestionAlgorithm, Connection, Opening, StateName, Takeover};

const ACK_CWR: TcpFlags = TcpFlags::from_bits(0x90);
const ACK_ECE: TcpFlags = TcpFlags::from_bits(0x50);
const ECN_SYN: TcpFlags = TcpFlags::from_bits(0xc2);
const ECN_SYN_ACK: TcpFlags = TcpFlags::from_bits(0x52);
const SYN_ACK: TcpFlags = TcpFlags::from_bits(0x12);

fn agreed() -> Script {
    let config = Config {
        congestion: CongestionAlgorithm::NewReno,
        ..Config::default()
    };
    let takeover = Takeover {
        ecn: true,
        ..takeover()
    };
    Script::of(takeover, config)
}

fn opening(ecn: bool) -> Opening {
    Opening {
        iss: OURS,
        path_mss: 1_460,
        mss_default: 536,
        window_scale: Some(7),
        sack: true,
        ecn,
        timestamps: None,
    }
}

fn syn(flags: TcpFlags, ack: SeqNum) -> TcpSegment<'static> {
    TcpSegment {
        seq: THEIRS,
        ack,
        flags,
        window: 8_000,
        options: TcpOptions {
            mss: Some(1_460),
            sack_permitted: true,
            ..TcpOptions::default()
        },
        ..TcpSegment::default()
    }
}

fn connecting(ecn: bool) -> Script {
    let now = Instant::from_secs(10);
    let connection = Connection::connect(opening(ecn), &Config::default(), now);
    Script::around(connection, now)
}

fn marks(seen: &[Seen]) -> Vec<(Ecn, bool, bool)> {
    seen.iter()
        .map(|seen| (seen.ecn, seen.flags.ece(), seen.flags.cwr()))
        .collect()
}

/// What a connection that was opened with these answers sends its first data as.
fn first_data(script: &mut Script) -> Ecn {
    assert_eq!(script.connection.state(), StateName::Established);
    script.drain();
    script.send(10);
    script.one().ecn
}

#[test]
fn an_open_asks_for_congestion_marks_and_agrees_only_with_a_setup_answer() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
    //= type=test
    //# We call a SYN packet with the ECE and CWR flags set an "ECN-setup SYN packet"
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
    //= type=test
    //# A host MUST NOT set ECT on SYN or SYN-ACK packets.
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
    //= type=test
    //# A host MUST NOT set ECT on data packets unless it has sent at least one ECN-setup SYN or ECN-setup SYN-ACK packet,
    for (wanted, answer, mark) in [
        (true, ECN_SYN_ACK, Ecn::Ect0),
        (true, SYN_ACK, Ecn::NotEct),
        (true, ECN_SYN_ACK | TcpFlags::CWR, Ecn::NotEct),
        (false, ECN_SYN_ACK, Ecn::NotEct),
    ] {
        let mut script = connecting(wanted);
        let sent = script.one();
        let expected = if wanted { ECN_SYN } else { TcpFlags::SYN };
        assert_eq!((sent.flags, sent.ecn), (expected, Ecn::NotEct));
        script
            .connection
            .on_segment(script.now, &syn(answer, OURS + 1));
        assert_eq!(script.connection.stats().ecn_reductions, 0);
        assert_eq!(first_data(&mut script), mark, "{answer:?}");
    }
}

#[test]
fn a_passive_open_agrees_if_asked() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
    //= type=test
    //# Similarly, we call a SYN-ACK packet with only the ECE flag set but the CWR flag not set an "ECN-setup SYN-ACK
    let now = Instant::from_secs(10);
    for (wanted, asked, answer) in [
        (true, ECN_SYN, ECN_SYN_ACK),
        (true, TcpFlags::SYN, SYN_ACK),
        (true, TcpFlags::SYN | TcpFlags::ECE, SYN_ACK),
        (false, ECN_SYN, SYN_ACK),
    ] {
        let asked = syn(asked, SeqNum(0));
        let connection = Connection::accept(&asked, opening(wanted), &Config::default(), now);
        let mut script = Script::around(connection, now);
        let sent = script.one();
        assert_eq!((sent.flags, sent.ecn), (answer, Ecn::NotEct));
        script.feed(TcpFlags::ACK, 1, 1, b"");
        let mark = if answer == SYN_ACK {
            Ecn::NotEct
        } else {
            Ecn::Ect0
        };
        assert_eq!(first_data(&mut script), mark);
    }
}

#[test]
fn a_syn_that_is_not_answered_is_repeated_without_asking() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1.1
    //= type=test
    //# A host that receives no reply to an ECN-setup SYN within the normal SYN retransmission timeout interval MAY
    let mut script = connecting(true);
    assert_eq!(script.one().flags, ECN_SYN);
    let (_, again) = script.until_sent();
    assert_eq!(again[0].flags, TcpFlags::SYN);
    script
        .connection
        .on_segment(script.now, &syn(ECN_SYN_ACK, OURS + 1));
    assert_eq!(first_data(&mut script), Ecn::NotEct);
}

#[test]
fn a_repeated_syn_that_does_not_ask_withdraws_the_agreement() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
    //= type=test
    //# If a host has received at least one non-ECN-setup SYN or non-ECN-setup SYN-ACK packet, then it SHOULD NOT set ECT
    let now = Instant::from_secs(10);
    let asked = syn(ECN_SYN, SeqNum(0));
    let connection = Connection::accept(&asked, opening(true), &Config::default(), now);
    let mut script = Script::around(connection, now);
    assert_eq!(script.one().flags, ECN_SYN_ACK);
    script
        .connection
        .on_segment(now, &syn(TcpFlags::SYN, SeqNum(0)));
    assert_eq!(script.one().flags, SYN_ACK);
    script.feed(TcpFlags::ACK, 1, 1, b"");
    assert_eq!(first_data(&mut script), Ecn::NotEct);
}

#[test]
fn p86_a_simultaneous_open_agrees() {
    let mut script = connecting(true);
    script.drain();
    script
        .connection
        .on_segment(script.now, &syn(ECN_SYN, SeqNum(0)));
    assert_eq!(script.one().flags, ECN_SYN_ACK);
    script
        .connection
        .on_segment(script.now, &syn(ECN_SYN_ACK, OURS + 1));
    assert_eq!(first_data(&mut script), Ecn::Ect0);
}

#[test]
fn only_new_text_is_marked() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.4
    //= type=test
    //# pure acknowledgement packets (e.g., packets that do not contain any accompanying data) MUST be sent with the
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
    //= type=test
    //# ECN-capable TCP implementations MUST NOT set either ECT codepoint (ECT(0) or ECT(1)) in the IP header for
    let mut script = agreed();
    script.data(0, b"x");
    assert_eq!(script.one().ecn, Ecn::NotEct, "an acknowledgement");
    script.send(100);
    assert_eq!(script.one().ecn, Ecn::Ect0, "new text");
    let (_, again) = script.until_sent();
    assert_eq!(again[0].span(), (0, 100));
    assert_eq!(again[0].ecn, Ecn::NotEct, "a retransmission");
    script.feed(TcpFlags::ACK, 1, 100, b"");
    script.connection.finish();
    assert_eq!(script.one().ecn, Ecn::NotEct, "a FIN");

    let mut script = Script::new();
    script.send(100);
    assert_eq!(script.one().ecn, Ecn::NotEct, "without agreement");
}

#[test]
fn a_window_probe_is_not_marked_and_announces_nothing() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.6
    //= type=test
    //# the TCP data sender MUST NOT set either an ECT codepoint or the CWR bit on window probe packets.
    let mut script = agreed();
    script.send(1_000);
    script.drain();
    script.window = 0;
    script.feed(ACK_ECE, 0, 1_000, b"");
    script.send(500);
    script.nothing();
    let (_, probe) = script.until_sent();
    assert_eq!(probe[0].span(), (1_000, 1));
    assert_eq!(marks(&probe), [(Ecn::NotEct, false, false)]);
    script.window = 60_000;
    script.ack(1_001);
    assert_eq!(marks(&script.drain()), [(Ecn::Ect0, false, true)]);
}

#[test]
fn a_mark_is_echoed_until_the_peer_says_it_slowed_down() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.3
    //= type=test
    //# After a TCP receiver sends an ACK packet with the ECN-Echo bit set, that TCP receiver continues to set the
    let mut script = agreed();
    let full = [1; 1_000];
    script.mark = Ecn::Ce;
    script.data(0, &full);
    assert!(script.one().flags.ece(), "told at once");
    script.mark = Ecn::Ect0;
    for index in 1..5 {
        script.data(index * 1_000, &full);
    }
    assert!(script.drain().iter().all(|seen| seen.flags.ece()));
    script.send(10);
    assert!(script.one().flags.ece(), "data echoes it too");
    script.feed(ACK_CWR, 5_000, 10, &full);
    assert!(!script.one().flags.ece());
    // A mark on the very segment that announces a reduction is a new one.
    script.mark = Ecn::Ce;
    script.feed(ACK_CWR, 6_000, 10, &full);
    assert!(script.one().flags.ece());
    assert_eq!(script.connection.stats().congestion_marks, 2);
}

#[test]
fn marks_outside_the_window_or_without_text_or_agreement_are_not_echoed() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
    //= type=test
    //# the TCP data receiver SHOULD ignore the ECN field on arriving data packets that are outside of the receiver's
    let mut script = agreed();
    script.data(0, b"abc");
    script.drain();
    script.mark = Ecn::Ce;
    script.data(-100, b"old");
    script.data(2_000_000, b"far");
    script.feed(TcpFlags::ACK, 3, 0, b"");
    script.mark = Ecn::NotEct;
    script.data(3, b"d");
    assert!(script.drain().iter().all(|seen| !seen.flags.ece()));

    let mut script = Script::new();
    script.mark = Ecn::Ce;
    script.data(0, b"abc");
    assert!(!script.one().flags.ece());
}

#[test]
fn an_echo_halves_the_window_once_and_is_answered_with_the_next_new_text() {
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
    //= type=test
    //# If the sender receives an ECN-Echo (ECE) ACK packet (that is, an ACK packet with the ECN-Echo flag set in the TCP
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
    //= type=test
    //# TCP should not react to congestion indications more than once every window of data
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
    //= type=test
    //# The sending TCP SHOULD NOT increase the congestion window in response to the receipt of an ECN-Echo ACK packet.
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
    //= type=test
    //# When an ECN-Capable TCP sender reduces its congestion window for any reason (because of a retransmit timeout, a
    let mut script = agreed();
    script.send(30_000);
    assert_eq!(script.drain().len(), 10);
    for ack in 1..=5 {
        script.feed(ACK_ECE, 0, ack * 1_000, b"");
        script.nothing();
    }
    // Half of ten segments is what the network is given now.
    script.feed(ACK_ECE, 0, 6_000, b"");
    let seen = script.one();
    assert_eq!(seen.span(), (10_000, 1_000));
    assert!(seen.flags.cwr() && seen.ecn == Ecn::Ect0);
    for ack in 7..=9 {
        script.feed(ACK_ECE, 0, ack * 1_000, b"");
        assert_eq!(marks(&script.drain()), [(Ecn::Ect0, false, false)]);
    }
    assert_eq!(script.connection.stats().ecn_reductions, 1);
    // What was sent after the reduction is marked again.
    script.feed(ACK_ECE, 0, 10_000, b"");
    assert_eq!(script.connection.stats().ecn_reductions, 2);
    assert_eq!(script.connection.stats().retransmits, 0);
}

/// Agreed, a round trip of 50 ms measured, and ten segments on their way for as long.
fn ten_in_flight() -> Script {
    let mut script = agreed();
    script.send(1_000);
    script.drain();
    script.wait(50);
    script.ack(1_000);
    script.send(30_000);
    assert_eq!(script.drain().len(), 10);
    script.wait(50);
    script
}

#[test]
fn a_loss_in_the_window_of_a_mark_does_not_reduce_twice_and_a_loss_alone_is_announced() {
    let mut script = ten_in_flight();
    script.feed(ACK_ECE, 0, 2_000, b"");
    script.ack_sack(2_000, &[(3_000, 6_000)]);
    let repeated = script.drain();
    assert_eq!(repeated[0].span(), (2_000, 1_000));
    assert_eq!(marks(&repeated[..1]), [(Ecn::NotEct, false, false)]);
    script.ack(11_000);
    let burst = script.drain();
    assert!((5..=6).contains(&burst.len()), "halved once: {burst:?}");

    let mut script = agreed();
    script.send(30_000);
    script.drain();
    let (_, again) = script.until_sent();
    assert_eq!(marks(&again), [(Ecn::NotEct, false, false)]);
    script.ack(10_000);
    assert!(
        script.drain()[0].flags.cwr(),
        "a timeout reduced the window"
    );
}

#[test]
fn an_echo_that_answers_nothing_in_flight_changes_nothing() {
    let mut script = agreed();
    script.feed(ACK_ECE, 0, 0, b"");
    script.feed(ACK_ECE, 0, 0, b"data");
    assert_eq!(script.connection.stats().ecn_reductions, 0);
    script.send(20_000);
    assert_eq!(script.spans().len(), 10);

    let mut script = Script::new();
    script.send(10_000);
    script.drain();
    script.feed(ACK_ECE, 0, 1_000, b"");
    assert_eq!(script.connection.stats().ecn_reductions, 0, "not agreed on");
}

#[test]
fn p98_a_mark_within_a_recovery_keeps_the_window_reduced_whatever_came_twice() {
    //= https://www.rfc-editor.org/rfc/rfc4015#section-3.2
    //= type=test
    //# If the acceptable ACK has the ECN-Echo flag [RFC3168] set, then proceed to step (DONE);
    let plain = TcpFlags::ACK;
    for (repaired, reported, expected) in
        [(plain, plain, 1), (ACK_ECE, plain, 0), (plain, ACK_ECE, 0)]
    {
        let mut script = ten_in_flight();
        // One segment comes late, and the window is reduced as if it were lost.
        script.ack_sack(1_000, &[(2_000, 9_000)]);
        assert_eq!(script.drain()[0].span(), (1_000, 1_000));
        script.feed(repaired, 0, 9_000, b"");
        script.drain();
        script.feed_sack(reported, 0, 9_000, b"", &[(1_000, 2_000)]);
        let stats = script.connection.stats();
        assert_eq!(
            (stats.reductions_taken_back, stats.ecn_reductions),
            (expected, 0)
        );
    }
}
