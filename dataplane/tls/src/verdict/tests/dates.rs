//! When it is good for.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};

use super::*;
use crate::testing::{ca_params, p256, params};

#[test]
fn c06_expired_leaf_intermediate_and_root() {
    let past = |mut params: CertificateParams| {
        params.not_after = date_time_ymd(2029, 1, 1);
        params
    };
    assert_eq!(
        with_leaf(&past(leaf_params(&[HOST]))),
        OriginVerdict::Expired
    );
    assert_eq!(
        with_intermediate(past(ca_params("intermediate"))),
        OriginVerdict::Expired
    );
    let root = Authority::root_from(past(ca_params("root")));
    assert_eq!(
        verdict(&[&root.leaf(&leaf_params(&[HOST]))], &root),
        OriginVerdict::Expired
    );
}

#[test]
fn c06_expired_at_different_times_is_still_expired() {
    let root = Authority::root("root");
    let mut middle = ca_params("intermediate");
    middle.not_after = date_time_ymd(2027, 1, 1);
    let middle = root.intermediate(middle);
    let mut leaf = leaf_params(&[HOST]);
    leaf.not_after = date_time_ymd(2029, 1, 1);
    assert_eq!(
        verdict(&[&middle.leaf(&leaf), &middle.der], &root),
        OriginVerdict::Expired
    );
}

#[test]
fn c06_expired_and_anything_worse_is_the_worse() {
    let (root, unknown) = (Authority::root("root"), Authority::root("unknown"));
    let mut old = leaf_params(&[HOST]);
    old.not_after = date_time_ymd(2029, 1, 1);
    assert_eq!(
        verdict(&[&unknown.leaf(&old)], &root),
        OriginVerdict::UnknownIssuer
    );
    assert_eq!(
        verdict(&[&old.self_signed(&p256()).unwrap().der().clone()], &root),
        OriginVerdict::SelfSigned
    );
    let mut elsewhere = leaf_params(&["other.example"]);
    elsewhere.not_after = date_time_ymd(2029, 1, 1);
    assert_eq!(
        verdict(&[&root.leaf(&elsewhere)], &root),
        OriginVerdict::NameMismatch
    );
    let mut wrong_use = old.clone();
    wrong_use.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(
        verdict(&[&root.leaf(&wrong_use)], &root),
        OriginVerdict::Invalid
    );
    let mut tampered = root.leaf(&old).to_vec();
    *tampered.last_mut().unwrap() ^= 1;
    assert_eq!(
        verdict(&[&CertificateDer::from(tampered)], &root),
        OriginVerdict::Invalid
    );
}

#[test]
fn c06_no_moment_at_which_all_were_valid_is_invalid() {
    let root = Authority::root("root");
    let mut middle = ca_params("intermediate");
    middle.not_before = date_time_ymd(2031, 1, 1);
    let middle = root.intermediate(middle);
    let mut leaf = leaf_params(&[HOST]);
    leaf.not_after = date_time_ymd(2029, 1, 1);
    assert_eq!(
        verdict(&[&middle.leaf(&leaf), &middle.der], &root),
        OriginVerdict::Invalid
    );
}

#[test]
fn c07_not_yet_valid_leaf_intermediate_and_root() {
    let future = |mut params: CertificateParams| {
        params.not_before = date_time_ymd(2031, 1, 1);
        params
    };
    assert_eq!(
        with_leaf(&future(leaf_params(&[HOST]))),
        OriginVerdict::NotYetValid
    );
    assert_eq!(
        with_intermediate(future(ca_params("intermediate"))),
        OriginVerdict::NotYetValid
    );
    let root = Authority::root_from(future(ca_params("root")));
    assert_eq!(
        verdict(&[&root.leaf(&leaf_params(&[HOST]))], &root),
        OriginVerdict::NotYetValid
    );
}

#[test]
fn c08_validity_ends_and_begins_to_the_second() {
    let root = Authority::root("root");
    let leaf = root.leaf(&leaf_params(&[HOST]));
    let name = ServerName::try_from(HOST).unwrap();
    let (begins, ends) = (1_735_689_600, 2_051_222_400);
    for (moment, expected) in [
        (begins - 1, OriginVerdict::NotYetValid),
        (begins, OriginVerdict::Trusted),
        (ends, OriginVerdict::Trusted),
        (ends + 1, OriginVerdict::Expired),
    ] {
        assert_eq!(
            judge_for(&name, &[&leaf], &root, moment),
            expected,
            "at {moment}"
        );
    }
}

#[test]
fn an_authority_whose_dates_are_over_is_not_trusted_even_beside_a_good_one() {
    let good = Authority::root("root");
    let mut params = params("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2027, 1, 1);
    let expired = Authority::root_from(params);
    let trust = TrustStore::new(false, &[good.der.clone(), expired.der.clone()]).unwrap();
    let leaf = expired.leaf(&leaf_params(&[HOST]));
    let verdict = judge(&Question {
        leaf: &leaf,
        intermediates: &[],
        name: &ServerName::try_from(HOST).unwrap(),
        trust: &trust,
        algorithms: provider::verification_algorithms().all,
        minimum_key_bits: 2048,
        now_unix_s: NOW,
    });
    assert_eq!(verdict, OriginVerdict::Expired);
}
