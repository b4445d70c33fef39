//! Who issued it: self-signed, unknown, missing, fake, too long, in any order.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};

use super::*;
use crate::testing::{ca_params, p256};

#[test]
fn c01_a_valid_chain_of_three_is_trusted() {
    assert_eq!(
        with_intermediate(ca_params("intermediate")),
        OriginVerdict::Trusted
    );
}

#[test]
fn c02_a_self_signed_leaf_is_named_so_with_and_without_a_ca_flag() {
    let root = Authority::root("root");
    let mut own = leaf_params(&[HOST]);
    let plain = own.self_signed(&p256()).unwrap().der().clone();
    assert_eq!(verdict(&[&plain], &root), OriginVerdict::SelfSigned);
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = own.self_signed(&p256()).unwrap().der().clone();
    assert_eq!(verdict(&[&ca], &root), OriginVerdict::SelfSigned);
}

#[test]
fn c02_a_self_signed_leaf_that_the_operator_listed_is_trusted() {
    let mut own = leaf_params(&[HOST]);
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let listed = Authority::root_from(own.clone());
    assert_eq!(verdict(&[&listed.der], &listed), OriginVerdict::Trusted);
    let other = Authority::root_from(own.clone());
    assert_ne!(verdict(&[&other.der], &listed), OriginVerdict::Trusted);
    let name = ServerName::try_from("other.example").unwrap();
    assert_eq!(
        judge_for(&name, &[&listed.der], &listed, NOW),
        OriginVerdict::NameMismatch
    );
    let name = ServerName::try_from(HOST).unwrap();
    assert_eq!(
        judge_for(&name, &[&listed.der], &listed, 2_051_222_401),
        OriginVerdict::Expired
    );
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let for_clients = Authority::root_from(own);
    assert_eq!(
        verdict(&[&for_clients.der], &for_clients),
        OriginVerdict::SelfSigned
    );
    // A CA that is listed and has issued a CA-flagged leaf: the leaf itself is not listed.
    let root = Authority::root("root");
    let mut flagged = leaf_params(&[HOST]);
    flagged.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(
        verdict(&[&root.leaf(&flagged)], &root),
        OriginVerdict::Invalid
    );
}

#[test]
fn c02_a_leaf_that_only_names_itself_as_issuer_is_not_self_signed() {
    let root = Authority::root("root");
    let own = leaf_params(&[HOST]);
    let mut der = own.self_signed(&p256()).unwrap().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    assert_eq!(
        verdict(&[&CertificateDer::from(der)], &root),
        OriginVerdict::UnknownIssuer
    );
}

#[test]
fn c03_an_unknown_issuer_is_named_so() {
    let (known, unknown) = (Authority::root("known"), Authority::root("unknown"));
    let leaf = unknown.leaf(&leaf_params(&[HOST]));
    assert_eq!(verdict(&[&leaf], &known), OriginVerdict::UnknownIssuer);
    assert_eq!(
        verdict(&[&leaf, &unknown.der], &known),
        OriginVerdict::UnknownIssuer,
        "its own root helps nothing"
    );
}

#[test]
fn c04_a_missing_intermediate_is_an_unknown_issuer() {
    let root = Authority::root("root");
    let leaf = root
        .intermediate(ca_params("intermediate"))
        .leaf(&leaf_params(&[HOST]));
    assert_eq!(verdict(&[&leaf], &root), OriginVerdict::UnknownIssuer);
}

#[test]
fn c05_fake_root_with_trusted_dn_is_refused() {
    let (real, fake) = (Authority::root("root"), Authority::root("root"));
    let leaf = fake.leaf(&leaf_params(&[HOST]));
    assert_eq!(verdict(&[&leaf], &real), OriginVerdict::Invalid);
    assert_eq!(verdict(&[&leaf, &fake.der], &real), OriginVerdict::Invalid);
}

#[test]
fn c36_a_chain_of_our_own_forging_ca_is_an_unknown_issuer() {
    let (public, ours) = (Authority::root("public"), Authority::root("Sluice CA"));
    assert_eq!(
        verdict(&[&ours.leaf(&leaf_params(&[HOST])), &ours.der], &public),
        OriginVerdict::UnknownIssuer
    );
}

#[test]
fn c38_long_chains_and_cycles_are_bounded() {
    let root = Authority::root("root");
    let mut chain = vec![root.intermediate(ca_params("ca 0"))];
    for depth in 1..100 {
        let next = chain
            .last()
            .unwrap()
            .intermediate(ca_params(&format!("ca {depth}")));
        chain.push(next);
    }
    let leaf = chain.last().unwrap().leaf(&leaf_params(&[HOST]));
    let ders: Vec<_> = std::iter::once(&leaf)
        .chain(chain.iter().rev().map(|ca| &ca.der))
        .collect();
    assert_eq!(verdict(&ders, &root), OriginVerdict::Invalid);

    // Two CAs that certify each other, and no root.
    let (a, b) = (Authority::root("a"), Authority::root("b"));
    let a_by_b = b.issue(&a.params, &a.key);
    let b_by_a = a.issue(&b.params, &b.key);
    let leaf = a.leaf(&leaf_params(&[HOST]));
    assert_eq!(
        verdict(&[&leaf, &a_by_b, &b_by_a], &root),
        OriginVerdict::UnknownIssuer
    );
}

#[test]
fn c39_order_and_an_expired_alternate_do_not_matter() {
    let root = Authority::root("root");
    let upper = root.intermediate(ca_params("upper"));
    let lower = upper.intermediate(ca_params("lower"));
    let leaf = lower.leaf(&leaf_params(&[HOST]));
    assert_eq!(
        verdict(&[&leaf, &upper.der, &lower.der], &root),
        OriginVerdict::Trusted
    );
    let mut old = upper.params.clone();
    old.not_after = date_time_ymd(2027, 1, 1);
    let expired = root.issue(&old, &upper.key);
    assert_eq!(
        verdict(&[&leaf, &lower.der, &expired, &upper.der], &root),
        OriginVerdict::Trusted
    );
}

#[test]
fn c40_a_cross_signed_ca_is_trusted_through_the_root_that_is_known() {
    let (old, new) = (Authority::root("old"), Authority::root("new"));
    let cross = old.issue(&new.params, &new.key);
    let leaf = new.leaf(&leaf_params(&[HOST]));
    assert_eq!(verdict(&[&leaf, &cross], &old), OriginVerdict::Trusted);
    assert_eq!(verdict(&[&leaf, &cross], &new), OriginVerdict::Trusted);
}
