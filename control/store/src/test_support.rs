//! Stores for tests.

use std::collections::BTreeMap;

use sluice_schema::Document;
use tempfile::TempDir;

use crate::{CertificateKind, NewCertificate, Note, Store};

pub(crate) fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("store.db")).unwrap();
    (directory, store)
}

pub(crate) fn note(comment: &str) -> Note {
    Note {
        author: "admin".to_owned(),
        comment: comment.to_owned(),
        at_unix_s: 1_795_219_200,
    }
}

pub(crate) fn document(path: &str, text: &str) -> Document {
    Document {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

pub(crate) fn certificate(name: &str) -> NewCertificate {
    NewCertificate {
        name: name.parse().unwrap(),
        kind: CertificateKind::SigningCa,
        chain: vec![vec![1, 2, 3], vec![4, 5]],
        sealed_key: Some(vec![9; 100]),
        exportable: false,
        labels: BTreeMap::from([("use".to_owned(), "lab".to_owned())]),
        created_unix_s: 1_795_219_200,
    }
}
