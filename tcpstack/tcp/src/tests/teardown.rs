use core::time::Duration;

use sluice_packet::TcpFlags;

use super::support::{FIN_ACK, RST_ACK, Script, Seen};
use crate::{CloseReason, StateName, limits};

#[test]
fn p100_we_finish_first_then_the_peer() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //# if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in that state.
    let mut script = Script::new();
    script.send(100);
    script.connection.finish();
    assert_eq!(script.connection.state(), StateName::FinWait1);
    let last = script.one();
    assert!(last.flags.fin());
    assert_eq!(last.span(), (0, 100), "the FIN rides on the last data");
    script.ack(101);
    assert_eq!(script.connection.state(), StateName::FinWait2);
    assert!(script.connection.all_sent_acknowledged());
    script.feed(TcpFlags::ACK, 0, 101, b"still here");
    assert_eq!(script.connection.received(), b"still here");
    script.drain();
    script.feed(FIN_ACK, 10, 101, b"");
    assert_eq!(script.connection.state(), StateName::TimeWait);
    assert!(script.connection.peer_finished());
    assert_eq!(script.one().ack, 11);
}

#[test]
fn p100_the_peer_finishes_first_and_we_go_on_sending() {
    let mut script = Script::new();
    script.feed(FIN_ACK, 0, 0, b"bye");
    assert_eq!(script.connection.state(), StateName::CloseWait);
    assert_eq!(script.one().ack, 4);
    script.send(5_000);
    assert_eq!(script.spans().len(), 5);
    script.feed(TcpFlags::ACK, 4, 5_000, b"");
    script.connection.finish();
    assert_eq!(script.connection.state(), StateName::LastAck);
    assert_eq!(script.one().flags, FIN_ACK);
    script.feed(TcpFlags::ACK, 4, 5_001, b"");
    assert_eq!(script.connection.closed_by(), Some(CloseReason::Finished));
    assert_eq!(
        script.connection.received(),
        b"bye",
        "what was received stays readable"
    );
    assert_eq!(script.connection.next_timeout(), None);
}

#[test]
fn p100_both_finish_at_once() {
    let mut script = Script::new();
    script.connection.finish();
    script.drain();
    script.feed(FIN_ACK, 0, 0, b"");
    assert_eq!(script.connection.state(), StateName::Closing);
    script.drain();
    script.feed(TcpFlags::ACK, 1, 1, b"");
    assert_eq!(script.connection.state(), StateName::TimeWait);
}

#[test]
fn p100_a_fin_before_its_data_waits_for_it() {
    let mut script = Script::new();
    script.feed(FIN_ACK, 5, 0, b"world");
    assert!(!script.connection.peer_finished());
    assert_eq!(script.connection.state(), StateName::Established);
    script.data(0, b"hello");
    assert!(script.connection.peer_finished());
    assert_eq!(script.connection.state(), StateName::CloseWait);
    assert_eq!(script.connection.received(), b"helloworld");
    assert_eq!(script.drain().pop().unwrap().ack, 11);
}

#[test]
fn p100_a_lost_fin_is_repeated() {
    let mut script = Script::new();
    script.connection.finish();
    assert_eq!(script.one().flags, FIN_ACK);
    let (_, seen) = script.until_sent();
    assert_eq!((seen[0].seq, seen[0].flags), (0, FIN_ACK));
}

#[test]
fn p100_queued_data_is_drained_before_the_fin() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.4
    //= type=test
    //# Queue this until all preceding SENDs have been segmentized, then form a FIN segment and send it. In any case, enter
    let mut script = Script::new();
    script.window = 2_000;
    script.ack(0);
    script.send(5_000);
    script.connection.finish();
    assert_eq!(script.connection.send(b"more"), 0, "nothing after finish");
    assert_eq!(script.spans(), [(0, 1_000), (1_000, 1_000)]);
    script.ack(2_000);
    assert_eq!(script.spans(), [(2_000, 1_000), (3_000, 1_000)]);
    script.ack(4_000);
    let last = script.one();
    assert_eq!((last.span(), last.flags.fin()), ((4_000, 1_000), true));
}

