//! From a configuration to tables.

use core::net::IpAddr;

use sluice_schema::{
    CertificateName, ClientProxy, Configuration, OverLimit, Profile, ServerProxy, TrustStore,
    VersionRange, VlanRange,
};

use crate::domains::DomainSet;
use crate::limits::POLICIES_PER_PROFILE_MAX;
use crate::ports::PortSet;
use crate::prefixes::{PrefixMap, PrefixSet};
use crate::{Candidate, Direction, FlowFacts, SegmentIndex};

/// Why a configuration does not compile. Documents that were validated always do; bytes from elsewhere may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A reference that leads nowhere.
    #[error(
        "{place} names the {kind} \"{name}\", which does not exist; publish a configuration that passed `sluice check`"
    )]
    Missing {
        /// What refers.
        place: String,
        /// To what kind of thing.
        kind: &'static str,
        /// By which name.
        name: String,
    },
    /// More of something than can be numbered.
    #[error("there are {count} {what}; at most {max} can be compiled")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// The compiled policies of one generation.
pub struct Policy {
    pub(crate) client_on: bool,
    pub(crate) server_on: bool,
    /// The directions of a flow may take different ways: none is watched.
    pub(crate) asymmetric: bool,
    pub(crate) inspected_sessions_max: u32,
    pub(crate) over_limit: OverLimit,
    /// Every port that any enabled policy of any profile looks at: most flows end here.
    ports: PortSet,
    pub(crate) virtual_segments: Vec<CompiledVirtualSegment>,
    /// The profile of what no virtual segment claims.
    pub(crate) default_profile: Option<u16>,
    pub(crate) profiles: Vec<CompiledProfile>,
}

pub(crate) struct CompiledVirtualSegment {
    pub(crate) name: String,
    segment: Option<SegmentIndex>,
    vlans: Vec<VlanRange>,
    sources: PrefixSet,
    destinations: PrefixSet,
    pub(crate) profile: Option<u16>,
}

pub(crate) struct CompiledProfile {
    pub(crate) name: String,
    pub(crate) clients: Vec<CompiledClient>,
    /// (first port, last port, position in `clients`), sorted; ranges of enabled policies, never overlapping.
    client_ports: Vec<(u16, u16, u16)>,
    pub(crate) servers: Vec<CompiledServer>,
    server_ports: PortSet,
    /// Positions in `servers` by the networks that they protect; enabled policies.
    server_networks: PrefixMap<u16>,
}

impl CompiledProfile {
    fn watches(&self) -> bool {
        !self.client_ports.is_empty() || !self.servers.is_empty()
    }
}

pub(crate) struct CompiledClient {
    pub(crate) name: String,
    pub(crate) proxy: ClientProxy,
    pub(crate) trust_store: TrustStore,
    pub(crate) never_sources: PrefixSet,
    pub(crate) always_sources: PrefixSet,
    pub(crate) do_not_decrypt: DomainSet,
    pub(crate) always_decrypt: DomainSet,
}

pub(crate) struct CompiledServer {
    pub(crate) name: String,
    pub(crate) proxy: ServerProxy,
    pub(crate) exceptions: PrefixSet,
}

impl Policy {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// When a reference leads nowhere or there is more than can be numbered; never for a configuration that
    /// `sluice_schema::load` returned.
    pub fn compile(configuration: &Configuration) -> Result<Self, CompileError> {
        let appliance = &configuration.appliance;
        bounded(
            "profiles",
            configuration.profiles.len(),
            sluice_schema::limits::PROFILES_MAX,
        )?;
        let profile_index = |place: &str, name: &sluice_schema::ProfileName| {
            configuration
                .profiles
                .iter()
                .position(|profile| profile.name == *name)
                .and_then(|at| u16::try_from(at).ok())
                .ok_or_else(|| missing(place, "profile", name.as_str()))
        };
        let mut ports = PortSet::new();
        let profiles = configuration
            .profiles
            .iter()
            .map(|profile| CompiledProfile::compile(profile, &mut ports))
            .collect::<Result<Vec<_>, _>>()?;
        let default_profile = appliance
            .profile
            .as_ref()
            .map(|name| profile_index("the appliance", name))
            .transpose()?;
        let virtual_segments = appliance
            .virtual_segments
            .iter()
            .map(|segment| {
                let place = format!("the virtual segment \"{}\"", segment.name);
                let on = segment
                    .segment
                    .as_ref()
                    .map(|name| {
                        appliance
                            .segments
                            .iter()
                            .position(|segment| segment.name == *name)
                            .and_then(|at| u16::try_from(at).ok())
                            .map(SegmentIndex)
                            .ok_or_else(|| missing(&place, "segment", name.as_str()))
                    })
                    .transpose()?;
                Ok(CompiledVirtualSegment {
                    name: segment.name.to_string(),
                    segment: on,
                    vlans: segment.vlans.clone(),
                    sources: PrefixSet::new(&segment.sources),
                    destinations: PrefixSet::new(&segment.destinations),
                    profile: segment
                        .profile
                        .as_ref()
                        .map(|name| profile_index(&place, name))
                        .transpose()?,
                })
            })
            .collect::<Result<Vec<_>, CompileError>>()?;
        Ok(Self {
            client_on: appliance.inspection.client,
            server_on: appliance.inspection.server,
            asymmetric: appliance.network.asymmetric,
            inspected_sessions_max: appliance.limits.inspected_sessions_max,
            over_limit: appliance.limits.over_limit,
            ports,
            virtual_segments,
            default_profile,
            profiles,
        })
    }

