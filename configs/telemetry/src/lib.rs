//! Every counter, drop reason, decision code and event type of the appliance.
//!
//! Both processes build against this crate and neither imports the other: what the data plane counts and reports is
//! what the control plane shows and logs. There is no I/O here and no clock.

#![forbid(unsafe_code)]

mod code;
mod community_id;
mod counter;
mod drop_reason;
pub mod eve;
mod event;
mod flow_record;
pub mod limits;
mod load;
mod session;
mod system;
mod tls_facts;

pub use code::{DecisionCode, Verdict};
pub use community_id::community_id;
pub use counter::{Counter, CounterKind};
pub use drop_reason::DropReason;
pub use event::{Event, EventError};
pub use flow_record::{Application, EndReason, FlowRecord, Party};
pub use load::{FallbackReason, FallbackReasons, LoadState};
pub use session::{SessionPhase, SessionSummary};
pub use system::{Severity, SystemEvent, SystemRecord};
pub use tls_facts::{LegFacts, OriginVerdict, TlsVersion};
