//! The record layer: data both ways, what ends it, what is put up with and what is not.

use proptest::prelude::*;
use sluice_telemetry::TlsVersion;

use super::*;
use crate::testing::{Site, p256, sessions};
use crate::{ClientSession, OriginSession, VersionRange};

const RANGES: [VersionRange; 2] = [VersionRange::TLS12, VersionRange::TLS13];

/// The record layers of both ends of one leg: ours as the client, ours as the server.
fn pair(range: VersionRange) -> (Records, Records) {
    let site = Site::new("site.example", &p256());
    let (
        OriginSession {
            records: client, ..
        },
        ClientSession {
            records: server, ..
        },
    ) = sessions(&site, range, &[], usize::MAX);
    (client, server)
}

fn sealed(records: &mut Records, plaintext: &[u8]) -> Vec<u8> {
    let mut out = vec![0; records.sealed_len(plaintext.len())];
    let written = records.seal(plaintext, &mut out).unwrap();
    out.truncate(written);
    out
}

/// A record of any content type, as only a misbehaving peer would seal it.
fn sealed_as(records: &mut Records, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![0; content.len() + RECORD_OVERHEAD_BYTES];
    let written = records.seal_record(kind, content, &mut out).unwrap();
    out.truncate(written);
    out
}

const RECORD_OVERHEAD_BYTES: usize = 64;

/// Opens all of `input`: the data, and what ended it.
fn opened(
    records: &mut Records,
    input: &mut [u8],
) -> Result<(Vec<u8>, Option<String>), RecordError> {
    let (mut data, mut rest) = (Vec::new(), input);
    loop {
        let Opened { consumed, content } = records.open(rest)?;
        let end = match content {
            Content::Data(bytes) => {
                data.extend_from_slice(bytes);
                None
            }
            Content::Handled => None,
            Content::NeedMore => return Ok((data, None)),
            other => Some(other.to_string()),
        };
        if end.is_some() {
            return Ok((data, end));
        }
        rest = &mut rest[consumed..];
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1])
        .collect()
}

#[test]
fn a_mebibyte_goes_both_ways() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        let data = pattern(1 << 20);
        let mut up = sealed(&mut client, &data);
        assert_eq!(up.len(), client.sealed_len(data.len()));
        assert_eq!(opened(&mut server, &mut up).unwrap(), (data.clone(), None));
        let mut down = sealed(&mut server, &data);
        assert_eq!(opened(&mut client, &mut down).unwrap(), (data, None));
    }
}

#[test]
fn records_are_opened_only_when_whole_and_in_place() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        let mut wire = sealed(&mut client, b"hello");
        for end in 0..wire.len() {
            let part = server.open(&mut wire[..end]).unwrap();
            assert_eq!(
                part,
                Opened {
                    consumed: 0,
                    content: Content::NeedMore
                }
            );
        }
        let start = wire.as_ptr_range().start;
        let length = wire.len();
        let whole = server.open(&mut wire).unwrap();
        assert_eq!(whole.consumed, length);
        let Content::Data(data) = whole.content else {
            panic!("no data")
        };
        assert_eq!(data, b"hello");
        assert!(data.as_ptr() > start, "decrypted where it lay");
    }
}

#[test]
fn sealing_needs_the_room_it_says_it_needs() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        for bytes in [0, 1, 100, 16_384, 16_385, 40_000] {
            let data = pattern(bytes);
            let needed = client.sealed_len(bytes);
            if needed > 0 {
                let mut short = vec![0; needed - 1];
                assert_eq!(
                    client.seal(&data, &mut short),
                    Err(RecordError::OutputTooSmall)
                );
            }
            let mut wire = sealed(&mut client, &data);
            assert_eq!(wire.len(), needed);
            assert_eq!(opened(&mut server, &mut wire).unwrap().0, data);
        }
    }
}

