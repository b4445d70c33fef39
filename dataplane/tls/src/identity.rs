//! What a client is shown: a chain and the key to its first certificate.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use sluice_pki::{ForgedLeaf, LeafKey};
use thiserror::Error;

/// A chain with its signing key, parsed once and shared by every handshake that shows it. Cloning shares.
#[derive(Clone)]
pub struct ServerIdentity {
    resolver: Arc<Single>,
}

/// The key of all forged leaves, parsed once.
#[derive(Clone)]
pub struct LeafSigner(Arc<dyn SigningKey>);

/// A chain and key cannot be shown to clients.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// No certificate.
    #[error("the chain is empty; give the server's certificate first, then its issuers")]
    EmptyChain,
    /// The key is not PKCS#8, or of no kind this crate signs with.
    #[error(
        "the private key cannot be used: {0}; give RSA of at least 2048 bits, ECDSA P-256 or P-384, or Ed25519, as PKCS#8"
    )]
    Key(String),
    /// The key is not the certificate's.
    #[error("the private key does not belong to the chain's first certificate")]
    Mismatch,
    /// The certificate cannot be read.
    #[error("the chain's first certificate cannot be read: {0}")]
    Certificate(String),
}

impl ServerIdentity {
    /// A real server's chain and key: RSA, ECDSA P-256 or P-384, or Ed25519.
    ///
    /// # Errors
    /// [`IdentityError`] names what does not fit.
    pub fn from_pkcs8(
        chain: Vec<CertificateDer<'static>>,
        pkcs8: &[u8],
    ) -> Result<Self, IdentityError> {
        if chain.is_empty() {
            return Err(IdentityError::EmptyChain);
        }
        let certified = CertifiedKey::new(chain, signing_key(pkcs8)?);
        match certified.keys_match() {
            Ok(()) => Ok(Self {
                resolver: Arc::new(Single(Arc::new(certified))),
            }),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(IdentityError::Mismatch)
            }
            Err(error) => Err(IdentityError::Certificate(error.to_string())),
        }
    }

    /// A forged leaf with the key of all leaves. Where many are made, [`Self::from_signed_leaf`] parses the key once.
    ///
    /// # Errors
    /// [`IdentityError`] names what does not fit.
    pub fn from_leaf(leaf: &ForgedLeaf, key: &LeafKey) -> Result<Self, IdentityError> {
        Self::from_signed_leaf(leaf, &LeafSigner::new(key)?)
    }

    /// A forged leaf with the already parsed key of all leaves. That they belong together is the forge's doing and is not
    /// checked again.
    ///
    /// # Errors
    /// [`IdentityError::EmptyChain`].
    pub fn from_signed_leaf(leaf: &ForgedLeaf, signer: &LeafSigner) -> Result<Self, IdentityError> {
        if leaf.chain.is_empty() {
            return Err(IdentityError::EmptyChain);
        }
        let certified = CertifiedKey::new(leaf.chain.clone(), Arc::clone(&signer.0));
        Ok(Self {
            resolver: Arc::new(Single(Arc::new(certified))),
        })
    }

    /// The chain, the server's own certificate first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.resolver.0.cert
    }

    /// Whether the server's own certificate names `host` (RFC 9525 section 6), so that it is the one to show for this SNI.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        let certificate = self.chain().first();
        let parsed = certificate.and_then(|der| webpki::EndEntityCert::try_from(der).ok());
        parsed
            .is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Single>::clone(&self.resolver)
    }
}

impl LeafSigner {
    /// Parses the key.
    ///
    /// # Errors
    /// [`IdentityError::Key`].
    pub fn new(key: &LeafKey) -> Result<Self, IdentityError> {
        signing_key(key.pkcs8()).map(Self)
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity")
            .field("certificates", &self.chain().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeafSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafSigner")
    }
}

fn signing_key(pkcs8: &[u8]) -> Result<Arc<dyn SigningKey>, IdentityError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    rustls::crypto::ring::sign::any_supported_type(&der)
        .map_err(|error| IdentityError::Key(error.to_string()))
}

/// Shows one certificate whatever the client asks for: the choice was made before.
struct Single(Arc<CertifiedKey>);

impl ResolvesServerCert for Single {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Single")
    }
}
