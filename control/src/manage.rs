//! What the management interface asks, handed to whoever answers it.

use std::time::Duration;

use sluice_api::limits::ADOPT_WAIT_S_MAX;
use sluice_api::{
    ApiError, Applied, Checked, Compared, ErrorCode, GenerationSummary, History, Reply, Request,
    Response,
};
use sluice_publish::{Outcome, Warning};
use sluice_schema::Generation;
use sluice_store::{Note, StoreError};

use crate::administration::{self, AdministrationError, Difference};
use crate::process::Daemon;
use crate::{clock, journal};

/// Answers one request of the user with this number.
pub(crate) fn answer(daemon: &Daemon, user: u32, request: Request) -> Response {
    let note = |comment: Option<String>| Note {
        author: format!("uid {user}"),
        comment: comment.unwrap_or_default(),
        at_unix_s: clock::unix_s(),
    };
    let result = match request {
        Request::Check { documents } => daemon.check(&documents).map_err(refusal).map(|checked| {
            Reply::Checked(Checked {
                profiles: checked.configuration.profiles.len(),
                warnings: texts(&checked.warnings),
            })
        }),
        Request::Diff { documents } => daemon.diff(&documents).map_err(refusal).map(compared),
        Request::Apply(apply) => {
            let applied = daemon.apply(&apply.documents, &note(apply.comment), wait(apply.wait_s));
            applied
                .map_err(refusal)
                .map(|applied| daemon.applied(applied))
        }
        Request::Rollback(rollback) => {
            daemon.rollback(rollback.generation, &note(None), wait(rollback.wait_s))
        }
        Request::History => daemon.history(),
        Request::Status => daemon
            .status()
            .map(|status| Reply::Status(Box::new(status))),
        Request::Distribution => Ok(Reply::Distribution(daemon.distribution())),
        Request::CertificateSelfSigned(wanted) => daemon.certificate_self_signed(&wanted),
        Request::CertificateImport(wanted) => daemon.certificate_import(&wanted),
        Request::CertificateList => daemon.certificate_list(),
        Request::CertificateShow { name } => daemon.certificate_show(&name),
        Request::CertificateExport(wanted) => daemon.certificate_export(&wanted),
        Request::Sessions(query) => daemon.sessions(query),
        Request::Fallback { command } => daemon.fallback(command),
        Request::ClearSessions => daemon.clear_sessions(),
        Request::Stats => daemon.stats(),
        Request::Log(query) => Ok(daemon.log(&query)),
        Request::Drops => daemon.drops(),
        Request::Cores => daemon.cores(),
        Request::Explain(question) => daemon.explain(&question),
    };
    result.into()
}

impl Daemon {
    fn rollback(&self, to: Option<u64>, note: &Note, wait: Duration) -> Result<Reply, ApiError> {
        let to = match to {
            Some(to) => Generation(to),
            None => self.generation_before()?,
        };
        let applied = self.roll_back(to, note, wait).map_err(refusal)?;
        Ok(self.applied(applied))
    }

    fn generation_before(&self) -> Result<Generation, ApiError> {
        let records = self
            .store()
            .generations()
            .map_err(|error| store_error(&error))?;
        let current = records
            .iter()
            .find(|record| record.current)
            .map(|record| record.number);
        let before = records
            .iter()
            .map(|record| record.number)
            .filter(|number| Some(*number) < current)
            .max();
        before.ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotFound,
                "there is no earlier generation to go back to; `history` lists them",
            )
        })
    }

    fn applied(&self, applied: administration::Applied) -> Reply {
        let mut warnings = texts(&applied.warnings);
        match &applied.outcome {
            Outcome::Adopted | Outcome::Refused { .. } | Outcome::Superseded => {}
            Outcome::NoDataPlane => warnings.push(format!(
                "stored as generation {}; no data plane is connected, it gets the generation when it connects",
                applied.generation
            )),
            Outcome::Pending { laggards } if laggards.is_empty() => {
                warnings.push("the data plane has not answered yet; `status` tells when it has".to_owned());
            }
            Outcome::Pending { laggards } => {
                let cores: Vec<_> = laggards.iter().map(u16::to_string).collect();
                warnings.push(format!("not adopted yet by core {}; `status` tells when", cores.join(", ")));
            }
        }
        Reply::Applied(Applied {
            generation: applied.generation.0,
            changes: applied.difference.changes,
            restart_needed: applied.difference.restart,
            warnings,
            distribution: self.distribution_of(&applied.distribution),
        })
    }

    fn history(&self) -> Result<Reply, ApiError> {
        let records = self
            .store()
            .generations()
            .map_err(|error| store_error(&error))?;
        let generations = records
            .into_iter()
            .map(|record| GenerationSummary {
                generation: record.number.0,
                applied_unix_s: record.note.at_unix_s,
                comment: match record.rolled_back {
                    Some(rolled_back) => {
                        Some(format!("rolled back to generation {}", rolled_back.to))
                    }
                    None => Some(record.note.comment).filter(|comment| !comment.is_empty()),
                },
                current: record.current,
            })
            .collect();
        Ok(Reply::History(History { generations }))
    }
}

fn wait(seconds: u16) -> Duration {
    Duration::from_secs(u64::from(seconds.min(ADOPT_WAIT_S_MAX)))
}

fn texts(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

fn compared(difference: Difference) -> Reply {
    Reply::Compared(Compared {
        generation: difference.against.map(|generation| generation.0),
        changes: difference.changes,
        restart_needed: difference.restart,
    })
}

/// A refused change, for the interface.
pub(crate) fn refusal(error: AdministrationError) -> ApiError {
    match error {
        AdministrationError::Documents(problems) => ApiError::documents(problems),
        error @ AdministrationError::Missing(_) => {
            ApiError::new(ErrorCode::NotFound, error.to_string())
        }
        AdministrationError::Store(error) => store_error(&error),
        error @ AdministrationError::Publish(_) => internal(&error),
    }
}

/// The store's refusal, for the interface.
pub(crate) fn store_error(error: &StoreError) -> ApiError {
    let code = match error {
        StoreError::NoSuchGeneration { .. }
        | StoreError::NoGeneration
        | StoreError::NoSuchCertificate { .. }
        | StoreError::NoSuchRequest { .. } => ErrorCode::NotFound,
        StoreError::CertificateExists { .. } | StoreError::RequestExists { .. } => {
            ErrorCode::AlreadyExists
        }
        StoreError::DuplicateDocument { .. } => ErrorCode::BadRequest,
        _ => return internal(error),
    };
    ApiError::new(code, error.to_string())
}

/// A failure of this process's own; its own messages have it too.
pub(crate) fn internal(error: &dyn std::error::Error) -> ApiError {
    journal::say(&format!("a request failed: {error}"));
    ApiError::new(ErrorCode::Internal, error.to_string())
}
