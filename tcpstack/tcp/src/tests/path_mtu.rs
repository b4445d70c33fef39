//! What ICMP messages and silence may do to a connection, and what not.

use super::support::{OURS, Script, ours, takeover, with_timestamps};
use crate::{Config, Connection, Opening, StateName, Takeover, limits};

fn lens(spans: &[(i32, usize)]) -> Vec<usize> {
    spans.iter().map(|span| span.1).collect()
}

fn sender(count: usize) -> Script {
    let wide = Takeover {
        peer_mss: 1_460,
        path_mss: 1_460,
        ..takeover()
    };
    let mut script = Script::of(wide, Config::default());
    script.send(count);
    script.drain();
    script
}

#[test]
fn p94_a_narrower_path_is_believed_and_what_was_too_large_is_sent_again_in_pieces_at_once() {
    //= https://www.rfc-editor.org/rfc/rfc1191#section-6.4
    //= type=test
    //# a retransmission caused by a Datagram Too Big message should not change the congestion window.
    let mut script = sender(30_000);
    let before = script.connection.stats().fast_recoveries;
    assert!(
        script
            .connection
            .on_packet_too_big(script.now, ours(2_920), 1_000)
    );
    let again = script.drain();
    assert_eq!(again[0].span(), (0, 1_000));
    assert_eq!(again[1].span(), (1_000, 460));
    assert!(again.iter().all(|seen| seen.payload.len() <= 1_000));
    let sent: usize = again.iter().map(|seen| seen.payload.len()).sum();
    assert!(sent >= 14_000, "the whole window goes again: {sent}");
    assert_eq!(script.connection.stats().fast_recoveries, before);
    script.ack(i32::try_from(sent).unwrap());
    let more: usize = lens(&script.spans()).iter().sum();
    assert!(more > 14_000, "the congestion window grows on: {more}");
    assert_eq!(script.connection.stats().timeouts, 0);
    assert_eq!(script.connection.stats().path_mss_lowered, 1);
}

#[test]
fn p94_a_forged_packet_too_big_is_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc5927#section-4.1
    //= type=test
    //# the TCP sequence number contained in the payload of the ICMP error message is within the range SND.UNA =< SEG.SEQ
    let mut script = sender(20_000);
    script.ack(1_460);
    script.drain();
    let next = 1_460 * 12;
    for quoted in [-1, 0, 1_459, next, next + 1, 1_000_000, i32::MIN] {
        assert!(
            !script
                .connection
                .on_packet_too_big(script.now, ours(quoted), 600),
            "{quoted}"
        );
    }
    // It names a size that the quoted segment has, or one that is no news.
    for path_mss in [1_460, 1_500, 9_000] {
        assert!(
            !script
                .connection
                .on_packet_too_big(script.now, ours(1_460), path_mss)
        );
    }
    script.nothing();
    assert_eq!(script.connection.stats().icmp_ignored, 10);
    assert_eq!(script.connection.stats().path_mss_lowered, 0);
    let mut idle = Script::new();
    assert!(!idle.connection.on_packet_too_big(idle.now, OURS, 600));
}

#[test]
fn p94_nobody_lowers_a_path_below_the_floor_of_ipv4() {
    let mut script = sender(5_000);
    assert!(script.connection.on_packet_too_big(script.now, OURS, 1));
    let floor = usize::from(limits::PATH_MSS_IPV4_BYTES_MIN);
    assert!(
        script
            .spans()
            .iter()
            .all(|span| (100..=floor).contains(&span.1))
    );
    assert!(
        !script.connection.on_packet_too_big(script.now, OURS, 1),
        "what fits was not too big"
    );
    script.nothing();
}

#[test]
fn p94_options_count_against_the_path() {
    let mut script = Script::of(with_timestamps(), Config::default());
    script.send(1_000);
    script.drain();
    assert!(script.connection.on_packet_too_big(script.now, OURS, 999));
    assert_eq!(lens(&script.spans()), [987, 1]);
}

