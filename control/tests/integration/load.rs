//! What operators see of the load.

use crate::support::{Behaviour, Daemon, FakeDataplane, documents, documents_with, eventually};
use sluice_api::{Cleared, ErrorCode, Fallback, LogQuery, Reply, Request};
use sluice_telemetry::{
    Counter, Event, FallbackReason, LoadState, SystemEvent, SystemRecord, Verdict,
};

fn system_messages(daemon: &Daemon) -> Vec<String> {
    let query = LogQuery {
        limit: 100,
        event_type: Some("system".to_owned()),
        verdict: None,
        sni: None,
    };
    let Reply::Log(log) = daemon.call(&Request::Log(query)).unwrap() else {
        panic!("the log")
    };
    log.events
        .iter()
        .filter_map(|event| event.pointer("/system/message")?.as_str())
        .map(str::to_owned)
        .collect()
}

#[test]
fn f28_a_reached_limit_is_in_the_log_and_in_the_status() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, dataplane) = Daemon::distributed(root.path());
    assert_eq!(daemon.status().session_load, Some(LoadState::Normal));
    assert!(daemon.status().problems.is_empty());

    dataplane.count(
        0,
        Counter::SessionLoad,
        u64::from(LoadState::Reached.number()),
    );
    let reached = Event::System(SystemRecord {
        unix_us: 1_800_000_000_000_000,
        core: Some(2),
        event: SystemEvent::SessionLoad {
            before: LoadState::Critical,
            state: LoadState::Reached,
            sessions: 20_000,
            limit: 20_000,
            over_limit: Verdict::Bypass,
        },
    });
    dataplane.event(1, &reached);
    let now = daemon.status();
    assert_eq!(now.session_load, Some(LoadState::Reached));
    assert_eq!(
        now.problems,
        [
            "as many sessions are inspected as `inspected_sessions_max` 20000 allows, and further ones pass without \
             inspection; raise it, or inspect less"
        ]
    );
    eventually("the words in the log", || {
        let wanted = "SSL Inspection reached Maximum of Max Concurrent Connections (20000 of 20000). \
                      Action: Allow but bypass Inspection";
        system_messages(&daemon)
            .iter()
            .any(|message| message == wanted)
            .then_some(())
    });
    daemon.applied(documents_with(
        "[[segment]]",
        "[limits]\nover_limit = \"block\"\n[[segment]]",
    ));
    assert!(daemon.status().problems[0].contains("further ones are blocked"));
}

#[test]
fn f22_fallback_by_command_is_shown_and_outlives_the_data_plane() {
    let root = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(root.path());
    let nobody = daemon.refusal(&Request::Fallback {
        command: Some(true),
    });
    assert_eq!(nobody.code, ErrorCode::NoDataplane);
    daemon.make_cas();
    let dataplane = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    daemon.wait_for_dataplane();
    daemon.applied(documents());
    let fallback = |command| daemon.call(&Request::Fallback { command }).unwrap();
    let (on, off) = (
        Reply::Fallback(Fallback {
            reasons: vec![FallbackReason::Command],
        }),
        Reply::Fallback(Fallback::default()),
    );
    assert_eq!(fallback(None), off);
    assert_eq!(fallback(Some(true)), on);
    assert_eq!(fallback(None), on);
    let now = daemon.status();
    assert_eq!(now.fallback.unwrap().reasons, [FallbackReason::Command]);
    assert_eq!(
        now.problems,
        ["layer-2 fallback is on because an operator said so: new flows pass without inspection"]
    );
    assert_eq!(
        daemon.call(&Request::ClearSessions).unwrap(),
        Reply::Cleared(Cleared { sessions: 7 })
    );

    dataplane.kill();
    let next = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    eventually("the next data plane is told", || {
        (next.seen().fallback == [true]).then_some(())
    });
    assert_eq!(fallback(Some(false)), off);
    assert!(daemon.status().problems.is_empty());
}

#[test]
fn f22_a_core_that_does_not_poll_any_more_is_a_problem_until_it_does() {
    let root = tempfile::tempdir().unwrap();
    let (daemon, dataplane) = Daemon::distributed(root.path());
    #[expect(
        clippy::disallowed_methods,
        reason = "another process's heart beats by the wall clock"
    )]
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since.unwrap().as_micros()).unwrap()
    };
    dataplane.beat(0, now());
    dataplane.beat(1, now() - 30_000_000);
    let [problem] = &daemon.status().problems[..] else {
        panic!("{:?}", daemon.status().problems)
    };
    assert!(
        problem.starts_with("core 2 has not polled for 3"),
        "{problem}"
    );
    dataplane.beat(1, now());
    assert!(daemon.status().problems.is_empty());
}
