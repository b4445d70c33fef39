//! Links of other sizes than Ethernet's own, from jumbo frames down to 576 bytes.

use std::time::Duration;

use sluice_interop::{Curl, Lab, Packet};

use crate::bodies::{fill, sha256};

const BYTES: usize = 3_000_000;
const LIMIT: Duration = Duration::from_secs(30);
const ETHERNET_HEADER_BYTES: usize = 14;

/// Longest frame that carries payload from a station, from the Ethernet header on.
fn longest(packets: &[Packet], station: [u8; 6]) -> usize {
    packets
        .iter()
        .filter(|packet| {
            packet.frame.get(6..12) == Some(&station[..]) && !packet.payload().is_empty()
        })
        .map(|packet| packet.frame.len())
        .max()
        .unwrap_or(0)
}

/// Both ways over links of this MTU; returns the longest frames with payload that the client sent and received.
fn transfers_at(mtu: usize) -> Option<(usize, usize)> {
    let lab = Lab::anew(&["--mtu", &mtu.to_string()]).unwrap()?;
    let original = lab.facts.www_dir.join("sized");
    fill(&original, BYTES);
    let source = original.display().to_string();
    let target = tempfile::NamedTempFile::new_in(&lab.facts.www_dir).unwrap();
    let output = target.path().display().to_string();
    let capture = lab.capture("client", "tcp port 443").unwrap();
    for (url, arguments) in [
        ("https://good.lab.test/sized", ["--output", &output]),
        (
            "https://good.lab.test/upload/sized",
            ["--upload-file", &source],
        ),
    ] {
        let response = Curl::get(url)
            .with(&["-4", "--http1.1"])
            .with(&arguments)
            .within(LIMIT)
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(response.exit, 0, "{mtu}: {response:?}");
        assert_eq!(response.issuer, lab.inspected_issuer());
    }
    let packets = capture.packets().unwrap();
    for arrived in [target.path(), &lab.facts.upload_dir.join("sized")] {
        assert_eq!(sha256(arrived), sha256(&original), "{mtu}");
    }
    let (client, origin) = ([2, 0, 0xc9, 1, 0, 2], [2, 0, 0xc9, 2, 0, 2]);
    Some((longest(&packets, client), longest(&packets, origin)))
}

#[test]
fn p102_jumbo_frames_are_inspected() {
    let Some((sent, received)) = transfers_at(9000) else {
        return;
    };
    assert_eq!(
        sent,
        ETHERNET_HEADER_BYTES + 9000,
        "the client fills its frames"
    );
    assert!(
        received > 1000 && received <= ETHERNET_HEADER_BYTES + 9000,
        "{received} bytes"
    );
    println!("longest frames at MTU 9000: {sent} bytes sent, {received} received");
}

#[test]
fn p102_links_of_576_bytes_are_kept_to() {
    let Some((sent, received)) = transfers_at(576) else {
        return;
    };
    assert_eq!(
        (sent, received),
        (590, 590),
        "both fill their frames, and no more"
    );
}
