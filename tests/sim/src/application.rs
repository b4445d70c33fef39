//! What runs on top of an endpoint: it sends a stream and checks the one it gets.

use core::time::Duration;

use sluice_packet::Instant;

use crate::random::{Random, stream_byte};

/// When an application may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Whenever there is space.
    #[default]
    Free,
    /// A request, then the next one when its reply is there.
    Requests {
        /// Bytes of a request.
        request: u64,
        /// Bytes of a reply.
        reply: u64,
    },
    /// A reply to each request.
    Replies {
        /// Bytes of a request.
        request: u64,
        /// Bytes of a reply.
        reply: u64,
    },
}

/// What an application does.
#[derive(Clone, Copy, Debug)]
pub struct ApplicationPlan {
    /// Names the stream it sends.
    pub sends: u64,
    /// Length of that stream.
    pub sends_bytes: u64,
    /// Names the stream it expects.
    pub expects: u64,
    /// Length of that stream.
    pub expects_bytes: u64,
    /// Most bytes read at once, and how long it then rests.
    pub reads: Option<(usize, Duration)>,
    /// When it sends.
    pub pace: Pace,
    /// Most bytes handed over at once.
    pub piece_bytes_max: u64,
    /// It finishes only when the other end has.
    pub finishes_last: bool,
}

/// A byte that is not the one sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the stream is {found:#04x} instead of {expected:#04x}")]
pub struct Mismatch {
    /// Position in the stream.
    pub offset: u64,
    /// What came.
    pub found: u8,
    /// What was sent; a stream that is too long shows here as well.
    pub expected: u8,
}

/// A running application.
#[derive(Debug)]
pub struct Application {
    plan: ApplicationPlan,
    random: Random,
    sent: u64,
    received: u64,
    rests_until: Instant,
    mismatch: Option<Mismatch>,
}

impl Application {
    /// An application at its start.
    #[must_use]
    pub fn new(plan: ApplicationPlan, random: Random) -> Self {
        Self {
            plan,
            random,
            sent: 0,
            received: 0,
            rests_until: Instant::ZERO,
            mismatch: None,
        }
    }

    /// The next bytes to send, at most `space`; empty when there is nothing to send.
    pub fn produce(&mut self, space: usize) -> Vec<u8> {
        let left = self.allowed() - self.sent;
        let piece = left
            .min(u64::try_from(space).unwrap_or(u64::MAX))
            .min(self.random.between(1, self.plan.piece_bytes_max));
        let bytes = (self.sent..self.sent + piece)
            .map(|offset| stream_byte(self.plan.sends, offset))
            .collect();
        self.sent += piece;
        bytes
    }

    /// Takes back bytes of the last piece that were not accepted.
    pub fn give_back(&mut self, count: usize) {
        self.sent -= u64::try_from(count).unwrap_or(0);
    }

    /// Bytes that may have been sent by now.
    fn allowed(&self) -> u64 {
        let turns = |bytes: u64| self.received.checked_div(bytes).unwrap_or(0);
        let allowed = match self.plan.pace {
            Pace::Free => self.plan.sends_bytes,
            Pace::Requests { request, reply } => (turns(reply) + 1) * request,
            Pace::Replies { request, reply } => turns(request) * reply,
        };
        allowed.min(self.plan.sends_bytes)
    }

    /// Nothing may be sent now.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.sent == self.allowed()
    }

    /// Everything was handed over.
    #[must_use]
    pub fn sent_all(&self) -> bool {
        self.sent == self.plan.sends_bytes
    }

    /// Everything expected has come.
    #[must_use]
    pub fn received_all(&self) -> bool {
        self.received == self.plan.expects_bytes
    }

    /// Bytes received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The application ends its own stream now, given whether the other end has.
    #[must_use]
    pub fn wants_to_finish(&self, peer_finished: bool) -> bool {
        self.sent_all() && (peer_finished || !self.plan.finishes_last)
    }

    /// It rests between reads.
    #[must_use]
    pub fn reads_slowly(&self) -> bool {
        self.plan.reads.is_some()
    }

    /// Reads and checks some of `bytes`; says how many it took.
    pub fn read(&mut self, now: Instant, bytes: &[u8]) -> usize {
        if bytes.is_empty() || now < self.rests_until {
            return 0;
        }
        let mut count = bytes.len();
        if let Some((most, rest)) = self.plan.reads {
            count = count.min(most);
            self.rests_until = now + rest;
        }
        for byte in bytes.iter().take(count) {
            let expected = stream_byte(self.plan.expects, self.received);
            if (*byte != expected || self.received >= self.plan.expects_bytes)
                && self.mismatch.is_none()
            {
                self.mismatch = Some(Mismatch {
                    offset: self.received,
                    found: *byte,
                    expected,
                });
            }
            self.received += 1;
        }
        count
    }

    /// When it reads again.
    #[must_use]
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        (self.rests_until > now).then_some(self.rests_until)
    }

    /// The first wrong byte.
    #[must_use]
    pub fn mismatch(&self) -> Option<Mismatch> {
        self.mismatch
    }
}
