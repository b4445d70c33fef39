//! Snapshots read what they write; bytes from anywhere else are refused. Differences are told key by key.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its own documents has to fail"
)]

use proptest::prelude::*;
use sluice_schema::{
    Certificate, ChangeKind, Configuration, Document, Generation, KeyId, Snapshot, SnapshotError,
    load, restart_needed,
};

const APPLIANCE: &str = include_str!("../../examples/appliance.toml");
const DEFAULT: &str = include_str!("../../examples/profiles/default.toml");
const INBOUND: &str = include_str!("../../examples/profiles/inbound.toml");

fn configuration(appliance: &str, profile: &str) -> Configuration {
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    load(&[
        document("appliance.toml", appliance),
        document("profiles/default.toml", profile),
        document("profiles/inbound.toml", INBOUND),
    ])
    .unwrap()
}

fn snapshot() -> Snapshot {
    Snapshot {
        generation: Generation(7),
        configuration: configuration(APPLIANCE, DEFAULT),
        certificates: vec![
            Certificate {
                name: "sluice-ca".parse().unwrap(),
                chain: vec![vec![0x30, 0x82], vec![1, 2, 3]],
                key: Some(KeyId(4)),
            },
            Certificate {
                name: "lab-root".parse().unwrap(),
                chain: vec![vec![5]],
                key: None,
            },
        ],
    }
}

#[test]
fn a_snapshot_reads_what_it_writes() {
    let snapshot = snapshot();
    let bytes = snapshot.encode();
    assert!(bytes.starts_with(b"SLUICE\x02\x00"));
    let read = Snapshot::decode(&bytes).unwrap();
    assert_eq!(read, snapshot);
    assert_eq!(
        read.certificate(&"lab-root".parse().unwrap()).unwrap().key,
        None
    );
    assert_eq!(read.encode(), bytes, "the same snapshot is the same bytes");
}

#[test]
fn e139_a_damaged_snapshot_is_refused() {
    let bytes = snapshot().encode();
    assert_eq!(Snapshot::decode(b""), Err(SnapshotError::NotASnapshot));
    assert_eq!(
        Snapshot::decode(b"SLUICE"),
        Err(SnapshotError::NotASnapshot)
    );
    assert_eq!(
        Snapshot::decode(b"SLUICE\x01\x00"),
        Err(SnapshotError::Format { found: 1 })
    );
    for length in 8..bytes.len() {
        assert_eq!(
            Snapshot::decode(&bytes[..length]),
            Err(SnapshotError::Malformed),
            "cut at {length}"
        );
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Snapshot::decode(&longer), Err(SnapshotError::Malformed));
}

#[test]
fn e139_a_snapshot_with_an_invalid_name_is_refused() {
    let bytes = snapshot().encode();
    let at = bytes
        .windows(9)
        .position(|window| window == b"sluice-ca")
        .unwrap();
    let mut bad = bytes;
    bad[at] = b'/';
    assert_eq!(Snapshot::decode(&bad), Err(SnapshotError::Malformed));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut framed = b"SLUICE\x02\x00".to_vec();
        framed.extend_from_slice(&bytes);
        let _ = Snapshot::decode(&bytes);
        let _ = Snapshot::decode(&framed);
    }

    #[test]
    fn damaged_snapshots_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = snapshot().encode();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = Snapshot::decode(&bytes) {
            prop_assert_eq!(Snapshot::decode(&read.encode()), Ok(read));
        }
    }

    #[test]
    fn arbitrary_documents_never_panic(text in "[a-z_\\[\\]=\"0-9.\n #{},-]{0,200}") {
        let _ = load(&[Document { path: "appliance.toml".to_owned(), text: text.clone() }]);
        let _ = load(&[Document { path: "profiles/a.toml".to_owned(), text }]);
    }
}

#[test]
fn nothing_differs_from_itself() {
    let one = configuration(APPLIANCE, DEFAULT);
    assert!(one.diff(&one).is_empty());
    assert!(restart_needed(&one, &one).is_empty());
}

#[test]
fn differences_are_told_by_path() {
    let old = configuration(APPLIANCE, DEFAULT);
    let new = configuration(
        &APPLIANCE.replace("over_limit = \"bypass\"", "over_limit = \"block\""),
        &DEFAULT.replace("[993]", "[993, 143]").replace(
            "name = \"public\"\ndefault",
            "name = \"public\"\ndescription = \"x\"\ndefault",
        ),
    );
    let told: Vec<String> = old.diff(&new).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            r#"~ appliance.limits.over_limit: "bypass" -> "block""#,
            r#"~ profiles[default].client_proxies[mail].detection_ports: ["993"] -> ["143","993"]"#,
            r#"+ profiles[default].trust_stores[public].description = "x""#,
        ]
    );
    assert!(restart_needed(&old, &new).is_empty());
}

#[test]
fn entries_added_and_removed_are_told_by_name() {
    let old = configuration(APPLIANCE, DEFAULT);
    let mail = DEFAULT
        .find("[[client_policy]]\nname = \"outbound-mail\"")
        .unwrap();
    let new = configuration(APPLIANCE, &DEFAULT[..mail]);
    let changes = old.diff(&new);
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].path,
        "profiles[default].client_policies[outbound-mail]"
    );
    assert!(matches!(changes[0].kind, ChangeKind::Removed { .. }));
    assert!(matches!(new.diff(&old)[0].kind, ChangeKind::Added { .. }));
}

#[test]
fn the_order_of_virtual_segments_is_a_difference() {
    let first = APPLIANCE.find("[[virtual_segment]]").unwrap();
    let second = APPLIANCE.rfind("[[virtual_segment]]").unwrap();
    let swapped = format!(
        "{}{}\n{}",
        &APPLIANCE[..first],
        &APPLIANCE[second..],
        &APPLIANCE[first..second]
    );
    let changes = configuration(APPLIANCE, DEFAULT).diff(&configuration(&swapped, DEFAULT));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(
        changes[0].to_string(),
        "~ appliance.virtual_segments: order management, data-centre -> data-centre, management"
    );
}

#[test]
fn boot_settings_need_a_restart() {
    let old = configuration(APPLIANCE, DEFAULT);
    for (from, to) in [
        ("cores = [1]", "cores = [1, 2]"),
        ("memory_mib = 512", "memory_mib = 1024"),
        ("0000:03:00.1", "0000:03:00.2"),
        ("flows_max = 131072", "flows_max = 262144"),
    ] {
        assert!(APPLIANCE.contains(from));
        let new = configuration(&APPLIANCE.replacen(from, to, 1), DEFAULT);
        assert_eq!(restart_needed(&old, &new).len(), 1, "{to}");
    }
    let blind = APPLIANCE.replace("= true  ", "= false ");
    let translated = blind.replacen(
        "\n[[virtual_segment]]",
        "\n[[segment.vlan_translation]]\nport_a = 10\nport_b = 20\n[[virtual_segment]]",
        1,
    );
    let changes = configuration(&blind, DEFAULT).diff(&configuration(&translated, DEFAULT));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(
        restart_needed(
            &configuration(&blind, DEFAULT),
            &configuration(&translated, DEFAULT)
        )
        .is_empty(),
        "translations are adopted while the ports stay open"
    );
    let new = configuration(
        &APPLIANCE.replace(
            "inspected_sessions_max = 20000",
            "inspected_sessions_max = 10",
        ),
        DEFAULT,
    );
    assert!(restart_needed(&old, &new).is_empty());
}
