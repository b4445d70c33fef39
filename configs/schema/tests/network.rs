//! Load thresholds, asymmetric networks and VLAN translation: what is read, and what is refused with which words.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its own documents has to fail"
)]

use sluice_schema::{
    Configuration, Document, IrregularHandshake, OnExhaustion, Problem, VlanTranslation, load,
};

const BLIND: &str = r#"[appliance]
name = "lab"
profile = "lab"
[dataplane]
cores = [1]
[inspection]
client = false
server = false
[network]
asymmetric = true
[[segment]]
name = "segment-1"
port_a = "af_packet:sl-a"
port_b = "af_packet:sl-b"
[[segment.vlan_translation]]
port_a = 100
port_b = 200
[[segment.vlan_translation]]
port_a = 200
port_b = 100
[[segment]]
name = "segment-2"
port_a = "af_packet:sl-c"
port_b = "af_packet:sl-d"
[limits]
sessions_warning_percent = 50
"#;

const PROFILE: &str = r#"name = "lab"
[[client_proxy]]
name = "web"
signing_certificate = "sluice-ca"
detection_ports = [443]
"#;

fn read(appliance: &str, profile: &str) -> Result<Configuration, Vec<Problem>> {
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    load(&[
        document("appliance.toml", appliance),
        document("profiles/lab.toml", profile),
    ])
}

fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(BLIND.contains(from), "{from}");
    let problems = read(&BLIND.replacen(from, to, 1), PROFILE).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn f8_f9_what_an_appliance_without_inspection_may_do() {
    let appliance = read(BLIND, PROFILE).unwrap().appliance;
    assert!(appliance.network.asymmetric);
    let translation = |port_a, port_b| VlanTranslation { port_a, port_b };
    assert_eq!(
        appliance.segments[0].vlan_translations,
        [translation(100, 200), translation(200, 100)]
    );
    assert!(appliance.segments[1].vlan_translations.is_empty());
}

#[test]
fn f8_f9_inspection_is_refused_with_each_of_them_and_both_keys_are_named() {
    assert_eq!(
        problems("client = false", "client = true"),
        [
            "appliance.toml:10: `asymmetric` in [network] is true and `client` in [inspection] is true, which it is unless \
             set: inspection needs both directions of a flow; set `asymmetric` to false, or `client` and `server` in \
             [inspection] to false",
            "appliance.toml:15: there is a [[segment.vlan_translation]] and `client` in [inspection] is true, which it is \
             unless set: a flow that is inspected keeps its VLAN; take the translation out, or set `client` and `server` \
             in [inspection] to false",
        ]
    );
    // Both switches are on unless they are turned off.
    let found = problems("[inspection]\nclient = false\nserver = false\n", "");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|problem| problem.contains("`client` and `server` in [inspection] are true"))
    );
}

#[test]
fn f9_a_vlan_has_one_partner_and_an_identifier_that_exists() {
    assert_eq!(
        problems("port_a = 200", "port_a = 100"),
        [
            "appliance.toml:19: `port_a` 100 is translated in line 16 already; a VLAN has one identifier on the other \
             side, take one out"
        ]
    );
    assert_eq!(
        problems("port_b = 100", "port_b = 200"),
        [
            "appliance.toml:20: `port_b` 200 is translated in line 17 already; a VLAN has one identifier on the other \
             side, take one out"
        ]
    );
    assert_eq!(
        problems("port_b = 200", "port_b = 4095"),
        ["appliance.toml:17: `port_b` is 4095; it must be between 1 and 4094"]
    );
    assert_eq!(
        problems("port_b = 200", "vlan = 200"),
        [
            "appliance.toml:15: `port_b` is missing in [[segment.vlan_translation]]; add it: a whole number",
            "appliance.toml:17: unknown key `vlan` in [[segment.vlan_translation]]; known keys: port_a, port_b",
        ]
    );
}

#[test]
fn f28_thresholds_have_defaults_and_an_order() {
    let limits = read(BLIND, PROFILE).unwrap().appliance.limits;
    assert_eq!(limits.sessions_warning_percent, 50);
    assert_eq!(limits.sessions_critical_percent, 95);
    assert_eq!(limits.on_exhaustion, OnExhaustion::Bypass);
    assert_eq!(
        problems(
            "sessions_warning_percent = 50",
            "sessions_warning_percent = 95"
        ),
        [
            "appliance.toml:26: `sessions_warning_percent` 95 is not below `sessions_critical_percent` 95; a warning comes \
             first, lower it"
        ]
    );
    assert_eq!(
        problems(
            "sessions_warning_percent = 50",
            "sessions_critical_percent = 101"
        ),
        ["appliance.toml:26: `sessions_critical_percent` is 101; it must be between 1 and 100"]
    );
    let drop = BLIND.replace(
        "sessions_warning_percent = 50",
        "on_exhaustion = \"drop\"\nsessions_critical_percent = 100",
    );
    let limits = read(&drop, PROFILE).unwrap().appliance.limits;
    assert_eq!(limits.sessions_warning_percent, 80);
    assert_eq!(limits.on_exhaustion, OnExhaustion::Drop);
    assert_eq!(
        problems("sessions_warning_percent = 50", "on_exhaustion = \"block\""),
        ["appliance.toml:26: `on_exhaustion` is \"block\"; allowed are \"bypass\", \"drop\""]
    );
}

#[test]
fn e108_irregular_handshakes_pass_a_client_proxy_unless_told() {
    let of = |profile: &str| {
        let configuration = read(BLIND, profile).unwrap();
        configuration.profiles[0].client_proxies[0].irregular_handshake
    };
    assert_eq!(of(PROFILE), IrregularHandshake::Bypass);
    let block = PROFILE.replace(
        "detection_ports",
        "irregular_handshake = \"block\"\ndetection_ports",
    );
    assert_eq!(of(&block), IrregularHandshake::Block);
}