#[test]
fn p94_what_the_peer_holds_is_not_sent_again() {
    let mut script = sender(7_300);
    script.ack_sack(0, &[(1_460, 2_920)]);
    script.drain();
    assert!(
        !script
            .connection
            .on_packet_too_big(script.now, ours(1_460), 1_000),
        "it arrived"
    );
    assert!(script.connection.on_packet_too_big(script.now, OURS, 1_000));
    assert!(!script.spans().contains(&(1_460, 1_000)));
}

#[test]
fn p94_a_real_loss_beside_a_narrower_path_still_reduces_the_window() {
    let mut script = sender(1_460);
    script.wait(50);
    script.ack(1_460);
    script.send(14_600);
    script.drain();
    assert!(
        script
            .connection
            .on_packet_too_big(script.now, ours(1_460), 1_000)
    );
    let again = script.spans();
    script.wait(50);
    assert_eq!(&again[..3], [(1_460, 1_000), (2_460, 460), (2_920, 1_000)]);
    script.ack_sack(1_460, &[(2_460, 8_000)]);
    assert_eq!(script.spans()[0], (1_460, 1_000));
    assert_eq!(script.connection.stats().fast_recoveries, 1);
}

#[test]
fn p94_other_icmp_errors_end_nothing() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
    //= type=test
    //# TCP implementations MUST silently discard any received ICMP Source Quench messages
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
    //= type=test
    //# Since these Unreachable messages indicate soft error conditions, a TCP implementation MUST NOT abort the connection
    let now = Script::new().now;
    let opening = Opening {
        iss: OURS,
        path_mss: 1_460,
        mss_default: 536,
        window_scale: None,
        sack: true,
        ecn: false,
        timestamps: None,
    };
    let opened = Connection::connect(opening, &Config::default(), now);
    for (mut script, state) in [
        (sender(20_000), StateName::Established),
        (Script::around(opened, now), StateName::SynSent),
    ] {
        script.drain();
        let timer = script.connection.next_timeout();
        for _ in 0..100 {
            script.connection.on_soft_error();
        }
        script.nothing();
        assert_eq!(script.connection.state(), state);
        assert_eq!(script.connection.next_timeout(), timer);
        assert_eq!(script.connection.stats().soft_errors, 100);
    }
}

#[test]
fn p94_segments_that_vanish_without_a_word_are_cut() {
    let mut script = sender(1_460);
    let mut sizes = Vec::new();
    for _ in 0..5 {
        let (_, seen) = script.until_sent();
        sizes.push(seen[0].payload.len());
    }
    assert_eq!(
        sizes,
        [1_460, 1_460, 1_024, 512, 512],
        "the third timeout in a row cuts, the fourth once more"
    );
    assert_eq!(script.connection.stats().path_mss_lowered, 2);
    // The path that carries the pieces carries everything until the old size is tried again.
    script.ack(512);
    assert!(lens(&script.spans()).iter().all(|len| *len <= 512));
    script.ack(1_460);
    script.send(4_000);
    assert!(lens(&script.spans()).iter().all(|len| *len <= 512));
    assert!(!script.connection.is_closed());
}

#[test]
fn p94_nothing_cuts_below_what_every_ipv6_path_carries() {
    //= https://www.rfc-editor.org/rfc/rfc8201#section-4
    //= type=test
    //# A node must not reduce its estimate of the Path MTU below the IPv6 minimum link MTU
    let mut script = Script::of(
        Takeover {
            peer_mss: 1_440,
            path_mss: 1_440,
            path_mss_min: limits::PATH_MSS_IPV6_BYTES_MIN,
            ..takeover()
        },
        Config::default(),
    );
    script.send(1_440);
    script.drain();
    let mut sizes = Vec::new();
    for _ in 0..6 {
        let (_, seen) = script.until_sent();
        sizes.push(seen[0].payload.len());
    }
    assert_eq!(sizes, [1_440, 1_440, 1_220, 1_220, 1_220, 1_220]);
    assert_eq!(script.connection.stats().path_mss_lowered, 1);
    let lowered = |script: &mut Script, to| {
        let believed = script.connection.on_packet_too_big(script.now, ours(0), to);
        (believed, script.connection.segment_payload_bytes())
    };
    assert_eq!(lowered(&mut script, 600), (false, 1_220));
}

