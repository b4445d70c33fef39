//! Server inspection: the real certificates and keys, chosen by server name.

use std::time::Duration;

use sluice_interop::{Curl, Lab, until};

/// SHA-256 of the certificate that port 8443 shows for a name, as openssl prints it.
fn fingerprint(lab: &Lab, name: Option<&str>) -> String {
    let mut argv = vec!["openssl", "s_client", "-connect", "10.201.2.2:8443"];
    match name {
        Some(name) => argv.extend(["-servername", name]),
        None => argv.push("-noservername"),
    }
    let outcome = lab.client(&argv).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &outcome.stdout).unwrap();
    digest(lab, &file.path().display().to_string())
}

fn digest(lab: &Lab, file: &str) -> String {
    let outcome = lab
        .client(&[
            "openssl",
            "x509",
            "-in",
            file,
            "-noout",
            "-fingerprint",
            "-sha256",
        ])
        .unwrap();
    assert!(outcome.ok(), "{}", outcome.stderr);
    outcome.stdout
}

#[test]
fn f2_a_server_is_inspected_with_its_own_certificate() {
    let lab = Lab::take().unwrap();
    for family in ["-4", "-6"] {
        for choice in ["--http1.1", "--http2"] {
            let response = Curl::get("https://site-a.lab.test:8443/bytes/65536")
                .with(&[family, choice, "--output", "/dev/null"])
                .send(&lab, &lab.facts.origin_anchor)
                .unwrap();
            assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
            assert_eq!(response.issuer, Lab::ORIGIN_ISSUER);
            assert_eq!(response.subject, "site-a.lab.test");
            if lab.inspects() {
                let event = lab.event(response.local_port).unwrap();
                assert_eq!(
                    (event.verdict(), event.reason()),
                    ("inspect".into(), "inspected-server".into())
                );
                assert_eq!(event.field("forged_sha256"), "absent");
            }
        }
    }
}

#[test]
fn f14_the_server_name_selects_the_certificate() {
    let lab = Lab::take().unwrap();
    let own = |site: &str| {
        digest(
            &lab,
            &lab.facts
                .pki_dir
                .join(format!("{site}.crt"))
                .display()
                .to_string(),
        )
    };
    assert_eq!(fingerprint(&lab, Some("site-a.lab.test")), own("site-a"));
    assert_eq!(fingerprint(&lab, Some("site-b.lab.test")), own("site-b"));
    assert_eq!(
        fingerprint(&lab, None),
        own("site-a"),
        "without a name the first is the default"
    );
    for site in ["site-a", "site-b"] {
        let response = Curl::get(&format!("https://{site}.lab.test:8443/echo"))
            .with(&["-4"])
            .send(&lab, &lab.facts.origin_anchor)
            .unwrap();
        assert_eq!(response.subject, format!("{site}.lab.test"), "{response:?}");
        assert!(
            response
                .body
                .contains(&format!("\"sni\":\"{site}.lab.test\"")),
            "{response:?}"
        );
    }
}

#[test]
fn f17_what_is_not_tls_is_dropped_before_the_server() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let capture = lab.capture("origin", "tcp dst port 8443").unwrap();
    let response = Curl::get("http://site-a.lab.test:8443/")
        .with(&["-4"])
        .within(Duration::from_secs(20))
        .send(&lab, &lab.facts.origin_anchor)
        .unwrap();
    assert!(response.exit != 0 && response.status == 0, "{response:?}");
    let event = lab.event(response.local_port).unwrap();
    assert_eq!(
        (event.verdict(), event.reason()),
        ("block".into(), "block-server-not-tls".into())
    );
    let reached: usize = capture
        .packets()
        .unwrap()
        .iter()
        .map(|packet| packet.payload().len())
        .sum();
    assert_eq!(reached, 0, "bytes of the client's reached the server");
}

#[test]
fn f16_a_server_that_speaks_in_the_clear_first_is_dropped() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    // A greeting before any handshake, as STARTTLS protocols send, in place of nginx's 8443 under the second address.
    let program = "\
import socket, sys
server = socket.create_server(('10.201.2.2', 8444), reuse_port=True)
print('ready', flush=True)
server.settimeout(20)
stream, _ = server.accept()
try:
    stream.sendall(b'220 ready\\r\\n')
    stream.settimeout(10)
    print(len(stream.recv(100)), flush=True)
except OSError:
    print('reset', flush=True)
";
    let nat = "table ip sluicetest { chain in { type nat hook prerouting priority dstnat; tcp dport 8443 redirect to :8444; }; }";
    assert!(lab.origin(&["nft", nat]).unwrap().ok());
    let server = lab.start("origin", &["python3", "-c", program]).unwrap();
    let listening = || {
        let outcome = lab.origin(&["ss", "-Hltn", "sport = :8444"]).unwrap();
        !outcome.stdout.is_empty()
    };
    assert!(until(Duration::from_secs(5), listening));
    let client = "\
import socket
stream = socket.create_connection(('10.201.2.2', 8443), timeout=10)
stream.settimeout(5)
print(stream.getsockname()[1], flush=True)
try:
    print('got', len(stream.recv(100)))
except OSError:
    print('nothing')
";
    let outcome = lab.client(&["python3", "-c", client]).unwrap();
    assert!(
        lab.origin(&["nft", "delete table ip sluicetest"])
            .unwrap()
            .ok()
    );
    drop(server);
    let mut lines = outcome.stdout.lines();
    let port = lines
        .next()
        .and_then(|line| line.parse().ok())
        .unwrap_or_else(|| panic!("{outcome:?}"));
    assert_ne!(
        lines.next(),
        Some("got 11"),
        "the server's cleartext reached the client"
    );
    let event = lab.event(port).unwrap();
    assert_eq!(
        (event.verdict(), event.reason()),
        ("block".into(), "block-server-cleartext".into())
    );
}