#[test]
fn t73_close_notify_is_distinct_from_truncation() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        let mut wire = sealed(&mut client, b"last words");
        assert_eq!(
            opened(&mut server, &mut wire).unwrap(),
            (b"last words".to_vec(), None)
        );
        assert!(
            !server.peer_closed(),
            "a stream that just stops is not closed"
        );
        let mut close = [0; REPLY_BYTES_MAX];
        let written = client.close_notify(&mut close);
        assert!(written > 0);
        assert_eq!(
            opened(&mut server, &mut close[..written]).unwrap(),
            (vec![], Some("close_notify".into()))
        );
        assert!(server.peer_closed());
        // What follows is discarded, and the other direction lives on.
        let mut late = *b"whatever comes";
        assert_eq!(
            server.open(&mut late).unwrap(),
            Opened {
                consumed: 14,
                content: Content::CloseNotify
            }
        );
        let mut answer = sealed(&mut server, b"still here");
        assert_eq!(opened(&mut client, &mut answer).unwrap().0, b"still here");
    }
}

#[test]
fn t74_a_fatal_alert_is_told_with_its_number() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        let mut out = [0; REPLY_BYTES_MAX];
        let written = client.fatal_alert(48, &mut out);
        assert_eq!(
            server.open(&mut out[..written]).unwrap().content,
            Content::Alert(48)
        );
        assert!(!server.peer_closed());
    }
}

#[test]
fn alerts_need_room() {
    let (mut client, _) = pair(VersionRange::TLS13);
    assert_eq!(client.close_notify(&mut [0; REPLY_BYTES_MAX - 1]), 0);
}

#[test]
fn a_changed_byte_anywhere_is_refused_for_good() {
    for range in RANGES {
        let (mut client, _) = pair(range);
        let length = sealed(&mut client, b"hello").len();
        for index in 0..length {
            let (mut client, mut server) = pair_cached(range);
            let mut wire = sealed(&mut client, b"hello");
            wire[index] ^= 0x01;
            wire.extend([0; 20_000]);
            let error = server.open(&mut wire).expect_err(&format!("byte {index}"));
            assert!(error.alert().is_some());
            assert_eq!(server.open(&mut wire), Err(error), "an error is final");
        }
    }
}

/// As [`pair`], with one site for all calls: only the handshake is paid for.
fn pair_cached(range: VersionRange) -> (Records, Records) {
    use std::cell::OnceCell;
    thread_local! { static SITE: OnceCell<Site> = const { OnceCell::new() }; }
    SITE.with(|site| {
        let site = site.get_or_init(|| Site::new("site.example", &p256()));
        let (origin, client) = sessions(site, range, &[], usize::MAX);
        (origin.records, client.records)
    })
}

#[test]
fn replayed_reordered_and_reflected_records_are_refused() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        let first = sealed(&mut client, b"first");
        let second = sealed(&mut client, b"second");
        assert_eq!(
            server.open(&mut second.clone()),
            Err(RecordError::NotAuthentic)
        );
        let (mut client, mut server) = pair(range);
        let mut record = sealed(&mut client, b"once");
        let mut again = record.clone();
        let mut back = record.clone();
        server.open(&mut record).unwrap();
        assert_eq!(server.open(&mut again), Err(RecordError::NotAuthentic));
        assert_eq!(client.open(&mut back), Err(RecordError::NotAuthentic));
        drop(first);
    }
}

#[test]
fn t70_key_updates_both_ways_with_and_without_a_request() {
    let (mut client, mut server) = pair(VersionRange::TLS13);
    for round in 0..5 {
        // The client updates and asks the server to do the same.
        let mut wire = sealed_as(&mut client, HANDSHAKE, &[24, 0, 0, 1, 1]);
        client.send = Cipher::new(client.rekey.next_send().unwrap(), TlsVersion::Tls13).unwrap();
        wire.extend(sealed(&mut client, b"after"));
        assert_eq!(
            opened(&mut server, &mut wire).unwrap().0,
            b"after",
            "round {round}"
        );
        // The server's answer goes before its next data, whoever fetches it.
        let mut wire = if round % 2 == 0 {
            server.pending_reply().unwrap().to_vec()
        } else {
            Vec::new()
        };
        wire.extend(sealed(&mut server, b"answer"));
        assert!(server.pending_reply().is_none());
        assert_eq!(
            opened(&mut client, &mut wire).unwrap().0,
            b"answer",
            "round {round}"
        );
        assert!(client.pending_reply().is_none(), "an answer asks for none");
    }
}

