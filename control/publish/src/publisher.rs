//! Hands generations to the data plane and keeps account of what became of them.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_schema::Generation;
use sluice_shm::StatsView;
use sluice_shm::link::{ControlLink, LINK_VERSION, LinkError, ToDataplane};

use crate::limits::REASON_BYTES_MAX;
use crate::{CoreDistribution, CoreStatus, DistributionStatus, Outcome, Published};

/// The control plane's side of publishing. Shared between threads.
///
/// The current generation is what the store says; the last good one is kept beside it until every core has left it, so
/// that a data plane that starts and refuses the current one can still be given the one before.
#[derive(Default)]
pub struct Publisher {
    state: Mutex<State>,
    changed: Condvar,
    /// Held while a generation is chosen and sent, so that an older one never arrives after a newer one.
    offering: Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Published>>,
    last_good: Option<Arc<Published>>,
    /// Needed by nobody any more, still to be dropped.
    retired: Vec<Arc<Published>>,
    peer: Option<Peer>,
}

/// The data plane that is connected.
struct Peer {
    link: Arc<ControlLink>,
    pid: u32,
    release: String,
    stats: Option<Arc<StatsView>>,
    cores: BTreeMap<u16, Core>,
    /// What the data plane as a whole decides by, before its cores are known.
    adopted: Option<u64>,
    offered_unix_us: u64,
    refused: Option<(u64, String)>,
}

#[derive(Default)]
struct Core {
    adopted: Option<u64>,
    refused: Option<(u64, String)>,
    /// The last refusal read from the statistics: it stays there when it is out of date.
    read: Option<(u64, String)>,
}

impl Publisher {
    /// A publisher without a generation and without a data plane.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the generations in place that the store holds, without offering them: at start.
    pub fn restore(&self, current: Option<Published>, last_good: Option<Published>) {
        let mut state = self.lock();
        state.current = current.map(Arc::new);
        state.last_good = last_good.map(Arc::new);
    }

    /// Makes a generation the current one and offers it to the data plane, if one is connected.
    ///
    /// # Errors
    /// The link broke. The generation is current nevertheless: the data plane gets it when it connects again.
    pub fn publish(&self, published: Published, now_unix_us: u64) -> Result<(), LinkError> {
        {
            let mut state = self.lock();
            // What the cores have just adopted is the last good one, also when nobody has looked since.
            state.settle();
            let replaced = state.current.replace(Arc::new(published));
            state.retire(replaced);
            if let Some(peer) = &mut state.peer {
                peer.offered_unix_us = now_unix_us;
                peer.refused = None;
            }
        }
        self.changed.notify_all();
        self.offer()?;
        self.announce()
    }

    /// Offers the current generation again to a data plane that does not decide by it, e.g. after it refused and what it
    /// missed is there now.
    ///
    /// # Errors
    /// The link broke.
    pub fn offer_again(&self, now_unix_us: u64) -> Result<(), LinkError> {
        {
            let mut state = self.lock();
            let status = state.status();
            let adopted = status
                .current
                .is_some_and(|current| status.outcome(current) == Outcome::Adopted);
            let Some(peer) = state.peer.as_mut().filter(|_| !adopted) else {
                return Ok(());
            };
            peer.offered_unix_us = now_unix_us;
            peer.refused = None;
            for core in peer.cores.values_mut() {
                core.refused = None;
            }
        }
        self.changed.notify_all();
        self.offer()
    }

    /// A data plane has connected and said who it is. It gets the current generation, unless it decides by it already.
    ///
    /// # Errors
    /// The link broke.
    pub fn connected(
        &self,
        link: &Arc<ControlLink>,
        pid: u32,
        release: &str,
        adopted: Option<u64>,
        now_unix_us: u64,
    ) -> Result<(), LinkError> {
        link.send(
            &ToDataplane::Welcome {
                version: LINK_VERSION,
                pid: std::process::id(),
            },
            &[],
        )?;
        let known = {
            let mut state = self.lock();
            state.peer = Some(Peer {
                link: Arc::clone(link),
                pid,
                release: release.to_owned(),
                stats: None,
                cores: BTreeMap::new(),
                adopted,
                offered_unix_us: now_unix_us,
                refused: None,
            });
            adopted.is_some()
                && adopted == state.current.as_ref().map(|current| current.generation().0)
        };
        self.changed.notify_all();
        if known { Ok(()) } else { self.offer() }
    }

