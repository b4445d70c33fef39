//! The management interface: requests and replies over a local socket.
//!
//! One JSON object per line in each direction, over the Unix stream socket that `sluiced` listens on. A request carries
//! the protocol's version; a reply is `{"ok": …}` or `{"error": {"code", "message", "problems"}}`. Several requests may
//! follow each other on one connection; each is answered before the next is read. Lines are bounded.

#![forbid(unsafe_code)]

mod blob;
mod certificate;
mod client;
mod configuration;
mod error;
mod explain;
mod framing;
pub mod limits;
mod observe;
mod request;
mod secret;
mod server;
mod status;

pub use blob::Blob;
pub use certificate::{
    CertificateDetails, CertificateExport, CertificateImport, CertificateState, CertificateSummary,
    ExportFormat, Exported, KeyKind, SelfSigned, Subject,
};
pub use client::{CallError, Client};
pub use configuration::{Applied, Apply, Checked, Compared, GenerationSummary, History, Rollback};
pub use error::{ApiError, ErrorCode};
pub use explain::{Explain, Explained, ExplainedStep};
pub use framing::FrameError;
pub use observe::{
    Cleared, CoreLoad, Cores, CounterRow, Drops, Fallback, Log, LogQuery, Sessions, SessionsQuery,
    Stats,
};
pub use request::{Reply, Request, Response};
pub use secret::Secret;
pub use server::serve;
pub use status::{Adoption, CoreAdoption, Dataplane, Distribution, Status};

/// Version of the protocol; a request of another version is refused.
pub const PROTOCOL_VERSION: u16 = 1;
