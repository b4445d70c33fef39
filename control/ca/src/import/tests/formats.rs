//! What files may look like.

use super::*;

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
    // The same with 8,388,607 iterations written in place of 100,000, which nobody has to compute.
    files.openssl(
        "pkcs8 -topk8 -iter 100000 -in ca.key -passout pass:secret -outform DER -out slow.der",
    );
    let mut slow = files.read("slow.der");
    let count = [2, 3, 0x01, 0x86, 0xa0];
    let at = slow.windows(5).position(|window| window == count).unwrap();
    slow[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
    files.write("slow.der", &slow);
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
        refused(&certificate, Some("slow.der"), Some("secret")),
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
