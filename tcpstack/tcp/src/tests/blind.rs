//! RFC 5961: what an attacker off the path can and cannot do.

use sluice_packet::TcpFlags;

use super::support::{FIN_ACK, Script};
use crate::{CloseReason, StateName, limits};

#[test]
fn p96_a_reset_at_the_exact_number_ends_the_connection() {
    //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
    //= type=test
    //# If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
    let mut script = Script::new();
    script.feed(TcpFlags::RST, 0, 0, b"");
    assert_eq!(script.connection.closed_by(), Some(CloseReason::PeerReset));
    script.nothing();
}

#[test]
fn p96_a_reset_in_the_window_is_challenged_and_outside_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
    //= type=test
    //# If the RST bit is set and the sequence number does not exactly match the next expected sequence value, yet is
    let mut script = Script::new();
    script.feed(TcpFlags::RST, 1, 0, b"");
    let challenge = script.one();
    assert_eq!(
        (challenge.seq, challenge.ack, challenge.flags),
        (0, 0, TcpFlags::ACK)
    );
    script.feed(TcpFlags::RST, -1, 0, b"");
    script.feed(TcpFlags::RST, 1_000_000, 0, b"");
    script.nothing();
    assert_eq!(script.connection.state(), StateName::Established);
}

#[test]
fn p96_a_syn_is_challenged_wherever_it_is() {
    for seq in [0, 100, -5_000, 1_000_000] {
        let mut script = Script::new();
        script.feed(TcpFlags::SYN, seq, 0, b"");
        let challenge = script.one();
        assert_eq!(
            (challenge.ack, challenge.flags),
            (0, TcpFlags::ACK),
            "SYN at {seq}"
        );
        assert_eq!(script.connection.state(), StateName::Established);
    }
}

#[test]
fn p96_data_with_an_impossible_acknowledgement_is_not_taken() {
    //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
    //= type=test
    //# The ACK value is considered acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) <= SEG.ACK <=
    for ack in [1, 1_000_000, -70_000] {
        let mut script = Script::new();
        script.feed(TcpFlags::ACK, 0, ack, b"evil");
        assert_eq!(script.connection.received(), b"", "ACK of {ack}");
        assert_eq!(script.one().ack, 0);
        assert_eq!(script.connection.stats().bad_acks, 1);
    }
}

#[test]
fn e105_data_without_an_acknowledgement_is_not_taken() {
    let mut script = Script::new();
    script.feed(TcpFlags::NONE, 0, 0, b"evil");
    script.feed(TcpFlags::PSH, 0, 0, b"evil");
    script.feed(TcpFlags::FIN, 0, 0, b"evil");
    assert_eq!(script.connection.received(), b"");
    script.nothing();
}

#[test]
fn p96_challenges_are_rate_limited() {
    //= https://www.rfc-editor.org/rfc/rfc5961#section-7
    //= type=test
    //# An implementation SHOULD include an ACK throttling mechanism to be conservative.
    let mut script = Script::new();
    let mut answers = 0;
    for _ in 0..100 {
        script.feed(TcpFlags::SYN, 10, 0, b"");
        answers += script.drain().len();
    }
    assert_eq!(
        answers,
        usize::try_from(limits::CHALLENGE_ACKS_PER_SECOND_MAX).unwrap()
    );
    script.wait(1_000);
    script.feed(TcpFlags::SYN, 10, 0, b"");
    assert_eq!(script.drain().len(), 1);
}

#[test]
fn two_ends_that_disagree_do_not_acknowledge_each_other_for_ever() {
    let mut script = Script::new();
    let mut answers = 0;
    for _ in 0..100 {
        script.feed(TcpFlags::ACK, -1_000, 0, b"");
        answers += script.drain().len();
    }
    assert!(answers <= 10, "{answers}");
}

#[test]
fn e113_stale_sequence_numbers_are_answered_and_not_taken() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the RST bit is
    let mut script = Script::new();
    script.data(0, b"abc");
    script.drain();
    script.data(-100, &[b'x'; 50]);
    script.feed(FIN_ACK, i32::MIN + 10, 0, b"far away");
    assert_eq!(script.connection.received(), b"abc");
    assert_eq!(script.connection.state(), StateName::Established);
    assert_eq!(script.one().ack, 3);
}
