//! A generation on its way in: opened, decoded, compiled, or refused with a reason. Nothing of a refused one stays.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use sluice_proxy::{Generation, GenerationError};
use sluice_schema::{Appliance, Snapshot};
use sluice_shm::{KeySegment, KeySegmentError, SealedSnapshot};

use crate::core_loop::Command;
use crate::translation::Translations;

/// A generation that can be adopted.
pub(crate) struct Offer {
    /// As it crossed.
    pub(crate) snapshot: Snapshot,
    /// Compiled, for the cores.
    pub(crate) generation: Arc<Generation>,
    /// Its VLAN translations, for the cores.
    pub(crate) translations: Arc<Translations>,
}

impl Offer {
    /// What makes a core decide by it.
    pub(crate) fn command(&self) -> Command {
        Command::Adopt {
            generation: Arc::clone(&self.generation),
            translations: Arc::clone(&self.translations),
        }
    }
}

/// Why a generation is not adopted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    /// Not the two descriptors that belong to it.
    #[error(
        "generation {generation} came with {count} descriptors instead of 2; run sluiced and sluice-dataplane of one release"
    )]
    Descriptors {
        /// The generation.
        generation: u64,
        /// Descriptors that came.
        count: usize,
    },
    /// Its memory is not a sealed, whole snapshot.
    #[error("generation {generation}: {error}")]
    Sealed {
        /// The generation.
        generation: u64,
        /// What is wrong.
        error: sluice_shm::SnapshotError,
    },
    /// Its content does not decode.
    #[error("generation {generation}: {error}")]
    Content {
        /// The generation.
        generation: u64,
        /// What is wrong.
        error: sluice_schema::SnapshotError,
    },
    /// Its keys cannot be read.
    #[error("generation {generation}: {error}")]
    Keys {
        /// The generation.
        generation: u64,
        /// What is wrong.
        error: KeySegmentError,
    },
    /// The message, the seal and the content name different generations.
    #[error(
        "generation {announced} was announced, {found} was found in the snapshot; publish again"
    )]
    OtherGeneration {
        /// In the message.
        announced: u64,
        /// In the snapshot.
        found: u64,
    },
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] GenerationError),
    /// It wants other ports than those that are open.
    #[error(
        "generation {generation} changes the segments ({what}), which are opened at the start: \
         restart sluice-dataplane; until then generation {running} stays"
    )]
    Segments {
        /// The generation.
        generation: u64,
        /// The first difference.
        what: String,
        /// The generation in force.
        running: u64,
    },
}

/// Opens, checks and compiles an offered generation. The private keys are read here and their mapping is gone when this
/// returns.
///
/// # Errors
/// [`OfferError`] for the first thing that is wrong.
pub(crate) fn open(generation: u64, descriptors: Vec<OwnedFd>) -> Result<Offer, OfferError> {
    let count = descriptors.len();
    let [snapshot, keys]: [OwnedFd; 2] = descriptors
        .try_into()
        .map_err(|_| OfferError::Descriptors { generation, count })?;
    let sealed =
        SealedSnapshot::open(snapshot).map_err(|error| OfferError::Sealed { generation, error })?;
    let snapshot = Snapshot::decode(sealed.bytes())
        .map_err(|error| OfferError::Content { generation, error })?;
    for found in [sealed.generation(), snapshot.generation.0] {
        if found != generation {
            return Err(OfferError::OtherGeneration {
                announced: generation,
                found,
            });
        }
    }
    let keys = KeySegment::open(keys).map_err(|error| OfferError::Keys { generation, error })?;
    let compiled = Generation::compile(&snapshot, &|id| keys.key(id.0));
    keys.retire();
    Ok(Offer {
        generation: Arc::new(compiled?),
        translations: Arc::new(Translations::of(&snapshot.configuration.appliance)),
        snapshot,
    })
}

/// What a running data plane can do about a generation that was made for other boot settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BootChange {
    /// Nothing to do.
    None,
    /// It can be adopted; these settings wait for a restart.
    AtRestart(Vec<&'static str>),
    /// It cannot: its segments are not the ones that are open.
    Segments(String),
}

/// Compares the settings a data plane booted with and those of a new generation.
pub(crate) fn boot_change(booted: &Appliance, offered: &Appliance) -> BootChange {
    if booted.segments.len() != offered.segments.len() {
        return BootChange::Segments(format!(
            "{} instead of {}",
            offered.segments.len(),
            booted.segments.len()
        ));
    }
    // A flow names its segment by position, so names and ports have to stay where they are.
    if let Some((_, new)) = booted
        .segments
        .iter()
        .zip(&offered.segments)
        .find(|(old, new)| {
            (&old.name, &old.port_a, &old.port_b) != (&new.name, &new.port_a, &new.port_b)
        })
    {
        return BootChange::Segments(format!("segment {} is not as it was", new.name));
    }
    let (old, new) = (&booted.dataplane, &offered.dataplane);
    let waiting: Vec<&'static str> = [
        ("dataplane.cores", old.cores != new.cores),
        ("dataplane.main_core", old.main_core != new.main_core),
        ("dataplane.memory_mib", old.memory_mib != new.memory_mib),
        ("dataplane.hugepages", old.hugepages != new.hugepages),
        ("dataplane.idle", old.idle != new.idle),
        (
            "limits.flows_max",
            booted.limits.flows_max != offered.limits.flows_max,
        ),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect();
    if waiting.is_empty() {
        BootChange::None
    } else {
        BootChange::AtRestart(waiting)
    }
}

#[cfg(test)]
mod tests;
