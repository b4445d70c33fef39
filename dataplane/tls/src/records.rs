//! The record layer after the handshake: opened and sealed in place, outside rustls.
//!
//! rustls hands over the secrets and keeps what a TLS 1.3 key update derives the next ones from. Everything else of the
//! protocol behind the handshake is here: content types, alerts, tickets, key updates, limits.

mod cipher;
mod error;
mod post_handshake;

use std::fmt;

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};
use sluice_telemetry::TlsVersion;

use self::cipher::{Cipher, Layout};
pub use self::error::RecordError;
use self::post_handshake::{Message, PostHandshake};
use crate::error::alert_name;
use crate::limits::{
    AEAD_CONTEXT_BYTES, CLIENT_STATE_BYTES, CONTROL_MESSAGES_IN_A_ROW_MAX,
    EMPTY_RECORDS_IN_A_ROW_MAX, RECORD_HEADER_BYTES, RECORD_PLAINTEXT_BYTES_MAX, REPLY_BYTES_MAX,
    SERVER_STATE_BYTES, TLS12_CIPHERTEXT_BYTES_MAX, TLS13_CIPHERTEXT_BYTES_MAX,
};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

const LEVEL_WARNING: u8 = 1;
const LEVEL_FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

/// A KeyUpdate that asks for none in return (RFC 8446 section 4.6.3).
const KEY_UPDATE_NOT_REQUESTED: [u8; 5] = [24, 0, 0, 1, 0];

/// Both directions of one leg's record layer.
pub struct Records {
    receive: Cipher,
    send: Cipher,
    rekey: Rekey,
    handshake: PostHandshake,
    owed: Owed,
    empty_records: u32,
    control_messages: u32,
    peer_closed: bool,
    failed: Option<RecordError>,
}

/// What one call opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'b> {
    /// Bytes at the front of the input that are done with, once the content was used.
    pub consumed: usize,
    /// What they held.
    pub content: Content<'b>,
}

/// What a record held.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'b> {
    /// The record is not whole yet; nothing was consumed.
    NeedMore,
    /// Application data, decrypted in place.
    Data(&'b mut [u8]),
    /// The peer will send nothing more. Whatever follows is discarded (RFC 8446 section 6.1).
    CloseNotify,
    /// The peer ended the connection with this alert (RFC 8446 section 6.2).
    Alert(u8),
    /// A ticket, a key update, an empty record: nothing for the application. [`Records::pending_reply`] may have something to
    /// send.
    Handled,
}

/// A short record to be sent to the peer.
#[derive(Clone, Copy)]
pub struct Reply {
    bytes: [u8; REPLY_BYTES_MAX],
    used: usize,
}

/// What derives the next secrets in TLS 1.3.
pub(crate) enum Rekey {
    Client {
        kernel: Box<KernelConnection<ClientConnectionData>>,
        /// Bytes of the configuration and the origin's chain that rustls keeps with it.
        kept_bytes: usize,
    },
    Server(Box<KernelConnection<ServerConnectionData>>),
    /// TLS 1.2: there is no next secret, and nothing of the handshake is kept.
    Never,
}

/// Records that must go out before any further data.
#[derive(Debug, Default, Clone, Copy)]
struct Owed {
    key_update: bool,
    renegotiation_refusal: bool,
}

impl Records {
    pub(crate) fn new(
        secrets: ExtractedSecrets,
        version: TlsVersion,
        rekey: Rekey,
    ) -> Result<Self, RecordError> {
        let client = matches!(rekey, Rekey::Client { .. });
        Ok(Self {
            receive: Cipher::new(secrets.rx, version)?,
            send: Cipher::new(secrets.tx, version)?,
            rekey: if version == TlsVersion::Tls13 {
                rekey
            } else {
                Rekey::Never
            },
            handshake: PostHandshake::new(version == TlsVersion::Tls13, client),
            owed: Owed::default(),
            empty_records: 0,
            control_messages: 0,
            peer_closed: false,
            failed: None,
        })
    }

