//! Rows C of the test catalogue: certificates an origin may show, and what they are worth.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

use super::*;
use crate::provider;
use crate::testing::{
    Authority, NOW, ca_params, elements, extension, leaf_params, p256, params, resigned, rsa_2048,
    tlv,
};

const HOST: &str = "www.site.example";

fn judge_for(
    name: &ServerName<'_>,
    chain: &[&CertificateDer<'static>],
    root: &Authority,
    now_unix_s: u64,
) -> OriginVerdict {
    let [leaf, intermediates @ ..] = chain else {
        panic!("a chain has a leaf")
    };
    let intermediates: Vec<_> = intermediates.iter().map(|&der| der.clone()).collect();
    judge(&Question {
        leaf,
        intermediates: &intermediates,
        name,
        trust: &root.trust(),
        algorithms: provider::verification_algorithms().all,
        minimum_key_bits: 2048,
        now_unix_s,
    })
}

fn verdict(chain: &[&CertificateDer<'static>], root: &Authority) -> OriginVerdict {
    judge_for(&ServerName::try_from(HOST).unwrap(), chain, root, NOW)
}

/// A root, an intermediate from `intermediate`, and the verdict on a good leaf under it.
fn with_intermediate(intermediate: CertificateParams) -> OriginVerdict {
    let root = Authority::root("root");
    let intermediate = root.intermediate(intermediate);
    let leaf = intermediate.leaf(&leaf_params(&[HOST]));
    verdict(&[&leaf, &intermediate.der], &root)
}

fn with_leaf(leaf: &CertificateParams) -> OriginVerdict {
    let root = Authority::root("root");
    verdict(&[&root.leaf(leaf)], &root)
}

/// The verdict on a good leaf whose TBSCertificate was changed and signed again.
fn with_changed_leaf(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> OriginVerdict {
    let root = Authority::root("root");
    let leaf = resigned(&root.leaf(&leaf_params(&[HOST])), &root.key, None, change);
    verdict(&[&leaf], &root)
}

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
fn c09_a_wrong_host_is_a_name_mismatch() {
    assert_eq!(
        with_leaf(&leaf_params(&["www.other.example"])),
        OriginVerdict::NameMismatch
    );
}

#[test]
fn c10_a_common_name_without_san_names_nothing() {
    let mut leaf = leaf_params(&[]);
    leaf.distinguished_name.push(DnType::CommonName, HOST);
    assert_eq!(with_leaf(&leaf), OriginVerdict::NameMismatch);
}

#[test]
fn c11_a_matching_common_name_beside_a_wrong_san_names_nothing() {
    let mut leaf = leaf_params(&["other.example"]);
    leaf.distinguished_name.push(DnType::CommonName, HOST);
    assert_eq!(with_leaf(&leaf), OriginVerdict::NameMismatch);
}

#[test]
fn c12_wildcards_stand_for_one_whole_leftmost_label() {
    let root = Authority::root("root");
    for (pattern, host, trusted) in [
        ("*.site.example", "www.site.example", true),
        ("*.site.example", "site.example", false),
        ("*.site.example", "a.b.site.example", false),
        ("www.*.example", "www.site.example", false),
        ("w*.site.example", "www.site.example", false),
        ("*w.site.example", "www.site.example", false),
        ("*.*.example", "www.site.example", false),
        ("*", "example", false),
        ("*.example", "site.example", false),
        ("*.com", "site.com", false),
        ("www.site.example", "WWW.Site.Example", true),
    ] {
        let mut params = leaf_params(&[]);
        params.subject_alt_names = vec![SanType::DnsName(pattern.try_into().unwrap())];
        let verdict = judge_for(
            &ServerName::try_from(host).unwrap(),
            &[&root.leaf(&params)],
            &root,
            NOW,
        );
        assert_eq!(
            verdict == OriginVerdict::Trusted,
            trusted,
            "{pattern} for {host}: {verdict}"
        );
    }
}

#[test]
fn c13_an_address_needs_an_exact_ip_san() {
    let root = Authority::root("root");
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let name = ServerName::IpAddress(address.into());
    let exact = root.leaf(&leaf_params(&["192.0.2.1"]));
    assert_eq!(
        judge_for(&name, &[&exact], &root, NOW),
        OriginVerdict::Trusted
    );
    let other = root.leaf(&leaf_params(&["192.0.2.2"]));
    assert_eq!(
        judge_for(&name, &[&other], &root, NOW),
        OriginVerdict::NameMismatch
    );
    let mut as_dns = leaf_params(&[]);
    as_dns.subject_alt_names = vec![SanType::DnsName("192.0.2.1".try_into().unwrap())];
    assert_ne!(
        judge_for(&name, &[&root.leaf(&as_dns)], &root, NOW),
        OriginVerdict::Trusted
    );
    let mut as_common_name = leaf_params(&["other.example"]);
    as_common_name
        .distinguished_name
        .push(DnType::CommonName, "192.0.2.1");
    assert_eq!(
        judge_for(&name, &[&root.leaf(&as_common_name)], &root, NOW),
        OriginVerdict::NameMismatch
    );
}

#[test]
fn c15_odd_names_in_the_certificate_never_match_and_never_crash() {
    for odd in [
        "",
        "www.site.example\0.evil.example",
        "-.example",
        "under_score.example",
        "münchen.example",
        ".",
    ] {
        let content = tlv(0x30, &tlv(0x82, odd.as_bytes()));
        let mut leaf = leaf_params(&[]);
        leaf.custom_extensions = vec![extension(&[2, 5, 29, 17], false, &content)];
        assert_ne!(with_leaf(&leaf), OriginVerdict::Trusted, "{odd:?}");
    }
    let long = "a".repeat(70_000);
    let mut leaf = leaf_params(&[]);
    leaf.custom_extensions = vec![extension(
        &[2, 5, 29, 17],
        false,
        &tlv(0x30, &tlv(0x82, long.as_bytes())),
    )];
    assert_ne!(with_leaf(&leaf), OriginVerdict::Trusted);
}

#[test]
fn c16_a_flipped_byte_anywhere_is_refused() {
    let root = Authority::root("root");
    let good = root.leaf(&leaf_params(&[HOST]));
    assert_eq!(verdict(&[&good], &root), OriginVerdict::Trusted);
    for index in 0..good.len() {
        let mut der = good.to_vec();
        der[index] ^= 0x01;
        assert_ne!(
            verdict(&[&CertificateDer::from(der)], &root),
            OriginVerdict::Trusted,
            "byte {index}"
        );
    }
}

#[test]
fn c17_inner_and_outer_signature_algorithms_must_agree() {
    let root = Authority::root("root");
    let good = root.leaf(&leaf_params(&[HOST]));
    // ecdsa-with-SHA384 outside, ecdsa-with-SHA256 inside; the signature itself is good.
    let sha384 = [
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03,
    ];
    let leaf = resigned(&good, &root.key, Some(&sha384), |_| {});
    assert_eq!(verdict(&[&leaf], &root), OriginVerdict::Invalid);
}

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
fn c23_name_constraints_permit_and_exclude() {
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let constrained = |permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>| {
        let mut params = ca_params("intermediate");
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: excluded,
        });
        params
    };
    assert_eq!(
        with_intermediate(constrained(vec![dns("site.example")], vec![])),
        OriginVerdict::Trusted
    );
    assert_eq!(
        with_intermediate(constrained(vec![dns("other.example")], vec![])),
        OriginVerdict::Invalid
    );
    assert_eq!(
        with_intermediate(constrained(vec![], vec![dns("site.example")])),
        OriginVerdict::Invalid
    );

    let root = Authority::root("root");
    let subnet = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([198, 51, 100, 0], 24));
    let middle = root.intermediate(constrained(vec![subnet], vec![]));
    let outside = middle.leaf(&leaf_params(&["192.0.2.1"]));
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into());
    assert_eq!(
        judge_for(&name, &[&outside, &middle.der], &root, NOW),
        OriginVerdict::Invalid
    );

    let mut directory = rcgen::DistinguishedName::new();
    directory.push(DnType::OrganizationName, "Another");
    let by_name = constrained(vec![GeneralSubtree::DirectoryName(directory)], vec![]);
    assert_ne!(with_intermediate(by_name), OriginVerdict::Trusted);
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
fn c28_a_sha1_signature_is_refused() {
    let root = Authority::root("root");
    // ecdsa-with-SHA1, inside and outside.
    let sha1 = [
        0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01,
    ];
    let leaf = resigned(
        &root.leaf(&leaf_params(&[HOST])),
        &root.key,
        Some(&sha1),
        |fields| fields[2] = sha1.to_vec(),
    );
    assert_eq!(verdict(&[&leaf], &root), OriginVerdict::Invalid);
}

