//! How it is made: versions, constraints, usages, extensions, and what is no certificate.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use super::*;
use crate::testing::{ca_params, elements, extension, tlv};

#[test]
fn c18_an_intermediate_that_is_no_ca_is_refused() {
    let mut no_ca = ca_params("intermediate");
    no_ca.is_ca = IsCa::ExplicitNoCa;
    assert_eq!(with_intermediate(no_ca), OriginVerdict::Invalid);
}

#[test]
fn c19_an_intermediate_without_basic_constraints_is_refused() {
    let mut absent = ca_params("intermediate");
    absent.is_ca = IsCa::NoCa;
    assert_eq!(with_intermediate(absent), OriginVerdict::Invalid);
}

#[test]
fn c20_a_version_1_intermediate_is_refused() {
    let root = Authority::root("root");
    let middle = root.intermediate(ca_params("intermediate"));
    let version1 = resigned(&middle.der, &root.key, None, |fields| {
        fields.remove(0);
        fields.pop();
    });
    let leaf = middle.leaf(&leaf_params(&[HOST]));
    assert_eq!(verdict(&[&leaf, &version1], &root), OriginVerdict::Invalid);
}

#[test]
fn c20_a_version_1_leaf_is_refused() {
    let verdict = with_changed_leaf(|fields| {
        fields.remove(0);
        fields.pop();
    });
    assert_eq!(verdict, OriginVerdict::Invalid);
}

#[test]
fn c21_a_violated_path_length_is_refused() {
    let root = Authority::root("root");
    let mut short = ca_params("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = root.intermediate(short);
    let below = short.intermediate(ca_params("below"));
    let leaf = below.leaf(&leaf_params(&[HOST]));
    assert_eq!(
        verdict(&[&leaf, &below.der, &short.der], &root),
        OriginVerdict::Invalid
    );
    assert_eq!(
        verdict(&[&short.leaf(&leaf_params(&[HOST])), &short.der], &root),
        OriginVerdict::Trusted
    );
}

#[test]
fn c22_an_intermediate_that_may_not_sign_certificates_is_refused() {
    let mut no_signing = ca_params("intermediate");
    no_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    assert_eq!(with_intermediate(no_signing), OriginVerdict::Invalid);
}

#[test]
fn c24_the_leaf_must_be_for_servers_or_say_nothing() {
    let with = |usages: Vec<ExtendedKeyUsagePurpose>| {
        let mut leaf = leaf_params(&[HOST]);
        leaf.extended_key_usages = usages;
        with_leaf(&leaf)
    };
    assert_eq!(with(vec![]), OriginVerdict::Trusted);
    assert_eq!(
        with(vec![ExtendedKeyUsagePurpose::ClientAuth]),
        OriginVerdict::Invalid
    );
    assert_eq!(
        with(vec![ExtendedKeyUsagePurpose::CodeSigning]),
        OriginVerdict::Invalid
    );
    let mut empty = leaf_params(&[HOST]);
    empty.extended_key_usages = vec![];
    empty.custom_extensions = vec![extension(&[2, 5, 29, 37], false, &[0x30, 0])];
    assert_eq!(with_leaf(&empty), OriginVerdict::Invalid);
}

#[test]
fn c25_a_key_usage_without_digital_signature_is_refused() {
    let mut leaf = leaf_params(&[HOST]);
    leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    assert_eq!(with_leaf(&leaf), OriginVerdict::Invalid);
    leaf.key_usages = vec![];
    assert_eq!(with_leaf(&leaf), OriginVerdict::Trusted);
}

#[test]
fn c26_an_unknown_critical_extension_is_refused() {
    let mut leaf = leaf_params(&[HOST]);
    leaf.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], true, &[5, 0])];
    assert_eq!(with_leaf(&leaf), OriginVerdict::Invalid);
    leaf.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], false, &[5, 0])];
    assert_eq!(with_leaf(&leaf), OriginVerdict::Trusted);
}

#[test]
fn c27_duplicate_and_malformed_extensions_are_refused() {
    let doubled = with_changed_leaf(|fields| {
        let last = fields.pop().unwrap();
        let list = elements(&last).remove(0);
        let mut extensions = elements(&list);
        extensions.push(extensions[0].clone());
        fields.push(tlv(0xa3, &tlv(0x30, &extensions.concat())));
    });
    assert_eq!(doubled, OriginVerdict::Invalid);
    for content in [
        vec![],
        vec![0x30, 5],
        vec![0xff; 40],
        tlv(0x30, &[0x82, 200, 1]),
    ] {
        let mut leaf = leaf_params(&[]);
        leaf.custom_extensions = vec![extension(&[2, 5, 29, 17], false, &content)];
        assert_ne!(with_leaf(&leaf), OriginVerdict::Trusted, "{content:02x?}");
    }
}

#[test]
fn a_certificate_that_is_no_certificate_is_invalid() {
    let root = Authority::root("root");
    for der in [
        vec![],
        vec![0x30],
        vec![0x30, 0x80, 0, 0],
        vec![0; 1000],
        vec![0x30; 60_000],
    ] {
        assert_eq!(
            verdict(&[&CertificateDer::from(der)], &root),
            OriginVerdict::Invalid
        );
    }
    let mut padded = root.leaf(&leaf_params(&[HOST])).to_vec();
    padded.push(0);
    assert_eq!(
        verdict(&[&CertificateDer::from(padded)], &root),
        OriginVerdict::Invalid
    );
}
