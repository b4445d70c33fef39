//! IP fragments of inspected flows, over `AF_XDP`: the driver of `AF_PACKET` ports lets the kernel put them together first.

use std::time::Duration;

use sluice_interop::{Curl, Lab, Response, Running, until};

/// Why a fragment that could be TCP's is dropped.
const DROPS: [&str; 3] = [
    "drop-fragment-overlap",
    "drop-fragment-malformed",
    "drop-fragment-too-many",
];

/// A link of the client's that cuts what it sends.
fn link(lab: &Lab, spec: &str) -> Running {
    let mut running = lab.start_command(&["impair", spec]).unwrap();
    let up = until(Duration::from_secs(5), || {
        let listed = lab.client(&["ip", "-br", "address", "show", "up"]).unwrap();
        listed.stdout.contains("10.204.1.2")
    });
    assert!(up && running.runs(), "no link: {:?}", running.stop("TERM"));
    running
}

/// How many packets it has cut.
fn cut(running: Running) -> u64 {
    let outcome = running.stop("TERM").unwrap();
    let counts: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
    counts["out"]["fragmented"].as_u64().unwrap()
}

fn upload(lab: &Lab, within: Duration) -> Response {
    let source = lab.facts.www_dir.join("bytes/1048576");
    let source = source.display().to_string();
    let resolve = "good.lab.test:443:10.204.2.2";
    Curl::get("https://good.lab.test/upload/fragments")
        .with(&["--http1.1", "--resolve", resolve, "--upload-file", &source])
        .within(within)
        .send(lab, &lab.facts.trust_anchor)
        .unwrap()
}

#[test]
fn e111_over_af_xdp_a_flow_in_fragments_is_inspected_and_overlaps_get_nowhere() {
    let Some(lab) = Lab::anew(&["--port-type", "af_xdp"]).unwrap() else {
        return;
    };
    let gauge = |name: &str| lab.gauge(name).unwrap();
    let dropped = || -> i64 { DROPS.iter().map(|name| gauge(name)).sum() };
    let cutting = link(&lab, "fragment=600B");
    let response = upload(&lab, Duration::from_secs(30));
    assert_eq!((response.exit, response.status), (0, 201), "{response:?}");
    assert_eq!(response.issuer, lab.inspected_issuer());
    let event = lab.event(response.local_port).unwrap();
    assert_eq!(event.verdict(), "inspect");
    assert!(cut(cutting) > 100 && gauge("datagrams-reassembled") > 100);
    let sent = std::fs::read(lab.facts.www_dir.join("bytes/1048576")).unwrap();
    let arrived = std::fs::read(lab.facts.upload_dir.join("fragments")).unwrap();
    assert!(arrived == sent, "{} of {} bytes", arrived.len(), sent.len());

    // Overlapping from the ClientHello on; and a ClientHello in more pieces than anybody honest makes.
    for spec in ["fragment=200B,overlap", "fragment=28B"] {
        let capture = lab.capture("origin", "src host 10.204.1.2").unwrap();
        let before = dropped();
        let cutting = link(&lab, spec);
        let response = upload(&lab, Duration::from_secs(4));
        assert_ne!(response.exit, 0, "{spec}: {response:?}");
        assert!(cut(cutting) > 0, "{spec}");
        let packets = capture.packets().unwrap();
        let reached: usize = packets.iter().map(|packet| packet.payload().len()).sum();
        assert_eq!(
            reached, 0,
            "{spec}: bytes of the client's reached the origin"
        );
        println!("{spec}: {} fragments dropped", dropped() - before);
        assert!(dropped() > before, "{spec}");
    }
}
