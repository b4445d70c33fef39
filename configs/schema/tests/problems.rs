//! What is wrong is told with file, line, key and what to do; all at once.

use sluice_schema::{Document, Problem, load};

const APPLIANCE: &str = r#"[appliance]
name = "lab"
profile = "lab"
[dataplane]
cores = [1]
[[segment]]
name = "segment-1"
port_a = "af_packet:sl-a"
port_b = "af_packet:sl-b"
"#;

const PROFILE: &str = r#"name = "lab"
[[client_proxy]]
name = "web"
signing_certificate = "sluice-ca"
detection_ports = [443]
[[trust_store]]
name = "default"
[[decryption_policy]]
name = "standard"
[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "standard"
trust_store = "default"
[[server_proxy]]
name = "dmz"
addresses = ["10.201.2.2/32"]
ports = [8443]
certificates = ["site-a"]
[[server_policy]]
name = "inbound"
server_proxy = "dmz"
"#;

fn documents(appliance: &str, profile: &str) -> Vec<Document> {
    vec![
        Document {
            path: "appliance.toml".to_owned(),
            text: appliance.to_owned(),
        },
        Document {
            path: "profiles/lab.toml".to_owned(),
            text: profile.to_owned(),
        },
    ]
}

fn problems(appliance: &str, profile: &str) -> Vec<Problem> {
    load(&documents(appliance, profile)).expect_err("the documents are wrong")
}

/// The only problem of the appliance document with `from` replaced.
fn appliance(from: &str, to: &str) -> String {
    assert!(APPLIANCE.contains(from), "{from}");
    only(&problems(&APPLIANCE.replacen(from, to, 1), PROFILE))
}

/// The only problem of the profile with `from` replaced.
fn profile(from: &str, to: &str) -> String {
    assert!(PROFILE.contains(from), "{from}");
    only(&problems(APPLIANCE, &PROFILE.replacen(from, to, 1)))
}

fn only(problems: &[Problem]) -> String {
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].to_string()
}

#[test]
fn the_base_is_right() {
    let configuration = load(&documents(APPLIANCE, PROFILE)).unwrap();
    assert_eq!(configuration.appliance.dataplane.memory_mib, 512);
    assert_eq!(
        configuration.profiles[0].client_proxies[0].minimum_key_bits,
        2048
    );
    assert_eq!(configuration.certificate_uses().len(), 2);
}

#[test]
fn an_unknown_key_names_file_line_and_key() {
    assert_eq!(
        appliance("cores = [1]", "cores = [1]\nhugepage = \"off\""),
        "appliance.toml:6: unknown key `hugepage` in [dataplane]; did you mean `hugepages`?"
    );
    assert_eq!(
        profile(
            "detection_ports = [443]",
            "detection_ports = [443]\n\nresets = true"
        ),
        "profiles/lab.toml:7: unknown key `resets` in [[client_proxy]]; known keys: \
         block_expired_certificates, block_invalid_certificates, description, detection_ports, irregular_handshake, \
         minimum_key_bits, name, reset_client_on_block, service, session_logging, signing_certificate, tls_versions, untrusted_certificate"
    );
    assert_eq!(
        appliance("[[segment]]", "[segments]\nx = 1\n[[segment]]"),
        "appliance.toml:6: unknown key `segments` in the document's top level; did you mean `segment`?"
    );
}

#[test]
fn every_problem_is_told_at_once_in_order() {
    let found = problems(
        &APPLIANCE
            .replace("cores = [1]", "cores = [1, 1, 0]\nidle = \"never\"")
            .replace("name = \"lab\"", "name = 5"),
        &PROFILE
            .replace("ports = [8443]", "ports = [0]")
            .replace("10.201.2.2/32", "10.201.2.2/24"),
    );
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "appliance.toml:2: `name` is a whole number; it must be a text in quotes",
            "appliance.toml:6: `idle` is \"never\"; allowed are \"adaptive\", \"busy-poll\"",
            "profiles/lab.toml:17: `addresses` \"10.201.2.2/24\": it has bits past its prefix; write 10.201.2.0/24",
            "profiles/lab.toml:18: `ports` \"0\": `0` is no port; write one such as 443 or a range such as \"8000-8100\", from 1 to 65535",
        ]
    );
    assert_eq!(found[2].key, "server_proxy[0].addresses[0]");
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let told = appliance("cores = [1]", "cores = [1");
    assert!(told.starts_with("appliance.toml:"), "{told}");
    assert!(told.contains("not valid TOML"), "{told}");
    assert_eq!(
        appliance("cores = [1]", "cores = [1]\ncores = [2]"),
        "appliance.toml:6: not valid TOML: duplicate key"
    );
}

