//! A stream whose first flight, the ClientHello, is cut into segments.

use std::io::{Read, Result, Write};
use std::net::TcpStream;

/// How the ClientHello is cut. Nagle's algorithm is off, so each write is a segment while the window allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Hello {
    /// In one write.
    Whole,
    /// In two writes, cut in the middle.
    Halves,
    /// A write for each byte.
    Bytes,
}

/// Cuts the first write, passes everything else through.
pub(crate) struct Cut<'stream> {
    stream: &'stream TcpStream,
    hello: Hello,
}

impl<'stream> Cut<'stream> {
    /// Wraps a connected stream.
    pub(crate) fn new(stream: &'stream TcpStream, hello: Hello) -> Self {
        Self { stream, hello }
    }
}

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Cut<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let part = match std::mem::replace(&mut self.hello, Hello::Whole) {
            Hello::Whole => return self.stream.write(bytes),
            Hello::Halves => bytes.len().div_ceil(2).max(1),
            Hello::Bytes => 1,
        };
        for segment in bytes.chunks(part) {
            self.stream.write_all(segment)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}
