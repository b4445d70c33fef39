//! Plain rustls at the other end, and what goes to and fro.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::HOST;
use crate::testing::{Inbox, NOW, Site, origin_parameters};
use crate::{
    ClientHandshake, ClientParameters, Content, OriginHandshake, OriginSession, TlsContext,
    VersionRange,
};

pub(super) fn client(context: &TlsContext, site: &Site, alpn: Option<&[u8]>) -> ClientHandshake {
    let parameters = ClientParameters {
        identity: &site.identity,
        alpn,
        versions: VersionRange::TLS12_AND_13,
    };
    ClientHandshake::new(context, &parameters).unwrap()
}

pub(super) fn hello_of(site: &Site) -> Vec<u8> {
    let mut hello = Vec::new();
    plain_client(site, &aws_lc_rs::default_provider(), &[&TLS13, &TLS12])
        .write_tls(&mut hello)
        .unwrap();
    hello
}

pub(super) fn plain_server(
    site: &Site,
    provider: &rustls::crypto::CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut ServerConfig),
) -> ServerConnection {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(site.key_pkcs8.clone()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(site.chain.clone(), key)
        .unwrap();
    change(&mut config);
    ServerConnection::new(Arc::new(config)).unwrap()
}

pub(super) fn plain_client_config(
    site: &Site,
    provider: &rustls::crypto::CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    #[derive(Debug)]
    struct In2030;
    impl rustls::time_provider::TimeProvider for In2030 {
        fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
            Some(rustls::pki_types::UnixTime::since_unix_epoch(
                std::time::Duration::from_secs(NOW),
            ))
        }
    }
    let roots = rustls::RootCertStore {
        roots: site.trust.anchors().to_vec(),
    };
    let mut config =
        ClientConfig::builder_with_details(Arc::new(provider.clone()), Arc::new(In2030))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.enable_early_data = true;
    config
}

pub(super) fn plain_client(
    site: &Site,
    provider: &rustls::crypto::CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConnection {
    let config = plain_client_config(site, provider, versions);
    ClientConnection::new(Arc::new(config), ServerName::try_from(HOST).unwrap()).unwrap()
}

pub(super) fn drive_with_server(
    origin: &mut OriginHandshake,
    server: &mut ServerConnection,
    inbox: &mut Inbox,
) -> bool {
    for _ in 0..10 {
        let mut output = Vec::new();
        inbox.deliver(usize::MAX);
        let progress = origin.advance(&mut inbox.input, &mut output, NOW).unwrap();
        inbox.input.drain(..progress.consumed);
        server.read_tls(&mut output.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        while server.wants_write() {
            server.write_tls(&mut inbox.wire).unwrap();
        }
        if progress.done {
            return true;
        }
    }
    false
}

pub(super) fn with_plain_server(
    site: &Site,
    provider: &rustls::crypto::CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut ServerConfig),
) -> (OriginSession, ServerConnection) {
    let mut server = plain_server(site, provider, versions, change);
    let context = TlsContext::new().unwrap();
    let parameters = origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
    let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
    let mut inbox = Inbox::default();
    assert!(drive_with_server(&mut origin, &mut server, &mut inbox));
    let mut session = origin.finish().unwrap();
    inbox.input.append(&mut inbox.wire);
    assert_eq!(
        read_all(&mut session, &mut inbox.input),
        b"",
        "only tickets follow"
    );
    (session, server)
}

pub(super) fn with_plain_client(
    site: &Site,
    provider: &rustls::crypto::CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> (crate::ClientSession, ClientConnection) {
    let mut plain = plain_client(site, provider, versions);
    let session = finish_with_client(site, &mut plain);
    (session, plain)
}

pub(super) fn finish_with_client(
    site: &Site,
    plain: &mut ClientConnection,
) -> crate::ClientSession {
    let context = TlsContext::new().unwrap();
    let mut handshake = client(&context, site, None);
    let mut input = Vec::new();
    for _ in 0..10 {
        while plain.wants_write() {
            plain.write_tls(&mut input).unwrap();
        }
        let mut output = Vec::new();
        let progress = handshake.advance(&mut input, &mut output, NOW).unwrap();
        input.drain(..progress.consumed);
        plain.read_tls(&mut output.as_slice()).unwrap();
        plain.process_new_packets().unwrap();
        if progress.done {
            assert!(input.is_empty());
            return handshake.finish().unwrap();
        }
    }
    panic!("the handshake does not end");
}

pub(super) fn refused(
    mut handshake: ClientHandshake,
    plain: &mut ClientConnection,
) -> (crate::TlsError, rustls::Error) {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    plain.write_tls(&mut input).unwrap();
    let error = handshake.advance(&mut input, &mut output, NOW).unwrap_err();
    plain.read_tls(&mut output.as_slice()).unwrap();
    (error, plain.process_new_packets().unwrap_err())
}

/// Opens everything in `input` and gives the data.
pub(super) fn read_all(session: &mut OriginSession, input: &mut Vec<u8>) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let opened = session.records.open(input).unwrap();
        let consumed = opened.consumed;
        match opened.content {
            Content::Data(bytes) => data.extend_from_slice(bytes),
            Content::Handled => {}
            Content::NeedMore => return data,
            other => panic!("{other}"),
        }
        input.drain(..consumed);
    }
}

pub(super) fn check_data(mut session: OriginSession, server: &mut ServerConnection) {
    let mut out = vec![0; session.records.sealed_len(40_000)];
    let sent: Vec<u8> = (0..40_000u32).map(|i| i.to_le_bytes()[0]).collect();
    let written = session.records.seal(&sent, &mut out).unwrap();
    assert_eq!(written, out.len());
    let mut rest = out.as_slice();
    let mut received = Vec::new();
    while !rest.is_empty() {
        server.read_tls(&mut rest).unwrap();
        let ready = server
            .process_new_packets()
            .unwrap()
            .plaintext_bytes_to_read();
        let mut part = vec![0; ready];
        server.reader().read_exact(&mut part).unwrap();
        received.extend(part);
    }
    assert_eq!(received, sent);
    server.writer().write_all(&sent).unwrap();
    let mut input = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut input).unwrap();
    }
    assert_eq!(read_all(&mut session, &mut input), sent);
}

pub(super) fn check_client_data(mut session: crate::ClientSession, client: &mut ClientConnection) {
    let mut out = [0; 100];
    let written = session.records.seal(b"hello", &mut out).unwrap();
    client.read_tls(&mut &out[..written]).unwrap();
    client.process_new_packets().unwrap();
    let mut part = [0; 5];
    client.reader().read_exact(&mut part).unwrap();
    assert_eq!(&part, b"hello");
    client.writer().write_all(b"world").unwrap();
    let mut input = Vec::new();
    client.write_tls(&mut input).unwrap();
    let opened = session.records.open(&mut input).unwrap();
    assert_eq!(
        opened.content,
        Content::Data(b"world".to_vec().as_mut_slice())
    );
}