#[test]
fn a_missing_key_names_its_table() {
    assert_eq!(
        appliance("cores = [1]\n", ""),
        "appliance.toml:4: `cores` is missing in [dataplane]; add it: a list in brackets, each entry a whole number"
    );
    assert_eq!(
        profile("signing_certificate = \"sluice-ca\"\n", ""),
        "profiles/lab.toml:2: `signing_certificate` is missing in [[client_proxy]]; add it: a text in quotes"
    );
}

#[test]
fn an_appliance_document_has_to_be_there_once() {
    let all = documents(APPLIANCE, PROFILE);
    assert_eq!(
        only(&load(&all[1..]).unwrap_err()),
        "appliance.toml: there is no appliance.toml; every configuration has one"
    );
    let mut twice = all.clone();
    twice.push(Document {
        path: "x/appliance.toml".to_owned(),
        text: APPLIANCE.to_owned(),
    });
    assert_eq!(
        only(&load(&twice).unwrap_err()),
        "x/appliance.toml: there is an appliance.toml already: appliance.toml"
    );
    let mut stray = all;
    stray.push(Document {
        path: "notes.txt".to_owned(),
        text: String::new(),
    });
    assert!(only(&load(&stray).unwrap_err()).starts_with("notes.txt: no document belongs here"));
}

#[test]
fn cores_are_checked() {
    assert_eq!(
        appliance("cores = [1]", "cores = []"),
        "appliance.toml:5: `cores` is empty; it needs at least one entry"
    );
    assert_eq!(
        appliance("cores = [1]", "cores = [1, 2, 1]"),
        "appliance.toml:5: `cores` has core 1 twice; each polls once"
    );
    assert_eq!(
        appliance("cores = [1]", "cores = [1]\nmain_core = 1"),
        "appliance.toml:6: `main_core` 1 is among `cores`; a polling core does nothing else, choose another"
    );
    assert!(appliance("cores = [1]", "cores = [-1]").contains("between 0 and 65535"));
}

#[test]
fn memory_and_limits_are_bounded() {
    assert_eq!(
        appliance("cores = [1]", "cores = [1]\nmemory_mib = 32"),
        "appliance.toml:6: `memory_mib` is 32; it must be between 64 and 1048576"
    );
    assert_eq!(
        appliance(
            "[[segment]]",
            "[limits]\nflows_max = 2048\ninspected_sessions_max = 4096\n[[segment]]"
        ),
        "appliance.toml:8: `inspected_sessions_max` 4096 is more than `flows_max` 2048; every inspected session is a \
         tracked flow, raise `flows_max`"
    );
    assert!(
        appliance(
            "cores = [1]",
            "cores = [1]\nmemory_mib = 99999999999999999999"
        )
        .contains("between 64 and")
    );
}

#[test]
fn a_port_belongs_to_one_end() {
    assert_eq!(
        appliance("sl-b", "sl-a"),
        "appliance.toml:9: `port_b` af_packet:sl-a is in use in line 8 already; every port belongs to one segment's end"
    );
    assert!(appliance("af_packet:sl-b", "eth0").contains("is no port; write af_packet:INTERFACE"));
}

#[test]
fn a_segment_has_to_be_there() {
    let without = &APPLIANCE[..APPLIANCE.find("[[segment]]").unwrap()];
    assert!(only(&problems(without, PROFILE)).contains("there is no [[segment]]"));
}

#[test]
fn f135_a_virtual_segment_scopes_segment_vlan_source_and_destination() {
    let with = |body: &str| format!("{APPLIANCE}[[virtual_segment]]\nname = \"guests\"\n{body}\n");
    let good = with(
        "segment = \"segment-1\"\nvlan = [100, \"200-299\"]\nsources = [\"10.0.0.0/8\"]\ndestinations = [\"fd00::/8\"]\nprofile = \"lab\"",
    );
    let configuration = load(&documents(&good, PROFILE)).unwrap();
    let guests = &configuration.appliance.virtual_segments[0];
    assert_eq!(guests.vlans[1].to_string(), "200-299");
    assert_eq!(
        guests.profile.as_ref().map(ToString::to_string),
        Some("lab".to_owned())
    );

    let none = load(&documents(&with("profile = \"none\""), PROFILE)).unwrap();
    assert_eq!(none.appliance.virtual_segments[0].profile, None);

    let bad = problems(
        &with("segment = \"segment-2\"\nvlan = [4095]\nsources = [\"x\"]\nprofile = \"guests\""),
        PROFILE,
    );
    let text: Vec<String> = bad.iter().map(ToString::to_string).collect();
    assert!(
        text[0].contains(
            "`segment` names the segment \"segment-2\", which does not exist; there is segment-1"
        ),
        "{text:?}"
    );
    assert!(text[1].contains("`4095` is no VLAN"), "{text:?}");
    assert!(
        text[2].contains("neither an address nor a network"),
        "{text:?}"
    );
    assert!(
        text[3].contains("`profile` names the profile \"guests\", which does not exist"),
        "{text:?}"
    );
}