    /// The data plane's cores are up and their statistics at hand.
    pub fn attached(
        &self,
        link: &Arc<ControlLink>,
        cores: &[u16],
        adopted: Option<u64>,
        stats: Arc<StatsView>,
    ) {
        self.with_peer(link, |peer| {
            peer.cores = cores
                .iter()
                .map(|core| {
                    (
                        *core,
                        Core {
                            adopted,
                            ..Core::default()
                        },
                    )
                })
                .collect();
            peer.adopted = adopted.or(peer.adopted);
            peer.stats = Some(stats);
        });
    }

    /// A core decides by `generation` from now on.
    pub fn adopted(&self, link: &Arc<ControlLink>, core: u16, generation: u64) {
        self.with_peer(link, |peer| {
            peer.cores.entry(core).or_default().adopted = Some(generation);
        });
    }

    /// The data plane, or one core of it, does not adopt `generation`. A data plane that decides by nothing yet is
    /// offered the last good generation instead.
    ///
    /// # Errors
    /// The link broke.
    pub fn refused(
        &self,
        link: &Arc<ControlLink>,
        core: Option<u16>,
        generation: u64,
        reason: &str,
    ) -> Result<(), LinkError> {
        let reason = cut(reason).to_owned();
        let mut bare = false;
        self.with_peer(link, |peer| match core {
            Some(core) => peer.cores.entry(core).or_default().refused = Some((generation, reason)),
            None => {
                peer.refused = Some((generation, reason));
                bare = peer.adopted.is_none()
                    && peer.cores.values().all(|core| core.adopted.is_none());
            }
        });
        let last_good = self.lock().last_good.clone();
        match last_good.filter(|last_good| bare && last_good.generation().0 != generation) {
            Some(last_good) => send(link, &last_good),
            None => Ok(()),
        }
    }

    /// The link is down. Traffic goes on under whatever the data plane adopted.
    pub fn disconnected(&self, link: &Arc<ControlLink>) {
        let mut state = self.lock();
        if state
            .peer
            .as_ref()
            .is_some_and(|peer| Arc::ptr_eq(&peer.link, link))
        {
            state.peer = None;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Reads the cores' acknowledgements from the statistics segment, and retires the generation that every core has
    /// left. Called often.
    ///
    /// # Errors
    /// The link broke.
    pub fn refresh(&self) -> Result<(), LinkError> {
        let mut state = self.lock();
        let changed = state.settle();
        drop(state);
        if changed {
            self.changed.notify_all();
        }
        self.announce()
    }

    /// Waits until the data plane has answered for `generation`, at most `timeout`, and says what became of it.
    #[must_use]
    pub fn wait(&self, generation: Generation, timeout: Duration) -> Outcome {
        let undecided = |state: &mut State| {
            matches!(
                state.status().outcome(generation.0),
                Outcome::Pending { .. }
            )
        };
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, undecided)
            .unwrap_or_else(PoisonError::into_inner);
        state.status().outcome(generation.0)
    }

    /// Where the data plane stands.
    #[must_use]
    pub fn status(&self) -> DistributionStatus {
        self.lock().status()
    }

    /// The link and the statistics of the data plane that is connected.
    #[must_use]
    pub fn peer(&self) -> Option<(Arc<ControlLink>, Option<Arc<StatsView>>)> {
        self.lock()
            .peer
            .as_ref()
            .map(|peer| (Arc::clone(&peer.link), peer.stats.clone()))
    }

    fn offer(&self) -> Result<(), LinkError> {
        let _one_at_a_time = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, current) = {
            let state = self.lock();
            let link = state.peer.as_ref().map(|peer| Arc::clone(&peer.link));
            (link, state.current.clone())
        };
        match (link, current) {
            (Some(link), Some(current)) => send(&link, &current),
            _ => Ok(()),
        }
    }

    /// Drops what is retired, which overwrites its keys, and then tells the data plane.
    fn announce(&self) -> Result<(), LinkError> {
        let (retired, link) = {
            let mut state = self.lock();
            (
                std::mem::take(&mut state.retired),
                state.peer.as_ref().map(|peer| Arc::clone(&peer.link)),
            )
        };
        let generations: Vec<u64> = retired
            .iter()
            .map(|published| published.generation().0)
            .collect();
        drop(retired);
        let Some(link) = link else { return Ok(()) };
        generations
            .into_iter()
            .try_for_each(|generation| link.send(&ToDataplane::Retire { generation }, &[]))
    }

