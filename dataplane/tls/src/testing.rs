//! Certificates, peers and a wire in memory for this crate's tests.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SigningKey,
};
use rustls::pki_types::CertificateDer;

use crate::{
    ClientHandshake, ClientParameters, ClientSession, OriginHandshake, OriginParameters,
    OriginSession, ServerIdentity, TlsContext, TlsError, TrustStore, VersionRange,
};

/// 2030-01-01T00:00:00Z: all test certificates are valid from 2025 to 2035 unless told otherwise.
pub(crate) const NOW: u64 = 1_893_456_000;

/// A CA for tests.
pub(crate) struct Authority {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

/// Parameters of a certificate named `name`, valid in 2030.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2035, 1, 1);
    params
}

/// Parameters of a CA.
pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Parameters of a server's leaf for `names`.
pub(crate) fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2035, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub(crate) fn p256() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

pub(crate) fn rsa_2048() -> KeyPair {
    use aws_lc_rs::encoding::AsDer;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from(pkcs8.as_ref());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap()
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_from(ca_params(name))
    }

    pub(crate) fn root_from(params: CertificateParams) -> Self {
        let key = p256();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(crate) fn issue(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
    ) -> CertificateDer<'static> {
        params
            .signed_by(key, &Issuer::from_params(&self.params, &self.key))
            .unwrap()
            .der()
            .clone()
    }

    pub(crate) fn intermediate(&self, params: CertificateParams) -> Self {
        let key = p256();
        let der = self.issue(&params, &key);
        Self { params, key, der }
    }

    pub(crate) fn leaf(&self, params: &CertificateParams) -> CertificateDer<'static> {
        self.issue(params, &p256())
    }

    pub(crate) fn trust(&self) -> Arc<TrustStore> {
        Arc::new(TrustStore::new(false, std::slice::from_ref(&self.der)).unwrap())
    }
}

/// Takes a certificate apart, lets `change` alter the elements of its TBSCertificate, and signs it again with `key`
/// (ECDSA P-256). `outer` replaces the outer signature algorithm.
pub(crate) fn resigned(
    certificate: &CertificateDer<'_>,
    key: &KeyPair,
    outer: Option<&[u8]>,
    change: impl FnOnce(&mut Vec<Vec<u8>>),
) -> CertificateDer<'static> {
    let [tbs, algorithm, _signature] = <[Vec<u8>; 3]>::try_from(elements(certificate)).unwrap();
    let mut fields = elements(&tbs);
    change(&mut fields);
    let tbs = tlv(0x30, &fields.concat());
    let signature = SigningKey::sign(key, &tbs).unwrap();
    let mut bits = vec![0];
    bits.extend(signature);
    let outer = outer.map_or(algorithm, <[u8]>::to_vec);
    CertificateDer::from(tlv(0x30, &[tbs, outer, tlv(3, &bits)].concat()))
}

/// The elements of a DER SEQUENCE, each with its header.
pub(crate) fn elements(sequence: &[u8]) -> Vec<Vec<u8>> {
    let (start, end) = body(sequence);
    let mut rest = &sequence[start..end];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (_, end) = body(rest);
        found.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    found
}

fn body(der: &[u8]) -> (usize, usize) {
    let (start, length) = match der[1] {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            (
                2 + count,
                der[2..2 + count]
                    .iter()
                    .fold(0, |sum, &byte| (sum << 8) | usize::from(byte)),
            )
        }
    };
    (start, start + length)
}

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    match content.len() {
        0..0x80 => der.push(length[3]),
        0x80..0x100 => der.extend([0x81, length[3]]),
        0x100..0x1_0000 => der.extend([0x82, length[2], length[3]]),
        _ => der.extend([0x83, length[1], length[2], length[3]]),
    }
    der.extend_from_slice(content);
    der
}

/// An extension with a raw value.
pub(crate) fn extension(oid: &[u64], critical: bool, value: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value.to_vec());
    extension.set_criticality(critical);
    extension
}

/// A site with its identity, and who trusts it.
pub(crate) struct Site {
    pub(crate) identity: ServerIdentity,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key_pkcs8: Vec<u8>,
}

impl Site {
    pub(crate) fn new(name: &str, key: &KeyPair) -> Self {
        let root = Authority::root("root");
        let chain = vec![root.issue(&leaf_params(&[name]), key)];
        let key_pkcs8 = key.serialize_der();
        let identity = ServerIdentity::from_pkcs8(chain.clone(), &key_pkcs8).unwrap();
        Self {
            identity,
            trust: root.trust(),
            chain,
            key_pkcs8,
        }
    }
}

pub(crate) fn origin_parameters<'a>(
    name: Option<&'a str>,
    alpn: &'a [Vec<u8>],
    trust: &Arc<TrustStore>,
    versions: VersionRange,
) -> OriginParameters<'a> {
    OriginParameters {
        server_name: name,
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        alpn,
        trust: Arc::clone(trust),
        minimum_key_bits: 2048,
        versions,
        post_quantum: false,
        now_unix_s: NOW,
    }
}

/// Bytes on their way to one end, delivered `chunk` at a time.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) wire: Vec<u8>,
    pub(crate) input: Vec<u8>,
}

impl Inbox {
    /// Moves up to `chunk` bytes from the wire to the input; false if there were none.
    pub(crate) fn deliver(&mut self, chunk: usize) -> bool {
        let count = chunk.min(self.wire.len());
        self.input.extend(self.wire.drain(..count));
        count > 0
    }
}

/// Both handshakes against each other, delivered `chunk` bytes at a time.
pub(crate) fn shake(
    mut origin: OriginHandshake,
    mut client: ClientHandshake,
    chunk: usize,
) -> Result<(OriginSession, ClientSession), TlsError> {
    let (mut to_origin, mut to_client) = (Inbox::default(), Inbox::default());
    let (mut origin_done, mut client_done) = (false, false);
    for _ in 0..200_000 {
        if !origin_done {
            let progress = origin.advance(&mut to_origin.input, &mut to_client.wire, NOW)?;
            to_origin.input.drain(..progress.consumed);
            origin_done = progress.done;
        }
        to_client.deliver(chunk);
        if !client_done {
            let progress = client.advance(&mut to_client.input, &mut to_origin.wire, NOW)?;
            to_client.input.drain(..progress.consumed);
            client_done = progress.done;
        }
        to_origin.deliver(chunk);
        if origin_done && client_done {
            assert!(
                to_origin.wire.is_empty() && to_origin.input.is_empty(),
                "nothing is left over"
            );
            assert!(
                to_client.wire.is_empty() && to_client.input.is_empty(),
                "nothing is left over"
            );
            return Ok((origin.finish()?, client.finish()?));
        }
    }
    panic!("the handshake does not end");
}

pub(crate) fn sessions(
    site: &Site,
    versions: VersionRange,
    alpn: &[&[u8]],
    chunk: usize,
) -> (OriginSession, ClientSession) {
    let context = TlsContext::new().unwrap();
    let offered: Vec<Vec<u8>> = alpn.iter().map(|name| name.to_vec()).collect();
    let origin = OriginHandshake::new(
        &context,
        &origin_parameters(Some("site.example"), &offered, &site.trust, versions),
    )
    .unwrap();
    let parameters = ClientParameters {
        identity: &site.identity,
        alpn: alpn.first().copied(),
        versions: VersionRange::TLS12_AND_13,
    };
    shake(
        origin,
        ClientHandshake::new(&context, &parameters).unwrap(),
        chunk,
    )
    .unwrap()
}
