//! One connection: connect, handshake, requests, orderly close.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, Stream};
use rustls_pki_types::ServerName;

use super::cut::{Cut, Hello};
use super::report::{Failure, Phase, Tally};
use crate::clock;
use crate::http::{ReadError, Reader};
use crate::limits::{CHUNK_BYTES, CLOSE_SECONDS_MAX, IO_SECONDS_MAX};

/// What each connection does.
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) upload: Option<u64>,
    pub(crate) hello: Hello,
    pub(crate) hold: Duration,
    pub(crate) together: Option<Barrier>,
}

impl Plan {
    /// Does it once and tallies how it went.
    pub(crate) fn run(
        &self,
        config: &Arc<ClientConfig>,
        name: &ServerName<'static>,
        tally: &mut Tally,
    ) {
        let opened = self.open(config, name, tally);
        // Also those that failed arrive, or the others would wait for ever.
        if let Some(barrier) = &self.together {
            barrier.wait();
        }
        let outcome = opened.and_then(|(mut connection, stream)| {
            self.request(&mut connection, &stream, &self.host(name), tally)?;
            if !self.hold.is_zero() {
                pause(self.hold);
            }
            close(&mut connection, &stream);
            Ok(())
        });
        match outcome {
            Ok(()) => tally.completed += 1,
            Err(failure) => tally.fail(&failure),
        }
    }

    fn open(
        &self,
        config: &Arc<ClientConfig>,
        name: &ServerName<'static>,
        tally: &mut Tally,
    ) -> Result<(ClientConnection, TcpStream), Failure> {
        let start = clock::now();
        let stream =
            TcpStream::connect_timeout(&self.address, IO_SECONDS_MAX).map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        stream
            .set_read_timeout(Some(IO_SECONDS_MAX))
            .map_err(Failure::Connect)?;
        stream
            .set_write_timeout(Some(IO_SECONDS_MAX))
            .map_err(Failure::Connect)?;
        tally.record(Phase::Connect, clock::now().duration_since(start));
        let start = clock::now();
        let mut connection = ClientConnection::new(Arc::clone(config), name.clone())
            .map_err(|error| Failure::Tls(error.to_string()))?;
        let mut cut = Cut::new(&stream, self.hello);
        while connection.is_handshaking() {
            connection
                .complete_io(&mut cut)
                .map_err(Failure::handshake)?;
        }
        tally.record(Phase::Handshake, clock::now().duration_since(start));
        tally.negotiated(&facts(&connection));
        Ok((connection, stream))
    }

    fn request(
        &self,
        connection: &mut ClientConnection,
        mut stream: &TcpStream,
        host: &str,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut reader = Reader::new();
        let mut stream = Stream::new(connection, &mut stream);
        for number in 0..self.requests {
            let start = clock::now();
            self.send(&mut stream, host).map_err(Failure::request)?;
            let head = reader.head(&mut stream).map_err(Failure::response)?;
            let status = head.start.split(' ').nth(1).unwrap_or_default();
            if !status.starts_with('2') {
                return Err(Failure::Status(status.to_owned()));
            }
            reader
                .skip(&mut stream, head.body_bytes)
                .map_err(Failure::response)?;
            if self.upload.is_none() && head.body_bytes != self.bytes {
                return Err(Failure::response(ReadError::Malformed));
            }
            let phase = if number == 0 {
                Phase::FirstRequest
            } else {
                Phase::Request
            };
            tally.record(phase, clock::now().duration_since(start));
            tally.requests += 1;
            tally.body_bytes += self.upload.unwrap_or(head.body_bytes);
        }
        Ok(())
    }

    /// The Host field (RFC 9110 section 7.2): the port is named unless it is the scheme's own.
    fn host(&self, name: &ServerName<'static>) -> String {
        match self.address.port() {
            443 => name.to_str().into_owned(),
            port => format!("{}:{port}", name.to_str()),
        }
    }

    fn send(&self, stream: &mut (impl Read + Write), host: &str) -> std::io::Result<()> {
        let Some(mut left) = self.upload else {
            let head = format!("GET /bytes/{} HTTP/1.1\r\nHost: {host}\r\n\r\n", self.bytes);
            return stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.flush());
        };
        let head =
            format!("PUT /upload/load HTTP/1.1\r\nHost: {host}\r\nContent-Length: {left}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let body = [b'x'; CHUNK_BYTES];
        while left > 0 {
            let count = usize::try_from(left)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            stream.write_all(body.get(..count).ok_or(ErrorKind::InvalidInput)?)?;
            left -= count as u64;
        }
        stream.flush()
    }
}

/// close_notify, then our end, then the peer's: what is unread must not turn into a reset.
fn close(connection: &mut ClientConnection, mut stream: &TcpStream) {
    connection.send_close_notify();
    let sent = connection.complete_io(&mut stream).is_ok();
    if !sent
        || stream.shutdown(Shutdown::Write).is_err()
        || stream.set_read_timeout(Some(CLOSE_SECONDS_MAX)).is_err()
    {
        return;
    }
    let mut rest = [0; 4096];
    while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
}

fn facts(connection: &ClientConnection) -> String {
    let version = connection
        .protocol_version()
        .and_then(|version| version.as_str())
        .unwrap_or("?");
    let suite = connection
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("?");
    let group = connection
        .negotiated_key_exchange_group()
        .and_then(|group| group.name().as_str())
        .unwrap_or("-");
    let kind = match connection.handshake_kind() {
        Some(HandshakeKind::Resumed) => "resumed",
        Some(HandshakeKind::FullWithHelloRetryRequest) => "retried",
        _ => "full",
    };
    format!("{version} {suite} {group} {kind}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "holding a connection open for a while is what was asked for"
)]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
