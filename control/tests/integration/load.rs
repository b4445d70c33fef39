//! What operators see of the load.

use crate::support::{Behaviour, Daemon, FakeDataplane, documents, documents_with, eventually};
use sluice_api::{Cleared, ErrorCode, Fallback, LogQuery, Reply, Request, Status};
use sluice_telemetry::{
    Counter, Event, FallbackReason, LoadState, SystemEvent, SystemRecord, Verdict,
};

fn status(daemon: &Daemon) -> Status {
    match daemon.call(&Request::Status).unwrap() {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

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
    let daemon = Daemon::start(root.path());
    daemon.make_cas();
    let dataplane = FakeDataplane::start(&daemon.run_dir(), Behaviour::Adopt);
    daemon.wait_for_dataplane();
    daemon.applied(documents());
    assert_eq!(status(&daemon).session_load, Some(LoadState::Normal));
    assert!(status(&daemon).problems.is_empty());

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
    let now = status(&daemon);
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
    assert!(status(&daemon).problems[0].contains("further ones are blocked"));
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
    let now = status(&daemon);
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
    assert!(status(&daemon).problems.is_empty());
}
