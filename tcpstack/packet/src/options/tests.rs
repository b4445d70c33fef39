use super::*;
use proptest::prelude::*;

fn sack(blocks: &[(u32, u32)]) -> SackBlocks {
    let mut sack = SackBlocks::NONE;
    for &(left, right) in blocks {
        assert!(sack.push(SeqNum(left), SeqNum(right)));
    }
    sack
}

fn written(options: &TcpOptions) -> Vec<u8> {
    let mut out = vec![0xee; options.wire_bytes()];
    options.write(&mut out);
    out
}

#[test]
fn a_linux_syn() {
    let options = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps {
            value: 0x0102_0304,
            echo: 0,
        }),
        ..TcpOptions::default()
    };
    let bytes = [
        2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    assert_eq!(written(&options), bytes);
    assert_eq!(TcpOptions::parse(&bytes), options);
}

#[test]
fn a_linux_syn_without_timestamps() {
    let options = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        ..TcpOptions::default()
    };
    assert_eq!(written(&options), [2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]);
}

#[test]
fn p98_four_blocks_without_timestamps_three_with() {
    let mut options = TcpOptions {
        sack: sack(&[(1, 2), (3, 4), (5, 6), (7, 8)]),
        ..TcpOptions::default()
    };
    assert_eq!(options.wire_bytes(), 36);
    assert_eq!(TcpOptions::parse(&written(&options)), options);
    options.timestamps = Some(Timestamps { value: 1, echo: 2 });
    assert_eq!(options.wire_bytes(), 40);
    assert_eq!(
        TcpOptions::parse(&written(&options)).sack,
        sack(&[(1, 2), (3, 4), (5, 6)])
    );
    assert!(!options.sack.push(SeqNum(9), SeqNum(10)));
}

#[test]
fn p83_bad_lengths_are_told_and_never_read_past() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= type=test
    //# TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)
    for bytes in [
        &[2u8][..],
        &[2, 0, 0, 0],
        &[2, 1, 0, 0],
        &[2, 5, 1, 2],
        &[2, 3, 1],
        &[3, 2],
        &[3, 4, 1, 1],
        &[4, 3, 0],
        &[5, 2],
        &[5, 9, 0, 0, 0, 1, 0, 0, 0],
        &[5, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0],
        &[8, 9, 0, 0, 0, 0, 0, 0, 0],
        &[8, 10, 0, 0, 0, 1],
        &[99, 0],
        &[99, 255],
    ] {
        assert!(TcpOptions::parse(bytes).malformed, "{bytes:?}");
    }
}

#[test]
fn p83_a_bad_option_does_not_hide_the_next() {
    let options = TcpOptions::parse(&[3, 4, 9, 9, 2, 4, 5, 0xb4]);
    assert_eq!(
        (options.malformed, options.window_scale, options.mss),
        (true, None, Some(1460))
    );
}

#[test]
fn p83_unaligned_unknown_and_padded() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= type=test
    //# A TCP implementation MUST ignore without error any TCP Option it does not implement, assuming that the option
    let options = TcpOptions::parse(&[
        1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 1, 77, 3, 0, 0, 2, 4, 1, 1,
    ]);
    assert_eq!(
        options,
        TcpOptions {
            timestamps: Some(Timestamps { value: 1, echo: 2 }),
            unknown: true,
            ..TcpOptions::default()
        }
    );
}

#[test]
fn p83_the_same_option_twice_is_told_and_the_last_counts() {
    let options = TcpOptions::parse(&[2, 4, 0, 100, 2, 4, 0, 200]);
    assert_eq!((options.malformed, options.mss), (true, Some(200)));
}

#[test]
fn recognised_only() {
    let mut md5 = vec![1, 1, 19, 18];
    md5.extend([0; 16]);
    assert!(TcpOptions::parse(&md5).signature);
    assert!(TcpOptions::parse(&[29, 4, 1, 2]).signature);
    assert!(TcpOptions::parse(&[30, 4, 0, 0]).mptcp);
    assert!(TcpOptions::parse(&[34, 2, 1, 1]).fast_open);
    let experiment = TcpOptions::parse(&[254, 4, 0xf9, 0x89]);
    assert!(experiment.fast_open && !experiment.unknown);
    assert!(TcpOptions::parse(&[254, 4, 0, 1]).unknown);
}

pub(crate) fn any_options() -> impl Strategy<Value = TcpOptions> {
    (
        proptest::option::of(any::<u16>()),
        proptest::option::of(any::<u8>()),
        any::<bool>(),
        proptest::option::of(any::<(u32, u32)>()),
        proptest::collection::vec(any::<(u32, u32)>(), 0..=SACK_BLOCKS_MAX),
    )
        .prop_map(|(mss, window_scale, sack_permitted, timestamps, blocks)| {
            let mut options = TcpOptions {
                mss,
                window_scale,
                sack_permitted,
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                ..TcpOptions::default()
            };
            for (left, right) in blocks {
                options.sack.push(SeqNum(left), SeqNum(right));
            }
            options
        })
}

/// What `options` are after the last SACK blocks were left out for want of room.
pub(crate) fn as_far_as_they_fit(options: &TcpOptions) -> TcpOptions {
    let mut fitting = TcpOptions {
        sack: SackBlocks::NONE,
        ..*options
    };
    let room = (TCP_OPTIONS_BYTES_MAX - fitting.wire_bytes()).saturating_sub(4) / 8;
    for block in options.sack.iter().take(room) {
        fitting.sack.push(block.left, block.right);
    }
    fitting
}

proptest! {
    #[test]
    fn p83_any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..=TCP_OPTIONS_BYTES_MAX)) {
        let options = TcpOptions::parse(&bytes);
        prop_assert!(options.sack.len() <= SACK_BLOCKS_MAX);
    }

    #[test]
    fn what_is_written_is_read_back(options in any_options()) {
        let bytes = written(&options);
        prop_assert!(bytes.len() <= TCP_OPTIONS_BYTES_MAX);
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert_eq!(TcpOptions::parse(&bytes), as_far_as_they_fit(&options));
    }
}
