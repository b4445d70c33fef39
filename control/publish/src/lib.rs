//! Publishing: a validated configuration becomes a sealed snapshot and a key segment, is handed to the data plane, and is
//! acknowledged by every core, or refused.
//!
//! [`prepare`] checks that everything the configuration names is there and builds what crosses; nothing is half-done when
//! it fails. [`Publisher`] hands generations over and keeps account per core: the generation it decides by, or why not.
//! The generation before stays until every core has left it, and is then retired: its keys are overwritten.

#![forbid(unsafe_code)]

mod distribution;
pub mod limits;
mod prepare;
mod published;
mod publisher;

pub use distribution::{CoreDistribution, CoreStatus, DistributionStatus, Outcome};
pub use prepare::{
    CertificateFacts, CertificateSource, Prepared, PublishProblem, SourceError, Warning, check,
    prepare,
};
pub use published::{PublishError, Published};
pub use publisher::Publisher;

#[cfg(test)]
mod testing;
