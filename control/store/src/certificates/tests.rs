use super::*;
use crate::limits::REQUESTS_MAX;
use crate::requests::StoredRequest;
use crate::test_support::{certificate, store};

fn name(text: &str) -> CertificateName {
    text.parse().unwrap()
}

#[test]
fn f83_names_are_unique() {
    let (_directory, mut store) = store();
    store.put_certificate(&certificate("one")).unwrap();
    let other = NewCertificate {
        chain: vec![vec![7]],
        ..certificate("one")
    };
    assert!(matches!(
        store.put_certificate(&other),
        Err(StoreError::CertificateExists { .. })
    ));
    assert_eq!(store.certificates().unwrap(), [certificate("one")]);
}

#[test]
fn certificates_come_by_name_with_their_chains_in_order() {
    let (_directory, mut store) = store();
    let authority = NewCertificate {
        kind: CertificateKind::Authority,
        sealed_key: None,
        ..certificate("a root")
    };
    let server = NewCertificate {
        kind: CertificateKind::Server,
        exportable: true,
        ..certificate("site-a")
    };
    store.put_certificate(&server).unwrap();
    store.put_certificate(&authority).unwrap();
    assert_eq!(store.certificates().unwrap(), [authority.clone(), server]);
    assert_eq!(store.certificate(&name("a root")).unwrap(), Some(authority));
    assert_eq!(store.certificate(&name("none")).unwrap(), None);
}

#[test]
fn a_deleted_certificate_leaves_nothing() {
    let (_directory, mut store) = store();
    store.put_certificate(&certificate("one")).unwrap();
    store.delete_certificate(&name("one")).unwrap();
    assert_eq!(store.certificates().unwrap(), []);
    let chains: i64 = store
        .connection()
        .query_row("SELECT count(*) FROM chain", [], |row| row.get(0))
        .unwrap();
    assert_eq!(chains, 0);
    assert!(matches!(
        store.delete_certificate(&name("one")),
        Err(StoreError::NoSuchCertificate { .. })
    ));
}

#[test]
fn f136_a_replaced_certificate_keeps_its_name_and_the_old_one_is_set_aside() {
    let (_directory, mut store) = store();
    store.put_certificate(&certificate("site")).unwrap();
    for byte in [10, 11] {
        let old = store.certificate(&name("site")).unwrap().unwrap();
        let aside = NewCertificate {
            name: name("site_REPLACED"),
            ..old.clone()
        };
        let new = NewCertificate {
            chain: vec![vec![byte]],
            ..certificate("site")
        };
        store.replace_certificate(&new, Some(&aside)).unwrap();
        assert_eq!(store.certificates().unwrap(), [new, aside]);
    }
    assert!(matches!(
        store.replace_certificate(&certificate("none"), None),
        Err(StoreError::NoSuchCertificate { .. })
    ));
    assert_eq!(store.certificates().unwrap().len(), 2);
}

#[test]
fn what_is_not_whole_is_not_stored() {
    let (_directory, mut store) = store();
    let whole = certificate("one");
    let odd = [
        NewCertificate {
            chain: Vec::new(),
            ..whole.clone()
        },
        NewCertificate {
            chain: vec![vec![1]; CHAIN_CERTIFICATES_MAX + 1],
            ..whole.clone()
        },
        NewCertificate {
            chain: vec![vec![1; CERTIFICATE_BYTES_MAX + 1]],
            ..whole.clone()
        },
        NewCertificate {
            sealed_key: None,
            ..whole.clone()
        },
        NewCertificate {
            sealed_key: Some(vec![0; SEALED_KEY_BYTES_MAX + 1]),
            ..whole.clone()
        },
        NewCertificate {
            kind: CertificateKind::Authority,
            ..whole.clone()
        },
    ];
    for certificate in &odd {
        assert!(matches!(
            store.put_certificate(certificate),
            Err(StoreError::Unstorable { .. })
        ));
    }
    assert_eq!(store.certificates().unwrap(), []);
}

#[test]
fn the_store_is_bounded() {
    let (_directory, mut store) = store();
    store
        .connection()
        .pragma_update(None, "synchronous", "OFF")
        .unwrap();
    for n in 0..CERTIFICATES_MAX {
        store
            .put_certificate(&certificate(&format!("c{n}")))
            .unwrap();
    }
    assert!(matches!(
        store.put_certificate(&certificate("one more")),
        Err(StoreError::TooManyCertificates)
    ));
    let aside = certificate("c0_REPLACED");
    assert!(matches!(
        store.replace_certificate(&certificate("c0"), Some(&aside)),
        Err(StoreError::TooManyCertificates)
    ));
    assert!(store.replace_certificate(&certificate("c0"), None).is_ok());
    for n in 0..REQUESTS_MAX {
        store.put_request(&request(&format!("r{n}"))).unwrap();
    }
    assert!(matches!(
        store.put_request(&request("one more")),
        Err(StoreError::TooManyRequests)
    ));
}

fn request(text: &str) -> StoredRequest {
    StoredRequest {
        name: name(text),
        kind: CertificateKind::Server,
        der: vec![1, 2],
        sealed_key: vec![3; 40],
        exportable: true,
        created_unix_s: 5,
    }
}

#[test]
fn f56_a_request_and_its_sealed_key_survive() {
    let (directory, mut store) = store();
    store.put_request(&request("one")).unwrap();
    assert!(matches!(
        store.put_request(&request("one")),
        Err(StoreError::RequestExists { .. })
    ));
    let authority = StoredRequest {
        kind: CertificateKind::Authority,
        ..request("two")
    };
    assert!(matches!(
        store.put_request(&authority),
        Err(StoreError::Unstorable { .. })
    ));
    drop(store);
    let mut store = Store::open(&directory.path().join("store.db")).unwrap();
    assert_eq!(store.requests().unwrap(), [request("one")]);
    assert_eq!(store.request(&name("one")).unwrap(), Some(request("one")));
    store.delete_request(&name("one")).unwrap();
    assert_eq!(store.requests().unwrap(), []);
    assert!(matches!(
        store.delete_request(&name("one")),
        Err(StoreError::NoSuchRequest { .. })
    ));
}

#[test]
fn debug_shows_neither_key_nor_certificate() {
    assert_eq!(
        format!("{:?}", certificate("one")),
        r#"Certificate { name: CertificateName("one"), kind: SigningCa, .. }"#
    );
    assert_eq!(
        format!("{:?}", request("one")),
        r#"StoredRequest { name: CertificateName("one"), kind: Server, .. }"#
    );
}
