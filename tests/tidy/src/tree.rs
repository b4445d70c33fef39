//! The source files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust source file.
#[derive(Debug)]
pub struct Source {
    /// Path relative to the repository's root.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// All Rust sources of the workspace, sorted by path.
#[derive(Debug)]
pub struct Tree {
    /// The repository's root.
    pub root: PathBuf,
    /// The sources.
    pub sources: Vec<Source>,
}

impl Tree {
    /// Reads the repository that this crate was built from.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn read() -> std::io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        let mut sources = Vec::new();
        for room in [
            "configs",
            "tcpstack",
            "dataplane",
            "control",
            "bench",
            "tests",
        ] {
            collect(&root, &root.join(room), &mut sources)?;
        }
        sources.sort_by(|a: &Source, b| a.path.cmp(&b.path));
        Ok(Self { root, sources })
    }

    /// A file of the repository as text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn text(&self, path: &str) -> std::io::Result<String> {
        fs::read_to_string(self.root.join(path))
    }

    /// Names of all functions that carry a test attribute, as `file-path::name`.
    #[must_use]
    pub fn tests(&self) -> Vec<(String, String)> {
        self.sources
            .iter()
            .flat_map(|source| tests_in(&source.text).map(|name| (source.path.clone(), name)))
            .collect()
    }
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path
                .file_name()
                .is_some_and(|name| name != "target" && name != "run")
            {
                collect(root, &path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            sources.push(Source {
                path: relative,
                text: fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}

/// Functions that follow a `#[test]` attribute or stand inside `proptest!`, where the attribute stands too.
fn tests_in(text: &str) -> impl Iterator<Item = String> + '_ {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if *line != "#[test]" {
            continue;
        }
        let function = lines
            .iter()
            .skip(at + 1)
            .find_map(|line| line.strip_prefix("fn "));
        if let Some(name) = function.and_then(|rest| rest.split('(').next()) {
            found.push(name.trim().to_owned());
        }
    }
    found.into_iter()
}
