//! The generator against the origin of the same program, over loopback.

use super::*;
use crate::origin::tests::{Running, start};

fn options(origin: &Running) -> Options {
    Options {
        connect: origin.address,
        sni: vec!["origin.test".to_owned()],
        names: 1,
        ca: origin.anchor.clone(),
        connections: 4,
        concurrency: 2,
        requests_per_connection: 3,
        bytes: 1024,
        upload: None,
        tls12: false,
        tls13: false,
        group: None,
        resume: false,
        hello: Hello::Whole,
        together: false,
        hold: 0,
        seconds_max: 30,
    }
}

fn report(options: &Options) -> serde_json::Value {
    serde_json::to_value(run(options).unwrap()).unwrap()
}

/// How many handshakes agreed on something that contains `what`.
fn negotiated(report: &serde_json::Value, what: &str) -> u64 {
    let table = report["negotiated"].as_object().unwrap();
    table
        .iter()
        .filter(|(name, _)| name.contains(what))
        .map(|(_, count)| count.as_u64().unwrap())
        .sum()
}

#[test]
fn every_connection_and_request_is_counted() {
    let report = report(&options(&start(false, 0)));
    assert_eq!(report["connections"]["completed"], 4, "{report}");
    assert_eq!(report["requests"], 12);
    assert_eq!(report["body_bytes"], 12 * 1024);
    assert_eq!(report["latency_us"]["handshake"]["count"], 4);
    assert_eq!(report["latency_us"]["first_request"]["count"], 4);
    assert_eq!(report["latency_us"]["request"]["count"], 8);
}

#[test]
fn bodies_larger_than_a_chunk_arrive_and_leave_whole() {
    let origin = start(false, 0);
    let down = report(&Options {
        bytes: 1_000_003,
        ..options(&origin)
    });
    assert_eq!(down["body_bytes"], 12 * 1_000_003_u64, "{down}");
    let up = report(&Options {
        upload: Some(1_000_003),
        ..options(&origin)
    });
    assert_eq!(up["body_bytes"], 12 * 1_000_003_u64, "{up}");
}

#[test]
fn versions_and_groups_are_as_asked() {
    let origin = start(false, 0);
    let old = report(&Options {
        tls12: true,
        ..options(&origin)
    });
    assert_eq!(negotiated(&old, "TLSv1_2"), 4, "{old}");
    let hybrid = report(&Options {
        tls13: true,
        group: Some(Group::X25519mlkem768),
        ..options(&origin)
    });
    assert_eq!(negotiated(&hybrid, "X25519MLKEM768 full"), 4, "{hybrid}");
}

#[test]
fn sessions_resume_only_when_asked() {
    let origin = start(false, 2);
    let full = report(&options(&origin));
    assert_eq!(negotiated(&full, "resumed"), 0, "{full}");
    let resumed = report(&Options {
        resume: true,
        concurrency: 1,
        ..options(&origin)
    });
    assert_eq!(negotiated(&resumed, "resumed"), 3, "{resumed}");
}

#[test]
fn a_cut_hello_is_the_same_hello() {
    let origin = start(false, 0);
    for hello in [Hello::Halves, Hello::Bytes] {
        let report = report(&Options {
            hello,
            together: true,
            ..options(&origin)
        });
        assert_eq!(report["connections"]["completed"], 4, "{report}");
    }
}

#[test]
fn an_issuing_origin_serves_every_name_its_own_certificate() {
    let origin = start(true, 0);
    let sni = vec!["host{}.origin.test".to_owned()];
    let report = report(&Options {
        sni,
        names: 3,
        connections: 9,
        ..options(&origin)
    });
    assert_eq!(report["connections"]["completed"], 9, "{report}");
}

#[test]
fn an_unknown_issuer_is_a_tls_failure_and_counted() {
    let (origin, other) = (start(false, 0), start(false, 0));
    let report = report(&Options {
        ca: other.anchor.clone(),
        ..options(&origin)
    });
    assert_eq!(report["connections"]["failed"], 4);
    assert_eq!(report["errors"]["tls"], 4, "{report}");
}

#[test]
fn a_refused_connection_is_told_as_such() {
    let origin = start(false, 0);
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let report = report(&Options {
        connect: closed,
        ..options(&origin)
    });
    assert_eq!(report["errors"]["connect-refused"], 4, "{report}");
}