    /// Opens the record at the front of `input`, in place. Call again with the rest until [`Content::NeedMore`].
    ///
    /// # Errors
    /// The peer broke the protocol; every further call gives the same error.
    pub fn open<'b>(&mut self, input: &'b mut [u8]) -> Result<Opened<'b>, RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.peer_closed {
            return Ok(Opened {
                consumed: input.len(),
                content: Content::CloseNotify,
            });
        }
        let opened = self.open_record(input);
        if let Err(error) = &opened {
            self.failed = Some(*error);
        }
        opened
    }

    /// Seals `plaintext`, in as many records as it needs, into the front of `out` and gives their length. What the peer is
    /// owed before that (a key update, the refusal of a renegotiation) goes first.
    ///
    /// # Errors
    /// [`RecordError::OutputTooSmall`] when `out` is shorter than [`Self::sealed_len`]; nothing is sealed then.
    /// [`RecordError::Exhausted`] when a TLS 1.2 key may seal no more.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, RecordError> {
        if out.len() < self.sealed_len(plaintext.len()) {
            return Err(RecordError::OutputTooSmall);
        }
        let mut written = 0;
        for content in plaintext.chunks(RECORD_PLAINTEXT_BYTES_MAX) {
            written += self.settle(out.get_mut(written..).unwrap_or_default())?;
            if self.send.worn_out_after(1) {
                // TLS 1.2 alone comes here; the last record is kept for the alert that ends the connection.
                return Err(RecordError::Exhausted);
            }
            written += self.seal_record(
                APPLICATION_DATA,
                content,
                out.get_mut(written..).unwrap_or_default(),
            )?;
        }
        Ok(written)
    }

    /// Bytes that sealing `plaintext_len` bytes takes at most: exact unless keys are about to be updated.
    #[must_use]
    pub fn sealed_len(&self, plaintext_len: usize) -> usize {
        let overhead = self.send.layout().overhead_bytes();
        let records = plaintext_len.div_ceil(RECORD_PLAINTEXT_BYTES_MAX);
        let owed = if self.owed.key_update || self.key_update_due(records) {
            overhead + KEY_UPDATE_NOT_REQUESTED.len()
        } else {
            0
        };
        let refusal = if self.owed.renegotiation_refusal {
            overhead + 2
        } else {
            0
        };
        plaintext_len + records * overhead + owed + refusal
    }

    /// What the peer is owed, sealed: to be sent before anything sealed later. `None` most of the time.
    pub fn pending_reply(&mut self) -> Option<Reply> {
        if !self.owed.key_update && !self.owed.renegotiation_refusal {
            return None;
        }
        let mut reply = Reply {
            bytes: [0; REPLY_BYTES_MAX],
            used: 0,
        };
        reply.used = self.settle(&mut reply.bytes).ok()?;
        (reply.used > 0).then_some(reply)
    }

    /// Seals close_notify into `out` and gives its length; 0 when `out` has no room for [`REPLY_BYTES_MAX`] bytes.
    pub fn close_notify(&mut self, out: &mut [u8]) -> usize {
        self.alert_record(LEVEL_WARNING, CLOSE_NOTIFY, out)
    }

    /// Seals a fatal alert into `out` and gives its length; 0 when `out` has no room for [`REPLY_BYTES_MAX`] bytes.
    pub fn fatal_alert(&mut self, description: u8, out: &mut [u8]) -> usize {
        self.alert_record(LEVEL_FATAL, description, out)
    }

    /// Whether the peer sent close_notify: data ended where it wanted it to, and was not cut off.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Bytes of memory this record layer holds, as near as can be told.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let kernel = match &self.rekey {
            Rekey::Client { kept_bytes, .. } => {
                size_of::<KernelConnection<ClientConnectionData>>()
                    + CLIENT_STATE_BYTES
                    + kept_bytes
            }
            Rekey::Server(_) => {
                size_of::<KernelConnection<ServerConnectionData>>() + SERVER_STATE_BYTES
            }
            Rekey::Never => 0,
        };
        size_of::<Self>() + 2 * AEAD_CONTEXT_BYTES + kernel
    }

    fn open_record<'b>(&mut self, input: &'b mut [u8]) -> Result<Opened<'b>, RecordError> {
        let Some(header) = input.first_chunk::<RECORD_HEADER_BYTES>().copied() else {
            return Ok(Opened {
                consumed: 0,
                content: Content::NeedMore,
            });
        };
        let body_bytes = self.check_header(header)?;
        let consumed = RECORD_HEADER_BYTES + body_bytes;
        let Some(body) = input.get_mut(RECORD_HEADER_BYTES..consumed) else {
            return Ok(Opened {
                consumed: 0,
                content: Content::NeedMore,
            });
        };
        let range = self.receive.open(header, body)?;
        let opened = body.get_mut(range).ok_or(RecordError::Malformed)?;
        let (kind, content) = self.inner(header, opened)?;
        if content.len() > RECORD_PLAINTEXT_BYTES_MAX {
            return Err(RecordError::TooLong {
                bytes: content.len(),
            });
        }
        Ok(Opened {
            consumed,
            content: self.content(kind, content)?,
        })
    }

    /// RFC 8446 section 5.2, RFC 5246 section 6.2.3: what a header may say. The length of the body.
    fn check_header(&self, header: [u8; RECORD_HEADER_BYTES]) -> Result<usize, RecordError> {
        let [content, major, minor, high, low] = header;
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        let (known, longest) = match self.receive.layout() {
            Layout::Tls13 => (content == APPLICATION_DATA, TLS13_CIPHERTEXT_BYTES_MAX),
            Layout::Tls12Gcm | Layout::Tls12Chacha => (
                matches!(content, ALERT | HANDSHAKE | APPLICATION_DATA),
                TLS12_CIPHERTEXT_BYTES_MAX,
            ),
        };
        if !known {
            return Err(RecordError::UnexpectedRecord { content });
        }
        if (major, minor) != (3, 3) {
            return Err(RecordError::Version { major, minor });
        }
        if bytes > longest {
            return Err(RecordError::TooLong { bytes });
        }
        Ok(bytes)
    }

    /// The content type and the content without padding.
    fn inner<'b>(
        &self,
        header: [u8; RECORD_HEADER_BYTES],
        opened: &'b mut [u8],
    ) -> Result<(u8, &'b mut [u8]), RecordError> {
        if self.receive.layout() != Layout::Tls13 {
            let [content, ..] = header;
            return Ok((content, opened));
        }
        let end = opened
            .iter()
            .rposition(|&byte| byte != 0)
            .ok_or(RecordError::NoContentType)?;
        let (content, tail) = opened.split_at_mut(end);
        let kind = tail.first().copied().ok_or(RecordError::NoContentType)?;
        Ok((kind, content))
    }

    fn content<'b>(&mut self, kind: u8, content: &'b mut [u8]) -> Result<Content<'b>, RecordError> {
        if kind != HANDSHAKE && self.handshake.in_message() {
            return Err(RecordError::Interleaved);
        }
        match kind {
            APPLICATION_DATA if content.is_empty() => {
                self.empty_records += 1;
                if self.empty_records > EMPTY_RECORDS_IN_A_ROW_MAX {
                    return Err(RecordError::TooManyWithoutData);
                }
                Ok(Content::Handled)
            }
            APPLICATION_DATA => {
                self.empty_records = 0;
                self.control_messages = 0;
                Ok(Content::Data(content))
            }
            ALERT => self.alert(content),
            HANDSHAKE => self.handshake_record(content),
            _ => Err(RecordError::UnexpectedRecord { content: kind }),
        }
    }

    fn alert(&mut self, content: &[u8]) -> Result<Content<'static>, RecordError> {
        let &[level, description] = content else {
            return Err(RecordError::Malformed);
        };
        match (self.receive.layout(), level, description) {
            (_, _, CLOSE_NOTIFY) => {
                self.peer_closed = true;
                Ok(Content::CloseNotify)
            }
            // RFC 8446 section 6: in TLS 1.3 all others are fatal whatever their level says.
            (_, _, USER_CANCELED) | (Layout::Tls12Gcm | Layout::Tls12Chacha, LEVEL_WARNING, _) => {
                self.count_control_message()?;
                Ok(Content::Handled)
            }
            _ => Ok(Content::Alert(description)),
        }
    }

    fn handshake_record(&mut self, content: &[u8]) -> Result<Content<'static>, RecordError> {
        let mut rest = content;
        if rest.is_empty() {
            // RFC 8446 section 5.1: zero-length fragments of handshake types must not be sent.
            return Err(RecordError::Malformed);
        }
        while !rest.is_empty() {
            let message = self.handshake.read(&mut rest)?;
            match message {
                None => {}
                Some(Message::Ticket) => self.count_control_message()?,
                Some(Message::RenegotiationRequest) => {
                    self.count_control_message()?;
                    self.owed.renegotiation_refusal = true;
                }
                Some(Message::KeyUpdate { requested }) => {
                    self.count_control_message()?;
                    if !rest.is_empty() {
                        return Err(RecordError::Interleaved);
                    }
                    self.receive = Cipher::new(self.rekey.next_receive()?, TlsVersion::Tls13)?;
                    self.owed.key_update |= requested;
                }
            }
        }
        Ok(Content::Handled)
    }

    fn count_control_message(&mut self) -> Result<(), RecordError> {
        self.control_messages += 1;
        if self.control_messages > CONTROL_MESSAGES_IN_A_ROW_MAX {
            return Err(RecordError::TooManyWithoutData);
        }
        Ok(())
    }

    /// Writes what is owed to the front of `out`: nothing, most of the time.
    fn settle(&mut self, out: &mut [u8]) -> Result<usize, RecordError> {
        let mut written = 0;
        if self.owed.renegotiation_refusal {
            let refusal = [LEVEL_WARNING, NO_RENEGOTIATION];
            written += self.seal_record(ALERT, &refusal, out)?;
            self.owed.renegotiation_refusal = false;
        }
        if self.owed.key_update || self.key_update_due(1) {
            let out = out.get_mut(written..).unwrap_or_default();
            written += self.seal_record(HANDSHAKE, &KEY_UPDATE_NOT_REQUESTED, out)?;
            self.send = Cipher::new(self.rekey.next_send()?, TlsVersion::Tls13)?;
            self.owed.key_update = false;
        }
        Ok(written)
    }

    /// Whether a TLS 1.3 key would be worn out by `records` more.
    fn key_update_due(&self, records: usize) -> bool {
        self.send.layout() == Layout::Tls13 && self.send.worn_out_after(records)
    }

    fn seal_record(
        &mut self,
        kind: u8,
        content: &[u8],
        out: &mut [u8],
    ) -> Result<usize, RecordError> {
        let bytes = content.len() + self.send.layout().overhead_bytes();
        let out = out.get_mut(..bytes).ok_or(RecordError::OutputTooSmall)?;
        self.send.seal(kind, content, out)?;
        Ok(bytes)
    }

    fn alert_record(&mut self, level: u8, description: u8, out: &mut [u8]) -> usize {
        if out.len() < REPLY_BYTES_MAX {
            return 0;
        }
        let Ok(settled) = self.settle(out) else {
            return 0;
        };
        let rest = out.get_mut(settled..).unwrap_or_default();
        self.seal_record(ALERT, &[level, description], rest)
            .map_or(settled, |written| settled + written)
    }
}

