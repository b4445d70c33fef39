//! What an operator decides upon all sessions of the running appliance: layer-2 fallback, an end to them, and how many there
//! may be.

use std::path::Path;

use serde_json::Value;
use sluice_interop::{Lab, until};

use crate::sessions::{SOON, get, is_inspected, passes, relayed, told, under_way};

fn said(lab: &Lab, words: &[&str]) {
    let outcome = lab.sluice(words).unwrap();
    assert!(outcome.ok(), "{words:?}: {outcome:?}");
}

#[test]
fn f22_by_command_new_flows_pass_sessions_go_on_and_another_command_clears_them() {
    const SESSIONS: usize = 4;
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    lab.spoil();
    let lab = &lab;
    let load = under_way(lab, SESSIONS);
    let before = relayed(lab);
    said(lab, &["fallback", "on"]);
    assert!(until(SOON, || told(lab, "layer2-fallback-entered")));
    let entered = &lab.system_events("layer2-fallback-entered")[0];
    assert_eq!(
        entered.pointer("/system/reason").and_then(Value::as_str),
        Some("command"),
        "{entered}"
    );
    passes(lab, "bypass-layer2-fallback");
    let moved = || lab.gauge("bytes-inspected-to-client").unwrap();
    let so_far = moved();
    assert!(until(SOON, || moved() > so_far), "sessions stand still");
    assert!(relayed(lab).is_superset(&before), "sessions were lost");

    said(lab, &["sessions", "clear"]);
    assert!(until(SOON, || relayed(lab).is_empty()));
    let cleared = &lab.system_events("sessions-cleared")[0];
    assert_eq!(
        cleared.pointer("/system/sessions"),
        Some(&Value::from(SESSIONS))
    );
    for client in before {
        let port = client.trim_matches('"').rsplit(':').next().unwrap();
        let event = lab.event(port.parse().unwrap()).unwrap();
        assert_eq!(event.verdict(), "inspect", "{event:?}");
        assert!(event.0.to_string().contains("cleared"), "{event:?}");
    }
    drop(load);
    said(lab, &["fallback", "off"]);
    assert!(until(SOON, || told(lab, "layer2-fallback-left")));
    assert!(is_inspected(lab));
}

/// Lets so many sessions be inspected, and says what becomes of others.
fn limit(lab: &Lab, documents: &Path, sessions: usize, over_limit: &str) {
    let path = documents.join("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.lines().map(|line| match line.split_once(" = ") {
        Some(("inspected_sessions_max", _)) => format!("inspected_sessions_max = {sessions}\n"),
        Some(("over_limit", _)) => format!("over_limit = \"{over_limit}\"\n"),
        _ => format!("{line}\n"),
    });
    let changed: String = changed.collect();
    assert!(changed.contains(&format!("= {sessions}\n")) && changed.contains(over_limit));
    std::fs::write(&path, changed).unwrap();
    said(lab, &["apply", &documents.display().to_string()]);
}

#[test]
fn d127_f28_over_the_limit_new_sessions_pass_or_are_blocked_and_the_log_says_so_in_its_words() {
    const SESSIONS: usize = 20;
    let Some(mut lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    lab.spoil();
    let lab = &lab;
    let directory = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-r", &format!("{}/.", lab.facts.config_dir.display())])
        .arg(directory.path())
        .status();
    assert!(copied.unwrap().success());
    limit(lab, directory.path(), SESSIONS, "bypass");
    assert!(is_inspected(lab));

    let load = under_way(lab, SESSIONS);
    assert!(until(SOON, || told(lab, "session-limit-reached")));
    let maximum = "Max Concurrent Connections (20 of 20). Action: Allow but bypass Inspection";
    for (event, words) in [
        (
            "session-load-warning",
            "SSL Inspection reached Warning threshold of ",
        ),
        (
            "session-load-critical",
            "SSL Inspection reached Critical threshold of ",
        ),
        (
            "session-limit-reached",
            "SSL Inspection reached Maximum of ",
        ),
    ] {
        let events = lab.system_events(event);
        // Several thresholds may be passed between two looks, of which the last is told.
        let Some(event) = events.first() else {
            assert_ne!(event, "session-limit-reached");
            continue;
        };
        let message = event
            .pointer("/system/message")
            .and_then(Value::as_str)
            .unwrap();
        assert!(message.starts_with(words), "{message}");
        assert!(
            !words.contains("Maximum") || message.ends_with(maximum),
            "{message}"
        );
    }
    passes(lab, "bypass-over-limit");

    limit(lab, directory.path(), SESSIONS, "block");
    let blocked = get(lab, "good.lab.test", &lab.facts.trust_anchor);
    assert_ne!(blocked.exit, 0, "{blocked:?}");
    let event = lab.event(blocked.local_port).unwrap();
    assert_eq!(event.reason(), "block-over-limit", "{event:?}");
    assert_eq!(relayed(lab).len(), SESSIONS, "those under way go on");

    drop(load);
    assert!(until(SOON, || told(lab, "session-load-recovered")));
    assert!(until(SOON, || is_inspected(lab)));
}
