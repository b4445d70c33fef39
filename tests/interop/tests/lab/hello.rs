//! The ClientHello however it is cut.

use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Lab, Outcome};

const LIMIT: Duration = Duration::from_secs(60);
const ADDRESSES: [&str; 2] = ["10.201.2.2:443", "[fd00:201::2:2]:443"];

/// Lets the client's window hold a whole hello in segments of one byte: what holds the hello does not acknowledge it.
fn widen(lab: &Lab, on: bool) -> Outcome {
    let change = if on { "replace" } else { "delete" };
    let mut last = None;
    for (family, address) in [("-4", "10.201.2.2/32"), ("-6", "fd00:201::2:2/128")] {
        let mut argv = vec!["ip", family, "route", change, address, "dev", "sl-client"];
        if on {
            argv.extend(["initcwnd", "4000"]);
        }
        let outcome = lab.client(&argv).unwrap();
        assert!(outcome.ok(), "{}", outcome.stderr);
        last = Some(outcome);
    }
    last.unwrap()
}

/// Connections that completed, and the handshakes by what they agreed on.
fn outcome(report: &Value) -> (u64, String) {
    (
        report["connections"]["completed"].as_u64().unwrap(),
        report["negotiated"].to_string(),
    )
}

#[test]
fn t65_a_client_hello_in_one_byte_segments_is_read() {
    let lab = Lab::take().unwrap();
    widen(&lab, true);
    for address in ADDRESSES {
        let capture = lab.capture("client", "tcp dst port 443").unwrap();
        let arguments = [
            "--connect",
            address,
            "--sni",
            "good.lab.test",
            "--hello",
            "bytes",
            "--connections",
            "3",
        ];
        let report = lab.load(&arguments, LIMIT).unwrap();
        assert_eq!(outcome(&report).0, 3, "{report}");
        let packets = capture.packets().unwrap();
        let single = packets
            .iter()
            .filter(|packet| packet.payload().len() == 1)
            .count();
        assert!(single > 300, "only {single} segments of one byte were sent");
    }
    widen(&lab, false);
}

#[test]
fn t65_a_client_hello_in_one_byte_segments_is_read_within_a_usual_window() {
    let lab = Lab::take().unwrap();
    let arguments = [
        "--connect",
        ADDRESSES[0],
        "--sni",
        "good.lab.test",
        "--hello",
        "bytes",
    ];
    let report = lab.load(&arguments, LIMIT).unwrap();
    assert_eq!(outcome(&report).0, 1, "{report}");
}

#[test]
fn t65_a_post_quantum_hello_in_two_segments_is_read() {
    let lab = Lab::take().unwrap();
    for address in ADDRESSES {
        let capture = lab.capture("client", "tcp dst port 443").unwrap();
        let report = lab
            .load(
                &[
                    "--connect",
                    address,
                    "--sni",
                    "good.lab.test",
                    "--group",
                    "x25519mlkem768",
                    "--hello",
                    "halves",
                    "--connections",
                    "4",
                ],
                LIMIT,
            )
            .unwrap();
        let (completed, negotiated) = outcome(&report);
        assert_eq!(completed, 4, "{report}");
        // The origin's OpenSSL knows no hybrid: agreeing on it is the appliance's own doing.
        assert_eq!(
            negotiated.contains("X25519MLKEM768"),
            lab.inspects(),
            "{negotiated}"
        );
        let packets = capture.packets().unwrap();
        let hello: Vec<usize> = packets
            .iter()
            .map(|packet| packet.payload().len())
            .filter(|count| *count > 0)
            .take(2)
            .collect();
        assert!(
            hello.iter().sum::<usize>() > 1_400 && hello.iter().all(|count| *count > 600),
            "{hello:?}"
        );
    }
}

#[test]
fn t65_a_bypassed_hello_may_be_cut_too() {
    let lab = Lab::take().unwrap();
    let anchor = lab.facts.origin_anchor.display().to_string();
    for hello in ["halves", "bytes"] {
        let bench = lab.facts.bin_dir.join("sluice-bench").display().to_string();
        let argv = [
            &bench,
            "load",
            "--ca",
            &anchor,
            "--connect",
            ADDRESSES[0],
            "--sni",
            "bank.lab.test",
            "--hello",
            hello,
            "--group",
            "x25519mlkem768",
        ];
        let report = lab.report(&lab.client(&argv).unwrap()).unwrap();
        assert_eq!(outcome(&report).0, 1, "{report}");
    }
}

#[test]
fn t66_a_client_that_stops_inside_its_hello_harms_nobody() {
    let lab = Lab::take().unwrap();
    let program = "\
import socket, ssl
context = ssl.create_default_context()
for number in range(20):
    outgoing = ssl.MemoryBIO()
    half = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname='good.lab.test')
    try:
        half.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    stream = socket.create_connection(('10.201.2.2', 443), timeout=10)
    stream.sendall(hello[: len(hello) * (number + 1) // 21])
    if number % 2:
        stream.shutdown(socket.SHUT_WR)
        stream.settimeout(1)
        try:
            while stream.recv(4096):
                pass
        except OSError:
            pass
    stream.close()
";
    let outcome = lab.client(&["python3", "-c", program]).unwrap();
    assert!(outcome.ok(), "{}", outcome.stderr);
    let report = lab
        .load(
            &["--connect", ADDRESSES[0], "--sni", "good.lab.test"],
            LIMIT,
        )
        .unwrap();
    assert_eq!(self::outcome(&report).0, 1, "{report}");
}
