//! Configuration changes: check, diff, apply, roll back. One at a time, whole or not at all.

use std::sync::PoisonError;
use std::time::Duration;

use sluice_publish::{
    DistributionStatus, Outcome, Prepared, PublishError, PublishProblem, Published, Warning,
};
use sluice_schema::{Change, Configuration, Document, Generation, Problem};
use sluice_store::{Note, Store, StoreError};

use crate::certificates::Shelf;
use crate::clock;
use crate::journal;
use crate::process::Daemon;

/// The setting that remembers the last generation every core adopted.
const LAST_GOOD: &str = "last-good-generation";

/// A configuration change was not made. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdministrationError {
    #[error("the documents have {} problem{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Documents(Vec<Problem>),
    #[error("the configuration cannot be published: {}", list(.0))]
    Missing(Vec<PublishProblem>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// What `check` found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) configuration: Configuration,
    pub(crate) warnings: Vec<Warning>,
}

/// What would change.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The generation compared with; `None` before the first.
    pub(crate) against: Option<Generation>,
    pub(crate) changes: Vec<Change>,
    /// Of these, what only a restart of the data plane makes effective.
    pub(crate) restart: Vec<Change>,
}

/// What `apply` and `rollback` did.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) generation: Generation,
    pub(crate) difference: Difference,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) outcome: Outcome,
    pub(crate) distribution: DistributionStatus,
}

/// Where a new generation's documents come from.
enum Origin<'a> {
    Documents(&'a [Document]),
    Generation(Generation),
}

impl Daemon {
    /// Everything `apply` would check.
    pub(crate) fn check(&self, documents: &[Document]) -> Result<Checked, AdministrationError> {
        let configuration =
            sluice_schema::load(documents).map_err(AdministrationError::Documents)?;
        let warnings = self
            .survey(&configuration)
            .map_err(AdministrationError::Missing)?;
        Ok(Checked {
            configuration,
            warnings,
        })
    }

    /// Whether every certificate and key that a configuration names is there.
    pub(crate) fn survey(
        &self,
        configuration: &Configuration,
    ) -> Result<Vec<Warning>, Vec<PublishProblem>> {
        let store = self.store();
        sluice_publish::check(configuration, &self.shelf(&store), clock::unix_s())
    }

    /// What applying `documents` would change. Certificates need not be there yet.
    pub(crate) fn diff(&self, documents: &[Document]) -> Result<Difference, AdministrationError> {
        let configuration =
            sluice_schema::load(documents).map_err(AdministrationError::Documents)?;
        self.difference(&configuration)
    }

    /// Makes `documents` the current generation and waits for the data plane's answer, at most `wait`.
    ///
    /// Documents that are the current ones already make no new generation; a data plane that does not decide by them is
    /// offered them again.
    pub(crate) fn apply(
        &self,
        documents: &[Document],
        note: &Note,
        wait: Duration,
    ) -> Result<Applied, AdministrationError> {
        if let Some(current) = self.unchanged(documents)? {
            return self.offer_again(current, documents, wait);
        }
        self.change(&Origin::Documents(documents), note, wait)
    }

    /// Makes a new generation with the documents of `to` and waits for the data plane's answer, at most `wait`.
    pub(crate) fn roll_back(
        &self,
        to: Generation,
        note: &Note,
        wait: Duration,
    ) -> Result<Applied, AdministrationError> {
        self.change(&Origin::Generation(to), note, wait)
    }

    /// Publishes the current documents again as a new generation: a certificate they name has changed. `None` when
    /// nothing has been applied yet.
    pub(crate) fn reissue(&self, note: &Note) -> Result<Option<Applied>, AdministrationError> {
        let Some(current) = self.store().current()? else {
            return Ok(None);
        };
        let documents = self.store().documents(current)?;
        self.change(&Origin::Documents(&documents), note, Duration::ZERO)
            .map(Some)
    }

