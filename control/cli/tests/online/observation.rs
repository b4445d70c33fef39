//! What the appliance does: its state, sessions, counters, log and load, and decisions explained.

use serde_json::json;
use sluice_api::{
    Adoption, CoreLoad, Cores, CounterRow, Drops, Explained, ExplainedStep, Fallback, Log, Reply,
    Request, Sessions, Stats, Status,
};
use sluice_telemetry::{
    Application, DecisionCode, FallbackReason, LoadState, SessionPhase, SessionSummary, Verdict,
};

use crate::daemon::{Daemon, distribution, stderr};

#[test]
fn another_reply_than_asked_for_is_told() {
    let daemon = Daemon::ok(Reply::Certificates(vec![]));
    let output = daemon.sluice(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("another reply than the one asked for"));
}

#[test]
fn status_per_core() {
    let daemon = Daemon::ok(Reply::Status(Box::new(Status {
        appliance: Some("sluice-lab".to_owned()),
        version: "0.1.0".to_owned(),
        pid: 12,
        uptime_s: 3661,
        applied_unix_s: Some(1_767_323_045),
        client_inspection: Some(true),
        server_inspection: Some(false),
        sessions_inspected: Some(5),
        inspected_sessions_max: Some(20_000),
        session_load: Some(LoadState::Critical),
        fallback: Some(Fallback {
            reasons: vec![FallbackReason::Command],
        }),
        event_log: Some("/var/log/sluice/eve.json".to_owned()),
        distribution: distribution(Adoption::Pending),
        restart_needed: false,
        problems: vec!["core 2 is behind".to_owned()],
    })));
    let output = daemon.sluice(&["status"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    for line in [
        "appliance           sluice-lab",
        "sluiced             0.1.0, process 12, up 1 h 1 min",
        "data plane          0.1.0, process 77",
        "generation          4, applied 2026-01-02 03:04:05 UTC",
        "client inspection   on",
        "server inspection   off",
        "layer-2 fallback    on: an operator said so",
        "inspected sessions  5 of at most 20000 (critical)",
        "2     3           pending",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(stderr(&output), "sluice: core 2 is behind\n");
    assert_eq!(
        daemon.json(&["status"])["distribution"]["cores"][1]["state"],
        "pending"
    );
}

#[test]
fn sessions_stats_drops_and_log() {
    let session = SessionSummary {
        core: 1,
        generation: 4,
        age_us: 61_000_000,
        segment: "segment-1".to_owned(),
        vlan: vec![],
        client: "10.0.0.1:5000".parse().unwrap(),
        server: "[fd00::2]:443".parse().unwrap(),
        policy: "outbound".to_owned(),
        sni: Some("www.example".to_owned()),
        phase: SessionPhase::Relaying,
        code: Some(DecisionCode::InspectedClient),
        application: Application::Http2,
        bytes_to_origin: 10,
        bytes_to_client: 20,
        memory_bytes: 30,
    };
    let daemon = Daemon::ok(Reply::Sessions(Sessions {
        observed: 3,
        taken: 1,
        sessions: vec![session],
    }));
    let text = daemon.text(&["show", "sessions", "--limit", "7"]);
    assert!(
        text.starts_with("1 inspected, 3 watched or held\nCORE  AGE"),
        "{text}"
    );
    assert!(text.contains("1 min 1 s  10.0.0.1:5000  [fd00::2]:443  www.example  outbound  relaying  inspected-client  http2"), "{text}");
    let Request::Sessions(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(asked.limit, 7);

    let row = |name: &str, total| CounterRow {
        name: name.to_owned(),
        description: "Meaning.".to_owned(),
        gauge: false,
        values: vec![total],
        total,
    };
    let stats = Daemon::ok(Reply::Stats(Stats {
        cores: vec![1],
        counters: vec![row("leaf-forged", 3), row("no-buffer", 0)],
    }));
    assert_eq!(
        stats.text(&["show", "stats"]),
        "COUNTER      TOTAL  MEANING\nleaf-forged  3      Meaning.\n"
    );
    assert_eq!(stats.text(&["show", "stats", "--all"]).lines().count(), 3);
    assert_eq!(
        stats.json(&["show", "stats"])["counters"][1]["name"],
        "no-buffer"
    );
    let drops = Daemon::ok(Reply::Drops(Drops {
        cores: vec![1],
        reasons: vec![row("bad-checksum", 2)],
    }));
    assert_eq!(
        drops.text(&["show", "drops"]),
        "REASON        TOTAL  MEANING\nbad-checksum  2      Meaning.\n"
    );

    let event = json!({"timestamp": "T", "event_type": "system", "system": {"severity": "info", "message": "m\u{1b}"}});
    let log = Daemon::ok(Reply::Log(Log {
        events: vec![event],
    }));
    assert_eq!(
        log.text(&[
            "show",
            "log",
            "--type",
            "flow",
            "--verdict",
            "block",
            "--sni",
            "a.example"
        ]),
        "T info: m\u{fffd}\n"
    );
    let Request::Log(asked) = log.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(asked.event_type.as_deref(), Some("tls_inspection"));
    assert_eq!(
        (asked.verdict, asked.sni.as_deref()),
        (Some(Verdict::Block), Some("a.example"))
    );
}

#[test]
fn cores_over_an_interval_ask_twice() {
    let load = CoreLoad {
        core: 1,
        busy_ns: 1_000_000_000,
        idle_ns: 3_000_000_000,
        flows_observed: 0,
        flows_taken: 0,
        sessions_inspected: 9,
        generation: Some(4),
    };
    let daemon = Daemon::ok(Reply::Cores(Cores { cores: vec![load] }));
    assert!(
        daemon
            .text(&["show", "cores"])
            .contains("1     25.0 %  1.000   3.000")
    );
    assert_eq!(daemon.asked.try_iter().count(), 1);
    let told = daemon.json(&["show", "cores", "--interval", "1"]);
    assert_eq!(told["interval_s"], 1);
    assert_eq!(told["cores"][0]["busy_ns"], 0);
    assert_eq!(daemon.asked.try_iter().count(), 2);
}

#[test]
fn f156_explain_numbers_the_steps() {
    let step = |text: &str, code| ExplainedStep {
        text: text.to_owned(),
        code,
    };
    let code = DecisionCode::BypassDomainException;
    let daemon = Daemon::ok(Reply::Explained(Explained {
        generation: 4,
        verdict: Some(Verdict::Bypass),
        code: Some(code),
        steps: vec![step("first", None), step("last", Some(code))],
    }));
    assert_eq!(
        daemon.text(&[
            "explain",
            "www.bank.example",
            "--client",
            "10.0.0.1",
            "--server",
            "192.0.2.1",
            "--vlan",
            "100"
        ]),
        "1. first\n2. last\n=> bypass: bypass-domain-exception (200), under generation 4\n"
    );
    let Request::Explain(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(
        (asked.host.as_deref(), asked.port, asked.vlan),
        (Some("www.bank.example"), 443, Some(100))
    );

    // An address instead of a name: no server name is asked for.
    daemon.text(&["explain", "192.0.2.1", "--port", "8443"]);
    let Request::Explain(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(
        (asked.host, asked.server, asked.port),
        (None, "192.0.2.1".parse().ok(), 8443)
    );
}
