//! Handshakes cut to pieces, in segments and in records, and data right behind them.

use std::io::Write;
use std::sync::Arc;

use rustls::ClientConnection;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use sluice_telemetry::OriginVerdict;

use super::HOST;
use super::peers::*;
use crate::limits::HANDSHAKE_INPUT_BYTES_MAX;
use crate::testing::{Inbox, NOW, Site, origin_parameters, p256, sessions, shake};
use crate::{Blame, Content, OriginHandshake, TlsContext, TlsErrorKind, VersionRange};

#[test]
fn t65_handshakes_in_pieces_of_any_size_are_the_same() {
    let site = Site::new(HOST, &p256());
    for range in [VersionRange::TLS12, VersionRange::TLS13] {
        for chunk in [1, 2, 3, 7, 100, 1461] {
            let (origin, client) = sessions(&site, range, &[b"h2"], chunk);
            assert_eq!(origin.leg, client.leg, "pieces of {chunk}");
            assert_eq!(origin.verdict, OriginVerdict::Trusted);
        }
    }
}

#[test]
fn t65_handshake_messages_in_many_small_records_are_put_together() {
    let site = Site::new(HOST, &p256());
    for version in [&TLS12, &TLS13] {
        for bytes in [32, 33, 64, 100] {
            let (session, mut server) = with_plain_server(
                &site,
                &aws_lc_rs::default_provider(),
                &[version],
                |config| {
                    config.max_fragment_size = Some(bytes);
                },
            );
            assert_eq!(
                session.verdict,
                OriginVerdict::Trusted,
                "records of {bytes}"
            );
            check_data(session, &mut server);
            let mut config = plain_client_config(&site, &aws_lc_rs::default_provider(), &[version]);
            config.max_fragment_size = Some(bytes);
            let name = ServerName::try_from(HOST).unwrap();
            let mut plain = ClientConnection::new(Arc::new(config), name).unwrap();
            let session = finish_with_client(&site, &mut plain);
            check_client_data(session, &mut plain);
        }
    }
}

#[test]
fn t65_a_client_hello_in_1_byte_records_is_answered() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let hello = hello_of(&site);
    let mut cut: Vec<u8> = hello[5..]
        .iter()
        .flat_map(|&byte| [22, 3, 1, 0, 1, byte])
        .collect();
    for chunk in [1, 5, 7, usize::MAX] {
        let mut handshake = client(&context, &site, None);
        let mut inbox = Inbox {
            wire: cut.clone(),
            ..Inbox::default()
        };
        let mut output = Vec::new();
        while inbox.deliver(chunk) {
            let progress = handshake
                .advance(&mut inbox.input, &mut output, NOW)
                .unwrap();
            inbox.input.drain(..progress.consumed);
        }
        assert!(inbox.input.is_empty());
        assert_eq!(output.first(), Some(&22), "a ServerHello");
    }
    // The same, ended by something that is no handshake record: refused, not crashed on.
    cut.truncate(600);
    cut.extend([23, 3, 3, 0, 1, 0]);
    let error = client(&context, &site, None)
        .advance(&mut cut, &mut Vec::new(), NOW)
        .unwrap_err();
    assert_eq!(error.blame, Blame::Peer);
}

#[test]
fn t65_the_post_quantum_hello_is_larger_than_a_segment_and_agreed_on() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let mut parameters =
        origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
    parameters.post_quantum = true;
    let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
    let mut hello = Vec::new();
    origin.advance(&mut [], &mut hello, NOW).unwrap();
    assert!(hello.len() > 1300, "{}", hello.len());
    let mut reader = crate::ClientHelloReader::new();
    let crate::HelloProgress::Complete(read) = reader.feed(&hello) else {
        panic!("our own hello is not read")
    };
    assert!(read.offers_post_quantum());

    let origin = OriginHandshake::new(&context, &parameters).unwrap();
    let client = client(&context, &site, None);
    let (origin, client) = shake(origin, client, 700).unwrap();
    assert_eq!(origin.leg.group.as_deref(), Some("X25519MLKEM768"));
    assert_eq!(origin.leg, client.leg);
}

#[test]
fn c38_one_message_spread_over_too_many_records_is_refused() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let parameters = origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12);
    let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
    let mut output = Vec::new();
    origin.advance(&mut [], &mut output, NOW).unwrap();
    // A ServerHello of 65,000 bytes that never gets there, a byte at a time.
    let mut input: Vec<u8> = [2, 0, 0xfd, 0xe8]
        .iter()
        .flat_map(|&byte| [22, 3, 3, 0, 1, byte])
        .collect();
    while input.len() < 2 * HANDSHAKE_INPUT_BYTES_MAX {
        input.extend([22, 3, 3, 0, 1, 3]);
    }
    let error = origin.advance(&mut input, &mut output, NOW).unwrap_err();
    assert!(matches!(error.kind, TlsErrorKind::Malformed(_)), "{error}");
}

#[test]
fn data_right_behind_the_servers_finished_is_not_lost() {
    // The server speaks first in the flight that ends the handshake (half-RTT data in TLS 1.3).
    let site = Site::new(HOST, &p256());
    for version in [&TLS13, &TLS12] {
        let mut server = plain_server(
            &site,
            &aws_lc_rs::default_provider(),
            &[version],
            |config| {
                config.send_half_rtt_data = true;
                config.send_tls13_tickets = 4;
            },
        );
        server.writer().write_all(b"* OK ready").unwrap();
        let context = TlsContext::new().unwrap();
        let parameters =
            origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
        let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
        let mut inbox = Inbox::default();
        let done = drive_with_server(&mut origin, &mut server, &mut inbox);
        assert!(done);
        let mut session = origin.finish().unwrap();
        inbox.input.append(&mut inbox.wire);
        assert_eq!(read_all(&mut session, &mut inbox.input), b"* OK ready");
        assert!(inbox.input.is_empty());
    }
}

#[test]
fn data_right_behind_the_clients_finished_is_not_lost() {
    let site = Site::new(HOST, &p256());
    for version in [&TLS13, &TLS12] {
        let context = TlsContext::new().unwrap();
        let mut handshake = client(&context, &site, None);
        let mut plain = plain_client(&site, &aws_lc_rs::default_provider(), &[version]);
        plain.writer().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut input = Vec::new();
        for _ in 0..10 {
            plain.write_tls(&mut input).unwrap();
            let mut output = Vec::new();
            let progress = handshake.advance(&mut input, &mut output, NOW).unwrap();
            input.drain(..progress.consumed);
            plain.read_tls(&mut output.as_slice()).unwrap();
            plain.process_new_packets().unwrap();
            if progress.done {
                break;
            }
        }
        plain.write_tls(&mut input).unwrap();
        let mut session = handshake.finish().unwrap();
        let opened = session.records.open(&mut input).unwrap();
        assert_eq!(
            opened.content,
            Content::Data(b"GET / HTTP/1.1\r\n\r\n".to_vec().as_mut_slice())
        );
    }
}
