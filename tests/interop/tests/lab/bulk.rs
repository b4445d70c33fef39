//! A gibibyte each way, equal to the last bit.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use sluice_interop::{Curl, Lab, Running};

const GIB: usize = 1 << 30;
const LIMIT: Duration = Duration::from_secs(180);

/// Fills a file with numbers of xorshift64, which no part of the way can guess or repeat.
fn fill(file: &Path, bytes: usize) {
    let mut sink = BufWriter::with_capacity(1 << 20, File::create(file).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sink.write_all(&state.to_le_bytes()).unwrap();
    }
    sink.flush().unwrap();
}

fn sha256(file: &Path) -> String {
    let argv = ["sha256sum".to_owned(), file.display().to_string()];
    let outcome = Running::start(&argv, None).unwrap().wait(LIMIT).unwrap();
    assert!(outcome.ok(), "{}", outcome.stderr);
    outcome.stdout.split_whitespace().next().unwrap().to_owned()
}

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
