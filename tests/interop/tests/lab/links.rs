//! Links that go down and come back, at the appliance's own ports and at the far ends of their wires, under load.

use std::time::Duration;

use sluice_interop::{Curl, Lab, until};

use crate::bodies::{fill, sha256};

const BYTES: usize = 14_000_000;
/// Slow enough that every interruption meets the transfer.
const RATE: &str = "6M";
const DOWN: Duration = Duration::from_millis(1600);
const EVENT_SECONDS_MAX: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

/// Takes a link down for a while, in its namespace.
fn flap(lab: &Lab, side: &str, interface: &str) {
    let set = |state: &str| {
        let argv = ["ip", "link", "set", interface, state];
        let outcome = lab.start(side, &argv).unwrap().wait(LIMIT).unwrap();
        assert!(outcome.ok(), "{interface} {state}: {}", outcome.stderr);
    };
    set("down");
    until(DOWN, || false);
    set("up");
}

/// Whether the event log tells that a port went down and came back.
fn told(lab: &Lab, port: &str) -> bool {
    let ups: Vec<bool> = lab
        .system_events("port-link")
        .iter()
        .filter(|event| event["system"]["port"] == port)
        .filter_map(|event| event["system"]["up"].as_bool())
        .collect();
    ups.ends_with(&[false, true])
}

/// A transfer under way while the link goes down and comes back; then a new connection.
fn transfer_survives(lab: &Lab, family: &str, port: &str, act: impl FnOnce(&Lab)) {
    let original = lab.facts.www_dir.join("flapped");
    fill(&original, BYTES);
    let target = tempfile::NamedTempFile::new_in(&lab.facts.www_dir).unwrap();
    let output = target.path().display().to_string();
    let limit = LIMIT.as_secs().to_string();
    let anchor = lab.facts.trust_anchor.display().to_string();
    let argv = [
        "curl",
        "-sS",
        family,
        "--limit-rate",
        RATE,
        "--max-time",
        &limit,
        "--cacert",
        &anchor,
        "-o",
        &output,
        "https://good.lab.test/flapped",
    ];
    let transfer = lab.start("client", &argv).unwrap();
    until(Duration::from_millis(800), || false);
    act(lab);
    let outcome = transfer.wait(LIMIT).unwrap();
    assert!(outcome.ok(), "{port}: {outcome:?}");
    assert_eq!(sha256(target.path()), sha256(&original), "{port}");
    let logged = until(EVENT_SECONDS_MAX, || told(lab, port));
    assert!(logged, "{port}: {:?}", lab.system_events("port-link"));
    let response = Curl::get("https://good.lab.test/bytes/65536")
        .with(&[family, "--output", "/dev/null"])
        .within(Duration::from_secs(10))
        .send(lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!(
        (response.exit, response.status),
        (0, 200),
        "{port}: {response:?}"
    );
    assert_eq!(response.issuer, lab.inspected_issuer(), "{port}");
}

/// Each port of the appliance is restarted, and each end's, in turn.
fn flaps_are_survived(port_type: &str) {
    let Some(lab) = Lab::anew(&["--port-type", port_type]).unwrap() else {
        return;
    };
    for (family, side, interface, port) in [
        ("-4", "appliance", "sl-a", "sl-a"),
        ("-6", "appliance", "sl-b", "sl-b"),
        ("-6", "client", "sl-client", "sl-a"),
        ("-4", "origin", "sl-origin", "sl-b"),
    ] {
        let port = format!("{port_type}:{port}");
        transfer_survives(&lab, family, &port, |lab| flap(lab, side, interface));
    }
}

#[test]
fn f134_link_flaps_and_port_restarts_are_survived_over_af_packet() {
    flaps_are_survived("af_packet");
}

#[test]
fn f134_link_flaps_and_port_restarts_are_survived_over_af_xdp() {
    flaps_are_survived("af_xdp");
}
