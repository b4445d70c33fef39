//! Origins that are odd, damaged or too large.

use super::constrained::constrained_ca;
use super::*;

#[test]
fn c15_odd_names_are_copied_or_refused_and_never_crash() {
    let ca = ca();
    let origin = issue(&origin_params(&["abcdefghij.example"]));
    // NUL, underscore, UTF-8, not UTF-8, blanks, dots only.
    for odd in [
        &b"abc\0efghij"[..],
        b"abc_efghij",
        "abcdéfghi".as_bytes(),
        b"abc\xff\xfefghij",
        b"          ",
        b"..........",
    ] {
        let odd_origin = patch(&origin, b"abcdefghij", odd);
        let leaf = forged(&request(&ca, odd_origin.clone()));
        assert_eq!(
            san_value(&parse(&leaf.chain[0])),
            san_value(&parse(&odd_origin))
        );
        assert!(parse(&leaf.chain[0]).verify_by(&ca));
    }
}

#[test]
fn c37_a_thousand_names_are_copied_and_too_large_a_certificate_is_refused() {
    let names: Vec<String> = (0..1000)
        .map(|n| format!("host-{n}.origin.example"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let origin = issue(&origin_params(&names));
    let leaf = forged(&request(&ca(), origin.clone()));
    assert_eq!(
        san_value(&parse(&leaf.chain[0])),
        san_value(&parse(&origin))
    );
    let names: Vec<String> = (0..10_000)
        .map(|n| format!("host-{n}.origin.example"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let origin = issue(&origin_params(&names));
    let bytes = origin.len();
    assert_eq!(
        forge(&request(&ca(), origin), &mut random()),
        Err(ForgeError::OriginTooLarge { bytes })
    );
}

#[test]
fn a_second_or_malformed_san_is_refused() {
    let mut params = origin_params(&["origin.example"]);
    params
        .custom_extensions
        .push(rcgen::CustomExtension::from_oid_content(
            &[2, 5, 29, 17],
            vec![0x30, 0],
        ));
    let error = forge(&request(&ca(), issue(&params)), &mut random()).unwrap_err();
    assert!(
        matches!(error, ForgeError::OriginMalformed { .. }),
        "{error}"
    );
    for malformed in [
        &[][..],
        &[0x30],
        &[0x30, 5, 0x82],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0, 0],
        &[4, 0],
    ] {
        let mut params = origin_params(&[]);
        params
            .custom_extensions
            .push(rcgen::CustomExtension::from_oid_content(
                &[2, 5, 29, 17],
                malformed.to_vec(),
            ));
        let error = forge(&request(&ca(), issue(&params)), &mut random()).unwrap_err();
        assert!(
            matches!(error, ForgeError::OriginMalformed { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_subject_that_is_not_a_sequence_of_sets_is_refused() {
    let origin = issue(&origin_params(&["origin.example"]));
    // The first SET of the subject becomes a SEQUENCE.
    let odd = patch(
        &origin,
        &[0x31, 0x19, 0x30, 0x17],
        &[0x30, 0x19, 0x30, 0x17],
    );
    let error = forge(&request(&ca(), odd), &mut random()).unwrap_err();
    assert_eq!(
        error,
        ForgeError::OriginMalformed {
            what: "the subject"
        }
    );
}

#[test]
fn a_cut_origin_is_refused() {
    let origin = issue(&origin_params(&["origin.example"]));
    let ca = ca();
    for length in 0..origin.len() {
        let cut = CertificateDer::from(origin[..length].to_vec());
        assert!(
            matches!(
                forge(&request(&ca, cut), &mut random()),
                Err(ForgeError::OriginMalformed { .. })
            ),
            "{length}"
        );
    }
    let longer = CertificateDer::from([&origin[..], &[0]].concat());
    assert!(matches!(
        forge(&request(&ca, longer), &mut random()),
        Err(ForgeError::OriginMalformed { .. })
    ));
}

#[test]
fn a_flipped_byte_anywhere_gives_a_readable_leaf_or_a_refusal() {
    let origin = issue(&origin_params(&["origin.example", "10.0.0.1"]));
    let ca = constrained_ca(
        Vec::new(),
        vec![GeneralSubtree::DnsName("secret.example".to_owned())],
    );
    let base = request(&ca, origin.clone());
    let mut made = 0;
    for at in 0..origin.len() {
        for flip in [0x01, 0x80, 0xff, 0x20] {
            let mut bytes = origin.to_vec();
            bytes[at] ^= flip;
            let request = ForgeRequest {
                origin: CertificateDer::from(bytes),
                ..base.clone()
            };
            if let Ok(leaf) = forge(&request, &mut random()) {
                assert!(parse(&leaf.chain[0]).verify_by(&ca));
                made += 1;
            }
        }
    }
    assert!(made > 0);
}

#[test]
fn many_changes_at_once_give_a_readable_leaf_or_a_refusal() {
    let mut params = origin_params(&["origin.example", "*.origin.example", "10.0.0.1"]);
    params
        .subject_alt_names
        .push(SanType::Rfc822Name("a@origin.example".try_into().unwrap()));
    let origin = issue(&params);
    let ca = constrained_ca(
        vec![GeneralSubtree::DnsName(String::new())],
        vec![GeneralSubtree::DnsName("secret.example".to_owned())],
    );
    let base = request(&ca, origin.clone());
    let mut random = random();
    let mut made = 0;
    for _ in 0..5_000 {
        let mut bytes = origin.to_vec();
        for _ in 0..1 + random.next_u32() % 4 {
            let at = usize::try_from(random.next_u32()).unwrap() % bytes.len();
            let [byte, kind, ..] = random.next_u32().to_le_bytes();
            match kind % 4 {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(bytes.len() - usize::from(byte) % 16),
            }
        }
        let request = ForgeRequest {
            origin: CertificateDer::from(bytes),
            ..base.clone()
        };
        if let Ok(leaf) = forge(&request, &mut random) {
            assert!(parse(&leaf.chain[0]).verify_by(&ca));
            made += 1;
        }
    }
    assert!(made > 0);
}
