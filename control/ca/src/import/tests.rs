use super::*;
use crate::test_support::{Appliance, Files, name, self_signed};
use crate::{CertificateStatus, Export, ExportError, KeyType, SigningRequest, Subject};

/// When the files of OpenSSL, which knows only the machine's clock, are valid.
fn now() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "OpenSSL dates its certificates by the machine's clock"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60
}

fn import<'a>(file: &'a [u8]) -> Import<'a> {
    Import {
        file,
        now_unix_s: now(),
        ..Import::default()
    }
}

#[test]
fn f50_f95_a_chain_in_any_order_and_any_files_is_put_in_order() {
    let files = Files::new();
    let ways = [
        (files.joined(&["ca.crt", "root.crt", "ca.key"]), None, None),
        (files.joined(&["root.crt", "ca.key", "ca.crt"]), None, None),
        (
            files.joined(&["root.crt", "root.crt", "ca.crt"]),
            Some(files.read("ca.key")),
            None,
        ),
        (
            files.read("ca.crt"),
            Some(files.read("ca.key")),
            Some(files.read("root.crt")),
        ),
    ];
    for (file, key, chain) in &ways {
        let mut appliance = Appliance::new();
        let import = Import {
            key_file: key.as_deref(),
            chain_file: chain.as_deref(),
            ..import(file)
        };
        let imported = appliance
            .authority()
            .import(&name("corp"), &import)
            .unwrap();
        let [summary] = imported.as_slice() else {
            panic!("{imported:?}")
        };
        assert_eq!(summary.kind, CertificateKind::SigningCa);
        assert_eq!(
            (summary.subject.as_str(), summary.issuer.as_str()),
            ("O=Corp, CN=Inspection CA", "O=Corp, CN=Root")
        );
        assert_eq!(
            (summary.chain_certificates, summary.status),
            (2, CertificateStatus::Valid)
        );
        files.write(
            "chain.pem",
            appliance
                .authority()
                .export(&name("corp"), Export::Chain)
                .unwrap()
                .as_bytes(),
        );
        files.write(
            "anchor.pem",
            appliance
                .authority()
                .export(&name("corp"), Export::TrustAnchor)
                .unwrap()
                .as_bytes(),
        );
        files.openssl("verify -CAfile anchor.pem chain.pem");
        assert!(
            files
                .openssl("x509 -in anchor.pem -noout -subject")
                .contains("CN = Root"),
            "F44: the chain's root"
        );
    }
}

#[test]
fn f85_keys_in_every_encoding_are_taken() {
    let files = Files::new();
    files.openssl("pkcs8 -topk8 -nocrypt -in ca.key -out p8.pem");
    files.openssl("pkcs8 -topk8 -nocrypt -in ca.key -outform DER -out p8.der");
    files.openssl("rsa -in ca.key -traditional -out p1.pem");
    files.openssl("rsa -in ca.key -traditional -outform DER -out p1.der");
    files.openssl("pkcs8 -topk8 -in ca.key -passout pass:secret -out p8e.pem");
    files.openssl("pkcs8 -topk8 -in ca.key -passout pass:secret -outform DER -out p8e.der");
    files.openssl("pkcs8 -topk8 -scrypt -in ca.key -passout pass:secret -out p8s.pem");
    let mut clear = None;
    for key in [
        "p8.pem", "p8.der", "p1.pem", "p1.der", "p8e.pem", "p8e.der", "p8s.pem",
    ] {
        let mut appliance = Appliance::new();
        let (certificate, key_file) = (files.read("ca.crt"), files.read(key));
        let import = Import {
            key_file: Some(&key_file),
            passphrase: Some("secret"),
            ..import(&certificate)
        };
        let done = appliance.authority().import(&name("corp"), &import);
        assert!(done.is_ok(), "{key}: {}", done.unwrap_err());
        let opened = appliance.authority().private_key(&name("corp")).unwrap();
        assert_eq!(clear.get_or_insert(opened.clone()), &opened, "{key}");
    }
    files.openssl("ec -in site.key -outform DER -out sec1.der");
    files.openssl("pkcs8 -topk8 -nocrypt -in site.key -out site8.pem");
    for key in ["site.key", "sec1.der", "site8.pem"] {
        let mut appliance = Appliance::new();
        let (certificate, key_file) = (files.read("site.crt"), files.read(key));
        let import = Import {
            key_file: Some(&key_file),
            ..import(&certificate)
        };
        let done = appliance.authority().import(&name("site"), &import);
        assert!(done.is_ok(), "{key}: {}", done.unwrap_err());
    }
}

