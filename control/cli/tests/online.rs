//! The binary against a server that answers as sluiced does.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has to fail"
)]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use sluice_api::{
    Adoption, ApiError, Applied, Blob, CertificateDetails, CertificateState, CertificateSummary,
    Checked, Compared, CoreAdoption, CoreLoad, Cores, CounterRow, Dataplane, Distribution, Drops,
    ErrorCode, Explained, ExplainedStep, ExportFormat, Exported, GenerationSummary, History, Log,
    Reply, Request, Response, Sessions, Stats, Status, serve,
};
use sluice_schema::{Change, ChangeKind};
use sluice_telemetry::{Application, DecisionCode, SessionPhase, SessionSummary, Verdict};
use tempfile::TempDir;

/// A server that gives one answer to everything and tells what it was asked.
struct Daemon {
    dir: TempDir,
    asked: Receiver<Request>,
}

impl Daemon {
    fn answering(response: Response) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let (tell, asked) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = serve(stream.unwrap(), |request| {
                    let _ = tell.send(request);
                    response.clone()
                });
            }
        });
        Self { dir, asked }
    }

    fn ok(reply: Reply) -> Self {
        Self::answering(Response::Ok(reply))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .arg("--socket")
            .arg(self.dir.path().join("control.sock"))
            .args(arguments);
        command
    }

    fn sluice(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that has to succeed.
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.sluice(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[&["--json"], arguments].concat())).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn examples() -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/examples");
    path.to_str().unwrap().to_owned()
}

fn distribution(state: Adoption) -> Distribution {
    Distribution {
        generation: Some(4),
        dataplane: Some(Dataplane {
            version: "0.1.0".to_owned(),
            pid: 77,
        }),
        cores: vec![
            CoreAdoption {
                core: 1,
                generation: Some(4),
                state: Adoption::Adopted,
            },
            CoreAdoption {
                core: 2,
                generation: Some(3),
                state,
            },
        ],
    }
}

fn applied(state: Adoption) -> Reply {
    Reply::Applied(Applied {
        generation: 4,
        changes: vec![Change {
            path: "appliance.limits.over_limit".to_owned(),
            kind: ChangeKind::Changed {
                old: json!("bypass"),
                new: json!("block"),
            },
        }],
        restart_needed: vec![],
        warnings: vec!["the certificate `site-a` expires soon".to_owned()],
        distribution: distribution(state),
    })
}

#[test]
fn apply_sends_the_documents_and_tells_who_adopted_them() {
    let daemon = Daemon::ok(applied(Adoption::Adopted));
    let output = daemon.sluice(&["apply", &examples(), "--comment", "why", "--wait", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(
        text,
        "~ appliance.limits.over_limit: \"bypass\" -> \"block\"\ngeneration 4 applied\n\
         CORE  GENERATION  STATE\n1     4           adopted\n2     3           adopted\n"
    );
    assert_eq!(
        stderr(&output),
        "sluice: the certificate `site-a` expires soon\n"
    );
    let Request::Apply(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    let paths: Vec<&str> = asked
        .documents
        .iter()
        .map(|document| document.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "appliance.toml",
            "profiles/default.toml",
            "profiles/inbound.toml"
        ]
    );
    assert_eq!((asked.comment.as_deref(), asked.wait_s), (Some("why"), 3));
}

#[test]
fn what_a_core_refuses_ends_with_4() {
    let refused = Adoption::Refused {
        reason: "no key for `sluice-ca`; import it".to_owned(),
    };
    let daemon = Daemon::ok(applied(refused));
    let output = daemon.sluice(&["apply", &examples()]);
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        text.contains("2     3           refused: no key for `sluice-ca`; import it"),
        "{text}"
    );
    assert!(
        stderr(&output).contains("generation 4 is stored but not adopted by every core"),
        "{}",
        stderr(&output)
    );

    let output = daemon.sluice(&["--json", "rollback", "3"]);
    assert_eq!(output.status.code(), Some(4));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        told["distribution"]["cores"][1]["state"]["refused"]["reason"],
        "no key for `sluice-ca`; import it"
    );
}

