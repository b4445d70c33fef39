//! `sluiced` and a data plane: generations applied, refused, rolled back, and either process restarted.

use crate::support::{
    Behaviour, Daemon, FakeDataplane, apply, documents, documents_with, eventually,
};
use std::time::Duration;

use rustix::process::Signal;
use sluice_api::{Adoption, ErrorCode, Reply, Request, Rollback};

fn states(distribution: &sluice_api::Distribution) -> Vec<(u16, Option<u64>, Adoption)> {
    distribution
        .cores
        .iter()
        .map(|core| (core.core, core.generation, core.state.clone()))
        .collect()
}

fn adopted(generation: u64) -> Vec<(u16, Option<u64>, Adoption)> {
    vec![
        (1, Some(generation), Adoption::Adopted),
        (2, Some(generation), Adoption::Adopted),
    ]
}

#[test]
fn a_configuration_is_applied_adopted_by_every_core_and_reported() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, dataplane) = Daemon::connected(root.path(), Behaviour::Adopt);
    let applied = daemon.applied(documents());
    assert_eq!(applied.generation, 1);
    assert!(applied.distribution.is_adopted());
    assert_eq!(states(&applied.distribution), adopted(1));
    assert_eq!(applied.warnings, Vec::<String>::new());

    let seen = dataplane.seen();
    assert_eq!(seen.offered, [1]);
    assert_eq!(
        seen.snapshot.unwrap().configuration.appliance.name.as_str(),
        "sluice-test"
    );
    assert_eq!(
        seen.keys.keys().collect::<Vec<_>>(),
        ["sluice-ca", "sluice-untrusted-ca"]
    );
    assert!(
        seen.keys.values().all(|key| key.len() > 60),
        "PKCS#8 keys crossed"
    );

    let status = daemon.status();
    assert_eq!(status.appliance.as_deref(), Some("sluice-test"));
    assert_eq!(status.distribution, applied.distribution);
    assert_eq!(status.problems, Vec::<String>::new());

    let again = daemon.applied(documents_with("[443]", "[443, 8443]"));
    assert_eq!(
        (again.generation, again.changes.len()),
        (2, 1),
        "{:?}",
        again.changes
    );
    eventually("the retirement of the first generation", || {
        (dataplane.seen().retired == [1]).then_some(())
    });

    let unchanged = daemon.applied(documents_with("[443]", "[443, 8443]"));
    assert_eq!((unchanged.generation, unchanged.changes.len()), (2, 0));
    assert_eq!(dataplane.seen().offered, [1, 2]);
}

#[test]
fn nothing_is_applied_while_something_is_missing_or_wrong() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    let missing = daemon.refusal(&apply(documents()));
    assert_eq!(missing.code, ErrorCode::NotFound);
    assert!(
        missing.message.contains("`sluice-ca`")
            && missing.message.contains("`sluice-untrusted-ca`"),
        "{missing}"
    );
    assert!(
        missing.message.contains("sluice certificate self-signed"),
        "{missing}"
    );

    let wrong = daemon.refusal(&apply(documents_with("memory_mib", "memory_mb")));
    assert_eq!(wrong.code, ErrorCode::InvalidDocuments);
    let problem = &wrong.problems[0];
    assert_eq!(
        (problem.path.as_str(), problem.line),
        ("appliance.toml", Some(9)),
        "{problem}"
    );
    assert!(problem.to_string().contains("memory_mb"), "{problem}");

    match daemon.call(&Request::History).unwrap() {
        Reply::History(history) => assert_eq!(history.generations, []),
        other => panic!("{other:?}"),
    }
    assert_eq!(daemon.status().distribution.generation, None);
}

#[test]
fn without_a_data_plane_a_configuration_is_stored_and_offered_later() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    daemon.make_cas();
    let applied = daemon.applied(documents());
    assert_eq!(applied.generation, 1);
    assert!(
        applied.warnings[0].starts_with("stored as generation 1; no data plane is connected"),
        "{:?}",
        applied.warnings
    );
    assert_eq!(applied.distribution.dataplane, None);
    let dataplane = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    eventually("adoption", || {
        daemon.status().distribution.is_adopted().then_some(())
    });
    assert_eq!(dataplane.adopted(), Some(1));
}

