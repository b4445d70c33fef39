//! Records of an established session: nothing that the peer did not seal opens.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use sluice_tls::{
    ClientHandshake, ClientParameters, Content, OriginHandshake, OriginParameters, Records,
    ServerIdentity, TlsContext, TrustStore, VersionRange,
};

use super::certificate::{NOW, root};

struct Site {
    context: TlsContext,
    identity: ServerIdentity,
    trust: Arc<TrustStore>,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let root = root();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["site.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2035, 1, 1);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let issuer = rcgen::Issuer::from_params(&root.params, &root.key);
    let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
    Site {
        context: TlsContext::new().unwrap(),
        identity: ServerIdentity::from_pkcs8(vec![leaf], &key.serialize_der()).unwrap(),
        trust: Arc::new(TrustStore::new(false, std::slice::from_ref(&root.der)).unwrap()),
    }
});

/// The first byte picks the version and what is done; the rest is the record, what it carries, or what is changed in it.
pub(crate) fn run(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else {
        return;
    };
    let versions = if kind & 1 == 0 {
        VersionRange::TLS12
    } else {
        VersionRange::TLS13
    };
    let (mut client, mut server) = session(versions);
    if kind & 2 == 0 {
        let mut hostile = rest.to_vec();
        assert!(opened(&mut server, &mut hostile).is_empty());
        return;
    }
    let plaintext = &rest[..rest.len().min(1 << 14)];
    let mut sealed = vec![0; client.sealed_len(plaintext.len())];
    let len = client.seal(plaintext, &mut sealed).unwrap();
    sealed.truncate(len);
    if kind & 4 == 0 {
        assert_eq!(opened(&mut server, &mut sealed), plaintext);
    } else {
        let at = usize::from(kind >> 3) * 7 % len.max(1);
        if let Some(byte) = sealed.get_mut(at) {
            *byte ^= 1 << (kind >> 5);
        }
        assert!(
            plaintext.is_empty()
                || opened(&mut server, &mut sealed) != plaintext
                || at == 1
                || at == 2
        );
    }
}

/// The application data in `input`, up to what ends it.
fn opened(records: &mut Records, mut input: &mut [u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let len = input.len();
        let Ok(opened) = records.open(input) else {
            return data;
        };
        let consumed = opened.consumed;
        assert!(consumed <= len);
        match opened.content {
            Content::Data(bytes) => data.extend_from_slice(bytes),
            Content::Handled => assert!(consumed > 0),
            Content::NeedMore | Content::CloseNotify | Content::Alert(_) => return data,
        }
        input = &mut input[consumed..];
    }
}

fn session(versions: VersionRange) -> (Records, Records) {
    let site = &*SITE;
    let mut origin = OriginHandshake::new(
        &site.context,
        &OriginParameters {
            server_name: Some("site.test"),
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            alpn: &[],
            trust: Arc::clone(&site.trust),
            minimum_key_bits: 2048,
            versions,
            post_quantum: false,
            now_unix_s: NOW,
        },
    )
    .unwrap();
    let mut client = ClientHandshake::new(
        &site.context,
        &ClientParameters {
            identity: &site.identity,
            alpn: None,
            versions: VersionRange::TLS12_AND_13,
        },
    )
    .unwrap();
    let (mut to_origin, mut to_client) = (Vec::new(), Vec::new());
    let (mut origin_done, mut client_done) = (false, false);
    while !(origin_done && client_done) {
        if !origin_done {
            let progress = origin.advance(&mut to_origin, &mut to_client, NOW).unwrap();
            to_origin.drain(..progress.consumed);
            origin_done = progress.done;
        }
        if !client_done {
            let progress = client.advance(&mut to_client, &mut to_origin, NOW).unwrap();
            to_client.drain(..progress.consumed);
            client_done = progress.done;
        }
    }
    (
        origin.finish().unwrap().records,
        client.finish().unwrap().records,
    )
}
