//! What the two processes say to each other.

use serde::{Deserialize, Serialize};
use sluice_telemetry::{FallbackReason, SessionSummary, SystemEvent};

/// Version of the messages; both ends must have the same.
pub const LINK_VERSION: u16 = 2;

/// From the data plane to `sluiced`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ToControl {
    /// Who speaks: the first message of every connection, and again when the cores have come up.
    ///
    /// Descriptors: with cores, the statistics segment and then one event ring per core, in their order; without cores,
    /// none.
    Hello {
        /// [`LINK_VERSION`].
        version: u16,
        /// The data plane's process id.
        pid: u32,
        /// The data plane's release.
        release: String,
        /// Its polling lcores; empty before it has booted.
        cores: Vec<u16>,
        /// The generation it decides by, if any.
        adopted: Option<u64>,
    },
    /// A core decides by this generation from now on.
    Adopted {
        /// The lcore.
        core: u16,
        /// The generation.
        generation: u64,
    },
    /// A generation is not adopted; the one before stays in force.
    Refused {
        /// The lcore, or `None` for the whole data plane.
        core: Option<u16>,
        /// The generation.
        generation: u64,
        /// What was wrong and what to do.
        reason: String,
    },
    /// The answer to [`ToDataplane::Query`] of the same id.
    Reply {
        /// The query's id.
        id: u64,
        /// The answer.
        body: ReplyBody,
    },
    /// Something the operator should know, e.g. that the new boot settings need a restart.
    Problem {
        /// What was tried.
        operation: String,
        /// What was wrong and what to do.
        reason: String,
    },
    /// A system event of the process, outside any core's ring.
    Event {
        /// When, microseconds since the Unix epoch.
        unix_us: u64,
        /// What happened.
        event: SystemEvent,
    },
}

/// From `sluiced` to the data plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ToDataplane {
    /// The answer to the connection's first [`ToControl::Hello`].
    Welcome {
        /// [`LINK_VERSION`].
        version: u16,
        /// `sluiced`'s process id.
        pid: u32,
    },
    /// A generation to adopt. Descriptors: the sealed snapshot, then the key segment.
    Publish {
        /// The generation.
        generation: u64,
    },
    /// Nobody needs this generation's snapshot and keys any more; they are gone.
    Retire {
        /// The generation.
        generation: u64,
    },
    /// A question.
    Query {
        /// Chosen by the asker; the reply carries it.
        id: u64,
        /// The question.
        query: Query,
    },
}

/// A question to the data plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Query {
    /// The sessions of now.
    Sessions {
        /// At most this many.
        limit: u32,
    },
    /// Whether the data plane's main loop answers.
    Ping,
    /// Why new flows are forwarded at layer 2, if they are.
    Fallback {
        /// What the command makes of it; absent: nothing is changed.
        command: Option<bool>,
    },
    /// Ends every inspected session: both ends are reset.
    ClearSessions,
}

/// An answer of the data plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplyBody {
    /// To [`Query::Sessions`].
    Sessions {
        /// As many as asked for.
        sessions: Vec<SessionSummary>,
    },
    /// To [`Query::Ping`].
    Pong,
    /// To [`Query::Fallback`].
    Fallback {
        /// The reasons that hold; fallback is off when there is none.
        reasons: Vec<FallbackReason>,
    },
    /// To [`Query::ClearSessions`].
    Cleared {
        /// How many sessions there were.
        sessions: u64,
    },
    /// The question could not be answered.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}
