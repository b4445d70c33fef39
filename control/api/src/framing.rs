//! One JSON object per line, bounded.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Why a line could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The line is longer than the limit.
    #[error("a message is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The peer went away in the middle of a line.
    #[error("the connection ended in the middle of a message")]
    Cut,
    /// The line is no JSON object of the kind expected.
    #[error("a message is not understood: {0}")]
    Malformed(serde_json::Error),
}

/// Reads lines from a stream.
pub(crate) struct Lines<R> {
    stream: R,
    /// Read and not yet consumed. It may have held a passphrase.
    buffer: Zeroizing<Vec<u8>>,
    limit: usize,
}

const CHUNK_BYTES: usize = 64 * 1024;

impl<R: Read> Lines<R> {
    pub(crate) fn new(stream: R, limit: usize) -> Self {
        Self {
            stream,
            buffer: Zeroizing::new(Vec::new()),
            limit,
        }
    }

    /// The next line without its newline; absent when the peer has closed the connection between two lines.
    pub(crate) fn next_line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let mut searched = 0;
        loop {
            let newline = self
                .buffer
                .iter()
                .skip(searched)
                .position(|byte| *byte == b'\n')
                .map(|at| at + searched);
            if let Some(at) = newline {
                let rest = Zeroizing::new(self.buffer.split_off(at + 1));
                let mut line = core::mem::replace(&mut self.buffer, rest);
                line.truncate(at);
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched >= self.limit {
                return Err(FrameError::TooLong { limit: self.limit });
            }
            let room = CHUNK_BYTES.min(self.limit - searched);
            self.buffer.resize(searched + room, 0);
            let read = loop {
                match self
                    .stream
                    .read(self.buffer.get_mut(searched..).unwrap_or_default())
                {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            let count = match read {
                Ok(count) => count,
                Err(error) => {
                    self.buffer.truncate(searched);
                    return Err(error.into());
                }
            };
            self.buffer.truncate(searched + count);
            if count == 0 {
                return if searched == 0 {
                    Ok(None)
                } else {
                    Err(FrameError::Cut)
                };
            }
        }
    }

    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        match self.next_line()? {
            None => Ok(None),
            Some(line) => serde_json::from_slice(&line)
                .map(Some)
                .map_err(FrameError::Malformed),
        }
    }
}

/// Writes one line, if it is within the limit; nothing otherwise.
pub(crate) fn write_line<T: Serialize>(
    stream: &mut impl Write,
    value: &T,
    limit: usize,
) -> Result<(), FrameError> {
    let mut line = Zeroizing::new(serde_json::to_vec(value).map_err(FrameError::Malformed)?);
    line.push(b'\n');
    if line.len() > limit {
        return Err(FrameError::TooLong { limit });
    }
    stream.write_all(&line)?;
    stream.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of the given size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(count);
            into[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn lines(bytes: &[u8], piece: usize, limit: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let mut lines = Lines::new(Pieces(bytes, piece), limit);
        let mut read = Vec::new();
        loop {
            match lines.next_line() {
                Ok(Some(line)) => read.push(line.to_vec()),
                Ok(None) => return (read, None),
                Err(error) => return (read, Some(error)),
            }
        }
    }

    #[test]
    fn lines_however_they_are_cut() {
        for piece in 1..12 {
            let (read, error) = lines(b"one\ntwo\n\nfour\n", piece, 100);
            assert_eq!(read, [b"one".as_slice(), b"two", b"", b"four"]);
            assert!(error.is_none());
        }
    }

    #[test]
    fn a_line_past_the_limit_is_refused() {
        assert!(lines(b"1234\n", 2, 5).1.is_none());
        assert!(matches!(
            lines(b"12345\n", 2, 5).1,
            Some(FrameError::TooLong { limit: 5 })
        ));
        assert!(matches!(
            lines(b"123456789", 3, 5).1,
            Some(FrameError::TooLong { limit: 5 })
        ));
        let mut out = Vec::new();
        assert!(matches!(
            write_line(&mut out, &"12345", 7),
            Err(FrameError::TooLong { limit: 7 })
        ));
        assert!(out.is_empty());
        write_line(&mut out, &"12345", 8).unwrap();
        assert_eq!(out, b"\"12345\"\n");
    }

    #[test]
    fn a_line_without_its_end_is_told() {
        let (read, error) = lines(b"one\ntw", 4, 100);
        assert_eq!(read, [b"one"]);
        assert!(matches!(error, Some(FrameError::Cut)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_lines_or_errors(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..20) {
            let (read, error) = lines(&bytes, piece, 64);
            let joined: Vec<u8> = read.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
            prop_assert!(bytes.starts_with(&joined));
            prop_assert_eq!(error.is_none(), joined.len() == bytes.len());
        }
    }
}
