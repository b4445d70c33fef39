//! Why a flow would be treated as it would, in the order of the questions asked.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use sluice_telemetry::{DecisionCode, Verdict};

use crate::compile::Policy;
use crate::decide::normal;
use crate::{Candidate, Direction, FlowFacts, HelloFacts, LoadFacts, SegmentIndex};

/// A flow that might come. What is not known is taken to be in no list.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The server name that the client would ask for.
    pub host: Option<&'a str>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The server's address.
    pub server: Option<IpAddr>,
    /// The server's port.
    pub port: u16,
    /// The segment.
    pub segment: SegmentIndex,
    /// The outer VLAN identifier.
    pub vlan: Option<u16>,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For people, one sentence.
    pub text: String,
    /// The code, if the answer ends the matter.
    pub code: Option<DecisionCode>,
}

/// How a flow would be treated, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What would happen; absent: the flow would be forwarded at layer 2, not even tracked.
    pub verdict: Option<Verdict>,
    /// The code; absent with the verdict.
    pub code: Option<DecisionCode>,
    /// The questions in their order. The last has the code.
    pub steps: Vec<Step>,
}

/// Explains what the cores would do with a flow: the answer is the compiled policy's own, the steps say how it came
/// about. The client is taken to offer TLS 1.2 and 1.3, nothing to be learned about the origin, and the limit not to be
/// reached.
#[must_use]
pub fn explain(policy: &Policy, question: &Question<'_>) -> Explanation {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let flow = FlowFacts {
        client: SocketAddr::new(question.client.unwrap_or(unknown), 0),
        server: SocketAddr::new(question.server.unwrap_or(unknown), question.port),
        segment: question.segment,
        vlan: question.vlan,
    };
    let mut steps = Steps(Vec::new());
    for (what, missing) in [
        ("client", question.client.is_none()),
        ("server", question.server.is_none()),
    ] {
        if missing {
            steps.say(format!(
                "the {what}'s address is not given: it is taken to be in no list"
            ));
        }
    }
    if policy.asymmetric {
        steps.say("asymmetric-network mode is on: every flow is forwarded at layer 2".to_owned());
        return Explanation {
            verdict: None,
            code: None,
            steps: steps.0,
        };
    }
    segment(policy, &flow, &mut steps);
    let Some(candidate) = policy.candidate(&flow) else {
        steps.say(format!(
            "no enabled server policy protects {} and no enabled client policy listens on port {}: forwarded at layer 2",
            question.server.map_or_else(|| "the server".to_owned(), |server| format!("{server} port {}", question.port)),
            question.port
        ));
        return Explanation {
            verdict: None,
            code: None,
            steps: steps.0,
        };
    };
    matched(policy, &candidate, question, &mut steps);
    let hello = HelloFacts {
        sni: question.host,
        offers_tls12: true,
        offers_tls13: true,
        ..HelloFacts::default()
    };
    let decision = policy.decide(&candidate, &flow, &hello, &LoadFacts::default());
    if candidate.early().is_none() {
        names(policy, &candidate, question.host, &mut steps);
    }
    if decision.verdict == Verdict::Inspect {
        let versions = policy.tls_versions(&candidate);
        steps.say(format!(
            "the proxy speaks TLS {} to {}; a client that offers neither would be bypassed",
            versions.lowest, versions.highest
        ));
        origin(policy, &candidate, &mut steps);
    }
    steps.0.push(Step {
        text: decision.code.description().to_owned(),
        code: Some(decision.code),
    });
    Explanation {
        verdict: Some(decision.verdict),
        code: Some(decision.code),
        steps: steps.0,
    }
}

struct Steps(Vec<Step>);

impl Steps {
    fn say(&mut self, text: String) {
        self.0.push(Step { text, code: None });
    }
}

fn segment(policy: &Policy, flow: &FlowFacts, steps: &mut Steps) {
    let (what, profile) = match policy.virtual_segment(flow) {
        Some(segment) => (
            format!("the virtual segment \"{}\" claims the flow", segment.name),
            segment.profile,
        ),
        None => (
            "no virtual segment claims the flow".to_owned(),
            policy.default_profile,
        ),
    };
    let profile = profile.and_then(|at| policy.profiles.get(usize::from(at)));
    steps.say(match profile {
        Some(profile) => format!("{what}: the profile \"{}\" applies", profile.name),
        None => format!("{what}: no profile applies"),
    });
}

fn matched(policy: &Policy, candidate: &Candidate, question: &Question<'_>, steps: &mut Steps) {
    let (name, proxy) = (policy.policy_name(candidate), policy.proxy_name(candidate));
    steps.say(match candidate.direction {
        Direction::Server => {
            format!("the server policy \"{name}\" protects the destination with the server proxy \"{proxy}\"; it wins over client policies")
        }
        Direction::Client => {
            format!("no server policy protects the destination; the client policy \"{name}\" listens on port {} with the client proxy \"{proxy}\"", question.port)
        }
    });
    let Some(client) = question.client else {
        return;
    };
    let lists = match candidate.direction {
        Direction::Client => policy.client(candidate).map(|client_policy| {
            let never = client_policy.never_sources.longest(client);
            let always = client_policy.always_sources.longest(client);
            match (never, always) {
                (None, None) => format!("{client} is in neither the never- nor the always-decrypt sources"),
                (Some(never), None) => format!("{client} is in the never-decrypt sources (/{never})"),
                (None, Some(always)) => format!("{client} is in the always-decrypt sources (/{always}): domain exceptions do not apply"),
                (Some(never), Some(always)) => format!(
                    "{client} is in the never-decrypt sources (/{never}) and in the always-decrypt sources (/{always}): the longer prefix wins"
                ),
            }
        }),
        Direction::Server => policy.server(candidate).map(|server_policy| {
            let is = if server_policy.exceptions.contains(client) { "is" } else { "is not" };
            format!("{client} {is} among the source exceptions")
        }),
    };
    if let Some(text) = lists {
        steps.say(text);
    }
}

fn names(policy: &Policy, candidate: &Candidate, host: Option<&str>, steps: &mut Steps) {
    let Some(client_policy) = policy.client(candidate) else {
        return;
    };
    let Some(host) = host.map(normal) else {
        steps.say("no server name is given: domain exceptions do not apply".to_owned());
        return;
    };
    let never = client_policy.do_not_decrypt.matching(&host);
    let always = client_policy.always_decrypt.matching(&host);
    steps.say(match (never, always) {
        (None, _) => format!("{host} matches no do-not-decrypt domain"),
        (Some(never), None) => format!("{host} matches the do-not-decrypt domain {never}"),
        (Some(never), Some(always)) => {
            format!("{host} matches the do-not-decrypt domain {never}, and {always} re-enables decryption")
        }
    });
}

fn origin(policy: &Policy, candidate: &Candidate, steps: &mut Steps) {
    if let Some(proxy) = policy.client_proxy(candidate) {
        let fate = |blocked: bool| {
            if blocked {
                "blocked"
            } else {
                "shown with an untrusted leaf"
            }
        };
        steps.say(format!(
            "leaves are signed by \"{}\"; an origin with an invalid certificate would be {}, with an expired one {}",
            proxy.signing_certificate,
            fate(proxy.block_invalid_certificates),
            fate(proxy.block_expired_certificates)
        ));
    } else if let Some(first) = policy.server_certificates(candidate).first() {
        steps.say(format!(
            "the certificate is chosen by server name among {}; the default is \"{first}\"",
            policy.server_certificates(candidate).len()
        ));
    }
}
