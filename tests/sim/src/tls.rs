//! TLS at a real end: rustls by itself, sans-IO, between an application and its TCP.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use thiserror::Error;

/// Why an end's TLS did not go as it should.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TlsError {
    /// The peer's bytes are not what they should be.
    #[error("TLS: {0}")]
    Protocol(rustls::Error),
    /// The peer ended its stream without saying so.
    #[error("TLS: the stream was cut short, there was no close_notify")]
    Truncated,
    /// The library refused plaintext or bytes of its own.
    #[error("TLS: {0}")]
    Refused(std::io::ErrorKind),
}

/// One end of a TLS connection.
#[derive(Debug)]
pub struct TlsEnd {
    connection: Connection,
    /// Records to hand to TCP, of which `taken` bytes were.
    sealed: Vec<u8>,
    taken: usize,
    concluded: bool,
    peer_concluded: bool,
    error: Option<TlsError>,
}

impl TlsEnd {
    /// A client that asks for `name`.
    ///
    /// # Errors
    /// A configuration or name that no hello can be made of.
    pub fn client(config: &Arc<ClientConfig>, name: &str) -> Result<Self, rustls::Error> {
        let name = rustls::pki_types::ServerName::try_from(name.to_owned())
            .map_err(|_| rustls::Error::General(format!("{name} is no name")))?;
        ClientConnection::new(Arc::clone(config), name).map(|client| Self::new(client.into()))
    }

    /// A server.
    ///
    /// # Errors
    /// A configuration that cannot serve.
    pub fn server(config: &Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        ServerConnection::new(Arc::clone(config)).map(|server| Self::new(server.into()))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            sealed: Vec::new(),
            taken: 0,
            concluded: false,
            peer_concluded: false,
            error: None,
        }
    }

    /// The handshake is done.
    #[must_use]
    pub fn established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// The peer's certificate, DER, once it was shown.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let chain = self.connection.peer_certificates()?;
        chain.first().map(AsRef::as_ref)
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> Option<TlsError> {
        self.error.clone()
    }

    pub(crate) fn all_taken(&self) -> bool {
        self.taken == self.sealed.len()
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        !self.all_taken() || self.connection.wants_write()
    }

    /// Seals `plaintext` and hands over at most `space` bytes of records.
    pub(crate) fn take(&mut self, plaintext: &[u8], space: usize) -> Vec<u8> {
        if self.all_taken() {
            self.sealed.clear();
            self.taken = 0;
        }
        let written = self
            .connection
            .writer()
            .write_all(plaintext)
            .and_then(|()| self.seal());
        if let Err(error) = written {
            self.fail(TlsError::Refused(error.kind()));
        }
        let left = self.sealed.get(self.taken..).unwrap_or_default();
        let piece = left.get(..space).unwrap_or(left).to_vec();
        self.taken += piece.len();
        piece
    }

    fn seal(&mut self) -> std::io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.sealed)?;
        }
        Ok(())
    }

    pub(crate) fn give_back(&mut self, count: usize) {
        self.taken -= count;
    }

    /// Opens records; says how many bytes it took and what they held.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (usize, Vec<u8>) {
        let mut rest = bytes;
        let mut plaintext = Vec::new();
        while !rest.is_empty() && self.error.is_none() {
            // A reader that is full after its last record takes no more, nor does one after close_notify.
            let taken = self.connection.read_tls(&mut rest).unwrap_or(0);
            match self.connection.process_new_packets() {
                Ok(state) => {
                    self.peer_concluded |= state.peer_has_closed();
                    let start = plaintext.len();
                    plaintext.resize(start + state.plaintext_bytes_to_read(), 0);
                    let fresh = plaintext.get_mut(start..).unwrap_or_default();
                    if let Err(error) = self.connection.reader().read_exact(fresh) {
                        self.fail(TlsError::Refused(error.kind()));
                    }
                }
                Err(error) => self.fail(TlsError::Protocol(error)),
            }
            if taken == 0 {
                break;
            }
        }
        // What comes after the end, or after an error, is nobody's.
        let over = self.peer_concluded || self.error.is_some();
        let unread = if over { 0 } else { rest.len() };
        (bytes.len() - unread, plaintext)
    }

    /// Says close_notify when the application has `finished`. True when TCP may send its FIN.
    pub(crate) fn conclude(&mut self, finished: bool, peer_finished: bool) -> bool {
        if peer_finished && !self.peer_concluded && self.error.is_none() {
            self.fail(TlsError::Truncated);
        }
        if self.error.is_some() {
            return !self.wants_to_write();
        }
        if finished && self.established() && !self.concluded {
            self.connection.send_close_notify();
            self.concluded = true;
        }
        self.concluded && !self.wants_to_write()
    }

    fn fail(&mut self, error: TlsError) {
        self.error.get_or_insert(error);
    }
}