#[test]
fn c29_weak_and_unusable_keys() {
    let rows: [(&str, &[u8], &[OriginVerdict]); 6] = [
        (
            "rsa-512",
            include_bytes!("../../testdata/rsa-512.spki"),
            &[OriginVerdict::WeakKey],
        ),
        (
            "rsa-1016",
            include_bytes!("../../testdata/rsa-1016.spki"),
            &[OriginVerdict::WeakKey],
        ),
        (
            "rsa-1024",
            include_bytes!("../../testdata/rsa-1024.spki"),
            &[OriginVerdict::WeakKey],
        ),
        (
            "p-192",
            include_bytes!("../../testdata/p-192.spki"),
            &[OriginVerdict::WeakKey],
        ),
        (
            "dsa-1024",
            include_bytes!("../../testdata/dsa-1024.spki"),
            &[OriginVerdict::WeakKey],
        ),
        (
            "explicit curve",
            include_bytes!("../../testdata/p-256-explicit.spki"),
            &[OriginVerdict::Invalid],
        ),
    ];
    for (name, spki, expected) in rows {
        let verdict = with_changed_leaf(|fields| fields[6] = spki.to_vec());
        assert!(expected.contains(&verdict), "{name}: {verdict}");
    }
}

#[test]
fn c29_the_minimum_is_the_proxys_and_exact() {
    let root = Authority::root("root");
    let leaf = root.issue(&leaf_params(&[HOST]), &rsa_2048());
    let name = ServerName::try_from(HOST).unwrap();
    let with_minimum = |minimum_key_bits| {
        judge(&Question {
            leaf: &leaf,
            intermediates: &[],
            name: &name,
            trust: &root.trust(),
            algorithms: provider::verification_algorithms().all,
            minimum_key_bits,
            now_unix_s: NOW,
        })
    };
    assert_eq!(with_minimum(2048), OriginVerdict::Trusted);
    assert_eq!(with_minimum(2049), OriginVerdict::WeakKey);
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
fn c37_many_names_are_bounded_and_found() {
    let mut leaf = leaf_params(&[]);
    leaf.subject_alt_names = (0..1000)
        .map(|i| SanType::DnsName(format!("host-{i}.example").try_into().unwrap()))
        .collect();
    assert_eq!(with_leaf(&leaf), OriginVerdict::NameMismatch);
    leaf.subject_alt_names
        .push(SanType::DnsName(HOST.try_into().unwrap()));
    assert_eq!(with_leaf(&leaf), OriginVerdict::Trusted);
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
