//! Layer-2 fallback and the clearing of sessions: asked of the data plane, and remembered for the next one.

use sluice_api::{ApiError, Cleared, Fallback, Reply};
use sluice_shm::link::{Query, ReplyBody};

use crate::journal;
use crate::limits::QUERY_TIMEOUT;
use crate::manage::store_error;
use crate::process::Daemon;
use crate::show::no_dataplane;

/// The setting that remembers an operator's word over restarts of the data plane: `on`, or absent.
const COMMANDED: &str = "layer2-fallback";

impl Daemon {
    /// Enters or leaves layer-2 fallback by command, or only asks.
    pub(crate) fn fallback(&self, command: Option<bool>) -> Result<Reply, ApiError> {
        let reasons = match self.ask(Query::Fallback { command })? {
            ReplyBody::Fallback { reasons } => reasons,
            other => return Err(unexpected(other)),
        };
        if let Some(on) = command {
            self.store()
                .set_setting(COMMANDED, on.then_some("on"))
                .map_err(|error| store_error(&error))?;
        }
        Ok(Reply::Fallback(Fallback { reasons }))
    }

    /// Ends every inspected session.
    pub(crate) fn clear_sessions(&self) -> Result<Reply, ApiError> {
        match self.ask(Query::ClearSessions)? {
            ReplyBody::Cleared { sessions } => Ok(Reply::Cleared(Cleared { sessions })),
            other => Err(unexpected(other)),
        }
    }

    /// Tells a data plane that has just started what an operator told the one before it.
    pub(crate) fn restore_fallback(&self) {
        let commanded = self.store().setting(COMMANDED).ok().flatten();
        if commanded.is_none() {
            return;
        }
        let restored = self.ask(Query::Fallback {
            command: Some(true),
        });
        if let Err(error) = restored {
            journal::say(&format!(
                "layer-2 fallback, which was commanded, could not be passed on: {error}; say `sluice fallback on` again"
            ));
        }
    }

    fn ask(&self, query: Query) -> Result<ReplyBody, ApiError> {
        let (link, _) = self.running()?;
        let asked = self.dataplane.queries.ask(&link, query, QUERY_TIMEOUT);
        asked.map_err(|error| no_dataplane(error.to_string()))
    }
}

fn unexpected(body: ReplyBody) -> ApiError {
    no_dataplane(match body {
        ReplyBody::Failed { reason } => reason,
        _ => "the data plane's answer is not one to this question".to_owned(),
    })
}
