use super::*;
use crate::test_support::{Appliance, Files, NOW, name, self_signed};
use crate::{
    CertificateStatus, CreateError, Export, ExportError, KeyType, SelfSigned, Subject,
    SubjectProblem,
};

const DAY: u64 = 86_400;

#[test]
fn f42_a_self_signed_ca_of_every_key_type_is_one_openssl_accepts() {
    let mut appliance = Appliance::new();
    let files = Files::new();
    for key_type in KeyType::ALL {
        let wanted = SelfSigned {
            key_type,
            ..self_signed(&format!("ca {key_type}"))
        };
        let summary = appliance.authority().self_signed(&wanted).unwrap();
        assert!(summary.self_signed && summary.has_key);
        assert_eq!(summary.status, CertificateStatus::Valid);
        assert_eq!(
            (summary.subject.as_str(), summary.issuer.as_str()),
            ("O=Sluice, CN=Sluice lab CA", "O=Sluice, CN=Sluice lab CA")
        );
        assert_eq!(summary.not_after, "2027-11-21T00:00:00Z");
        let expected = [
            "RSA 2048",
            "RSA 3072",
            "RSA 4096",
            "ECDSA P-256",
            "ECDSA P-384",
        ];
        let at = KeyType::ALL
            .iter()
            .position(|kind| *kind == key_type)
            .unwrap();
        assert_eq!(summary.key_type, expected[at]);
        let pem = appliance
            .authority()
            .export(&wanted.name, Export::TrustAnchor)
            .unwrap();
        files.write("made.crt", pem.as_bytes());
        files.openssl(&format!(
            "verify -x509_strict -check_ss_sig -attime {NOW} -CAfile made.crt made.crt"
        ));
        let text = files.openssl("x509 -in made.crt -noout -text");
        assert!(
            text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign, CRL Sign"),
            "{text}"
        );
        assert!(appliance.authority().private_key(&wanted.name).is_ok());
    }
    assert_eq!(
        appliance.authority().list(NOW).unwrap().len(),
        KeyType::ALL.len()
    );
}

#[test]
fn f42_every_part_of_the_subject_is_written() {
    let mut appliance = Appliance::new();
    let subject = Subject {
        common_name: "Größe & Co CA".to_owned(),
        organization: Some("Corp".to_owned()),
        organizational_unit: Some("IT".to_owned()),
        locality: Some("Köln".to_owned()),
        state: Some("NRW".to_owned()),
        country: Some("de".to_owned()),
        email: Some("pki@corp.example".to_owned()),
        dns_names: vec!["ca.corp.example".to_owned(), "*.Corp.example".to_owned()],
        email_names: vec!["ca@corp.example".to_owned()],
    };
    appliance
        .authority()
        .self_signed(&SelfSigned {
            subject,
            ..self_signed("full")
        })
        .unwrap();
    let details = appliance.authority().show(&name("full"), NOW).unwrap();
    assert_eq!(
        details.summary.subject,
        "C=DE, ST=NRW, L=Köln, O=Corp, OU=IT, CN=Größe & Co CA, Email=pki@corp.example"
    );
    assert_eq!(
        details.alternative_names,
        [
            "DNS:ca.corp.example",
            "DNS:*.corp.example",
            "email:ca@corp.example"
        ]
    );
    assert_eq!(
        details.trust_anchor.as_deref(),
        Some(details.summary.subject.as_str())
    );
    assert!(details.is_ca && !details.exportable && details.issuers.is_empty());
    assert_eq!(details.subject_key_id.unwrap().len(), 40);
    assert_eq!(details.serial.len(), 32);
}

#[test]
fn f42_an_unfit_subject_is_refused() {
    let mut appliance = Appliance::new();
    let mut refused = |subject: Subject| match appliance.authority().self_signed(&SelfSigned {
        subject,
        ..self_signed("one")
    }) {
        Err(CreateError::Subject(problem)) => problem,
        other => panic!("{other:?}"),
    };
    let good = Subject::new("CA", None);
    assert_eq!(
        refused(Subject::new("", None)),
        SubjectProblem::NoCommonName
    );
    assert_eq!(
        refused(Subject::new(&"x".repeat(65), None)),
        SubjectProblem::Attribute {
            part: "common name",
            chars_max: 64
        }
    );
    assert_eq!(
        refused(Subject::new("a\nb", None)),
        SubjectProblem::Attribute {
            part: "common name",
            chars_max: 64
        }
    );
    assert_eq!(
        refused(Subject::new("CA", Some(""))),
        SubjectProblem::Attribute {
            part: "organization",
            chars_max: 64
        }
    );
    for country in ["D", "DEU", "1!", "dé", ""] {
        assert_eq!(
            refused(Subject {
                country: Some(country.to_owned()),
                ..good.clone()
            }),
            SubjectProblem::Country(country.to_owned())
        );
    }
    for email in ["pki", "@a", "a@", "a@b@c", "ä@b", "a b@c"] {
        assert!(
            matches!(
                refused(Subject {
                    email: Some(email.to_owned()),
                    ..good.clone()
                }),
                SubjectProblem::Email(_)
            ),
            "{email}"
        );
    }
    for dns in [
        "",
        "a..b",
        "*.*.b",
        "a.*.b",
        "*",
        "a b",
        "-a.b",
        "ü.example",
        "a*.b",
    ] {
        assert!(
            matches!(
                refused(Subject {
                    dns_names: vec![dns.to_owned()],
                    ..good.clone()
                }),
                SubjectProblem::DnsName(_)
            ),
            "{dns}"
        );
    }
    assert_eq!(
        refused(Subject {
            dns_names: vec!["a.b".to_owned(); 101],
            ..good
        }),
        SubjectProblem::TooManyNames
    );
    for days in [0, crate::limits::SELF_SIGNED_DAYS_MAX + 1] {
        assert!(matches!(
            appliance.authority().self_signed(&SelfSigned {
                days,
                ..self_signed("one")
            }),
            Err(CreateError::Days(_))
        ));
    }
    assert!(appliance.authority().list(NOW).unwrap().is_empty());
}

