//! Certificates, names and signatures: the origin's as judged, ours as shown.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use sluice_telemetry::OriginVerdict;

use super::HOST;
use super::peers::*;
use crate::testing::{
    Authority, Inbox, NOW, Site, leaf_params, origin_parameters, p256, sessions, shake,
};
use crate::{
    Blame, Content, OriginHandshake, ServerIdentity, TlsContext, TlsErrorKind, VersionRange,
};

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
