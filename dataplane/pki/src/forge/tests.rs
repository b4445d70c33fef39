use super::*;
use crate::test_support::{
    NOW, ca, ca_params, ca_with, issue, origin_params, random, request, rsa_key,
};
use rcgen::{
    BasicConstraints, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use std::path::Path;
use std::process::Command;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

mod constrained;
mod hostile;
mod openssl;

fn parse(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

fn san_value<'a>(certificate: &'a X509Certificate<'_>) -> &'a [u8] {
    let mut found = certificate
        .extensions()
        .iter()
        .filter(|extension| extension.oid.to_id_string() == "2.5.29.17");
    let value = found.next().unwrap().value;
    assert!(found.next().is_none());
    value
}

fn forged(request: &ForgeRequest) -> ForgedLeaf {
    forge(request, &mut random()).unwrap()
}

/// Replaces the first occurrence of `from`, of the same length.
fn patch(der: &CertificateDer<'_>, from: &[u8], to: &[u8]) -> CertificateDer<'static> {
    assert_eq!(from.len(), to.len());
    let mut bytes = der.to_vec();
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    CertificateDer::from(bytes)
}

#[test]
fn l43_subject_and_san_are_copied_byte_for_byte() {
    let mut params = origin_params(&[
        "origin.example",
        "*.origin.example",
        "10.201.2.2",
        "fd00:201::2:2",
    ]);
    params
        .subject_alt_names
        .push(SanType::Rfc822Name("a@origin.example".try_into().unwrap()));
    let origin = issue(&params);
    let leaf = forged(&request(&ca(), origin.clone()));
    let (origin, leaf) = (parse(&origin), parse(&leaf.chain[0]));
    assert_eq!(leaf.subject().as_raw(), origin.subject().as_raw());
    assert_eq!(san_value(&leaf), san_value(&origin));
}

#[test]
fn l44_version_3_and_a_positive_serial_that_never_repeats() {
    let request = request(&ca(), issue(&origin_params(&["origin.example"])));
    let mut serials = std::collections::BTreeSet::new();
    // A generator per leaf: as many restarts.
    for _ in 0..200 {
        let leaf = forge(&request, &mut CoreRandom::new().unwrap()).unwrap();
        let leaf = parse(&leaf.chain[0]);
        assert_eq!(leaf.version(), x509_parser::x509::X509Version::V3);
        let serial = leaf.raw_serial().to_vec();
        assert_eq!(serial.len(), SERIAL_BYTES);
        assert_eq!(serial[0] & 0x80, 0, "positive");
        assert!(serials.insert(serial));
    }
}

#[test]
fn l44_a_serial_is_positive_and_whole_whatever_the_generator_gives() {
    let request = request(&ca(), issue(&origin_params(&["origin.example"])));
    for random in [[0; SERIAL_BYTES], [0xff; SERIAL_BYTES]] {
        let leaf = forge_with_serial(&request, random).unwrap();
        let serial = parse(&leaf.chain[0]).raw_serial().to_vec();
        assert_eq!((serial.len(), serial[0] & 0xc0), (SERIAL_BYTES, 0x40));
    }
}

#[test]
fn l45_the_leaf_is_not_valid_longer_than_origin_or_ca() {
    for (origin_years, ca_years) in [
        ((2026, 2027), (2026, 2036)),
        ((2020, 2036), (2026, 2027)),
        ((2000, 2060), (2000, 2060)),
    ] {
        let mut params = origin_params(&["origin.example"]);
        params.not_before = date_time_ymd(origin_years.0, 6, 1);
        params.not_after = date_time_ymd(origin_years.1, 6, 1);
        let mut ca = ca_params("CA");
        ca.not_before = date_time_ymd(ca_years.0, 2, 1);
        ca.not_after = date_time_ymd(ca_years.1, 2, 1);
        let ca = ca_with(&ca, &KeyPair::generate().unwrap());
        let origin = issue(&params);
        let leaf = forged(&request(&ca, origin.clone()));
        let (leaf_not_after, parsed) = (leaf.not_after_unix_s, parse(&leaf.chain[0]));
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap();
        assert_eq!(seconds(parsed.validity().not_after), leaf_not_after);
        let origin_not_after = seconds(parse(&origin).validity().not_after);
        assert!(leaf_not_after <= origin_not_after.min(ca.not_after()));
        assert!(seconds(parsed.validity().not_before) >= ca.not_before());
        assert!(
            leaf_not_after - seconds(parsed.validity().not_before)
                <= crate::limits::LEAF_VALIDITY_S_MAX
        );
        assert!(seconds(parsed.validity().not_before) <= NOW && NOW < leaf.renew_at_unix_s);
        assert!(leaf.renew_at_unix_s < leaf_not_after);
    }
}

#[test]
fn l45_an_expired_origin_gets_an_expired_leaf_that_is_not_forged_again_and_again() {
    let mut params = origin_params(&["origin.example"]);
    params.not_before = date_time_ymd(2014, 1, 1);
    params.not_after = date_time_ymd(2015, 1, 1);
    let origin = issue(&params);
    let leaf = forged(&request(&ca(), origin.clone()));
    assert_eq!(parse(&leaf.chain[0]).validity(), parse(&origin).validity());
    assert_eq!(leaf.renew_at_unix_s, u64::MAX);
}

#[test]
fn dates_from_2050_on_are_generalized_time() {
    let mut params = origin_params(&["origin.example"]);
    params.not_before = date_time_ymd(2050, 1, 1);
    params.not_after = date_time_ymd(2051, 1, 1);
    let mut ca = ca_params("CA");
    ca.not_after = date_time_ymd(2060, 1, 1);
    let leaf = forged(&request(
        &ca_with(&ca, &KeyPair::generate().unwrap()),
        issue(&params),
    ));
    let bytes: &[u8] = &leaf.chain[0];
    for date in [b"\x18\x0f20500101000000Z", b"\x18\x0f20510101000000Z"] {
        assert!(bytes.windows(date.len()).any(|window| window == date));
    }
}

#[test]
fn l46_usages_are_a_servers_whatever_the_origin_has() {
    let mut params = origin_params(&["origin.example"]);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::CodeSigning,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let leaf = forged(&request(&ca(), issue(&params)));
    let leaf = parse(&leaf.chain[0]);
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 1, "digitalSignature alone");
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(
        extended.server_auth
            && !extended.any
            && !extended.client_auth
            && !extended.code_signing
            && extended.other.is_empty()
    );
    let extensions: Vec<String> = leaf
        .extensions()
        .iter()
        .map(|extension| extension.oid.to_id_string())
        .collect();
    assert_eq!(
        extensions,
        [
            "2.5.29.19",
            "2.5.29.15",
            "2.5.29.37",
            "2.5.29.14",
            "2.5.29.35",
            "2.5.29.17"
        ]
    );
}

fn authority_key_id(certificate: &X509Certificate<'_>) -> Vec<u8> {
    let found =
        certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    id.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                _ => None,
            });
    found.unwrap()
}

