//! Documents: checked, compared, applied, rolled back.

use serde::{Deserialize, Serialize};
use sluice_schema::{Change, Document};

use crate::Distribution;

/// Make documents the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The whole configuration.
    pub documents: Vec<Document>,
    /// Why, for the history.
    pub comment: Option<String>,
    /// How long to wait for every core to adopt it, seconds; 0 does not wait.
    pub wait_s: u16,
}

/// Make an earlier generation's documents the configuration again, as a new generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Which generation; absent: the one before the current one.
    pub generation: Option<u64>,
    /// How long to wait for every core to adopt it, seconds; 0 does not wait.
    pub wait_s: u16,
}

/// The documents are a valid configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// How many profiles it has.
    pub profiles: usize,
    /// What is not wrong but should be known, e.g. a certificate that expires soon.
    pub warnings: Vec<String>,
}

/// What would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The generation compared with; absent when there is none yet.
    pub generation: Option<u64>,
    /// Key by key.
    pub changes: Vec<Change>,
    /// Those that only a restart of the data plane makes effective.
    pub restart_needed: Vec<Change>,
}

/// The documents are the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its number. When nothing changed it is the current one.
    pub generation: u64,
    /// What changed, key by key.
    pub changes: Vec<Change>,
    /// Those that only a restart of the data plane makes effective.
    pub restart_needed: Vec<Change>,
    /// What is not wrong but should be known.
    pub warnings: Vec<String>,
    /// Who has adopted it so far.
    pub distribution: Distribution,
}

/// The generations that can be rolled back to, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// One entry each.
    pub generations: Vec<GenerationSummary>,
}

/// One generation of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationSummary {
    /// Its number.
    pub generation: u64,
    /// When it was applied, seconds since the Unix epoch.
    pub applied_unix_s: u64,
    /// Why.
    pub comment: Option<String>,
    /// Whether it is the current one.
    pub current: bool,
}