    /// The current configuration with its generation; `None` before the first apply.
    pub(crate) fn current(
        &self,
    ) -> Result<Option<(Generation, Configuration)>, AdministrationError> {
        let store = self.store();
        let Some(current) = store.current()? else {
            return Ok(None);
        };
        let configuration = sluice_schema::load(&store.documents(current)?)
            .map_err(AdministrationError::Documents)?;
        Ok(Some((current, configuration)))
    }

    /// Puts the stored generations in place when the process starts, so that a data plane gets them when it connects.
    ///
    /// A generation that can no longer be published is said and left out; the process starts nevertheless, because it is
    /// what the repair needs.
    pub(crate) fn restore(&self) {
        let store = self.store();
        let current = store.current().ok().flatten();
        let last_good = store
            .setting(LAST_GOOD)
            .ok()
            .flatten()
            .and_then(|text| text.parse().ok())
            .map(Generation);
        let publish = |generation: Generation| {
            let documents = store.documents(generation)?;
            let configuration =
                sluice_schema::load(&documents).map_err(AdministrationError::Documents)?;
            let prepared = sluice_publish::prepare(
                generation,
                &configuration,
                &self.shelf(&store),
                clock::unix_s(),
            )
            .map_err(AdministrationError::Missing)?;
            let name = configuration.appliance.name.to_string();
            Ok::<_, AdministrationError>((name, Published::seal(prepared)?))
        };
        let current = current.and_then(|generation| match publish(generation) {
            Ok((name, published)) => {
                self.events.rename(&name);
                Some(published)
            }
            Err(error) => {
                journal::say(&format!(
                    "generation {generation} cannot be offered to a data plane: {}",
                    full(&error)
                ));
                None
            }
        });
        // Without a current one the last good one is what a data plane can still be given.
        let last_good = last_good
            .filter(|generation| {
                current
                    .as_ref()
                    .is_none_or(|current| current.generation() != *generation)
            })
            .and_then(|generation| publish(generation).ok())
            .map(|(_, published)| published);
        drop(store);
        self.dataplane.publisher.restore(current, last_good);
        self.report_expiry();
    }

    /// Remembers the last generation every core adopted, for a restart.
    pub(crate) fn remember_last_good(&self, last_good: Option<u64>) {
        let Some(last_good) = last_good else { return };
        if let Err(error) = self
            .store()
            .set_setting(LAST_GOOD, Some(&last_good.to_string()))
        {
            journal::say(&format!(
                "the last good generation could not be remembered: {error}"
            ));
        }
    }

    /// Puts an event into the log for every certificate in use that has expired or soon will.
    pub(crate) fn report_expiry(&self) {
        let Ok(Some((_, configuration))) = self.current() else {
            return;
        };
        self.warn(&self.survey(&configuration).unwrap_or_default());
    }

