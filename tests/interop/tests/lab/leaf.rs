//! The forged leaf, read with OpenSSL: what it takes from the origin's and what it does not.

use std::path::Path;

use sluice_interop::Lab;

/// The leaf that a client sees for a name, as a PEM file.
fn seen(lab: &Lab, name: &str) -> tempfile::NamedTempFile {
    let outcome = lab
        .client(&[
            "openssl",
            "s_client",
            "-connect",
            "10.201.2.2:443",
            "-servername",
            name,
            "-showcerts",
        ])
        .unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let start = outcome
        .stdout
        .find("-----BEGIN CERTIFICATE")
        .unwrap_or_else(|| panic!("{outcome:?}"));
    let stop = outcome.stdout.find(end).unwrap() + end.len();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &outcome.stdout[start..stop]).unwrap();
    file
}

/// What `openssl x509` prints of a certificate.
fn print(lab: &Lab, file: &Path, options: &[&str]) -> String {
    let path = file.display().to_string();
    let mut argv = vec!["openssl", "x509", "-in", &path, "-noout"];
    argv.extend(options);
    let outcome = lab.client(&argv).unwrap();
    assert!(outcome.ok(), "{}", outcome.stderr);
    outcome.stdout
}

#[test]
fn l43_subject_and_alternative_names_are_the_origins() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    for (host, leaf) in [
        ("good.lab.test", "good"),
        ("a.wild.lab.test", "any"),
        ("rsa.lab.test", "rsa"),
    ] {
        let forged = seen(&lab, host);
        let origin = lab.facts.pki_dir.join(format!("{leaf}.crt"));
        for options in [&["-subject"][..], &["-ext", "subjectAltName"]] {
            assert_eq!(
                print(&lab, forged.path(), options),
                print(&lab, &origin, options),
                "{host}"
            );
        }
        assert_ne!(
            print(&lab, forged.path(), &["-pubkey"]),
            print(&lab, &origin, &["-pubkey"]),
            "{host}"
        );
    }
}

#[test]
fn l44_l46_l47_the_leaf_is_v3_with_its_own_serial_usages_and_key_identifiers() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let forged = seen(&lab, "good.lab.test");
    let text = print(&lab, forged.path(), &["-text"]);
    assert!(text.contains("Version: 3 (0x2)"), "{text}");
    let usages = print(
        &lab,
        forged.path(),
        &["-ext", "keyUsage,extendedKeyUsage,basicConstraints"],
    );
    assert!(
        usages.contains("Digital Signature") && !usages.contains("Digital Signature,"),
        "{usages}"
    );
    assert!(
        usages.contains("TLS Web Server Authentication") && !usages.contains("Authentication,"),
        "{usages}"
    );
    assert!(usages.contains("CA:FALSE"), "{usages}");
    let identifier = |file: &Path, extension: &str| {
        let printed = print(&lab, file, &["-ext", extension]);
        printed
            .lines()
            .nth(1)
            .unwrap_or_default()
            .trim()
            .trim_start_matches("keyid:")
            .to_owned()
    };
    let authority = identifier(forged.path(), "authorityKeyIdentifier");
    assert_eq!(
        authority,
        identifier(&lab.facts.trust_anchor, "subjectKeyIdentifier")
    );
    assert!(!authority.is_empty());
    let serial = |file: &Path| {
        print(&lab, file, &["-serial"])
            .trim()
            .trim_start_matches("serial=")
            .to_owned()
    };
    let other = seen(&lab, "rsa.lab.test");
    assert_ne!(serial(forged.path()), serial(other.path()));
    assert_ne!(
        serial(forged.path()),
        serial(&lab.facts.pki_dir.join("good.crt"))
    );
    assert!(serial(forged.path()).len() >= 32 && !serial(forged.path()).starts_with('-'));
}

#[test]
fn l45_the_leaf_is_valid_no_longer_than_the_origins_and_the_authority() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let forged = seen(&lab, "good.lab.test");
    let seconds = |file: &Path| {
        let printed = print(&lab, file, &["-enddate"]);
        let date = printed.trim().trim_start_matches("notAfter=").to_owned();
        let outcome = lab.client(&["date", "-d", &date, "+%s"]).unwrap();
        outcome.stdout.trim().parse::<u64>().unwrap()
    };
    let end = seconds(forged.path());
    assert!(end <= seconds(&lab.facts.trust_anchor));
    assert!(end <= seconds(&lab.facts.pki_dir.join("good.crt")));
}

#[test]
fn l51_the_event_links_the_origins_certificate_to_the_leaf() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let response = sluice_interop::Curl::get("https://good.lab.test/")
        .with(&["-4"])
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!(response.exit, 0, "{response:?}");
    let forged = seen(&lab, "good.lab.test");
    let digest = |file: &Path| {
        let printed = print(&lab, file, &["-fingerprint", "-sha256"]);
        printed
            .trim()
            .rsplit('=')
            .next()
            .unwrap_or_default()
            .replace(':', "")
            .to_lowercase()
    };
    let event = lab.event(response.local_port).unwrap();
    assert_eq!(
        event.field("origin_sha256"),
        digest(&lab.facts.pki_dir.join("good.crt"))
    );
    assert_eq!(
        event.field("forged_sha256"),
        digest(forged.path()),
        "the cached leaf is the one shown again"
    );
}
