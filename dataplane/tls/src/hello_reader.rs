//! From held bytes to a whole ClientHello: records and handshake framing, however the stream is cut.

use crate::client_hello::{ClientHello, HelloError};
use crate::limits::{
    CLIENT_HELLO_BYTES_MAX, HANDSHAKE_HEADER_BYTES, RECORD_HEADER_BYTES, RECORD_PLAINTEXT_BYTES_MAX,
};

const CONTENT_HANDSHAKE: u8 = 22;
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const SSL2_CLIENT_HELLO: u8 = 1;

/// Collects a client's first bytes until its ClientHello is whole.
///
/// The outcome depends on the bytes alone, not on how they are cut into feeds: each is decided on as soon as the byte that
/// decides it is there.
#[derive(Debug, Default)]
pub struct ClientHelloReader {
    /// Bytes seen, from the client's first on.
    wire_bytes: usize,
    header: [u8; RECORD_HEADER_BYTES],
    header_bytes: usize,
    /// Bytes of the present record still to come.
    record_rest: usize,
    message: Vec<u8>,
    end: Option<HelloProgress>,
}

/// How far reading has come. All but [`HelloProgress::NeedMore`] are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloProgress {
    /// Nothing wrong so far, and not whole.
    NeedMore,
    /// The whole ClientHello.
    Complete(Box<ClientHello>),
    /// The first bytes are not TLS.
    NotTls,
    /// It began as TLS (or SSL 2.0) and is not a ClientHello this crate takes.
    Malformed(HelloError),
    /// It is, or says it will be, larger than [`CLIENT_HELLO_BYTES_MAX`].
    TooLarge,
}

impl ClientHelloReader {
    /// A reader at the client's first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream: only those not fed before. Bytes behind the hello are left unread, and after the
    /// end the same answer is given again.
    pub fn feed(&mut self, bytes: &[u8]) -> HelloProgress {
        let mut rest = bytes;
        while self.end.is_none()
            && let Some((&byte, tail)) = rest.split_first()
        {
            if self.record_rest == 0 {
                rest = tail;
                self.end = self.header_byte(byte);
            } else {
                let count = self
                    .record_rest
                    .min(rest.len())
                    .min(CLIENT_HELLO_BYTES_MAX - self.wire_bytes);
                let (body, tail) = rest.split_at(count);
                rest = tail;
                self.end = self.body(body);
            }
        }
        self.end.clone().unwrap_or(HelloProgress::NeedMore)
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.message.capacity()
    }

    fn header_byte(&mut self, byte: u8) -> Option<HelloProgress> {
        if self.wire_bytes >= CLIENT_HELLO_BYTES_MAX {
            return Some(HelloProgress::TooLarge);
        }
        let index = self.header_bytes;
        *self.header.get_mut(index)? = byte;
        self.header_bytes += 1;
        self.wire_bytes += 1;
        let first_record = self.wire_bytes <= RECORD_HEADER_BYTES;
        let maybe_ssl2 = first_record && self.header[0] & 0x80 != 0;
        if maybe_ssl2 {
            return self.ssl2_byte(index, byte);
        }
        match index {
            0 if byte != CONTENT_HANDSHAKE && first_record => Some(HelloProgress::NotTls),
            0 if byte != CONTENT_HANDSHAKE => {
                Some(HelloProgress::Malformed(HelloError::Interleaved {
                    content: byte,
                }))
            }
            1 if byte != 3 && first_record => Some(HelloProgress::NotTls),
            1 if byte != 3 => Some(HelloProgress::Malformed(HelloError::RecordVersion)),
            2 if byte > 4 => Some(HelloProgress::Malformed(HelloError::RecordVersion)),
            4 => self.record_begins(),
            _ => None,
        }
    }

    /// An SSL 2.0 CLIENT-HELLO: two bytes of length with the top bit set, type 1, a version.
    fn ssl2_byte(&self, index: usize, byte: u8) -> Option<HelloProgress> {
        let fits = match index {
            2 => byte == SSL2_CLIENT_HELLO,
            3 => byte == 0 || byte == 3,
            4 => (self.header[3] == 0 && byte == 2) || (self.header[3] == 3 && byte <= 4),
            _ => return None,
        };
        match (fits, index) {
            (false, _) => Some(HelloProgress::NotTls),
            (true, 4) => Some(HelloProgress::Malformed(HelloError::Ssl2)),
            (true, _) => None,
        }
    }

    fn record_begins(&mut self) -> Option<HelloProgress> {
        let length = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
        self.header_bytes = 0;
        self.record_rest = length;
        match length {
            0 => Some(HelloProgress::Malformed(HelloError::EmptyRecord)),
            1..=RECORD_PLAINTEXT_BYTES_MAX => None,
            _ => Some(HelloProgress::Malformed(HelloError::RecordTooLong {
                bytes: length,
            })),
        }
    }

    fn body(&mut self, body: &[u8]) -> Option<HelloProgress> {
        if body.is_empty() {
            return Some(HelloProgress::TooLarge);
        }
        self.wire_bytes += body.len();
        self.record_rest -= body.len();
        self.message.extend_from_slice(body);
        let (&kind, length) = self.message.split_first()?;
        if kind != HANDSHAKE_CLIENT_HELLO {
            return Some(HelloProgress::Malformed(HelloError::NotClientHello {
                message: kind,
            }));
        }
        let &[a, b, c, ..] = length else { return None };
        let claimed = (usize::from(a) << 16) | (usize::from(b) << 8) | usize::from(c);
        let whole = HANDSHAKE_HEADER_BYTES + claimed;
        if whole + RECORD_HEADER_BYTES > CLIENT_HELLO_BYTES_MAX {
            return Some(HelloProgress::TooLarge);
        }
        let with_record = self.message.len() + self.record_rest;
        if with_record > whole {
            return Some(HelloProgress::Malformed(HelloError::TrailingData));
        }
        if self.message.len() < whole {
            return None;
        }
        let body = self
            .message
            .get(HANDSHAKE_HEADER_BYTES..)
            .unwrap_or_default();
        let end = match ClientHello::parse(body, self.wire_bytes) {
            Ok(hello) => HelloProgress::Complete(Box::new(hello)),
            Err(error) => HelloProgress::Malformed(error),
        };
        self.message = Vec::new();
        Some(end)
    }
}

#[cfg(test)]
mod tests;
