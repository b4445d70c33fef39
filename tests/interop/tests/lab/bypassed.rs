//! Bypassed flows: the frames on both sides are the same, bit by bit.

use sluice_interop::{Capture, Curl, Lab, Packet};

/// The flow's frames of each direction, in order.
fn directions(packets: &[Packet], client_port: u16) -> (Vec<Packet>, Vec<Packet>) {
    let of = |wanted: fn((u16, u16)) -> u16| {
        packets
            .iter()
            .filter(|packet| packet.ports().map(wanted) == Some(client_port))
            .cloned()
            .collect()
    };
    (of(|ports| ports.0), of(|ports| ports.1))
}

fn captures(lab: &Lab) -> (Capture, Capture) {
    (
        lab.capture("client", "tcp").unwrap(),
        lab.capture("origin", "tcp").unwrap(),
    )
}

/// Sequence numbers, options, timestamps, payload and checksums: the whole frames.
fn assert_identical((client, origin): (Capture, Capture), client_port: u16) {
    let (client, origin) = (client.packets().unwrap(), origin.packets().unwrap());
    let (sent, received) = directions(&client, client_port);
    let (arrived, answered) = directions(&origin, client_port);
    assert!(
        sent.len() > 4 && answered.len() > 4,
        "{} and {} frames captured",
        sent.len(),
        answered.len()
    );
    assert_eq!(
        Packet::first_difference(&sent, &arrived),
        None,
        "from client to origin"
    );
    assert_eq!(
        Packet::first_difference(&answered, &received),
        None,
        "from origin to client"
    );
}

#[test]
fn t77_a_flow_bypassed_by_name_is_identical_on_both_sides() {
    let lab = Lab::take().unwrap();
    for family in ["-4", "-6"] {
        let captures = captures(&lab);
        let response = Curl::get("https://bank.lab.test/bytes/65536")
            .with(&[family, "--output", "/dev/null"])
            .send(&lab, &lab.facts.origin_anchor)
            .unwrap();
        assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
        assert_eq!(response.issuer, Lab::ORIGIN_ISSUER);
        assert_identical(captures, response.local_port);
        if lab.inspects() {
            let event = lab.event(response.local_port).unwrap();
            assert_eq!(
                (event.verdict(), event.reason()),
                ("bypass".into(), "bypass-domain-exception".into())
            );
            assert_eq!(
                event.field("forged_sha256"),
                "absent",
                "l49: no leaf on bypass"
            );
        }
    }
}

#[test]
fn f124_a_never_decrypted_source_is_bypassed_identically() {
    let lab = Lab::take().unwrap();
    for (family, source) in [("-4", "10.201.9.2"), ("-6", "fd00:201::9:2")] {
        let captures = captures(&lab);
        let response = Curl::get("https://good.lab.test/bytes/65536")
            .with(&[family, "--interface", source, "--output", "/dev/null"])
            .send(&lab, &lab.facts.origin_anchor)
            .unwrap();
        assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
        assert_eq!(response.issuer, Lab::ORIGIN_ISSUER);
        assert_identical(captures, response.local_port);
        if lab.inspects() {
            let event = lab.event(response.local_port).unwrap();
            assert_eq!(
                (event.verdict(), event.reason()),
                ("bypass".into(), "bypass-never-decrypt-source".into())
            );
        }
    }
}

#[test]
fn t76_cleartext_on_a_tls_port_passes_identically() {
    let lab = Lab::take().unwrap();
    let captures = captures(&lab);
    let response = Curl::get("http://good.lab.test:443/")
        .with(&["-4"])
        .send(&lab, &lab.facts.origin_anchor)
        .unwrap();
    // What nginx answers to HTTP on its HTTPS port.
    assert_eq!((response.exit, response.status), (0, 400), "{response:?}");
    assert_identical(captures, response.local_port);
    if lab.inspects() {
        let event = lab.event(response.local_port).unwrap();
        assert_eq!(
            (event.verdict(), event.reason()),
            ("bypass".into(), "bypass-not-tls".into())
        );
    }
}

#[test]
fn f12_a_port_without_inspection_passes_identically() {
    let lab = Lab::take().unwrap();
    for family in ["-4", "-6"] {
        let captures = captures(&lab);
        let response = Curl::get("http://good.lab.test/bytes/65536")
            .with(&[family, "--output", "/dev/null"])
            .send(&lab, &lab.facts.origin_anchor)
            .unwrap();
        assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
        assert_identical(captures, response.local_port);
    }
}
