//! Whom it names, and whom its issuers may name.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{CidrSubnet, DnType, GeneralSubtree, NameConstraints, SanType};

use super::*;
use crate::testing::{ca_params, extension, tlv};

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
