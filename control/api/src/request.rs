//! What can be asked, and what is answered.

use serde::{Deserialize, Serialize};
use sluice_schema::Document;

use crate::{
    ApiError, Applied, Apply, CertificateDetails, CertificateExport, CertificateImport,
    CertificateSummary, Checked, Cleared, Compared, Cores, Distribution, Drops, Explain, Explained,
    Exported, Fallback, History, Log, LogQuery, Rollback, SelfSigned, Sessions, SessionsQuery,
    Stats, Status,
};

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Are these documents valid, also with the certificates that are there? Answered by [`Reply::Checked`].
    Check {
        /// The whole configuration.
        documents: Vec<Document>,
    },
    /// What would change? Answered by [`Reply::Compared`].
    Diff {
        /// The whole configuration.
        documents: Vec<Document>,
    },
    /// Make these documents the configuration. Answered by [`Reply::Applied`].
    Apply(Apply),
    /// Make an earlier generation's documents the configuration again. Answered by [`Reply::Applied`].
    Rollback(Rollback),
    /// Which generations are there? Answered by [`Reply::History`].
    History,
    /// How are things? Answered by [`Reply::Status`].
    Status,
    /// Which core has adopted what? Answered by [`Reply::Distribution`].
    Distribution,
    /// Make a self-signed CA certificate with its key. Answered by [`Reply::Certificate`].
    CertificateSelfSigned(SelfSigned),
    /// Take a certificate in, with or without its key. Answered by [`Reply::Certificates`]: PKCS#12 may hold several.
    CertificateImport(CertificateImport),
    /// Which certificates are there? Answered by [`Reply::Certificates`].
    CertificateList,
    /// Everything about one certificate. Answered by [`Reply::Certificate`].
    CertificateShow {
        /// Its name.
        name: String,
    },
    /// A certificate to give away; never its key. Answered by [`Reply::Exported`].
    CertificateExport(CertificateExport),
    /// The flows tracked now. Answered by [`Reply::Sessions`].
    Sessions(SessionsQuery),
    /// Why is the data plane in layer-2 fallback, if it is? Answered by [`Reply::Fallback`].
    Fallback {
        /// What the operator makes of it; absent: nothing is changed.
        command: Option<bool>,
    },
    /// End every inspected session with resets. Answered by [`Reply::Cleared`].
    ClearSessions,
    /// Every counter. Answered by [`Reply::Stats`].
    Stats,
    /// The latest events. Answered by [`Reply::Log`].
    Log(LogQuery),
    /// Why frames were discarded. Answered by [`Reply::Drops`].
    Drops,
    /// Busy and idle time per core. Answered by [`Reply::Cores`].
    Cores,
    /// How would a flow be treated, and why? Answered by [`Reply::Explained`].
    Explain(Explain),
}

/// The answer to a request that went well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Request::Check`].
    Checked(Checked),
    /// To [`Request::Diff`].
    Compared(Compared),
    /// To [`Request::Apply`] and [`Request::Rollback`].
    Applied(Applied),
    /// To [`Request::History`].
    History(History),
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Distribution`].
    Distribution(Distribution),
    /// To [`Request::CertificateSelfSigned`] and [`Request::CertificateShow`].
    Certificate(Box<CertificateDetails>),
    /// To [`Request::CertificateList`] and [`Request::CertificateImport`].
    Certificates(Vec<CertificateSummary>),
    /// To [`Request::CertificateExport`].
    Exported(Exported),
    /// To [`Request::Sessions`].
    Sessions(Sessions),
    /// To [`Request::Fallback`].
    Fallback(Fallback),
    /// To [`Request::ClearSessions`].
    Cleared(Cleared),
    /// To [`Request::Stats`].
    Stats(Stats),
    /// To [`Request::Log`].
    Log(Log),
    /// To [`Request::Drops`].
    Drops(Drops),
    /// To [`Request::Cores`].
    Cores(Cores),
    /// To [`Request::Explain`].
    Explained(Explained),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It went well.
    Ok(Reply),
    /// It did not, and nothing was changed.
    Error(ApiError),
}

impl From<Result<Reply, ApiError>> for Response {
    fn from(result: Result<Reply, ApiError>) -> Self {
        match result {
            Ok(reply) => Self::Ok(reply),
            Err(error) => Self::Error(error),
        }
    }
}

/// A request on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Envelope<R> {
    pub(crate) version: u16,
    pub(crate) request: R,
}
