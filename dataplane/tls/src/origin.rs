//! The TLS client toward the origin.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::CommonState;
use rustls::client::{ClientConfig, ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::CertificateDer;
use rustls::unbuffered::UnbufferedStatus;
use sluice_telemetry::{LegFacts, OriginVerdict};

use crate::drive::{self, Drive, Engine, Progress};
use crate::error::{TlsError, TlsErrorKind};
use crate::records::{Records, Rekey};
use crate::verifier::{OriginNotes, server_name};
use crate::{TlsContext, TrustStore, VersionRange, facts, provider};

/// A handshake with an origin, from our ClientHello to its Finished.
pub struct OriginHandshake {
    connection: Box<UnbufferedClientConnection>,
    notes: Arc<OriginNotes>,
    drive: Drive,
}

/// What a handshake with an origin is to be like.
#[derive(Debug, Clone)]
pub struct OriginParameters<'a> {
    /// The client's SNI: sent on, and verified against. `None`: nothing is sent and `address` is verified against.
    pub server_name: Option<&'a str>,
    /// Where the client's connection goes.
    pub address: IpAddr,
    /// The client's application protocols, in its order.
    pub alpn: &'a [Vec<u8>],
    /// Who is trusted.
    pub trust: Arc<TrustStore>,
    /// RSA keys of the origin below this count as weak, bits.
    pub minimum_key_bits: u16,
    /// Versions to offer.
    pub versions: VersionRange,
    /// Whether to offer X25519MLKEM768: when the client did, [`crate::ClientHello::offers_post_quantum`].
    pub post_quantum: bool,
    /// Seconds since the Unix epoch, against which dates are verified.
    pub now_unix_s: u64,
}

/// A session with an origin.
#[derive(Debug)]
pub struct OriginSession {
    /// The record layer.
    pub records: Records,
    /// What was negotiated.
    pub leg: LegFacts,
    /// The origin's chain as sent, its own certificate first.
    pub certificate_chain: Vec<CertificateDer<'static>>,
    /// What the origin's certificate is worth.
    pub verdict: OriginVerdict,
    /// Whether the origin asked for a client certificate; it was told that there is none.
    pub client_certificate_requested: bool,
}

impl OriginSession {
    /// Bytes of memory this holds, as near as can be told.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let chain = self.certificate_chain.iter().map(|der| der.len());
        let beside_records = size_of::<Self>() - size_of::<Records>();
        beside_records + self.records.memory_bytes() + chain.sum::<usize>()
    }
}

impl OriginHandshake {
    /// Begins a handshake. The first [`Self::advance`], which needs no input, gives the ClientHello.
    ///
    /// # Errors
    /// A server name that is no DNS name, or no random bytes.
    pub fn new(context: &TlsContext, parameters: &OriginParameters<'_>) -> Result<Self, TlsError> {
        let name = server_name(parameters.server_name, parameters.address).ok_or_else(|| {
            TlsError::ours(TlsErrorKind::ServerName(
                parameters.server_name.unwrap_or_default().to_owned(),
            ))
        })?;
        let notes = Arc::new(OriginNotes::new(
            Arc::clone(&parameters.trust),
            provider::verification_algorithms(),
            name.clone(),
            parameters.minimum_key_bits,
            parameters.now_unix_s,
        ));
        let mut config = context
            .origin(parameters.versions, parameters.post_quantum)
            .clone();
        config.alpn_protocols = parameters.alpn.to_vec();
        config.client_auth_cert_resolver = Arc::<OriginNotes>::clone(&notes);
        config
            .dangerous()
            .set_certificate_verifier(Arc::<OriginNotes>::clone(&notes));
        let connection = Box::new(UnbufferedClientConnection::new(Arc::new(config), name)?);
        Ok(Self {
            connection,
            notes,
            drive: Drive::default(),
        })
    }

    /// Takes what the origin sent and appends what it must be sent to `output`. `now_unix_s` is for symmetry with what a later
    /// resumption needs; dates are verified against the time given at the start.
    ///
    /// # Errors
    /// The handshake failed; `output` ends with the alert that tells the origin, and [`Self::verdict`] still answers.
    pub fn advance(
        &mut self,
        input: &mut [u8],
        output: &mut Vec<u8>,
        _now_unix_s: u64,
    ) -> Result<Progress, TlsError> {
        self.drive.advance(&mut *self.connection, input, output)
    }

    /// What the origin's certificate is worth, once it was seen; also after a failure.
    #[must_use]
    pub fn verdict(&self) -> Option<OriginVerdict> {
        self.notes.verdict()
    }

    /// Whether the origin asked for a client certificate; also after a failure, which may be its refusal of our having none.
    #[must_use]
    pub fn client_certificate_requested(&self) -> bool {
        self.notes.certificate_requested()
    }

    /// The session, once [`Self::advance`] said done.
    ///
    /// # Errors
    /// [`TlsErrorKind::NotComplete`] before that.
    pub fn finish(self) -> Result<OriginSession, TlsError> {
        let not_complete = || TlsError::ours(TlsErrorKind::NotComplete);
        if !drive::complete(&self.connection) {
            return Err(not_complete());
        }
        let leg = facts::of(&self.connection).ok_or_else(not_complete)?;
        let verdict = self.notes.verdict().ok_or_else(not_complete)?;
        let certificate_chain = self
            .connection
            .peer_certificates()
            .ok_or_else(not_complete)?
            .to_vec();
        let client_certificate_requested = self.notes.certificate_requested();
        let (secrets, kernel) = self.connection.dangerous_into_kernel_connection()?;
        let kept_bytes = size_of::<ClientConfig>()
            + size_of::<OriginNotes>()
            + certificate_chain
                .iter()
                .map(|certificate| certificate.len())
                .sum::<usize>();
        let rekey = Rekey::Client {
            kernel: Box::new(kernel),
            kept_bytes,
        };
        let records = Records::new(secrets, leg.version, rekey)
            .map_err(|error| TlsError::ours(TlsErrorKind::Internal(error.to_string())))?;
        Ok(OriginSession {
            records,
            leg,
            certificate_chain,
            verdict,
            client_certificate_requested,
        })
    }
}

impl std::fmt::Debug for OriginHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OriginHandshake")
            .field("verdict", &self.verdict())
            .finish_non_exhaustive()
    }
}

impl Engine for UnbufferedClientConnection {
    type Side = ClientConnectionData;

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(input)
    }
}
