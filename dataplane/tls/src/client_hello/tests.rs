//! Fields of the ClientHello, and what is refused.

use super::*;
use crate::hello_reader::{ClientHelloReader, HelloProgress};

/// Builds a ClientHello as any client might.
#[derive(Clone)]
pub(crate) struct Builder {
    pub(crate) legacy_version: u16,
    pub(crate) session_id: Vec<u8>,
    pub(crate) suites: Vec<u16>,
    pub(crate) compressions: Vec<u8>,
    pub(crate) extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            legacy_version: 0x0303,
            session_id: vec![],
            suites: vec![0x1301],
            compressions: vec![0],
            extensions: Some(vec![]),
        }
    }
}

fn length16(bytes: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}

fn length8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

pub(crate) fn sni(name: &[u8]) -> (u16, Vec<u8>) {
    (0, length16(&[&[0][..], &length16(name)].concat()))
}

impl Builder {
    pub(crate) fn with(mut self, extension: (u16, Vec<u8>)) -> Self {
        self.extensions.get_or_insert_default().push(extension);
        self
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = self.legacy_version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend(length8(&self.session_id));
        body.extend(length16(&numbers(&self.suites)));
        body.extend(length8(&self.compressions));
        if let Some(extensions) = &self.extensions {
            let list: Vec<u8> = extensions
                .iter()
                .flat_map(|(number, value)| {
                    [number.to_be_bytes().to_vec(), length16(value)].concat()
                })
                .collect();
            body.extend(length16(&list));
        }
        body
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let body = self.body();
        let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1, a, b, c][..], &body].concat()
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        [&[22, 3, 1][..], &length16(&self.message())].concat()
    }

    fn parsed(&self) -> Result<ClientHello, HelloError> {
        match ClientHelloReader::new().feed(&self.record()) {
            HelloProgress::Complete(hello) => Ok(*hello),
            HelloProgress::Malformed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }
}

/// A browser's hello: GREASE everywhere (RFC 8701), a hybrid share, ECH.
fn browser() -> Builder {
    Builder {
        session_id: vec![9; 32],
        suites: vec![0x6a6a, 0x1301, 0x1302, 0xc02b],
        ..Builder::default()
    }
    .with((0x2a2a, vec![]))
    .with(sni(b"WWW.Site.Example"))
    .with((10, length16(&numbers(&[0xcaca, 0x11ec, 29, 23]))))
    .with((13, length16(&numbers(&[0x0403, 0x0804]))))
    .with((16, length16(b"\x02h2\x08http/1.1")))
    .with((35, vec![]))
    .with((43, length8(&numbers(&[0x1a1a, 0x0304, 0x0303]))))
    .with((
        51,
        length16(
            &[
                &numbers(&[0xcaca])[..],
                &[0, 1, 0],
                &numbers(&[29]),
                &length16(&[5; 32]),
            ]
            .concat(),
        ),
    ))
    .with((0xfe0d, vec![0; 100]))
    .with((0x3a3a, vec![0]))
}

