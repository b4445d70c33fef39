//! A site: the appliance's configuration and certificates, and those of the ends behind it.

use std::sync::Arc;

use rcgen::KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sluice_pki::LeafKey;
use sluice_proxy::Generation;
use sluice_random::CoreRandom;
use sluice_schema::{Certificate, CertificateName, Document, KeyId, Snapshot, load};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::certificates::{Authority, Issued, START_UNIX_S};

/// The name that an inspected client asks for.
pub const ORIGIN_NAME: &str = "good.test";

const APPLIANCE: &str = r#"
[appliance]
name = "sim"
profile = "sim"
[dataplane]
cores = [1]
[[segment]]
name = "segment-1"
port_a = "af_packet:a"
port_b = "af_packet:b"
"#;

const PROFILE: &str = r#"
name = "sim"
[[client_proxy]]
name = "web"
signing_certificate = "trusted-ca"
untrusted_certificate = "untrusted-ca"
detection_ports = [443]
reset_client_on_block = true
session_logging = true
irregular_handshake = "block"
[[trust_store]]
name = "roots"
default_authorities = false
authorities = ["origin-root"]
[[decryption_policy]]
name = "standard"
do_not_decrypt = ["*.bank.test"]
[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "standard"
trust_store = "roots"
never_decrypt_sources = ["10.1.9.0/24"]
"#;

/// A site cannot be set up.
#[derive(Debug, Error)]
#[error("the site cannot be set up: {0}")]
pub struct SiteError(String);

fn wrong(error: impl core::fmt::Display) -> SiteError {
    SiteError(error.to_string())
}

/// What simulations of one process share.
pub struct Site {
    generation: Arc<Generation>,
    leaf_key: Arc<LeafKey>,
    clients: [Arc<ClientConfig>; 2],
    servers: [Arc<ServerConfig>; 2],
}

impl Site {
    /// New keys, new certificates, one configuration that inspects port 443.
    ///
    /// # Errors
    /// [`SiteError`] says which part is wrong.
    pub fn new() -> Result<Self, SiteError> {
        let mut random = CoreRandom::new().map_err(wrong)?;
        let authority = |name, key| Authority::new(name, key).map_err(wrong);
        let trusted = &authority("Sluice Trusted CA", Some(rsa_key()?))?;
        let untrusted = &authority("Sluice Untrusted CA", None)?;
        let root = &authority("Origin Root", None)?;
        let origin = root.leaf(&[ORIGIN_NAME]).map_err(wrong)?;
        let stored = [
            ("trusted-ca", &trusted.issued),
            ("untrusted-ca", &untrusted.issued),
            ("origin-root", &root.issued),
        ];
        let client = |versions| client_config(trusted, versions);
        let server = |versions| server_config(&origin, &root.issued, versions);
        Ok(Self {
            generation: compile(1, [APPLIANCE, PROFILE], &stored)?,
            leaf_key: Arc::new(LeafKey::generate(&mut random).map_err(wrong)?),
            clients: [client(TLS13)?, client(TLS12)?],
            servers: [server(TLS13)?, server(TLS12)?],
        })
    }

    pub(super) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation)
    }

    pub(super) fn leaf_key(&self) -> Arc<LeafKey> {
        Arc::clone(&self.leaf_key)
    }

    /// A client that trusts the appliance's CA and nobody else.
    #[must_use]
    pub fn client(&self, tls12: bool) -> &Arc<ClientConfig> {
        let [tls13, older] = &self.clients;
        if tls12 { older } else { tls13 }
    }

    /// The origin.
    #[must_use]
    pub fn server(&self, tls12: bool) -> &Arc<ServerConfig> {
        let [tls13, older] = &self.servers;
        if tls12 { older } else { tls13 }
    }
}

type Versions = &'static [&'static rustls::SupportedProtocolVersion];
const TLS13: Versions = &[&rustls::version::TLS13];
const TLS12: Versions = &[&rustls::version::TLS12];

fn client_config(trusted: &Authority, versions: Versions) -> Result<Arc<ClientConfig>, SiteError> {
    let mut roots = RootCertStore::empty();
    for own in &trusted.issued.chain {
        roots.add(own.clone()).map_err(wrong)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.time_provider = Arc::new(FixedTime);
    // No run may depend on the one before it.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn server_config(
    origin: &Issued,
    root: &Issued,
    versions: Versions,
) -> Result<Arc<ServerConfig>, SiteError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert([&origin.chain[..], &root.chain].concat(), origin.key())
        .map_err(wrong)?;
    Ok(Arc::new(config))
}

/// Certificates stay valid however long a run takes.
#[derive(Debug)]
struct FixedTime;

impl rustls::time_provider::TimeProvider for FixedTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let start = core::time::Duration::from_secs(START_UNIX_S);
        Some(rustls::pki_types::UnixTime::since_unix_epoch(start))
    }
}

/// A generation as the data plane compiles it from the appliance's document, its profile, and a certificate store: names with
/// certificates and keys.
///
/// # Errors
/// [`SiteError`]: the documents, or what the store lacks.
pub fn compile(
    number: u64,
    [appliance, profile]: [&str; 2],
    stored: &[(&str, &Issued)],
) -> Result<Arc<Generation>, SiteError> {
    let documents = [
        ("appliance.toml", appliance),
        ("profiles/profile.toml", profile),
    ]
    .map(|(path, text)| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    });
    let configuration = load(&documents).map_err(|problems| SiteError(format!("{problems:#?}")))?;
    let mut certificates = Vec::new();
    for (key, (name, issued)) in (0..).zip(stored) {
        certificates.push(Certificate {
            name: name.parse::<CertificateName>().map_err(wrong)?,
            chain: issued.chain.iter().map(|der| der.to_vec()).collect(),
            key: Some(KeyId(key)),
        });
    }
    let snapshot = Snapshot {
        generation: sluice_schema::Generation(number),
        configuration,
        certificates,
    };
    let key = |id: KeyId| {
        let (_, issued) = stored.get(usize::try_from(id.0).ok()?)?;
        Some(Zeroizing::new(issued.pkcs8.clone()))
    };
    Generation::compile(&snapshot, &key)
        .map(Arc::new)
        .map_err(wrong)
}

/// A key whose signatures a helper thread makes.
fn rsa_key() -> Result<KeyPair, SiteError> {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(wrong)?;
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(wrong)?;
    let der = PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).map_err(wrong)
}
