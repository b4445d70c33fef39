//! The TLS server toward the client.

use std::sync::Arc;

use rustls::CommonState;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::UnbufferedStatus;
use sluice_telemetry::LegFacts;

use crate::drive::{self, Drive, Engine, Progress};
use crate::error::{TlsError, TlsErrorKind};
use crate::records::{Records, Rekey};
use crate::{ServerIdentity, TlsContext, VersionRange, facts};

/// A handshake with a client, from its ClientHello to its Finished.
pub struct ClientHandshake {
    connection: Box<UnbufferedServerConnection>,
    drive: Drive,
}

/// What a handshake with a client is to be like.
#[derive(Debug, Clone, Copy)]
pub struct ClientParameters<'a> {
    /// What the client is shown.
    pub identity: &'a ServerIdentity,
    /// The application protocol that the origin chose, if it chose one: the client gets the same or none.
    pub alpn: Option<&'a [u8]>,
    /// Versions to accept.
    pub versions: VersionRange,
}

/// A session with a client.
#[derive(Debug)]
pub struct ClientSession {
    /// The record layer.
    pub records: Records,
    /// What was negotiated.
    pub leg: LegFacts,
}

impl ClientHandshake {
    /// Begins a handshake. The client's ClientHello, held since it was read, is the first input.
    ///
    /// # Errors
    /// A provider that does not fit, which [`TlsContext::new`] would have refused.
    pub fn new(context: &TlsContext, parameters: &ClientParameters<'_>) -> Result<Self, TlsError> {
        let mut config = context.client(parameters.versions).clone();
        config.cert_resolver = parameters.identity.resolver();
        config.alpn_protocols = parameters.alpn.map(<[u8]>::to_vec).into_iter().collect();
        let connection = Box::new(UnbufferedServerConnection::new(Arc::new(config))?);
        Ok(Self {
            connection,
            drive: Drive::default(),
        })
    }

    /// Takes what the client sent and appends what it must be sent to `output`. `now_unix_s` is for symmetry with what later
    /// tickets need.
    ///
    /// # Errors
    /// The handshake failed; `output` ends with the alert that tells the client.
    pub fn advance(
        &mut self,
        input: &mut [u8],
        output: &mut Vec<u8>,
        _now_unix_s: u64,
    ) -> Result<Progress, TlsError> {
        self.drive.advance(&mut *self.connection, input, output)
    }

    /// The session, once [`Self::advance`] said done.
    ///
    /// # Errors
    /// [`TlsErrorKind::NotComplete`] before that.
    pub fn finish(self) -> Result<ClientSession, TlsError> {
        let not_complete = || TlsError::ours(TlsErrorKind::NotComplete);
        if !drive::complete(&self.connection) {
            return Err(not_complete());
        }
        let leg = facts::of(&self.connection).ok_or_else(not_complete)?;
        let (secrets, kernel) = self.connection.dangerous_into_kernel_connection()?;
        let records = Records::new(secrets, leg.version, Rekey::Server(Box::new(kernel)))
            .map_err(|error| TlsError::ours(TlsErrorKind::Internal(error.to_string())))?;
        Ok(ClientSession { records, leg })
    }
}

impl std::fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientHandshake").finish_non_exhaustive()
    }
}

impl Engine for UnbufferedServerConnection {
    type Side = ServerConnectionData;

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(input)
    }
}
