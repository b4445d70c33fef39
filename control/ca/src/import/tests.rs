use super::*;
use crate::test_support::{Appliance, Files, name, self_signed};
use crate::{CertificateStatus, Export, ExportError, KeyType, SigningRequest, Subject};

mod formats;
mod requests;

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
fn k144_debug_shows_neither_passphrase_nor_file() {
    let import = Import {
        passphrase: Some("secret"),
        key_file: Some(b"secret"),
        ..import(b"secret")
    };
    let text = format!("{import:?}");
    assert_eq!(text, "Import { kind: Auto, replace: false, .. }");
}

#[test]
fn a_root_whose_signature_cannot_be_checked_is_a_root() {
    let files = Files::new();
    files.openssl("ecparam -name secp521r1 -genkey -noout -out p521.key");
    files.openssl("req -x509 -new -key p521.key -subj /CN=P-521 -days 3650 -config req.cnf -out p521.crt -addext basicConstraints=critical,CA:TRUE");
    files.issue("ca", "p521", "/CN=below", 100, "ca");
    let mut appliance = Appliance::new();
    let root = files.read("p521.crt");
    let imported = appliance
        .authority()
        .import(&name("p521"), &import(&root))
        .unwrap();
    assert_eq!(
        (imported[0].status, imported[0].self_signed),
        (CertificateStatus::Valid, true)
    );
    assert_eq!(imported[0].key_type, "ECDSA P-521");
    let below = files.joined(&["ca.crt", "ca.key", "p521.crt"]);
    let error = appliance
        .authority()
        .import(&name("below"), &import(&below))
        .unwrap_err();
    assert!(error.to_string().contains("cannot be checked"), "{error}");
}