#[test]
fn t70_a_worn_out_key_is_updated_before_it_is_used_up() {
    let (mut client, mut server) = pair(VersionRange::TLS13);
    client.send.wear_out();
    server.receive.wear_out();
    let needed = client.sealed_len(10);
    let mut wire = sealed(&mut client, &pattern(10));
    assert_eq!(wire.len(), needed);
    assert!(wire.len() > 10 + 22, "a key update goes first");
    assert_eq!(opened(&mut server, &mut wire).unwrap().0, pattern(10));
    let mut wire = sealed(&mut client, &pattern(10));
    assert_eq!(wire.len(), 10 + 22);
    assert_eq!(opened(&mut server, &mut wire).unwrap().0, pattern(10));
}

#[test]
fn tls12_keys_used_up_end_the_data_and_leave_one_alert() {
    let (mut client, mut server) = pair(VersionRange::TLS12);
    client.send.wear_out();
    server.receive.wear_out();
    let mut out = [0; 100];
    assert_eq!(client.seal(b"more", &mut out), Err(RecordError::Exhausted));
    let written = client.close_notify(&mut out);
    assert_eq!(
        server.open(&mut out[..written]).unwrap().content,
        Content::CloseNotify
    );
    assert_eq!(
        client.close_notify(&mut out),
        0,
        "nothing is ever sealed twice under one nonce"
    );
}

#[test]
fn t70_malformed_key_updates_are_refused() {
    for (message, error) in [
        (&[24, 0, 0, 1, 2][..], RecordError::Malformed),
        (&[24, 0, 0, 2, 0, 0], RecordError::Malformed),
        (&[24, 0, 0, 0], RecordError::Malformed),
        (&[24, 0, 0, 1, 0, 24, 0, 0, 1, 0], RecordError::Interleaved),
        (&[24, 0, 0, 1, 0, 4], RecordError::Interleaved),
        (
            &[1, 0, 0, 1, 0],
            RecordError::UnexpectedMessage { message: 1 },
        ),
        (
            &[13, 0, 0, 1, 0],
            RecordError::UnexpectedMessage { message: 13 },
        ),
        (&[], RecordError::Malformed),
    ] {
        let (mut client, mut server) = pair_cached(VersionRange::TLS13);
        let mut wire = sealed_as(&mut client, HANDSHAKE, message);
        assert_eq!(server.open(&mut wire), Err(error), "{message:?}");
    }
}

#[test]
fn t70_a_key_update_in_pieces_is_put_together_and_never_interrupted() {
    let (mut client, mut server) = pair(VersionRange::TLS13);
    for byte in [24, 0, 0, 1] {
        let mut wire = sealed_as(&mut client, HANDSHAKE, &[byte]);
        assert_eq!(server.open(&mut wire).unwrap().content, Content::Handled);
    }
    let mut last = sealed_as(&mut client, HANDSHAKE, &[1]);
    assert_eq!(server.open(&mut last).unwrap().content, Content::Handled);
    assert!(server.pending_reply().is_some());

    let (mut client, mut server) = pair(VersionRange::TLS13);
    let mut piece = sealed_as(&mut client, HANDSHAKE, &[24, 0]);
    server.open(&mut piece).unwrap();
    let mut data = sealed(&mut client, b"data");
    assert_eq!(server.open(&mut data), Err(RecordError::Interleaved));
}

#[test]
fn tickets_are_skipped_by_clients_and_refused_by_servers() {
    let mut ticket = vec![4, 0, 1, 0];
    ticket.extend([7; 256]);
    let (mut client, mut server) = pair(VersionRange::TLS13);
    let mut wire = sealed_as(
        &mut server,
        HANDSHAKE,
        &[ticket.clone(), ticket.clone()].concat(),
    );
    wire.extend(sealed_as(&mut server, HANDSHAKE, &ticket[..100]));
    wire.extend(sealed_as(&mut server, HANDSHAKE, &ticket[100..]));
    wire.extend(sealed(&mut server, b"data"));
    assert_eq!(
        opened(&mut client, &mut wire).unwrap(),
        (b"data".to_vec(), None)
    );
    let mut wire = sealed_as(&mut client, HANDSHAKE, &ticket);
    assert_eq!(
        server.open(&mut wire),
        Err(RecordError::UnexpectedMessage { message: 4 })
    );
}

