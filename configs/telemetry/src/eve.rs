//! Events in Suricata's EVE shape: one JSON object per event, one line per object.
//!
//! Source: the EVE JSON format, <https://docs.suricata.io/en/latest/output/eve/eve-json-format.html>. The common fields
//! are Suricata's; what this appliance knows stands in an object named like its `event_type`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use crate::{Event, FlowRecord, LegFacts, SystemRecord, community_id};

/// The closing record of a flow as an event of type `tls_inspection`. `appliance` is the configured name.
#[must_use]
pub fn render(record: &FlowRecord, appliance: &str) -> Value {
    let ended_unix_us = record.started_unix_us.saturating_add(record.duration_us);
    let mut event = json!({
        "timestamp": timestamp(ended_unix_us),
        "flow_id": flow_id(record),
        "host": appliance,
        "in_iface": record.segment,
        "event_type": "tls_inspection",
        "src_ip": record.client.ip().to_string(),
        "src_port": record.client.port(),
        "dest_ip": record.server.ip().to_string(),
        "dest_port": record.server.port(),
        "proto": "TCP",
        "community_id": community_id(0, record.client, record.server),
        "flow": {
            "start": timestamp(record.started_unix_us),
            "end": timestamp(ended_unix_us),
            "duration_us": record.duration_us,
            "bytes_toserver": record.bytes_to_origin,
            "bytes_toclient": record.bytes_to_client,
            "reason": record.ended.name(),
        },
        "tls_inspection": inspection(record),
    });
    if !record.vlan.is_empty()
        && let Some(object) = event.as_object_mut()
    {
        object.insert("vlan".to_owned(), json!(record.vlan));
    }
    event
}

/// A system event as an event of type `system`.
#[must_use]
pub fn render_system(record: &SystemRecord, appliance: &str) -> Value {
    let mut system = json!({
        "event": record.event.name(),
        "severity": record.event.severity().name(),
        "message": record.event.message(),
    });
    if let Some(object) = system.as_object_mut() {
        if let Some(core) = record.core {
            object.insert("core".to_owned(), json!(core));
        }
        // The variant's own fields; a variant without any serialises as its bare name.
        if let Ok(Value::Object(variant)) = serde_json::to_value(&record.event)
            && let Some((_, Value::Object(fields))) = variant.into_iter().next()
        {
            for (name, value) in fields {
                object.entry(name).or_insert(value);
            }
        }
    }
    json!({
        "timestamp": timestamp(record.unix_us),
        "host": appliance,
        "event_type": "system",
        "system": system,
    })
}

/// Any event.
#[must_use]
pub fn render_event(event: &Event, appliance: &str) -> Value {
    match event {
        Event::Flow(record) => render(record, appliance),
        Event::System(record) => render_system(record, appliance),
    }
}

/// RFC 3339 with microseconds, in UTC: `2026-01-02T03:04:05.678901+00:00`.
#[must_use]
pub fn timestamp(unix_us: u64) -> String {
    let time = i64::try_from(unix_us)
        .ok()
        .and_then(|us| Timestamp::from_microsecond(us).ok())
        .unwrap_or(Timestamp::MAX);
    let text = format!("{time:.6}");
    match text.strip_suffix('Z') {
        Some(bare) => format!("{bare}+00:00"),
        None => text,
    }
}

fn inspection(record: &FlowRecord) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            object.insert(name.to_owned(), value);
        }
    };
    put("verdict", json!(record.code.verdict().name()));
    put("code", json!(record.code.number()));
    put("reason", json!(record.code.name()));
    put("generation", json!(record.generation));
    put("core", json!(record.core));
    put("profile", json!(record.profile));
    put("policy", json!(record.policy));
    put("proxy", json!(record.proxy));
    put("sni", json!(record.sni));
    put(
        "origin_verdict",
        json!(record.origin_verdict.map(crate::OriginVerdict::name)),
    );
    put("client", leg(record.client_leg.as_ref()));
    put("origin", leg(record.origin_leg.as_ref()));
    put(
        "forged_sha256",
        json!(record.forged_sha256.as_ref().map(hex)),
    );
    put(
        "origin_sha256",
        json!(record.origin_sha256.as_ref().map(hex)),
    );
    put("application", json!(record.application.name()));
    put("detail", json!(record.detail));
    Value::Object(object)
}

