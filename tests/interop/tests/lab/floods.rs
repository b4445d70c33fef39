//! Floods and stalls: what they cost those who do nothing of the kind.

use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Curl, Lab, Running, until};

const ORIGIN: &str = "10.201.2.2";
const LIMIT: Duration = Duration::from_secs(120);
const SYNS_PER_SECOND: &str = "20000";
/// The share of its goodput that an established flow keeps under a flood of SYNs.
const KEPT_MIN: f64 = 0.95;
/// Rounds of eight turns of each kind, at most.
const ROUNDS_MAX: u8 = 12;
/// So many standard errors of a share are no noise.
const ERRORS: f64 = 2.0;

fn taken(lab: &Lab) -> i64 {
    lab.gauge("flows-taken").unwrap()
}

fn flows(lab: &Lab) -> i64 {
    taken(lab) + lab.gauge("flows-observed").unwrap()
}

fn printed(running: Running) -> Value {
    let outcome = running.wait(LIMIT).unwrap();
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"))
}

/// A client that asks for a little and has it soon.
fn served(lab: &Lab, within: Duration) {
    let response = Curl::get("https://good.lab.test/bytes/65536")
        .with(&["-4", "--output", "/dev/null"])
        .within(Duration::from_secs(10))
        .send(lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
    assert_eq!(response.issuer, lab.inspected_issuer());
    assert!(response.took < within, "{:?}", response.took);
}

/// What came in per second over all turns of a kind. By `busy_seconds` only those seconds count that the data plane had a
/// processor: other programs' hunger for the processors of this machine does not. By `seconds` all do.
fn goodput(turns: &[Value], kind: &str, seconds: &str) -> f64 {
    let sum = |field: &str| -> f64 {
        turns
            .iter()
            .filter(|turn| turn["kind"] == kind)
            .map(|turn| turn[field].as_f64().unwrap())
            .sum()
    };
    sum("received") / sum(seconds)
}

/// The share of the goodput beside datagrams that is left beside SYNs, and its standard error: what neighbouring turns say of
/// it, on the average of their logarithms. The machine is slower for seconds at a time, which is longer than two turns take.
fn kept(turns: &[Value]) -> (f64, f64) {
    let rate = |kind: &'static str| {
        let of_kind = turns.iter().filter(move |turn| turn["kind"] == kind);
        of_kind
            .map(|turn| turn["received"].as_f64().unwrap() / turn["busy_seconds"].as_f64().unwrap())
    };
    let pairs = rate("syn").zip(rate("udp"));
    let shares: Vec<f64> = pairs.map(|(syn, udp)| (syn / udp).ln()).collect();
    let count = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / count;
    let squares = shares.iter().map(|share| (share - mean).powi(2));
    let error = (squares.sum::<f64>() / (count - 1.0) / count).sqrt();
    (mean.exp(), mean.exp() * error)
}