#[test]
fn t62_renegotiation_is_refused_and_the_session_goes_on() {
    let (mut client, mut server) = pair(VersionRange::TLS12);
    // The origin asks with a HelloRequest.
    let mut wire = sealed_as(&mut server, HANDSHAKE, &[0, 0, 0, 0]);
    assert_eq!(client.open(&mut wire).unwrap().content, Content::Handled);
    let mut refusal = client.pending_reply().unwrap().to_vec();
    assert_eq!(
        server.open(&mut refusal).unwrap().content,
        Content::Handled,
        "no_renegotiation is a warning"
    );
    // The client asks with a ClientHello.
    let mut hello = vec![1, 0, 0, 40];
    hello.extend([3; 40]);
    let mut wire = sealed_as(&mut client, HANDSHAKE, &hello);
    assert_eq!(server.open(&mut wire).unwrap().content, Content::Handled);
    let needed = server.sealed_len(4);
    let mut answer = sealed(&mut server, b"data");
    assert_eq!(answer.len(), needed);
    assert_eq!(opened(&mut client, &mut answer).unwrap().0, b"data");
    assert!(server.pending_reply().is_none());
}

#[test]
fn t62_asking_again_and_again_ends_it() {
    let (mut client, mut server) = pair(VersionRange::TLS12);
    let mut outcome = Ok(());
    for _ in 0..=CONTROL_MESSAGES_IN_A_ROW_MAX {
        let mut wire = sealed_as(&mut server, HANDSHAKE, &[0, 0, 0, 0]);
        outcome = client.open(&mut wire).map(|_| ());
    }
    assert_eq!(outcome, Err(RecordError::TooManyWithoutData));
}

#[test]
fn empty_records_and_key_updates_in_a_row_are_bounded() {
    for range in RANGES {
        let (mut client, mut server) = pair(range);
        for _ in 0..EMPTY_RECORDS_IN_A_ROW_MAX {
            let mut wire = sealed_as(&mut client, APPLICATION_DATA, &[]);
            assert_eq!(server.open(&mut wire).unwrap().content, Content::Handled);
        }
        let mut data = sealed(&mut client, b"x");
        assert_eq!(
            opened(&mut server, &mut data).unwrap().0,
            b"x",
            "data begins the count again"
        );
        let mut outcome = Ok(());
        for _ in 0..=EMPTY_RECORDS_IN_A_ROW_MAX {
            let mut wire = sealed_as(&mut client, APPLICATION_DATA, &[]);
            outcome = server.open(&mut wire).map(|_| ());
        }
        assert_eq!(outcome, Err(RecordError::TooManyWithoutData));
    }
}

#[test]
fn record_sizes_are_held_to_the_limits() {
    for (range, longest) in [
        (VersionRange::TLS12, TLS12_CIPHERTEXT_BYTES_MAX),
        (VersionRange::TLS13, TLS13_CIPHERTEXT_BYTES_MAX),
    ] {
        let (_, mut server) = pair(range);
        let header = |bytes: usize| {
            let [high, low] = u16::try_from(bytes).unwrap().to_be_bytes();
            [23, 3, 3, high, low]
        };
        assert_eq!(
            server.open(&mut header(longest)).unwrap().content,
            Content::NeedMore
        );
        assert_eq!(
            server.open(&mut header(longest + 1)),
            Err(RecordError::TooLong { bytes: longest + 1 })
        );
        // Authentic, and more plaintext than 2^14.
        let (mut client, mut server) = pair(range);
        let mut wire = sealed_as(
            &mut client,
            APPLICATION_DATA,
            &[1; RECORD_PLAINTEXT_BYTES_MAX + 1],
        );
        assert_eq!(
            server.open(&mut wire),
            Err(RecordError::TooLong {
                bytes: RECORD_PLAINTEXT_BYTES_MAX + 1
            })
        );
    }
}