impl Rekey {
    fn next_receive(&mut self) -> Result<(u64, ConnectionTrafficSecrets), RecordError> {
        match self {
            Self::Client { kernel, .. } => {
                kernel.update_rx_secret().map_err(|_| RecordError::Secrets)
            }
            Self::Server(kernel) => kernel.update_rx_secret().map_err(|_| RecordError::Secrets),
            Self::Never => Err(RecordError::Secrets),
        }
    }

    fn next_send(&mut self) -> Result<(u64, ConnectionTrafficSecrets), RecordError> {
        match self {
            Self::Client { kernel, .. } => {
                kernel.update_tx_secret().map_err(|_| RecordError::Secrets)
            }
            Self::Server(kernel) => kernel.update_tx_secret().map_err(|_| RecordError::Secrets),
            Self::Never => Err(RecordError::Secrets),
        }
    }
}

impl std::ops::Deref for Reply {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("bytes", &self.used).finish()
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("layout", &self.send.layout())
            .field("peer_closed", &self.peer_closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedMore => f.write_str("an incomplete record"),
            Self::Data(data) => write!(f, "{} bytes of data", data.len()),
            Self::CloseNotify => f.write_str("close_notify"),
            Self::Alert(number) => write!(f, "the alert {} ({number})", alert_name(*number)),
            Self::Handled => f.write_str("a message of the record layer"),
        }
    }
}

#[cfg(test)]
mod tests;
