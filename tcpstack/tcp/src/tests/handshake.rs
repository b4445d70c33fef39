use core::time::Duration;

use sluice_packet::limits::{DEFAULT_MSS_IPV4_BYTES, DEFAULT_MSS_IPV6_BYTES};
use sluice_packet::{
    Ecn, Instant, SackBlocks, SeqNum, TcpFlags, TcpOptions, TcpSegment, Timestamps,
};

use super::support::{OURS, Script, THEIRS};
use crate::{CloseReason, Config, Connection, Opening, StateName};

const SYN_ACK: TcpFlags = TcpFlags::from_bits(0x12);

fn opening() -> Opening {
    Opening {
        iss: OURS,
        path_mss: 1_460,
        mss_default: 536,
        window_scale: Some(7),
        sack: true,
        ecn: false,
        timestamps: Some(1_000),
    }
}

fn peer_options() -> TcpOptions {
    TcpOptions {
        mss: Some(1_400),
        window_scale: Some(3),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 9, echo: 0 }),
        ..TcpOptions::default()
    }
}

fn segment(flags: TcpFlags, seq: SeqNum, ack: SeqNum, options: TcpOptions) -> TcpSegment<'static> {
    TcpSegment {
        seq,
        ack,
        flags,
        window: 8_000,
        urgent: 0,
        ecn: Ecn::NotEct,
        options,
        payload: &[],
    }
}

fn connecting() -> Script {
    let now = Instant::from_secs(10);
    let mut script = Script::around(Connection::connect(opening(), &Config::default(), now), now);
    let syn = script.one();
    assert_eq!((syn.seq, syn.flags), (0, TcpFlags::SYN));
    assert_eq!(syn.options.mss, Some(1_460));
    assert_eq!(syn.options.window_scale, Some(7));
    assert!(syn.options.sack_permitted && syn.options.timestamps.is_some());
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
    //= type=test
    //# The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled.
    assert_eq!(syn.window, u16::MAX, "of a megabyte");
    script
}

#[test]
fn an_active_open_agrees_on_options() {
    let mut script = connecting();
    script.connection.on_segment(
        script.now,
        &segment(SYN_ACK, THEIRS, OURS + 1, peer_options()),
    );
    assert_eq!(script.connection.state(), StateName::Established);
    let ack = script.one();
    assert_eq!((ack.seq, ack.ack, ack.flags), (1, 1, TcpFlags::ACK));
    script.send(3_000);
    assert_eq!(script.spans()[0], (1, 1_400 - 12));
}

#[test]
fn p97_the_window_of_a_syn_ack_with_text_is_not_scaled_either() {
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
    //= type=test
    //# The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled.
    let mut script = connecting();
    let answer = TcpSegment {
        payload: b"greetings",
        ..segment(SYN_ACK, THEIRS, OURS + 1, peer_options())
    };
    script.connection.on_segment(script.now, &answer);
    assert_eq!(script.connection.received(), b"greetings");
    script.send(20_000);
    let sent: usize = script.drain().iter().map(|seen| seen.payload.len()).sum();
    assert!(sent <= 8_000, "{sent} bytes into a window of 8,000");
    assert!(sent > 6_000, "{sent}");
}

#[test]
fn p84_a_peer_that_announces_no_mss_gets_the_default_of_its_ip_version() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
    //= type=test
    //# If an MSS Option is not received at connection setup, TCP implementations MUST assume a default send MSS of
    for mss_default in [DEFAULT_MSS_IPV4_BYTES, DEFAULT_MSS_IPV6_BYTES] {
        let now = Instant::from_secs(10);
        let opening = Opening {
            mss_default,
            ..opening()
        };
        let connection = Connection::connect(opening, &Config::default(), now);
        let mut script = Script::around(connection, now);
        script.drain();
        let answer = segment(SYN_ACK, THEIRS, OURS + 1, TcpOptions::default());
        script.connection.on_segment(now, &answer);
        script.drain();
        script.send(3_000);
        let longest = script.drain().iter().map(|seen| seen.payload.len()).max();
        assert_eq!(longest, Some(usize::from(mss_default)));
    }
}

