//! Segments in any order and of any kind.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// However the handshake's segments are lost, repeated and reordered: when it is found established, both ends agree
    /// with what is recorded.
    #[test]
    fn a_shuffled_handshake_is_recorded_right_or_not_at_all(
        isns: (u32, u32),
        order in proptest::collection::vec(0usize..6, 0..30),
    ) {
        let (isn_o, isn_r) = (SeqNum(isns.0), SeqNum(isns.1));
        let script = [
            o(0, 0, SYN).options(options()),
            r(0, 1, SYN | ACK).options(options()),
            o(1, 1, ACK),
            o(1, 1, ACK).payload(b"hello"),
            o(6, 1, ACK).payload(b"world"),
            r(1, 1, ACK),
        ];
        let first = script[0].frame_of(isn_o, isn_r);
        let mut observer = Observer::open(&read(&first), &first, Side::A, Instant::ZERO).unwrap();
        let (mut answered, mut confirmed) = (false, false);
        for step in order {
            let frame = script[step].frame_of(isn_o, isn_r);
            observer.on_segment(&read(&frame), &frame, side_of(script[step].from), Instant::ZERO);
            answered |= step == 1;
            confirmed |= answered && (2..=4).contains(&step);
        }
        if let Some(recorded) = observer.recorded(&key()) {
            prop_assert!(confirmed);
            for half in [recorded.toward_originator, recorded.toward_responder] {
                prop_assert_eq!((half.send_scale, half.sack, half.peer_mss), (7, true, 1460));
            }
            prop_assert_eq!(recorded.toward_originator.send_next, isn_r + 1);
            prop_assert_eq!(recorded.toward_originator.receive_next, isn_o + 1);
            prop_assert_eq!(recorded.toward_responder.send_next, isn_o + 1);
            prop_assert_eq!(recorded.toward_responder.receive_next, isn_r + 1);
        }
    }

    /// Hostile segments of any kind: no panic, no overflow, and nothing recorded that was not established.
    #[test]
    fn any_segments(segments in proptest::collection::vec(
        (any::<bool>(), any::<bool>(), 0u32..20, 0u32..20, any::<u8>(), any::<u16>(), 0usize..20, any::<Option<(u32, u8)>>()),
        1..40,
    )) {
        let mut observer: Option<Observer> = None;
        for (originator, pass, seq, ack, flags, window, len, extra) in segments {
            let from = if originator { Role::Originator } else { Role::Responder };
            let mut options = TcpOptions::default();
            if let Some((value, scale)) = extra {
                options.timestamps = Some(Timestamps { value, echo: 0 });
                options.window_scale = Some(scale);
            }
            let payload = [0; 20];
            let flags = TcpFlags::from_bits(flags);
            let sent = Sent { from, seq, ack, flags, window, options, payload: &payload[..len] };
            let frame = sent.frame();
            let tcp = read(&frame);
            match &mut observer {
                None => observer = Observer::open(&tcp, &frame, side_of(from), Instant::ZERO).ok(),
                Some(observer) => {
                    let before = observer.is_established();
                    let observation = observer.on_segment(&tcp, &frame, observer.side_of(observer.role_of(&tcp)), Instant::MAX);
                    let now = observer.is_established();
                    prop_assert_eq!(now && !before, observation == Observation::Established);
                    if pass {
                        observer.passed(&tcp);
                    }
                    prop_assert!(observer.recorded(&tcp.key).is_none() || now);
                }
            }
        }
    }
}
