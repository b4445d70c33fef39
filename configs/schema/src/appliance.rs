//! The appliance as a whole: segments, boot settings, switches, limits.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{ApplianceName, Description, PortAddress, ProfileName, SegmentName, VlanRange};

/// What `appliance.toml` says, validated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliance {
    /// Its name, as it stands in events.
    pub name: ApplianceName,
    /// The profile of every flow that no virtual segment claims; absent: such flows are forwarded at layer 2.
    pub profile: Option<ProfileName>,
    /// Boot settings of the data plane.
    pub dataplane: Dataplane,
    /// The switches per direction.
    pub inspection: InspectionSwitches,
    /// What the data plane holds at most.
    pub limits: Limits,
    /// The network around it.
    pub network: Network,
    /// The wires, each between two ports. A segment's position is its identifier in the data plane.
    pub segments: Vec<Segment>,
    /// The first that matches a flow claims it.
    pub virtual_segments: Vec<VirtualSegment>,
}

/// Boot settings: a change needs a restart of the data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataplane {
    /// The polling cores, at least one, none twice.
    pub cores: Vec<u16>,
    /// The core of everything that does not poll; none of `cores`.
    pub main_core: u16,
    /// Memory for packet buffers and tables, MiB.
    pub memory_mib: u32,
    /// Whether memory comes in huge pages.
    pub hugepages: Hugepages,
    /// What a core does when there is nothing to do.
    pub idle: IdleMode,
}

/// Whether memory comes in huge pages.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Hugepages {
    /// Huge pages when there are enough, ordinary ones when not.
    #[default]
    Auto,
    /// Huge pages or no start.
    Require,
    /// Ordinary pages.
    Off,
}

/// What a polling core does when there is nothing to do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum IdleMode {
    /// Sleeps in growing steps.
    #[default]
    Adaptive,
    /// Polls on.
    BusyPoll,
}

/// Whether each direction is inspected on this appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionSwitches {
    /// Client inspection, with forged leaves.
    pub client: bool,
    /// Server inspection, with the servers' own keys.
    pub server: bool,
}

/// What the data plane holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sessions inspected at once.
    pub inspected_sessions_max: u32,
    /// What happens to a session past that.
    pub over_limit: OverLimit,
    /// The share of `inspected_sessions_max` at which a warning is logged, percent, `1..=100`.
    pub sessions_warning_percent: u8,
    /// The share of `inspected_sessions_max` at which the load counts as critical, percent; more than the warning's.
    pub sessions_critical_percent: u8,
    /// What happens to new flows while packet buffers are nearly used up.
    pub on_exhaustion: OnExhaustion,
    /// Flows tracked at once, inspected ones included. The tables are sized by it at the start.
    pub flows_max: u32,
}

/// What happens to sessions past the limit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OverLimit {
    /// They pass without inspection.
    #[default]
    Bypass,
    /// They are blocked.
    Block,
}

/// What happens to new flows while packet buffers are nearly used up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OnExhaustion {
    /// They pass without inspection.
    #[default]
    Bypass,
    /// Their first packets are dropped, so that they come again later.
    Drop,
}

/// The network around the appliance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The two directions of a flow may take different ways: every flow is forwarded at layer 2. Never with inspection.
    pub asymmetric: bool,
}

/// A wire: what comes in at one port goes out at the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name.
    pub name: SegmentName,
    /// One end.
    pub port_a: PortAddress,
    /// The other end.
    pub port_b: PortAddress,
    /// VLANs that have another identifier on the other side, none twice on either. Never with inspection.
    pub vlan_translations: Vec<VlanTranslation>,
}

/// A VLAN that has another identifier on the other side of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanTranslation {
    /// The outer tag's identifier at port A, `1..=4094`.
    pub port_a: u16,
    /// The outer tag's identifier at port B, `1..=4094`.
    pub port_b: u16,
}

/// A share of the traffic with a profile of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualSegment {
    /// Its name.
    pub name: SegmentName,
    /// For people.
    pub description: Option<Description>,
    /// The segment it is on; absent: every segment.
    pub segment: Option<SegmentName>,
    /// The outer VLAN identifiers it takes; empty: tagged and untagged alike.
    pub vlans: Vec<VlanRange>,
    /// The clients' addresses it takes; empty: all.
    pub sources: Vec<IpNet>,
    /// The servers' addresses it takes; empty: all.
    pub destinations: Vec<IpNet>,
    /// The profile; absent: its flows are forwarded at layer 2.
    pub profile: Option<ProfileName>,
}
