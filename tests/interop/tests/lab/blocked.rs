//! Origins that do not verify: blocked, or let through with an untrusted leaf, as the profile says.

use std::time::Duration;

use sluice_interop::{Curl, Lab, Packet, Running, until};

/// curl: the peer's certificate does not verify.
const CURL_CERTIFICATE: i32 = 60;

/// Bytes 11 to 42 of a ClientHello's record are its random: nobody else's hello has them (RFC 8446 section 4.1.2).
fn client_random(packets: &[Packet], client_port: u16) -> Vec<u8> {
    let first = packets
        .iter()
        .find(|packet| {
            packet.ports().is_some_and(|ports| ports.0 == client_port)
                && !packet.payload().is_empty()
        })
        .expect("the client sent a hello");
    first
        .payload()
        .get(11..43)
        .expect("the hello is in one segment")
        .to_vec()
}

/// Sends a request that has to be blocked, and looks for anything of the client's at the origin.
fn assert_blocked(lab: &Lab, url: &str, reason: &str, origin_verdict: &str) {
    let (at_client, at_origin) = (
        lab.capture("client", "tcp").unwrap(),
        lab.capture("origin", "tcp").unwrap(),
    );
    let response = Curl::get(url)
        .with(&["-4"])
        .send(lab, &lab.facts.trust_anchor)
        .unwrap();
    assert!(
        response.exit != 0 && response.status == 0,
        "{url}: {response:?}"
    );
    assert_eq!(response.issuer, "", "{url}: no certificate on block");
    let event = lab.event(response.local_port).unwrap();
    assert_eq!(
        (event.verdict(), event.reason()),
        ("block".into(), reason.into()),
        "{url}"
    );
    assert_eq!(event.field("origin_verdict"), origin_verdict, "{url}");
    assert_eq!(
        event.field("forged_sha256"),
        "absent",
        "{url}: no leaf on block"
    );
    let sent = at_client.packets().unwrap();
    let random = client_random(&sent, response.local_port);
    for packet in at_origin.packets().unwrap() {
        let found = packet
            .payload()
            .windows(random.len())
            .any(|window| window == random);
        assert!(!found, "{url}: the client's hello reached the origin");
    }
    assert_no_request(lab, url);
}

/// The origin's log has no request for the host; nginx logs after the response, hence the wait.
fn assert_no_request(lab: &Lab, url: &str) {
    let host = url.trim_start_matches("https://").trim_end_matches('/');
    until(Duration::from_millis(100), || false);
    let log = std::fs::read_to_string(&lab.facts.origin_access_log).unwrap();
    assert!(
        !log.contains(&format!("\"host\":\"{host}\"")),
        "the origin has served {host}"
    );
}

/// The same origin under the lenient profile: an untrusted leaf, never a trusted one.
fn assert_untrusted(lab: &Lab, url: &str, origin_verdict: &str) {
    let trusting = Curl::get(url)
        .with(&["-4"])
        .send(lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!(
        (trusting.exit, trusting.status),
        (CURL_CERTIFICATE, 0),
        "{url}: {trusting:?}"
    );
    // The leaf mimics what is wrong as well, the dates and names; a client that insists sees who signed it.
    let warned = Curl::get(url)
        .with(&["-4", "--insecure"])
        .send(lab, &lab.facts.untrusted_anchor)
        .unwrap();
    assert_eq!((warned.exit, warned.status), (0, 200), "{url}: {warned:?}");
    assert_eq!(warned.issuer, Lab::UNTRUSTED_ISSUER, "{url}: {warned:?}");
    let event = lab.event(warned.local_port).unwrap();
    assert_eq!(
        (event.verdict(), event.reason()),
        ("inspect".into(), "inspected-client-untrusted".into()),
        "{url}"
    );
    assert_eq!(event.field("origin_verdict"), origin_verdict, "{url}");
}

fn both(host: &str, reason: &str, origin_verdict: &str) {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    assert_blocked(
        &lab,
        &format!("https://{host}.lab.test/"),
        reason,
        origin_verdict,
    );
    assert_untrusted(
        &lab,
        &format!("https://{host}.lenient.test/"),
        origin_verdict,
    );
}

#[test]
fn c02_a_self_signed_origin_never_gets_a_trusted_leaf() {
    both("selfsigned", "block-origin-self-signed", "self-signed");
}

#[test]
fn c03_an_unknown_issuer_never_gets_a_trusted_leaf() {
    both("untrusted", "block-origin-unknown-issuer", "unknown-issuer");
}

#[test]
fn c04_a_missing_intermediate_never_gets_a_trusted_leaf() {
    both("nochain", "block-origin-unknown-issuer", "unknown-issuer");
}

#[test]
fn c05_a_fake_root_with_the_trusted_name_never_gets_a_trusted_leaf() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let response = Curl::get("https://fakeroot.lab.test/")
        .with(&["-4"])
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert!(
        response.exit != 0 && response.status == 0 && response.issuer.is_empty(),
        "{response:?}"
    );
    let event = lab.event(response.local_port).unwrap();
    assert_eq!(event.verdict(), "block", "{event:?}");
    assert_ne!(event.field("origin_verdict"), "trusted", "{event:?}");
}

