//! Processes that die: what the clients notice, and how soon all is well again.

use std::time::{Duration, Instant};

use sluice_interop::{Curl, Lab, until};

const LIMIT: Duration = Duration::from_secs(120);

fn request_succeeds(lab: &Lab) -> bool {
    let response = Curl::get("https://good.lab.test/")
        .with(&["-4"])
        .within(Duration::from_secs(5))
        .send(lab, &lab.facts.trust_anchor)
        .unwrap();
    response.exit == 0 && response.issuer == lab.inspected_issuer()
}

/// The generation that every core has adopted, as `status` tells it.
fn generation(lab: &Lab) -> Option<u64> {
    let status = lab.sluice_json(&["status"]).ok()?;
    status
        .pointer("/distribution/generation")
        .and_then(serde_json::Value::as_u64)
}

#[test]
fn f131_sluiced_killed_under_load_is_noticed_by_no_connection() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let before = generation(&lab);
    let load = lab
        .start_connections(4_000, 16, &["--requests-per-connection", "4"])
        .unwrap();
    until(Duration::from_secs(1), || false);
    lab.kill("sluiced").unwrap();
    until(Duration::from_secs(1), || false);
    lab.restart("sluiced").unwrap();
    let report = lab.report(&load.wait(LIMIT).unwrap()).unwrap();
    assert_eq!(report["connections"]["failed"], 0, "{report}");
    assert!(
        until(Duration::from_secs(5), || generation(&lab) == before),
        "sluiced does not re-attach: {:?}",
        lab.sluice(&["status"])
    );
    assert!(request_succeeds(&lab));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time to recover is what is tested"
)]
fn f130_the_dataplane_killed_and_restarted_carries_traffic_within_two_seconds() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    assert!(request_succeeds(&lab));
    let before = generation(&lab);
    let load = lab
        .start_connections(100_000, 8, &["--seconds-max", "3"])
        .unwrap();
    until(Duration::from_secs(1), || false);
    lab.kill("dataplane").unwrap();
    drop(load);
    let start = Instant::now();
    lab.restart("dataplane").unwrap();
    let flows = until(Duration::from_secs(10), || request_succeeds(&lab));
    let took = start.elapsed();
    assert!(
        flows,
        "no request got through: {:?}",
        lab.sluice(&["status"])
    );
    assert!(
        took < Duration::from_secs(2),
        "{took:?} until traffic flowed"
    );
    assert_eq!(generation(&lab), before, "the same generation again");
}

/// A process of the appliance is stopped for five seconds, as by a debugger or a host that swaps, under sessions that are
/// there already. None fails.
fn assert_stop_fails_no_connection(lab: &mut Lab, process: &str) {
    lab.spoil();
    let load = lab
        .start_connections(8, 8, &["--requests-per-connection", "2000"])
        .unwrap();
    until(Duration::from_secs(1), || false);
    let pid = lab.pid(process).unwrap().to_string();
    assert!(lab.client(&["kill", "-STOP", &pid]).unwrap().ok());
    until(Duration::from_secs(5), || false);
    assert!(lab.client(&["kill", "-CONT", &pid]).unwrap().ok());
    let report = lab.report(&load.wait(LIMIT).unwrap()).unwrap();
    assert_eq!(report["connections"]["failed"], 0, "{report}");
}

#[test]
fn f133_a_dataplane_stopped_for_five_seconds_goes_on() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    assert_stop_fails_no_connection(&mut lab, "dataplane");
    assert!(request_succeeds(&lab));
}

#[test]
fn f133_sluiced_stopped_for_five_seconds_is_noticed_by_no_connection() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let before = generation(&lab);
    assert_stop_fails_no_connection(&mut lab, "sluiced");
    assert!(
        until(Duration::from_secs(5), || generation(&lab) == before),
        "sluiced does not go on: {:?}",
        lab.sluice(&["status"])
    );
    assert!(request_succeeds(&lab));
}
