//! Rows C of the test catalogue: certificates an origin may show, and what they are worth.
//!
//! Here: what the rows share, and signatures and keys. The other subjects have a file each.

use rcgen::CertificateParams;

use super::*;
use crate::provider;
use crate::testing::{Authority, NOW, leaf_params, resigned, rsa_2048};

mod chains;
mod dates;
mod form;
mod names;

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