    /// Whether the flow of this SYN is to be watched: the server policy that protects its destination, else the client
    /// policy that listens on its port. `None`: it is forwarded at layer 2 and never tracked, as every flow of an asymmetric
    /// network is.
    #[must_use]
    pub fn candidate(&self, flow: &FlowFacts) -> Option<Candidate> {
        if self.asymmetric || !self.ports.contains(flow.server.port()) {
            return None;
        }
        let number = match self.virtual_segment(flow) {
            Some(segment) => segment.profile,
            None => self.default_profile,
        }?;
        let profile = self.profiles.get(usize::from(number))?;
        if let Some(policy) = profile.server(flow) {
            return Some(self.server_candidate(number, policy, profile, flow.client.ip()));
        }
        let policy = profile.client(flow.server.port())?;
        Some(self.client_candidate(number, policy, profile, flow.client.ip()))
    }

    /// The ports that any enabled policy looks at: [`candidate`](Self::candidate) answers for no flow to another.
    #[must_use]
    pub const fn ports(&self) -> &PortSet {
        &self.ports
    }

    /// Whether there is any flow that [`candidate`](Self::candidate) answers for.
    #[must_use]
    pub fn watches(&self) -> bool {
        let claimed = self.virtual_segments.iter().map(|segment| segment.profile);
        !self.asymmetric
            && claimed
                .chain([self.default_profile])
                .flatten()
                .filter_map(|number| self.profiles.get(usize::from(number)))
                .any(CompiledProfile::watches)
    }

    /// The first virtual segment that claims the flow.
    pub(crate) fn virtual_segment(&self, flow: &FlowFacts) -> Option<&CompiledVirtualSegment> {
        self.virtual_segments
            .iter()
            .find(|segment| segment.claims(flow))
    }

    pub(crate) fn client(&self, candidate: &Candidate) -> Option<&CompiledClient> {
        if candidate.direction != Direction::Client {
            return None;
        }
        self.profiles
            .get(usize::from(candidate.profile))?
            .clients
            .get(usize::from(candidate.policy))
    }

    pub(crate) fn server(&self, candidate: &Candidate) -> Option<&CompiledServer> {
        if candidate.direction != Direction::Server {
            return None;
        }
        self.profiles
            .get(usize::from(candidate.profile))?
            .servers
            .get(usize::from(candidate.policy))
    }

    /// Name of the candidate's profile; empty for a candidate of another generation.
    #[must_use]
    pub fn profile_name(&self, candidate: &Candidate) -> &str {
        self.profiles
            .get(usize::from(candidate.profile))
            .map(|profile| profile.name.as_str())
            .unwrap_or_default()
    }

    /// Name of the candidate's client or server policy; empty for a candidate of another generation.
    #[must_use]
    pub fn policy_name(&self, candidate: &Candidate) -> &str {
        let name = match candidate.direction {
            Direction::Client => self.client(candidate).map(|policy| policy.name.as_str()),
            Direction::Server => self.server(candidate).map(|policy| policy.name.as_str()),
        };
        name.unwrap_or_default()
    }

    /// Name of the candidate's client or server proxy; empty for a candidate of another generation.
    #[must_use]
    pub fn proxy_name(&self, candidate: &Candidate) -> &str {
        let name = match candidate.direction {
            Direction::Client => self
                .client(candidate)
                .map(|policy| policy.proxy.name.as_str()),
            Direction::Server => self
                .server(candidate)
                .map(|policy| policy.proxy.name.as_str()),
        };
        name.unwrap_or_default()
    }

