//! Encapsulations: what is inside is inspected where it can be, and passes counted where it cannot.

use std::path::Path;
use std::time::Duration;

use sluice_interop::{Curl, Lab, Running, until};

const IPV4: [&str; 2] = ["10.201.1.2", "10.201.2.2"];
const IPV6: [&str; 2] = ["fd00:201::1:2", "fd00:201::2:2"];
const INNER_IPV4: &str = "10.206.2.2";
const INNER_IPV6: &str = "[fd00:206::2:2]";

/// A tunnel endpoint at each end, for as long as this lives.
struct Tunnel {
    _ends: [Running; 2],
}

impl Tunnel {
    /// `outer` are the client's and the origin's addresses, `kinds` how each dresses what it sends.
    fn new(lab: &Lab, outer: [&str; 2], kinds: [&str; 2]) -> Self {
        let program = lab.script("labkit/tunnel.py");
        let end = |side: &str, local: &str, remote: &str, kind: &str, addresses: [&str; 2]| {
            let argv = [&program, local, remote, kind, addresses[0], addresses[1]];
            let mut running = lab.start(side, &argv).unwrap();
            let listed = ["ip", "-br", "address", "show", "dev", "sl-tun", "up"];
            let up = until(Duration::from_secs(5), || {
                let listed = lab.start(side, &listed).unwrap();
                let outcome = listed.wait(Duration::from_secs(5)).unwrap();
                outcome.stdout.contains(addresses[1])
            });
            assert!(up && running.runs(), "no tunnel at the {side}");
            running
        };
        let [client, origin] = outer;
        let [sent, answered] = kinds;
        Self {
            _ends: [
                end(
                    "client",
                    client,
                    origin,
                    sent,
                    ["10.206.1.2/16", "fd00:206::1:2/64"],
                ),
                end(
                    "origin",
                    origin,
                    client,
                    answered,
                    ["10.206.2.2/16", "fd00:206::2:2/64"],
                ),
            ],
        }
    }
}

/// A request to an address inside the tunnel; the issuer of the certificate seen, and the client's port.
fn request(lab: &Lab, inner: &str, anchor: &Path) -> (String, u16) {
    let resolve = format!("good.lab.test:443:{inner}");
    let response = Curl::get("https://good.lab.test/bytes/65536")
        .with(&["--resolve", &resolve, "--output", "/dev/null"])
        .within(Duration::from_secs(20))
        .send(lab, anchor)
        .unwrap();
    assert_eq!(
        (response.exit, response.status),
        (0, 200),
        "{inner}: {response:?}"
    );
    (response.issuer, response.local_port)
}

fn inspected(outer: [&str; 2], kind: &str, inner: &[&str]) {
    let lab = Lab::take().unwrap();
    let _tunnel = Tunnel::new(&lab, outer, [kind, kind]);
    for inner in inner {
        let (issuer, port) = request(&lab, inner, &lab.facts.trust_anchor);
        assert_eq!(issuer, lab.inspected_issuer(), "{inner} in {kind}");
        if lab.inspects() {
            assert_eq!(
                lab.event(port).unwrap().verdict(),
                "inspect",
                "{inner} in {kind}"
            );
        }
    }
}

#[test]
fn f5_tls_inside_gre_is_inspected() {
    inspected(IPV4, "gre", &[INNER_IPV4, INNER_IPV6]);
}

#[test]
fn f5_tls_inside_gre_with_one_key_is_inspected() {
    inspected(IPV4, "gre:77:77", &[INNER_IPV4]);
}

#[test]
fn f7_tls_inside_gre_over_ipv6_is_inspected() {
    inspected(IPV6, "gre", &[INNER_IPV4, INNER_IPV6]);
}

#[test]
fn f6_tls_inside_ip_inside_ipv4_is_inspected() {
    inspected(IPV4, "ip", &[INNER_IPV4, INNER_IPV6]);
}

#[test]
fn f7_tls_inside_ip_inside_ipv6_is_inspected() {
    inspected(IPV6, "ip", &[INNER_IPV4, INNER_IPV6]);
}

#[test]
fn f5_gre_with_sequence_numbers_passes_uninspected_and_is_counted() {
    let lab = Lab::take().unwrap();
    let _tunnel = Tunnel::new(&lab, IPV4, ["gre+sequence"; 2]);
    let counted = || lab.gauge("uninspected-gre-sequence").unwrap();
    let before = lab.inspects().then(counted);
    let (issuer, _) = request(&lab, INNER_IPV4, &lab.facts.origin_anchor);
    assert_eq!(issuer, Lab::ORIGIN_ISSUER);
    if let Some(before) = before {
        let passed = counted() - before;
        assert!(passed > 10, "{passed} frames");
    }
}

#[test]
fn f5_gre_with_a_key_for_each_direction_passes_uninspected_and_is_counted() {
    let lab = Lab::take().unwrap();
    let _tunnel = Tunnel::new(&lab, IPV4, ["gre:1:2", "gre:2:1"]);
    let (issuer, port) = request(&lab, INNER_IPV4, &lab.facts.origin_anchor);
    assert_eq!(issuer, Lab::ORIGIN_ISSUER);
    if lab.inspects() {
        // Each direction is a flow of its own, of which only one way is seen.
        let event = lab.event(port).unwrap();
        assert_eq!(event.verdict(), "bypass", "{event:?}");
    }
}
