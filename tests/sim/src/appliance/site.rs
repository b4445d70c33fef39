//! A site: the appliance's configuration and certificates, and those of the ends behind it.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sluice_pki::LeafKey;
use sluice_proxy::Generation;
use sluice_random::CoreRandom;
use sluice_schema::{Certificate, CertificateName, Document, KeyId, Snapshot, load};
use thiserror::Error;
use zeroize::Zeroizing;

/// The name that an inspected client asks for.
pub const ORIGIN_NAME: &str = "good.test";

/// 2026-01-01, in the middle of every certificate's validity.
pub const START_UNIX_S: u64 = 1_767_225_600;

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
    trusted: CertificateDer<'static>,
    clients: [Arc<ClientConfig>; 2],
    servers: [Arc<ServerConfig>; 2],
}

struct Issued {
    der: CertificateDer<'static>,
    pkcs8: Vec<u8>,
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
    issued: Issued,
}

impl Site {
    /// New keys, new certificates, one configuration that inspects port 443.
    ///
    /// # Errors
    /// [`SiteError`] says which part is wrong.
    pub fn new() -> Result<Self, SiteError> {
        let mut random = CoreRandom::new().map_err(wrong)?;
        let authorities = [
            Authority::new("Sluice Trusted CA", rsa_key()?)?,
            Authority::new("Sluice Untrusted CA", elliptic_key()?)?,
            Authority::new("Origin Root", elliptic_key()?)?,
        ];
        let [trusted, untrusted, root] = &authorities;
        let origin = root.leaf(ORIGIN_NAME)?;
        let stored = [
            ("trusted-ca", &trusted.issued),
            ("untrusted-ca", &untrusted.issued),
            ("origin-root", &root.issued),
        ];
        let client = |versions| client_config(trusted, versions);
        let server = |versions| server_config(&origin, &root.issued, versions);
        Ok(Self {
            generation: generation(&stored)?,
            leaf_key: Arc::new(LeafKey::generate(&mut random).map_err(wrong)?),
            trusted: trusted.issued.der.clone(),
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

    /// The certificate of the appliance's CA, DER.
    #[must_use]
    pub fn trusted_ca(&self) -> &[u8] {
        &self.trusted
    }
}

type Versions = &'static [&'static rustls::SupportedProtocolVersion];
const TLS13: Versions = &[&rustls::version::TLS13];
const TLS12: Versions = &[&rustls::version::TLS12];

fn client_config(trusted: &Authority, versions: Versions) -> Result<Arc<ClientConfig>, SiteError> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.issued.der.clone()).map_err(wrong)?;
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
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(origin.pkcs8.clone()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(vec![origin.der.clone(), root.der.clone()], key)
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

fn generation(stored: &[(&str, &Issued)]) -> Result<Arc<Generation>, SiteError> {
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let documents = [
        document("appliance.toml", APPLIANCE),
        document("profiles/sim.toml", PROFILE),
    ];
    let configuration = load(&documents).map_err(|problems| SiteError(format!("{problems:#?}")))?;
    let mut certificates = Vec::new();
    for (number, (name, issued)) in (0..).zip(stored) {
        certificates.push(Certificate {
            name: name.parse::<CertificateName>().map_err(wrong)?,
            chain: vec![issued.der.to_vec()],
            key: Some(KeyId(number)),
        });
    }
    let snapshot = Snapshot {
        generation: sluice_schema::Generation(1),
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

fn elliptic_key() -> Result<KeyPair, SiteError> {
    KeyPair::generate().map_err(wrong)
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

fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams, SiteError> {
    let mut params = CertificateParams::new(names).map_err(wrong)?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    Ok(params)
}

impl Authority {
    fn new(name: &str, key: KeyPair) -> Result<Self, SiteError> {
        let mut params = params(Vec::new(), name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(wrong)?;
        let issued = Issued {
            der: certificate.der().clone(),
            pkcs8: key.serialize_der(),
        };
        Ok(Self {
            params,
            key,
            issued,
        })
    }

    fn leaf(&self, name: &str) -> Result<Issued, SiteError> {
        let mut params = params(vec![name.to_owned()], name)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = elliptic_key()?;
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(wrong)?;
        Ok(Issued {
            der: certificate.der().clone(),
            pkcs8: key.serialize_der(),
        })
    }
}
