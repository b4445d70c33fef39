//! Framing: records, cuts, limits, and what is not TLS.

use proptest::prelude::*;

use super::*;
use crate::client_hello::tests::{Builder, sni};

fn hello() -> Builder {
    Builder::default()
        .with(sni(b"site.example"))
        .with((21, vec![0; 300]))
}

fn whole(bytes: &[u8]) -> HelloProgress {
    ClientHelloReader::new().feed(bytes)
}

/// Fed byte by byte; stops at the end.
fn bytewise(bytes: &[u8]) -> HelloProgress {
    let mut reader = ClientHelloReader::new();
    let mut progress = HelloProgress::NeedMore;
    for byte in bytes {
        progress = reader.feed(std::slice::from_ref(byte));
    }
    progress
}

/// The message in records of at most `bytes`.
fn in_records(message: &[u8], bytes: usize) -> Vec<u8> {
    message
        .chunks(bytes)
        .flat_map(|part| {
            [
                &[22, 3, 1][..],
                &u16::try_from(part.len()).unwrap().to_be_bytes(),
                part,
            ]
            .concat()
        })
        .collect()
}

fn sni_of(progress: HelloProgress) -> Option<String> {
    match progress {
        HelloProgress::Complete(hello) => hello.sni,
        other => panic!("{other:?}"),
    }
}

#[test]
fn t65_a_hello_in_1_byte_segments_is_read() {
    assert_eq!(
        sni_of(bytewise(&hello().record())).as_deref(),
        Some("site.example")
    );
}

#[test]
fn t65_a_hello_in_1_byte_records_is_read() {
    let wire = in_records(&hello().message(), 1);
    assert_eq!(sni_of(whole(&wire)).as_deref(), Some("site.example"));
    assert_eq!(sni_of(bytewise(&wire)).as_deref(), Some("site.example"));
}

#[test]
fn t65_the_sni_in_the_second_segment_is_found() {
    let wire = hello().record();
    let at = wire
        .windows(12)
        .position(|window| window == b"site.example")
        .unwrap();
    let mut reader = ClientHelloReader::new();
    assert_eq!(reader.feed(&wire[..at + 4]), HelloProgress::NeedMore);
    assert_eq!(
        sni_of(reader.feed(&wire[at + 4..])).as_deref(),
        Some("site.example")
    );
}

#[test]
fn t65_a_post_quantum_hello_of_more_than_one_segment_is_read() {
    let wire = hello()
        .with((
            51,
            [&[0x04, 0xc4, 0x11, 0xec, 0x04, 0xc0][..], &[1; 1216]].concat(),
        ))
        .record();
    assert!(wire.len() > 1500);
    let mut reader = ClientHelloReader::new();
    assert_eq!(reader.feed(&wire[..1460]), HelloProgress::NeedMore);
    let HelloProgress::Complete(read) = reader.feed(&wire[1460..]) else {
        panic!("not read")
    };
    assert_eq!(read.key_shares, [0x11ec]);
    assert_eq!(read.bytes, wire.len());
}

#[test]
fn t65_64_kib_are_read_and_not_one_byte_more() {
    let of_size = |bytes: usize| {
        let mut builder = Builder::default().with(sni(b"site.example"));
        let base = builder.message().len() + 4;
        builder = builder.with((21, vec![0; 40_000]));
        let rest = bytes - base - 40_000 - 4;
        builder.with((22, vec![0; rest]))
    };
    // Records of 2^14: the message and five headers.
    let largest = CLIENT_HELLO_BYTES_MAX - 4 * RECORD_HEADER_BYTES;
    let message = of_size(largest).message();
    assert_eq!(message.len(), largest);
    let wire = in_records(&message, RECORD_PLAINTEXT_BYTES_MAX);
    assert_eq!(wire.len(), CLIENT_HELLO_BYTES_MAX);
    assert_eq!(sni_of(whole(&wire)).as_deref(), Some("site.example"));

    let wire = in_records(&of_size(largest + 1).message(), RECORD_PLAINTEXT_BYTES_MAX);
    assert_eq!(whole(&wire), HelloProgress::TooLarge);
    assert_eq!(bytewise(&wire), HelloProgress::TooLarge);
}

#[test]
fn t65_a_claimed_length_over_the_limit_is_refused_at_once() {
    assert_eq!(
        whole(&[22, 3, 1, 0x40, 0, 1, 0x01, 0, 0]),
        HelloProgress::TooLarge
    );
    assert_eq!(
        whole(&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]),
        HelloProgress::TooLarge
    );
}

#[test]
fn t65_tiny_records_count_with_their_headers() {
    let wire = in_records(&hello().with((22, vec![0; 12_000])).message(), 1);
    assert!(wire.len() > CLIENT_HELLO_BYTES_MAX);
    assert_eq!(whole(&wire), HelloProgress::TooLarge);
    assert_eq!(bytewise(&wire), HelloProgress::TooLarge);
}

