//! What a leg negotiated, by the names of IANA's registries.

use rustls::{CommonState, NamedGroup, ProtocolVersion};
use sluice_telemetry::{LegFacts, TlsVersion};

/// The facts of a connection whose handshake is complete.
pub(crate) fn of(connection: &CommonState) -> Option<LegFacts> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
        ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
        _ => return None,
    };
    Some(LegFacts {
        version,
        cipher_suite: suite_name(connection.negotiated_cipher_suite()?.suite().into()),
        group: connection
            .negotiated_key_exchange_group()
            .map(|group| group_name(group.name())),
        alpn: connection
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
    })
}

fn suite_name(suite: u16) -> String {
    match suite {
        0x1301 => "TLS_AES_128_GCM_SHA256".into(),
        0x1302 => "TLS_AES_256_GCM_SHA384".into(),
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256".into(),
        0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".into(),
        0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".into(),
        0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(),
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".into(),
        0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256".into(),
        0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256".into(),
        other => format!("0x{other:04x}"),
    }
}

fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".into(),
        NamedGroup::secp256r1 => "secp256r1".into(),
        NamedGroup::secp384r1 => "secp384r1".into(),
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768".into(),
        other => format!("0x{:04x}", u16::from(other)),
    }
}
