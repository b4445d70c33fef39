//! SPECIFICATION.md, read: one row per feature (`F12`) and test row (`T99`, `C41`), each with what proves it.
//!
//! A row is a table line `| id | what | standing | proof |`. The standing is `holds`, `partly` or `pending`; the proof
//! begins with the tests in backquotes. `holds` and `partly` need at least one test, `pending` needs a reason.

/// How far a row is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every word of it, proven by the tests named.
    Holds,
    /// Some of it, proven by the tests named; the text says what is missing.
    Partly,
    /// Not yet.
    Pending,
}

/// One row of the ledger.
#[derive(Debug, Clone)]
pub struct Row {
    /// `F12`, `C41`, …
    pub id: String,
    /// The standing.
    pub standing: Standing,
    /// Test function names.
    pub tests: Vec<String>,
    /// Line in SPECIFICATION.md, from 1.
    pub line: usize,
    /// The proof or reason as written.
    pub proof: String,
}

/// All rows.
#[derive(Debug)]
pub struct Ledger {
    /// In the order of the file.
    pub rows: Vec<Row>,
    /// Lines that look like rows and are not well formed.
    pub malformed: Vec<String>,
}

impl Ledger {
    /// Reads the tables out of the Markdown text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut ledger = Self {
            rows: Vec::new(),
            malformed: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let cells: Vec<&str> = line
                .trim()
                .trim_matches('|')
                .split(" | ")
                .map(str::trim)
                .collect();
            let Some(id) = cells
                .first()
                .filter(|id| line.starts_with('|') && is_id(id))
            else {
                continue;
            };
            let standing = match cells.get(2).copied() {
                Some("holds") => Standing::Holds,
                Some("partly") => Standing::Partly,
                Some("pending") => Standing::Pending,
                _ => {
                    ledger
                        .malformed
                        .push(format!("SPECIFICATION.md:{}: {line}", at + 1));
                    continue;
                }
            };
            let proof = cells.get(3).copied().unwrap_or_default().to_owned();
            let tests = leading_names(&proof);
            ledger.rows.push(Row {
                id: (*id).to_owned(),
                standing,
                tests,
                line: at + 1,
                proof,
            });
        }
        ledger
    }
}

/// The names in backquotes that a proof begins with; what follows is prose, which may quote other things.
fn leading_names(proof: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = proof;
    while let Some((name, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        names.push(name.to_owned());
        rest = after.trim_start();
    }
    names
}

fn is_id(cell: &str) -> bool {
    let mut characters = cell.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_uppercase())
        && !cell[1..].is_empty()
        && characters.all(|character| character.is_ascii_digit())
}
