//! From documents to a configuration.

use serde::{Deserialize, Serialize};

use crate::json_schema::DocumentKind;
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENTS_BYTES_MAX, DOCUMENTS_MAX, PROBLEMS_MAX};
use crate::raw::{RawAppliance, RawProfile};
use crate::source::Source;
use crate::{Configuration, Problem, shape, validate};

/// One document: `appliance.toml` or `profiles/NAME.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its path, relative to the configuration's directory or not; problems name it as it stands here.
    pub path: String,
    /// Its content, TOML.
    pub text: String,
}

/// A document whose shape is right, ready to be validated.
pub(crate) struct Read<'a, R> {
    pub(crate) source: Source<'a>,
    pub(crate) raw: R,
}

/// Reads and validates a whole configuration.
///
/// # Errors
/// Every problem of every document, in the order of the documents and their lines; at most
/// [`PROBLEMS_MAX`] of them. A document with problems of shape is not validated further until they are gone.
pub fn load(documents: &[Document]) -> Result<Configuration, Vec<Problem>> {
    let mut problems = Vec::new();
    if !within_bounds(documents, &mut problems) {
        return Err(problems);
    }

    let mut appliance: Option<Read<'_, RawAppliance>> = None;
    let mut appliance_path: Option<&str> = None;
    let mut profiles: Vec<Read<'_, RawProfile>> = Vec::new();
    // Names of profiles in documents that could not be read: referring to them is no further problem.
    let mut unread_profiles = Unread::default();

    for document in documents {
        match DocumentKind::of_path(&document.path) {
            None => problems.push(whole(
                &document.path,
                "no document belongs here; the configuration is appliance.toml and profiles/NAME.toml",
            )),
            Some(DocumentKind::Appliance) => {
                if let Some(first) = appliance_path {
                    problems.push(whole(&document.path, format!("there is an appliance.toml already: {first}")));
                    continue;
                }
                appliance_path = Some(&document.path);
                appliance = read(document, DocumentKind::Appliance, &mut problems);
            }
            Some(DocumentKind::Profile) => match read(document, DocumentKind::Profile, &mut problems) {
                Some(profile) => profiles.push(profile),
                None => unread_profiles.add(document),
            },
        }
    }
    if appliance_path.is_none() {
        problems.push(whole(
            "appliance.toml",
            "there is no appliance.toml; every configuration has one",
        ));
    }

    let profiles_validated = validate::profiles(&profiles, &mut problems);
    let appliance_validated = appliance.and_then(|appliance| {
        validate::appliance(
            &appliance,
            &|name| {
                unread_profiles.could_be(name)
                    || profiles.iter().any(|profile| profile.raw.name == name)
            },
            &mut problems,
        )
    });

    match (appliance_validated, profiles_validated) {
        (Some(appliance), Some(profiles)) if problems.is_empty() => Ok(Configuration {
            appliance,
            profiles,
        }),
        _ => {
            let order = |path: &str| documents.iter().position(|document| document.path == path);
            problems.sort_by_key(|problem| (order(&problem.path), problem.line));
            problems.dedup();
            problems.truncate(PROBLEMS_MAX);
            Err(problems)
        }
    }
}

fn within_bounds(documents: &[Document], problems: &mut Vec<Problem>) -> bool {
    if documents.len() > DOCUMENTS_MAX {
        problems.push(whole(
            "",
            format!(
                "there are {} documents; at most {DOCUMENTS_MAX} are read",
                documents.len()
            ),
        ));
    }
    for document in documents
        .iter()
        .filter(|document| document.text.len() > DOCUMENT_BYTES_MAX)
    {
        problems.push(whole(
            &document.path,
            format!(
                "the document has {} bytes; at most {DOCUMENT_BYTES_MAX} are read",
                document.text.len()
            ),
        ));
    }
    let together = documents.iter().fold(0usize, |sum, document| {
        sum.saturating_add(document.text.len())
    });
    if together > DOCUMENTS_BYTES_MAX {
        problems.push(whole(
            "",
            format!("the documents have {together} bytes together; at most {DOCUMENTS_BYTES_MAX} are read"),
        ));
    }
    problems.is_empty()
}

fn read<'a, R: serde::de::DeserializeOwned>(
    document: &'a Document,
    kind: DocumentKind,
    problems: &mut Vec<Problem>,
) -> Option<Read<'a, R>> {
    let source = match Source::parse(document) {
        Ok(source) => source,
        Err(error) => {
            problems.push(error);
            return None;
        }
    };
    let misshapen = shape::check(&source, kind);
    if !misshapen.is_empty() {
        problems.extend(misshapen);
        return None;
    }
    match toml::from_str(source.text()) {
        Ok(raw) => Some(Read { source, raw }),
        Err(error) => {
            problems.push(Problem {
                path: document.path.clone(),
                line: error.span().map(|span| source.line(&span)),
                key: String::new(),
                message: error.message().replace('\n', "; "),
            });
            None
        }
    }
}

fn whole(path: &str, message: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        line: None,
        key: String::new(),
        message: message.into(),
    }
}

/// Profiles that exist in documents that could not be read.
#[derive(Default)]
struct Unread {
    names: Vec<String>,
    /// At least one of them has not even a readable name.
    nameless: bool,
}

impl Unread {
    fn add(&mut self, document: &Document) {
        let name = Source::parse(document).ok().and_then(|source| {
            source
                .root()
                .get("name")
                .and_then(|name| name.get_ref().as_str().map(str::to_owned))
        });
        match name {
            Some(name) => self.names.push(name),
            None => self.nameless = true,
        }
    }

    fn could_be(&self, name: &str) -> bool {
        self.nameless || self.names.iter().any(|unread| unread == name)
    }
}