#[test]
fn p87_time_wait_absorbs_late_segments_and_ends() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
    //= type=test
    //# When a connection is closed actively, it MUST linger in the TIME-WAIT state for a time 2xMSL (Maximum Segment Lifetime)
    let mut script = Script::new();
    script.connection.finish();
    script.drain();
    script.feed(FIN_ACK, 0, 1, b"");
    script.drain();
    assert_eq!(script.connection.state(), StateName::TimeWait);
    script.wait(30_000);
    // The peer did not get our last acknowledgement.
    script.feed(FIN_ACK, 0, 1, b"");
    assert_eq!(script.one().ack, 1);
    script.feed(TcpFlags::RST, 1, 0, b"");
    assert_eq!(
        script.connection.state(),
        StateName::TimeWait,
        "RFC 1337: a reset does not end it"
    );
    let start = script.now;
    let (waited, seen) = script.until_sent();
    assert_eq!(seen, []);
    assert_eq!(
        waited,
        Duration::from_secs(60),
        "the repeated FIN restarted it at {start:?}"
    );
    assert_eq!(script.connection.closed_by(), Some(CloseReason::Finished));
}

#[test]
fn p87_time_wait_holds_no_memory_once_everything_is_read() {
    let mut script = Script::new();
    let fresh = script.connection.memory_bytes();
    script.send(5_000);
    script.connection.finish();
    script.drain();
    script.feed(FIN_ACK, 0, 5_001, &[7; 900]);
    script.drain();
    assert_eq!(script.connection.state(), StateName::TimeWait);
    assert!(script.connection.memory_bytes() > fresh);
    script.connection.consume(900);
    assert_eq!(script.connection.memory_bytes(), fresh);
    assert!(
        fresh <= limits::CONNECTION_BYTES_MAX,
        "{fresh} bytes for a connection without data"
    );
}

#[test]
fn abort_sends_one_reset() {
    let mut script = Script::new();
    script.send(100);
    script.drain();
    script.connection.abort();
    assert_eq!(script.connection.closed_by(), Some(CloseReason::Aborted));
    let reset = script.one();
    assert_eq!((reset.seq, reset.flags), (100, RST_ACK));
    assert_eq!(script.connection.next_timeout(), None);
    script.connection.abort();
    script.nothing();
}

#[test]
fn p100_an_abort_after_both_finished_sends_no_reset_unless_text_or_our_fin_is_missing() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.5
    //= type=test
    //# Respond with "ok" and delete the TCB, enter CLOSED state, and return.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.5
    //= type=test
    //# <SEQ=SND.NXT><CTL=RST>
    let finished = |state, window, acked| {
        let mut script = Script::new();
        script.window = window;
        script.ack(0);
        script.send(100);
        if state == StateName::LastAck {
            script.feed(FIN_ACK, 0, 0, b"");
        }
        script.connection.finish();
        script.drain();
        if state == StateName::Closing {
            script.feed(FIN_ACK, 0, 0, b"");
            script.drain();
        }
        script.feed(TcpFlags::ACK, 1, acked, b"");
        assert_eq!(script.connection.state(), state);
        script.connection.abort();
        assert_eq!(script.connection.closed_by(), Some(CloseReason::Aborted));
        let flags = |seen: &Seen| seen.flags;
        script.drain().iter().map(flags).collect::<Vec<_>>()
    };
    for state in [StateName::LastAck, StateName::Closing] {
        assert_eq!(finished(state, 60_000, 100), [], "only our FIN is missing");
        assert_eq!(finished(state, 60_000, 99), [RST_ACK], "the tail too");
    }
    assert_eq!(finished(StateName::LastAck, 0, 0), [RST_ACK]);
}

#[test]
fn segments_for_a_closed_connection_are_reset() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
    //= type=test
    //# An incoming segment not containing a RST causes a RST to be sent in response.
    let mut script = Script::new();
    script.connection.abort();
    script.drain();
    script.feed(TcpFlags::ACK, 0, 77, b"late");
    let reset = script.one();
    assert_eq!((reset.seq, reset.flags), (77, TcpFlags::RST));
    script.feed(TcpFlags::RST, 0, 0, b"");
    script.nothing();
}

#[test]
fn p101_data_with_a_fin_then_a_reset_delivers_the_data_once() {
    let mut script = Script::new();
    script.feed(FIN_ACK, 0, 0, b"tail");
    script.feed(TcpFlags::RST, 5, 0, b"");
    assert_eq!(script.connection.received(), b"tail");
    assert!(script.connection.peer_finished());
    assert_eq!(script.connection.closed_by(), Some(CloseReason::PeerReset));
    script.connection.consume(4);
    assert_eq!(script.connection.received(), b"");
}

#[test]
fn p92_a_fin_waits_for_a_closed_window_and_probes_with_itself() {
    let mut script = Script::new();
    script.window = 0;
    script.ack(0);
    script.connection.finish();
    script.nothing();
    let (_, seen) = script.until_sent();
    assert!(seen[0].flags.fin());
    script.ack(1);
    assert_eq!(script.connection.state(), StateName::FinWait2);
}