fn leg(facts: Option<&LegFacts>) -> Value {
    facts.map_or(Value::Null, |facts| {
        json!({
            "version": facts.version.name(),
            "cipher_suite": facts.cipher_suite,
            "group": facts.group,
            "alpn": facts.alpn,
        })
    })
}

/// A number that two flows do not share by accident and that fits a JSON number exactly (53 bits).
fn flow_id(record: &FlowRecord) -> u64 {
    let mut hash = Sha1::new();
    hash.update(record.started_unix_us.to_be_bytes());
    hash.update(record.core.to_be_bytes());
    hash.update(record.client.to_string());
    hash.update(record.server.to_string());
    hash.finalize()
        .iter()
        .take(8)
        .fold(0u64, |id, byte| (id << 8) | u64::from(*byte))
        >> 11
}

fn hex(bytes: &[u8; 32]) -> String {
    use core::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Application, DecisionCode, EndReason, OriginVerdict, SystemEvent, TlsVersion};

    pub(crate) fn record() -> FlowRecord {
        FlowRecord {
            generation: 7,
            core: 1,
            started_unix_us: 1_767_323_045_678_901,
            duration_us: 1_500_000,
            segment: "segment-1".to_owned(),
            vlan: vec![100],
            client: "128.232.110.120:34855".parse().unwrap(),
            server: "66.35.250.204:80".parse().unwrap(),
            profile: "lab".to_owned(),
            proxy: "web".to_owned(),
            policy: "outbound".to_owned(),
            sni: Some("www.example".to_owned()),
            code: DecisionCode::InspectedClient,
            origin_verdict: Some(OriginVerdict::Trusted),
            client_leg: Some(LegFacts {
                version: TlsVersion::Tls13,
                cipher_suite: "TLS_AES_128_GCM_SHA256".to_owned(),
                group: Some("X25519MLKEM768".to_owned()),
                alpn: Some("h2".to_owned()),
            }),
            origin_leg: Some(LegFacts {
                version: TlsVersion::Tls12,
                cipher_suite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned(),
                group: Some("x25519".to_owned()),
                alpn: Some("h2".to_owned()),
            }),
            forged_sha256: Some([0xab; 32]),
            origin_sha256: Some([0x01; 32]),
            application: Application::Http2,
            bytes_to_origin: 120,
            bytes_to_client: 34_000,
            ended: EndReason::Closed,
            detail: None,
        }
    }

    #[test]
    fn a_flow_reads_like_suricatas() {
        let event = render(&record(), "sluice-lab");
        assert_eq!(event["timestamp"], "2026-01-02T03:04:07.178901+00:00");
        assert_eq!(event["flow"]["start"], "2026-01-02T03:04:05.678901+00:00");
        assert_eq!(event["event_type"], "tls_inspection");
        assert_eq!(event["src_ip"], "128.232.110.120");
        assert_eq!(event["src_port"], 34855);
        assert_eq!(event["dest_port"], 80);
        assert_eq!(event["proto"], "TCP");
        assert_eq!(event["vlan"], json!([100]));
        assert_eq!(event["host"], "sluice-lab");
        assert_eq!(event["community_id"], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let inspection = &event["tls_inspection"];
        assert_eq!(inspection["verdict"], "inspect");
        assert_eq!(inspection["code"], 100);
        assert_eq!(inspection["reason"], "inspected-client");
        assert_eq!(inspection["client"]["version"], "TLS 1.3");
        assert_eq!(inspection["client"]["group"], "X25519MLKEM768");
        assert_eq!(
            inspection["origin"]["cipher_suite"],
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        );
        assert_eq!(inspection["origin"]["alpn"], "h2");
        assert_eq!(inspection["forged_sha256"], "ab".repeat(32));
        assert_eq!(inspection["origin_sha256"], "01".repeat(32));
        assert!(
            event["flow_id"]
                .as_u64()
                .is_some_and(|id| id > 0 && id < 1 << 53)
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut bare = record();
        bare.vlan.clear();
        bare.sni = None;
        bare.client_leg = None;
        bare.forged_sha256 = None;
        let event = render(&bare, "a");
        assert!(event.get("vlan").is_none());
        for name in ["sni", "client", "forged_sha256", "detail"] {
            assert!(event["tls_inspection"].get(name).is_none(), "{name}");
        }
    }

    #[test]
    fn hostile_names_stay_on_their_line() {
        let mut odd = record();
        odd.sni = Some("a\nb\"\u{0}\u{2028}".to_owned());
        let line = render(&odd, "a").to_string();
        assert!(!line.contains('\n'));
        let back: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["tls_inspection"]["sni"], "a\nb\"\u{0}\u{2028}");
    }

    #[test]
    fn a_time_out_of_range_still_renders() {
        assert!(timestamp(u64::MAX).starts_with("9999-"));
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000+00:00");
    }

    #[test]
    fn f137_an_expired_certificate_is_a_system_error() {
        let event = render_system(
            &SystemRecord {
                unix_us: 1,
                core: None,
                event: SystemEvent::CertificateExpired {
                    name: "sluice-ca".to_owned(),
                    not_after_unix_s: 5,
                },
            },
            "a",
        );
        assert_eq!(event["event_type"], "system");
        assert_eq!(event["system"]["severity"], "error");
        assert_eq!(event["system"]["event"], "certificate-expired");
        assert_eq!(event["system"]["name"], "sluice-ca");
        assert_eq!(event["system"]["not_after_unix_s"], 5);
    }

    #[test]
    fn f28_reaching_the_limit_is_a_system_event() {
        use crate::LoadState::{Critical, Normal, Reached, Warning};
        let rendered = |before, state, over_limit| {
            let event = render_system(
                &SystemRecord {
                    unix_us: 1,
                    core: Some(2),
                    event: SystemEvent::SessionLoad {
                        before,
                        state,
                        sessions: 8,
                        limit: 10,
                        over_limit,
                    },
                },
                "a",
            );
            event["system"].clone()
        };
        let bypass = crate::Verdict::Bypass;
        let warning = rendered(Normal, Warning, bypass);
        assert_eq!(warning["event"], "session-load-warning");
        assert_eq!(warning["severity"], "warning");
        assert_eq!(
            (&warning["core"], &warning["sessions"], &warning["limit"]),
            (&json!(2), &json!(8), &json!(10))
        );
        let critical = rendered(Warning, Critical, bypass);
        assert_eq!(critical["event"], "session-load-critical");
        assert_eq!(critical["severity"], "error");
        assert_eq!(
            critical["message"],
            "SSL Inspection reached Critical threshold of Max Concurrent Connections (8 of 10). \
             Action at the maximum: Allow but bypass Inspection"
        );
        let reached = rendered(Critical, Reached, crate::Verdict::Block);
        assert_eq!(reached["event"], "session-limit-reached");
        assert_eq!(
            reached["message"],
            "SSL Inspection reached Maximum of Max Concurrent Connections (8 of 10). Action: Block"
        );
        assert_eq!(reached["over_limit"], "block");
        let recovered = rendered(Reached, Warning, bypass);
        assert_eq!(recovered["event"], "session-load-recovered");
        assert_eq!(recovered["severity"], "info");
        assert_eq!(
            recovered["message"],
            "SSL Inspection recovered from reached to warning: 8 of 10 Max Concurrent Connections. Action: Inspect"
        );
    }
}