#[test]
fn f51_a_wrong_or_missing_passphrase_is_named() {
    let files = Files::new();
    files.openssl("pkcs8 -topk8 -in ca.key -passout pass:secret -out p8e.pem");
    files.openssl("rsa -in ca.key -traditional -aes128 -passout pass:secret -out old.pem");
    files.openssl("pkcs8 -topk8 -iter 10000001 -in ca.key -passout pass:secret -out slow.pem");
    files.openssl("pkcs12 -export -inkey ca.key -in ca.crt -passout pass:secret -out ca.p12");
    let (certificate, p12) = (files.read("ca.crt"), files.read("ca.p12"));
    let refused = |file: &[u8], key: Option<&str>, passphrase| {
        let key = key.map(|key| files.read(key));
        let import = Import {
            key_file: key.as_deref(),
            passphrase,
            ..import(file)
        };
        match Appliance::new().authority().import(&name("corp"), &import) {
            Err(ImportError::File(problem)) => problem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        refused(&certificate, Some("p8e.pem"), None),
        FileProblem::PassphraseMissing
    );
    assert_eq!(
        refused(&certificate, Some("p8e.pem"), Some("wrong")),
        FileProblem::NotOpened
    );
    assert_eq!(
        refused(&certificate, Some("old.pem"), Some("secret")),
        FileProblem::LegacyEncryption
    );
    assert_eq!(
        refused(&certificate, Some("slow.pem"), Some("secret")),
        FileProblem::TooManyIterations
    );
    assert_eq!(refused(&p12, None, None), FileProblem::PassphraseMissing);
    assert_eq!(refused(&p12, None, Some("wrong")), FileProblem::NotOpened);
}

#[test]
fn f86_pkcs12_is_taken_with_modern_and_older_protection() {
    let files = Files::new();
    files.write("above.pem", &files.joined(&["ca.crt", "root.crt"]));
    files.openssl("pkcs12 -export -inkey site.key -in site.crt -certfile above.pem -name Site~A -passout pass:secret -out new.p12");
    files.openssl("pkcs12 -export -legacy -inkey site.key -in site.crt -certfile above.pem -passout pass:secret -out old.p12");
    files.openssl("pkcs12 -export -inkey site.key -in site.crt -certfile above.pem -passout pass: -out empty.p12");
    for (file, passphrase) in [
        ("new.p12", Some("secret")),
        ("old.p12", Some("secret")),
        ("empty.p12", None),
    ] {
        let mut appliance = Appliance::new();
        let bytes = files.read(file);
        let import = Import {
            passphrase,
            exportable: true,
            ..import(&bytes)
        };
        let imported = appliance
            .authority()
            .import(&name("site"), &import)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let [summary] = imported.as_slice() else {
            panic!("{imported:?}")
        };
        assert_eq!(
            (summary.name.as_str(), summary.kind),
            ("site", CertificateKind::Server)
        );
        assert_eq!(summary.chain_certificates, 3);
        let details = appliance.authority().show(&name("site"), now()).unwrap();
        assert_eq!(
            details.issuers,
            ["O=Corp, CN=Inspection CA", "O=Corp, CN=Root"]
        );
        assert_eq!(
            details.alternative_names,
            ["DNS:site.example", "IP:10.201.2.2"]
        );
        assert!(details.exportable);
    }
}

#[test]
fn f84_several_keys_in_one_pkcs12_are_named_by_base_and_alias() {
    let base = name("dmz");
    assert_eq!(
        numbered(&base, Some("Site A/1"), 1).as_str(),
        "dmz-Site_A_1"
    );
    assert_eq!(numbered(&base, None, 2).as_str(), "dmz-2");
    assert_eq!(
        numbered(&base, Some(&"x".repeat(64)), 3).as_str(),
        "dmz-3",
        "no room for the alias"
    );
    let files = Files::new();
    let file = files.joined(&["site.crt", "site.key", "ca.crt", "ca.key", "root.crt"]);
    let mut appliance = Appliance::new();
    let imported = appliance.authority().import(&base, &import(&file)).unwrap();
    let told: Vec<_> = imported
        .iter()
        .map(|summary| {
            (
                summary.name.as_str(),
                summary.kind,
                summary.chain_certificates,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("dmz-1", CertificateKind::Server, 3),
            ("dmz-2", CertificateKind::SigningCa, 2)
        ]
    );
}

#[test]
fn f88_an_authoritys_private_key_is_ignored() {
    let files = Files::new();
    files.openssl("pkcs12 -export -inkey root.key -in root.crt -passout pass:secret -out root.p12");
    for file in [
        files.read("root.p12"),
        files.joined(&["root.crt", "root.key"]),
    ] {
        let mut appliance = Appliance::new();
        let import = Import {
            kind: ImportKind::As(CertificateKind::Authority),
            passphrase: Some("secret"),
            ..import(&file)
        };
        let imported = appliance
            .authority()
            .import(&name("lab-root"), &import)
            .unwrap();
        assert_eq!(
            (imported[0].kind, imported[0].has_key),
            (CertificateKind::Authority, false)
        );
        assert!(matches!(
            appliance.authority().private_key(&name("lab-root")),
            Err(CertificateError::NoKey { .. })
        ));
    }
}

#[test]
fn a_ca_without_a_key_is_an_authority() {
    let files = Files::new();
    let file = files.joined(&["root.crt", "ca.crt"]);
    let mut appliance = Appliance::new();
    let imported = appliance
        .authority()
        .import(&name("lab-root"), &import(&file))
        .unwrap();
    assert_eq!(
        (imported[0].kind, imported[0].subject.as_str()),
        (CertificateKind::Authority, "O=Corp, CN=Inspection CA")
    );
}

#[test]
fn f67_p7b_is_refused_with_a_message_that_says_so() {
    let files = Files::new();
    files.openssl("crl2pkcs7 -nocrl -certfile ca.crt -out ca.p7b");
    files.openssl("crl2pkcs7 -nocrl -certfile ca.crt -outform DER -out ca.p7b.der");
    for file in ["ca.p7b", "ca.p7b.der"] {
        let bytes = files.read(file);
        let error = Appliance::new()
            .authority()
            .import(&name("corp"), &import(&bytes))
            .unwrap_err();
        assert!(
            matches!(error, ImportError::File(FileProblem::Pkcs7)),
            "{file}: {error}"
        );
        assert!(
            error.to_string().contains("p7b")
                && error.to_string().contains("openssl pkcs7 -print_certs"),
            "{error}"
        );
    }
}

#[test]
fn l54_a_request_of_others_is_refused() {
    let files = Files::new();
    files.openssl("req -in ca.csr -outform DER -out csr.der");
    for file in ["ca.csr", "csr.der"] {
        let bytes = files.read(file);
        let error = Appliance::new()
            .authority()
            .import(&name("corp"), &import(&bytes))
            .unwrap_err();
        assert!(
            matches!(error, ImportError::File(FileProblem::Request)),
            "{file}: {error}"
        );
    }
}

#[test]
fn f43_a_key_of_another_certificate_is_refused() {
    let files = Files::new();
    let (certificate, key) = (files.read("ca.crt"), files.read("other.key"));
    let with_other = Import {
        key_file: Some(&key),
        ..import(&certificate)
    };
    assert!(matches!(
        Appliance::new()
            .authority()
            .import(&name("corp"), &with_other),
        Err(ImportError::KeyMismatch)
    ));
    let site = files.read("site.crt");
    assert!(matches!(
        Appliance::new()
            .authority()
            .import(&name("site"), &import(&site)),
        Err(ImportError::NoKey { .. })
    ));
    let signing = Import {
        kind: ImportKind::As(CertificateKind::SigningCa),
        ..import(&certificate)
    };
    assert!(matches!(
        Appliance::new().authority().import(&name("corp"), &signing),
        Err(ImportError::NoKey { .. })
    ));
    let key = files.read("ca.key");
    assert!(matches!(
        Appliance::new()
            .authority()
            .import(&name("corp"), &import(&key)),
        Err(ImportError::NoCertificate)
    ));
}

#[test]
fn f43_what_is_no_ca_is_no_signing_ca_and_no_authority() {
    let files = Files::new();
    let file = files.joined(&["site.crt", "site.key"]);
    for kind in [CertificateKind::SigningCa, CertificateKind::Authority] {
        let import = Import {
            kind: ImportKind::As(kind),
            ..import(&file)
        };
        let error = Appliance::new()
            .authority()
            .import(&name("site"), &import)
            .unwrap_err();
        assert!(
            matches!(&error, ImportError::NotACa { subject } if subject == "CN=site.example"),
            "{error}"
        );
    }
    files.issue("other", "ca", "/CN=client", 100, "client");
    let client = files.joined(&["other.crt", "other.key"]);
    assert!(matches!(
        Appliance::new()
            .authority()
            .import(&name("client"), &import(&client)),
        Err(ImportError::NotForServers { .. })
    ));
}

#[test]
fn f50_certificates_that_do_not_belong_together_are_refused() {
    let files = Files::new();
    let stranger = files.joined(&["ca.crt", "ca.key", "site.crt"]);
    let error = Appliance::new()
        .authority()
        .import(&name("corp"), &import(&stranger))
        .unwrap_err();
    assert!(
        matches!(&error, ImportError::Chain(ChainProblem::Unrelated { subject }) if subject == "CN=site.example"),
        "{error}"
    );
    // Another root of the same name has not signed the CA.
    files.openssl("req -x509 -new -key other.key -subj /O=Corp/CN=Root -days 3650 -config req.cnf -out false.crt -addext basicConstraints=critical,CA:TRUE");
    let forged = files.joined(&["ca.crt", "ca.key", "false.crt"]);
    let error = Appliance::new()
        .authority()
        .import(&name("corp"), &import(&forged))
        .unwrap_err();
    assert!(
        matches!(&error, ImportError::Chain(ChainProblem::NotSigned { .. })),
        "{error}"
    );
    // A certificate issued by a server's key, which is no CA.
    files.issue("other", "site", "/CN=below", 100, "site");
    let below = files.joined(&["other.crt", "other.key", "site.crt"]);
    let error = Appliance::new()
        .authority()
        .import(&name("below"), &import(&below))
        .unwrap_err();
    assert!(
        matches!(
            &error,
            ImportError::Chain(ChainProblem::IssuerNotACa { .. })
        ),
        "{error}"
    );
}

#[test]
fn f68_an_intermediate_that_outlives_its_root_is_refused() {
    let files = Files::new();
    files.issue("ca", "root", "/O=Corp/CN=Inspection CA", 3660, "ca");
    let long = files.joined(&["ca.crt", "ca.key", "root.crt"]);
    let error = Appliance::new()
        .authority()
        .import(&name("corp"), &import(&long))
        .unwrap_err();
    assert!(
        matches!(
            &error,
            ImportError::Chain(ChainProblem::OutlivesIssuer { .. })
        ),
        "{error}"
    );
}

#[test]
fn f83_names_and_certificates_are_taken_once() {
    let files = Files::new();
    let (corp, site) = (
        files.joined(&["ca.crt", "ca.key", "root.crt"]),
        files.joined(&["site.crt", "site.key"]),
    );
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .import(&name("corp"), &import(&corp))
        .unwrap();
    let error = appliance
        .authority()
        .import(&name("corp"), &import(&site))
        .unwrap_err();
    assert!(
        matches!(
            error,
            ImportError::Store(StoreError::CertificateExists { .. })
        ),
        "{error}"
    );
    let error = appliance
        .authority()
        .import(&name("again"), &import(&corp))
        .unwrap_err();
    assert!(
        matches!(&error, ImportError::AlreadyThere { name } if name.as_str() == "corp"),
        "{error}"
    );
    assert_eq!(appliance.authority().list(now()).unwrap().len(), 1);
}

#[test]
fn f136_a_replacement_keeps_the_name_and_the_old_key_opens_under_its_new_one() {
    let files = Files::new();
    let first = files.joined(&["site.crt", "site.key"]);
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .import(&name("site"), &import(&first))
        .unwrap();
    let old_key = appliance.authority().private_key(&name("site")).unwrap();
    files.issue("other", "ca", "/CN=site.example", 300, "site");
    let second = files.joined(&["other.crt", "other.key"]);
    let replacing = Import {
        replace: true,
        ..import(&second)
    };
    appliance
        .authority()
        .import(&name("site"), &replacing)
        .unwrap();
    assert_eq!(
        appliance
            .authority()
            .private_key(&name("site_REPLACED"))
            .unwrap(),
        old_key
    );
    assert_ne!(
        appliance.authority().private_key(&name("site")).unwrap(),
        old_key
    );
    let corp = files.joined(&["ca.crt", "ca.key"]);
    let other_kind = Import {
        replace: true,
        ..import(&corp)
    };
    let error = appliance
        .authority()
        .import(&name("site"), &other_kind)
        .unwrap_err();
    assert!(
        matches!(
            &error,
            ImportError::KindDiffers {
                old: "server",
                new: "signing-ca",
                ..
            }
        ),
        "{error}"
    );
    let error = appliance
        .authority()
        .import(&name("none"), &other_kind)
        .unwrap_err();
    assert!(matches!(&error, ImportError::Certificate(_)), "{error}");
}

#[test]
fn f90_without_its_root_a_certificate_has_no_trust_anchor_until_the_root_is_there() {
    let files = Files::new();
    let file = files.joined(&["site.crt", "site.key"]);
    let mut appliance = Appliance::new();
    let imported = appliance
        .authority()
        .import(&name("site"), &import(&file))
        .unwrap();
    assert_eq!(imported[0].status, CertificateStatus::NoTrustAnchor);
    assert!(matches!(
        appliance
            .authority()
            .export(&name("site"), Export::TrustAnchor),
        Err(ExportError::NoTrustAnchor { .. })
    ));
    for authority in ["ca", "root"] {
        let bytes = files.read(&format!("{authority}.crt"));
        appliance
            .authority()
            .import(&name(&format!("the {authority}")), &import(&bytes))
            .unwrap();
    }
    let status =
        |appliance: &mut Appliance| appliance.authority().show(&name("site"), now()).unwrap();
    assert_eq!(
        status(&mut appliance).summary.status,
        CertificateStatus::Valid
    );
    assert_eq!(
        status(&mut appliance).trust_anchor.as_deref(),
        Some("O=Corp, CN=Root")
    );
    files.write(
        "anchor.pem",
        appliance
            .authority()
            .export(&name("site"), Export::TrustAnchor)
            .unwrap()
            .as_bytes(),
    );
    assert_eq!(
        files.openssl("x509 -in anchor.pem -noout -fingerprint"),
        files.openssl("x509 -in root.crt -noout -fingerprint")
    );
}

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

#[test]
fn nothing_and_noise_are_refused_and_never_crash() {
    let files = Files::new();
    let noise: Vec<u8> = (0..2000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    files.openssl("pkcs12 -export -inkey ca.key -in ca.crt -passout pass:secret -out ca.p12");
    files.openssl("ecparam -name secp521r1 -genkey -noout -out p521.key");
    let odd: [&[u8]; 6] = [
        b"",
        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN ",
        &noise,
        &[0x30, 0x80],
        b"\x30\x03\x02\x01\x00",
    ];
    for file in odd
        .into_iter()
        .chain([files.read("p521.key").as_slice(), &vec![b'A'; 2_000_000]])
    {
        let error = Appliance::new()
            .authority()
            .import(&name("one"), &import(file))
            .unwrap_err();
        assert!(
            matches!(error, ImportError::File(_) | ImportError::NoCertificate),
            "{error}"
        );
    }
    let p12 = files.read("ca.p12");
    let mut appliance = Appliance::new();
    for at in (0..p12.len()).step_by(41) {
        let mut damaged = p12.clone();
        damaged[at] ^= 0x55;
        let import = Import {
            passphrase: Some("secret"),
            ..import(&damaged)
        };
        if appliance.authority().import(&name("one"), &import).is_ok() {
            appliance.authority().delete(&name("one"), &[]).unwrap();
        }
    }
    let certificate = files.joined(&["ca.crt"]);
    for at in (0..certificate.len()).step_by(7) {
        let mut damaged = certificate.clone();
        damaged[at] ^= 1;
        drop(
            appliance
                .authority()
                .import(&name(&format!("c{at}")), &import(&damaged)),
        );
    }
    appliance
        .authority()
        .self_signed(&self_signed("still works"))
        .unwrap();
}
