//! What no policy sends to inspection passes at layer 2, untouched: frames are compared, not only answers.

use std::time::{Duration, SystemTime};

use sluice_interop::{Curl, Lab, Packet, Running, until};

/// Runs `act` and asserts that each frame seen meanwhile at one end is seen at the other; returns how many there are.
fn assert_transparent(lab: &Lab, filter: &str, act: impl FnOnce()) -> usize {
    let client = lab.capture("client", filter).unwrap();
    let origin = lab.capture("origin", filter).unwrap();
    // What was on its way when the second capture began is in the first one only.
    until(Duration::from_millis(100), || false);
    let began = now();
    act();
    let window = began..=now();
    let (client, origin) = (client.packets().unwrap(), origin.packets().unwrap());
    for (seen, other) in [(&client, &origin), (&origin, &client)] {
        assert_eq!(Packet::first_missing(&window, seen, other), None);
    }
    client.iter().filter(|one| window.contains(&one.at)).count()
}

#[expect(
    clippy::disallowed_methods,
    reason = "tcpdump stamps what it sees by this clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn ping(lab: &Lab, words: &[&str]) {
    let mut argv = vec!["ping", "-c", "3", "-i", "0.2", "-W", "2"];
    argv.extend(words);
    let outcome = lab.client(&argv).unwrap();
    assert!(outcome.ok(), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn f1_arp_and_ping_pass() {
    let lab = Lab::take().unwrap();
    let frames = assert_transparent(&lab, "arp or icmp", || {
        assert!(
            lab.client(&["ip", "neigh", "flush", "dev", "sl-client"])
                .unwrap()
                .ok()
        );
        ping(&lab, &["-4", "10.201.2.2"]);
        ping(&lab, &["-4", "-s", "1472", "-M", "do", "10.201.2.2"]);
    });
    assert!(frames >= 2 + 6 + 6, "only {frames} frames");
}

#[test]
fn e111_ipv4_fragments_pass() {
    let lab = Lab::take().unwrap();
    if lab.facts.port_type.as_deref() == Some("af_packet") {
        // DPDK's AF_PACKET driver asks the kernel to reassemble IPv4 (PACKET_FANOUT_FLAG_DEFRAG): no fragment reaches a
        // port of this type.
        return;
    }
    let frames = assert_transparent(&lab, "icmp", || {
        ping(&lab, &["-4", "-s", "4000", "10.201.2.2"]);
    });
    assert!(frames >= 18, "only {frames} frames");
}

#[test]
fn f4_ipv6_neighbour_discovery_and_ping_pass() {
    let lab = Lab::take().unwrap();
    let frames = assert_transparent(&lab, "ip6", || {
        assert!(
            lab.client(&["ip", "-6", "neigh", "flush", "dev", "sl-client"])
                .unwrap()
                .ok()
        );
        ping(&lab, &["-6", "fd00:201::2:2"]);
        ping(&lab, &["-6", "-s", "4000", "fd00:201::2:2"]);
    });
    assert!(frames >= 2 + 6 + 18, "only {frames} frames");
}

#[test]
fn e114_udp_443_and_other_datagrams_pass() {
    let lab = Lab::take().unwrap();
    let server = "\
import socket, sys
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(('::', int(sys.argv[1])))
server.settimeout(20)
print('ready', flush=True)
for _ in range(20):
    data, peer = server.recvfrom(2000)
    server.sendto(data, peer)
";
    let client = "\
import socket, sys
for address in ('10.201.2.2', 'fd00:201::2:2'):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(5)
    for size in (0, 1, 17, 100, 512, 1000, 1200, 1400, 1450, 1452):
        client.sendto(b'u' * size, (address, int(sys.argv[1])))
        assert len(client.recvfrom(2000)[0]) == size
";
    for port in ["443", "9000"] {
        let running = lab
            .start("origin", &["python3", "-c", server, port])
            .unwrap();
        let listening = || {
            !lab.origin(&["ss", "-Hlun", &format!("sport = :{port}")])
                .unwrap()
                .stdout
                .is_empty()
        };
        assert!(sluice_interop::until(
            std::time::Duration::from_secs(5),
            listening
        ));
        let frames = assert_transparent(&lab, "udp", || {
            let outcome = lab.client(&["python3", "-c", client, port]).unwrap();
            assert!(outcome.ok(), "{}", outcome.stderr);
        });
        assert!(frames >= 40, "only {frames} frames");
        drop(running);
    }
}

#[test]
fn f1_frames_that_are_not_ip_pass() {
    let lab = Lab::take().unwrap();
    let program = "\
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(('sl-client', 0))
head = bytes.fromhex('0200c90200020200c9010002')
for number in range(40):
    wire.send(head + b'\\x88\\xb5' + bytes([number]) * (46 + number * 37))
for kind in (b'\\x88\\xcc', b'\\x88\\x47', b'\\x08\\x06', b'\\x08\\x00', b'\\x86\\xdd', b'\\x00\\x10'):
    wire.send(head + kind + b'\\xff' * 46)
";
    let filter = "ether proto 0x88b5 or ether proto 0x88cc or ether proto 0x8847 or ether src 02:00:c9:01:00:02";
    let frames = assert_transparent(&lab, filter, || {
        let outcome = lab.client(&["python3", "-c", program]).unwrap();
        assert!(outcome.ok(), "{}", outcome.stderr);
    });
    assert!(frames >= 46, "only {frames} frames");
}

/// A VLAN interface at each end, for as long as this lives; the kernel's own is not everywhere.
struct Vlan {
    _ends: [Running; 2],
}

impl Vlan {
    fn new(lab: &Lab) -> Self {
        let program = lab.script("labkit/vlan.py");
        let end = |side: &str, address: &str| {
            let argv = [program.as_str(), &format!("sl-{side}"), "100", address];
            let mut running = lab.start(side, &argv).unwrap();
            let listed = ["ip", "-br", "address", "show", "dev", "sl-vlan", "up"];
            let up = until(Duration::from_secs(5), || {
                let outcome = if side == "client" {
                    lab.client(&listed)
                } else {
                    lab.origin(&listed)
                };
                outcome.unwrap().stdout.contains(address)
            });
            assert!(up && running.runs(), "no VLAN interface at the {side}");
            running
        };
        Self {
            _ends: [
                end("client", "10.202.1.2/16"),
                end("origin", "10.202.2.2/16"),
            ],
        }
    }
}

#[test]
fn p102_vlan_tagged_frames_pass_tagged() {
    let lab = Lab::take().unwrap();
    let _vlan = Vlan::new(&lab);
    let frames = assert_transparent(&lab, "vlan 100 and (arp or icmp)", || {
        ping(&lab, &["-4", "10.202.2.2"]);
    });
    assert!(frames >= 6, "only {frames} frames");
}

#[test]
fn p102_tls_inside_a_vlan_is_inspected() {
    let lab = Lab::take().unwrap();
    let _vlan = Vlan::new(&lab);
    let response = Curl::get("https://good.lab.test/bytes/65536")
        .with(&[
            "--resolve",
            "good.lab.test:443:10.202.2.2",
            "--output",
            "/dev/null",
        ])
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
    assert_eq!(response.issuer, lab.inspected_issuer());
    if lab.inspects() {
        let event = lab.event(response.local_port).unwrap();
        assert_eq!(event.verdict(), "inspect");
        assert_eq!(event.0["vlan"], serde_json::json!([100]));
    }
}