#[test]
fn p94_what_arrived_whole_after_all_brings_the_size_back() {
    for selectively in [false, true] {
        let mut script = sender(4 * 1_460);
        // All of it arrives, and every acknowledgement is lost.
        for _ in 0..4 {
            script.until_sent();
        }
        assert_eq!(script.connection.stats().path_mss_lowered, 2);
        if selectively {
            script.ack_sack(512, &[(1_460, 4 * 1_460)]);
            assert_eq!(script.spans()[0], (512, 512));
            script.ack(4 * 1_460);
        } else {
            script.ack_sack(4 * 1_460, &[(0, 512)]);
        }
        script.send(2_920);
        assert_eq!(lens(&script.spans())[0], 1_460, "{selectively}");
    }
}

#[test]
fn p94_what_arrived_whole_brings_back_no_more_than_its_size() {
    let mut script = sender(1_460 + 1_000);
    for _ in 0..4 {
        script.until_sent();
    }
    script.ack_sack(512, &[(1_460, 2_460)]);
    script.ack(2_460);
    script.drain();
    script.send(2_920);
    assert_eq!(lens(&script.spans())[0], 1_000);
}

#[test]
fn p94_small_segments_that_vanish_are_not_the_paths_fault() {
    let mut script = sender(400);
    for _ in 0..5 {
        script.until_sent();
    }
    assert_eq!(script.connection.stats().path_mss_lowered, 0);
    script.ack(400);
    script.send(2_920);
    assert_eq!(lens(&script.spans())[0], 1_460);
}

/// Cut to 1 024 bytes after an outage that is over, with text to send. What is sent next has number 60 000.
fn after_an_outage() -> Script {
    let mut script = sender(1_460);
    for _ in 0..3 {
        script.until_sent();
    }
    assert_eq!(script.connection.stats().path_mss_lowered, 1);
    script.send(60_000 - 1_460);
    let mut end = 1_460;
    while end < 60_000 {
        script.wait(50);
        script.ack(end);
        let spans = script.spans();
        assert!(spans.iter().all(|span| span.1 <= 1_024), "{spans:?}");
        end = behind(&spans);
    }
    script.wait(50);
    script.ack(60_000);
    script.wait(limits::SIZE_PROBE_START_MS);
    script.send(60_000);
    script
}

fn behind(spans: &[(i32, usize)]) -> i32 {
    let (seq, len) = spans.last().copied().unwrap();
    seq + i32::try_from(len).unwrap()
}

#[test]
fn p94_a_size_that_was_given_up_is_tried_again_and_kept_if_it_arrives() {
    let mut script = after_an_outage();
    let spans = script.spans();
    assert_eq!(spans[0], (60_000, 1_460), "one tries the old size");
    assert!(spans[1..].iter().all(|span| span.1 <= 1_024), "{spans:?}");
    script.wait(50);
    script.ack(61_460);
    assert_eq!(lens(&script.spans())[0], 1_460, "it arrived");
}

#[test]
fn p94_a_try_that_is_lost_is_repeated_in_pieces_and_costs_no_window() {
    let mut script = after_an_outage();
    let spans = script.spans();
    assert_eq!(spans[0], (60_000, 1_460));
    script.wait(50);
    script.ack_sack(60_000, &[(61_460, behind(&spans))]);
    let again = script.spans();
    assert_eq!(&again[..2], [(60_000, 1_024), (61_024, 436)]);
    assert_eq!(script.connection.stats().fast_recoveries, 0);
    script.wait(50);
    script.ack(behind(&again));
    let more = lens(&script.spans());
    assert!(more.len() >= spans.len(), "the window stays: {more:?}");
    assert!(
        more.iter().all(|len| *len <= 1_024),
        "not before the next turn"
    );
}

#[test]
fn p94_a_closed_window_is_no_black_hole() {
    let mut script = sender(2_920);
    script.window = 0;
    for _ in 0..6 {
        script.until_sent();
        script.ack(0);
    }
    assert_eq!(script.connection.stats().path_mss_lowered, 0);
}
