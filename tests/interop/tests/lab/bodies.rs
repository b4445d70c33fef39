//! Files that are sent, and whether they arrived as they were.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use sluice_interop::Running;

const SHA256_SECONDS_MAX: Duration = Duration::from_secs(180);

/// Fills a file with numbers of xorshift64, which no part of the way can guess or repeat.
pub(crate) fn fill(file: &Path, bytes: usize) {
    let mut sink = BufWriter::with_capacity(1 << 20, File::create(file).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = bytes;
    while left > 0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_le_bytes();
        let part = &word[..left.min(word.len())];
        sink.write_all(part).unwrap();
        left -= part.len();
    }
    sink.flush().unwrap();
}

/// The digest of a file, by sha256sum.
pub(crate) fn sha256(file: &Path) -> String {
    let argv = ["sha256sum".to_owned(), file.display().to_string()];
    let outcome = Running::start(&argv, None)
        .unwrap()
        .wait(SHA256_SECONDS_MAX)
        .unwrap();
    assert!(outcome.ok(), "{}", outcome.stderr);
    outcome.stdout.split_whitespace().next().unwrap().to_owned()
}
