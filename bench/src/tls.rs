//! TLS settings of both ends. Every choice is explicit, so that a report says what was measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// TLS versions that an end offers or accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Versions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl Versions {
    fn list(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Both => vec![&version::TLS13, &version::TLS12],
            Self::Tls12 => vec![&version::TLS12],
            Self::Tls13 => vec![&version::TLS13],
        }
    }
}

/// The key exchange group that a client offers a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// RFC 7748, alone.
    X25519,
    /// NIST P-256, alone.
    Secp256r1,
    /// The post-quantum hybrid, a key share of 1,216 bytes, with X25519 beside it as browsers do.
    X25519mlkem768,
}

/// A certificate, key or setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// A PEM file is missing or holds nothing usable.
    #[error("{}: {source}", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// rustls refuses the certificate, the key or the versions.
    #[error("TLS settings: {0}")]
    Tls(#[from] rustls::Error),
}

/// The client's settings.
pub(crate) fn client(
    anchors: &Path,
    versions: Versions,
    group: Option<Group>,
    resume: bool,
) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(anchors)? {
        roots.add(certificate)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider(group))
        .with_protocol_versions(&versions.list())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = if resume {
        Resumption::default()
    } else {
        Resumption::disabled()
    };
    Ok(config)
}

/// The origin's settings: `tickets` are sent after each TLS 1.3 handshake.
pub(crate) fn server(
    resolver: Arc<dyn ResolvesServerCert>,
    versions: Versions,
    tickets: usize,
) -> Result<ServerConfig, SetupError> {
    let mut config = ServerConfig::builder_with_provider(provider(None))
        .with_protocol_versions(&versions.list())?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = tickets;
    if tickets == 0 {
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    }
    Ok(config)
}

/// One certificate for every name.
#[derive(Debug)]
pub(crate) struct Single(Arc<CertifiedKey>);

impl Single {
    /// The chain in `certificate` (leaf first) with its key.
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(certified(
            certificates(certificate)?,
            private_key(key)?,
        )?)))
    }
}

impl ResolvesServerCert for Single {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Joins a chain and its key.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, SetupError> {
    Ok(CertifiedKey::from_der(chain, key, &provider(None))?)
}

/// All certificates of a PEM file, in order.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|source| SetupError::Pem {
            file: file.to_owned(),
            source,
        })
}

/// The private key of a PEM file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    PrivateKeyDer::from_pem_file(file).map_err(|source| SetupError::Pem {
        file: file.to_owned(),
        source,
    })
}

fn provider(group: Option<Group>) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(group) = group {
        provider.kx_groups = match group {
            Group::X25519 => vec![aws_lc_rs::kx_group::X25519],
            Group::Secp256r1 => vec![aws_lc_rs::kx_group::SECP256R1],
            Group::X25519mlkem768 => vec![
                aws_lc_rs::kx_group::X25519MLKEM768,
                aws_lc_rs::kx_group::X25519,
            ],
        };
    }
    Arc::new(provider)
}