#[test]
fn t67_a_browsers_hello_with_grease_is_read() {
    let hello = browser().parsed().unwrap();
    assert_eq!(hello.sni.as_deref(), Some("www.site.example"));
    assert_eq!(hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(hello.cipher_suites, [0x6a6a, 0x1301, 0x1302, 0xc02b]);
    assert_eq!(hello.groups, [0xcaca, 0x11ec, 29, 23]);
    assert_eq!(hello.key_shares, [0xcaca, 29]);
    assert_eq!(hello.signature_algorithms, [0x0403, 0x0804]);
    assert!(hello.offers_tls13() && hello.offers_tls12() && hello.offers_post_quantum());
    assert!(!hello.early_data && !hello.session_ticket && !hello.pre_shared_key);
    assert_eq!(hello.session_id_bytes, 32);
    assert_eq!(hello.bytes, browser().record().len());
}

#[test]
fn t81_ech_is_seen() {
    assert!(browser().parsed().unwrap().ech);
    assert!(!Builder::default().parsed().unwrap().ech);
}

#[test]
fn t55_versions_are_read_where_they_stand() {
    let with = |legacy_version, list: Option<&[u16]>| {
        let builder = Builder {
            legacy_version,
            ..Builder::default()
        };
        let builder = match list {
            Some(list) => builder.with((43, length8(&numbers(list)))),
            None => Builder {
                extensions: None,
                ..builder
            },
        };
        let hello = builder.parsed().unwrap();
        (hello.offers_tls12(), hello.offers_tls13())
    };
    assert_eq!(with(0x0303, None), (true, false));
    assert_eq!(with(0x0302, None), (false, false));
    assert_eq!(with(0x0300, None), (false, false));
    assert_eq!(with(0x0303, Some(&[0x0304])), (false, true));
    assert_eq!(with(0x0303, Some(&[0x0304, 0x0303])), (true, true));
    assert_eq!(with(0x0303, Some(&[0x0302])), (false, false));
    assert_eq!(
        with(0x0304, None),
        (true, false),
        "1.3 is offered by the extension alone"
    );
}

#[test]
fn t69_early_data_tickets_and_psks_are_seen() {
    let hello = browser()
        .with((42, vec![]))
        .with((41, vec![1, 2, 3]))
        .parsed()
        .unwrap();
    assert!(hello.early_data && hello.pre_shared_key);
    assert!(
        Builder::default()
            .with((35, vec![1]))
            .parsed()
            .unwrap()
            .session_ticket
    );
}

#[test]
fn c15_server_names_are_dns_names_or_refused() {
    let read = |name: &[u8]| {
        Builder::default()
            .with(sni(name))
            .parsed()
            .map(|hello| hello.sni)
    };
    assert_eq!(read(b"a.example"), Ok(Some("a.example".into())));
    assert_eq!(
        read(b"under_score.example"),
        Ok(Some("under_score.example".into()))
    );
    assert_eq!(
        read(b"xn--mnchen-3ya.example"),
        Ok(Some("xn--mnchen-3ya.example".into()))
    );
    assert_eq!(read(b"192.0.2.1"), Ok(None));
    assert_eq!(read(b"2001:db8::1"), Ok(None));
    for bad in [
        &b""[..],
        b".",
        b"a.example.",
        b".example",
        b"a..example",
        b"nul\0.example",
        b"a b.example",
        b"m\xfcnchen.example",
        "münchen.example".as_bytes(),
        b"-a.example",
        b"*.example",
        b"a.example\n",
        &[b'a'; 64],
        &[b'a'; 300],
    ] {
        assert_eq!(
            read(bad),
            Err(HelloError::ServerName),
            "{:?}",
            String::from_utf8_lossy(bad)
        );
    }
}

#[test]
fn c15_server_name_lists_are_checked() {
    let two = (
        0,
        length16(
            &[
                &[0][..],
                &length16(b"a.example"),
                &[0],
                &length16(b"b.example"),
            ]
            .concat(),
        ),
    );
    assert_eq!(
        Builder::default().with(two).parsed(),
        Err(HelloError::Field {
            field: "server_name"
        })
    );
    let empty = (0, length16(&[]));
    assert_eq!(
        Builder::default().with(empty).parsed(),
        Err(HelloError::ServerName)
    );
    let other_kind = (0, length16(&[9, 1, 2, 3]));
    assert_eq!(
        Builder::default().with(other_kind).parsed().unwrap().sni,
        None
    );
    let trailing = (
        0,
        [
            length16(&[&[0][..], &length16(b"a.example")].concat()),
            vec![0],
        ]
        .concat(),
    );
    assert_eq!(
        Builder::default().with(trailing).parsed(),
        Err(HelloError::Field {
            field: "server_name"
        })
    );
}

#[test]
fn malformed_fields_are_named() {
    let field = |builder: Builder| match builder.parsed() {
        Err(HelloError::Field { field }) => field,
        other => panic!("{other:?}"),
    };
    let plain = Builder::default;
    assert_eq!(
        field(Builder {
            session_id: vec![0; 33],
            ..plain()
        }),
        "session id"
    );
    assert_eq!(
        field(Builder {
            suites: vec![],
            ..plain()
        }),
        "cipher suites"
    );
    assert_eq!(
        field(Builder {
            compressions: vec![],
            ..plain()
        }),
        "compression methods"
    );
    assert_eq!(
        field(Builder {
            compressions: vec![1],
            ..plain()
        }),
        "compression methods"
    );
    assert_eq!(field(plain().with((16, length16(b"\x00")))), "alpn");
    assert_eq!(field(plain().with((16, length16(b"")))), "alpn");
    assert_eq!(field(plain().with((16, length16(b"\x09h2")))), "alpn");
    assert_eq!(
        field(plain().with((10, length16(&[0])))),
        "supported_groups"
    );
    assert_eq!(
        field(plain().with((43, vec![3, 3, 4, 3])),),
        "supported_versions"
    );
    assert_eq!(field(plain().with((43, vec![])),), "supported_versions");
    assert_eq!(
        field(plain().with((51, length16(&[0, 29, 0, 0])))),
        "key_share"
    );
    assert_eq!(
        field(plain().with((13, length16(&[])))),
        "signature_algorithms"
    );
}

#[test]
fn t66_more_application_protocols_than_anybody_speaks_are_refused() {
    let listing = |count: usize| {
        Builder::default()
            .with((16, length16(&[1, b'x'].repeat(count))))
            .parsed()
    };
    let most = listing(ALPN_PROTOCOLS_MAX).unwrap();
    assert_eq!(most.alpn.len(), ALPN_PROTOCOLS_MAX);
    for count in [ALPN_PROTOCOLS_MAX + 1, 8_000] {
        assert_eq!(listing(count), Err(HelloError::TooManyProtocols));
    }
}

#[test]
fn t64_compression_beside_null_is_tolerated_and_alone_refused() {
    assert!(
        Builder {
            compressions: vec![1, 0],
            ..Builder::default()
        }
        .parsed()
        .is_ok()
    );
}

#[test]
fn extensions_come_once_and_the_psk_last() {
    let twice = Builder::default().with((23, vec![])).with((23, vec![]));
    assert_eq!(
        twice.parsed(),
        Err(HelloError::DuplicateExtension { extension: 23 })
    );
    let grease_twice = Builder::default()
        .with((0x2a2a, vec![]))
        .with((0x2a2a, vec![]));
    assert_eq!(
        grease_twice.parsed(),
        Err(HelloError::DuplicateExtension { extension: 0x2a2a })
    );
    let early = Builder::default().with((41, vec![])).with((23, vec![]));
    assert_eq!(early.parsed(), Err(HelloError::PreSharedKeyNotLast));
}
