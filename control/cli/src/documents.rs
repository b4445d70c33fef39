//! The documents of a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sluice_schema::Document;
use sluice_schema::limits::{DOCUMENT_BYTES_MAX, DOCUMENTS_MAX};

use crate::outcome::Failure;

/// Why a directory has no documents.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0} is no directory; name the one that holds appliance.toml")]
    NotADirectory(PathBuf),
    #[error("{path} cannot be read: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is not text in UTF-8; documents are TOML")]
    NotText { path: PathBuf },
    #[error("{path} has {bytes} bytes; at most {DOCUMENT_BYTES_MAX} are read")]
    TooLong { path: PathBuf, bytes: u64 },
    #[error("{path} has more than {DOCUMENTS_MAX} documents")]
    TooMany { path: PathBuf },
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::local(error.to_string())
    }
}

/// Every `*.toml` of the directory and of its `profiles/`, named relative to the directory and sorted. A document that
/// stands where none belongs is among them, so that it is told and not overlooked.
pub(crate) fn read(directory: &Path) -> Result<Vec<Document>, Failure> {
    if !directory.is_dir() {
        return Err(ReadError::NotADirectory(directory.to_owned()).into());
    }
    let mut names = toml_files(directory, "")?;
    let profiles = directory.join("profiles");
    if profiles.is_dir() {
        names.extend(toml_files(&profiles, "profiles/")?);
    }
    if names.len() > DOCUMENTS_MAX {
        return Err(ReadError::TooMany {
            path: directory.to_owned(),
        }
        .into());
    }
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| document(directory, name))
        .collect::<Result<_, _>>()?)
}

fn toml_files(folder: &Path, prefix: &str) -> Result<Vec<String>, ReadError> {
    let failed = |source| ReadError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Editors leave hidden files beside the documents.
        if name.ends_with(".toml") && !name.starts_with('.') && entry.path().is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(names)
}

fn document(directory: &Path, name: String) -> Result<Document, ReadError> {
    let path = directory.join(&name);
    let io = |source| ReadError::Io {
        path: path.clone(),
        source,
    };
    let bytes = fs::metadata(&path).map_err(io)?.len();
    if bytes > DOCUMENT_BYTES_MAX as u64 {
        return Err(ReadError::TooLong { path, bytes });
    }
    match String::from_utf8(fs::read(&path).map_err(io)?) {
        Ok(text) => Ok(Document { path: name, text }),
        Err(_) => Err(ReadError::NotText { path }),
    }
}
