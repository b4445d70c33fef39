//! Generations: checked, compared, applied, rolled back and listed; and what is refused.

use serde_json::{Value, json};
use sluice_api::{
    Adoption, ApiError, Applied, Checked, Compared, ErrorCode, GenerationSummary, History, Reply,
    Request, Response,
};
use sluice_schema::{Change, ChangeKind};

use crate::daemon::{Daemon, distribution, examples, stderr};

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
