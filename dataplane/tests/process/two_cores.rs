//! Two polling cores in the running process, on however many processors there are.

use rustix::process::Signal;
use sluice_schema::{Certificate, Document, Generation, KeyId, Snapshot, load};
use sluice_shm::StatsView;
use sluice_sim::Authority;
use sluice_telemetry::Counter;

use crate::harness::{Control, Dataplane, Harness, appliance, eventually, segment};

const PROFILE: &str = r#"
name = "test"
[[client_proxy]]
name = "web"
signing_certificate = "authority"
detection_ports = [443]
[[trust_store]]
name = "roots"
authorities = ["authority"]
default_authorities = false
[[decryption_policy]]
name = "all"
[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "all"
trust_store = "roots"
"#;

/// A SYN of the client `number`.
pub(crate) fn syn(number: usize) -> Vec<u8> {
    let [.., high, low] = number.to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 1, high, low, 10, 2, 0, 1,
    ]);
    frame.extend([0x9c, 0x40, 1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02]);
    frame.extend([0xff, 0xff, 0, 0, 0, 0]);
    frame
}

/// This appliance with two polling cores, on the processors that there are, which inspects port 443; and its key.
fn snapshot(appliance: &str) -> (Vec<u8>, Vec<u8>) {
    let appliance = appliance.replace("name = \"test\"\n", "name = \"test\"\nprofile = \"test\"\n");
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let documents = [
        document("appliance.toml", &appliance),
        document("profiles/test.toml", PROFILE),
    ];
    let mut configuration = load(&documents).expect("a valid configuration");
    // An operator is refused this, for the main core and a polling one are in each other's way.
    configuration.appliance.dataplane.cores = vec![1, 0];
    let authority = Authority::new("Test CA", None).expect("an authority");
    let certificate = Certificate {
        name: "authority".parse().expect("a name"),
        chain: vec![authority.issued.chain[0].to_vec()],
        key: Some(KeyId(1)),
    };
    let snapshot = Snapshot {
        generation: Generation(1),
        configuration,
        certificates: vec![certificate],
    };
    (snapshot.encode(), authority.issued.pkcs8)
}

/// The process with this appliance on two cores; what it tells ends with its link.
pub(crate) fn start(harness: &Harness, appliance: &str) -> (Dataplane, Control, StatsView) {
    let (bytes, key) = snapshot(appliance);
    let dataplane = harness.start();
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish_bytes(1, &bytes, &[(1, &key)]);
    let stats = control
        .expect_hello(&[1, 0], Some(1))
        .expect("a statistics segment");
    (dataplane, control, stats)
}

/// The same frame in two fragments, of eight bytes and of the rest.
fn cut(frame: &[u8], identification: u16) -> [Vec<u8>; 2] {
    let part = |range: core::ops::Range<usize>, more: bool| {
        let mut part = frame[..34].to_vec();
        let length = u16::try_from(20 + range.len()).expect("a length");
        part[16..18].copy_from_slice(&length.to_be_bytes());
        part[18..20].copy_from_slice(&identification.to_be_bytes());
        let field = u16::try_from(range.start / 8).expect("an offset") | u16::from(more) << 13;
        part[20..22].copy_from_slice(&field.to_be_bytes());
        part[24..26].fill(0);
        let words = part[14..34].chunks(2);
        let sum: u32 = words
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("one carry");
        part[24..26].copy_from_slice(&sum.to_be_bytes());
        part.extend(&frame[34 + range.start..34 + range.end]);
        part
    };
    [part(0..8, true), part(8..frame.len() - 34, false)]
}

#[test]
fn e111_two_cores_of_the_running_process_find_the_flow_of_what_came_in_fragments() {
    const FLOWS: u16 = 300;
    let harness = Harness::new();
    // What a flow begins with comes whole and in fragments: on two cores it would be two flows.
    let there: Vec<_> = (0..FLOWS)
        .flat_map(|number| {
            let frame = syn(usize::from(number));
            let [first, second] = cut(&frame, number);
            [second, frame, first]
        })
        .collect();
    let (port_a, port_b) = (harness.pcap_port(0, &there), harness.pcap_port(1, &[]));
    let appliance = appliance(&segment(&port_a.devargs, &port_b.devargs));
    let (mut dataplane, _control, stats) = start(&harness, &appliance);
    eventually("every frame passes", || {
        stats.total(Counter::TxPacketsB) == there.len() as u64
    });
    assert_eq!(stats.total(Counter::DatagramsReassembled), u64::from(FLOWS));
    assert_eq!(stats.total(Counter::FlowsCandidate), u64::from(FLOWS));
    let shares: Vec<u64> = stats
        .cores()
        .map(|core| core.counter(Counter::FlowsCandidate))
        .collect();
    assert!(
        shares.iter().all(|share| *share > u64::from(FLOWS / 4)),
        "{shares:?}"
    );
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0, "{}", dataplane.errors());
    let sorted = |mut frames: Vec<Vec<u8>>| {
        frames.sort();
        frames
    };
    assert!(
        sorted(port_b.sent()) == sorted(there),
        "they leave as they came"
    );
}
