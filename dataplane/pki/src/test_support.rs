//! CAs and origins for tests.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use sluice_random::CoreRandom;

use crate::{ForgeRequest, LeafKey, SigningCa};

/// 2026-11-21T00:00:00Z.
pub(crate) const NOW: u64 = 1_795_219_200;

pub(crate) fn random() -> CoreRandom {
    CoreRandom::fixed([7; 32])
}

pub(crate) fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

pub(crate) fn rsa_key(size: aws_lc_rs::rsa::KeySize) -> KeyPair {
    let key = aws_lc_rs::rsa::KeyPair::generate(size).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
    KeyPair::try_from(pkcs8.as_ref()).unwrap()
}

pub(crate) fn ca_with(params: &CertificateParams, key: &KeyPair) -> Arc<SigningCa> {
    let certificate = params.self_signed(key).unwrap();
    Arc::new(
        SigningCa::new(
            "sluice-ca",
            vec![certificate.der().clone()],
            key.serialized_der(),
        )
        .unwrap(),
    )
}

pub(crate) fn ca() -> Arc<SigningCa> {
    ca_with(&ca_params("Sluice test CA"), &KeyPair::generate().unwrap())
}

pub(crate) fn origin_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Örigin & Söhne");
    params
        .distinguished_name
        .push(DnType::CommonName, "origin.example");
    params.not_before = date_time_ymd(2026, 6, 1);
    params.not_after = date_time_ymd(2027, 6, 1);
    params
}

/// The certificate that `params` describe, issued by some public CA.
pub(crate) fn issue(params: &CertificateParams) -> CertificateDer<'static> {
    let (issuer_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let issuer = Issuer::new(ca_params("Some public CA"), issuer_key);
    params.signed_by(&key, &issuer).unwrap().der().clone()
}

pub(crate) fn request(ca: &Arc<SigningCa>, origin: CertificateDer<'static>) -> ForgeRequest {
    ForgeRequest {
        ca: Arc::clone(ca),
        origin,
        leaf_key: Arc::new(LeafKey::generate(&mut random()).unwrap()),
        server_name: None,
        now_unix_s: NOW,
    }
}
