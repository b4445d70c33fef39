//! How a flow would be treated.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use sluice_telemetry::{DecisionCode, Verdict};

/// A flow that might come. What is not given is taken to be in no list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The server name that the client would ask for.
    pub host: Option<String>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The server's address.
    pub server: Option<IpAddr>,
    /// The server's port.
    pub port: u16,
    /// Name of the segment; absent: the first.
    pub segment: Option<String>,
    /// The outer VLAN identifier.
    pub vlan: Option<u16>,
}

/// How the flow would be treated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// Under which generation.
    pub generation: u64,
    /// What would happen; absent: forwarded at layer 2, not even tracked.
    pub verdict: Option<Verdict>,
    /// The code; absent with the verdict.
    pub code: Option<DecisionCode>,
    /// The questions in their order, the last with the code.
    pub steps: Vec<ExplainedStep>,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedStep {
    /// For people, one sentence.
    pub text: String,
    /// The code, if the answer ends the matter.
    pub code: Option<DecisionCode>,
}
