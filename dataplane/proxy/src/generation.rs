//! One generation of the configuration, compiled once and shared by all cores.
//!
//! A flow keeps the generation under which it was decided until it ends, so its log event names the profile it was
//! inspected by even when that profile is gone from the configuration by then.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sluice_pki::{SigningCa, SigningCaError};
use sluice_policy::{Candidate, CompileError, Direction, Policy};
use sluice_schema::{
    CertificateName, ClientPolicy, Configuration, KeyId, Limits, PolicyName, Profile, ProfileName,
    ServerPolicy, Snapshot,
};
use sluice_tls::{IdentityError, ServerIdentity, TrustStore, TrustStoreError, VersionRange};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a snapshot cannot be adopted. Nothing of it is; the generation before it stays.
#[derive(Debug, Error)]
pub enum GenerationError {
    /// The policies do not compile.
    #[error("generation {generation}: {error}")]
    Policy {
        /// The refused generation.
        generation: u64,
        /// What is wrong.
        error: CompileError,
    },
    /// A certificate that the configuration names did not come with the snapshot.
    #[error(
        "generation {generation}: profile `{profile}` names certificate `{certificate}`, which is not in the \
         certificate store; import it with `sluice certificate import`"
    )]
    MissingCertificate {
        /// The refused generation.
        generation: u64,
        /// The profile.
        profile: ProfileName,
        /// The certificate.
        certificate: CertificateName,
    },
    /// A certificate that has to sign came without its private key.
    #[error(
        "generation {generation}: certificate `{certificate}` has no private key; import it together with its key"
    )]
    MissingKey {
        /// The refused generation.
        generation: u64,
        /// The certificate.
        certificate: CertificateName,
    },
    /// A certificate cannot sign leaves.
    #[error("generation {generation}: signing certificate `{certificate}`: {error}")]
    SigningCa {
        /// The refused generation.
        generation: u64,
        /// The certificate.
        certificate: CertificateName,
        /// What is wrong.
        error: SigningCaError,
    },
    /// A certificate and key cannot stand for a server.
    #[error("generation {generation}: server certificate `{certificate}`: {error}")]
    ServerIdentity {
        /// The refused generation.
        generation: u64,
        /// The certificate.
        certificate: CertificateName,
        /// What is wrong.
        error: IdentityError,
    },
    /// A trust store holds something that is no authority.
    #[error("generation {generation}: trust store `{store}`: {error}")]
    TrustStore {
        /// The refused generation.
        generation: u64,
        /// The trust store.
        store: String,
        /// What is wrong.
        error: TrustStoreError,
    },
}

/// Which real ends are reset when a flow is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resets {
    pub(crate) client: bool,
    pub(crate) origin: bool,
}

/// What a client policy inspects with.
pub(crate) struct ClientInspection {
    pub(crate) signing: Arc<SigningCa>,
    pub(crate) untrusted: Option<Arc<SigningCa>>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) minimum_key_bits: u16,
}

/// What a server policy inspects with.
pub(crate) struct ServerInspection {
    /// In the order of the configuration; the first is the default.
    pub(crate) identities: Vec<Arc<ServerIdentity>>,
    /// Server inspection trusts the server it stands in front of: it holds that server's key.
    pub(crate) trust: Arc<TrustStore>,
}

/// Names and settings of one policy, whichever its direction.
pub(crate) struct PolicyFacts {
    pub(crate) profile: ProfileName,
    pub(crate) policy: PolicyName,
    pub(crate) proxy: String,
    pub(crate) versions: VersionRange,
    pub(crate) resets: Resets,
    pub(crate) session_logging: bool,
}

struct CompiledProfile {
    client: Vec<(PolicyFacts, ClientInspection)>,
    server: Vec<(PolicyFacts, ServerInspection)>,
}

/// One generation, compiled.
pub struct Generation {
    number: u64,
    policy: Policy,
    profiles: Vec<CompiledProfile>,
    segments: Vec<String>,
    limits: Limits,
}

