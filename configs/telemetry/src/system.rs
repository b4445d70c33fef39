//! Events about the appliance itself, not about one flow.

use serde::{Deserialize, Serialize};

/// How much an event wants attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Something works less well than it should.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A system event with its time and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemRecord {
    /// When, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// The core it happened on; absent when it concerns the whole process.
    pub core: Option<u16>,
    /// What happened.
    pub event: SystemEvent,
}

/// What happened to the appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemEvent {
    /// The data plane runs and its ports are up.
    DataplaneStarted {
        /// Its process id.
        pid: u32,
        /// Its version.
        version: String,
    },
    /// The data plane stops in order.
    DataplaneStopping,
    /// The control plane lost or found the data plane.
    DataplaneLink {
        /// Whether it is connected now.
        connected: bool,
    },
    /// A core adopted a generation.
    GenerationAdopted {
        /// Which.
        generation: u64,
    },
    /// A generation was refused; the one before stays.
    GenerationRefused {
        /// Which.
        generation: u64,
        /// Why, and what to do.
        reason: String,
    },
    /// A certificate in use has expired.
    CertificateExpired {
        /// Its name in the certificate store.
        name: String,
        /// End of its validity, seconds since the Unix epoch.
        not_after_unix_s: u64,
    },
    /// A certificate in use expires soon.
    CertificateExpiring {
        /// Its name in the certificate store.
        name: String,
        /// End of its validity, seconds since the Unix epoch.
        not_after_unix_s: u64,
    },
    /// The processor has no usable RDRAND; the system's generator seeds instead.
    RdrandUnavailable {
        /// Why.
        reason: String,
    },
    /// As many sessions are inspected as the limit allows.
    SessionLimitReached {
        /// The limit, sessions.
        limit: u32,
        /// What happens to further sessions.
        over_limit: crate::Verdict,
    },
    /// There are sessions free again under the limit.
    SessionLimitCleared {
        /// The limit, sessions.
        limit: u32,
    },
    /// Events were lost because the ring was full.
    EventsLost {
        /// How many since the last such event.
        count: u64,
    },
    /// A port's link went up or down.
    PortLink {
        /// Name of the segment.
        segment: String,
        /// The port, as configured.
        port: String,
        /// Whether the link is up.
        up: bool,
    },
    /// Something learned about an origin changes what happens to its next flows.
    Learned {
        /// The server name or address.
        origin: String,
        /// The code that its next flows get.
        code: crate::DecisionCode,
        /// Until when, seconds since the Unix epoch.
        until_unix_s: u64,
    },
    /// Anything else that went wrong, named by its operation.
    Problem {
        /// What was being done.
        operation: String,
        /// What was wrong and what to do.
        reason: String,
    },
}

impl SystemEvent {
    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DataplaneStarted { .. } => "dataplane-started",
            Self::DataplaneStopping => "dataplane-stopping",
            Self::DataplaneLink { .. } => "dataplane-link",
            Self::GenerationAdopted { .. } => "generation-adopted",
            Self::GenerationRefused { .. } => "generation-refused",
            Self::CertificateExpired { .. } => "certificate-expired",
            Self::CertificateExpiring { .. } => "certificate-expiring",
            Self::RdrandUnavailable { .. } => "rdrand-unavailable",
            Self::SessionLimitReached { .. } => "session-limit-reached",
            Self::SessionLimitCleared { .. } => "session-limit-cleared",
            Self::EventsLost { .. } => "events-lost",
            Self::PortLink { .. } => "port-link",
            Self::Learned { .. } => "learned",
            Self::Problem { .. } => "problem",
        }
    }

    /// How much it wants attention. An expired certificate is an error (it stops inspection for its proxy).
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::DataplaneStarted { .. }
            | Self::DataplaneStopping
            | Self::DataplaneLink { connected: true }
            | Self::GenerationAdopted { .. }
            | Self::SessionLimitCleared { .. }
            | Self::PortLink { up: true, .. }
            | Self::Learned { .. } => Severity::Info,
            Self::CertificateExpiring { .. }
            | Self::RdrandUnavailable { .. }
            | Self::SessionLimitReached { .. }
            | Self::EventsLost { .. }
            | Self::DataplaneLink { connected: false }
            | Self::PortLink { up: false, .. } => Severity::Warning,
            Self::GenerationRefused { .. }
            | Self::CertificateExpired { .. }
            | Self::Problem { .. } => Severity::Error,
        }
    }

    /// One sentence for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::DataplaneStarted { pid, version } => format!("the data plane {version} runs as process {pid}"),
            Self::DataplaneStopping => "the data plane stops".to_owned(),
            Self::DataplaneLink { connected: true } => "the data plane is connected".to_owned(),
            Self::DataplaneLink { connected: false } => {
                "the data plane is not connected; traffic goes on under its last generation if it still runs".to_owned()
            }
            Self::GenerationAdopted { generation } => format!("generation {generation} adopted"),
            Self::GenerationRefused { generation, reason } => format!("generation {generation} refused: {reason}"),
            Self::CertificateExpired { name, .. } => {
                format!("the certificate `{name}` has expired; import its successor under the same name")
            }
            Self::CertificateExpiring { name, .. } => format!("the certificate `{name}` expires soon"),
            Self::RdrandUnavailable { reason } => {
                format!("RDRAND is not used ({reason}); the system's generator seeds the cores")
            }
            Self::SessionLimitReached { limit, over_limit } => {
                format!("{limit} sessions are inspected, as many as limits.inspected_sessions_max allows; further ones: {over_limit}")
            }
            Self::SessionLimitCleared { limit } => format!("fewer than {limit} sessions are inspected again"),
            Self::EventsLost { count } => format!("{count} events were lost because the event ring was full"),
            Self::PortLink { segment, port, up } => {
                format!("port {port} of segment `{segment}` is {}", if *up { "up" } else { "down" })
            }
            Self::Learned { origin, code, .. } => format!("further flows to {origin} get {code}"),
            Self::Problem { operation, reason } => format!("{operation}: {reason}"),
        }
    }
}
