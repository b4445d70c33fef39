//! Failures inside the data plane that traffic survives.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Lab, Running, until};

use crate::sessions::{SOON, get, is_inspected, passes, relayed, told, under_way};

const SESSIONS: usize = 4;

/// Replaces the signing authority by one with an RSA key, whose signatures helper threads make.
fn sign_with_rsa(lab: &Lab, directory: &Path) -> std::path::PathBuf {
    let path = |name: &str| directory.join(name);
    let (key, certificate) = (path("ca.key"), path("ca.pem"));
    let (key_text, text) = (key.display().to_string(), certificate.display().to_string());
    let subject = format!("/CN={}", lab.inspected_issuer());
    let words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        &subject,
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout",
        &key_text,
        "-out",
        &text,
    ];
    let made = lab.client(&words).unwrap();
    assert!(made.ok(), "{made:?}");
    let imported = lab
        .sluice(&[
            "certificate",
            "import",
            "sluice-ca",
            &text,
            "--key",
            &key_text,
            "--replace",
        ])
        .unwrap();
    assert!(imported.ok(), "{imported:?}");
    certificate
}

/// Halts the threads of the data plane whose name begins with `name`, until what is returned is dropped.
fn halt(lab: &Lab, name: &str) -> Running {
    let pid = lab.pid("dataplane").unwrap();
    let program = lab.script("labkit/halt.py");
    let running = lab
        .start("appliance", &[&program, &pid.to_string(), name])
        .unwrap();
    assert!(until(SOON, || is_traced(pid, name)), "{name} goes on");
    running
}

/// Whether a tracer has stopped every thread with such a name.
fn is_traced(pid: u32, name: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap());
    let named = format!("({name}");
    let states: Vec<bool> = stats
        .filter(|stat| stat.contains(&named))
        .map(|stat| stat.contains(") t "))
        .collect();
    !states.is_empty() && states.iter().all(|traced| *traced)
}

#[test]
fn f22_helper_threads_that_stall_bring_fallback_and_sessions_go_on() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    lab.spoil();
    let lab = &lab;
    let mut load = under_way(lab, SESSIONS);
    let first = relayed(lab);
    let inspected = || lab.gauge("bytes-inspected-to-client").unwrap();

    let directory = tempfile::tempdir().unwrap();
    let anchor = sign_with_rsa(lab, directory.path());
    let by_rsa = || get(lab, "good.lab.test", &anchor);
    assert!(until(SOON, || by_rsa().exit == 0), "{:?}", by_rsa());

    let halted = halt(lab, "helper-");
    // The leaf of this name is not there yet: its client waits for it.
    let waits = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(lab, "rsa.lab.test", &anchor));
        assert!(
            until(SOON, || told(lab, "layer2-fallback-entered")),
            "{:?}",
            lab.sluice(&["status"])
        );
        let entered = &lab.system_events("layer2-fallback-entered")[0];
        assert_eq!(
            entered.pointer("/system/reason"),
            Some(&Value::from("helpers-stalled")),
            "{entered}"
        );

        passes(lab, "bypass-layer2-fallback");
        let before = inspected();
        assert!(
            until(SOON, || inspected() > before),
            "sessions under way stand still"
        );
        assert!(!told(lab, "layer2-fallback-left"));

        drop(halted);
        waiting.join().unwrap()
    });
    assert_eq!(
        (waits.exit, waits.issuer.as_str()),
        (0, lab.inspected_issuer()),
        "{waits:?}"
    );
    assert!(until(SOON, || told(lab, "layer2-fallback-left")));
    let again = by_rsa();
    assert_eq!(
        (again.exit, again.issuer.as_str()),
        (0, lab.inspected_issuer()),
        "{again:?}"
    );
    let before = inspected();
    assert!(until(SOON, || inspected() > before));
    let still = relayed(lab);
    assert!(still.is_superset(&first), "{still:?}, {first:?} before");
    assert!(load.runs());
}

#[test]
fn f22_a_core_that_stops_polling_for_long_loses_no_session() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    lab.spoil();
    let load = lab
        .start_connections(8, 8, &["--requests-per-connection", "2000"])
        .unwrap();
    until(Duration::from_secs(1), || false);
    let halted = halt(&lab, "rte-worker");
    let problem = || {
        let status = lab.sluice_json(&["status"]).unwrap();
        status["problems"].to_string()
    };
    let told = || problem().contains("core 1 has not polled for");
    assert!(until(SOON, told), "{}", problem());
    until(Duration::from_secs(2), || false);
    drop(halted);
    assert!(until(SOON, || !told()), "{}", problem());
    let report = lab
        .report(&load.wait(Duration::from_secs(120)).unwrap())
        .unwrap();
    assert_eq!(report["connections"]["failed"], 0, "{report}");
    let response = get(&lab, "good.lab.test", &lab.facts.trust_anchor);
    assert_eq!(
        (response.exit, response.issuer.as_str()),
        (0, lab.inspected_issuer()),
        "{response:?}"
    );
}

#[test]
fn f141_f22_random_numbers_that_break_while_sessions_run_bring_fallback() {
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    lab.spoil();
    let lab = &lab;
    let load = under_way(lab, SESSIONS);
    let first = relayed(lab);
    let pid = lab.pid("dataplane").unwrap().to_string();
    let program = lab.script("labkit/stuck.py");
    let stuck = lab.start("appliance", &[&program, &pid]).unwrap();
    // Fresh words are asked for after so many draws, which handshakes make.
    let handshakes = lab
        .start_connections(1_000_000, 16, &["--seconds-max", "60"])
        .unwrap();
    let entered = until(Duration::from_secs(60), || {
        told(lab, "layer2-fallback-entered")
    });
    assert!(entered, "{:?}", stuck.stop("TERM"));
    drop(handshakes);
    let entered = &lab.system_events("layer2-fallback-entered")[0];
    assert_eq!(
        entered.pointer("/system/reason"),
        Some(&Value::from("random-unhealthy")),
        "{entered}"
    );
    passes(lab, "bypass-layer2-fallback");
    let inspected = || lab.gauge("bytes-inspected-to-client").unwrap();
    let before = inspected();
    assert!(until(SOON, || inspected() > before), "sessions stand still");
    let still = relayed(lab);
    assert!(still.is_superset(&first), "{still:?}, {first:?} before");
    // What failed its test once is not believed again before the process is another.
    assert!(stuck.stop("TERM").unwrap().ok());
    assert!(!told(lab, "layer2-fallback-left"));
    drop(load);
    lab.restart("dataplane").unwrap();
    assert!(until(SOON, || is_inspected(lab)));
}
