//! Sessions that go on for as long as a test wants, and how a new flow fares beside them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Curl, Lab, Response, Running, until};

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Sessions that go on until what is returned is dropped.
pub(crate) fn under_way(lab: &Lab, sessions: usize) -> Running {
    let more = ["--requests-per-connection", "1000000", "--bytes", "16384"];
    let load = lab
        .start_connections(sessions, sessions, &[&more[..], &["--together"]].concat())
        .unwrap();
    assert!(until(SOON, || relayed(lab).len() == sessions));
    load
}

pub(crate) fn get(lab: &Lab, name: &str, anchor: &Path) -> Response {
    Curl::get(&format!("https://{name}/"))
        .with(&["-4", "--output", "/dev/null"])
        .within(Duration::from_secs(20))
        .send(lab, anchor)
        .unwrap()
}

/// The clients of the sessions that are relayed, by port.
pub(crate) fn relayed(lab: &Lab) -> BTreeSet<String> {
    let shown = lab.sluice_json(&["show", "sessions"]).unwrap();
    let sessions = shown.pointer("/sessions").and_then(Value::as_array);
    sessions
        .into_iter()
        .flatten()
        .filter(|session| session["phase"] == "relaying")
        .map(|session| session["client"].to_string())
        .collect()
}

pub(crate) fn told(lab: &Lab, event: &str) -> bool {
    !lab.system_events(event).is_empty()
}

/// A new flow gets through to the origin itself, for this reason.
pub(crate) fn passes(lab: &Lab, reason: &str) {
    let passed = get(lab, "good.lab.test", &lab.facts.origin_anchor);
    assert_eq!(
        (passed.exit, passed.issuer.as_str()),
        (0, Lab::ORIGIN_ISSUER),
        "{passed:?}"
    );
    let event = lab.event(passed.local_port).unwrap();
    assert_eq!(
        (event.verdict(), event.reason()),
        ("bypass".to_owned(), reason.to_owned())
    );
}

/// A new flow is inspected.
pub(crate) fn is_inspected(lab: &Lab) -> bool {
    let response = get(lab, "good.lab.test", &lab.facts.trust_anchor);
    response.exit == 0 && response.issuer == lab.inspected_issuer()
}
