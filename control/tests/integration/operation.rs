//! `sluiced` as an operator meets it: what it shows, what it refuses to start with, what it leaves on the disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Behaviour, Daemon, FakeDataplane, documents, eventually};
use rustix::process::Signal;
use sluice_api::{
    CertificateExport, ErrorCode, Explain, ExportFormat, LogQuery, Reply, Request, SessionsQuery,
};
use sluice_telemetry::{Counter, DecisionCode, DropReason, Verdict};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Runs the process until it ends by itself, and gives its exit status and its message.
fn fails(root: &Path) -> (Option<i32>, String) {
    let output = Daemon::command(root, &root.join("eve.json"))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn counters_drops_cores_sessions_and_events_are_shown() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    let nobody = daemon.refusal(&Request::Stats);
    assert_eq!(nobody.code, ErrorCode::NoDataplane);
    assert!(
        nobody.message.contains("sluice-dataplane --control"),
        "{nobody}"
    );

    daemon.make_cas();
    let dataplane = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    daemon.wait_for_dataplane();
    daemon.applied(documents());
    dataplane.count(0, Counter::ForwardedPackets, 5);
    dataplane.count(1, Counter::ForwardedPackets, 7);
    dataplane.count(1, Counter::Drop(DropReason::ALL[0]), 3);
    dataplane.spend(0, 100, 900);
    dataplane.event(0, &crate::support::flow_event("www.a.example"));
    dataplane.event(1, &crate::support::flow_event("b.example"));

    let Reply::Stats(stats) = daemon.call(&Request::Stats).unwrap() else {
        panic!("statistics")
    };
    assert_eq!(
        (stats.cores, stats.counters.len()),
        (vec![1, 2], Counter::COUNT)
    );
    let forwarded = stats
        .counters
        .iter()
        .find(|row| row.name == "forwarded-packets")
        .unwrap();
    assert_eq!(
        (forwarded.values.clone(), forwarded.total, forwarded.gauge),
        (vec![5, 7], 12, false)
    );

    let Reply::Drops(drops) = daemon.call(&Request::Drops).unwrap() else {
        panic!("drops")
    };
    assert_eq!(drops.reasons.len(), DropReason::COUNT);
    assert_eq!(
        (drops.reasons[0].name.as_str(), drops.reasons[0].total),
        (DropReason::ALL[0].name(), 3)
    );

    let Reply::Cores(cores) = daemon.call(&Request::Cores).unwrap() else {
        panic!("cores")
    };
    let times: Vec<_> = cores
        .cores
        .iter()
        .map(|core| (core.core, core.busy_ns, core.idle_ns, core.generation))
        .collect();
    assert_eq!(times, [(1, 100, 900, Some(1)), (2, 0, 0, Some(1))]);

    let Reply::Sessions(sessions) = daemon
        .call(&Request::Sessions(SessionsQuery { limit: 2 }))
        .unwrap()
    else {
        panic!("sessions")
    };
    assert_eq!(sessions.sessions.len(), 2);

    let log = |sni: Option<&str>, verdict| {
        let query = LogQuery {
            limit: 10,
            event_type: None,
            verdict,
            sni: sni.map(str::to_owned),
        };
        match daemon.call(&Request::Log(query)).unwrap() {
            Reply::Log(log) => log.events,
            other => panic!("{other:?}"),
        }
    };
    let named = log(Some("a.example"), Some(Verdict::Inspect));
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["tls_inspection"]["sni"], "www.a.example");
    assert_eq!(named[0]["host"], "sluice-test");
    assert_eq!(log(Some("a.example"), Some(Verdict::Block)).len(), 0);
    assert_eq!(
        daemon
            .events()
            .iter()
            .filter(|event| event["event_type"] == "tls_inspection")
            .count(),
        2
    );
}

