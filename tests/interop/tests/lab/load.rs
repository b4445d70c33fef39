//! Many connections, and nothing left of them.

use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Lab, until};

const ORIGIN: &str = "10.201.2.2:443";
const LIMIT: Duration = Duration::from_secs(240);

/// A figure by its name, summed over the cores, from `show stats`.
fn gauge(lab: &Lab, name: &str) -> i64 {
    let stats = lab.sluice_json(&["show", "stats", "--all"]).unwrap();
    let rows = stats["counters"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name);
    row.and_then(|row| row["total"].as_i64())
        .unwrap_or_else(|| panic!("no counter {name}: {stats}"))
}

/// Resident bytes of a process.
fn resident(pid: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<i64>()
        .unwrap()
        * 1024
}

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

#[test]
fn d126_after_twenty_thousand_connections_all_is_as_before() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let make = |connections: &str| {
        let arguments = [
            "--connect",
            ORIGIN,
            "--sni",
            "good.lab.test",
            "--connections",
            connections,
            "--concurrency",
            "32",
        ];
        let report = lab.load(&arguments, LIMIT).unwrap();
        assert_eq!(report["connections"]["failed"], 0, "{report}");
    };
    // Flows that earlier tests broke off may still be remembered.
    let flows = || gauge(&lab, "flows-taken") + gauge(&lab, "flows-observed");
    let before = flows();
    let settled = || flows() <= before;
    // Caches and pools reach their working size first.
    make("20000");
    assert!(
        until(Duration::from_secs(60), settled),
        "{} flows are left after the first load, {before} before",
        flows()
    );
    let pid = lab.pid("dataplane").unwrap();
    let (buffers, memory) = (gauge(&lab, "mempool-in-use"), resident(pid));
    let inspected = gauge(&lab, "sessions-inspected");
    make("20000");
    assert_eq!(gauge(&lab, "sessions-inspected") - inspected, 20_000);
    assert!(
        until(Duration::from_secs(60), settled),
        "{} flows are left, {before} before",
        flows()
    );
    let back = || gauge(&lab, "mempool-in-use") <= buffers;
    assert!(
        until(Duration::from_secs(10), back),
        "{} packet buffers in use, {buffers} before",
        gauge(&lab, "mempool-in-use")
    );
    let grown = resident(pid) - memory;
    assert!(
        grown < 8 << 20,
        "the resident size has grown by {grown} bytes"
    );
}
