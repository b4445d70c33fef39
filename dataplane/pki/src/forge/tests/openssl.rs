//! OpenSSL as a second opinion.

use super::*;

/// OpenSSL as a second opinion on the whole chain.
fn openssl_accepts(
    directory: &Path,
    root: &[u8],
    leaf: &ForgedLeaf,
    host: &str,
) -> Result<(), String> {
    let pem = |name: &str, der: &[u8]| {
        let (raw, out) = (
            directory.join(format!("{name}.der")),
            directory.join(format!("{name}.pem")),
        );
        std::fs::write(&raw, der).unwrap();
        let converted = Command::new("openssl")
            .args(["x509", "-inform", "DER", "-in"])
            .arg(&raw)
            .arg("-out")
            .arg(&out)
            .output()
            .unwrap();
        assert!(
            converted.status.success(),
            "{}",
            String::from_utf8_lossy(&converted.stderr)
        );
        out
    };
    let mut verify = Command::new("openssl");
    verify.args([
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-attime",
        &NOW.to_string(),
        "-verify_hostname",
        host,
    ]);
    verify.arg("-CAfile").arg(pem("root", root));
    for (n, issuer) in leaf.chain.iter().enumerate().skip(1) {
        verify
            .arg("-untrusted")
            .arg(pem(&format!("issuer-{n}"), issuer));
    }
    let verified = verify.arg(pem("leaf", &leaf.chain[0])).output().unwrap();
    if verified.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&verified.stderr).into_owned())
    }
}

#[test]
fn openssl_accepts_leaves_of_every_kind_of_ca_key() {
    let directory = tempfile::tempdir().unwrap();
    let keys = [
        (
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
            crate::Cost::Inline,
        ),
        (
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
            crate::Cost::Inline,
        ),
        (
            KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
            crate::Cost::Inline,
        ),
        (
            rsa_key(aws_lc_rs::rsa::KeySize::Rsa2048),
            crate::Cost::Offload,
        ),
        (
            rsa_key(aws_lc_rs::rsa::KeySize::Rsa4096),
            crate::Cost::Offload,
        ),
    ];
    let origin = issue(&origin_params(&["origin.example", "*.wild.example"]));
    for (key, cost) in keys {
        let ca = ca_with(&ca_params("Sluice test CA"), &key);
        assert_eq!(ca.signing_cost(), cost);
        let leaf = forged(&request(&ca, origin.clone()));
        openssl_accepts(directory.path(), &ca.chain()[0], &leaf, "origin.example").unwrap();
        openssl_accepts(directory.path(), &ca.chain()[0], &leaf, "a.wild.example").unwrap();
        assert!(openssl_accepts(directory.path(), &ca.chain()[0], &leaf, "other.example").is_err());
    }
}

#[test]
fn openssl_accepts_a_leaf_under_an_intermediate() {
    let directory = tempfile::tempdir().unwrap();
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = ca_params("root");
    let root_certificate = root.self_signed(&root_key).unwrap().der().clone();
    let mut intermediate = ca_params("intermediate");
    intermediate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    intermediate.use_authority_key_identifier_extension = true;
    let intermediate = intermediate
        .signed_by(&key, &Issuer::new(root, root_key))
        .unwrap()
        .der()
        .clone();
    for chain in [
        vec![intermediate.clone()],
        vec![intermediate, root_certificate.clone()],
    ] {
        let ca = Arc::new(SigningCa::new("ca", chain, key.serialized_der()).unwrap());
        let leaf = forged(&request(&ca, issue(&origin_params(&["origin.example"]))));
        assert_eq!(leaf.chain.len(), 2);
        openssl_accepts(directory.path(), &root_certificate, &leaf, "origin.example").unwrap();
    }
}

#[test]
fn openssl_finds_the_leaf_of_an_expired_origin_expired() {
    let directory = tempfile::tempdir().unwrap();
    let mut params = origin_params(&["origin.example"]);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2025, 1, 1);
    let ca = ca();
    let leaf = forged(&request(&ca, issue(&params)));
    let error =
        openssl_accepts(directory.path(), &ca.chain()[0], &leaf, "origin.example").unwrap_err();
    assert!(error.contains("certificate has expired"), "{error}");
}
