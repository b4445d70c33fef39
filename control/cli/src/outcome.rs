//! How a command ends.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use sluice_api::{ApiError, CallError};
use sluice_schema::Problem;

/// The exit codes that `--help` documents; usage errors (2) end before any command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    NoConnection,
    NotAdopted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::NoConnection => 3,
            Exit::NotAdopted => 4,
        })
    }
}

/// A command that did what it was told.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// For people, or bytes for a file, on standard output.
    pub(crate) output: Vec<u8>,
    /// For programs.
    pub(crate) json: Value,
    /// For people, on standard error.
    pub(crate) notes: Vec<String>,
    pub(crate) exit: Exit,
}

impl Outcome {
    pub(crate) fn new(text: String, json: Value) -> Self {
        Self {
            output: text.into_bytes(),
            json,
            notes: Vec::new(),
            exit: Exit::Done,
        }
    }

    /// The reply as JSON beside its rendering.
    pub(crate) fn of(text: String, reply: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_value(reply)
            .map_err(|error| Failure::local(format!("the reply has no JSON: {error}")))?;
        Ok(Self::new(text, json))
    }
}

/// A command that did not.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Stable, for programs.
    pub(crate) code: &'static str,
    /// For people: what was wrong and what to do.
    pub(crate) message: String,
    /// What is wrong with the documents, if that is it.
    pub(crate) problems: Vec<Problem>,
}

impl Failure {
    /// Something went wrong here, not at sluiced.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            code: "local",
            message: message.into(),
            problems: Vec::new(),
        }
    }

    /// sluiced answered something else than what was asked.
    pub(crate) fn unexpected() -> Self {
        Self::local(
            "sluiced gave another reply than the one asked for; use the sluice of the same release",
        )
    }

    pub(crate) fn documents(problems: Vec<Problem>) -> Self {
        ApiError::documents(problems).into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let exit = match error.code {
            sluice_api::ErrorCode::NotAdopted => Exit::NotAdopted,
            _ => Exit::Failed,
        };
        Self {
            exit,
            code: error.code.name(),
            message: error.message,
            problems: error.problems,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(error) => error.into(),
            other => Self {
                exit: Exit::NoConnection,
                code: "no-connection",
                message: other.to_string(),
                problems: Vec::new(),
            },
        }
    }
}
