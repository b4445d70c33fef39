use sluice_schema::KeyId;

use super::*;
use crate::testing::{NOW, Shelf, configuration};

#[test]
fn a_snapshot_has_every_certificate_once_and_keys_where_they_are_needed() {
    let prepared = prepare(Generation(7), &configuration(), &Shelf::full(), NOW).unwrap();
    assert_eq!(prepared.snapshot.generation, Generation(7));
    let named: Vec<_> = prepared
        .snapshot
        .certificates
        .iter()
        .map(|one| (one.name.as_str(), one.key))
        .collect();
    let expected = [
        ("lab-root", None),
        ("site-a", Some(KeyId(1))),
        ("sluice-ca", Some(KeyId(2))),
        ("sluice-untrusted-ca", Some(KeyId(3))),
    ];
    assert_eq!(named, expected);
    let keys: Vec<_> = prepared
        .keys
        .iter()
        .map(|(id, key)| (*id, key.as_slice()))
        .collect();
    let expected = [
        (KeyId(1), &b"site-a"[..]),
        (KeyId(2), b"sluice-ca"),
        (KeyId(3), b"sluice-untrusted-ca"),
    ];
    assert_eq!(keys, expected);
    assert_eq!(prepared.warnings, []);
}

#[test]
fn every_missing_thing_is_named_at_once() {
    let mut shelf = Shelf::full();
    shelf.0.remove("lab-root");
    shelf.change("sluice-ca", |facts| facts.authority = false);
    shelf.change("site-a", |facts| facts.has_key = false);
    let problems = prepare(Generation(1), &configuration(), &shelf, NOW).unwrap_err();
    let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "profile `lab`, `web`: the signing certificate `sluice-ca` may not sign certificates (no CA); name a CA certificate",
        "profile `lab`, `default`: the authority `lab-root` is not in the certificate store; import it with `sluice certificate import lab-root`",
        "profile `lab`, `dmz`: the server certificate `site-a` has no private key; import it again with its key",
    ];
    assert_eq!(messages, expected);
    assert_eq!(
        check(&configuration(), &shelf, NOW).unwrap_err().len(),
        3,
        "check finds the same"
    );
}

#[test]
fn f137_an_expired_certificate_is_warned_of_and_does_not_stop_the_generation() {
    let mut shelf = Shelf::full();
    shelf.change("sluice-ca", |facts| facts.not_after_unix_s = NOW - 1);
    shelf.change("site-a", |facts| facts.not_after_unix_s = NOW + 86_400);
    shelf.change("lab-root", |facts| facts.not_before_unix_s = NOW + 60);
    let warnings = prepare(Generation(1), &configuration(), &shelf, NOW)
        .unwrap()
        .warnings;
    let expected = [
        Warning::NotYetValid {
            certificate: "lab-root".to_owned(),
            not_before_unix_s: NOW + 60,
        },
        Warning::Expiring {
            certificate: "site-a".to_owned(),
            not_after_unix_s: NOW + 86_400,
        },
        Warning::Expired {
            certificate: "sluice-ca".to_owned(),
            not_after_unix_s: NOW - 1,
        },
    ];
    assert_eq!(warnings, expected);
    assert_eq!(warnings[2].event().name(), "certificate-expired");
    assert!(warnings[2].to_string().contains("sluice-ca"));
    assert_eq!(check(&configuration(), &shelf, NOW).unwrap(), warnings);
}

#[test]
fn a_store_that_fails_is_named_and_asked_once_per_certificate() {
    struct Broken;
    impl CertificateSource for Broken {
        fn certificate(
            &self,
            _: &CertificateName,
        ) -> Result<Option<CertificateFacts>, SourceError> {
            Err("disk on fire".into())
        }
        fn private_key(&self, _: &CertificateName) -> Result<Zeroizing<Vec<u8>>, SourceError> {
            Err("disk on fire".into())
        }
    }
    let problems = check(&configuration(), &Broken, NOW).unwrap_err();
    assert_eq!(problems.len(), 4);
    assert_eq!(
        problems[0].to_string(),
        "the certificate `sluice-ca` cannot be read: disk on fire"
    );
}

#[test]
fn a_key_that_cannot_be_opened_stops_the_generation() {
    struct Locked(Shelf);
    impl CertificateSource for Locked {
        fn certificate(
            &self,
            name: &CertificateName,
        ) -> Result<Option<CertificateFacts>, SourceError> {
            self.0.certificate(name)
        }
        fn private_key(&self, _: &CertificateName) -> Result<Zeroizing<Vec<u8>>, SourceError> {
            Err("the master key is another one".into())
        }
    }
    let problems =
        prepare(Generation(1), &configuration(), &Locked(Shelf::full()), NOW).unwrap_err();
    assert_eq!(problems.len(), 3);
    assert!(
        problems[0]
            .to_string()
            .contains("the master key is another one")
    );
}