#[test]
fn f83_a_name_is_taken_once() {
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .self_signed(&self_signed("one"))
        .unwrap();
    let error = appliance
        .authority()
        .self_signed(&self_signed("one"))
        .unwrap_err();
    assert!(matches!(
        error,
        CreateError::Store(StoreError::CertificateExists { .. })
    ));
}

#[test]
fn f70_the_list_tells_what_has_expired_and_what_has_not_begun() {
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .self_signed(&self_signed("one"))
        .unwrap();
    let mut status = |now| appliance.authority().list(now).unwrap()[0].status;
    assert_eq!(status(NOW), CertificateStatus::Valid);
    assert_eq!(status(NOW - DAY), CertificateStatus::Valid);
    assert_eq!(status(NOW - DAY - 1), CertificateStatus::NotYetValid);
    assert_eq!(status(NOW + 365 * DAY), CertificateStatus::Valid);
    assert_eq!(status(NOW + 365 * DAY + 1), CertificateStatus::Expired);
}

#[test]
fn f44_clients_trust_the_self_signed_certificate_itself() {
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .self_signed(&self_signed("one"))
        .unwrap();
    let mut export = |what| appliance.authority().export(&name("one"), what).unwrap();
    let anchor = export(Export::TrustAnchor);
    assert!(
        anchor.starts_with("-----BEGIN CERTIFICATE-----\n")
            && anchor.ends_with("-----END CERTIFICATE-----\n")
    );
    assert_eq!(export(Export::Certificate), anchor);
    assert_eq!(export(Export::Chain), anchor);
    assert!(matches!(
        appliance.authority().export(&name("none"), Export::Chain),
        Err(ExportError::Certificate(_))
    ));
}

#[test]
fn k146_what_is_exported_has_no_private_key() {
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .self_signed(&SelfSigned {
            exportable: true,
            ..self_signed("one")
        })
        .unwrap();
    for what in [Export::TrustAnchor, Export::Certificate, Export::Chain] {
        let pem = appliance.authority().export(&name("one"), what).unwrap();
        assert!(!pem.contains("PRIVATE"));
        assert_eq!(
            "trust-anchor certificate chain".contains(what.name()),
            what.name().parse::<Export>().is_ok()
        );
    }
    assert!("key".parse::<Export>().is_err());
}

#[test]
fn k143_no_key_bytes_are_in_any_file() {
    let mut appliance = Appliance::new();
    let mut keys = Vec::new();
    for key_type in [KeyType::P256, KeyType::Rsa2048] {
        let wanted = SelfSigned {
            key_type,
            ..self_signed(key_type.name())
        };
        appliance.authority().self_signed(&wanted).unwrap();
        keys.push(appliance.authority().private_key(&wanted.name).unwrap());
    }
    for entry in std::fs::read_dir(appliance.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // The P-256 scalar begins at byte 36 of its PKCS#8; an RSA key's primes lie in its second half.
        for secret in [&keys[0][36..68], &keys[1][700..732], &keys[1][900..932]] {
            assert!(
                !bytes.windows(16).any(|window| window == &secret[..16]),
                "{path:?}"
            );
        }
    }
}

#[test]
fn f57_keys_are_there_after_a_restart() {
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .self_signed(&self_signed("one"))
        .unwrap();
    let before = appliance.authority().private_key(&name("one")).unwrap();
    let mut appliance = appliance.restarted();
    assert_eq!(
        appliance.authority().private_key(&name("one")).unwrap(),
        before
    );
}

#[test]
fn a_certificate_in_use_is_not_deleted() {
    let mut appliance = Appliance::new();
    appliance
        .authority()
        .self_signed(&self_signed("one"))
        .unwrap();
    let references = ["client proxy `web` of profile `lab`".to_owned()];
    let error = appliance
        .authority()
        .delete(&name("one"), &references)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("client proxy `web` of profile `lab`"),
        "{error}"
    );
    assert_eq!(appliance.authority().list(NOW).unwrap().len(), 1);
    appliance.authority().delete(&name("one"), &[]).unwrap();
    assert!(appliance.authority().list(NOW).unwrap().is_empty());
    let error = appliance
        .authority()
        .delete(&name("one"), &references)
        .unwrap_err();
    assert!(matches!(
        error,
        CertificateError::Store(StoreError::NoSuchCertificate { .. })
    ));
    assert!(matches!(
        appliance.authority().private_key(&name("one")),
        Err(CertificateError::Store(_))
    ));
}
