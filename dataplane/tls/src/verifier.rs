//! What rustls asks while the origin shows itself: the certificate is judged and noted, the signature is enforced.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use sluice_telemetry::OriginVerdict;

use crate::TrustStore;
use crate::verdict::{Question, judge_cached};

/// One handshake's notes on its origin.
#[derive(Debug)]
pub(crate) struct OriginNotes {
    trust: Arc<TrustStore>,
    algorithms: WebPkiSupportedAlgorithms,
    name: ServerName<'static>,
    minimum_key_bits: u16,
    now_unix_s: u64,
    verdict: OnceLock<OriginVerdict>,
    certificate_requested: AtomicBool,
}

impl OriginNotes {
    pub(crate) fn new(
        trust: Arc<TrustStore>,
        algorithms: WebPkiSupportedAlgorithms,
        name: ServerName<'static>,
        minimum_key_bits: u16,
        now_unix_s: u64,
    ) -> Self {
        Self {
            trust,
            algorithms,
            name,
            minimum_key_bits,
            now_unix_s,
            verdict: OnceLock::new(),
            certificate_requested: AtomicBool::new(false),
        }
    }

    pub(crate) fn verdict(&self) -> Option<OriginVerdict> {
        self.verdict.get().copied()
    }

    pub(crate) fn certificate_requested(&self) -> bool {
        self.certificate_requested.load(Ordering::Relaxed)
    }
}

impl ServerCertVerifier for OriginNotes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = judge_cached(&Question {
            leaf: end_entity,
            intermediates,
            name: &self.name,
            trust: &self.trust,
            algorithms: self.algorithms.all,
            minimum_key_bits: self.minimum_key_bits,
            now_unix_s: self.now_unix_s,
        });
        if *self.verdict.get_or_init(|| verdict) != verdict {
            return Err(Error::General(
                "the origin's certificate was judged twice and differently".into(),
            ));
        }
        // Policy decides what the verdict is worth; what the origin proved is checked in any case, below.
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Answers a request for a client certificate with none, and notes that there was one.
impl ResolvesClientCert for OriginNotes {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.certificate_requested.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Stands in a base configuration until a handshake puts its own notes there: refuses everything.
#[derive(Debug)]
pub(crate) struct Unset;

impl ServerCertVerifier for Unset {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Vec::new()
    }
}

/// The name to verify and to send: the client's SNI, or the address it went to.
pub(crate) fn server_name(sni: Option<&str>, address: IpAddr) -> Option<ServerName<'static>> {
    match sni {
        Some(name) => ServerName::try_from(name.to_owned()).ok(),
        None => Some(ServerName::IpAddress(address.into())),
    }
}