#[test]
fn a_profile_that_cannot_be_read_is_not_also_missing() {
    let told = profile("name = \"lab\"", "name = \"lab\"\nnam = 1");
    assert!(told.contains("unknown key `nam`"), "{told}");
}

#[test]
fn f98_a_policy_refers_to_a_client_proxy_that_exists() {
    assert_eq!(
        profile("client_proxy = \"web\"", "client_proxy = \"wab\""),
        "profiles/lab.toml:12: `client_proxy` names the client proxy \"wab\", which does not exist; there is web"
    );
}

#[test]
fn f123_a_policy_refers_to_a_decryption_policy_or_none_and_one_trust_store() {
    assert!(
        profile("trust_store = \"default\"", "trust_store = \"x\"")
            .contains("names the trust store \"x\"")
    );
    assert!(
        profile(
            "decryption_policy = \"standard\"",
            "decryption_policy = \"x\""
        )
        .contains("names the decryption policy \"x\"")
    );
    let none = load(&documents(
        APPLIANCE,
        &PROFILE.replace("decryption_policy = \"standard\"\n", ""),
    ))
    .unwrap();
    assert_eq!(none.profiles[0].client_policies[0].decryption_policy, None);
    assert!(
        profile("trust_store = \"default\"\n", "")
            .contains("`trust_store` is missing in [[client_policy]]")
    );
    assert!(
        profile("server_proxy = \"dmz\"", "server_proxy = \"x\"")
            .contains("names the server proxy \"x\"")
    );
}

#[test]
fn f83_f121_names_are_unique_and_no_client_policy_is_named_like_a_server_policy() {
    assert_eq!(
        profile("name = \"inbound\"", "name = \"outbound\""),
        "profiles/lab.toml:11: `name` \"outbound\" is taken by the server policy in line 21; rename one"
    );
    assert!(
        profile(
            "[[trust_store]]",
            "[[trust_store]]\nname = \"default\"\n[[trust_store]]"
        )
        .contains("is taken by the trust store in line 7")
    );
    let mut twice = documents(APPLIANCE, PROFILE);
    twice.push(Document {
        path: "profiles/b.toml".to_owned(),
        text: PROFILE.to_owned(),
    });
    assert_eq!(
        only(&load(&twice).unwrap_err()),
        "profiles/b.toml:1: `name` \"lab\" is taken by another profile (profiles/lab.toml:1); rename one"
    );
}

#[test]
fn f87_f91_f99_names_are_checked_where_they_stand() {
    assert!(
        profile("\"sluice-ca\"", "\"CA\"")
            .starts_with("profiles/lab.toml:4: `signing_certificate` \"CA\": `ca` is reserved")
    );
    assert!(
        profile("\"site-a\"", "\"a.b\"").contains("only ASCII letters, digits, `_`, `-` and space")
    );
    let long = "t".repeat(65);
    let told = problems(
        APPLIANCE,
        &PROFILE.replace("\"default\"", &format!("\"{long}\"")),
    );
    assert!(only(&told).contains("it is 65 characters long; at most 64 are allowed"));
    let long = "p".repeat(129);
    let told = problems(
        APPLIANCE,
        &PROFILE.replace("\"web\"", &format!("\"{long}\"")),
    );
    assert!(only(&told).contains("it is 129 characters long; at most 128 are allowed"));
    let long = "d".repeat(513);
    assert!(
        profile(
            "name = \"web\"",
            &format!("name = \"web\"\ndescription = \"{long}\"")
        )
        .contains("at most 512")
    );
}

#[test]
fn f100_exactly_one_signing_certificate() {
    assert!(
        profile("\"sluice-ca\"", "[\"sluice-ca\", \"other\"]")
            .contains("`signing_certificate` is a list; it must be a text")
    );
    assert!(
        profile("signing_certificate = \"sluice-ca\"\n", "")
            .contains("`signing_certificate` is missing")
    );
}

#[test]
fn f45_f106_letting_invalid_origins_through_needs_an_untrusted_ca_of_its_own() {
    let told = profile(
        "detection_ports = [443]",
        "detection_ports = [443]\nblock_invalid_certificates = false",
    );
    assert!(
        told.contains("`untrusted_certificate` is missing in the client proxy \"web\""),
        "{told}"
    );
    let told = profile(
        "detection_ports = [443]",
        "detection_ports = [443]\nuntrusted_certificate = \"sluice-ca\"",
    );
    assert!(told.contains("is the signing certificate itself"), "{told}");
}

