//! The asking side.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::framing::{FrameError, Lines, write_line};
use crate::limits::{REPLY_WAIT_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::request::Envelope;
use crate::{ApiError, PROTOCOL_VERSION, Reply, Request, Response};

/// A connection to `sluiced`.
pub struct Client {
    path: PathBuf,
    stream: UnixStream,
    lines: Lines<UnixStream>,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens on the socket.
    #[error(
        "sluiced is not running: nothing listens on {path} ({source}); start it, or name its socket with --socket"
    )]
    NotRunning {
        /// The socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The socket may not be used.
    #[error(
        "no permission to talk to sluiced on {path}; run as root or as a member of the socket's group"
    )]
    Permission {
        /// The socket.
        path: String,
    },
    /// The connection failed.
    #[error("the connection to sluiced on {path} failed: {source}")]
    Connection {
        /// The socket.
        path: String,
        /// How.
        source: FrameError,
    },
    /// `sluiced` closed the connection without a reply.
    #[error("sluiced on {path} closed the connection without a reply; its own log says why")]
    NoReply {
        /// The socket.
        path: String,
    },
    /// `sluiced` refused.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`CallError::NotRunning`] when nobody listens there, [`CallError::Permission`] when it may not be used.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, CallError> {
        let path = path.as_ref();
        let told = || path.display().to_string();
        let connection = |source: io::Error| CallError::Connection {
            path: told(),
            source: source.into(),
        };
        let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => CallError::Permission { path: told() },
            _ => CallError::NotRunning {
                path: told(),
                source,
            },
        })?;
        stream
            .set_read_timeout(Some(REPLY_WAIT_MAX))
            .map_err(connection)?;
        stream
            .set_write_timeout(Some(REPLY_WAIT_MAX))
            .map_err(connection)?;
        let lines = Lines::new(stream.try_clone().map_err(connection)?, RESPONSE_BYTES_MAX);
        Ok(Self {
            path: path.to_owned(),
            stream,
            lines,
        })
    }

    /// Asks, and waits for the reply.
    ///
    /// # Errors
    /// [`CallError::Refused`] when `sluiced` refuses; another when there is no reply, and then the connection is of no
    /// further use.
    pub fn call(&mut self, request: &Request) -> Result<Reply, CallError> {
        let path = || self.path.display().to_string();
        let failed = |source| CallError::Connection {
            path: path(),
            source,
        };
        let envelope = Envelope {
            version: PROTOCOL_VERSION,
            request,
        };
        write_line(&mut self.stream, &envelope, REQUEST_BYTES_MAX).map_err(failed)?;
        match self.lines.next::<Response>() {
            Ok(Some(Response::Ok(reply))) => Ok(reply),
            Ok(Some(Response::Error(error))) => Err(error.into()),
            Ok(None) => Err(CallError::NoReply { path: path() }),
            Err(source) => Err(failed(source)),
        }
    }
}