fn subject_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
}

#[test]
fn l47_the_leaf_is_no_ca_and_names_its_ca() {
    let mut params = origin_params(&["origin.example"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = ca();
    let leaf = forged(&request(&ca, issue(&params)));
    let (leaf, ca_certificate) = (parse(&leaf.chain[0]), parse(&ca.chain()[0]));
    let basic = leaf.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && !basic.value.ca);
    assert_eq!(
        Some(authority_key_id(&leaf)),
        subject_key_id(&ca_certificate)
    );
    assert_eq!(leaf.issuer().as_raw(), ca_certificate.subject().as_raw());
    assert!(subject_key_id(&leaf).is_some_and(|id| id.len() == 20));
}

#[test]
fn f160_a_ca_without_key_identifier_still_gives_leaves_one() {
    // rcgen always writes the identifier, so its OID is spoiled in the certificate (which nothing here verifies).
    let key = KeyPair::generate().unwrap();
    let certificate = ca_params("CA").self_signed(&key).unwrap().der().clone();
    let certificate = patch(
        &certificate,
        &[6, 3, 0x55, 0x1d, 0x0e],
        &[6, 3, 0x55, 0x1d, 0x7e],
    );
    assert_eq!(subject_key_id(&parse(&certificate)), None);
    let ca = Arc::new(SigningCa::new("ca", vec![certificate], key.serialized_der()).unwrap());
    let leaf = forged(&request(&ca, issue(&origin_params(&["origin.example"]))));
    assert_eq!(
        authority_key_id(&parse(&leaf.chain[0])),
        ca.subject_key_id()
    );
    assert_eq!(ca.subject_key_id().len(), 20);
}

#[test]
fn l51_the_leaf_carries_the_hashes_that_link_it_to_its_origin() {
    let origin = issue(&origin_params(&["origin.example"]));
    let leaf = forged(&request(&ca(), origin.clone()));
    assert_eq!(leaf.origin_sha256, crate::certificate_sha256(&origin));
    assert_eq!(leaf.sha256, crate::certificate_sha256(&leaf.chain[0]));
    assert_eq!(
        leaf.bytes,
        leaf.chain.iter().map(|der| der.len()).sum::<usize>()
    );
}

#[test]
fn c42_two_origins_of_one_name_get_two_leaves() {
    let ca = ca();
    let params = origin_params(&["origin.example"]);
    let (one, other) = (
        forged(&request(&ca, issue(&params))),
        forged(&request(&ca, issue(&params))),
    );
    assert_ne!(one.origin_sha256, other.origin_sha256);
    assert_ne!(one.sha256, other.sha256);
}

#[test]
fn an_origin_without_names_gets_the_one_the_client_asked_for() {
    let origin = issue(&origin_params(&[]));
    assert!(!names_itself(&origin));
    let ask = |name: &str| {
        let mut request = request(&ca(), origin.clone());
        request.server_name = Some(name.to_owned());
        let leaf = forged(&request);
        let leaf = parse(&leaf.chain[0]);
        leaf.subject_alternative_name()
            .unwrap()
            .map(|san| format!("{:?}", san.value.general_names))
    };
    assert_eq!(
        ask("Www.Origin.example").unwrap(),
        r#"[DNSName("www.origin.example")]"#
    );
    assert_eq!(ask("10.201.2.2").unwrap(), "[IPAddress([10, 201, 2, 2])]");
    assert_eq!(
        ask("fd00::1").unwrap(),
        "[IPAddress([253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])]"
    );
    for odd in [
        "*.origin.example",
        "",
        "a..b",
        "a b",
        "evil\0.example",
        "ünicode.example",
        &"a".repeat(64),
        &"a.".repeat(200),
    ] {
        assert_eq!(ask(odd), None, "{odd}");
    }
}

#[test]
fn the_name_asked_for_does_not_replace_the_origins_own() {
    let origin = issue(&origin_params(&["origin.example"]));
    let mut request = request(&ca(), origin.clone());
    request.server_name = Some("other.example".to_owned());
    let leaf = forged(&request);
    assert_eq!(
        san_value(&parse(&leaf.chain[0])),
        san_value(&parse(&origin))
    );
}

#[test]
fn an_empty_subject_makes_the_names_critical() {
    let mut params = origin_params(&["origin.example"]);
    params.distinguished_name = rcgen::DistinguishedName::new();
    let leaf = forged(&request(&ca(), issue(&params)));
    assert!(
        parse(&leaf.chain[0])
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .critical
    );
    params.subject_alt_names.clear();
    assert_eq!(
        forge(&request(&ca(), issue(&params)), &mut random()),
        Err(ForgeError::NothingToName)
    );
}

trait VerifyBy {
    fn verify_by(&self, ca: &SigningCa) -> bool;
}

impl VerifyBy for X509Certificate<'_> {
    /// An ECDSA P-256 signature, checked with ring.
    fn verify_by(&self, ca: &SigningCa) -> bool {
        let public = parse(&ca.chain()[0])
            .public_key()
            .subject_public_key
            .data
            .to_vec();
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, public)
            .verify(self.tbs_certificate.as_ref(), &self.signature_value.data)
            .is_ok()
    }
}
