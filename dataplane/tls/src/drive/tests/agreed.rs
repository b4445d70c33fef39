//! What both ends agree on: version, key, suite, group and protocol; in full each time.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, SupportedProtocolVersion};
use sluice_telemetry::{OriginVerdict, TlsVersion};

use super::HOST;
use super::peers::*;
use crate::VersionRange;
use crate::testing::{Site, p256, rsa_2048, sessions};

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
