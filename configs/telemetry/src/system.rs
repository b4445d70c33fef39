//! Events about the appliance itself, not about one flow.

use serde::{Deserialize, Serialize};

use crate::{FallbackReason, LoadState, Verdict};

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
    /// The number of inspected sessions has passed a threshold, up or down.
    SessionLoad {
        /// How it was.
        before: LoadState,
        /// How it is.
        state: LoadState,
        /// Sessions inspected now, over all cores.
        sessions: u32,
        /// The limit, sessions.
        limit: u32,
        /// What happens to sessions past the limit.
        over_limit: Verdict,
    },
    /// A reason for layer-2 fallback has come or gone.
    Layer2Fallback {
        /// Which.
        reason: FallbackReason,
        /// Whether it has come.
        entered: bool,
        /// Whether new flows are forwarded at layer 2 now.
        on: bool,
    },
    /// An operator cleared the inspected sessions.
    SessionsCleared {
        /// How many there were.
        sessions: u64,
    },
    /// Packet buffers are nearly used up, or are not any more.
    Exhaustion {
        /// Whether they are.
        exhausted: bool,
        /// Whether new flows are dropped until it is over; else they pass without inspection.
        drops: bool,
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
    pub fn name(&self) -> &'static str {
        match self {
            Self::DataplaneStarted { .. } => "dataplane-started",
            Self::DataplaneStopping => "dataplane-stopping",
            Self::DataplaneLink { .. } => "dataplane-link",
            Self::GenerationAdopted { .. } => "generation-adopted",
            Self::GenerationRefused { .. } => "generation-refused",
            Self::CertificateExpired { .. } => "certificate-expired",
            Self::CertificateExpiring { .. } => "certificate-expiring",
            Self::RdrandUnavailable { .. } => "rdrand-unavailable",
            Self::SessionLoad { before, state, .. } if before > state => "session-load-recovered",
            Self::SessionLoad { state, .. } => match state {
                LoadState::Normal => "session-load-recovered",
                LoadState::Warning => "session-load-warning",
                LoadState::Critical => "session-load-critical",
                LoadState::Reached => "session-limit-reached",
            },
            Self::Layer2Fallback { entered: true, .. } => "layer2-fallback-entered",
            Self::Layer2Fallback { entered: false, .. } => "layer2-fallback-left",
            Self::SessionsCleared { .. } => "sessions-cleared",
            Self::Exhaustion {
                exhausted: true, ..
            } => "exhaustion",
            Self::Exhaustion {
                exhausted: false, ..
            } => "exhaustion-recovered",
            Self::EventsLost { .. } => "events-lost",
            Self::PortLink { .. } => "port-link",
            Self::Learned { .. } => "learned",
            Self::Problem { .. } => "problem",
        }
    }

    /// How much it wants attention. An expired certificate is an error (it stops inspection for its proxy).
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::SessionLoad { before, state, .. } if before > state => Severity::Info,
            Self::SessionLoad { state, .. } => match state {
                LoadState::Normal => Severity::Info,
                LoadState::Warning => Severity::Warning,
                LoadState::Critical | LoadState::Reached => Severity::Error,
            },
            Self::Layer2Fallback {
                entered: true,
                reason,
                ..
            } => match reason {
                FallbackReason::Command => Severity::Warning,
                _ => Severity::Error,
            },
            Self::DataplaneStarted { .. }
            | Self::Layer2Fallback { entered: false, .. }
            | Self::Exhaustion {
                exhausted: false, ..
            }
            | Self::DataplaneStopping
            | Self::DataplaneLink { connected: true }
            | Self::GenerationAdopted { .. }
            | Self::PortLink { up: true, .. }
            | Self::Learned { .. } => Severity::Info,
            Self::CertificateExpiring { .. }
            | Self::SessionsCleared { .. }
            | Self::Exhaustion {
                exhausted: true, ..
            }
            | Self::RdrandUnavailable { .. }
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
            Self::SessionLoad { before, state, sessions, limit, over_limit } => {
                session_load(*before, *state, (*sessions, *limit), *over_limit)
            }
            Self::Layer2Fallback { reason, entered, on } => {
                let because = reason.description();
                match (entered, on) {
                    (true, _) => format!(
                        "entered Layer-2 fallback because {because}: new flows pass without inspection, inspected sessions are \
                         kept (`sluice sessions clear` ends them)"
                    ),
                    (false, false) => format!(
                        "left Layer-2 fallback; it was entered because {because}: new flows are inspected again"
                    ),
                    (false, true) => format!(
                        "Layer-2 fallback goes on for another reason than that {because}, which is over"
                    ),
                }
            }
            Self::SessionsCleared { sessions } => {
                format!("{sessions} inspected sessions were cleared by command: both ends of each were reset")
            }
            Self::Exhaustion { exhausted: true, drops } => {
                let fate = if *drops { "are dropped, and come again" } else { "pass without inspection" };
                format!("packet buffers are nearly used up: new flows {fate} until there are enough again")
            }
            Self::Exhaustion { exhausted: false, .. } => {
                "there are enough packet buffers again: new flows are inspected".to_owned()
            }
            Self::EventsLost { count } => format!("{count} events were lost because the event ring was full"),
            Self::PortLink { segment, port, up } => {
                format!("port {port} of segment `{segment}` is {}", if *up { "up" } else { "down" })
            }
            Self::Learned { origin, code, .. } => format!("further flows to {origin} get {code}"),
            Self::Problem { operation, reason } => format!("{operation}: {reason}"),
        }
    }
}

fn session_load(
    before: LoadState,
    state: LoadState,
    (sessions, limit): (u32, u32),
    over_limit: Verdict,
) -> String {
    let action = match over_limit {
        Verdict::Block => "Block",
        Verdict::Bypass | Verdict::Inspect => "Allow but bypass Inspection",
    };
    if before > state {
        return format!(
            "SSL Inspection recovered from {before} to {state}: {sessions} of {limit} Max Concurrent Connections. \
             Action: Inspect"
        );
    }
    match state {
        LoadState::Normal | LoadState::Warning => format!(
            "SSL Inspection reached Warning threshold of Max Concurrent Connections ({sessions} of {limit}). \
             Action at the maximum: {action}"
        ),
        LoadState::Critical => format!(
            "SSL Inspection reached Critical threshold of Max Concurrent Connections ({sessions} of {limit}). \
             Action at the maximum: {action}"
        ),
        LoadState::Reached => format!(
            "SSL Inspection reached Maximum of Max Concurrent Connections ({sessions} of {limit}). Action: {action}"
        ),
    }
}
