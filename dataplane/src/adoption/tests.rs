use std::os::fd::AsFd;

use sluice_schema::{Document, load};

use super::*;

fn appliance(text: &str) -> Appliance {
    let documents = [Document {
        path: "appliance.toml".to_owned(),
        text: text.to_owned(),
    }];
    load(&documents).expect("a valid configuration").appliance
}

const BOOTED: &str = r#"
[appliance]
name = "lab"
[dataplane]
cores = [1]
main_core = 0
memory_mib = 256
[[segment]]
name = "one"
port_a = "af_packet:sl-a"
port_b = "af_packet:sl-b"
"#;

#[test]
fn settings_that_wait_for_a_restart_are_named() {
    let booted = appliance(BOOTED);
    assert_eq!(boot_change(&booted, &booted), BootChange::None);
    let changed = appliance(
        &BOOTED
            .replace("memory_mib = 256", "memory_mib = 512")
            .replace("cores = [1]", "cores = [1, 2]"),
    );
    assert_eq!(
        boot_change(&booted, &changed),
        BootChange::AtRestart(vec!["dataplane.cores", "dataplane.memory_mib"])
    );
}

#[test]
fn other_segments_need_a_restart() {
    let booted = appliance(BOOTED);
    let renamed = appliance(&BOOTED.replace("af_packet:sl-b", "af_packet:sl-c"));
    assert_eq!(
        boot_change(&booted, &renamed),
        BootChange::Segments("segment one is not as it was".to_owned())
    );
    let more =
        format!("{BOOTED}[[segment]]\nname = \"two\"\nport_a = \"tap:a\"\nport_b = \"tap:b\"\n");
    assert_eq!(
        boot_change(&booted, &appliance(&more)),
        BootChange::Segments("2 instead of 1".to_owned())
    );
}

#[test]
fn f139_what_is_no_snapshot_is_refused_and_says_why() {
    let none = open(3, Vec::new()).err().expect("refused");
    assert!(
        matches!(
            none,
            OfferError::Descriptors {
                generation: 3,
                count: 0
            }
        ),
        "{none}"
    );

    let descriptors = |bytes: &[u8], generation| {
        let snapshot = SealedSnapshot::seal(generation, bytes).expect("sealed");
        let keys = KeySegment::create(&[]).expect("keys");
        let keys = keys.as_fd().try_clone_to_owned().expect("a descriptor");
        vec![snapshot, keys]
    };
    let garbage = open(3, descriptors(b"not a snapshot", 3))
        .err()
        .expect("refused");
    assert!(
        matches!(garbage, OfferError::Content { generation: 3, .. }),
        "{garbage}"
    );

    let documents = [Document {
        path: "appliance.toml".to_owned(),
        text: BOOTED.to_owned(),
    }];
    let configuration = load(&documents).expect("valid");
    let snapshot = Snapshot {
        generation: sluice_schema::Generation(4),
        configuration,
        certificates: Vec::new(),
    };
    let mixed = open(3, descriptors(&snapshot.encode(), 3))
        .err()
        .expect("refused");
    assert!(
        matches!(
            mixed,
            OfferError::OtherGeneration {
                announced: 3,
                found: 4
            }
        ),
        "{mixed}"
    );
    let unsealed = std::fs::File::open("/dev/null").expect("a file");
    let unsealed = vec![
        OwnedFd::from(unsealed.try_clone().expect("a file")),
        OwnedFd::from(unsealed),
    ];
    assert!(matches!(open(3, unsealed), Err(OfferError::Sealed { .. })));

    // The keys of a test's segment are overwritten when it is dropped, which is what a retired generation looks like.
    let retired = open(4, descriptors(&snapshot.encode(), 4));
    assert!(
        matches!(&retired, Err(OfferError::Keys { generation: 4, .. })),
        "{:?}",
        retired.err()
    );
}
