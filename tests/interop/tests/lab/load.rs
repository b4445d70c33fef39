//! Many connections, and nothing left of them.

use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Lab, until};

const ORIGIN: &str = "10.201.2.2:443";
const LIMIT: Duration = Duration::from_secs(240);

fn completed(report: &Value) -> u64 {
    report["connections"]["completed"].as_u64().unwrap()
}

#[test]
fn d127_five_hundred_connections_at_once_are_all_served() {
    let lab = Lab::take().unwrap();
    for address in [ORIGIN, "[fd00:201::2:2]:443"] {
        let arguments = [
            "--connect",
            address,
            "--sni",
            "good.lab.test,rsa.lab.test",
            "--connections",
            "500",
            "--concurrency",
            "500",
            "--together",
            "--requests-per-connection",
            "3",
            "--bytes",
            "16384",
            "--hold",
            "1",
        ];
        let report = lab.load(&arguments, LIMIT).unwrap();
        assert_eq!(completed(&report), 500, "{report}");
        assert_eq!(report["requests"], 1500);
    }
}

/// Memory, packet buffers and flows come back after `connections` connections, made twice.
fn all_is_as_before(connections: u32, limit: Duration) {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let count = connections.to_string();
    let make = || {
        let arguments = [
            "--connect",
            ORIGIN,
            "--sni",
            "good.lab.test",
            "--connections",
            &count,
            "--concurrency",
            "32",
            "--seconds-max",
            "7200",
        ];
        let report = lab.load(&arguments, limit).unwrap();
        assert_eq!(report["connections"]["failed"], 0, "{report}");
    };
    // Flows that earlier tests broke off may still be remembered.
    let flows = || lab.gauge("flows-taken").unwrap() + lab.gauge("flows-observed").unwrap();
    let before = flows();
    let settled = || flows() <= before;
    // Caches and pools reach their working size first.
    make();
    assert!(
        until(Duration::from_secs(60), settled),
        "{} flows are left after the first load, {before} before",
        flows()
    );
    let gauge = |name: &str| lab.gauge(name).unwrap();
    let (buffers, memory) = (gauge("mempool-in-use"), lab.resident("dataplane").unwrap());
    let inspected = gauge("sessions-inspected");
    make();
    assert_eq!(
        gauge("sessions-inspected") - inspected,
        i64::from(connections)
    );
    assert!(
        until(Duration::from_secs(60), settled),
        "{} flows are left, {before} before",
        flows()
    );
    let back = || gauge("mempool-in-use") <= buffers;
    assert!(
        until(Duration::from_secs(10), back),
        "{} packet buffers in use, {buffers} before",
        gauge("mempool-in-use")
    );
    let grown = lab.resident("dataplane").unwrap() - memory;
    assert!(
        grown < 8 << 20,
        "the resident size has grown by {grown} bytes"
    );
}

#[test]
fn d126_after_twenty_thousand_connections_all_is_as_before() {
    all_is_as_before(20_000, LIMIT);
}

#[test]
#[ignore = "forty minutes: run it by its name"]
fn d126_after_a_million_connections_all_is_as_before() {
    all_is_as_before(500_000, Duration::from_secs(3600));
}
