//! A gibibyte each way, equal to the last bit.

use std::time::Duration;

use sluice_interop::{Curl, Lab};

use crate::bodies::{fill, sha256};

const GIB: usize = 1 << 30;
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn h120_a_gibibyte_down_is_the_same() {
    let lab = Lab::take().unwrap();
    let original = lab.facts.www_dir.join("gibibyte");
    fill(&original, GIB);
    let target = tempfile::NamedTempFile::new_in(&lab.facts.www_dir).unwrap();
    let output = target.path().display().to_string();
    let response = Curl::get("https://good.lab.test/gibibyte")
        .with(&["-4", "--output", &output])
        .within(LIMIT)
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
    assert_eq!(response.issuer, lab.inspected_issuer());
    assert_eq!(sha256(target.path()), sha256(&original));
    std::fs::remove_file(&original).unwrap();
}

#[test]
fn h120_a_gibibyte_up_is_the_same() {
    let lab = Lab::take().unwrap();
    let original = tempfile::NamedTempFile::new_in(&lab.facts.www_dir).unwrap();
    fill(original.path(), GIB);
    let source = original.path().display().to_string();
    let response = Curl::get("https://good.lab.test/upload/gibibyte")
        .with(&["-6", "--http1.1", "--upload-file", &source])
        .within(LIMIT)
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!((response.exit, response.status), (0, 201), "{response:?}");
    assert_eq!(response.issuer, lab.inspected_issuer());
    let arrived = lab.facts.upload_dir.join("gibibyte");
    assert_eq!(sha256(&arrived), sha256(original.path()));
    std::fs::remove_file(&arrived).unwrap();
}