#[test]
fn a_difference_is_shown_before_it_is_made() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    daemon.make_cas();
    daemon.applied(documents());
    let changed = documents_with("cores = [1, 2]", "cores = [1, 2, 3]");
    let compared = match daemon.call(&Request::Diff { documents: changed }).unwrap() {
        Reply::Compared(compared) => compared,
        other => panic!("{other:?}"),
    };
    assert_eq!(compared.generation, Some(1));
    assert_eq!(
        (compared.changes.len(), compared.restart_needed.len()),
        (1, 1)
    );
    assert!(
        compared.changes[0].path.contains("cores"),
        "{:?}",
        compared.changes
    );
    assert_eq!(daemon.status().distribution.generation, Some(1));
}

#[test]
fn a_refused_generation_says_why_and_the_last_good_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let (mut daemon, dataplane) = Daemon::distributed(root.path());

    dataplane.behave(Behaviour::Refuse(
        "the interface `sl-c` does not exist; make it".to_owned(),
    ));
    let refused = daemon.applied(documents_with("sl-b", "sl-c"));
    assert_eq!(refused.generation, 2);
    assert_eq!(refused.restart_needed.len(), 1);
    let reason = Adoption::Refused {
        reason: "the interface `sl-c` does not exist; make it".to_owned(),
    };
    assert_eq!(
        states(&refused.distribution),
        [(1, Some(1), reason.clone()), (2, Some(1), reason)]
    );
    assert_eq!(dataplane.adopted(), Some(1));
    let problems = daemon.status().problems.join("\n");
    assert!(
        problems.contains("refused generation 2: the interface `sl-c` does not exist"),
        "{problems}"
    );
    let logged = daemon
        .events()
        .iter()
        .any(|event| event["system"]["event"] == "generation-refused");
    assert!(logged, "{:?}", daemon.events());

    // A fresh data plane that refuses it too is given the last good one, also after a restart of this process.
    dataplane.kill();
    daemon.kill();
    daemon.start_again();
    let fresh = FakeDataplane::start(&daemon.run_dir(), Behaviour::RefuseOnly(2));
    eventually("the last good generation", || {
        (fresh.adopted() == Some(1)).then_some(())
    });
    assert_eq!(fresh.seen().offered, [2, 1]);

    // What was missing is there now: the same documents are offered again.
    fresh.behave(Behaviour::Adopt);
    let again = daemon.applied(documents_with("sl-b", "sl-c"));
    assert_eq!(again.generation, 2);
    assert_eq!(states(&again.distribution), adopted(2));
}

#[test]
fn a_core_that_does_not_answer_is_named() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, _dataplane) = Daemon::connected(root.path(), Behaviour::Lag);
    let request = Request::Apply(sluice_api::Apply {
        documents: documents(),
        comment: None,
        wait_s: 1,
    });
    let Reply::Applied(applied) = daemon.call(&request).unwrap() else {
        panic!("an applied configuration")
    };
    assert_eq!(
        states(&applied.distribution),
        [
            (1, Some(1), Adoption::Adopted),
            (2, None, Adoption::Pending)
        ]
    );
    assert!(
        applied.warnings[0].contains("not adopted yet by core 2"),
        "{:?}",
        applied.warnings
    );
    assert!(
        daemon
            .status()
            .problems
            .join("\n")
            .contains("core 2 has not adopted")
    );
}

#[test]
fn a_rollback_is_a_new_generation_with_the_old_documents() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, dataplane) = Daemon::distributed(root.path());
    daemon.applied(documents_with("sluice-test", "sluice-renamed"));
    let Reply::Applied(applied) = daemon
        .call(&Request::Rollback(Rollback {
            generation: None,
            wait_s: 10,
        }))
        .unwrap()
    else {
        panic!("an applied configuration")
    };
    assert_eq!(applied.generation, 3);
    assert_eq!(states(&applied.distribution), adopted(3));
    assert_eq!(
        dataplane
            .seen()
            .snapshot
            .unwrap()
            .configuration
            .appliance
            .name
            .as_str(),
        "sluice-test"
    );
    let unknown = daemon.refusal(&Request::Rollback(Rollback {
        generation: Some(99),
        wait_s: 0,
    }));
    assert_eq!(unknown.code, ErrorCode::NotFound);
    let Reply::History(history) = daemon.call(&Request::History).unwrap() else {
        panic!("a history")
    };
    assert_eq!(
        history
            .generations
            .iter()
            .map(|one| (one.generation, one.current))
            .collect::<Vec<_>>(),
        [(3, true), (2, false), (1, false)]
    );
}

