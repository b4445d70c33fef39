//! How things are: the appliance at a glance, and who has adopted what.

use std::time::Duration;

use sluice_api::{Adoption, ApiError, CoreAdoption, Dataplane, Distribution, Fallback, Status};
use sluice_publish::{CoreDistribution, DistributionStatus};
use sluice_schema::{Configuration, Generation, Limits, OverLimit};
use sluice_shm::{CoreState, CoreView};
use sluice_telemetry::{Counter, FallbackReasons, LoadState};

use crate::administration::full;
use crate::clock;
use crate::limits::CORE_SILENT_MAX;
use crate::manage::store_error;
use crate::process::Daemon;

/// The setting that remembers under which generation the data plane booted: `EPOCH GENERATION`.
const BOOTED: &str = "dataplane-booted";

impl Daemon {
    pub(crate) fn status(&self) -> Result<Status, ApiError> {
        let distribution = self.dataplane.publisher.status();
        let mut problems = Vec::new();
        let configuration = match self.current() {
            Ok(current) => current.map(|(_, configuration)| configuration),
            Err(error) => {
                problems.push(full(&error));
                None
            }
        };
        let restart_needed = configuration
            .as_ref()
            .is_some_and(|now| self.restart_needed(now));
        self.collect_problems(
            &distribution,
            configuration.as_ref(),
            restart_needed,
            &mut problems,
        );
        let records = self
            .store()
            .generations()
            .map_err(|error| store_error(&error))?;
        let stats = self.dataplane.publisher.peer().and_then(|(_, stats)| stats);
        let session_load = stats
            .as_ref()
            .and_then(|stats| LoadState::from_number(stats.total(Counter::SessionLoad)));
        let limits = configuration
            .as_ref()
            .map(|configuration| configuration.appliance.limits);
        let fallback = stats.as_ref().map(|stats| Fallback {
            reasons: FallbackReasons::from_bits(stats.total(Counter::Layer2Fallback))
                .iter()
                .collect(),
        });
        problems.extend(
            fallback
                .iter()
                .flat_map(|fallback| &fallback.reasons)
                .map(|reason| {
                    format!(
                        "layer-2 fallback is on because {}: new flows pass without inspection",
                        reason.description()
                    )
                }),
        );
        problems.extend(stats.iter().flat_map(|stats| silent_cores(stats.cores())));
        problems.extend(session_load.zip(limits).and_then(over_threshold));
        let uptime_us = clock::unix_us().saturating_sub(self.started_unix_us);
        let appliance = configuration
            .as_ref()
            .map(|configuration| &configuration.appliance);
        Ok(Status {
            appliance: appliance.map(|appliance| appliance.name.to_string()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: uptime_us / 1_000_000,
            applied_unix_s: records
                .iter()
                .find(|record| record.current)
                .map(|record| record.note.at_unix_s),
            client_inspection: appliance.map(|appliance| appliance.inspection.client),
            server_inspection: appliance.map(|appliance| appliance.inspection.server),
            sessions_inspected: stats.as_ref().map(|stats| stats.total(Counter::FlowsTaken)),
            inspected_sessions_max: appliance
                .map(|appliance| u64::from(appliance.limits.inspected_sessions_max)),
            session_load,
            fallback,
            event_log: Some(self.options.event_log.display().to_string()),
            distribution: self.distribution_of(&distribution),
            restart_needed,
            problems,
        })
    }

    pub(crate) fn distribution(&self) -> Distribution {
        self.distribution_of(&self.dataplane.publisher.status())
    }

    /// The account per core for the interface. Until the data plane has booted it has no cores of its own: the ones
    /// it is configured to have stand for them.
    pub(crate) fn distribution_of(&self, status: &DistributionStatus) -> Distribution {
        let generation = status.current.or_else(|| {
            self.store()
                .current()
                .ok()
                .flatten()
                .map(|current| current.0)
        });
        let dataplane = match (status.connected, status.pid, &status.release) {
            (true, Some(pid), Some(version)) => Some(Dataplane {
                version: version.clone(),
                pid,
            }),
            _ => None,
        };
        let refused = status.refused.as_ref().map(|reason| Adoption::Refused {
            reason: reason.clone(),
        });
        let mut cores: Vec<CoreAdoption> = status
            .cores
            .iter()
            .map(|core| CoreAdoption {
                core: core.core,
                generation: core.generation,
                state: match (&core.distribution, &refused) {
                    (CoreDistribution::Adopted, _) => Adoption::Adopted,
                    (CoreDistribution::Refused { reason }, _) => Adoption::Refused {
                        reason: reason.clone(),
                    },
                    (CoreDistribution::Pending { .. }, Some(refused)) => refused.clone(),
                    (CoreDistribution::Pending { .. }, None) => Adoption::Pending,
                },
            })
            .collect();
        if cores.is_empty() && dataplane.is_some() {
            let state = refused.unwrap_or(Adoption::Pending);
            let configured = self
                .current()
                .ok()
                .flatten()
                .map(|(_, configuration)| configuration);
            let configured = configured.map_or_else(Vec::new, |configuration| {
                configuration.appliance.dataplane.cores
            });
            cores = configured
                .into_iter()
                .map(|core| CoreAdoption {
                    core,
                    generation: None,
                    state: state.clone(),
                })
                .collect();
        }
        Distribution {
            generation,
            dataplane,
            cores,
        }
    }

    /// Remembers under which generation the data plane that is connected booted, when that becomes known.
    pub(crate) fn remember_boot(&self, remembered: &mut Option<u64>) {
        let Some((_, Some(stats))) = self.dataplane.publisher.peer() else {
            return;
        };
        let epoch = stats.epoch();
        let Some(generation) = stats.cores().filter_map(|core| core.adopted()).min() else {
            return;
        };
        if *remembered == Some(epoch) {
            return;
        }
        *remembered = Some(epoch);
        self.restore_fallback();
        let mut store = self.store();
        if booted(&store.setting(BOOTED).ok().flatten()).is_some_and(|(known, _)| known == epoch) {
            return;
        }
        if let Err(error) = store.set_setting(BOOTED, Some(&format!("{epoch} {generation}"))) {
            crate::journal::say(&format!(
                "the data plane's boot could not be remembered: {error}"
            ));
        }
    }

    /// Whether boot settings have changed since the data plane that is connected booted.
    fn restart_needed(&self, now: &Configuration) -> bool {
        let Some((_, Some(stats))) = self.dataplane.publisher.peer() else {
            return false;
        };
        let store = self.store();
        let Some((epoch, generation)) = booted(&store.setting(BOOTED).ok().flatten()) else {
            return false;
        };
        let documents = store.documents(Generation(generation)).unwrap_or_default();
        epoch == stats.epoch()
            && sluice_schema::load(&documents)
                .is_ok_and(|then| !sluice_schema::restart_needed(&then, now).is_empty())
    }

    fn collect_problems(
        &self,
        distribution: &DistributionStatus,
        configuration: Option<&Configuration>,
        restart_needed: bool,
        problems: &mut Vec<String>,
    ) {
        if !distribution.connected {
            problems.push(format!(
                "no data plane is connected; start it with sluice-dataplane --control {}",
                self.options.dataplane_socket().display()
            ));
        }
        if let (Some(current), Some(reason)) = (distribution.current, &distribution.refused) {
            problems.push(format!(
                "the data plane refused generation {current}: {reason}"
            ));
        }
        for core in &distribution.cores {
            if let CoreDistribution::Refused { reason } = &core.distribution {
                problems.push(format!(
                    "core {} refused the current generation: {reason}",
                    core.core
                ));
            }
        }
        for core in distribution.laggards() {
            if distribution.refused.is_none() {
                problems.push(format!(
                    "core {core} has not adopted the current generation yet"
                ));
            }
        }
        if restart_needed {
            problems.push(
                "boot settings have changed; restart the data plane to make them effective"
                    .to_owned(),
            );
        }
        if let Some(configuration) = configuration {
            match self.survey(configuration) {
                Ok(warnings) => problems.extend(warnings.iter().map(ToString::to_string)),
                Err(missing) => problems.extend(missing.iter().map(ToString::to_string)),
            }
        }
        problems.extend(self.events.health().problem);
        let rings = self.dataplane.rings.totals();
        if rings.lost > 0 {
            problems.push(format!(
                "{} events were lost because the cores' event rings were full",
                rings.lost
            ));
        }
        if rings.resynchronised > 0 || rings.unreadable > 0 {
            problems.push(format!(
                "the event rings were damaged {} times and held {} unreadable records",
                rings.resynchronised, rings.unreadable
            ));
        }
    }
}

/// Cores that have polled, and do no longer.
fn silent_cores<'a>(cores: impl Iterator<Item = CoreView<'a>>) -> impl Iterator<Item = String> {
    let now = clock::unix_us();
    cores.filter_map(move |core| {
        let CoreState { core, heartbeat, .. } = core.state();
        let silent = Duration::from_micros(now.saturating_sub(heartbeat));
        (heartbeat != 0 && silent > CORE_SILENT_MAX).then(|| {
            format!(
                "core {core} has not polled for {} s: its flows stand still; restart sluice-dataplane if it does not recover",
                silent.as_secs()
            )
        })
    })
}

/// What an operator should know about a load past a threshold.
fn over_threshold((load, limits): (LoadState, Limits)) -> Option<String> {
    let fate = match limits.over_limit {
        OverLimit::Bypass => "pass without inspection",
        OverLimit::Block => "are blocked",
    };
    let max = limits.inspected_sessions_max;
    match load {
        LoadState::Normal => None,
        LoadState::Warning | LoadState::Critical => Some(format!(
            "the inspected sessions have reached the {load} threshold of `inspected_sessions_max` {max}; past that they \
             {fate}"
        )),
        LoadState::Reached => Some(format!(
            "as many sessions are inspected as `inspected_sessions_max` {max} allows, and further ones {fate}; raise it, or \
             inspect less"
        )),
    }
}

fn booted(setting: &Option<String>) -> Option<(u64, u64)> {
    let (epoch, generation) = setting.as_ref()?.split_once(' ')?;
    Some((epoch.parse().ok()?, generation.parse().ok()?))
}
