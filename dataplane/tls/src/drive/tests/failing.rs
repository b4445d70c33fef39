//! Handshakes that fail: who is to blame, and what the peer is told.

use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};

use super::HOST;
use super::peers::*;
use crate::testing::{NOW, Site, origin_parameters, p256};
use crate::{
    Blame, ClientHandshake, ClientParameters, OriginHandshake, TlsContext, TlsErrorKind,
    VersionRange,
};

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
