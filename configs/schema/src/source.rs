//! A document's text, parsed, with the line of everything in it.

use core::fmt;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Document, Problem};

/// Where in a document something stands: `client_proxy[0].detection_ports[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// The table as a document heads it: `[dataplane]`, `[[segment]]`, or nothing for the root.
    pub(crate) fn header(&self) -> String {
        let keys: Vec<&str> = self
            .0
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect();
        match self.0.last() {
            None => "the document's top level".to_owned(),
            Some(Step::Key(_)) => format!("[{}]", keys.join(".")),
            Some(Step::Index(_)) => format!("[[{}]]", keys.join(".")),
        }
    }

    /// The last key, without an index.
    pub(crate) fn last_key(&self) -> &str {
        self.0
            .iter()
            .rev()
            .find_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .unwrap_or_default()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A document that is TOML.
pub(crate) struct Source<'a> {
    path: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Source<'a> {
    /// Parses the text, or tells the first syntax error: those after it are mostly its consequences.
    pub(crate) fn parse(document: &'a Document) -> Result<Self, Problem> {
        let (root, errors) = DeTable::parse_recoverable(&document.text);
        match errors
            .iter()
            .min_by_key(|error| error.span().map(|span| span.start))
        {
            None => Ok(Self {
                path: &document.path,
                text: &document.text,
                root,
            }),
            Some(error) => Err(Problem {
                path: document.path.clone(),
                line: error.span().map(|span| line_of(&document.text, span.start)),
                key: String::new(),
                message: format!("not valid TOML: {}", error.message().replace('\n', "; ")),
            }),
        }
    }

    pub(crate) fn root(&self) -> &DeTable<'a> {
        self.root.get_ref()
    }

    pub(crate) fn path(&self) -> &str {
        self.path
    }

    pub(crate) fn text(&self) -> &str {
        self.text
    }

    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        line_of(self.text, span.start)
    }

    /// The line of what is at `path`, or of the deepest part of it that is there.
    pub(crate) fn line_at(&self, path: &KeyPath) -> usize {
        let mut span = self.root.span();
        let mut table = Some(self.root.get_ref());
        let mut value: Option<&DeValue<'_>> = None;
        for step in &path.0 {
            let next = match step {
                Step::Key(key) => {
                    let Some((key, next)) =
                        table.and_then(|table| table.get_key_value(key.as_str()))
                    else {
                        break;
                    };
                    // The key's own line: its value may begin further down.
                    span = key.span();
                    next
                }
                Step::Index(index) => {
                    let Some(next) = value.and_then(|value| value.get(*index)) else {
                        break;
                    };
                    span = next.span();
                    next
                }
            };
            value = Some(next.get_ref());
            table = next.get_ref().as_table();
        }
        self.line(&span)
    }

    pub(crate) fn problem(&self, at: &KeyPath, message: impl Into<String>) -> Problem {
        Problem {
            path: self.path.to_owned(),
            line: Some(self.line_at(at)),
            key: at.to_string(),
            message: message.into(),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