#[test]
fn c06_an_expired_origin_never_gets_a_trusted_leaf() {
    both("expired", "block-origin-expired", "expired");
}

#[test]
fn c07_an_origin_not_yet_valid_never_gets_a_trusted_leaf() {
    both("notyet", "block-origin-not-yet-valid", "not-yet-valid");
}

#[test]
fn c09_a_wrong_host_never_gets_a_trusted_leaf() {
    both("wrongname", "block-origin-name-mismatch", "name-mismatch");
}

#[test]
fn c10_a_common_name_alone_never_gets_a_trusted_leaf() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    assert_blocked(
        &lab,
        "https://cnonly.lab.test/",
        "block-origin-name-mismatch",
        "name-mismatch",
    );
}

#[test]
fn c12_a_wildcard_covers_one_label() {
    let lab = Lab::take().unwrap();
    let response = Curl::get("https://a.wild.lab.test/")
        .with(&["-4"])
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
    assert_eq!(response.issuer, lab.inspected_issuer());
}

/// openssl s_server in the origin's namespace, on a detection port, up when this returns. It sends the intermediate along.
fn s_server(lab: &Lab, port: u16, name: &str) -> Running {
    let file = |name: &str| lab.facts.pki_dir.join(name).display().to_string();
    let (certificate, key) = (file(&format!("{name}.crt")), file(&format!("{name}.key")));
    let argv = [
        "openssl",
        "s_server",
        "-accept",
        &port.to_string(),
        "-cert",
        &certificate,
        "-key",
        &key,
        "-cert_chain",
        &file("intermediate.crt"),
        "-cipher",
        "DEFAULT@SECLEVEL=0",
        "-www",
        "-quiet",
    ]
    .map(str::to_owned);
    let mut server = lab.start("origin", &argv).unwrap();
    let up = until(Duration::from_secs(5), || {
        let listening = lab
            .origin(&["ss", "-Hltn", &format!("sport = :{port}")])
            .unwrap();
        !listening.stdout.is_empty()
    });
    assert!(
        up && server.runs(),
        "openssl s_server does not listen on {port}"
    );
    server
}

#[test]
fn c29_f102_a_key_below_the_minimum_never_gets_a_trusted_leaf() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let server = s_server(&lab, 8020, "weak");
    let response = Curl::get("https://weak.lab.test:8020/")
        .with(&["-4"])
        .send(&lab, &lab.facts.trust_anchor)
        .unwrap();
    assert!(
        response.exit != 0 && response.status == 0 && response.issuer.is_empty(),
        "{response:?}"
    );
    let event = lab.event(response.local_port).unwrap();
    assert_eq!(event.verdict(), "block", "{event:?}");
    assert_ne!(event.field("origin_verdict"), "trusted", "{event:?}");
    server.stop("TERM").unwrap();
}

#[test]
fn c41_a_bad_certificate_after_a_good_one_is_blocked() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let url = "https://good.lab.test:8021/";
    let anchor = &lab.facts.trust_anchor;
    let good = s_server(&lab, 8021, "good");
    let first = Curl::get(url)
        .with(&["-4", "--http1.1"])
        .send(&lab, anchor)
        .unwrap();
    good.stop("TERM").unwrap();
    assert_eq!((first.exit, first.status), (0, 200), "{first:?}");
    assert_eq!(first.issuer, lab.inspected_issuer());
    let bad = s_server(&lab, 8021, "expired");
    let second = Curl::get(url)
        .with(&["-4", "--http1.1"])
        .send(&lab, anchor)
        .unwrap();
    bad.stop("TERM").unwrap();
    assert!(
        second.exit != 0 && second.status == 0 && second.issuer.is_empty(),
        "{second:?}"
    );
    assert_eq!(lab.event(second.local_port).unwrap().verdict(), "block");
}

#[test]
fn l52_an_untrusted_leaf_is_never_served_as_trusted() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    for _ in 0..3 {
        let lenient = Curl::get("https://expired.lenient.test/")
            .with(&["-4"])
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(lenient.exit, CURL_CERTIFICATE, "{lenient:?}");
        let strict = Curl::get("https://expired.lab.test/")
            .with(&["-4"])
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert!(strict.exit != 0 && strict.issuer.is_empty(), "{strict:?}");
        let good = Curl::get("https://good.lenient.test/")
            .with(&["-4"])
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(
            (good.exit, good.issuer.as_str()),
            (0, lab.inspected_issuer()),
            "{good:?}"
        );
    }
}