#[test]
fn f103_detection_ports_of_different_client_policies_do_not_overlap() {
    let second = "[[client_proxy]]\nname = \"more\"\nsigning_certificate = \"sluice-ca\"\ndetection_ports = [\"400-500\"]\n[[client_proxy]]";
    let policy = "[[client_policy]]\nname = \"second\"\nclient_proxy = \"more\"\ntrust_store = \"default\"\n[[server_proxy]]";
    let text = PROFILE.replacen("[[client_proxy]]", second, 1);
    assert!(
        load(&documents(APPLIANCE, &text)).is_ok(),
        "only policies use ports"
    );
    let text = text.replacen("[[server_proxy]]", policy, 1);
    assert_eq!(
        only(&problems(APPLIANCE, &text)),
        "profiles/lab.toml:21: the detection ports 400-500 of the client policy \"second\" (`client_proxy` \"more\") overlap \
         443 of the client policy \"outbound\"; take the shared ports out of one"
    );
    assert!(load(&documents(APPLIANCE, &text.replace("400-500", "444-500"))).is_ok());
}

#[test]
fn f130_one_address_and_port_belongs_to_one_server_policy() {
    let more = "[[server_proxy]]\nname = \"second\"\naddresses = [\"10.201.0.0/16\"]\nports = [\"8000-9000\"]\ncertificates = [\"b\"]\n\
                [[server_policy]]\nname = \"p2\"\nserver_proxy = \"second\"\n";
    let told = only(&problems(APPLIANCE, &format!("{PROFILE}{more}")));
    assert!(
        told.contains("10.201.0.0/16 port 8000-9000 of the server policy \"p2\""),
        "{told}"
    );
    let apart = more.replace("8000-9000", "9000");
    assert!(load(&documents(APPLIANCE, &format!("{PROFILE}{apart}"))).is_ok());
}

#[test]
fn f30_versions_without_a_gap_and_at_least_one() {
    let told = profile(
        "detection_ports = [443]",
        "detection_ports = [443]\ntls_versions = []",
    );
    assert!(told.contains("`tls_versions` is empty"), "{told}");
    let told = profile(
        "detection_ports = [443]",
        "detection_ports = [443]\ntls_versions = [\"1.1\"]",
    );
    assert_eq!(
        told,
        "profiles/lab.toml:6: `tls_versions` is \"1.1\"; allowed are \"1.2\", \"1.3\""
    );
}

#[test]
fn f113_domain_exceptions_are_checked() {
    let told = profile(
        "name = \"standard\"",
        "name = \"standard\"\ndo_not_decrypt = [\"*.a.example\", \"a.*.b\"]",
    );
    assert!(
        told.contains("`*` stands only alone and leftmost"),
        "{told}"
    );
    assert!(told.starts_with("profiles/lab.toml:10: "), "{told}");
}

#[test]
fn f124_one_network_is_not_both_never_and_always_decrypted() {
    let lists = "trust_store = \"default\"\nnever_decrypt_sources = [\"10.0.0.0/8\"]\nalways_decrypt_sources = [\"10.0.0.0/8\"]";
    let told = profile("trust_store = \"default\"", lists);
    assert!(
        told.contains(
            "`always_decrypt_sources` has 10.0.0.0/8, and so has `never_decrypt_sources`"
        ),
        "{told}"
    );
}

#[test]
fn f128_duplicates_are_discarded_and_certificates_bounded() {
    let text = PROFILE.replace("[\"site-a\"]", "[\"site-a\", \"site-b\", \"site-a\"]");
    let configuration = load(&documents(APPLIANCE, &text)).unwrap();
    assert_eq!(
        configuration.profiles[0].server_proxies[0]
            .certificates
            .len(),
        2
    );
    let many: Vec<String> = (0..1001).map(|n| format!("\"c{n}\"")).collect();
    let text = PROFILE.replace("[\"site-a\"]", &format!("[{}]", many.join(",")));
    let told = problems(APPLIANCE, &text);
    assert!(
        told.iter()
            .any(|problem| problem.message.contains("past 1000")),
        "{told:?}"
    );
}

#[test]
fn an_empty_trust_store_is_refused() {
    let told = profile(
        "name = \"default\"",
        "name = \"default\"\ndefault_authorities = false",
    );
    assert!(
        told.contains("the trust store \"default\" is empty"),
        "{told}"
    );
}

#[test]
fn ports_are_sorted_and_joined() {
    let text = PROFILE.replace("[443]", "[8443, \"440-450\", 443, 451]");
    let configuration = load(&documents(APPLIANCE, &text)).unwrap();
    let ports: Vec<String> = configuration.profiles[0].client_proxies[0]
        .detection_ports
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(ports, ["440-451", "8443"]);
}

#[test]
fn problems_are_bounded() {
    let keys: String = (0..500).map(|n| format!("key{n} = 1\n")).collect();
    let found = problems(&format!("{keys}{APPLIANCE}"), PROFILE);
    assert_eq!(found.len(), sluice_schema::limits::PROBLEMS_MAX);
}
