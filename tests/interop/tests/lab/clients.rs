//! The clients people use, over IPv4 and IPv6, verifying what they see against the exported anchor.

use std::time::Duration;

use serde_json::Value;
use sluice_interop::{Curl, Lab, Response};

const FAMILIES: [&str; 2] = ["-4", "-6"];

fn echo(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap_or_else(|_| panic!("no echo: {response:?}"))
}

#[test]
fn z151_curl_over_http_1_1_verifies_over_ipv4_and_ipv6() {
    let lab = Lab::take().unwrap();
    for family in FAMILIES {
        let response = Curl::get("https://good.lab.test/echo")
            .with(&[family, "--http1.1"])
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(
            (response.exit, response.status, response.http.as_str()),
            (0, 200, "1.1"),
            "{response:?}"
        );
        assert_eq!(response.issuer, lab.inspected_issuer());
        assert_eq!(echo(&response)["http"], "HTTP/1.1");
    }
}

#[test]
fn z151_curl_over_h2_verifies_over_ipv4_and_ipv6() {
    let lab = Lab::take().unwrap();
    for family in FAMILIES {
        let response = Curl::get("https://good.lab.test/echo")
            .with(&[family, "--http2"])
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(
            (response.exit, response.status, response.http.as_str()),
            (0, 200, "2"),
            "{response:?}"
        );
        assert_eq!(response.issuer, lab.inspected_issuer());
        assert_eq!(echo(&response)["http"], "HTTP/2.0");
        assert_eq!(
            echo(&response)["client"],
            if family == "-4" {
                "10.201.1.2"
            } else {
                "fd00:201::1:2"
            }
        );
    }
}

#[test]
fn t72_the_protocol_chosen_is_the_same_on_both_legs() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    for (choice, alpn) in [("--http1.1", "http/1.1"), ("--http2", "h2")] {
        let response = Curl::get("https://good.lab.test/echo")
            .with(&["-4", choice])
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(response.exit, 0, "{response:?}");
        let event = lab.event(response.local_port).unwrap();
        assert_eq!(
            (event.verdict(), event.reason()),
            ("inspect".into(), "inspected-client".into())
        );
        assert_eq!(event.field("client/alpn"), alpn);
        assert_eq!(event.field("origin/alpn"), alpn);
    }
}

#[test]
fn t55_each_leg_negotiates_tls_1_2_and_1_3_on_its_own() {
    let lab = Lab::take().unwrap();
    for (port, origin_version) in [(8012, "TLSv1.2"), (8013, "TLSv1.3")] {
        for client_version in ["1.2", "1.3"] {
            // Without the appliance both ends must agree.
            if !lab.inspects() && !origin_version.ends_with(client_version) {
                continue;
            }
            let response = Curl::get(&format!("https://good.lab.test:{port}/echo"))
                .with(&[
                    "-4",
                    "--tlsv1.2",
                    "--tls-max",
                    client_version,
                    &format!("--tlsv{client_version}"),
                ])
                .send(&lab, &lab.facts.trust_anchor)
                .unwrap();
            assert_eq!(
                response.exit, 0,
                "client {client_version}, origin {origin_version}: {response:?}"
            );
            assert_eq!(echo(&response)["tls"], origin_version);
            assert!(
                response
                    .said
                    .contains(&format!("SSL connection using TLSv{client_version}")),
                "{response:?}"
            );
        }
    }
}

#[test]
fn f13_the_server_name_reaches_the_origin() {
    let lab = Lab::take().unwrap();
    for name in ["good.lab.test", "rsa.lab.test", "a.wild.lab.test"] {
        let response = Curl::get(&format!("https://{name}/echo"))
            .send(&lab, &lab.facts.trust_anchor)
            .unwrap();
        assert_eq!(response.exit, 0, "{response:?}");
        assert_eq!(echo(&response)["sni"], name);
    }
}

#[test]
fn c14_without_a_server_name_the_destination_address_is_matched() {
    let lab = Lab::take().unwrap();
    for url in ["https://10.201.2.2/echo", "https://[fd00:201::2:2]/echo"] {
        let response = Curl::get(url).send(&lab, &lab.facts.trust_anchor).unwrap();
        assert_eq!((response.exit, response.status), (0, 200), "{response:?}");
        assert_eq!(echo(&response)["sni"], "");
        assert_eq!(response.issuer, lab.inspected_issuer());
    }
}

