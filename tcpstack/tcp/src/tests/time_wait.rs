//! What is left of a finished connection.

use core::time::Duration;

use sluice_packet::{SeqNum, TcpFlags, TcpSegment, Timestamps};

use super::support::{FIN_ACK, OURS, Script, THEIRS, takeover, with_timestamps};
use crate::{Config, Takeover, TimeWait, TimeWaitAnswer, limits};

/// Both finished, we first; the peer's next number is 1, its last timestamp 5 000 if there are timestamps.
fn finished(takeover: Takeover) -> (Script, TimeWait) {
    let timestamps = takeover.timestamps.is_some();
    let mut script = Script::of(takeover, Config::default());
    script.timestamp = timestamps.then_some(Timestamps {
        value: 5_000,
        echo: 70_000,
    });
    script.connection.finish();
    script.drain();
    script.feed(FIN_ACK, 0, 1, b"");
    script.drain();
    let spare = Script::new().connection;
    let connection = core::mem::replace(&mut script.connection, spare);
    let time_wait = connection.into_time_wait(script.now).unwrap();
    (script, time_wait)
}

fn late(flags: TcpFlags, seq: i32, payload: &[u8]) -> TcpSegment<'_> {
    TcpSegment {
        seq: SeqNum(THEIRS.0.wrapping_add_signed(seq)),
        ack: OURS + 1,
        flags,
        window: 500,
        payload,
        ..TcpSegment::default()
    }
}

fn stamped(segment: TcpSegment<'_>, value: u32) -> TcpSegment<'_> {
    let mut segment = segment;
    segment.options.timestamps = Some(Timestamps { value, echo: 0 });
    segment
}

#[track_caller]
fn acknowledged(answer: TimeWaitAnswer) -> TcpSegment<'static> {
    match answer {
        TimeWaitAnswer::Acknowledge(segment) => segment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn p87_a_repeated_fin_is_acknowledged_and_starts_the_wait_again() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart
    let (script, mut time_wait) = finished(with_timestamps());
    let wait = Config::default().time_wait;
    assert_eq!(time_wait.ends_at(), script.now + wait);
    let now = script.now + Duration::from_secs(50);
    let answer = acknowledged(time_wait.on_segment(now, &stamped(late(FIN_ACK, 0, b""), 5_001)));
    assert_eq!(
        (answer.seq, answer.ack, answer.flags),
        (OURS + 1, THEIRS + 1, TcpFlags::ACK)
    );
    assert_eq!(
        answer.options.timestamps,
        Some(Timestamps {
            value: 70_000 + 50_000,
            echo: 5_000
        }),
        "the clock goes on"
    );
    assert_eq!(time_wait.ends_at(), now + wait);
}

#[test]
fn p87_resets_and_acknowledgements_are_met_with_silence_and_the_rest_with_an_acknowledgement() {
    //= https://www.rfc-editor.org/rfc/rfc1337#section-3
    //= type=test
    //# F1) Ignore RST segments in TIME-WAIT state.
    let (script, mut time_wait) = finished(takeover());
    let now = script.now;
    for seq in [0, 1, 2, 1_000] {
        let answer = time_wait.on_segment(now, &late(TcpFlags::RST, seq, b""));
        assert_eq!(answer, TimeWaitAnswer::Silence);
    }
    let answer = time_wait.on_segment(now, &late(TcpFlags::ACK, 1, b""));
    assert_eq!(answer, TimeWaitAnswer::Silence);
    for old in [
        late(TcpFlags::ACK, -3, b"old"),
        late(TcpFlags::ACK, -2, b"old"),
        late(TcpFlags::ACK, 9, b""),
        late(TcpFlags::ACK, 1, b"new"),
        late(FIN_ACK, 5, b""),
    ] {
        acknowledged(time_wait.on_segment(now, &old));
    }
    assert_eq!(
        time_wait.ends_at(),
        now + Config::default().time_wait,
        "none of them moves its end"
    );
}

#[test]
fn p87_answers_are_rate_limited() {
    let (script, mut time_wait) = finished(takeover());
    let mut answers = 0;
    for _ in 0..1_000 {
        let answer = time_wait.on_segment(script.now, &late(FIN_ACK, 0, b""));
        answers += u32::from(answer != TimeWaitAnswer::Silence);
    }
    assert_eq!(answers, limits::CHALLENGE_ACKS_PER_SECOND_MAX);
    let next = script.now + Duration::from_secs(1);
    acknowledged(time_wait.on_segment(next, &late(FIN_ACK, 0, b"")));
}

#[test]
fn p87_a_newer_syn_reopens_and_an_older_one_is_challenged() {
    //= https://www.rfc-editor.org/rfc/rfc6191#section-2
    //= type=test
    //# If TCP Timestamps would be enabled for the new incarnation of the connection, and the timestamp contained in
    //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
    //= type=test
    //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to as
    let syn = |seq| late(TcpFlags::SYN, seq, b"");
    for (before, segment, reopens) in [
        (with_timestamps(), stamped(syn(-7_000), 5_001), true),
        (with_timestamps(), stamped(syn(2), 5_000), true),
        (with_timestamps(), stamped(syn(1), 5_000), false),
        (with_timestamps(), stamped(syn(9_000), 4_999), false),
        (with_timestamps(), syn(2), true),
        (with_timestamps(), syn(1), false),
        (takeover(), stamped(syn(-7_000), 1), true),
        (takeover(), syn(2), true),
        (takeover(), syn(1), false),
        (takeover(), syn(-7_000), false),
        (
            takeover(),
            late(TcpFlags::SYN | TcpFlags::ACK, 9, b""),
            false,
        ),
    ] {
        let (script, mut time_wait) = finished(before);
        let answer = time_wait.on_segment(script.now, &segment);
        assert_eq!(answer == TimeWaitAnswer::Reopen, reopens, "{segment:?}");
        if !reopens {
            assert_eq!(acknowledged(answer).ack, THEIRS + 1);
        }
    }
}

#[test]
fn p87_only_a_finished_connection_becomes_one() {
    let script = Script::new();
    assert!(script.connection.into_time_wait(script.now).is_none());

    let mut aborted = Script::new();
    aborted.connection.abort();
    assert!(aborted.connection.into_time_wait(aborted.now).is_none());

    let mut last = Script::new();
    last.feed(FIN_ACK, 0, 0, b"");
    last.connection.finish();
    last.drain();
    last.feed(TcpFlags::ACK, 1, 1, b"");
    let now = last.now;
    let mut time_wait = last.connection.into_time_wait(now).unwrap();
    let answer = acknowledged(time_wait.on_segment(now, &late(FIN_ACK, 0, b"")));
    assert_eq!((answer.seq, answer.ack), (OURS + 1, THEIRS + 1));
}

#[test]
fn p87_old_timestamps_are_answered_and_move_nothing() {
    let (script, mut time_wait) = finished(with_timestamps());
    let now = script.now + Duration::from_secs(5);
    let ends_at = time_wait.ends_at();
    acknowledged(time_wait.on_segment(now, &stamped(late(FIN_ACK, 0, b""), 4_999)));
    assert_eq!(time_wait.ends_at(), ends_at);
}
