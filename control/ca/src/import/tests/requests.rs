//! Requests made here, and the certificates that answer them.

use super::*;

#[test]
fn f46_f47_f56_a_request_gets_its_certificate_and_its_key_after_a_restart() {
    let files = Files::new();
    let mut appliance = Appliance::new();
    let subject = Subject {
        dns_names: vec!["a.example".to_owned(), "*.a.example".to_owned()],
        ..Subject::new("Own CA", Some("Corp"))
    };
    let wanted = SigningRequest {
        name: name("own"),
        kind: CertificateKind::SigningCa,
        subject,
        key_type: KeyType::Rsa2048,
        exportable: true,
        now_unix_s: now(),
    };
    let request = appliance.authority().request(&wanted).unwrap();
    files.write("own.csr", request.pem.as_bytes());
    assert!(!request.pem.contains("PRIVATE"), "F47: without the key");
    let text = files.openssl("req -in own.csr -verify -noout -text");
    for part in [
        "CN = Own CA",
        "CA:TRUE, pathlen:0",
        "Certificate Sign, CRL Sign",
        "DNS:a.example, DNS:*.a.example",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    files.openssl("x509 -req -in own.csr -CA root.crt -CAkey root.key -set_serial 9 -days 100 -extfile ext.cnf -extensions ca -out own.crt");
    let mut appliance = appliance.restarted();
    assert_eq!(appliance.authority().requests().unwrap(), [request]);
    let file = files.joined(&["own.crt", "root.crt"]);
    let imported = appliance
        .authority()
        .import(&name("own ca"), &import(&file))
        .unwrap();
    assert_eq!(
        (imported[0].kind, imported[0].has_key),
        (CertificateKind::SigningCa, true)
    );
    assert!(
        appliance
            .authority()
            .show(&name("own ca"), now())
            .unwrap()
            .exportable
    );
    assert!(appliance.authority().private_key(&name("own ca")).is_ok());
    assert_eq!(appliance.authority().requests().unwrap(), []);
}

#[test]
fn f125_a_servers_request_asks_for_a_servers_certificate() {
    let files = Files::new();
    let mut appliance = Appliance::new();
    let wanted = SigningRequest {
        name: name("site"),
        kind: CertificateKind::Server,
        subject: Subject {
            dns_names: vec!["*.site.example".to_owned()],
            ..Subject::new("site.example", None)
        },
        key_type: KeyType::P256,
        exportable: false,
        now_unix_s: now(),
    };
    files.write(
        "site.csr",
        appliance
            .authority()
            .request(&wanted)
            .unwrap()
            .pem
            .as_bytes(),
    );
    let text = files.openssl("req -in site.csr -verify -noout -text");
    assert!(
        text.contains("TLS Web Server Authentication")
            && text.contains("DNS:*.site.example")
            && !text.contains("CA:TRUE"),
        "{text}"
    );
    assert!(
        appliance.authority().request(&wanted).is_err(),
        "the name is taken"
    );
    appliance.authority().delete_request(&name("site")).unwrap();
    let authority = SigningRequest {
        kind: CertificateKind::Authority,
        ..wanted
    };
    assert!(appliance.authority().request(&authority).is_err());
}