#[test]
fn p83_an_open_without_any_option_works() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
    //= type=test
    //# If an MSS Option is not received at connection setup, TCP implementations MUST assume a default send MSS of
    let mut script = connecting();
    script.connection.on_segment(
        script.now,
        &segment(SYN_ACK, THEIRS, OURS + 1, TcpOptions::default()),
    );
    script.drain();
    script.send(3_000);
    let seen = script.drain();
    assert_eq!(seen[0].payload.len(), 536, "RFC 9293: the default send MSS");
    assert_eq!(seen[0].options.timestamps, None);
    assert_eq!(seen[0].options.sack, SackBlocks::default());
}

#[test]
fn p88_after_a_lost_syn_one_segment_goes_out_first_and_is_given_three_seconds() {
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //# Further, if the SYN or SYN/ACK is lost, the initial window used by a sender after a correctly transmitted SYN MUST
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= type=test
    //# (5.7) If the timer expires awaiting the ACK of a SYN segment and the TCP implementation is using an RTO less than 3
    let mut plain = peer_options();
    plain.timestamps = None;
    for (lost, options, wait, count) in [
        // Tail-loss probes, after a round trip that was measured: twice 10 ms and 2, or 40 for a single segment. A timestamp
        // tells which SYN was answered.
        (false, plain, 22, 3),
        (true, peer_options(), 60, 1),
        (true, plain, 3_000, 1),
    ] {
        let mut script = connecting();
        if lost {
            let (after, again) = script.until_sent();
            assert_eq!((after.as_millis(), again[0].flags), (1_000, TcpFlags::SYN));
        }
        script.wait(10);
        let mut options = options;
        if let Some(timestamps) = &mut options.timestamps {
            timestamps.echo = 2_000;
        }
        let answer = segment(SYN_ACK, THEIRS, OURS + 1, options);
        script.connection.on_segment(script.now, &answer);
        script.drain();
        script.send(3_000);
        assert_eq!(script.spans().len(), count, "{lost}, {options:?}");
        let waits = script
            .connection
            .next_timeout()
            .map(|at| at.saturating_since(script.now));
        assert_eq!(waits, Some(Duration::from_millis(wait)), "{lost}");
    }
}

#[test]
fn p97_a_shift_above_14_means_14() {
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
    //= type=test
    //# If a Window Scale option is received with a shift.cnt value larger than 14, the TCP SHOULD log the error but
    let mut script = connecting();
    let options = TcpOptions {
        window_scale: Some(200),
        ..peer_options()
    };
    script
        .connection
        .on_segment(script.now, &segment(SYN_ACK, THEIRS, OURS + 1, options));
    script.drain();
    script.window = 1;
    script.timestamp = Some(Timestamps {
        value: 10,
        echo: 1_000,
    });
    script.feed(TcpFlags::ACK, 1, 1, b"");
    script.send(40_000);
    let sent: usize = script.spans().iter().map(|span| span.1).sum();
    assert!((13_000..=16_384).contains(&sent), "{sent}");
}

#[test]
fn a_passive_open_answers_with_what_both_can() {
    let now = Instant::from_secs(10);
    let syn = segment(
        TcpFlags::SYN,
        THEIRS,
        SeqNum(0),
        TcpOptions {
            timestamps: None,
            ..peer_options()
        },
    );
    let connection = Connection::accept(&syn, opening(), &Config::default(), now);
    let mut script = Script::around(connection, now);
    let answer = script.one();
    assert_eq!((answer.seq, answer.ack, answer.flags), (0, 1, SYN_ACK));
    assert!(answer.options.sack_permitted);
    assert_eq!(answer.options.timestamps, None, "not offered, not answered");
    script.feed(TcpFlags::ACK, 1, 1, b"first data");
    assert_eq!(script.connection.state(), StateName::Established);
    assert_eq!(script.connection.received(), b"first data");
}

#[test]
fn a_lost_syn_ack_is_repeated_when_the_syn_comes_again() {
    let now = Instant::from_secs(10);
    let syn = segment(TcpFlags::SYN, THEIRS, SeqNum(0), peer_options());
    let connection = Connection::accept(&syn, opening(), &Config::default(), now);
    let mut script = Script::around(connection, now);
    script.drain();
    script.connection.on_segment(script.now, &syn);
    assert_eq!(script.one().flags, SYN_ACK);
}