#[test]
fn d121_established_flows_keep_their_goodput_under_a_flood_of_syns() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    lab.spoil();
    // The invented clients are dropped in front of the origin: what is measured is the appliance.
    let chain = "table ip sluiceflood { chain in { type filter hook prerouting priority raw; ip saddr 10.77.0.0/16 drop; }; }";
    assert!(lab.origin(&["nft", chain]).unwrap().ok());
    let load = lab
        .start_connections(
            4,
            4,
            &[
                "--requests-per-connection",
                "1000000",
                "--bytes",
                "1048576",
                "--together",
            ],
        )
        .unwrap();
    assert!(until(Duration::from_secs(10), || {
        lab.gauge("flows-taken").unwrap() >= 4
    }));
    until(Duration::from_secs(1), || false);
    let candidates = lab.gauge("flows-candidate").unwrap();
    let program = lab.script("labkit/flood.py");
    let dataplane = lab.pid("dataplane").unwrap().to_string();
    let mut turns = Vec::new();
    let (mut share, mut noise, mut rounds) = (0.0, f64::INFINITY, 0);
    while rounds < ROUNDS_MAX && (share - KEPT_MIN).abs() < noise {
        rounds += 1;
        let argv = [
            &program,
            "sl-client",
            "02:00:c9:02:00:02",
            SYNS_PER_SECOND,
            "0.5",
            "8",
            &dataplane,
            &rounds.to_string(),
        ];
        let round = printed(lab.start("client", &argv).unwrap());
        turns.extend(round.as_array().unwrap().iter().cloned());
        let (kept, error) = kept(&turns);
        (share, noise) = (kept, ERRORS * error);
        println!(
            "beside {SYNS_PER_SECOND} SYNs a second {share:.3} +- {noise:.3} of the goodput beside as many datagrams, by the clock {:.3}",
            goodput(&turns, "syn", "seconds") / goodput(&turns, "udp", "seconds")
        );
    }
    let begun = lab.gauge("flows-candidate").unwrap() - candidates;
    drop(load);
    let sent: i64 = turns
        .iter()
        .filter(|turn| turn["kind"] == "syn")
        .map(|turn| turn["sent"].as_i64().unwrap())
        .sum();
    assert!(
        begun > sent / 2,
        "{begun} of {sent} SYNs came to be watched"
    );
    assert!(share >= KEPT_MIN, "{share} +- {noise}: {turns:?}");
    served(&lab, Duration::from_secs(1));
}

/// Clients that connect, say the first bytes of a ClientHello, or nothing, and wait.
fn stalled(lab: &Lab, count: usize, bytes: usize, seconds: u64) -> Running {
    let program = lab.script("labkit/stall.py");
    let words = [count, bytes].map(|word| word.to_string());
    let argv = [
        &program,
        ORIGIN,
        "443",
        &words[0],
        &words[1],
        &seconds.to_string(),
    ];
    lab.start("client", &argv).unwrap()
}

#[test]
fn d122_connections_that_say_nothing_hinder_nobody_and_are_forgotten() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    served(&lab, Duration::from_secs(1));
    let (before, memory) = (flows(&lab), lab.resident("dataplane").unwrap());
    let buffers = lab.gauge("mempool-in-use").unwrap();
    let stalled = stalled(&lab, 4000, 0, 6);
    assert!(until(Duration::from_secs(20), || flows(&lab) >= 4000));
    for _ in 0..5 {
        served(&lab, Duration::from_secs(1));
    }
    let report = printed(stalled);
    assert_eq!(report["connected"], 4000);
    assert!(
        until(Duration::from_secs(30), || flows(&lab) <= before),
        "{} flows, {before} before",
        flows(&lab)
    );
    let held = lab.gauge("mempool-in-use").unwrap() - buffers;
    assert!(held <= 0, "{held} packet buffers are held");
    let grown = lab.resident("dataplane").unwrap() - memory;
    assert!(
        grown < 8 << 20,
        "the resident size has grown by {grown} bytes"
    );
}

#[test]
fn d122_handshakes_that_stall_time_out_and_hinder_nobody() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    served(&lab, Duration::from_secs(1));
    let before = taken(&lab);
    let buffers = lab.gauge("mempool-in-use").unwrap();
    let stalled = stalled(&lab, 2000, 100, 25);
    // What earlier tests left closing ends meanwhile.
    assert!(until(Duration::from_secs(20), || taken(&lab) >= 2000));
    for _ in 0..5 {
        served(&lab, Duration::from_secs(1));
    }
    let report = printed(stalled);
    assert_eq!(report["connected"], 2000);
    assert_eq!(
        report["ended"], 2000,
        "half a ClientHello waits ten seconds for its other half"
    );
    assert!(
        until(Duration::from_secs(30), || taken(&lab) <= before),
        "{} flows are taken over, {before} before",
        taken(&lab)
    );
    let held = lab.gauge("mempool-in-use").unwrap() - buffers;
    assert!(held <= 0, "{held} packet buffers are held");
}