    fn change(
        &self,
        origin: &Origin<'_>,
        note: &Note,
        wait: Duration,
    ) -> Result<Applied, AdministrationError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut store = self.store();
        let taken_up;
        let documents = match origin {
            Origin::Documents(documents) => documents,
            Origin::Generation(to) => {
                taken_up = store.documents(*to)?;
                taken_up.as_slice()
            }
        };
        let configuration =
            sluice_schema::load(documents).map_err(AdministrationError::Documents)?;
        drop(store);
        let difference = self.difference(&configuration)?;
        store = self.store();
        let expected = next(&store)?;
        let prepared = sluice_publish::prepare(
            expected,
            &configuration,
            &self.shelf(&store),
            clock::unix_s(),
        )
        .map_err(AdministrationError::Missing)?;
        let warnings = prepared.warnings.clone();
        // Sealed before it is stored: what cannot be published is not applied.
        let published = Published::seal(prepared)?;
        let generation = match origin {
            Origin::Documents(documents) => store.commit_documents(documents, note)?,
            Origin::Generation(to) => store.roll_back(*to, note)?,
        };
        let published = if generation == expected {
            published
        } else {
            self.again(&store, generation, &configuration)?
        };
        drop(store);
        self.events.rename(configuration.appliance.name.as_str());
        self.warn(&warnings);
        if let Err(error) = self
            .dataplane
            .publisher
            .publish(published, clock::unix_us())
        {
            journal::say(&format!(
                "generation {generation} could not be handed over: {error}; the data plane gets it when it connects again"
            ));
        }
        let outcome = self.dataplane.publisher.wait(generation, wait);
        let distribution = self.dataplane.publisher.status();
        self.remember_last_good(distribution.last_good);
        Ok(Applied {
            generation,
            difference,
            warnings,
            outcome,
            distribution,
        })
    }

    /// The current generation, if it was offered and has exactly these documents.
    fn unchanged(&self, documents: &[Document]) -> Result<Option<Generation>, StoreError> {
        let offered = self.dataplane.publisher.status().current;
        let store = self.store();
        let Some(current) = store
            .current()?
            .filter(|current| Some(current.0) == offered)
        else {
            return Ok(None);
        };
        let mut given: Vec<_> = documents.iter().map(|one| (&one.path, &one.text)).collect();
        given.sort();
        let stored = store.documents(current)?;
        let same = given
            == stored
                .iter()
                .map(|one| (&one.path, &one.text))
                .collect::<Vec<_>>();
        Ok(same.then_some(current))
    }

    fn offer_again(
        &self,
        current: Generation,
        documents: &[Document],
        wait: Duration,
    ) -> Result<Applied, AdministrationError> {
        let Checked {
            configuration,
            warnings,
        } = self.check(documents)?;
        let difference = self.difference(&configuration)?;
        if let Err(error) = self.dataplane.publisher.offer_again(clock::unix_us()) {
            journal::say(&format!(
                "generation {current} could not be handed over: {error}; the data plane gets it when it connects again"
            ));
        }
        let outcome = self.dataplane.publisher.wait(current, wait);
        let distribution = self.dataplane.publisher.status();
        Ok(Applied {
            generation: current,
            difference,
            warnings,
            outcome,
            distribution,
        })
    }

    /// The number the store gave is not the one that was expected: the snapshot is built again with the right one.
    fn again(
        &self,
        store: &Store,
        generation: Generation,
        configuration: &Configuration,
    ) -> Result<Published, AdministrationError> {
        let prepared: Prepared = sluice_publish::prepare(
            generation,
            configuration,
            &self.shelf(store),
            clock::unix_s(),
        )
        .map_err(AdministrationError::Missing)?;
        Ok(Published::seal(prepared)?)
    }

    fn difference(&self, new: &Configuration) -> Result<Difference, AdministrationError> {
        let current = match self.current() {
            Ok(current) => current,
            // A stored configuration that this release no longer takes: everything is new.
            Err(AdministrationError::Documents(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(match current {
            Some((generation, old)) => Difference {
                against: Some(generation),
                changes: old.diff(new),
                restart: sluice_schema::restart_needed(&old, new),
            },
            None => Difference {
                against: None,
                changes: Vec::new(),
                restart: Vec::new(),
            },
        })
    }

    fn warn(&self, warnings: &[Warning]) {
        for warning in warnings {
            self.events.system(warning.event());
        }
    }

    fn shelf<'a>(&'a self, store: &'a Store) -> Shelf<'a> {
        Shelf::new(store, &self.keystore)
    }
}

/// The number the store gives next: they rise by one and none is used twice.
fn next(store: &Store) -> Result<Generation, StoreError> {
    let newest = store
        .generations()?
        .into_iter()
        .map(|record| record.number.0)
        .max()
        .unwrap_or(0);
    Ok(Generation(newest + 1))
}

/// The error with everything it counts, on one line.
pub(crate) fn full(error: &AdministrationError) -> String {
    match error {
        AdministrationError::Documents(problems) => format!("{error}: {}", list(problems)),
        other => other.to_string(),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
