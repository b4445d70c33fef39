//! Resets, the end, and what comes after it.

use super::*;

#[test]
fn resets_count_when_they_hit_the_next_number() {
    // Refused: the answer to the SYN is a reset that acknowledges it.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(
        see(&mut observer, &r(0, 2, RST | ACK)),
        disregarded(Disregard::WrongAcknowledgement)
    );
    assert_eq!(
        see(&mut observer, &r(0, 1, RST)),
        disregarded(Disregard::WrongAcknowledgement)
    );
    assert_eq!(see(&mut observer, &r(0, 1, RST | ACK)), Observation::Reset);
    // Given up before and after the answer.
    let mut observer = open(&o(0, 0, SYN)).unwrap();
    assert_eq!(see(&mut observer, &o(1, 0, RST)), Observation::Reset);
    for reset in [o(1, 0, RST), r(1, 0, RST), r(0, 1, RST | ACK)] {
        let mut observer = open(&o(0, 0, SYN)).unwrap();
        see(&mut observer, &r(0, 1, SYN | ACK));
        assert_eq!(see(&mut observer, &reset), Observation::Reset);
        assert_eq!(observer.recorded(&key()), None);
    }
    // While something is held its sender is ahead of what was forwarded.
    for reset in [o(1, 0, RST), o(11, 0, RST | ACK), r(1, 1, RST | ACK)] {
        let mut observer = established();
        see(&mut observer, &o(1, 1, ACK).payload(b"hello"));
        see(&mut observer, &o(6, 1, ACK).payload(b"world"));
        assert_eq!(
            see(&mut observer, &o(6, 1, RST)),
            disregarded(Disregard::DoubtfulReset)
        );
        assert_eq!(see(&mut observer, &reset), Observation::Reset);
    }
}

fn finished() -> Observer {
    let mut observer = established_with(stamped(options(), 100, 0), stamped(options(), 900, 100));
    assert_eq!(
        see_and_pass(&mut observer, &o(1, 1, ACK | FIN)),
        Observation::Segment
    );
    assert_eq!(see(&mut observer, &r(1, 2, ACK)), Observation::Segment);
    assert_eq!(
        see_and_pass(&mut observer, &r(1, 2, ACK | FIN)),
        Observation::Segment
    );
    assert_eq!(see(&mut observer, &o(2, 2, ACK)), Observation::Finished);
    observer
}

#[test]
fn p87_e113_after_the_end_only_a_newer_syn_opens_anew() {
    let mut observer = finished();
    assert_eq!(observer.recorded(&key()), None);
    // The last FIN comes again, and its acknowledgement.
    assert_eq!(
        see(&mut observer, &r(1, 2, ACK | FIN)),
        Observation::Finished
    );
    assert_eq!(see(&mut observer, &o(2, 2, ACK)), Observation::Finished);
    // Old duplicates open nothing.
    assert_eq!(
        see(
            &mut observer,
            &o(0, 0, SYN).options(stamped(options(), 100, 0))
        ),
        disregarded(Disregard::OutOfWindow)
    );
    assert_eq!(
        see(&mut observer, &o(2, 2, ACK).payload(b"more")),
        irregular(Irregularity::AfterEnd)
    );
    // A later sequence number does, or a later clock.
    assert_eq!(
        see(&mut observer, &o(2, 0, SYN).options(options())),
        Observation::Reopened
    );
    let earlier = o(0x9000_0000, 0, SYN);
    assert_eq!(
        see(&mut observer, &earlier.options(stamped(options(), 101, 0))),
        Observation::Reopened
    );
    assert_eq!(
        see(&mut observer, &earlier),
        disregarded(Disregard::OutOfWindow)
    );
}

#[test]
fn e105_a_connection_that_goes_on_after_a_reset_is_irregular() {
    let mut observer = established();
    assert_eq!(see(&mut observer, &o(1, 1, RST)), Observation::Reset);
    assert_eq!(see(&mut observer, &o(1, 1, RST)), Observation::Reset);
    assert_eq!(
        see(&mut observer, &o(1, 1, ACK).payload(b"hello")),
        irregular(Irregularity::AfterEnd)
    );
    assert_eq!(see(&mut observer, &o(0, 0, SYN)), Observation::Reopened);
}
