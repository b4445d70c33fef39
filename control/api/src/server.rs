//! The answering side.

use std::os::unix::net::UnixStream;

use serde::Deserialize;

use crate::framing::{FrameError, Lines, write_line};
use crate::limits::{PEER_WAIT_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::request::Envelope;
use crate::{ApiError, ErrorCode, PROTOCOL_VERSION, Request, Response};

/// Answers the requests of one connection, one after the other, until the peer closes it.
///
/// A request that is not understood is answered with [`ErrorCode::BadRequest`] and the connection goes on; one that is
/// too long is answered with [`ErrorCode::TooLarge`] and the connection ends, because its end is not known. A peer that
/// sends nothing for [`PEER_WAIT_MAX`] is let go.
///
/// # Errors
/// When the connection fails; the caller drops it and nothing else is to be done.
pub fn serve(
    stream: UnixStream,
    mut answer: impl FnMut(Request) -> Response,
) -> Result<(), FrameError> {
    stream.set_read_timeout(Some(PEER_WAIT_MAX))?;
    stream.set_write_timeout(Some(PEER_WAIT_MAX))?;
    let mut lines = Lines::new(stream.try_clone()?, REQUEST_BYTES_MAX);
    let mut stream = stream;
    loop {
        let response = match lines.next_line() {
            Ok(None) => return Ok(()),
            Ok(Some(line)) => match understood(&line) {
                Ok(request) => answer(request),
                Err(error) => Response::Error(error),
            },
            Err(error @ FrameError::TooLong { limit }) => {
                let refusal = ApiError::new(
                    ErrorCode::TooLarge,
                    format!("the request is longer than {limit} bytes"),
                );
                write_line(&mut stream, &Response::Error(refusal), RESPONSE_BYTES_MAX)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        match write_line(&mut stream, &response, RESPONSE_BYTES_MAX) {
            Err(FrameError::TooLong { limit }) => {
                let message = format!("the reply is longer than {limit} bytes; ask for less");
                let refusal = Response::Error(ApiError::new(ErrorCode::TooLarge, message));
                write_line(&mut stream, &refusal, RESPONSE_BYTES_MAX)?;
            }
            other => other?,
        }
    }
}

fn understood(line: &[u8]) -> Result<Request, ApiError> {
    let bad = |message: String| ApiError::new(ErrorCode::BadRequest, message);
    // The version is looked at first: a request of another version may well have other fields.
    let Version { version } = serde_json::from_slice(line).map_err(|error| {
        bad(format!("this is no request: {error}; send one JSON object per line with `version` and `request`"))
    })?;
    if version != PROTOCOL_VERSION {
        return Err(bad(format!(
            "the request has version {version}, this sluiced speaks {PROTOCOL_VERSION}; use the sluice of the same release"
        )));
    }
    match serde_json::from_slice(line) {
        Ok(Envelope { request, .. }) => Ok(request),
        Err(error) => Err(bad(format!("the request is not understood: {error}"))),
    }
}

/// The part of a request that every version has.
#[derive(Deserialize)]
struct Version {
    version: u16,
}