#[test]
fn explain_gives_the_answer_of_the_policy() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    let ask = |host: &str| {
        let host = Some(host.to_owned());
        Request::Explain(Explain {
            host,
            client: None,
            server: None,
            port: 443,
            segment: None,
            vlan: None,
        })
    };
    assert_eq!(daemon.refusal(&ask("a.example")).code, ErrorCode::NotFound);
    daemon.make_cas();
    daemon.applied(documents());
    let code = |host| match daemon.call(&ask(host)).unwrap() {
        Reply::Explained(explained) => (explained.verdict, explained.code),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        code("a.example"),
        (Some(Verdict::Inspect), Some(DecisionCode::InspectedClient))
    );
    assert_eq!(
        code("www.bank.example"),
        (
            Some(Verdict::Bypass),
            Some(DecisionCode::BypassDomainException)
        )
    );
    let nowhere = Request::Explain(Explain {
        host: None,
        client: None,
        server: None,
        port: 443,
        segment: Some("segment-9".to_owned()),
        vlan: None,
    });
    assert!(daemon.refusal(&nowhere).message.contains("`segment-1`"));
}

#[test]
fn certificates_are_listed_shown_and_exported() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    daemon.make_cas();
    daemon.applied(documents());
    let Reply::Certificates(all) = daemon.call(&Request::CertificateList).unwrap() else {
        panic!("certificates")
    };
    let named: Vec<_> = all
        .iter()
        .map(|one| (one.name.as_str(), one.is_ca, one.has_key, one.key.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            ("sluice-ca", true, true, "ecdsa-p256"),
            ("sluice-untrusted-ca", true, true, "ecdsa-p256")
        ]
    );
    let show = Request::CertificateShow {
        name: "sluice-ca".to_owned(),
    };
    let Reply::Certificate(details) = daemon.call(&show).unwrap() else {
        panic!("a certificate")
    };
    assert_eq!(details.key_usage, ["keyCertSign", "cRLSign"]);
    assert_eq!(
        details.uses,
        ["`web` of profile `lab` (signing certificate)"]
    );
    let export = |format, anchor, chain| {
        Request::CertificateExport(CertificateExport {
            name: "sluice-ca".to_owned(),
            format,
            anchor,
            chain,
        })
    };
    let content = |request: &Request| match daemon.call(request).unwrap() {
        Reply::Exported(exported) => exported.content.0,
        other => panic!("{other:?}"),
    };
    let pem = content(&export(ExportFormat::Pem, true, false));
    assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let der = content(&export(ExportFormat::Der, false, false));
    assert_eq!(der.first(), Some(&0x30));
    assert_eq!(
        daemon.refusal(&export(ExportFormat::Der, false, true)).code,
        ErrorCode::BadRequest
    );
    let unknown = Request::CertificateShow {
        name: "nobody".to_owned(),
    };
    assert_eq!(daemon.refusal(&unknown).code, ErrorCode::NotFound);
}

#[test]
fn a_second_process_a_used_socket_and_an_unusable_directory_are_one_clear_line_each() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    let (code, message) = fails(root.path());
    assert_eq!(code, Some(1));
    assert!(
        message.contains(&format!("another sluiced (process {})", daemon.pid())),
        "{message}"
    );

    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(daemon.run_dir(), other.path().join("run")).unwrap();
    let (_, message) = fails(other.path());
    assert!(
        message.contains("another process listens there") && message.lines().count() == 1,
        "{message}"
    );

    let blocked = tempfile::tempdir().unwrap();
    std::fs::write(blocked.path().join("state"), b"").unwrap();
    let (_, message) = fails(blocked.path());
    assert!(
        message.contains("is no directory") && message.contains("--state-dir"),
        "{message}"
    );
}

#[test]
fn f139_a_corrupt_store_and_a_damaged_master_key_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(root.path());
    daemon.make_cas();
    assert!(daemon.stop().success());
    let store = root.path().join("state/sluice.db");
    let good = std::fs::read(&store).unwrap();
    std::fs::write(&store, &good[..good.len() / 2]).unwrap();
    let (code, message) = fails(root.path());
    assert_eq!(code, Some(1));
    assert!(
        message.contains("sluice.db") && message.contains("damaged"),
        "{message}"
    );
    std::fs::write(&store, b"").unwrap();
    assert_eq!(
        fails(root.path()).0,
        Some(1),
        "an empty file is no new store"
    );
    std::fs::write(&store, &good).unwrap();
    let key = root.path().join("state/master.key");
    let master = std::fs::read(&key).unwrap();
    std::fs::write(&key, &master[..master.len() / 2]).unwrap();
    let (_, message) = fails(root.path());
    assert!(message.contains("master.key"), "{message}");
    std::fs::write(&key, &master).unwrap();
    daemon.start_again();
    let Reply::Certificates(all) = daemon.call(&Request::CertificateList).unwrap() else {
        panic!("certificates")
    };
    assert_eq!(all.len(), 2);
}