#[test]
fn t66_a_truncated_hello_waits() {
    let wire = hello().record();
    for end in 0..wire.len() {
        assert_eq!(whole(&wire[..end]), HelloProgress::NeedMore, "{end}");
    }
}

#[test]
fn what_follows_the_hello_is_left_alone() {
    let mut wire = hello().record();
    let bytes = wire.len();
    wire.extend([20, 3, 3, 0, 1, 1]);
    let HelloProgress::Complete(read) = whole(&wire) else {
        panic!("not read")
    };
    assert_eq!(read.bytes, bytes);
    let mut reader = ClientHelloReader::new();
    let first = reader.feed(&wire);
    assert_eq!(reader.feed(b"and more"), first, "the answer stays");
    assert_eq!(reader.memory_bytes(), 0);
}

#[test]
fn t76_what_is_not_tls_is_told_by_the_first_bytes() {
    for first in [
        &b"G"[..],
        b"GET / HTTP/1.1",
        b"SSH-2.0-",
        b"\0",
        b"\xff\xff\xff",
        &[20, 3, 1],
        &[22, 2],
        &[22, 4, 1],
        b"\x16G",
    ] {
        assert_eq!(whole(first), HelloProgress::NotTls, "{first:?}");
    }
}

#[test]
fn t55_an_ssl2_hello_is_denied_by_name() {
    let ssl2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10];
    assert_eq!(whole(&ssl2), HelloProgress::Malformed(HelloError::Ssl2));
    assert_eq!(bytewise(&ssl2), HelloProgress::Malformed(HelloError::Ssl2));
    let compatible = [0x80, 0x2e, 1, 3, 1, 0, 0x15];
    assert_eq!(
        whole(&compatible),
        HelloProgress::Malformed(HelloError::Ssl2)
    );
    for other in [
        [0x80, 0x2e, 2, 0, 2],
        [0x80, 0x2e, 1, 7, 2],
        [0x80, 0x2e, 1, 0, 9],
        [0x80, 0x2e, 1, 3, 9],
    ] {
        assert_eq!(whole(&other), HelloProgress::NotTls, "{other:?}");
    }
}

#[test]
fn broken_framing_is_named() {
    let first = [22, 3, 1, 0, 4, 1, 0, 1, 0];
    for (tail, error) in [
        (
            &[23, 3, 3, 0, 1][..],
            HelloError::Interleaved { content: 23 },
        ),
        (&[22, 9], HelloError::RecordVersion),
        (&[22, 3, 9], HelloError::RecordVersion),
        (&[22, 3, 3, 0, 0], HelloError::EmptyRecord),
        (
            &[22, 3, 3, 0x40, 1],
            HelloError::RecordTooLong { bytes: 0x4001 },
        ),
        (&[22, 3, 3, 1, 1, 0], HelloError::TrailingData),
    ] {
        let wire = [&first[..], tail].concat();
        assert_eq!(whole(&wire), HelloProgress::Malformed(error), "{tail:?}");
        assert_eq!(bytewise(&wire), HelloProgress::Malformed(error), "{tail:?}");
    }
    assert_eq!(
        whole(&[22, 3, 1, 0, 5, 2]),
        HelloProgress::Malformed(HelloError::NotClientHello { message: 2 })
    );
    assert_eq!(
        whole(&[22, 3, 5]),
        HelloProgress::Malformed(HelloError::RecordVersion)
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_cuts_do_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(whole(&bytes), bytewise(&bytes));
    }

    #[test]
    fn arbitrary_bodies_never_panic_and_cuts_do_not_matter(body in prop::collection::vec(any::<u8>(), 0..600), record in 1usize..700) {
        let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
        let wire = in_records(&[&[1, a, b, c][..], &body].concat(), record);
        prop_assert_eq!(whole(&wire), bytewise(&wire));
    }

    #[test]
    fn mutated_hellos_never_panic_and_cuts_do_not_matter(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        record in 1usize..700,
    ) {
        let mut wire = in_records(&hello().with((16, b"\x00\x03\x02h2".to_vec())).message(), record);
        for (index, value) in flips {
            let at = index.index(wire.len());
            wire[at] = value;
        }
        prop_assert_eq!(whole(&wire), bytewise(&wire));
    }

    #[test]
    fn a_hello_is_the_same_in_records_of_any_size(record in 1usize..700, cut in 1usize..700) {
        let wire = in_records(&hello().message(), record);
        let mut reader = ClientHelloReader::new();
        let mut progress = HelloProgress::NeedMore;
        for piece in wire.chunks(cut) {
            prop_assert_eq!(&progress, &HelloProgress::NeedMore);
            progress = reader.feed(piece);
        }
        let sni = sni_of(progress);
        prop_assert_eq!(sni.as_deref(), Some("site.example"));
    }
}
