//! An end that does not read: the other is stopped, memory stays bounded, and all arrives in the end.

use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Lab, Running, until};

const LIMIT: Duration = Duration::from_secs(90);
const FLOWS: i64 = 8;
const BYTES: &str = "12000000";
/// How long an end reads nothing.
const LATE_SECONDS: &str = "5";
/// What one flow may hold whatever its ends do: what both halves may receive and send, and as much again for buffers that
/// grow by doubling.
const FLOW_BYTES_MAX: i64 = 4 << 20;

fn server(lab: &Lab) -> Running {
    let pki = &lab.facts.pki_dir;
    let (certificate, key) = (pki.join("good.pem"), pki.join("good.key"));
    let argv = [
        &lab.script("labkit/late.py"),
        "server",
        "10.201.2.2",
        "8050",
        &certificate.display().to_string(),
        &key.display().to_string(),
        LATE_SECONDS,
    ];
    let server = lab.start("origin", &argv).unwrap();
    let listening = || {
        let outcome = lab.origin(&["ss", "-Hltn", "sport = :8050"]).unwrap();
        !outcome.stdout.is_empty()
    };
    assert!(until(Duration::from_secs(5), listening));
    server
}

fn late_reader(way: &str, moved: &str) {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let server = server(&lab);
    let gauge = |name: &str| lab.gauge(name).unwrap();
    let (memory, buffers) = (lab.resident("dataplane").unwrap(), gauge("mempool-in-use"));
    let begun = gauge(moved);
    let argv = [
        &lab.script("labkit/late.py"),
        "client",
        "10.201.2.2",
        "8050",
        &lab.facts.trust_anchor.display().to_string(),
        &FLOWS.to_string(),
        way,
        BYTES,
        LATE_SECONDS,
    ];
    let client = lab.start("client", &argv).unwrap();
    // What the windows and buffers on the way take is on its way.
    until(Duration::from_millis(3000), || false);
    let first = gauge(moved);
    until(Duration::from_millis(1000), || false);
    let second = gauge(moved);
    assert!(first > begun, "nothing moves");
    assert_eq!(first, second, "the sender is not stopped");
    let whole = BYTES.parse::<i64>().unwrap() * FLOWS;
    assert!(
        second - begun < whole / 2,
        "{} of {whole} bytes",
        second - begun
    );
    let grown = lab.resident("dataplane").unwrap() - memory;
    assert!(grown < FLOWS * FLOW_BYTES_MAX, "grown by {grown} bytes");
    let held = gauge("mempool-in-use") - buffers;
    assert!(held < 512, "{held} packet buffers are held");
    let outcome = client.wait(LIMIT).unwrap();
    let report: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    assert_eq!(report["whole"], FLOWS, "{outcome:?}");
    drop(server);
}

#[test]
fn d125_a_client_that_does_not_read_stops_the_origin_and_gets_all() {
    late_reader("down", "bytes-inspected-to-client");
}

#[test]
fn d125_a_server_that_does_not_read_stops_the_client_and_gets_all() {
    late_reader("up", "bytes-inspected-to-origin");
}