#[test]
fn p86_simultaneous_open() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
    //= type=test
    //# Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
    let mut script = connecting();
    script.connection.on_segment(
        script.now,
        &segment(TcpFlags::SYN, THEIRS, SeqNum(0), peer_options()),
    );
    assert_eq!(script.connection.state(), StateName::SynReceived);
    let answer = script.one();
    assert_eq!((answer.seq, answer.ack, answer.flags), (0, 1, SYN_ACK));
    script.connection.on_segment(
        script.now,
        &segment(SYN_ACK, THEIRS, OURS + 1, peer_options()),
    );
    assert_eq!(script.connection.state(), StateName::Established);
    script.timestamp = Some(Timestamps {
        value: 10,
        echo: 1_000,
    });
    script.feed(TcpFlags::ACK, 1, 1, b"x");
    assert_eq!(script.connection.received(), b"x");
}

#[test]
fn a_wrong_acknowledgement_of_our_syn_is_reset() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
    //= type=test
    //# If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so drop the segment and
    let mut script = connecting();
    script.connection.on_segment(
        script.now,
        &segment(SYN_ACK, THEIRS, OURS + 5, peer_options()),
    );
    let reset = script.one();
    assert_eq!((reset.seq, reset.flags), (5, TcpFlags::RST));
    assert_eq!(script.connection.state(), StateName::SynSent);
}

#[test]
fn a_refused_open_is_closed_and_a_blind_reset_is_not_a_refusal() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
    //= type=test
    //# If the ACK was acceptable, then signal to the user "error: connection reset", drop the segment, enter CLOSED
    let mut script = connecting();
    script.connection.on_segment(
        script.now,
        &segment(TcpFlags::RST, THEIRS, OURS, TcpOptions::default()),
    );
    assert_eq!(script.connection.state(), StateName::SynSent);
    let refusal = segment(
        TcpFlags::RST | TcpFlags::ACK,
        THEIRS,
        OURS + 1,
        TcpOptions::default(),
    );
    script.connection.on_segment(script.now, &refusal);
    assert_eq!(script.connection.closed_by(), Some(CloseReason::PeerReset));
}

#[test]
fn p89_an_unanswered_syn_is_given_up_after_three_minutes() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
    //= type=test
    //# R2 for a SYN segment MUST be set large enough to provide retransmission of the segment for at least 3 minutes.
    let mut script = connecting();
    let start = script.now;
    while !script.connection.is_closed() {
        let (_, seen) = script.until_sent();
        assert!(seen.iter().all(|seen| seen.flags == TcpFlags::SYN));
    }
    assert_eq!(script.connection.closed_by(), Some(CloseReason::TimedOut));
    assert!(script.now.saturating_since(start) >= Duration::from_secs(180));
}

#[test]
fn what_is_queued_and_finished_before_the_open_leaves_after_it() {
    let mut script = connecting();
    script.connection.send(b"early");
    script.connection.finish();
    script.nothing();
    script.connection.on_segment(
        script.now,
        &segment(SYN_ACK, THEIRS, OURS + 1, peer_options()),
    );
    let seen = script.one();
    assert_eq!(
        (seen.payload.as_slice(), seen.flags.fin()),
        (b"early".as_slice(), true)
    );
    assert_eq!(script.connection.state(), StateName::FinWait1);
}

#[test]
fn a_wrong_acknowledgement_of_our_syn_ack_is_reset() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST>
    let now = Instant::from_secs(10);
    let syn = segment(TcpFlags::SYN, THEIRS, SeqNum(0), peer_options());
    let connection = Connection::accept(&syn, opening(), &Config::default(), now);
    let mut script = Script::around(connection, now);
    script.drain();
    for ack in [0, 2, 70_000] {
        script.feed(TcpFlags::ACK, 1, ack, b"");
        let reset = script.one();
        assert_eq!((reset.seq, reset.flags), (ack, TcpFlags::RST));
        assert_eq!(script.connection.state(), StateName::SynReceived);
    }
    script.feed(TcpFlags::ACK, 1, 1, b"");
    assert_eq!(script.connection.state(), StateName::Established);
}
