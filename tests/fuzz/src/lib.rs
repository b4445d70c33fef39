//! Hostile bytes at every parser.
//!
//! A target is a function of bytes that holds a property: it panics where the property does not hold. Its corpus lies under
//! `corpus/<target>/` and is replayed by `cargo nextest run -p sluice-fuzz`, followed by some mutations of it (`make fuzz`:
//! many more). Inputs that once broke a property stay in the corpus.
//!
//! The front end is this crate's own few lines and not a kept one: bolero and cargo-fuzz guide their mutations by coverage
//! only with a nightly compiler, and without one add nothing to what stands here. Where there is a nightly, any engine
//! drives a target: libFuzzer by `fuzz_target!(|bytes: &[u8]| (sluice_fuzz::find("hello").unwrap().run)(bytes))`, AFL++ and
//! honggfuzz by the binary, which takes an input from a file or from standard input.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a target ends where its property does not hold"
)]

mod mutate;
mod targets;

use std::panic::catch_unwind;
use std::path::PathBuf;

pub use mutate::Mutator;

/// Longest input that a mutation makes.
pub const INPUT_BYTES_MAX: usize = 8 * 1024;

/// Something that takes hostile bytes, and what has to hold whatever they are.
pub struct Target {
    /// Names its corpus.
    pub name: &'static str,
    /// Panics where the property does not hold.
    pub run: fn(&[u8]),
    /// Mutations in an ordinary test run: fewer where each takes long.
    pub cases: u64,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("packet", targets::packet::run, 200_000),
    target("options", targets::packet::options, 100_000),
    target("segments", targets::segments::run, 30_000),
    target("observer", targets::observer::run, 30_000),
    target("reassembler", targets::reassembler::run, 20_000),
    target("hello", targets::hello::run, 20_000),
    target("records", targets::records::run, 400),
    target("certificate", targets::certificate::run, 3_000),
    target("event", targets::storage::event, 100_000),
    target("snapshot", targets::storage::snapshot, 20_000),
    target("documents", targets::storage::documents, 1_000),
    target("plaintext", targets::plaintext::run, 50_000),
];

const fn target(name: &'static str, run: fn(&[u8]), cases: u64) -> Target {
    Target { name, run, cases }
}

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// Its corpus, as (file name, bytes), in the order of the names.
    #[must_use]
    pub fn corpus(&self) -> Vec<(String, Vec<u8>)> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| {
            panic!("the corpus {} cannot be read: {error}", folder.display())
        });
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
            .into_iter()
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read(path).unwrap())
            })
            .collect()
    }

    /// Runs every input of the corpus.
    ///
    /// # Errors
    /// Names the input that broke the property.
    pub fn replay(&self) -> Result<usize, String> {
        let corpus = self.corpus();
        for (name, bytes) in &corpus {
            catch_unwind(|| (self.run)(bytes))
                .map_err(|_| format!("corpus/{}/{name} breaks the property", self.name))?;
        }
        Ok(corpus.len())
    }

    /// Runs `cases` mutations of the corpus. The same seed makes the same inputs.
    ///
    /// # Errors
    /// Gives the input that broke the property, as hexadecimal digits.
    pub fn mutate(&self, seed: u64, cases: u64) -> Result<(), String> {
        let corpus: Vec<_> = self.corpus().into_iter().map(|(_, bytes)| bytes).collect();
        let mut mutator = Mutator::new(seed);
        for case in 0..cases {
            let input = mutator.next(&corpus);
            catch_unwind(|| (self.run)(&input)).map_err(|_| {
                let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{}: seed {seed}, case {case}: {hex}", self.name)
            })?;
        }
        Ok(())
    }
}
