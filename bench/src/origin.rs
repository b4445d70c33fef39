//! The origin: TLS, HTTP/1.1 with keep-alive, `GET /bytes/N`, and a sink for bodies. One thread per connection.

mod issuer;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rustls::server::ResolvesServerCert;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use self::issuer::Issuer;
use crate::http::{ReadError, Reader};
use crate::limits::{BODY_BYTES_MAX, CHUNK_BYTES, IO_SECONDS_MAX, THREAD_STACK_BYTES};
use crate::tls::{self, SetupError, Single, Versions};

/// What the origin listens on and shows.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Address and port to listen on; port 0 takes a free one. The address taken is printed as a JSON line.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// PEM file: the certificate, then what is sent along; with --issue, the issuing authority's.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// PEM file with the private key of --cert.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Issue a certificate of its own for each server name seen, signed by --cert.
    #[arg(long)]
    issue: bool,
    /// TLS versions accepted.
    #[arg(long, value_enum, default_value_t = Versions::Both)]
    versions: Versions,
    /// Session tickets sent after each TLS 1.3 handshake.
    #[arg(long, default_value_t = 0)]
    tickets: usize,
}

/// Why the origin could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OriginError {
    /// Certificates, key or TLS settings.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The authority cannot issue.
    #[error("issuing authority: {0}")]
    Issuer(#[from] rcgen::Error),
    /// The listening socket.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address wanted.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// Serves until the process is killed.
pub(crate) fn serve(options: &Options) -> Result<(), OriginError> {
    let failed = |source| OriginError::Listen {
        address: options.listen,
        source,
    };
    let config = settings(options)?;
    let listener = TcpListener::bind(options.listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::json!({ "listening": address.to_string() })
    )
    .map_err(failed)?;
    accept(&listener, &config);
    Ok(())
}

fn settings(options: &Options) -> Result<Arc<ServerConfig>, OriginError> {
    let resolver: Arc<dyn ResolvesServerCert> = if options.issue {
        Arc::new(Issuer::load(&options.cert, &options.key)?)
    } else {
        Arc::new(Single::load(&options.cert, &options.key)?)
    };
    Ok(Arc::new(tls::server(
        resolver,
        options.versions,
        options.tickets,
    )?))
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let config = Arc::clone(config);
        // A thread that cannot be made closes the connection, which the load generator counts as a failure.
        let _refused = thread::Builder::new()
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || {
                // A connection that fails is the client's to report.
                let _failed = answer(stream, config);
            });
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), ReadError> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IO_SECONDS_MAX * 6))?;
    stream.set_write_timeout(Some(IO_SECONDS_MAX))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut reader = Reader::new();
    loop {
        let head = match reader.head(&mut stream) {
            Ok(head) => head,
            Err(ReadError::Ended) => break,
            Err(error) => return Err(error),
        };
        reader.skip(&mut stream, head.body_bytes)?;
        let mut words = head.start.split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        respond(&mut stream, method, path, head.body_bytes)?;
        if head.close {
            break;
        }
    }
    stream.conn.send_close_notify();
    // The peer may have gone first.
    let _gone = stream.conn.complete_io(&mut stream.sock);
    Ok(())
}

fn respond(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    received: u64,
) -> Result<(), std::io::Error> {
    if matches!(method, "PUT" | "POST") {
        let body = received.to_string();
        return write!(
            stream,
            "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    let count = path
        .strip_prefix("/bytes/")
        .and_then(|digits| digits.parse::<u64>().ok());
    match count.filter(|count| *count <= BODY_BYTES_MAX) {
        Some(count) => bytes(stream, count),
        None => write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        ),
    }
}

fn bytes(stream: &mut impl Write, count: u64) -> Result<(), std::io::Error> {
    let mut chunk = format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n").into_bytes();
    let head = chunk.len();
    let mut left = count;
    // The head and the first bytes go out as one record.
    let first = usize::try_from(left)
        .unwrap_or(CHUNK_BYTES)
        .min(CHUNK_BYTES);
    chunk.resize(head + first, b'x');
    stream.write_all(&chunk)?;
    left -= first as u64;
    let body = [b'x'; CHUNK_BYTES];
    while left > 0 {
        let part = usize::try_from(left)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        let part = body.get(..part).ok_or(ErrorKind::InvalidInput)?;
        stream.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