    /// The client proxy's settings, for a candidate of client inspection.
    #[must_use]
    pub fn client_proxy(&self, candidate: &Candidate) -> Option<&ClientProxy> {
        self.client(candidate).map(|policy| &policy.proxy)
    }

    /// The server proxy's settings, for a candidate of server inspection.
    #[must_use]
    pub fn server_proxy(&self, candidate: &Candidate) -> Option<&ServerProxy> {
        self.server(candidate).map(|policy| &policy.proxy)
    }

    /// The trust store that origins are verified against, for a candidate of client inspection.
    #[must_use]
    pub fn trust_store(&self, candidate: &Candidate) -> Option<&TrustStore> {
        self.client(candidate).map(|policy| &policy.trust_store)
    }

    /// The CA that signs leaves for verified origins, for a candidate of client inspection.
    #[must_use]
    pub fn signing_certificate(&self, candidate: &Candidate) -> Option<&CertificateName> {
        self.client(candidate)
            .map(|policy| &policy.proxy.signing_certificate)
    }

    /// The CA that signs leaves for other origins, for a candidate of client inspection that lets those through.
    #[must_use]
    pub fn untrusted_certificate(&self, candidate: &Candidate) -> Option<&CertificateName> {
        self.client(candidate)
            .and_then(|policy| policy.proxy.untrusted_certificate.as_ref())
    }

    /// The server's certificates, the default first; empty for client inspection.
    #[must_use]
    pub fn server_certificates(&self, candidate: &Candidate) -> &[CertificateName] {
        self.server(candidate)
            .map(|policy| policy.proxy.certificates.as_slice())
            .unwrap_or_default()
    }

    /// The shortest origin key that counts as valid, bits of RSA; 0 for server inspection.
    #[must_use]
    pub fn minimum_key_bits(&self, candidate: &Candidate) -> u16 {
        self.client(candidate)
            .map(|policy| policy.proxy.minimum_key_bits)
            .unwrap_or_default()
    }

    /// The versions spoken on both legs.
    #[must_use]
    pub fn tls_versions(&self, candidate: &Candidate) -> VersionRange {
        let versions = match candidate.direction {
            Direction::Client => self
                .client(candidate)
                .map(|policy| policy.proxy.tls_versions),
            Direction::Server => self
                .server(candidate)
                .map(|policy| policy.proxy.tls_versions),
        };
        versions.unwrap_or_default()
    }

    /// Whether the client gets a TCP reset when its flow is blocked.
    #[must_use]
    pub fn resets_client_on_block(&self, candidate: &Candidate) -> bool {
        self.client(candidate)
            .is_some_and(|policy| policy.proxy.reset_client_on_block)
    }

    /// Whether the server gets a TCP reset when a flow is blocked.
    #[must_use]
    pub fn resets_server_on_block(&self, candidate: &Candidate) -> bool {
        self.server(candidate)
            .is_some_and(|policy| policy.proxy.reset_server_on_block)
    }

    /// Whether every session leaves an event. Blocked ones always do.
    #[must_use]
    pub fn logs_sessions(&self, candidate: &Candidate) -> bool {
        match candidate.direction {
            Direction::Client => self
                .client(candidate)
                .is_some_and(|policy| policy.proxy.session_logging),
            Direction::Server => self
                .server(candidate)
                .is_some_and(|policy| policy.proxy.session_logging),
        }
    }
}

impl CompiledVirtualSegment {
    fn claims(&self, flow: &FlowFacts) -> bool {
        let vlan_fits = || {
            self.vlans.is_empty()
                || flow
                    .vlan
                    .is_some_and(|vlan| self.vlans.iter().any(|range| range.contains(vlan)))
        };
        let fits = |set: &PrefixSet, address: IpAddr| set.is_empty() || set.contains(address);
        self.segment.is_none_or(|segment| segment == flow.segment)
            && vlan_fits()
            && fits(&self.sources, flow.client.ip())
            && fits(&self.destinations, flow.server.ip())
    }
}

