//! What all handshakes of a process share: the composed provider and one base configuration per kind of leg.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::UnixTime;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use sluice_telemetry::TlsVersion;
use thiserror::Error;

use crate::VersionRange;
use crate::provider;
use crate::verifier::Unset;

/// Shared by all cores; immutable.
#[derive(Debug)]
pub struct TlsContext {
    /// By version range, classic then post-quantum.
    origin: [[ClientConfig; 2]; 3],
    /// By version range.
    client: [ServerConfig; 3],
}

/// The composed provider does not hold together.
#[derive(Debug, Error)]
#[error("the TLS provider does not hold together: {0}; this build cannot inspect")]
pub struct TlsContextError(#[from] rustls::Error);

impl TlsContext {
    /// Composes the provider and prepares the configurations that handshakes start from.
    ///
    /// # Errors
    /// A provider that rustls finds inconsistent.
    pub fn new() -> Result<Self, TlsContextError> {
        let ranges = [
            VersionRange::TLS12,
            VersionRange::TLS13,
            VersionRange::TLS12_AND_13,
        ];
        let origin = |range, post_quantum| origin_config(range, post_quantum);
        let [a, b, c] = ranges;
        Ok(Self {
            origin: [
                [origin(a, false)?, origin(a, true)?],
                [origin(b, false)?, origin(b, true)?],
                [origin(c, false)?, origin(c, true)?],
            ],
            client: [client_config(a)?, client_config(b)?, client_config(c)?],
        })
    }

    pub(crate) fn origin(&self, range: VersionRange, post_quantum: bool) -> &ClientConfig {
        let [tls12, tls13, both] = &self.origin;
        let [classic, hybrid] = match (range.lowest(), range.highest()) {
            (TlsVersion::Tls13, _) => tls13,
            (_, TlsVersion::Tls13) => both,
            _ => tls12,
        };
        if post_quantum { hybrid } else { classic }
    }

    pub(crate) fn client(&self, range: VersionRange) -> &ServerConfig {
        let [tls12, tls13, both] = &self.client;
        match (range.lowest(), range.highest()) {
            (TlsVersion::Tls13, _) => tls13,
            (_, TlsVersion::Tls13) => both,
            _ => tls12,
        }
    }
}

static ONLY_TLS12: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];
static TLS12_AND_TLS13: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

fn versions(range: VersionRange) -> &'static [&'static SupportedProtocolVersion] {
    match (
        range.contains(TlsVersion::Tls12),
        range.contains(TlsVersion::Tls13),
    ) {
        (true, false) => ONLY_TLS12,
        (false, _) => ONLY_TLS13,
        (true, true) => TLS12_AND_TLS13,
    }
}

fn origin_config(range: VersionRange, post_quantum: bool) -> Result<ClientConfig, TlsContextError> {
    let mut config =
        ClientConfig::builder_with_details(provider::provider(post_quantum), Arc::new(NoClock))
            .with_protocol_versions(versions(range))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unset))
            .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    config.enable_early_data = false;
    Ok(config)
}

fn client_config(range: VersionRange) -> Result<ServerConfig, TlsContextError> {
    let mut config =
        ServerConfig::builder_with_details(provider::provider(true), Arc::new(NoClock))
            .with_protocol_versions(versions(range))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(NoCertificate));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.enable_secret_extraction = true;
    Ok(config)
}

/// rustls asks for the time of tickets, which are off, and passes one to the verifier, which is given its own.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(core::time::Duration::ZERO))
    }
}

/// Stands in a base configuration until a handshake puts its own identity there.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}
