//! An origin's certificate, read to be imitated: what is forged from it can be read, too.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;
use sluice_pki::{ForgeRequest, LeafKey, SigningCa, forge};
use sluice_random::CoreRandom;

/// 2030-01-01T00:00:00Z.
pub(crate) const NOW: u64 = 1_893_456_000;

/// An authority made for this run.
pub(crate) struct Root {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

pub(crate) fn root() -> Root {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Fuzz Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2035, 1, 1);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().clone();
    Root { params, key, der }
}

static FORGER: LazyLock<(Arc<SigningCa>, Arc<LeafKey>)> = LazyLock::new(|| {
    let root = root();
    let ca = SigningCa::new("fuzz", vec![root.der], &root.key.serialize_der()).unwrap();
    let leaf_key = LeafKey::generate(&mut CoreRandom::new().unwrap()).unwrap();
    (Arc::new(ca), Arc::new(leaf_key))
});

/// Any bytes as the origin's certificate.
pub(crate) fn run(bytes: &[u8]) {
    let (ca, leaf_key) = &*FORGER;
    let mut random = CoreRandom::new().unwrap();
    let request = |der: &[u8]| ForgeRequest {
        ca: Arc::clone(ca),
        origin: CertificateDer::from(der.to_vec()),
        leaf_key: Arc::clone(leaf_key),
        server_name: Some("site.test".to_owned()),
        now_unix_s: NOW,
    };
    let Ok(leaf) = forge(&request(bytes), &mut random) else {
        return;
    };
    assert!(leaf.not_after_unix_s <= ca.not_after());
    assert_eq!(
        leaf.chain.iter().map(|der| der.len()).sum::<usize>(),
        leaf.bytes
    );
    let again = forge(&request(&leaf.chain[0]), &mut random);
    assert!(again.is_ok(), "what was forged cannot be read: {again:?}");
}
