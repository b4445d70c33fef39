//! What became of a generation, per core.

use serde::Serialize;

/// What one core says about the current generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum CoreDistribution {
    /// It decides by the current generation.
    Adopted,
    /// It does not, and says why.
    Refused {
        /// What was wrong and what to do.
        reason: String,
    },
    /// It was offered the generation and has not answered.
    Pending {
        /// When it was offered, microseconds since the Unix epoch.
        since_unix_us: u64,
    },
}

/// Where one core stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreStatus {
    /// The lcore.
    pub core: u16,
    /// The generation it decides by, if any.
    pub generation: Option<u64>,
    /// What it says about the current one.
    pub distribution: CoreDistribution,
}

/// Where the data plane stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DistributionStatus {
    /// The current generation; `None` before the first.
    pub current: Option<u64>,
    /// The last generation that every core adopted, as far as this process knows.
    pub last_good: Option<u64>,
    /// Whether a data plane is connected.
    pub connected: bool,
    /// The data plane's process id.
    pub pid: Option<u32>,
    /// The data plane's release.
    pub release: Option<String>,
    /// Why the data plane as a whole refused the current generation.
    pub refused: Option<String>,
    /// Its cores, in order; empty before it has booted.
    pub cores: Vec<CoreStatus>,
}

impl DistributionStatus {
    /// The cores that were offered the current generation and have not answered.
    #[must_use]
    pub fn laggards(&self) -> Vec<u16> {
        let waiting =
            |core: &&CoreStatus| matches!(core.distribution, CoreDistribution::Pending { .. });
        self.cores
            .iter()
            .filter(waiting)
            .map(|core| core.core)
            .collect()
    }

    /// The answer to "what became of `generation`?".
    #[must_use]
    pub fn outcome(&self, generation: u64) -> Outcome {
        if self.current != Some(generation) {
            return Outcome::Superseded;
        }
        if !self.connected {
            return Outcome::NoDataPlane;
        }
        if let Some(reason) = &self.refused {
            return Outcome::Refused {
                core: None,
                reason: reason.clone(),
            };
        }
        for core in &self.cores {
            if let CoreDistribution::Refused { reason } = &core.distribution {
                return Outcome::Refused {
                    core: Some(core.core),
                    reason: reason.clone(),
                };
            }
        }
        let laggards = self.laggards();
        if self.cores.is_empty() || !laggards.is_empty() {
            return Outcome::Pending { laggards };
        }
        Outcome::Adopted
    }
}

/// What became of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every core decides by it.
    Adopted,
    /// It was refused; the one before stays in force.
    Refused {
        /// The lcore that refused, or `None` for the whole data plane.
        core: Option<u16>,
        /// What was wrong and what to do.
        reason: String,
    },
    /// Not every core has answered.
    Pending {
        /// The cores that have not; empty while the data plane boots.
        laggards: Vec<u16>,
    },
    /// It is stored; no data plane is connected.
    NoDataPlane,
    /// Another generation has become current since.
    Superseded,
}
