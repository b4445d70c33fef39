//! The examples are read, and what is published is what is enforced.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its own documents has to fail"
)]

use std::fs;
use std::path::{Path, PathBuf};

use sluice_schema::{
    Configuration, Document, DocumentKind, PortAddress, Problem, json_schema, load,
};

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn examples() -> Vec<Document> {
    let root = configs().join("examples");
    let mut paths = vec!["appliance.toml".to_owned()];
    for entry in fs::read_dir(root.join("profiles")).unwrap() {
        paths.push(format!(
            "profiles/{}",
            entry.unwrap().file_name().into_string().unwrap()
        ));
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Document {
            text: fs::read_to_string(root.join(&path)).unwrap(),
            path,
        })
        .collect()
}

fn loaded() -> Configuration {
    let told =
        |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    load(&examples()).map_err(told).unwrap()
}

#[test]
fn the_examples_are_valid() {
    let configuration = loaded();
    let names: Vec<&str> = configuration
        .profiles
        .iter()
        .map(|profile| profile.name.as_str())
        .collect();
    assert_eq!(names, ["default", "inbound"]);
    assert_eq!(
        configuration.appliance.segments[0].port_a,
        PortAddress::Pci("0000:03:00.0".to_owned())
    );
    assert_eq!(configuration.appliance.virtual_segments[0].profile, None);
    assert_eq!(
        configuration.profiles[0].client_policies[0].always_decrypt_sources[0].to_string(),
        "10.0.9.20/32"
    );
    assert!(!configuration.profiles[0].client_policies[1].enabled);
}

#[test]
fn f104_session_logging_is_off_unless_asked_for() {
    let configuration = loaded();
    let mail = &configuration.profiles[0].client_proxies[1];
    assert!(!mail.session_logging);
    assert!(!configuration.profiles[1].server_proxies[1].session_logging);
    assert!(configuration.profiles[0].client_proxies[0].session_logging);
}

#[test]
fn f130_the_same_address_in_several_proxies_with_different_ports() {
    let inbound = &loaded().profiles[1];
    assert_eq!(
        inbound.server_proxies[0].addresses,
        inbound.server_proxies[1].addresses
    );
    assert_ne!(
        inbound.server_proxies[0].ports,
        inbound.server_proxies[1].ports
    );
}

#[test]
fn the_published_schemas_are_up_to_date() {
    for kind in DocumentKind::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("published/{}.schema.json", kind.name()));
        let mut fresh = serde_json::to_string_pretty(&json_schema(*kind)).unwrap();
        fresh.push('\n');
        if std::env::var_os("SLUICE_PUBLISH").is_some() {
            fs::write(&path, &fresh).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == fresh,
            "{} is stale; run this test with SLUICE_PUBLISH=1 to write it",
            path.display()
        );
    }
}

#[test]
fn the_examples_validate_against_the_published_schemas() {
    for document in examples() {
        let kind = DocumentKind::of_path(&document.path).unwrap();
        let validator = jsonschema::validator_for(&json_schema(kind)).unwrap();
        let instance: serde_json::Value = toml::from_str(&document.text).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&instance)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", document.path);
    }
}

#[test]
fn the_schema_refuses_what_load_refuses() {
    let validator = jsonschema::validator_for(&json_schema(DocumentKind::Appliance)).unwrap();
    let appliance = examples().remove(0);
    for (from, to) in [
        ("hugepages = ", "hugepage = "),
        ("cores = [1]", "cores = []"),
        ("memory_mib = 512", "memory_mib = 1"),
        ("idle = \"adaptive\"", "idle = \"sometimes\""),
        ("over_limit = \"bypass\"", "over_limit = true"),
        ("cores = [1]", "cores = [70000]"),
        ("name = \"sluice-1\"", ""),
    ] {
        let text = appliance.text.replacen(from, to, 1);
        assert_ne!(text, appliance.text, "{from}");
        let instance: serde_json::Value = toml::from_str(&text).unwrap();
        assert!(!validator.is_valid(&instance), "{to}");
        let mut documents = examples();
        documents[0].text = text;
        let problems = load(&documents).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].line.is_some(), "{problems:?}");
    }
}