#[test]
fn f131_sluiced_killed_and_restarted_finds_the_data_plane_and_its_events_again() {
    let root = tempfile::tempdir().unwrap();
    let (mut daemon, dataplane) = Daemon::distributed(root.path());
    daemon.kill();
    dataplane.event(0, &crate::support::flow_event("while-it-was-down.example"));
    daemon.start_again();
    eventually("the data plane's return", || {
        daemon.status().distribution.is_adopted().then_some(())
    });
    assert_eq!(states(&daemon.status().distribution), adopted(1));
    let seen = dataplane.seen();
    assert_eq!(
        (seen.connections, seen.offered),
        (2, vec![1]),
        "nothing had to be offered again"
    );
    eventually("the event of the time in between", || {
        daemon
            .events()
            .iter()
            .any(|event| event["tls_inspection"]["sni"] == "while-it-was-down.example")
            .then_some(())
    });
    let applied = daemon.applied(documents_with("[443]", "[8443]"));
    assert_eq!(states(&applied.distribution), adopted(2));
}

#[test]
fn f133_sluiced_stopped_for_five_seconds_goes_on_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, dataplane) = Daemon::distributed(root.path());
    daemon.signal(Signal::STOP);
    for number in 0..50 {
        dataplane.event(
            number % 2,
            &crate::support::flow_event(&format!("stopped-{number}.example")),
        );
        std::thread::park_timeout(Duration::from_millis(100));
    }
    daemon.signal(Signal::CONT);
    let logged = || {
        daemon
            .events()
            .iter()
            .filter(|event| event["event_type"] == "tls_inspection")
            .count()
    };
    eventually("the events of the time in between", || {
        (logged() == 50).then_some(())
    });
    assert_eq!(dataplane.seen().connections, 1, "the link stayed");
    assert!(
        daemon
            .applied(documents_with("[443]", "[8443]"))
            .distribution
            .is_adopted()
    );
}

#[test]
fn f130_a_restarted_data_plane_takes_the_same_generation_again() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, first) = Daemon::distributed(root.path());
    first.event(1, &crate::support::flow_event("its-last-words.example"));
    first.kill();
    eventually("the loss of the data plane", || {
        daemon
            .status()
            .distribution
            .dataplane
            .is_none()
            .then_some(())
    });
    assert!(daemon.status().problems[0].contains("no data plane is connected"));
    let second = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    eventually("adoption", || {
        daemon.status().distribution.is_adopted().then_some(())
    });
    assert_eq!(second.adopted(), Some(1));
    assert_eq!(second.seen().keys.len(), 2, "with its keys");
    assert!(
        daemon
            .events()
            .iter()
            .any(|event| event["tls_inspection"]["sni"] == "its-last-words.example")
    );
}

#[test]
fn a_second_data_plane_is_turned_away_until_the_first_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, first) = Daemon::distributed(root.path());
    // The first process of the machine lives as long as the test.
    let second = FakeDataplane::start_as(1, &daemon.run_dir(), Behaviour::Adopt);
    let told = format!(
        "another data plane (process {}) is connected",
        std::process::id()
    );
    eventually("the message", || {
        daemon.messages().contains(&told).then_some(())
    });
    assert_eq!(second.seen().offered, Vec::<u64>::new());
    assert_eq!(
        daemon.status().distribution.dataplane.unwrap().pid,
        std::process::id()
    );
    first.kill();
    eventually("the second one's turn", || {
        (second.adopted() == Some(1)).then_some(())
    });
}

#[test]
fn f137_a_replaced_certificate_reaches_the_data_plane_as_a_new_generation() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, dataplane) = Daemon::distributed(root.path());
    let before = dataplane.seen();
    let (certificate, key) = crate::support::foreign_ca("Another CA");
    let import = sluice_api::CertificateImport {
        name: "sluice-ca".to_owned(),
        certificate: sluice_api::Blob(certificate.clone().into_bytes()),
        key: Some(sluice_api::Blob(key.into_bytes())),
        passphrase: None,
        replace: true,
    };
    let Reply::Certificates(imported) = daemon.call(&Request::CertificateImport(import)).unwrap()
    else {
        panic!("certificates")
    };
    assert_eq!(imported[0].name, "sluice-ca");
    eventually("the new generation", || {
        (dataplane.adopted() == Some(2)).then_some(())
    });
    let after = dataplane.seen();
    assert_ne!(before.keys["sluice-ca"], after.keys["sluice-ca"]);
    assert_eq!(
        before.keys["sluice-untrusted-ca"],
        after.keys["sluice-untrusted-ca"]
    );
    assert_eq!(daemon.status().distribution.generation, Some(2));
}
