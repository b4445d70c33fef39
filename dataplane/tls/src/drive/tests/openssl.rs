//! OpenSSL's `s_server` and `s_client` at the other end, over the loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use sluice_telemetry::OriginVerdict;

use super::HOST;
use super::peers::client;
use crate::testing::{Authority, Site, leaf_params, origin_parameters, p256, rsa_2048};
use crate::{Content, OriginHandshake, Records, ServerIdentity, TlsContext, VersionRange};

/// Ended with the test, whatever becomes of it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _already_over = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A site with its files for OpenSSL.
fn site_in(directory: &Path, key: &rcgen::KeyPair) -> Site {
    let root = Authority::root("root");
    let chain = vec![root.issue(&leaf_params(&[HOST]), key)];
    let pem = |der: &[u8]| {
        let text = Command::new("openssl")
            .args(["x509", "-inform", "DER"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                child.stdin.take().unwrap().write_all(der)?;
                child.wait_with_output()
            });
        text.expect("these tests need the openssl command").stdout
    };
    fs::write(directory.join("leaf.pem"), pem(&chain[0])).unwrap();
    fs::write(directory.join("root.pem"), pem(&root.der)).unwrap();
    fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    let key_pkcs8 = key.serialize_der();
    let identity = ServerIdentity::from_pkcs8(chain.clone(), &key_pkcs8).unwrap();
    Site {
        identity,
        trust: root.trust(),
        chain,
        key_pkcs8,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenSSL judges dates by the real clock"
)]
fn now_unix_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[expect(
    clippy::disallowed_methods,
    reason = "s_server does not tell when it listens"
)]
fn connect(address: SocketAddr) -> TcpStream {
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect(address) {
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            return stream;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("s_server does not listen on {address}");
}

/// Reads more into `input`; false at the end of the stream.
fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) -> bool {
    let mut part = [0; 4096];
    let count = stream.read(&mut part).expect("OpenSSL went silent");
    input.extend_from_slice(&part[..count]);
    count > 0
}

/// Reads data until it ends in a line feed.
fn line(stream: &mut TcpStream, records: &mut Records, input: &mut Vec<u8>) -> Vec<u8> {
    let mut data = Vec::new();
    while !data.ends_with(b"\n") {
        let opened = records.open(input).unwrap();
        let consumed = opened.consumed;
        match opened.content {
            Content::Data(bytes) => data.extend_from_slice(bytes),
            Content::Handled => {}
            Content::NeedMore => assert!(read_more(stream, input), "OpenSSL hung up"),
            other => panic!("{other}"),
        }
        input.drain(..consumed);
        if let Some(reply) = records.pending_reply() {
            stream.write_all(&reply).unwrap();
        }
    }
    data
}

fn send(stream: &mut TcpStream, records: &mut Records, data: &[u8]) {
    let mut out = vec![0; records.sealed_len(data.len())];
    let written = records.seal(data, &mut out).unwrap();
    stream.write_all(&out[..written]).unwrap();
}

#[test]
fn t56_openssl_as_the_origin_with_every_suite() {
    for (key, kind) in [(p256(), "ECDSA"), (rsa_2048(), "RSA")] {
        let directory = tempfile::tempdir().unwrap();
        let site = site_in(directory.path(), &key);
        for (version, suites, name) in [
            ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"),
            ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"),
            ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
            ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
            ("-tls1_2", "-cipher", "AES256-GCM-SHA384"),
            ("-tls1_2", "-cipher", "CHACHA20-POLY1305"),
        ] {
            let suite = if version == "-tls1_2" {
                format!("ECDHE-{kind}-{name}")
            } else {
                name.to_owned()
            };
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let server = Command::new("openssl")
                .args([
                    "s_server",
                    "-quiet",
                    "-rev",
                    "-accept",
                    &address.to_string(),
                ])
                .args([
                    "-cert", "leaf.pem", "-key", "key.pem", version, suites, &suite, "-alpn", "h2",
                ])
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let _server = Process(server.expect("these tests need the openssl command"));
            let mut stream = connect(address);

            let context = TlsContext::new().unwrap();
            let alpn = [b"http/1.1".to_vec(), b"h2".to_vec()];
            let mut parameters =
                origin_parameters(Some(HOST), &alpn, &site.trust, VersionRange::TLS12_AND_13);
            parameters.now_unix_s = now_unix_s();
            let mut handshake = OriginHandshake::new(&context, &parameters).unwrap();
            let (mut input, mut output) = (Vec::new(), Vec::new());
            loop {
                let progress = handshake.advance(&mut input, &mut output, 0).unwrap();
                input.drain(..progress.consumed);
                stream.write_all(&output).unwrap();
                output.clear();
                if progress.done {
                    break;
                }
                assert!(read_more(&mut stream, &mut input), "{suite}");
            }
            let mut session = handshake.finish().unwrap();
            assert_eq!(session.verdict, OriginVerdict::Trusted, "{suite}");
            assert_eq!(session.leg.alpn.as_deref(), Some("h2"), "{suite}");
            for text in ["hello", &"x".repeat(12_000)] {
                send(
                    &mut stream,
                    &mut session.records,
                    format!("{text}!\n").as_bytes(),
                );
                let answer = line(&mut stream, &mut session.records, &mut input);
                let reversed: String = text.chars().rev().collect();
                assert!(
                    answer == format!("!{reversed}\n").as_bytes(),
                    "{suite}: {} bytes",
                    answer.len()
                );
            }
        }
    }
}

