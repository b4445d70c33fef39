//! The answer and the way to it.

use super::*;

fn question<'a>(host: &'a str, client: &str, server: &str, port: u16) -> Question<'a> {
    Question {
        host: Some(host),
        client: client.parse().ok(),
        server: server.parse().ok(),
        port,
        segment: SegmentIndex(0),
        vlan: None,
    }
}

fn texts(explanation: &Explanation) -> Vec<&str> {
    explanation
        .steps
        .iter()
        .map(|step| step.text.as_str())
        .collect()
}

#[test]
fn f156_explain_tells_the_way_to_a_bypass() {
    let told = explain(
        &policy(),
        &question("WWW.bank.example", "10.0.0.1", "198.51.100.1", 443),
    );
    assert_eq!(told.code, Some(DecisionCode::BypassDomainException));
    assert_eq!(
        texts(&told),
        [
            "no virtual segment claims the flow: the profile \"lab\" applies",
            "no server policy protects the destination; the client policy \"outbound\" listens on port 443 with the client proxy \"web\"",
            "10.0.0.1 is in neither the never- nor the always-decrypt sources",
            "www.bank.example matches the do-not-decrypt domain *.bank.example",
            DecisionCode::BypassDomainException.description(),
        ]
    );
    assert_eq!(told.steps.last().unwrap().code, told.code);
}

#[test]
fn f156_explain_tells_overrides_sources_and_the_fate_of_bad_origins() {
    let told = explain(
        &policy(),
        &question("dl.bank.example", "10.1.2.3", "198.51.100.1", 443),
    );
    assert_eq!(told.code, Some(DecisionCode::InspectedClient));
    let text = texts(&told).join("\n");
    assert!(text.contains("never-decrypt sources (/16) and in the always-decrypt sources (/24): the longer prefix wins"), "{text}");
    assert!(
        text.contains("*.bank.example, and dl.bank.example re-enables decryption"),
        "{text}"
    );
    assert!(
        text.contains(
            "signed by \"sluice-ca\"; an origin with an invalid certificate would be blocked"
        ),
        "{text}"
    );
}

#[test]
fn f156_explain_tells_why_nothing_happens() {
    let told = explain(
        &policy(),
        &question("www.example", "10.0.0.1", "198.51.100.1", 25),
    );
    assert_eq!((told.verdict, told.code), (None, None));
    assert!(
        texts(&told)
            .last()
            .unwrap()
            .contains("no enabled client policy listens on port 25: forwarded at layer 2")
    );
    let told = explain(
        &policy(),
        &question("www.example", "10.99.0.1", "198.51.100.1", 443),
    );
    assert!(
        texts(&told).contains(&"the virtual segment \"quiet\" claims the flow: no profile applies")
    );
    assert_eq!(told.verdict, None);
}

#[test]
fn f156_explain_without_addresses_says_what_it_assumes() {
    let told = explain(&policy(), &question("www.example", "", "", 443));
    assert_eq!(told.code, Some(DecisionCode::InspectedClient));
    assert!(texts(&told)[0].contains("the client's address is not given"));
    assert!(texts(&told)[1].contains("the server's address is not given"));
}

#[test]
fn explain_and_decide_never_differ() {
    let policies = [
        policy(),
        policy_with("[limits]", "[inspection]\nclient = false\n[limits]"),
    ];
    for policy in &policies {
        for client in [
            "10.0.0.1",
            "10.1.9.9",
            "10.1.2.3",
            "10.99.0.1",
            "203.0.113.9",
        ] {
            for server in [WEB, LAX, DMZ, "10.201.2.2:443", "198.51.100.1:25"] {
                for host in ["www.example", "www.bank.example", "dl.bank.example"] {
                    let flow = flow(client, server);
                    let decided = policy.candidate(&flow).map(|candidate| {
                        policy
                            .decide(&candidate, &flow, &named(host), &LoadFacts::default())
                            .code
                    });
                    let ip = flow.server.ip().to_string();
                    let told = explain(policy, &question(host, client, &ip, flow.server.port()));
                    assert_eq!(told.code, decided, "{client} {server} {host}");
                }
            }
        }
    }
}
