//! Both handshakes: against each other, against plain rustls, cut to pieces, and failing.

use std::io::Write;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};
use sluice_telemetry::{OriginVerdict, TlsVersion};

use crate::limits::HANDSHAKE_INPUT_BYTES_MAX;
use crate::testing::{
    Authority, Inbox, NOW, Site, leaf_params, origin_parameters, p256, rsa_2048, sessions, shake,
};
use crate::{
    Blame, ClientHandshake, ClientParameters, Content, OriginHandshake, ServerIdentity, TlsContext,
    TlsErrorKind, VersionRange,
};

mod openssl;
mod peers;

use self::peers::*;

const HOST: &str = "site.example";

fn p384() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()
}

fn ed25519() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

#[test]
fn both_versions_with_every_kind_of_key() {
    for (kind, key, tls12_suite) in [
        ("RSA", rsa_2048(), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("P-256", p256(), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ("P-384", p384(), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (
            "Ed25519",
            ed25519(),
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
    ] {
        let site = Site::new(HOST, &key);
        for (range, version, suite) in [
            (VersionRange::TLS12, TlsVersion::Tls12, tls12_suite),
            (
                VersionRange::TLS13,
                TlsVersion::Tls13,
                "TLS_AES_128_GCM_SHA256",
            ),
        ] {
            let (origin, client) = sessions(&site, range, &[b"h2", b"http/1.1"], usize::MAX);
            assert_eq!(origin.leg, client.leg, "{kind}");
            assert_eq!(origin.leg.version, version, "{kind}");
            assert_eq!(origin.leg.cipher_suite, suite, "{kind}");
            assert_eq!(origin.leg.group.as_deref(), Some("x25519"), "{kind}");
            assert_eq!(origin.leg.alpn.as_deref(), Some("h2"), "{kind}");
            assert_eq!(origin.verdict, OriginVerdict::Trusted, "{kind}");
            assert_eq!(origin.certificate_chain, site.chain, "{kind}");
            assert!(!origin.client_certificate_requested, "{kind}");
        }
    }
}

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
fn t72_the_client_gets_the_protocol_the_origin_chose_or_none() {
    let site = Site::new(HOST, &p256());
    let (origin, client) = sessions(
        &site,
        VersionRange::TLS13,
        &[b"http/1.1", b"h2"],
        usize::MAX,
    );
    assert_eq!(
        (origin.leg.alpn.as_deref(), client.leg.alpn.as_deref()),
        (Some("http/1.1"), Some("http/1.1"))
    );
    let (origin, client) = sessions(&site, VersionRange::TLS13, &[], usize::MAX);
    assert_eq!((origin.leg.alpn, client.leg.alpn), (None, None));
}

#[test]
fn t56_each_suite_alone_works_on_both_legs() {
    let suites = aws_lc_rs::ALL_CIPHER_SUITES;
    for (key, fits) in [(p256(), "ECDSA"), (rsa_2048(), "RSA")] {
        let site = Site::new(HOST, &key);
        for &suite in suites {
            let name = format!("{:?}", suite.suite());
            if name.contains("ECDHE") && !name.contains(&format!("_{fits}_")) {
                continue;
            }
            let provider = rustls::crypto::CryptoProvider {
                cipher_suites: vec![suite],
                ..aws_lc_rs::default_provider()
            };
            let version: &[&SupportedProtocolVersion] = if name.contains("TLS13") {
                &[&TLS13]
            } else {
                &[&TLS12]
            };
            let (session, mut server) = with_plain_server(&site, &provider, version, |_| {});
            check_data(session, &mut server);
            let (session, mut client) = with_plain_client(&site, &provider, version);
            check_client_data(session, &mut client);
        }
    }
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

#[test]
fn t71_a_request_for_a_client_certificate_is_noted_and_answered_with_none() {
    let site = Site::new(HOST, &p256());
    let authority = Authority::root("clients");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    for (required, version) in [
        (false, &TLS13),
        (false, &TLS12),
        (true, &TLS13),
        (true, &TLS12),
    ] {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots.clone()),
            Arc::clone(&provider),
        );
        let verifier = if required {
            verifier
        } else {
            verifier.allow_unauthenticated()
        }
        .build()
        .unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(site.key_pkcs8.clone()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(site.chain.clone(), key)
            .unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let context = TlsContext::new().unwrap();
        let parameters =
            origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
        let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
        let mut inbox = Inbox::default();
        let (mut done, mut refused) = (false, None);
        for _ in 0..10 {
            let mut output = Vec::new();
            inbox.deliver(usize::MAX);
            match origin.advance(&mut inbox.input, &mut output, NOW) {
                Ok(progress) => {
                    inbox.input.drain(..progress.consumed);
                    done = progress.done;
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
            server.read_tls(&mut output.as_slice()).unwrap();
            let _refusal_comes_as_an_alert = server.process_new_packets();
            server.write_tls(&mut inbox.wire).unwrap();
            if done {
                break;
            }
        }
        assert!(origin.client_certificate_requested());
        assert_eq!(origin.verdict(), Some(OriginVerdict::Trusted));
        match (required, version.version == TLS13.version) {
            (false, _) => assert!(done && origin.finish().unwrap().client_certificate_requested),
            // TLS 1.3: our end is done before the origin can refuse; its alert comes in the first record.
            (true, true) => {
                let mut session = origin.finish().unwrap();
                inbox.deliver(usize::MAX);
                assert_eq!(
                    session.records.open(&mut inbox.input).unwrap().content,
                    Content::Alert(116)
                );
            }
            (true, false) => {
                let error = refused.unwrap();
                assert_eq!(error.blame, Blame::Peer);
                assert!(
                    matches!(error.kind, TlsErrorKind::AlertReceived { .. }),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn c02_to_c09_a_failed_verdict_is_noted_and_the_handshake_goes_on() {
    let site = Site::new("other.example", &p256());
    for range in [VersionRange::TLS12, VersionRange::TLS13] {
        let (origin, _) = sessions(&site, range, &[], usize::MAX);
        assert_eq!(origin.verdict, OriginVerdict::NameMismatch);
    }
    let stranger = Authority::root("stranger");
    let site = Site {
        trust: stranger.trust(),
        ..Site::new(HOST, &p256())
    };
    for range in [VersionRange::TLS12, VersionRange::TLS13] {
        let (origin, _) = sessions(&site, range, &[], usize::MAX);
        assert_eq!(origin.verdict, OriginVerdict::UnknownIssuer);
    }
}

#[test]
fn c14_without_sni_the_address_is_verified_and_no_name_is_sent() {
    for (san, expected) in [
        ("192.0.2.1", OriginVerdict::Trusted),
        (HOST, OriginVerdict::NameMismatch),
    ] {
        let site = Site::new(san, &p256());
        let context = TlsContext::new().unwrap();
        let parameters = origin_parameters(None, &[], &site.trust, VersionRange::TLS12_AND_13);
        let mut probe = OriginHandshake::new(&context, &parameters).unwrap();
        let mut hello = Vec::new();
        probe.advance(&mut [], &mut hello, NOW).unwrap();
        let crate::HelloProgress::Complete(read) = crate::ClientHelloReader::new().feed(&hello)
        else {
            panic!("our own hello is not read")
        };
        assert_eq!(read.sni, None);
        let origin = OriginHandshake::new(&context, &parameters).unwrap();
        let (origin, _) = shake(origin, client(&context, &site, None), usize::MAX).unwrap();
        assert_eq!(origin.verdict, expected);
    }
}

#[test]
fn c15_a_server_name_that_is_none_is_our_own_fault() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    for name in ["", ".", "a..b", "with space", "nul\0nul", &"a".repeat(300)] {
        let parameters =
            origin_parameters(Some(name), &[], &site.trust, VersionRange::TLS12_AND_13);
        let error = OriginHandshake::new(&context, &parameters).unwrap_err();
        assert_eq!(error.blame, Blame::Ours);
        assert_eq!(error.kind, TlsErrorKind::ServerName(name.to_owned()));
    }
}

#[test]
fn t58_a_signature_of_another_key_ends_the_handshake_whatever_policy_says() {
    // The right certificate with the wrong key: what someone on the path without the origin's key could send.
    let site = Site::new(HOST, &p256());
    let other = p256();
    let key = rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::Pkcs8(
        PrivatePkcs8KeyDer::from(other.serialize_der()),
    ))
    .unwrap();
    let forged = Arc::new(rustls::sign::SingleCertAndKey::from(
        rustls::sign::CertifiedKey::new(site.chain.clone(), key),
    ));
    for version in [&TLS12, &TLS13] {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::<rustls::sign::SingleCertAndKey>::clone(&forged));
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let context = TlsContext::new().unwrap();
        let parameters =
            origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
        let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
        let (mut input, mut output) = (Vec::new(), Vec::new());
        origin.advance(&mut input, &mut output, NOW).unwrap();
        server.read_tls(&mut output.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        server.write_tls(&mut input).unwrap();
        output.clear();
        let error = origin.advance(&mut input, &mut output, NOW).unwrap_err();
        assert_eq!(error.blame, Blame::Peer);
        assert!(
            matches!(error.kind, TlsErrorKind::HandshakeSignature(_)),
            "{error}"
        );
        assert_eq!(origin.verdict(), Some(OriginVerdict::Trusted));
        assert!(!output.is_empty(), "the origin is told");
        server.read_tls(&mut output.as_slice()).unwrap();
        assert!(matches!(
            server.process_new_packets(),
            Err(rustls::Error::AlertReceived(_))
        ));
    }
}

#[test]
fn t57_a_version_out_of_range_is_refused_with_an_alert() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let parameters = ClientParameters {
        identity: &site.identity,
        alpn: None,
        versions: VersionRange::TLS13,
    };
    let handshake = ClientHandshake::new(&context, &parameters).unwrap();
    let mut plain = plain_client(&site, &aws_lc_rs::default_provider(), &[&TLS12]);
    let (error, alert) = refused(handshake, &mut plain);
    assert!(
        matches!(error.kind, TlsErrorKind::Incompatible(_)),
        "{error}"
    );
    assert_eq!(error.blame, Blame::Peer);
    assert!(
        matches!(
            alert,
            rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
        ),
        "{alert}"
    );
}

#[test]
fn t57_a_client_that_takes_no_signature_of_our_key_is_told() {
    let site = Site::new(HOST, &p256());
    let all = aws_lc_rs::default_provider();
    let mapping: Vec<_> = all
        .signature_verification_algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == rustls::SignatureScheme::ED25519)
        .copied()
        .collect();
    let algorithms = rustls::crypto::WebPkiSupportedAlgorithms {
        all: all.signature_verification_algorithms.all,
        mapping: Vec::leak(mapping),
    };
    let provider = rustls::crypto::CryptoProvider {
        signature_verification_algorithms: algorithms,
        ..all
    };
    for version in [&TLS12, &TLS13] {
        let context = TlsContext::new().unwrap();
        let mut plain = plain_client(&site, &provider, &[version]);
        let (error, alert) = refused(client(&context, &site, None), &mut plain);
        assert!(
            matches!(error.kind, TlsErrorKind::Incompatible(_)),
            "{error}"
        );
        assert_eq!(error.blame, Blame::Peer);
        let failure = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert_eq!(alert, failure);
    }
}

#[test]
fn t67_a_hello_retry_request_is_followed_and_sent() {
    let site = Site::new(HOST, &p256());
    // The plain server speaks P-384 only, for which our hello brings no share.
    let groups = vec![aws_lc_rs::kx_group::SECP384R1];
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: groups,
        ..aws_lc_rs::default_provider()
    };
    let (session, mut server) = with_plain_server(&site, &provider, &[&TLS13], |_| {});
    assert_eq!(session.leg.group.as_deref(), Some("secp384r1"));
    check_data(session, &mut server);
    // The plain client guesses a group that we do not speak, and offers one that we do.
    let groups = vec![
        aws_lc_rs::kx_group::SECP256R1MLKEM768,
        aws_lc_rs::kx_group::SECP384R1,
    ];
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: groups,
        ..aws_lc_rs::default_provider()
    };
    let (session, mut client) = with_plain_client(&site, &provider, &[&TLS13]);
    assert_eq!(session.leg.group.as_deref(), Some("secp384r1"));
    check_client_data(session, &mut client);
}

#[test]
fn t69_early_data_is_refused() {
    let site = Site::new(HOST, &p256());
    let (session, client) = with_plain_client(&site, &aws_lc_rs::default_provider(), &[&TLS13]);
    assert_eq!(session.leg.version, TlsVersion::Tls13);
    assert!(!client.is_early_data_accepted());
}

#[test]
fn t68_nothing_is_resumed_and_no_ticket_is_given() {
    let site = Site::new(HOST, &p256());
    for version in [&TLS12, &TLS13] {
        let config = Arc::new(plain_client_config(
            &site,
            &aws_lc_rs::default_provider(),
            &[version],
        ));
        for _ in 0..2 {
            let name = ServerName::try_from(HOST).unwrap();
            let mut plain = ClientConnection::new(Arc::clone(&config), name).unwrap();
            let session = finish_with_client(&site, &mut plain);
            assert_eq!(plain.handshake_kind(), Some(rustls::HandshakeKind::Full));
            assert_eq!(plain.tls13_tickets_received(), 0);
            check_client_data(session, &mut plain);
        }
    }
}

#[test]
fn t75_close_notify_right_after_the_client_hello_ends_the_handshake() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let mut input = hello_of(&site);
    input.extend([21, 3, 3, 0, 2, 1, 0]);
    let mut output = Vec::new();
    let error = client(&context, &site, None)
        .advance(&mut input, &mut output, NOW)
        .unwrap_err();
    assert_eq!(error.blame, Blame::Peer);
    assert_eq!(error.kind, TlsErrorKind::Closed);
}

#[test]
fn t74_a_fatal_alert_in_the_handshake_names_itself() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let parameters = origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
    let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
    let mut output = Vec::new();
    origin.advance(&mut [], &mut output, NOW).unwrap();
    let mut alert = [21, 3, 3, 0, 2, 2, 40];
    let error = origin.advance(&mut alert, &mut output, NOW).unwrap_err();
    assert_eq!(error.kind, TlsErrorKind::AlertReceived { number: 40 });
    assert_eq!(
        error.to_string(),
        "the peer sent the alert handshake_failure (40)"
    );
    assert_eq!(error.blame, Blame::Peer);
}

#[test]
fn t76_an_origin_that_does_not_speak_tls_is_named_so() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"220 mail ESMTP\r\n",
        b"\0",
        &[0xff; 40],
        &[22, 9, 9, 0, 1, 0],
    ] {
        let parameters =
            origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
        let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
        let mut output = Vec::new();
        origin.advance(&mut [], &mut output, NOW).unwrap();
        let outcome = origin.advance(&mut answer.to_vec(), &mut output, NOW);
        // One byte can still be anything; whatever is whole is refused as malformed.
        match outcome {
            Ok(progress) => assert!(!progress.done && answer.len() < 5),
            Err(error) => assert!(
                matches!(error.kind, TlsErrorKind::Malformed(_)),
                "{answer:?}: {error}"
            ),
        }
    }
}

#[test]
fn a_changed_byte_of_the_origins_flight_never_ends_in_a_session() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    for range in [VersionRange::TLS12, VersionRange::TLS13] {
        let parameters = origin_parameters(Some(HOST), &[], &site.trust, range);
        for index in (0..900).step_by(13) {
            let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
            let mut server = client(&context, &site, None);
            let (mut hello, mut flight) = (Vec::new(), Vec::new());
            origin.advance(&mut [], &mut hello, NOW).unwrap();
            server.advance(&mut hello, &mut flight, NOW).unwrap();
            let Some(byte) = flight.get_mut(index) else {
                break;
            };
            *byte ^= 0x10;
            let mut back = Vec::new();
            if let Ok(progress) = origin.advance(&mut flight, &mut back, NOW) {
                // TLS 1.2: what was changed may only show in the Finished that the server refuses.
                let end = server.advance(&mut back, &mut Vec::new(), NOW);
                assert!(
                    !progress.done && !matches!(end, Ok(progress) if progress.done),
                    "byte {index}"
                );
            }
        }
    }
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
fn advancing_after_the_end_is_our_own_fault() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    let mut handshake = client(&context, &site, None);
    let mut output = Vec::new();
    handshake
        .advance(&mut b"GET / HTTP/1.1\r\n".to_vec(), &mut output, NOW)
        .unwrap_err();
    let error = handshake.advance(&mut [], &mut output, NOW).unwrap_err();
    assert_eq!(error.blame, Blame::Ours);
    assert_eq!(
        handshake.finish().unwrap_err().kind,
        TlsErrorKind::NotComplete
    );
}

