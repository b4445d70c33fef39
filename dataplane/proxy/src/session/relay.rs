//! The relay: records opened in place on one leg, inspected, sealed straight into the other leg's send buffer.
//!
//! Back-pressure runs end to end: a record is opened only when the other half has room for it, and what is not opened
//! closes the sender's TCP window. close_notify, FIN and truncation stay distinct on their way through
//! (RFC 8446 section 6.1): each is passed on as itself.

use sluice_inspect::{Direction, Inspector};
use sluice_tls::{Content, Records};
use thiserror::Error;

use super::half::Half;
use crate::limits::{ALERT_BYTES_MAX, RECORD_BYTES_MAX};

/// Both legs' record layers and what has passed between them.
pub(crate) struct Relay {
    client: Records,
    origin: Records,
    inspector: Inspector,
    to_origin: Way,
    to_client: Way,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    plaintext_bytes: u64,
    /// close_notify was passed on: nothing more may follow.
    notified: bool,
    /// The FIN was passed on.
    finished: bool,
}

/// Why a relay cannot go on.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    /// One leg's records are wrong, or its peer sent a fatal alert.
    #[error("{leg} leg: {error}")]
    Records {
        /// Which leg.
        leg: &'static str,
        /// True when the client's leg is at fault.
        client: bool,
        /// What happened.
        error: sluice_tls::RecordError,
    },
    /// A fatal alert of the peer, passed on to the other leg.
    #[error("{leg} leg: fatal alert {description}")]
    Alert {
        /// Which leg.
        leg: &'static str,
        /// True when the client sent it.
        client: bool,
        /// AlertDescription, RFC 8446 section 6.
        description: u8,
    },
}

impl RelayError {
    pub(crate) fn is_client(&self) -> bool {
        match self {
            Self::Records { client, .. } | Self::Alert { client, .. } => *client,
        }
    }
}

impl Relay {
    pub(crate) fn new(client: Records, origin: Records, inspector: Inspector) -> Self {
        Self {
            client,
            origin,
            inspector,
            to_origin: Way::default(),
            to_client: Way::default(),
        }
    }

    /// Bytes of memory this holds, as near as can be told.
    pub(crate) fn memory_bytes(&self) -> usize {
        let beside_records = size_of::<Self>() - 2 * size_of::<Records>();
        beside_records + self.client.memory_bytes() + self.origin.memory_bytes()
    }

    /// Moves whatever can move, both ways.
    pub(crate) fn pump(&mut self, client: &mut Half, origin: &mut Half) -> Result<(), RelayError> {
        self.to_origin.pump(
            (client, &mut self.client),
            (origin, &mut self.origin),
            &mut self.inspector,
            Direction::ToOrigin,
        )?;
        self.to_client.pump(
            (origin, &mut self.origin),
            (client, &mut self.client),
            &mut self.inspector,
            Direction::ToClient,
        )
    }

    /// Both directions have ended and everything was handed to TCP.
    pub(crate) fn finished(&self) -> bool {
        self.to_origin.finished && self.to_client.finished
    }

    /// Both ends said close_notify: a reset after that loses nothing.
    pub(crate) fn notified(&self) -> bool {
        self.to_origin.notified && self.to_client.notified
    }

    pub(crate) fn bytes_to_origin(&self) -> u64 {
        self.to_origin.plaintext_bytes
    }

    pub(crate) fn bytes_to_client(&self) -> u64 {
        self.to_client.plaintext_bytes
    }

    pub(crate) fn application(&self) -> sluice_telemetry::Application {
        self.inspector.application()
    }
}

impl Way {
    fn pump(
        &mut self,
        (from, from_records): (&mut Half, &mut Records),
        (to, to_records): (&mut Half, &mut Records),
        inspector: &mut Inspector,
        direction: Direction,
    ) -> Result<(), RelayError> {
        let (leg, client) = match direction {
            Direction::ToOrigin => ("client", true),
            Direction::ToClient => ("origin", false),
        };
        let wrong = |error| RelayError::Records { leg, client, error };
        while !self.notified {
            if to.tcp.send_space() < RECORD_BYTES_MAX {
                return Ok(());
            }
            let input = from.tcp.received();
            if input.is_empty() {
                break;
            }
            let opened = match from_records.open(input) {
                Ok(opened) => opened,
                Err(error) => {
                    // RFC 8446 section 6.2: the sender of a wrong record is told; the other end sees its stream cut.
                    if let Some(description) = error.alert() {
                        send_fatal(from, from_records, description);
                    }
                    return Err(wrong(error));
                }
            };
            let consumed = opened.consumed;
            match opened.content {
                Content::NeedMore => {
                    from.tcp.consume(consumed);
                    break;
                }
                Content::Data(plaintext) => {
                    inspector.on_plaintext(direction, plaintext);
                    let sealed = to_records.sealed_len(plaintext.len());
                    let Some(space) = to.tcp.send_reserve(sealed) else {
                        return Ok(());
                    };
                    let written = to_records.seal(plaintext, space).map_err(wrong)?;
                    to.tcp.send_commit(written);
                    self.plaintext_bytes += plaintext.len() as u64;
                }
                Content::CloseNotify => {
                    let mut alert = [0; ALERT_BYTES_MAX];
                    let written = to_records.close_notify(&mut alert);
                    let sent = to.tcp.send(alert.get(..written).unwrap_or_default());
                    to.goodbye_bytes = u32::try_from(sent).unwrap_or(0);
                    self.notified = true;
                }
                Content::Alert(description) => {
                    send_fatal(to, to_records, description);
                    return Err(RelayError::Alert {
                        leg,
                        client,
                        description,
                    });
                }
                Content::Handled => {}
            }
            from.tcp.consume(consumed);
            // Without room it stays owed, and goes before whatever is sealed next: half a record would break the leg.
            if from.tcp.send_space() >= ALERT_BYTES_MAX
                && let Some(reply) = from_records.pending_reply()
            {
                from.tcp.send(&reply);
            }
        }
        if self.notified {
            let rest = from.tcp.received().len();
            from.tcp.consume(rest);
        }
        if from.tcp.peer_finished() && !self.finished {
            // What is left is a record cut short: the truncation is passed on as a FIN without close_notify.
            let rest = from.tcp.received().len();
            from.tcp.consume(rest);
            to.tcp.finish();
            self.finished = true;
        }
        Ok(())
    }
}

fn send_fatal(half: &mut Half, records: &mut Records, description: u8) {
    let mut alert = [0; ALERT_BYTES_MAX];
    let written = records.fatal_alert(description, &mut alert);
    half.tcp.send(alert.get(..written).unwrap_or_default());
}
