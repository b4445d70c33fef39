//! The appliance that is measured: its certificates, its configuration, and workers of it.

use std::sync::Arc;

use sluice_packet::Instant;
use sluice_pki::{LeafKey, LeafKeyError};
use sluice_proxy::{Generation, MemoryBudget, Now, PortMtus, Worker, WorkerError, WorkerSettings};
use sluice_random::{CoreRandom, RandomError};
use sluice_sim::{Authority, Issued, START_UNIX_S, SiteError, compile};
use thiserror::Error;

const APPLIANCE: &str = r#"
[appliance]
name = "bench"
profile = "bench"
[dataplane]
cores = [1]
[[segment]]
name = "segment-1"
port_a = "af_packet:a"
port_b = "af_packet:b"
[limits]
flows_max = 1000000
inspected_sessions_max = 1000000
"#;

const PROFILE: &str = r#"
name = "bench"
[[client_proxy]]
name = "web"
signing_certificate = "trusted-ca"
untrusted_certificate = "untrusted-ca"
detection_ports = [443]
[[trust_store]]
name = "roots"
default_authorities = false
authorities = ["origin-root"]
[[decryption_policy]]
name = "standard"
do_not_decrypt = ["*.bank.test"]
[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "standard"
trust_store = "roots"
"#;

/// Why there is no appliance to measure.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The bench's own configuration is refused, or cannot be compiled.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// No leaf key.
    #[error("no leaf key can be made: {0}")]
    LeafKey(#[from] LeafKeyError),
    /// No random numbers.
    #[error("the random generator cannot be seeded: {0}")]
    Random(#[from] RandomError),
    /// No worker.
    #[error("no worker can be made: {0}")]
    Worker(#[from] WorkerError),
    /// An end's TLS cannot be set up.
    #[error("an end's TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The traffic did not do what it is measured for.
    #[error("{0}")]
    Traffic(String),
}

/// An appliance's configuration, and what its ends need to know.
pub struct Appliance {
    generation: Arc<Generation>,
    leaf_key: Arc<LeafKey>,
    trusted: Issued,
    site: Issued,
}

impl Appliance {
    /// With fresh keys.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        let trusted = Authority::new("Bench Trusted CA", None)?.issued;
        let untrusted = Authority::new("Bench Untrusted CA", None)?.issued;
        let root = Authority::new("Bench Origin Root", None)?;
        let site = root.leaf(&["site-a.test"])?;
        let stored = [
            ("trusted-ca", &trusted),
            ("untrusted-ca", &untrusted),
            ("origin-root", &root.issued),
        ];
        let leaf_key = Arc::new(LeafKey::generate(&mut CoreRandom::new()?)?);
        Ok(Self {
            generation: compile(1, [APPLIANCE, PROFILE], &stored)?,
            leaf_key,
            trusted,
            site,
        })
    }

    /// A worker with room for `flows_max` flows, under the appliance's generation.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn worker<B: sluice_packet::PacketBuf>(
        &self,
        flows_max: usize,
    ) -> Result<Worker<B>, SetupError> {
        let settings = WorkerSettings {
            flows_max,
            leaf_key: Arc::clone(&self.leaf_key),
            hash_key: [7; 16],
            load: Arc::default(),
            // What flows take is what is measured.
            memory: MemoryBudget {
                held_bytes_max: usize::MAX,
                buffer_bytes_max: usize::MAX,
            },
            mtus: PortMtus::default(),
            now: Instant::ZERO,
        };
        let mut worker = Worker::new(1, settings)?;
        for memory in worker.addresses() {
            dpdk::advise_hugepages(memory);
        }
        worker.adopt(Arc::clone(&self.generation));
        Ok(worker)
    }

    /// The authority whose leaves clients are to believe.
    pub(crate) fn trusted(&self) -> &Issued {
        &self.trusted
    }

    /// Certificate and key of `site-a.test`, the origin.
    pub(crate) fn site(&self) -> &Issued {
        &self.site
    }
}

/// The time of day at `mono`.
pub(crate) fn at(mono: Instant) -> Now {
    Now {
        mono,
        unix_us: START_UNIX_S * 1_000_000 + mono.micros(),
    }
}