#[test]
fn who_does_not_wait_does_not_mind() {
    let daemon = Daemon::ok(applied(Adoption::Pending));
    let output = daemon.sluice(&["apply", &examples(), "--no-wait"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let Request::Apply(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(asked.wait_s, 0);
    assert_eq!(
        daemon.sluice(&["apply", &examples()]).status.code(),
        Some(4)
    );
}

#[test]
fn a_refusal_ends_with_1_and_one_clear_line() {
    let error = ApiError::new(
        ErrorCode::NotFound,
        "there is no generation 9; `sluice history` lists them",
    );
    let daemon = Daemon::answering(Response::Error(error));
    let output = daemon.sluice(&["rollback", "9"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "sluice: there is no generation 9; `sluice history` lists them\n"
    );
    let output = daemon.sluice(&["--json", "rollback", "9"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["error"]["code"], "not-found");
    let refused = Daemon::answering(Response::Error(ApiError::new(
        ErrorCode::NotAdopted,
        "refused",
    )));
    assert_eq!(refused.sluice(&["rollback"]).status.code(), Some(4));
}

#[test]
fn another_reply_than_asked_for_is_told() {
    let daemon = Daemon::ok(Reply::Certificates(vec![]));
    let output = daemon.sluice(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("another reply than the one asked for"));
}

#[test]
fn check_online_adds_what_sluiced_knows() {
    let warnings = vec!["the certificate `sluice-ca` does not exist yet".to_owned()];
    let daemon = Daemon::ok(Reply::Checked(Checked {
        profiles: 2,
        warnings,
    }));
    let output = daemon.sluice(&["check", "--online", &examples()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stderr(&output),
        "sluice: the certificate `sluice-ca` does not exist yet\n"
    );
    assert_eq!(
        daemon.json(&["check", "--online", &examples()])["warnings"][0],
        "the certificate `sluice-ca` does not exist yet"
    );
}

#[test]
fn diff_tells_changes_and_what_needs_a_restart() {
    let change = |path: &str| Change {
        path: path.to_owned(),
        kind: ChangeKind::Changed {
            old: json!([1]),
            new: json!([1, 2]),
        },
    };
    let daemon = Daemon::ok(Reply::Compared(Compared {
        generation: Some(3),
        changes: vec![change("appliance.dataplane.cores")],
        restart_needed: vec![change("appliance.dataplane.cores")],
    }));
    let output = daemon.sluice(&["diff", &examples()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "~ appliance.dataplane.cores: [1] -> [1,2]\n"
    );
    assert!(
        stderr(&output).contains("boot settings differ (appliance.dataplane.cores)"),
        "{}",
        stderr(&output)
    );
    let same = Daemon::ok(Reply::Compared(Compared {
        generation: Some(3),
        changes: vec![],
        restart_needed: vec![],
    }));
    assert_eq!(
        same.text(&["diff", &examples()]),
        "no difference to generation 3\n"
    );
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
        "inspected sessions  5 of at most 20000",
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
fn history_marks_the_current_generation() {
    let generation = |generation, current| GenerationSummary {
        generation,
        applied_unix_s: 1_767_323_045,
        comment: None,
        current,
    };
    let daemon = Daemon::ok(Reply::History(History {
        generations: vec![generation(4, true), generation(3, false)],
    }));
    assert_eq!(
        daemon.text(&["history"]),
        "GENERATION  APPLIED                  COMMENT\n4 *         2026-01-02 03:04:05 UTC\n3           2026-01-02 03:04:05 UTC\n"
    );
}

fn certificate() -> CertificateSummary {
    CertificateSummary {
        name: "sluice-ca".to_owned(),
        subject: "CN=Sluice CA".to_owned(),
        issuer: "CN=Sluice CA".to_owned(),
        is_ca: true,
        has_key: true,
        key: "ecdsa-p256".to_owned(),
        not_before_unix_s: 0,
        not_after_unix_s: 1_767_323_045,
        state: CertificateState::Valid,
        sha256: "ab".repeat(32),
    }
}

fn details() -> Reply {
    Reply::Certificate(Box::new(CertificateDetails {
        summary: certificate(),
        serial: "01".to_owned(),
        signature_algorithm: "ecdsa-with-SHA256".to_owned(),
        alternative_names: vec![],
        key_usage: vec!["keyCertSign".to_owned()],
        extended_key_usage: vec![],
        chain: vec![],
        uses: vec!["client proxy \"web\" of profile \"lab\" (signing certificate)".to_owned()],
        stored_unix_s: 0,
    }))
}

#[test]
fn f42_self_signed_takes_every_field() {
    let daemon = Daemon::ok(details());
    let text = daemon.text(&[
        "certificate",
        "self-signed",
        "sluice-ca",
        "--common-name",
        "Sluice CA",
        "--key",
        "rsa-4096",
        "--days",
        "30",
        "--email",
        "a@b.example",
        "--organizational-unit",
        "OU",
        "--organization",
        "O",
        "--locality",
        "L",
        "--state",
        "ST",
        "--country",
        "de",
        "--san-dns",
        "a.example",
        "--san-dns",
        "b.example",
        "--san-email",
        "c@d.example",
    ]);
    assert!(
        text.contains("key                 ecdsa-p256, private key stored, encrypted"),
        "{text}"
    );
    assert!(
        text.contains(
            "used by             client proxy \"web\" of profile \"lab\" (signing certificate)"
        ),
        "{text}"
    );
    let asked = serde_json::to_value(daemon.asked.recv().unwrap()).unwrap();
    assert_eq!(
        asked,
        json!({"certificate-self-signed": {
            "name": "sluice-ca",
            "subject": {
                "common_name": "Sluice CA", "email": "a@b.example", "organizational_unit": "OU", "organization": "O",
                "locality": "L", "state": "ST", "country": "DE",
            },
            "dns_names": ["a.example", "b.example"],
            "mail_addresses": ["c@d.example"],
            "key": "rsa-4096",
            "valid_days": 30,
        }})
    );
}

#[test]
fn f51_f85_import_of_a_certificate_with_key_file_and_passphrase() {
    let daemon = Daemon::ok(Reply::Certificates(vec![certificate()]));
    let (pem, key) = (
        daemon.dir.path().join("c.pem"),
        daemon.dir.path().join("k.pem"),
    );
    fs::write(&pem, "certificate").unwrap();
    fs::write(&key, "key").unwrap();
    let mut child = daemon
        .command(&["certificate", "import", "site-a"])
        .arg(&pem)
        .arg("--key")
        .arg(&key)
        .args(["--passphrase-file", "-", "--replace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"open sesame\nmore")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("sesame"));
    let Request::CertificateImport(asked) = daemon.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert_eq!(
        (asked.certificate, asked.key),
        (Blob(b"certificate".to_vec()), Some(Blob(b"key".to_vec())))
    );
    assert_eq!(asked.passphrase.unwrap().expose(), "open sesame");
    assert!(asked.replace);

    let output = daemon.sluice(&["certificate", "import", "x", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("sluice: /nonexistent cannot be read"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn f96_the_list_shows_name_state_and_expiry() {
    let mut authority = certificate();
    authority.name = "lab-root".to_owned();
    authority.has_key = false;
    authority.state = CertificateState::Expired;
    let daemon = Daemon::ok(Reply::Certificates(vec![certificate(), authority]));
    assert_eq!(
        daemon.text(&["certificate", "list"]),
        "NAME       KIND  KEY                       STATE    EXPIRES     SUBJECT\n\
         sluice-ca  ca    ecdsa-p256                valid    2026-01-02  CN=Sluice CA\n\
         lab-root   ca    ecdsa-p256 (public only)  expired  2026-01-02  CN=Sluice CA\n"
    );
    assert_eq!(
        daemon.json(&["certificate", "list"])["certificates"][1]["state"],
        "expired"
    );
}

#[test]
fn f64_export_to_standard_output_or_a_file() {
    let exported = |format, content: &[u8]| {
        Reply::Exported(Exported {
            name: "sluice-ca".to_owned(),
            format,
            content: Blob(content.to_vec()),
        })
    };
    let pem = Daemon::ok(exported(
        ExportFormat::Pem,
        b"-----BEGIN CERTIFICATE-----\n",
    ));
    assert_eq!(
        pem.text(&["certificate", "export", "sluice-ca", "--anchor"]),
        "-----BEGIN CERTIFICATE-----\n"
    );
    let Request::CertificateExport(asked) = pem.asked.recv().unwrap() else {
        panic!("another request")
    };
    assert!(asked.anchor && !asked.chain);

    let der = Daemon::ok(exported(ExportFormat::Der, b"\x30\x82\xff"));
    let output = der.sluice(&["certificate", "export", "sluice-ca", "--format", "der"]);
    assert_eq!(output.stdout, b"\x30\x82\xff");
    let file = der.dir.path().join("out.der");
    let text = der.text(&[
        "certificate",
        "export",
        "sluice-ca",
        "--format",
        "der",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert!(text.starts_with("sluice-ca written to "), "{text}");
    assert_eq!(fs::read(file).unwrap(), b"\x30\x82\xff");
    assert_eq!(
        der.json(&["certificate", "export", "sluice-ca", "--format", "der"])["content"],
        "MIL/"
    );
    let output = der.sluice(&[
        "certificate",
        "export",
        "sluice-ca",
        "--format",
        "der",
        "--chain",
    ]);
    assert_eq!(output.status.code(), Some(1));
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