#[test]
fn an_identity_must_fit_together() {
    let site = Site::new(HOST, &p256());
    let other = p256().serialize_der();
    assert_eq!(
        ServerIdentity::from_pkcs8(site.chain.clone(), &other).unwrap_err(),
        crate::IdentityError::Mismatch
    );
    assert_eq!(
        ServerIdentity::from_pkcs8(vec![], &other).unwrap_err(),
        crate::IdentityError::EmptyChain
    );
    assert!(matches!(
        ServerIdentity::from_pkcs8(site.chain, b"no key"),
        Err(crate::IdentityError::Key(_))
    ));
}

#[test]
fn a_real_leaf_of_the_forge_is_shown_to_clients() {
    let origin_site = Authority::root("real root");
    let origin_leaf = origin_site.leaf(&leaf_params(&[HOST]));
    let ca = Authority::root("Sluice CA");
    let mut random = sluice_random::CoreRandom::new().unwrap();
    let signing =
        sluice_pki::SigningCa::new("sluice-ca", vec![ca.der.clone()], &ca.key.serialize_der())
            .unwrap();
    let key = Arc::new(sluice_pki::LeafKey::generate(&mut random).unwrap());
    let request = sluice_pki::ForgeRequest {
        ca: Arc::new(signing),
        origin: origin_leaf,
        leaf_key: Arc::clone(&key),
        server_name: Some(HOST.into()),
        now_unix_s: NOW,
    };
    let forged = sluice_pki::forge(&request, &mut random).unwrap();
    let identity = ServerIdentity::from_leaf(&forged, &key).unwrap();
    let site = Site {
        identity,
        trust: ca.trust(),
        chain: forged.chain,
        key_pkcs8: Vec::new(),
    };
    for range in [VersionRange::TLS12, VersionRange::TLS13] {
        let (origin, _) = sessions(&site, range, &[b"h2"], usize::MAX);
        assert_eq!(origin.verdict, OriginVerdict::Trusted);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    /// rustls must not panic on anything: a panic takes the data plane down.
    #[test]
    fn mutated_flights_never_panic_and_are_the_peers_fault(
        flips in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 1u8..), 1..5),
        tls13: bool,
        fragment in 32usize..400,
        cut in 1usize..2000,
    ) {
        thread_local! { static SITE: (Site, TlsContext) = (Site::new(HOST, &p256()), TlsContext::new().unwrap()); }
        SITE.with(|(site, context)| {
            let version = if tls13 { &TLS13 } else { &TLS12 };
            let mut plain = plain_server(site, &aws_lc_rs::default_provider(), &[version], |config| {
                config.max_fragment_size = Some(fragment);
            });
            let parameters = origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
            let mut origin = OriginHandshake::new(context, &parameters).unwrap();
            let (mut hello, mut inbox) = (Vec::new(), Inbox::default());
            origin.advance(&mut [], &mut hello, NOW).unwrap();
            plain.read_tls(&mut hello.as_slice()).unwrap();
            plain.process_new_packets().unwrap();
            while plain.wants_write() {
                plain.write_tls(&mut inbox.wire).unwrap();
            }
            for (index, flip) in flips {
                let at = index.index(inbox.wire.len());
                inbox.wire[at] ^= flip;
            }
            let mut output = Vec::new();
            while inbox.deliver(cut) {
                match origin.advance(&mut inbox.input, &mut output, NOW) {
                    Ok(progress) if progress.done => break,
                    Ok(progress) => {
                        inbox.input.drain(..progress.consumed);
                    }
                    Err(error) => {
                        assert_eq!(error.blame, Blame::Peer, "{error}");
                        return;
                    }
                }
            }
        });
    }

    #[test]
    fn mutated_hellos_never_panic(
        flips in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 1u8..), 0..5),
        record in 1usize..400,
        cut in 1usize..2000,
    ) {
        thread_local! { static SITE: (Site, TlsContext) = (Site::new(HOST, &p256()), TlsContext::new().unwrap()); }
        SITE.with(|(site, context)| {
            let hello = hello_of(site);
            let mut wire: Vec<u8> = hello[5..]
                .chunks(record)
                .flat_map(|part| [&[22, 3, 1][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat())
                .collect();
            for (index, flip) in flips {
                let at = index.index(wire.len());
                wire[at] ^= flip;
            }
            let mut inbox = Inbox { wire, ..Inbox::default() };
            let mut handshake = client(context, site, None);
            let mut output = Vec::new();
            while inbox.deliver(cut) {
                match handshake.advance(&mut inbox.input, &mut output, NOW) {
                    Ok(progress) => {
                        inbox.input.drain(..progress.consumed);
                    }
                    Err(error) => {
                        assert_eq!(error.blame, Blame::Peer, "{error}");
                        return;
                    }
                }
            }
        });
    }
}
