//! Clauses of RFCs that the sources quote, and the tests that name them.

use std::collections::BTreeSet;

use crate::Source;

/// A quoted clause: where it stands in its RFC, and the quotation's first line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clause {
    /// Address of the section.
    pub url: String,
    /// First quoted line.
    pub quote: String,
}

/// The clauses of some sources: those that are implemented, and those that a test names.
#[derive(Debug, Default)]
pub struct Clauses {
    /// With the file that quotes them.
    pub implemented: Vec<(String, Clause)>,
    /// Those marked `//= type=test`.
    pub tested: BTreeSet<Clause>,
}

impl Clauses {
    /// Reads what `sources` quote as `//= URL`, `//= type=test` if a test does, and `//# quotation`.
    pub fn of<'a>(sources: impl Iterator<Item = &'a Source>) -> Self {
        let mut clauses = Self::default();
        for source in sources {
            let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
            for (at, line) in lines.iter().enumerate() {
                let Some(url) = line
                    .strip_prefix("//= ")
                    .filter(|rest| rest.contains("://"))
                else {
                    continue;
                };
                let mut below = lines.iter().skip(at + 1).copied();
                let mut next = below.next().unwrap_or_default();
                let tested = next == "//= type=test";
                if tested {
                    next = below.next().unwrap_or_default();
                }
                let Some(quote) = next.strip_prefix("//# ") else {
                    continue;
                };
                let clause = Clause {
                    url: url.to_owned(),
                    quote: quote.to_owned(),
                };
                if tested {
                    clauses.tested.insert(clause);
                } else {
                    clauses.implemented.push((source.path.clone(), clause));
                }
            }
        }
        clauses
    }

    /// What is implemented and named by no test.
    pub fn untested(&self) -> impl Iterator<Item = &(String, Clause)> {
        self.implemented
            .iter()
            .filter(|(_, clause)| !self.tested.contains(clause))
    }
}
