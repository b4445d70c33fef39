//! Drives rustls's unbuffered handshake, one record at a time.
//!
//! rustls reads on past the end of the handshake if it is given more: data that arrived right behind the peer's Finished would
//! end up inside it. It is therefore shown one further record only after it asked for more, and what lies behind the
//! record that ends the handshake stays with the caller.

use rustls::CommonState;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};

use crate::error::{TlsError, TlsErrorKind};
use crate::limits::{HANDSHAKE_INPUT_BYTES_MAX, RECORD_HEADER_BYTES, TLS12_CIPHERTEXT_BYTES_MAX};

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes at the front of the input that are done with. The rest must be at the front of the next call's input as this
    /// call left it: parts may already be decrypted in place.
    pub consumed: usize,
    /// The handshake is complete and all its output is written; what was not consumed belongs to the record layer.
    pub done: bool,
}

/// The part of both of rustls's unbuffered connections that this driver needs.
pub(crate) trait Engine {
    type Side;
    /// Whether rustls has records queued that were not encoded yet.
    fn wants_write(&self) -> bool;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side>;
}

/// A handshake between two calls.
#[derive(Debug, Default)]
pub(crate) struct Drive {
    /// Bytes at the front of the input that rustls has seen and not let go of: part of a message in several records.
    shown: usize,
    ended: bool,
    /// Whether anything was ever written: records may be encrypted from then on.
    spoken: bool,
}

/// A fatal handshake_failure in a record of its own, before any keys (RFC 5246 section 7.2).
const PLAIN_HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

enum Step {
    Again,
    More,
    Done,
}

impl Drive {
    pub(crate) fn advance<E: Engine>(
        &mut self,
        engine: &mut E,
        input: &mut [u8],
        output: &mut Vec<u8>,
    ) -> Result<Progress, TlsError> {
        if self.ended {
            return Err(TlsError::ours(TlsErrorKind::Internal(
                "advance was called after the handshake's end".into(),
            )));
        }
        let mut consumed = 0;
        loop {
            let Some(window) = input
                .get_mut(consumed..)
                .and_then(|rest| rest.get_mut(..self.shown))
            else {
                let text = "the input does not begin with what was left of the last one".into();
                return Err(self.fail(
                    engine,
                    output,
                    TlsError::ours(TlsErrorKind::Internal(text)),
                ));
            };
            let status = engine.process(window);
            let discard = status.discard;
            let step = match status.state {
                Ok(state) => {
                    self.spoken |= matches!(state, ConnectionState::EncodeTlsData(_));
                    step(state, output)
                }
                Err(error) => Err(error.into()),
            };
            consumed += discard;
            self.shown = self.shown.saturating_sub(discard);
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Done) => {
                    self.ended = true;
                    return Ok(Progress {
                        consumed,
                        done: true,
                    });
                }
                Ok(Step::More) => {
                    match next_record(input.get(consumed + self.shown..).unwrap_or_default()) {
                        Some(record) => self.shown += record,
                        None => {
                            return Ok(Progress {
                                consumed,
                                done: false,
                            });
                        }
                    }
                    if self.shown > HANDSHAKE_INPUT_BYTES_MAX {
                        let text = "one handshake message is spread over too many bytes".into();
                        let error = TlsError::peer(TlsErrorKind::Malformed(text));
                        return Err(self.fail(engine, output, error));
                    }
                }
                Err(error) => return Err(self.fail(engine, output, error)),
            }
        }
    }

    /// Lets rustls put the alert it queued into the output. With records queued, rustls gives those out before it looks at
    /// its input; without, it would look, find less than it remembers and panic.
    fn fail<E: Engine>(
        &mut self,
        engine: &mut E,
        output: &mut Vec<u8>,
        error: TlsError,
    ) -> TlsError {
        self.ended = true;
        let start = output.len();
        while engine.wants_write() {
            let UnbufferedStatus {
                state: Ok(ConnectionState::EncodeTlsData(data)),
                ..
            } = engine.process(&mut [])
            else {
                break;
            };
            if encode(data, output).is_err() {
                break;
            }
        }
        if output.len() == start
            && !self.spoken
            && matches!(error.kind, TlsErrorKind::Incompatible(_))
        {
            // Where no signature scheme is in common in TLS 1.2, rustls ends without a word.
            output.extend_from_slice(&PLAIN_HANDSHAKE_FAILURE);
        }
        error
    }
}

fn step<Side>(
    state: ConnectionState<'_, '_, Side>,
    output: &mut Vec<u8>,
) -> Result<Step, TlsError> {
    match state {
        ConnectionState::EncodeTlsData(data) => encode(data, output).map(|()| Step::Again),
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(Step::Again)
        }
        ConnectionState::BlockedHandshake => Ok(Step::More),
        ConnectionState::WriteTraffic(_) => Ok(Step::Done),
        ConnectionState::PeerClosed | ConnectionState::Closed => {
            Err(TlsError::peer(TlsErrorKind::Closed))
        }
        ConnectionState::ReadTraffic(_) | ConnectionState::ReadEarlyData(_) => Err(TlsError::peer(
            TlsErrorKind::Misbehaved("application data in the middle of the handshake".into()),
        )),
        _ => Err(TlsError::ours(TlsErrorKind::Internal(
            "an unknown state of the handshake".into(),
        ))),
    }
}

fn encode<Side>(mut data: EncodeTlsData<'_, Side>, output: &mut Vec<u8>) -> Result<(), TlsError> {
    let start = output.len();
    let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) else {
        // Nothing to write, which rustls does not queue.
        return Ok(());
    };
    output.resize(start + size.required_size, 0);
    let written = data.encode(output.get_mut(start..).unwrap_or_default());
    match written {
        Ok(count) => {
            output.truncate(start + count);
            Ok(())
        }
        Err(error) => {
            output.truncate(start);
            Err(TlsError::ours(TlsErrorKind::Internal(error.to_string())))
        }
    }
}

/// Bytes of the next record of `rest` if it is whole. What cannot be a record is handed over as it is, for rustls to name and to
/// answer.
fn next_record(rest: &[u8]) -> Option<usize> {
    let &first = rest.first()?;
    if !(20..=24).contains(&first) {
        return Some(rest.len());
    }
    let &[_, major, _, high, low, ..] = rest else {
        return None;
    };
    let whole = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if major != 3 || whole > RECORD_HEADER_BYTES + TLS12_CIPHERTEXT_BYTES_MAX {
        return Some(rest.len());
    }
    (rest.len() >= whole).then_some(whole)
}

/// Whether the connection's handshake is over, from rustls's own point of view.
pub(crate) fn complete(common: &CommonState) -> bool {
    !common.is_handshaking()
}

#[cfg(test)]
mod tests;