impl Generation {
    /// Compiles a snapshot. `key` opens a private key (PKCS#8 DER) by its id.
    ///
    /// # Errors
    /// [`GenerationError`] for the first thing that keeps the snapshot from being adopted.
    pub fn compile(
        snapshot: &Snapshot,
        key: &dyn Fn(KeyId) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, GenerationError> {
        let configuration = &snapshot.configuration;
        let generation = snapshot.generation.0;
        let policy = Policy::compile(configuration)
            .map_err(|error| GenerationError::Policy { generation, error })?;
        let mut compiler = Compiler {
            snapshot,
            configuration,
            key,
            generation,
            authorities: BTreeMap::new(),
            identities: BTreeMap::new(),
        };
        let profiles = configuration
            .profiles
            .iter()
            .map(|profile| compiler.profile(profile))
            .collect::<Result<_, _>>()?;
        let segments = configuration
            .appliance
            .segments
            .iter()
            .map(|segment| segment.name.as_str().to_owned())
            .collect();
        Ok(Self {
            number: generation,
            policy,
            profiles,
            segments,
            limits: configuration.appliance.limits,
        })
    }

    /// The generation's number, as the control plane counts.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The appliance's limits under this generation.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Name of a segment, by its position in the configuration.
    pub(crate) fn segment_name(&self, segment: u16) -> &str {
        self.segments
            .get(usize::from(segment))
            .map_or("", String::as_str)
    }

    pub(crate) fn facts(&self, candidate: &Candidate) -> Option<&PolicyFacts> {
        let profile = self.profiles.get(usize::from(candidate.profile))?;
        let policy = usize::from(candidate.policy);
        match candidate.direction {
            Direction::Client => profile.client.get(policy).map(|(facts, _)| facts),
            Direction::Server => profile.server.get(policy).map(|(facts, _)| facts),
        }
    }

    pub(crate) fn client_inspection(&self, candidate: &Candidate) -> Option<&ClientInspection> {
        let profile = self.profiles.get(usize::from(candidate.profile))?;
        match candidate.direction {
            Direction::Client => profile
                .client
                .get(usize::from(candidate.policy))
                .map(|(_, how)| how),
            Direction::Server => None,
        }
    }

    pub(crate) fn server_inspection(&self, candidate: &Candidate) -> Option<&ServerInspection> {
        let profile = self.profiles.get(usize::from(candidate.profile))?;
        match candidate.direction {
            Direction::Server => profile
                .server
                .get(usize::from(candidate.policy))
                .map(|(_, how)| how),
            Direction::Client => None,
        }
    }
}

/// What one compilation has made so far: each certificate is parsed once.
struct Compiler<'a> {
    snapshot: &'a Snapshot,
    configuration: &'a Configuration,
    key: &'a dyn Fn(KeyId) -> Option<Zeroizing<Vec<u8>>>,
    generation: u64,
    authorities: BTreeMap<CertificateName, Arc<SigningCa>>,
    identities: BTreeMap<CertificateName, Arc<ServerIdentity>>,
}

