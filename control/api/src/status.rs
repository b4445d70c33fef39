//! How things are.

use serde::{Deserialize, Serialize};
use sluice_telemetry::LoadState;

use crate::Fallback;

/// The appliance at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name; absent before the first configuration.
    pub appliance: Option<String>,
    /// Version of `sluiced`.
    pub version: String,
    /// Process id of `sluiced`.
    pub pid: u32,
    /// How long `sluiced` runs, seconds.
    pub uptime_s: u64,
    /// When the current generation was applied, seconds since the Unix epoch.
    pub applied_unix_s: Option<u64>,
    /// Whether client inspection is switched on; absent before the first configuration.
    pub client_inspection: Option<bool>,
    /// Whether server inspection is switched on; absent before the first configuration.
    pub server_inspection: Option<bool>,
    /// Sessions inspected now; absent without a data plane.
    pub sessions_inspected: Option<u64>,
    /// As many as there may be; absent before the first configuration.
    pub inspected_sessions_max: Option<u64>,
    /// How the sessions compare with that; absent without a data plane.
    pub session_load: Option<LoadState>,
    /// Whether the data plane is in layer-2 fallback, and why; absent without a data plane.
    pub fallback: Option<Fallback>,
    /// Where the events go.
    pub event_log: Option<String>,
    /// Who has adopted what.
    pub distribution: Distribution,
    /// Boot settings changed that a restart of the data plane would make effective.
    pub restart_needed: bool,
    /// What wants attention: one sentence each.
    pub problems: Vec<String>,
}

/// Who has adopted the current generation, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The current generation; absent before the first configuration.
    pub generation: Option<u64>,
    /// The data plane; absent when none is connected.
    pub dataplane: Option<Dataplane>,
    /// One entry per polling core.
    pub cores: Vec<CoreAdoption>,
}

/// The data plane's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataplane {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
}

/// What one core has adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreAdoption {
    /// The core.
    pub core: u16,
    /// The generation it runs under; absent before the first.
    pub generation: Option<u64>,
    /// How it stands with the current one.
    pub state: Adoption,
}

/// How a core stands with the current generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adoption {
    /// It runs under it.
    Adopted,
    /// It has not answered yet.
    Pending,
    /// It runs under an earlier one.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

impl Distribution {
    /// Whether a data plane is there and every core of it runs under the current generation.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        self.generation.is_some()
            && self.dataplane.is_some()
            && !self.cores.is_empty()
            && self
                .cores
                .iter()
                .all(|core| core.state == Adoption::Adopted)
    }
}
