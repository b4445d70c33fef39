//! Handshake messages after the handshake: in pieces, several in a record, and mostly skipped.

use super::RecordError;
use crate::limits::{HANDSHAKE_HEADER_BYTES, POST_HANDSHAKE_MESSAGE_BYTES_MAX};

const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// A message that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// RFC 8446 section 4.6.1. Not used: nothing is resumed.
    Ticket,
    /// RFC 8446 section 4.6.3.
    KeyUpdate { requested: bool },
    /// TLS 1.2: the peer wants to renegotiate.
    RenegotiationRequest,
}

/// Reads messages as they come, without keeping their contents.
#[derive(Debug)]
pub(super) struct PostHandshake {
    tls13: bool,
    /// Whether we are the client of this leg.
    client: bool,
    header: [u8; HANDSHAKE_HEADER_BYTES],
    header_bytes: usize,
    /// Bytes of the present message's body still to come.
    rest: usize,
    /// The last byte of the body seen: all of a KeyUpdate.
    last: u8,
}

impl PostHandshake {
    pub(super) fn new(tls13: bool, client: bool) -> Self {
        Self {
            tls13,
            client,
            header: [0; HANDSHAKE_HEADER_BYTES],
            header_bytes: 0,
            rest: 0,
            last: 0,
        }
    }

    /// Whether a message has begun and not ended.
    pub(super) fn in_message(&self) -> bool {
        self.header_bytes > 0
    }

    /// Takes bytes off the front of `input` up to the end of a message or of the input.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, RecordError> {
        while self.header_bytes < HANDSHAKE_HEADER_BYTES {
            let Some((&byte, tail)) = input.split_first() else {
                return Ok(None);
            };
            *input = tail;
            if let Some(slot) = self.header.get_mut(self.header_bytes) {
                *slot = byte;
            }
            self.header_bytes += 1;
            if self.header_bytes == HANDSHAKE_HEADER_BYTES {
                self.check_header()?;
            }
        }
        let count = self.rest.min(input.len());
        let (body, tail) = input.split_at(count);
        *input = tail;
        self.rest -= count;
        self.last = body.last().copied().unwrap_or(self.last);
        if self.rest > 0 {
            return Ok(None);
        }
        self.header_bytes = 0;
        self.finished().map(Some)
    }

    fn check_header(&mut self) -> Result<(), RecordError> {
        let [message, a, b, c] = self.header;
        let bytes = (usize::from(a) << 16) | (usize::from(b) << 8) | usize::from(c);
        let fits = match (self.tls13, self.client, message) {
            (true, _, KEY_UPDATE) => bytes == 1,
            (true, true, NEW_SESSION_TICKET) => {
                (1..=POST_HANDSHAKE_MESSAGE_BYTES_MAX).contains(&bytes)
            }
            (false, true, HELLO_REQUEST) => bytes == 0,
            (false, false, CLIENT_HELLO) => bytes <= POST_HANDSHAKE_MESSAGE_BYTES_MAX,
            _ => return Err(RecordError::UnexpectedMessage { message }),
        };
        self.rest = bytes;
        if fits {
            Ok(())
        } else {
            Err(RecordError::Malformed)
        }
    }

    fn finished(&self) -> Result<Message, RecordError> {
        let [message, ..] = self.header;
        match (message, self.last) {
            (KEY_UPDATE, 0) => Ok(Message::KeyUpdate { requested: false }),
            (KEY_UPDATE, 1) => Ok(Message::KeyUpdate { requested: true }),
            (KEY_UPDATE, _) => Err(RecordError::Malformed),
            (NEW_SESSION_TICKET, _) => Ok(Message::Ticket),
            _ => Ok(Message::RenegotiationRequest),
        }
    }
}