    /// Messages of a link that has been replaced change nothing.
    fn with_peer(&self, link: &Arc<ControlLink>, change: impl FnOnce(&mut Peer)) {
        let mut state = self.lock();
        if let Some(peer) = state
            .peer
            .as_mut()
            .filter(|peer| Arc::ptr_eq(&peer.link, link))
        {
            change(peer);
        }
        state.settle();
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a plain assignment: a thread that panicked left nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn status(&self) -> DistributionStatus {
        let current = self
            .current
            .as_ref()
            .map(|published| published.generation().0);
        let last_good = self
            .last_good
            .as_ref()
            .map(|published| published.generation().0);
        let Some(peer) = &self.peer else {
            return DistributionStatus {
                current,
                last_good,
                ..DistributionStatus::default()
            };
        };
        let cores = peer
            .cores
            .iter()
            .map(|(id, core)| CoreStatus {
                core: *id,
                generation: core.adopted,
                distribution: core.distribution(current, peer.offered_unix_us),
            })
            .collect();
        let refused = peer
            .refused
            .as_ref()
            .filter(|(generation, _)| Some(*generation) == current);
        DistributionStatus {
            current,
            last_good,
            connected: true,
            pid: Some(peer.pid),
            release: Some(peer.release.clone()),
            refused: refused.map(|(_, reason)| reason.clone()),
            cores,
        }
    }

    /// Takes note of the cores' acknowledgements; true if there was news. When every core has adopted the current
    /// generation it is the last good one, and what was that before is retired.
    fn settle(&mut self) -> bool {
        let news = self.peer.as_mut().is_some_and(Peer::read_acknowledgements);
        let good = |current: &&Arc<Published>| {
            self.status().outcome(current.generation().0) == Outcome::Adopted
        };
        let Some(current) = self.current.as_ref().filter(good).map(Arc::clone) else {
            return news;
        };
        if self
            .last_good
            .as_ref()
            .is_some_and(|last_good| Arc::ptr_eq(last_good, &current))
        {
            return news;
        }
        let before = self.last_good.replace(current);
        self.retire(before);
        true
    }

    /// Gives a generation up, unless it is still the current or the last good one.
    fn retire(&mut self, published: Option<Arc<Published>>) {
        let kept = [&self.current, &self.last_good];
        let is_kept = |one: &Arc<Published>| {
            kept.iter()
                .any(|kept| kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, one)))
        };
        let retired: Vec<_> = published.into_iter().filter(|one| !is_kept(one)).collect();
        self.retired.extend(retired);
    }
}

impl Peer {
    fn read_acknowledgements(&mut self) -> bool {
        let Some(stats) = &self.stats else {
            return false;
        };
        let mut changed = false;
        for view in stats.cores() {
            // The segment is the data plane's word; a core it did not name is nobody's.
            let Some(core) = self.cores.get_mut(&view.core()) else {
                continue;
            };
            let adopted = view.adopted();
            if adopted.is_some() && adopted != core.adopted {
                core.adopted = adopted;
                changed = true;
            }
            let refused = view
                .refusal()
                .map(|refusal| (refusal.generation, refusal.reason));
            if refused.is_some() && refused != core.read {
                core.read.clone_from(&refused);
                core.refused = refused;
                changed = true;
            }
        }
        changed
    }
}

impl Core {
    fn distribution(&self, current: Option<u64>, since_unix_us: u64) -> CoreDistribution {
        if current.is_some() && self.adopted == current {
            return CoreDistribution::Adopted;
        }
        match &self.refused {
            Some((generation, reason)) if Some(*generation) == current => {
                CoreDistribution::Refused {
                    reason: reason.clone(),
                }
            }
            _ => CoreDistribution::Pending { since_unix_us },
        }
    }
}

fn send(link: &ControlLink, published: &Published) -> Result<(), LinkError> {
    let descriptors: [BorrowedFd<'_>; 2] = published.descriptors();
    link.send(
        &ToDataplane::Publish {
            generation: published.generation().0,
        },
        &descriptors,
    )
}

fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