impl Compiler<'_> {
    fn profile(&mut self, profile: &Profile) -> Result<CompiledProfile, GenerationError> {
        let client = profile
            .client_policies
            .iter()
            .map(|policy| self.client_policy(profile, policy))
            .collect::<Result<Vec<_>, _>>()?;
        let server = profile
            .server_policies
            .iter()
            .map(|policy| self.server_policy(profile, policy))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(CompiledProfile {
            client: client.into_iter().flatten().collect(),
            server: server.into_iter().flatten().collect(),
        })
    }

    fn client_policy(
        &mut self,
        profile: &Profile,
        policy: &ClientPolicy,
    ) -> Result<Option<(PolicyFacts, ClientInspection)>, GenerationError> {
        // Validation has resolved every reference.
        let Some(proxy) = profile.client_proxy(&policy.client_proxy) else {
            return Ok(None);
        };
        let signing = self.signing_ca(profile, &proxy.signing_certificate)?;
        let untrusted = proxy
            .untrusted_certificate
            .as_ref()
            .map(|name| self.signing_ca(profile, name))
            .transpose()?;
        let trust = self.trust_store(profile, policy.trust_store.as_str())?;
        let facts = PolicyFacts {
            profile: profile.name.clone(),
            policy: policy.name.clone(),
            proxy: proxy.name.as_str().to_owned(),
            versions: versions(proxy.tls_versions),
            resets: Resets {
                client: proxy.reset_client_on_block,
                origin: true,
            },
            session_logging: proxy.session_logging,
        };
        let minimum_key_bits = proxy.minimum_key_bits;
        Ok(Some((
            facts,
            ClientInspection {
                signing,
                untrusted,
                trust,
                minimum_key_bits,
            },
        )))
    }

    fn server_policy(
        &mut self,
        profile: &Profile,
        policy: &ServerPolicy,
    ) -> Result<Option<(PolicyFacts, ServerInspection)>, GenerationError> {
        let Some(proxy) = profile.server_proxy(&policy.server_proxy) else {
            return Ok(None);
        };
        let identities: Vec<Arc<ServerIdentity>> = proxy
            .certificates
            .iter()
            .map(|name| self.server_identity(profile, name))
            .collect::<Result<_, _>>()?;
        // Policy does not ask what the protected server's certificate is worth; its own issuers are what there is to trust.
        let issuers: Vec<CertificateDer<'static>> = identities
            .iter()
            .filter_map(|identity| identity.chain().last().cloned())
            .collect();
        let trust =
            TrustStore::new(false, &issuers).map_err(|error| GenerationError::TrustStore {
                generation: self.generation,
                store: proxy.name.as_str().to_owned(),
                error,
            })?;
        let facts = PolicyFacts {
            profile: profile.name.clone(),
            policy: policy.name.clone(),
            proxy: proxy.name.as_str().to_owned(),
            versions: versions(proxy.tls_versions),
            resets: Resets {
                client: true,
                origin: proxy.reset_server_on_block,
            },
            session_logging: proxy.session_logging,
        };
        Ok(Some((
            facts,
            ServerInspection {
                identities,
                trust: Arc::new(trust),
            },
        )))
    }

    fn signing_ca(
        &mut self,
        profile: &Profile,
        name: &CertificateName,
    ) -> Result<Arc<SigningCa>, GenerationError> {
        if let Some(known) = self.authorities.get(name) {
            return Ok(Arc::clone(known));
        }
        let (chain, pkcs8) = self.certificate_and_key(profile, name)?;
        let ca = SigningCa::new(name.as_str(), chain, &pkcs8).map_err(|error| {
            GenerationError::SigningCa {
                generation: self.generation,
                certificate: name.clone(),
                error,
            }
        })?;
        let ca = Arc::new(ca);
        self.authorities.insert(name.clone(), Arc::clone(&ca));
        Ok(ca)
    }

    fn server_identity(
        &mut self,
        profile: &Profile,
        name: &CertificateName,
    ) -> Result<Arc<ServerIdentity>, GenerationError> {
        if let Some(known) = self.identities.get(name) {
            return Ok(Arc::clone(known));
        }
        let (chain, pkcs8) = self.certificate_and_key(profile, name)?;
        let identity = ServerIdentity::from_pkcs8(chain, &pkcs8).map_err(|error| {
            GenerationError::ServerIdentity {
                generation: self.generation,
                certificate: name.clone(),
                error,
            }
        })?;
        let identity = Arc::new(identity);
        self.identities.insert(name.clone(), Arc::clone(&identity));
        Ok(identity)
    }

    fn trust_store(
        &self,
        profile: &Profile,
        name: &str,
    ) -> Result<Arc<TrustStore>, GenerationError> {
        let store = profile
            .trust_stores
            .iter()
            .find(|store| store.name.as_str() == name);
        let (defaults, names) = store.map_or((true, &[][..]), |store| {
            (store.default_authorities, &store.authorities)
        });
        let authorities = names
            .iter()
            .map(|name| Ok(self.certificate(profile, name)?.into_iter().next()))
            .collect::<Result<Vec<_>, GenerationError>>()?;
        let authorities: Vec<CertificateDer<'static>> = authorities.into_iter().flatten().collect();
        let trust = TrustStore::new(defaults, &authorities).map_err(|error| {
            GenerationError::TrustStore {
                generation: self.generation,
                store: name.to_owned(),
                error,
            }
        })?;
        Ok(Arc::new(trust))
    }

    fn certificate(
        &self,
        profile: &Profile,
        name: &CertificateName,
    ) -> Result<Vec<CertificateDer<'static>>, GenerationError> {
        let found = self
            .snapshot
            .certificate(name)
            .filter(|certificate| !certificate.chain.is_empty());
        let found = found.ok_or_else(|| GenerationError::MissingCertificate {
            generation: self.generation,
            profile: profile.name.clone(),
            certificate: name.clone(),
        })?;
        debug_assert!(self.configuration.profile(&profile.name).is_some());
        Ok(found
            .chain
            .iter()
            .cloned()
            .map(CertificateDer::from)
            .collect())
    }

    fn certificate_and_key(
        &self,
        profile: &Profile,
        name: &CertificateName,
    ) -> Result<(Vec<CertificateDer<'static>>, Zeroizing<Vec<u8>>), GenerationError> {
        let chain = self.certificate(profile, name)?;
        let key = self
            .snapshot
            .certificate(name)
            .and_then(|certificate| certificate.key);
        let pkcs8 =
            key.and_then(|id| (self.key)(id))
                .ok_or_else(|| GenerationError::MissingKey {
                    generation: self.generation,
                    certificate: name.clone(),
                })?;
        Ok((chain, pkcs8))
    }
}

/// The part of a configured range that the TLS engine speaks; validation lets only such ranges through.
fn versions(range: sluice_schema::VersionRange) -> VersionRange {
    let tls12 = range.contains(sluice_schema::TlsVersion::Tls12);
    let tls13 = range.contains(sluice_schema::TlsVersion::Tls13);
    match (tls12, tls13) {
        (true, false) => VersionRange::TLS12,
        (false, true) => VersionRange::TLS13,
        _ => VersionRange::TLS12_AND_13,
    }
}
