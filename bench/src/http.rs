//! As much HTTP/1.1 as a benchmark needs: one head at a time, bodies by Content-Length (RFC 9112 section 6.2).

use std::io::{ErrorKind, Read};

use crate::limits::{CHUNK_BYTES, HEAD_BYTES_MAX};

/// What went wrong while one message was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The stream ended before the first byte of a message: an orderly end between messages.
    #[error("the connection ended between messages")]
    Ended,
    /// The stream ended inside a message.
    #[error("the connection ended inside a message")]
    Truncated,
    /// The head is longer than `HEAD_BYTES_MAX` or is not HTTP/1.1.
    #[error("the head is not HTTP/1.1 of a sensible length")]
    Malformed,
    /// The stream failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// The start line and the length of the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Request or status line, without its line end.
    pub(crate) start: String,
    /// Content-Length, 0 when absent.
    pub(crate) body_bytes: u64,
    /// Whether the sender will end the connection after this message.
    pub(crate) close: bool,
}

/// Reads messages from one stream; keeps what was read beyond the current one.
pub(crate) struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Reader {
    /// An empty reader.
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; CHUNK_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// The next head.
    pub(crate) fn head(&mut self, stream: &mut impl Read) -> Result<Head, ReadError> {
        loop {
            let held = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(length) = held.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = parse(held.get(..length).unwrap_or_default())?;
                self.start += length + 4;
                return Ok(head);
            }
            if held.len() >= HEAD_BYTES_MAX {
                return Err(ReadError::Malformed);
            }
            let empty = held.is_empty();
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match self.fill(stream)? {
                0 if empty => return Err(ReadError::Ended),
                0 => return Err(ReadError::Truncated),
                _ => {}
            }
        }
    }

    /// Reads a body of `count` bytes to its end and drops it.
    pub(crate) fn skip(&mut self, stream: &mut impl Read, mut count: u64) -> Result<(), ReadError> {
        loop {
            let held = self.end - self.start;
            let taken = usize::try_from(count).map_or(held, |wanted| wanted.min(held));
            self.start += taken;
            count -= taken as u64;
            if count == 0 {
                return Ok(());
            }
            self.start = 0;
            self.end = 0;
            if self.fill(stream)? == 0 {
                return Err(ReadError::Truncated);
            }
        }
    }

    fn fill(&mut self, stream: &mut impl Read) -> Result<usize, ReadError> {
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = match stream.read(space) {
            Ok(count) => count,
            // rustls reports a peer that ends without close_notify this way.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error.into()),
        };
        self.end += count;
        Ok(count)
    }
}

fn parse(head: &[u8]) -> Result<Head, ReadError> {
    let text = std::str::from_utf8(head).map_err(|_| ReadError::Malformed)?;
    let mut lines = text.split("\r\n");
    let start = lines
        .next()
        .filter(|line| line.contains("HTTP/1.1"))
        .ok_or(ReadError::Malformed)?;
    let mut parsed = Head {
        start: start.to_owned(),
        body_bytes: 0,
        close: false,
    };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(ReadError::Malformed)?;
        if name.eq_ignore_ascii_case("content-length") {
            parsed.body_bytes = value.trim().parse().map_err(|_| ReadError::Malformed)?;
        } else if name.eq_ignore_ascii_case("connection") {
            parsed.close = value.trim().eq_ignore_ascii_case("close");
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_messages_in_one_stream_are_told_apart() {
        let mut stream: &[u8] =
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 No\r\nConnection: close\r\n\r\n";
        let mut reader = Reader::new();
        let first = reader.head(&mut stream).unwrap();
        assert_eq!(
            first,
            Head {
                start: "HTTP/1.1 200 OK".into(),
                body_bytes: 3,
                close: false
            }
        );
        reader.skip(&mut stream, 3).unwrap();
        let second = reader.head(&mut stream).unwrap();
        assert_eq!(
            second,
            Head {
                start: "HTTP/1.1 404 No".into(),
                body_bytes: 0,
                close: true
            }
        );
        assert!(matches!(reader.head(&mut stream), Err(ReadError::Ended)));
    }

    #[test]
    fn a_short_body_is_truncated() {
        let mut stream: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        let mut reader = Reader::new();
        let head = reader.head(&mut stream).unwrap();
        assert!(matches!(
            reader.skip(&mut stream, head.body_bytes),
            Err(ReadError::Truncated)
        ));
    }

    #[test]
    fn an_endless_head_is_refused() {
        let mut stream = std::io::repeat(b'a');
        assert!(matches!(
            Reader::new().head(&mut stream),
            Err(ReadError::Malformed)
        ));
    }
}