#[test]
fn z151_wget_verifies_over_ipv4_and_ipv6() {
    let lab = Lab::take().unwrap();
    let anchor = format!("--ca-certificate={}", lab.facts.trust_anchor.display());
    for family in FAMILIES {
        let argv = [
            "wget",
            family,
            "-q",
            "-t",
            "1",
            "-T",
            "20",
            "-O",
            "-",
            &anchor,
            "https://good.lab.test/bytes/1048576",
        ];
        let outcome = lab.client(&argv).unwrap();
        assert!(outcome.ok(), "{}", outcome.stderr);
        assert_eq!(outcome.stdout.len(), 1_048_576);
    }
}

#[test]
fn z151_git_clones_and_pushes_over_https() {
    let lab = Lab::take().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let trust = format!("http.sslCAInfo={}", lab.facts.trust_anchor.display());
    let limit = Duration::from_secs(60);
    let git = |words: &[&str]| {
        let mut argv = vec![
            "git",
            "-c",
            &trust,
            "-c",
            "user.name=Lab",
            "-c",
            "user.email=lab@lab.test",
        ];
        argv.extend(words);
        let outcome = lab.client_in(&argv, Some(directory.path()), limit).unwrap();
        assert!(outcome.ok(), "git {words:?}: {}", outcome.stderr);
        outcome.stdout
    };
    git(&["clone", "-q", "https://good.lab.test/git/lab.git", "clone"]);
    assert_eq!(
        git(&["-C", "clone", "rev-list", "--count", "HEAD"])
            .trim()
            .parse::<u32>()
            .unwrap(),
        2
    );
    assert_eq!(
        std::fs::metadata(directory.path().join("clone/large"))
            .unwrap()
            .len(),
        4_000_000
    );
    std::fs::write(directory.path().join("clone/new"), "new\n".repeat(500_000)).unwrap();
    git(&["-C", "clone", "add", "new"]);
    git(&["-C", "clone", "commit", "-q", "-m", "third"]);
    git(&[
        "-C",
        "clone",
        "push",
        "-q",
        "origin",
        "HEAD:refs/heads/pushed",
    ]);
    let listed = git(&[
        "ls-remote",
        "https://good.lab.test/git/lab.git",
        "refs/heads/pushed",
    ]);
    assert_eq!(
        listed.split_whitespace().next(),
        Some(git(&["-C", "clone", "rev-parse", "HEAD"]).trim())
    );
    git(&["-C", "clone", "push", "-q", "origin", ":refs/heads/pushed"]);
}

#[test]
fn z151_python_ssl_verifies_over_ipv4_and_ipv6() {
    let lab = Lab::take().unwrap();
    let program = "\
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
family = socket.AF_INET if sys.argv[2] == '-4' else socket.AF_INET6
address = socket.getaddrinfo('good.lab.test', 443, family, socket.SOCK_STREAM)[0][4]
with socket.create_connection(address[:2], timeout=20) as plain:
    with context.wrap_socket(plain, server_hostname='good.lab.test') as stream:
        issuer = dict(pair for part in stream.getpeercert()['issuer'] for pair in part)
        stream.sendall(b'GET /bytes/65536 HTTP/1.1\\r\\nHost: good.lab.test\\r\\nConnection: close\\r\\n\\r\\n')
        answer = b''
        while part := stream.recv(65536):
            answer += part
body = answer.partition(b'\\r\\n\\r\\n')[2]
print(issuer['commonName'], len(body), sep='|')
";
    for family in FAMILIES {
        let anchor = lab.facts.trust_anchor.display().to_string();
        let outcome = lab
            .client(&["python3", "-c", program, &anchor, family])
            .unwrap();
        assert_eq!(
            outcome.stdout.trim(),
            format!("{}|65536", lab.inspected_issuer()),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn z151_openssl_s_client_verifies_in_tls_1_2_and_1_3() {
    let lab = Lab::take().unwrap();
    let anchor = lab.facts.trust_anchor.display().to_string();
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for address in ["10.201.2.2:443", "[fd00:201::2:2]:443"] {
            let argv = [
                "openssl",
                "s_client",
                "-connect",
                address,
                "-servername",
                "good.lab.test",
                "-verify_hostname",
                "good.lab.test",
                "-verify_return_error",
                "-CAfile",
                &anchor,
                option,
                "-brief",
            ];
            let outcome = lab.client(&argv).unwrap();
            assert!(
                outcome.ok(),
                "{option} {address}: {}{}",
                outcome.stdout,
                outcome.stderr
            );
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(said.contains("Verification: OK"), "{said}");
            assert!(
                said.contains(&format!("Protocol version: {version}")),
                "{said}"
            );
        }
    }
}
