//! Certificates: made, imported, listed and exported.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::json;
use sluice_api::{
    Blob, CertificateDetails, CertificateState, CertificateSummary, ExportFormat, Exported, Reply,
    Request,
};

use crate::daemon::{Daemon, stderr};

fn certificate() -> CertificateSummary {
    CertificateSummary {
        name: "sluice-ca".to_owned(),
        subject: "CN=Sluice CA".to_owned(),
        issuer: "CN=Sluice CA".to_owned(),
        is_ca: true,
        has_key: true,
        key: "ecdsa-p256".to_owned(),
        not_before_unix_s: 0,
        not_after_unix_s: 1_767_323_045,
        state: CertificateState::Valid,
        sha256: "ab".repeat(32),
    }
}

fn details() -> Reply {
    Reply::Certificate(Box::new(CertificateDetails {
        summary: certificate(),
        serial: "01".to_owned(),
        signature_algorithm: "ecdsa-with-SHA256".to_owned(),
        alternative_names: vec![],
        key_usage: vec!["keyCertSign".to_owned()],
        extended_key_usage: vec![],
        chain: vec![],
        uses: vec!["client proxy \"web\" of profile \"lab\" (signing certificate)".to_owned()],
        stored_unix_s: 0,
    }))
}

#[test]
fn f42_self_signed_takes_every_field() {
    let daemon = Daemon::ok(details());
    let text = daemon.text(&[
        "certificate",
        "self-signed",
        "sluice-ca",
        "--common-name",
        "Sluice CA",
        "--key",
        "rsa-4096",
        "--days",
        "30",
        "--email",
        "a@b.example",
        "--organizational-unit",
        "OU",
        "--organization",
        "O",
        "--locality",
        "L",
        "--state",
        "ST",
        "--country",
        "de",
        "--san-dns",
        "a.example",
        "--san-dns",
        "b.example",
        "--san-email",
        "c@d.example",
    ]);
    assert!(
        text.contains("key                 ecdsa-p256, private key stored, encrypted"),
        "{text}"
    );
    assert!(
        text.contains(
            "used by             client proxy \"web\" of profile \"lab\" (signing certificate)"
        ),
        "{text}"
    );
    let asked = serde_json::to_value(daemon.asked.recv().unwrap()).unwrap();
    assert_eq!(
        asked,
        json!({"certificate-self-signed": {
            "name": "sluice-ca",
            "subject": {
                "common_name": "Sluice CA", "email": "a@b.example", "organizational_unit": "OU", "organization": "O",
                "locality": "L", "state": "ST", "country": "DE",
            },
            "dns_names": ["a.example", "b.example"],
            "mail_addresses": ["c@d.example"],
            "key": "rsa-4096",
            "valid_days": 30,
        }})
    );
}

#[test]
fn f51_f85_import_of_a_certificate_with_key_file_and_passphrase() {
    let daemon = Daemon::ok(Reply::Certificates(vec![certificate()]));
    let (pem, key) = (
        daemon.dir.path().join("c.pem"),
        daemon.dir.path().join("k.pem"),
    );
    fs::write(&pem, "certificate").unwrap();
    fs::write(&key, "key").unwrap();
    let mut child = daemon
        .command(&["certificate", "import", "site-a"])
        .arg(&pem)
        .arg("--key")
        .arg(&key)
        .args(["--passphrase-file", "-", "--replace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"open sesame\nmore")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("sesame"));
    let Request::CertificateImport(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(
        (asked.certificate, asked.key),
        (Blob(b"certificate".to_vec()), Some(Blob(b"key".to_vec())))
    );
    assert_eq!(asked.passphrase.unwrap().expose(), "open sesame");
    assert!(asked.replace);

    let output = daemon.sluice(&["certificate", "import", "x", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("sluice: /nonexistent cannot be read"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn f96_the_list_shows_name_state_and_expiry() {
    let mut authority = certificate();
    authority.name = "lab-root".to_owned();
    authority.has_key = false;
    authority.state = CertificateState::Expired;
    let daemon = Daemon::ok(Reply::Certificates(vec![certificate(), authority]));
    assert_eq!(
        daemon.text(&["certificate", "list"]),
        "NAME       KIND  KEY                       STATE    EXPIRES     SUBJECT\n\
         sluice-ca  ca    ecdsa-p256                valid    2026-01-02  CN=Sluice CA\n\
         lab-root   ca    ecdsa-p256 (public only)  expired  2026-01-02  CN=Sluice CA\n"
    );
    assert_eq!(
        daemon.json(&["certificate", "list"])["certificates"][1]["state"],
        "expired"
    );
}

#[test]
fn f64_export_to_standard_output_or_a_file() {
    let exported = |format, content: &[u8]| {
        Reply::Exported(Exported {
            name: "sluice-ca".to_owned(),
            format,
            content: Blob(content.to_vec()),
        })
    };
    let pem = Daemon::ok(exported(
        ExportFormat::Pem,
        b"-----BEGIN CERTIFICATE-----\n",
    ));
    assert_eq!(
        pem.text(&["certificate", "export", "sluice-ca", "--anchor"]),
        "-----BEGIN CERTIFICATE-----\n"
    );
    let Request::CertificateExport(asked) = pem.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert!(asked.anchor && !asked.chain);

    let der = Daemon::ok(exported(ExportFormat::Der, b"\x30\x82\xff"));
    let output = der.sluice(&["certificate", "export", "sluice-ca", "--format", "der"]);
    assert_eq!(output.stdout, b"\x30\x82\xff");
    let file = der.dir.path().join("out.der");
    let text = der.text(&[
        "certificate",
        "export",
        "sluice-ca",
        "--format",
        "der",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert!(text.starts_with("sluice-ca written to "), "{text}");
    assert_eq!(fs::read(file).unwrap(), b"\x30\x82\xff");
    assert_eq!(
        der.json(&["certificate", "export", "sluice-ca", "--format", "der"])["content"],
        "MIL/"
    );
    let output = der.sluice(&[
        "certificate",
        "export",
        "sluice-ca",
        "--format",
        "der",
        "--chain",
    ]);
    assert_eq!(output.status.code(), Some(1));
}