#[test]
fn t70_openssl_as_the_client_updates_keys() {
    let directory = tempfile::tempdir().unwrap();
    let site = site_in(directory.path(), &p256());
    for version in ["-tls1_3", "-tls1_2"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let openssl = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &address,
                "-servername",
                HOST,
                "-alpn",
                "http/1.1",
                version,
            ])
            .args([
                "-CAfile",
                "root.pem",
                "-verify_return_error",
                "-verify_hostname",
                HOST,
            ])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut openssl = Process(openssl.expect("these tests need the openssl command"));
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let context = TlsContext::new().unwrap();
        let mut handshake = client(&context, &site, Some(b"http/1.1"));
        let (mut input, mut output) = (Vec::new(), Vec::new());
        loop {
            let progress = handshake.advance(&mut input, &mut output, 0).unwrap();
            input.drain(..progress.consumed);
            stream.write_all(&output).unwrap();
            output.clear();
            if progress.done {
                break;
            }
            assert!(
                read_more(&mut stream, &mut input),
                "OpenSSL refused the handshake"
            );
        }
        let mut session = handshake.finish().unwrap();
        assert_eq!(session.leg.alpn.as_deref(), Some("http/1.1"));
        let mut to_openssl = openssl.0.stdin.take().unwrap();
        to_openssl.write_all(b"first\n").unwrap();
        assert_eq!(
            line(&mut stream, &mut session.records, &mut input),
            b"first\n"
        );
        if version == "-tls1_3" {
            // A key update that asks for ours, and one that does not; each takes effect before the next line.
            for (command, text) in [(b"K\n", "second\n"), (b"k\n", "third\n")] {
                to_openssl.write_all(command).unwrap();
                let opened_before =
                    session.records.open(&mut input).unwrap().content == Content::NeedMore;
                assert!(opened_before);
                wait_for_record(&mut stream, &mut input);
                assert_eq!(
                    session.records.open(&mut input).unwrap().content,
                    Content::Handled
                );
                input.clear();
                if let Some(reply) = session.records.pending_reply() {
                    assert_eq!(command, b"K\n");
                    stream.write_all(&reply).unwrap();
                }
                to_openssl.write_all(text.as_bytes()).unwrap();
                assert_eq!(
                    line(&mut stream, &mut session.records, &mut input),
                    text.as_bytes()
                );
            }
        }
        send(&mut stream, &mut session.records, b"answer from the gate\n");
        let mut close = [0; 64];
        let written = session.records.close_notify(&mut close);
        stream.write_all(&close[..written]).unwrap();
        drop((stream, to_openssl));
        let mut printed = String::new();
        openssl
            .0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut printed)
            .unwrap();
        assert!(printed.contains("answer from the gate"), "{printed}");
        assert!(printed.contains("Verify return code: 0 (ok)"), "{printed}");
    }
}

fn wait_for_record(stream: &mut TcpStream, input: &mut Vec<u8>) {
    loop {
        if let &[_, _, _, high, low, ..] = input.as_slice()
            && input.len() >= 5 + usize::from(u16::from_be_bytes([high, low]))
        {
            return;
        }
        assert!(read_more(stream, input), "OpenSSL hung up");
    }
}
