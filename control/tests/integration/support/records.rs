//! Events and certificates from elsewhere.

use sluice_telemetry::{Application, DecisionCode, EndReason, Event, FlowRecord};

/// The closing record of an inspected flow to `sni`.
pub(crate) fn flow_event(sni: &str) -> Event {
    Event::Flow(Box::new(FlowRecord {
        generation: 1,
        core: 1,
        started_unix_us: 1_800_000_000_000_000,
        duration_us: 1_000,
        segment: "segment-1".to_owned(),
        vlan: Vec::new(),
        client: "10.201.1.2:40000".parse().unwrap(),
        server: "10.201.2.2:443".parse().unwrap(),
        profile: "lab".to_owned(),
        proxy: "web".to_owned(),
        policy: "outbound".to_owned(),
        sni: Some(sni.to_owned()),
        code: DecisionCode::InspectedClient,
        origin_verdict: None,
        client_leg: None,
        origin_leg: None,
        forged_sha256: None,
        origin_sha256: None,
        application: Application::Http1,
        bytes_to_origin: 1,
        bytes_to_client: 2,
        ended: EndReason::Closed,
        detail: None,
    }))
}

/// A CA made elsewhere: certificate and key in PEM.
pub(crate) fn foreign_ca(common_name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, common_name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