#[test]
fn k143_files_and_sockets_have_narrow_modes() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    daemon.make_cas();
    assert_eq!(
        (mode(&daemon.state_dir()), mode(&daemon.run_dir())),
        (0o700, 0o750)
    );
    assert_eq!(
        (
            mode(&daemon.state_dir().join("sluice.db")),
            mode(&daemon.state_dir().join("master.key"))
        ),
        (0o600, 0o600)
    );
    assert_eq!(
        (
            mode(&daemon.control_socket()),
            mode(&daemon.run_dir().join("dataplane.sock"))
        ),
        (0o660, 0o660)
    );
}

#[test]
fn k144_no_private_key_is_on_the_disk_or_in_a_message_and_the_process_leaves_no_core() {
    let root = tempfile::tempdir().unwrap();
    let (mut daemon, dataplane) = Daemon::distributed(root.path());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let keys = dataplane.seen().keys;
    assert_eq!(keys.len(), 2);
    daemon.stop();
    let mut files = vec![root.path().to_owned()];
    let mut searched = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        searched += content.len();
        for (name, key) in &keys {
            // The private scalar of a P-256 key in PKCS#8: bytes 36 to 68 in every encoder's output.
            let scalar = &key[36..68];
            let found = content.windows(scalar.len()).any(|window| window == scalar);
            assert!(!found, "the key of {name} is in {}", path.display());
        }
    }
    assert!(searched > 10_000, "the store was searched");
}

#[test]
fn f135_a_full_disk_under_the_event_log_is_told_and_stops_nothing() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start_logging_to(root.path(), Path::new("/dev/full"));
    daemon.make_cas();
    let dataplane = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    daemon.wait_for_dataplane();
    assert!(daemon.applied(documents()).distribution.is_adopted());
    dataplane.event(0, &crate::support::flow_event("a.example"));
    let query = LogQuery {
        limit: 10,
        event_type: Some("tls_inspection".to_owned()),
        verdict: None,
        sni: None,
    };
    let Reply::Log(log) = daemon.call(&Request::Log(query)).unwrap() else {
        panic!("a log")
    };
    assert_eq!(log.events.len(), 1, "kept in memory");
    let problems = daemon.status().problems.join("\n");
    assert!(
        problems.contains("cannot write the event log /dev/full"),
        "{problems}"
    );
}

#[test]
fn the_event_log_is_opened_again_on_sighup_and_sigterm_ends_in_order() {
    let root = tempfile::tempdir().unwrap();
    let (mut daemon, dataplane) = Daemon::distributed(root.path());
    let log = root.path().join("eve.json");
    std::fs::rename(&log, root.path().join("eve.json.1")).unwrap();
    daemon.signal(Signal::HUP);
    eventually("the message", || {
        daemon.messages().contains("opened again").then_some(())
    });
    dataplane.event(0, &crate::support::flow_event("after-rotation.example"));
    eventually("the event", || {
        daemon
            .events()
            .iter()
            .any(|event| event["tls_inspection"]["sni"] == "after-rotation.example")
            .then_some(())
    });
    dataplane.event(
        1,
        &crate::support::flow_event("just-before-the-end.example"),
    );
    assert!(daemon.stop().success());
    assert!(
        daemon
            .events()
            .iter()
            .any(|event| event["tls_inspection"]["sni"] == "just-before-the-end.example")
    );
    assert!(!daemon.control_socket().exists() && !daemon.run_dir().join("dataplane.sock").exists());
}

#[test]
fn garbage_on_the_management_socket_is_answered_and_survived() {
    use std::io::{BufRead, BufReader, Write};
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    let mut stream = std::os::unix::net::UnixStream::connect(daemon.control_socket()).unwrap();
    stream
        .write_all(b"{\"version\":1,\"request\":{\"no-such\":1}}\n\xff\xfe\n")
        .unwrap();
    let answers = BufReader::new(stream).lines().take(2);
    let answers: Vec<String> = answers.map(|line| line.unwrap()).collect();
    assert!(
        answers.iter().all(|line| line.contains("bad-request")),
        "{answers:?}"
    );
    assert_eq!(daemon.status().distribution.generation, None);
}
