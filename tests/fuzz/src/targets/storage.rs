//! What crosses from one process to the other, or comes from an operator: what decodes encodes again to the same.

use sluice_schema::{Document, Generation, Snapshot, load};
use sluice_telemetry::Event;

/// Any bytes as an event of the ring: its writer may have died in the middle of it.
pub(crate) fn event(bytes: &[u8]) {
    let Ok(event) = Event::decode(bytes) else {
        return;
    };
    // Too long a detail is cut, once.
    let Ok(encoded) = event.encode() else {
        return;
    };
    let again = Event::decode(&encoded).unwrap();
    assert_eq!(again.encode().unwrap(), encoded);
}

/// Any bytes as a snapshot.
pub(crate) fn snapshot(bytes: &[u8]) {
    if let Ok(snapshot) = Snapshot::decode(bytes) {
        let encoded = snapshot.encode();
        assert_eq!(Snapshot::decode(&encoded).unwrap(), snapshot);
    }
}

/// Any bytes as an appliance document and, behind a NUL, a profile.
pub(crate) fn documents(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (appliance, profile) = text.split_once('\0').unwrap_or((&text, ""));
    let documents =
        [("appliance.toml", appliance), ("profiles/p.toml", profile)].map(|(path, text)| {
            Document {
                path: path.to_owned(),
                text: text.to_owned(),
            }
        });
    match load(&documents) {
        Ok(configuration) => {
            let snapshot = Snapshot {
                generation: Generation(1),
                configuration,
                certificates: Vec::new(),
            };
            assert_eq!(Snapshot::decode(&snapshot.encode()), Ok(snapshot));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.message.is_empty());
                let lines = documents
                    .iter()
                    .filter(|document| document.path == problem.path)
                    .map(|document| document.text.split('\n').count());
                let last = lines.max().unwrap_or(0);
                assert!(problem.line.is_none_or(|line| (1..=last).contains(&line)));
            }
        }
    }
}