#[test]
fn t64_headers_that_do_not_belong_are_refused_before_their_body_comes() {
    for (range, header, error) in [
        (
            VersionRange::TLS13,
            [20, 3, 3, 0, 1],
            RecordError::UnexpectedRecord { content: 20 },
        ),
        (
            VersionRange::TLS13,
            [21, 3, 3, 0, 2],
            RecordError::UnexpectedRecord { content: 21 },
        ),
        (
            VersionRange::TLS13,
            [22, 3, 3, 0, 2],
            RecordError::UnexpectedRecord { content: 22 },
        ),
        (
            VersionRange::TLS13,
            [24, 3, 3, 0, 2],
            RecordError::UnexpectedRecord { content: 24 },
        ),
        (
            VersionRange::TLS12,
            [20, 3, 3, 0, 1],
            RecordError::UnexpectedRecord { content: 20 },
        ),
        (
            VersionRange::TLS12,
            [24, 3, 3, 0, 3],
            RecordError::UnexpectedRecord { content: 24 },
        ),
        (
            VersionRange::TLS13,
            [23, 3, 1, 0, 30],
            RecordError::Version { major: 3, minor: 1 },
        ),
        (
            VersionRange::TLS12,
            *b"HTTP/",
            RecordError::UnexpectedRecord { content: b'H' },
        ),
    ] {
        let (_, mut server) = pair_cached(range);
        assert_eq!(server.open(&mut header.clone()), Err(error));
    }
}

#[test]
fn tls13_padding_is_taken_off_and_nothing_but_padding_refused() {
    let (mut client, mut server) = pair(VersionRange::TLS13);
    let mut padded = b"data".to_vec();
    padded.push(APPLICATION_DATA);
    padded.extend([0; 100]);
    // Content type 0 makes the sealer's own type byte one more byte of padding.
    let mut wire = sealed_as(&mut client, 0, &padded);
    assert_eq!(opened(&mut server, &mut wire).unwrap().0, b"data");
    let mut wire = sealed_as(&mut client, 0, &[0; 50]);
    assert_eq!(server.open(&mut wire), Err(RecordError::NoContentType));
}

#[test]
fn warnings_of_tls12_are_put_up_with_and_bounded() {
    let (mut client, mut server) = pair(VersionRange::TLS12);
    let mut wire = sealed_as(&mut client, ALERT, &[1, 112]);
    assert_eq!(server.open(&mut wire).unwrap().content, Content::Handled);
    let mut wire = sealed_as(&mut client, ALERT, &[1]);
    assert_eq!(server.open(&mut wire), Err(RecordError::Malformed));
    // In TLS 1.3 the level means nothing.
    let (mut client, mut server) = pair(VersionRange::TLS13);
    let mut wire = sealed_as(&mut client, ALERT, &[1, 90]);
    assert_eq!(
        server.open(&mut wire).unwrap().content,
        Content::Handled,
        "user_canceled"
    );
    let mut wire = sealed_as(&mut client, ALERT, &[1, 112]);
    assert_eq!(server.open(&mut wire).unwrap().content, Content::Alert(112));
}

#[test]
fn memory_is_told() {
    let (client, server) = pair(VersionRange::TLS13);
    assert!(client.memory_bytes() > size_of::<Records>());
    let (tls12, _) = pair(VersionRange::TLS12);
    assert!(
        tls12.memory_bytes() < server.memory_bytes(),
        "TLS 1.2 keeps nothing of the handshake"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_never_panic_and_never_yield_data(bytes in prop::collection::vec(any::<u8>(), 0..2000), tls13: bool) {
        let (_, mut server) = pair_cached(RANGES[usize::from(tls13)]);
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() { *first = 23; }
        let opened = server.open(&mut bytes);
        let nothing = Opened { consumed: 0, content: Content::NeedMore };
        prop_assert!(opened.is_err() || opened == Ok(nothing));
    }

    #[test]
    fn any_cut_gives_the_same_data(sizes in prop::collection::vec(0usize..5000, 1..8), cut in 1usize..3000, tls13: bool) {
        let (mut client, mut server) = pair_cached(RANGES[usize::from(tls13)]);
        let (mut wire, mut sent) = (Vec::new(), Vec::new());
        for size in sizes {
            let data = pattern(size);
            wire.extend(sealed(&mut client, &data));
            sent.extend(data);
        }
        let (mut input, mut received) = (Vec::new(), Vec::new());
        for piece in wire.chunks(cut) {
            input.extend_from_slice(piece);
            loop {
                let Opened { consumed, content } = server.open(&mut input).unwrap();
                match content {
                    Content::Data(data) => received.extend_from_slice(data),
                    Content::NeedMore => break,
                    other => panic!("{other}"),
                }
                input.drain(..consumed);
            }
        }
        prop_assert_eq!(received, sent);
        prop_assert!(input.is_empty());
    }
}
