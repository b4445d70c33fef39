//! The configuration documents of an appliance: what is written, and what it means once validated.
//!
//! A configuration is a directory of TOML documents, `appliance.toml` and `profiles/*.toml`. [`load`] turns them into a
//! [`Configuration`] or into every [`Problem`] found, each with file, line, key and what to do. What is published as
//! JSON Schema ([`json_schema`]) is generated from the same types that are read, and it is what the shape of a document
//! is checked against. A [`Snapshot`] is a configuration with its certificates and a generation, as it crosses to the
//! data plane.

#![forbid(unsafe_code)]

mod appliance;
mod configuration;
mod diff;
mod document;
mod json_schema;
pub mod limits;
mod name;
mod network;
mod port_address;
mod problem;
mod profile;
mod raw;
mod shape;
mod snapshot;
mod source;
mod validate;

pub use appliance::{
    Appliance, Dataplane, Hugepages, IdleMode, InspectionSwitches, Limits, Network, OnExhaustion,
    OverLimit, Segment, VirtualSegment, VlanTranslation,
};
pub use configuration::{CertificateUse, Configuration, UseKind};
pub use diff::{Change, ChangeKind, restart_needed};
pub use document::{Document, load};
pub use json_schema::{DocumentKind, json_schema};
pub use name::{
    ApplianceName, CertificateName, DecryptionPolicyName, Description, NameError, PolicyName,
    ProfileName, ProxyName, SegmentName, TrustStoreName,
};
pub use network::{DomainPattern, NetworkError, PortRange, TlsVersion, VersionRange, VlanRange};
pub use port_address::{PortAddress, PortAddressError};
pub use problem::Problem;
pub use profile::{
    ClientPolicy, ClientProxy, DecryptionPolicy, IrregularHandshake, Profile, ServerPolicy,
    ServerProxy, Service, TrustStore,
};
pub use snapshot::{Certificate, Generation, KeyId, Snapshot, SnapshotError};
