//! The appliance that is measured: its certificates, its configuration, and workers of it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sluice_packet::Instant;
use sluice_pki::{LeafKey, LeafKeyError};
use sluice_proxy::{
    Generation, GenerationError, MemoryBudget, Now, PortMtus, Worker, WorkerError, WorkerSettings,
};
use sluice_random::{CoreRandom, RandomError};
use sluice_schema::{Certificate, Document, KeyId, Snapshot, load};
use thiserror::Error;
use zeroize::Zeroizing;

/// Within the validity of every certificate made here: 2026-01-01.
const START_UNIX_S: u64 = 1_767_225_600;

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
    /// The bench's own configuration is refused.
    #[error("the bench's configuration is refused: {0}")]
    Configuration(String),
    /// The configuration cannot be compiled.
    #[error("the bench's configuration cannot be compiled: {0}")]
    Generation(#[from] GenerationError),
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

/// A certificate and its key.
struct Issued {
    der: CertificateDer<'static>,
    pkcs8: Vec<u8>,
}

/// An appliance's configuration, and what its ends need to know.
pub struct Appliance {
    generation: Arc<Generation>,
    leaf_key: Arc<LeafKey>,
    trusted: CertificateDer<'static>,
    site: Issued,
}

impl Appliance {
    /// With fresh keys.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        let (trusted, _) = authority("Bench Trusted CA")?;
        let (untrusted, _) = authority("Bench Untrusted CA")?;
        let (root, issuer) = authority("Bench Origin Root")?;
        let site = leaf("site-a.test", &issuer)?;
        let stored = [
            ("trusted-ca", &trusted),
            ("untrusted-ca", &untrusted),
            ("origin-root", &root),
        ];
        let leaf_key = Arc::new(LeafKey::generate(&mut CoreRandom::new()?)?);
        Ok(Self {
            generation: Arc::new(generation(&stored)?),
            leaf_key,
            trusted: trusted.der,
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
        worker.adopt(Arc::clone(&self.generation));
        Ok(worker)
    }

    /// The authority whose leaves clients are to believe.
    pub(crate) fn trusted(&self) -> CertificateDer<'static> {
        self.trusted.clone()
    }

    /// Certificate and key of `site-a.test`, the origin.
    pub(crate) fn site(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.site.pkcs8.clone());
        (self.site.der.clone(), PrivateKeyDer::Pkcs8(key))
    }
}

/// The time of day at `mono`.
pub(crate) fn at(mono: Instant) -> Now {
    Now {
        mono,
        unix_us: START_UNIX_S * 1_000_000 + mono.micros(),
    }
}

fn authority(name: &str) -> Result<(Issued, Issuer<'static, KeyPair>), SetupError> {
    let mut params = params(name, Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let issued = Issued {
        der: params.self_signed(&key)?.der().clone(),
        pkcs8: key.serialize_der(),
    };
    Ok((issued, Issuer::new(params, key)))
}

fn leaf(name: &str, issuer: &Issuer<'static, KeyPair>) -> Result<Issued, SetupError> {
    let mut params = params(name, vec![name.to_owned()])?;
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Issued {
        der: params.signed_by(&key, issuer)?.der().clone(),
        pkcs8: key.serialize_der(),
    })
}

fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, SetupError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    Ok(params)
}

fn generation(stored: &[(&str, &Issued)]) -> Result<Generation, SetupError> {
    let refused = |why: &dyn core::fmt::Debug| SetupError::Configuration(format!("{why:?}"));
    let documents = [
        ("appliance.toml", APPLIANCE),
        ("profiles/bench.toml", PROFILE),
    ]
    .map(|(path, text)| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    });
    let configuration = load(&documents).map_err(|problems| refused(&problems))?;
    let mut certificates = Vec::new();
    for (number, (name, issued)) in (0..).zip(stored) {
        certificates.push(Certificate {
            name: name.parse().map_err(|error| refused(&error))?,
            chain: vec![issued.der.to_vec()],
            key: Some(KeyId(number)),
        });
    }
    let snapshot = Snapshot {
        generation: sluice_schema::Generation(1),
        configuration,
        certificates,
    };
    let key = |id: KeyId| {
        let (_, issued) = stored.get(usize::try_from(id.0).ok()?)?;
        Some(Zeroizing::new(issued.pkcs8.clone()))
    };
    Ok(Generation::compile(&snapshot, &key)?)
}
