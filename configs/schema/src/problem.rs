//! One thing wrong with the documents.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The document, as it was named to [`crate::load`].
    pub path: String,
    /// The line, from 1; absent when the problem is a document's absence.
    pub line: Option<usize>,
    /// The key, from the document's root: `client_proxy[0].detection_ports[1]`. Empty for the document as a whole.
    pub key: String,
    /// What is wrong and what to do. It names the key itself.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        f.write_str(&self.message)
    }
}
