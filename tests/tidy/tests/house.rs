//! Each rule of the house.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use sluice_tidy::{Ledger, Standing, TIERS, Tree, UNSAFE_ROOMS};

/// Longer files hold more than one concept.
const FILE_LINES_MAX: usize = 600;

fn metadata(tree: &Tree) -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(&tree.root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

#[test]
fn every_crate_stands_in_its_room_and_depends_only_downwards() {
    let tree = Tree::read().unwrap();
    let tiers: BTreeMap<&str, u8> = TIERS.iter().map(|(name, _, tier)| (*name, *tier)).collect();
    let metadata = metadata(&tree);
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let (_, room, tier) = TIERS
            .iter()
            .find(|(known, ..)| *known == name)
            .unwrap_or_else(|| panic!("{name}: give it a tier in tests/tidy/src/rooms.rs"));
        let manifest = package["manifest_path"].as_str().unwrap();
        assert!(
            manifest.ends_with(&format!("/{room}/Cargo.toml")),
            "{name} stands in {manifest}, not in {room}"
        );
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            let normal = dependency["kind"].is_null();
            if let (true, Some(used_tier)) = (normal, tiers.get(used)) {
                assert!(
                    used_tier <= tier,
                    "{name} (tier {tier}) must not depend on {used} (tier {used_tier})"
                );
            }
        }
        seen.insert(name.to_owned());
    }
    for (name, ..) in TIERS {
        assert!(
            seen.contains(*name),
            "{name} has a tier but is no member of the workspace"
        );
    }
}

#[test]
fn the_two_processes_never_import_each_other() {
    let tree = Tree::read().unwrap();
    let room_of: BTreeMap<&str, &str> =
        TIERS.iter().map(|(name, room, _)| (*name, *room)).collect();
    for package in metadata(&tree)["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            let (Some(from), Some(to)) = (room_of.get(name), room_of.get(used)) else {
                continue;
            };
            // `explain` gives the cores' own answer: policy is pure and holds no process state.
            let crosses = (from.starts_with("control")
                && to.starts_with("dataplane")
                && used != "sluice-policy")
                || (from.starts_with("dataplane") && to.starts_with("control"));
            assert!(
                !crosses,
                "{name} must not import {used}: the contract between the processes is configs/"
            );
        }
    }
}

#[test]
fn unsafe_stands_in_three_rooms_only() {
    let tree = Tree::read().unwrap();
    for (name, room, _) in TIERS {
        let allowed = UNSAFE_ROOMS.contains(name);
        for root in ["src/lib.rs", "src/main.rs"] {
            let path = format!("{room}/{root}");
            let Some(source) = tree.sources.iter().find(|source| source.path == path) else {
                continue;
            };
            let forbids = source.text.contains("#![forbid(unsafe_code)]");
            assert_eq!(
                forbids, !allowed,
                "{path}: `#![forbid(unsafe_code)]` belongs in every crate root but {UNSAFE_ROOMS:?}"
            );
        }
    }
}

#[test]
fn files_hold_one_concept() {
    let tree = Tree::read().unwrap();
    let long: Vec<String> = tree
        .sources
        .iter()
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "over {FILE_LINES_MAX} lines: {long:#?}");
}

#[test]
fn every_test_named_in_the_specification_exists() {
    let tree = Tree::read().unwrap();
    let tests: BTreeSet<String> = tree.tests().into_iter().map(|(_, name)| name).collect();
    let ledger = Ledger::parse(&tree.text("SPECIFICATION.md").unwrap());
    assert!(ledger.malformed.is_empty(), "{:#?}", ledger.malformed);
    for row in &ledger.rows {
        let at = format!("SPECIFICATION.md:{}: {}", row.line, row.id);
        match row.standing {
            Standing::Holds | Standing::Partly => {
                assert!(!row.tests.is_empty(), "{at} names no test");
            }
            Standing::Pending => assert!(!row.proof.is_empty(), "{at} is pending without a reason"),
        }
        for test in &row.tests {
            assert!(tests.contains(test), "{at}: there is no test `{test}`");
        }
    }
}

#[test]
fn the_specification_has_every_row_once() {
    let tree = Tree::read().unwrap();
    let text = tree.text("SPECIFICATION.md").unwrap();
    let (features, rows) = text
        .split_once("## Test rows")
        .expect("SPECIFICATION.md has a chapter `Test rows`");
    let ids = |text: &str| -> Vec<String> {
        Ledger::parse(text)
            .rows
            .into_iter()
            .map(|row| row.id)
            .collect()
    };
    let expected_features: Vec<String> = (1..=162).map(|number| format!("F{number}")).collect();
    assert_eq!(
        ids(features),
        expected_features,
        "the feature rows, in order"
    );
    let sections = [
        ('C', 1..=42),
        ('L', 43..=54),
        ('T', 55..=81),
        ('P', 82..=103),
        ('E', 104..=114),
        ('H', 115..=120),
        ('D', 121..=129),
        ('F', 130..=142),
        ('K', 143..=150),
        ('Z', 151..=151),
    ];
    let expected_rows: Vec<String> = sections
        .into_iter()
        .flat_map(|(letter, numbers)| numbers.map(move |number| format!("{letter}{number}")))
        .filter(|id| id != "E107") // the list has no row 107
        .collect();
    assert_eq!(ids(rows), expected_rows, "the test rows, in order");
}

#[test]
fn no_path_of_one_machine_stands_in_the_tree() {
    let tree = Tree::read().unwrap();
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "plan"),
        concat!("/home/", "user"),
    ];
    for source in &tree.sources {
        for needle in needles {
            assert!(
                !source.text.contains(needle),
                "{} names {needle}",
                source.path
            );
        }
    }
}