impl CompiledProfile {
    fn compile(profile: &Profile, all_ports: &mut PortSet) -> Result<Self, CompileError> {
        bounded(
            "client policies in one profile",
            profile.client_policies.len(),
            POLICIES_PER_PROFILE_MAX,
        )?;
        bounded(
            "server policies in one profile",
            profile.server_policies.len(),
            POLICIES_PER_PROFILE_MAX,
        )?;
        let mut client_ports = Vec::new();
        let mut clients = Vec::with_capacity(profile.client_policies.len());
        for (at, policy) in profile.client_policies.iter().enumerate() {
            let place = format!(
                "the client policy \"{}\" of the profile \"{}\"",
                policy.name, profile.name
            );
            let proxy = profile
                .client_proxy(&policy.client_proxy)
                .ok_or_else(|| missing(&place, "client proxy", policy.client_proxy.as_str()))?;
            let trust_store = profile
                .trust_store(&policy.trust_store)
                .ok_or_else(|| missing(&place, "trust store", policy.trust_store.as_str()))?;
            let decryption = policy
                .decryption_policy
                .as_ref()
                .map(|name| {
                    profile
                        .decryption_policy(name)
                        .ok_or_else(|| missing(&place, "decryption policy", name.as_str()))
                })
                .transpose()?;
            if policy.enabled {
                for range in &proxy.detection_ports {
                    all_ports.insert(*range);
                    client_ports.push((
                        range.first(),
                        range.last(),
                        u16::try_from(at).unwrap_or(u16::MAX),
                    ));
                }
            }
            clients.push(CompiledClient {
                name: policy.name.to_string(),
                proxy: proxy.clone(),
                trust_store: trust_store.clone(),
                never_sources: PrefixSet::new(&policy.never_decrypt_sources),
                always_sources: PrefixSet::new(&policy.always_decrypt_sources),
                do_not_decrypt: decryption
                    .map(|d| DomainSet::new(&d.do_not_decrypt))
                    .unwrap_or_default(),
                always_decrypt: decryption
                    .map(|d| DomainSet::new(&d.always_decrypt))
                    .unwrap_or_default(),
            });
        }
        client_ports.sort_unstable();

        let mut server_ports = PortSet::new();
        let mut networks = Vec::new();
        let mut servers = Vec::with_capacity(profile.server_policies.len());
        for (at, policy) in profile.server_policies.iter().enumerate() {
            let place = format!(
                "the server policy \"{}\" of the profile \"{}\"",
                policy.name, profile.name
            );
            let proxy = profile
                .server_proxy(&policy.server_proxy)
                .ok_or_else(|| missing(&place, "server proxy", policy.server_proxy.as_str()))?;
            if policy.enabled {
                for range in &proxy.ports {
                    all_ports.insert(*range);
                    server_ports.insert(*range);
                }
                let at = u16::try_from(at).unwrap_or(u16::MAX);
                networks.extend(proxy.addresses.iter().map(|network| (*network, at)));
            }
            servers.push(CompiledServer {
                name: policy.name.to_string(),
                proxy: proxy.clone(),
                exceptions: PrefixSet::new(&policy.source_exceptions),
            });
        }
        let server_networks = PrefixMap::new(networks.into_iter());
        Ok(Self {
            name: profile.name.to_string(),
            clients,
            client_ports,
            servers,
            server_ports,
            server_networks,
        })
    }

    /// The enabled server policy that protects the flow's destination. The documents let no two protect the same address
    /// and port.
    fn server(&self, flow: &FlowFacts) -> Option<u16> {
        let port = flow.server.port();
        if !self.server_ports.contains(port) {
            return None;
        }
        let protects = |at: u16| {
            let server = self.servers.get(usize::from(at));
            server.is_some_and(|server| server.proxy.ports.iter().any(|range| range.contains(port)))
        };
        self.server_networks
            .matches(flow.server.ip())
            .map(|(_, at)| *at)
            .find(|at| protects(*at))
    }

    /// The enabled client policy that listens on the port.
    fn client(&self, port: u16) -> Option<u16> {
        let after = self
            .client_ports
            .partition_point(|(first, _, _)| *first <= port);
        let (_, last, policy) = self.client_ports.get(after.checked_sub(1)?)?;
        (port <= *last).then_some(*policy)
    }
}

fn missing(place: &str, kind: &'static str, name: &str) -> CompileError {
    CompileError::Missing {
        place: place.to_owned(),
        kind,
        name: name.to_owned(),
    }
}

fn bounded(what: &'static str, count: usize, max: usize) -> Result<(), CompileError> {
    if count > max {
        Err(CompileError::TooMany { what, count, max })
    } else {
        Ok(())
    }
}
