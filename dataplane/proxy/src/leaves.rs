//! Leaves for the sessions of one core: from the cache, forged here, or forged by a helper thread.

use std::collections::HashMap;
use std::sync::Arc;

use sluice_flow::FlowId;
use sluice_pki::{
    Cost, ForgeError, ForgeRequest, ForgedLeaf, LeafCache, LeafCacheKey, LeafKey, Lookup, forge,
};
use sluice_random::CoreRandom;
use sluice_telemetry::Counter;
use sluice_tls::{IdentityError, LeafSigner, ServerIdentity};
use thiserror::Error;

use crate::limits::{LEAF_CACHE_BYTES_MAX, LEAF_WAITERS_MAX};
use crate::output::Effects;
use crate::output::{ForgeDone, ForgeJob};

/// What a session gets when it asks for a leaf.
pub(crate) enum Leaf {
    /// Here it is.
    Ready(Arc<ForgedLeaf>),
    /// It is being forged; the session is woken when it is there.
    Wait,
    /// It cannot be forged.
    Failed(LeafError),
}

/// Why a session gets no leaf.
#[derive(Debug, Error)]
pub(crate) enum LeafError {
    /// The origin's certificate cannot be mimicked.
    #[error("{0}")]
    Forge(#[from] ForgeError),
    /// Too many sessions wait already.
    #[error("{LEAF_WAITERS_MAX} sessions already wait for leaves")]
    Overload,
}

/// The leaves of one core.
pub(crate) struct Leaves {
    cache: LeafCache,
    random: CoreRandom,
    key: Arc<LeafKey>,
    signer: LeafSigner,
    jobs: HashMap<u64, Job>,
    /// Which job forges a leaf.
    forging: HashMap<LeafCacheKey, u64>,
    next_job: u64,
    waiters: usize,
}

struct Job {
    key: LeafCacheKey,
    waiters: Vec<FlowId>,
}

impl Leaves {
    /// # Errors
    /// When the leaf key cannot be loaded.
    pub(crate) fn new(key: Arc<LeafKey>, random: CoreRandom) -> Result<Self, IdentityError> {
        let signer = LeafSigner::new(&key)?;
        Ok(Self {
            cache: LeafCache::new(LEAF_CACHE_BYTES_MAX),
            random,
            key,
            signer,
            jobs: HashMap::new(),
            forging: HashMap::new(),
            next_job: 0,
            waiters: 0,
        })
    }

    pub(crate) fn leaf_key(&self) -> Arc<LeafKey> {
        Arc::clone(&self.key)
    }

    /// What a TLS handshake presents for `leaf`.
    ///
    /// # Errors
    /// When the leaf has no certificate.
    pub(crate) fn identity(&self, leaf: &ForgedLeaf) -> Result<ServerIdentity, IdentityError> {
        ServerIdentity::from_signed_leaf(leaf, &self.signer)
    }

    /// A leaf for a session: at once if it is cached or cheap to sign, else when a helper thread has signed it.
    pub(crate) fn request(
        &mut self,
        flow: FlowId,
        request: ForgeRequest,
        trusted: bool,
        generation: u64,
        out: &mut dyn Effects,
    ) -> Leaf {
        let key = LeafCacheKey::new(&request, trusted, generation);
        match self.cache.lookup(&key, request.now_unix_s) {
            Lookup::Hit(leaf) => {
                out.count(Counter::LeafCacheHit, 1);
                return Leaf::Ready(leaf);
            }
            Lookup::Pending => return self.wait(flow, &key),
            Lookup::Start => out.count(Counter::LeafCacheMiss, 1),
        }
        match request.ca.signing_cost() {
            Cost::Inline => {
                let result = forge(&request, &mut self.random);
                match self.settle(key, result, out) {
                    Ok(leaf) => Leaf::Ready(leaf),
                    Err(error) => Leaf::Failed(error.into()),
                }
            }
            Cost::Offload => {
                if self.waiters >= LEAF_WAITERS_MAX {
                    self.cache.fail(&key);
                    return Leaf::Failed(LeafError::Overload);
                }
                let id = self.next_job;
                self.next_job += 1;
                self.forging.insert(key.clone(), id);
                self.jobs.insert(
                    id,
                    Job {
                        key,
                        waiters: vec![flow],
                    },
                );
                self.waiters += 1;
                out.submit(ForgeJob { id, request });
                Leaf::Wait
            }
        }
    }

    /// Takes a helper thread's answer; returns the sessions that waited for it, each with its leaf.
    pub(crate) fn complete(
        &mut self,
        done: ForgeDone,
        out: &mut dyn Effects,
    ) -> (Vec<FlowId>, Result<Arc<ForgedLeaf>, String>) {
        let Some(job) = self.jobs.remove(&done.id) else {
            return (Vec::new(), Err(String::new()));
        };
        self.forging.remove(&job.key);
        self.waiters -= job.waiters.len();
        let settled = self
            .settle(job.key, done.result, out)
            .map_err(|error| error.to_string());
        (job.waiters, settled)
    }

    /// Forgets leaves of generations that no new flow uses.
    pub(crate) fn purge(&mut self, keep_generation: u64) {
        self.cache.purge(keep_generation);
    }

    /// What seeds its random numbers.
    pub(crate) fn random_source(&self) -> sluice_random::Source {
        self.random.source()
    }

    /// How often the generator of serial numbers was seeded anew.
    pub(crate) fn reseeds(&self) -> u64 {
        self.random.reseeds()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.cache.bytes()
    }

    fn wait(&mut self, flow: FlowId, key: &LeafCacheKey) -> Leaf {
        if self.waiters >= LEAF_WAITERS_MAX {
            return Leaf::Failed(LeafError::Overload);
        }
        let job = self.forging.get(key).and_then(|id| self.jobs.get_mut(id));
        match job {
            Some(job) => {
                job.waiters.push(flow);
                self.waiters += 1;
                Leaf::Wait
            }
            None => Leaf::Failed(LeafError::Overload),
        }
    }

    fn settle(
        &mut self,
        key: LeafCacheKey,
        result: Result<ForgedLeaf, ForgeError>,
        out: &mut dyn Effects,
    ) -> Result<Arc<ForgedLeaf>, ForgeError> {
        match result {
            Ok(leaf) => {
                out.count(Counter::LeafForged, 1);
                let leaf = self.cache.complete(key, leaf);
                out.gauge(Counter::LeafCacheBytes, self.cache.bytes() as u64);
                Ok(leaf)
            }
            Err(error) => {
                out.count(Counter::LeafForgeFailed, 1);
                self.cache.fail(&key);
                Err(error)
            }
        }
    }
}
