use super::*;
use crate::test_support::{NOW, ca, ca_params, rsa_key};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn self_signed(params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
    params.self_signed(key).unwrap().der().clone()
}

fn new(params: &CertificateParams) -> Result<SigningCa, SigningCaError> {
    let key = key();
    SigningCa::new("lab", vec![self_signed(params, &key)], key.serialized_der())
}

fn named() -> String {
    "lab".to_owned()
}

#[test]
fn f43_what_is_not_a_ca_is_refused() {
    let mut params = ca_params("CA");
    for not_a_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        params.is_ca = not_a_ca;
        assert_eq!(
            new(&params).unwrap_err(),
            SigningCaError::NotACa { name: named() }
        );
    }
}

#[test]
fn f43_a_ca_that_may_not_sign_certificates_is_refused() {
    let mut params = ca_params("CA");
    params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    assert_eq!(
        new(&params).unwrap_err(),
        SigningCaError::MayNotSign { name: named() }
    );
    // RFC 5280 6.1.4 (n): without keyUsage there is nothing that forbids it.
    params.key_usages.clear();
    assert!(new(&params).is_ok());
}

#[test]
fn a_ca_for_other_purposes_is_refused() {
    let mut params = ca_params("CA");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    assert_eq!(
        new(&params).unwrap_err(),
        SigningCaError::NotForServers { name: named() }
    );
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    assert!(new(&params).is_ok());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    assert!(new(&params).is_ok());
}

#[test]
fn f43_a_key_of_another_certificate_is_refused() {
    let certificate = self_signed(&ca_params("CA"), &key());
    let refused = |pkcs8: &[u8]| match SigningCa::new("lab", vec![certificate.clone()], pkcs8) {
        Err(SigningCaError::Key { name, problem }) if name == "lab" => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(key().serialized_der()), KeyProblem::Mismatch);
    let rsa = rsa_key(aws_lc_rs::rsa::KeySize::Rsa2048);
    assert!(matches!(
        refused(rsa.serialized_der()),
        KeyProblem::Rejected {
            expected: "ECDSA P-256",
            ..
        }
    ));
    assert!(matches!(refused(b""), KeyProblem::Rejected { .. }));
}

#[test]
fn a_key_that_cannot_sign_here_is_named() {
    // P-256's identifier (..3.1.7) becomes that of secp224r1's neighbour (..3.1.6), which nobody supports.
    let key = key();
    let der = self_signed(&ca_params("CA"), &key);
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let at = der
        .windows(curve.len())
        .position(|window| window == curve)
        .unwrap();
    let mut bytes = der.to_vec();
    bytes[at + 7] = 6;
    let error = SigningCa::new(
        "lab",
        vec![CertificateDer::from(bytes)],
        key.serialized_der(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1.2.840.10045.2.1, curve 1.2.840.10045.3.1.6"),
        "{error}"
    );
}

#[test]
fn a_disordered_or_unreadable_chain_is_refused() {
    let (root_key, ca_key) = (key(), key());
    let root = ca_params("root");
    let root_der = self_signed(&root, &root_key);
    let ca_der = ca_params("CA")
        .signed_by(&ca_key, &Issuer::new(root, root_key))
        .unwrap()
        .der()
        .clone();
    let make = |chain: &[&CertificateDer<'static>]| {
        SigningCa::new(
            "lab",
            chain.iter().map(|&der| der.clone()).collect(),
            ca_key.serialized_der(),
        )
    };
    assert!(make(&[&ca_der, &root_der]).is_ok());
    let stranger = self_signed(&ca_params("stranger"), &key());
    assert_eq!(
        make(&[&ca_der, &stranger]).unwrap_err(),
        SigningCaError::ChainBroken {
            name: named(),
            position: 1
        }
    );
    assert_eq!(
        make(&[]).unwrap_err(),
        SigningCaError::NoCertificate { name: named() }
    );
    let noise = CertificateDer::from(vec![0x30, 3, 1, 2, 3]);
    assert!(matches!(
        make(&[&ca_der, &noise]),
        Err(SigningCaError::Malformed { position: 2, .. })
    ));
    let trailing = CertificateDer::from([&ca_der[..], &[0]].concat());
    assert!(matches!(
        make(&[&trailing]),
        Err(SigningCaError::Malformed { position: 1, .. })
    ));
    let huge = CertificateDer::from(vec![0x30; CA_CERTIFICATE_BYTES_MAX + 1]);
    assert!(matches!(
        make(&[&huge]),
        Err(SigningCaError::Malformed {
            position: 1,
            what: "it is too large",
            ..
        })
    ));
    let count = CA_CHAIN_CERTIFICATES_MAX + 1;
    assert_eq!(
        make(&vec![&root_der; count]).unwrap_err(),
        SigningCaError::ChainTooLong {
            name: named(),
            count
        }
    );
}

#[test]
fn an_expired_ca_is_taken_and_reported() {
    let mut params = ca_params("CA");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let expired = new(&params).unwrap();
    assert!(!expired.is_valid_at(NOW));
    assert!(
        expired.is_valid_at(expired.not_after()) && !expired.is_valid_at(expired.not_after() + 1)
    );
    assert!(
        expired.is_valid_at(expired.not_before()) && !expired.is_valid_at(expired.not_before() - 1)
    );
    assert!(ca().is_valid_at(NOW));
}

#[test]
fn too_many_name_constraints_are_refused() {
    let mut params = ca_params("CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let of = |count: usize| {
        (0..count)
            .map(|n| rcgen::GeneralSubtree::DnsName(format!("n{n}.example")))
            .collect()
    };
    params.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: of(CA_NAME_CONSTRAINTS_MAX),
        excluded_subtrees: of(1),
    });
    let count = CA_NAME_CONSTRAINTS_MAX + 1;
    assert_eq!(
        new(&params).unwrap_err(),
        SigningCaError::TooManyNameConstraints {
            name: named(),
            count
        }
    );
}

#[test]
fn k146_debug_shows_the_name_and_no_key() {
    assert_eq!(
        format!("{:?}", ca()),
        r#"SigningCa { name: "sluice-ca", .. }"#
    );
}
