//! What runs on top of an endpoint: it sends a stream and checks the one it gets.

use core::time::Duration;

use sluice_packet::Instant;

use crate::preface::Preface;
use crate::random::{Random, stream_bytes};
use crate::tls::{TlsEnd, TlsError};

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
    /// Whenever there is space, but not before the other end has said something.
    Second,
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
    /// What it says before its stream.
    pub says_first: Preface,
    /// What the other end says before its stream.
    pub hears_first: Preface,
}

impl ApplicationPlan {
    /// The application at the other end of one that follows this plan: it expects what this one sends.
    #[must_use]
    pub fn opposite(&self) -> Self {
        Self {
            sends: self.expects,
            sends_bytes: self.expects_bytes,
            expects: self.sends,
            expects_bytes: self.sends_bytes,
            pace: match self.pace {
                Pace::Requests { request, reply } => Pace::Replies { request, reply },
                Pace::Replies { request, reply } => Pace::Requests { request, reply },
                Pace::Free | Pace::Second => Pace::Free,
            },
            says_first: self.hears_first,
            hears_first: self.says_first,
            ..*self
        }
    }
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

/// A running application. Bytes and positions count the preface.
#[derive(Debug)]
pub struct Application {
    plan: ApplicationPlan,
    random: Random,
    tls: Option<Box<TlsEnd>>,
    sent: u64,
    received: u64,
    rests_until: Instant,
    speaks_at: Instant,
    mismatch: Option<Mismatch>,
    /// When the last byte came that completed a reply, and the longest that one took.
    asked_at: Instant,
    longest_turn: Duration,
}

impl Application {
    /// An application at its start, right on top of TCP.
    #[must_use]
    pub fn new(plan: ApplicationPlan, random: Random) -> Self {
        Self {
            plan,
            random,
            tls: None,
            sent: 0,
            received: 0,
            rests_until: Instant::ZERO,
            speaks_at: Instant::ZERO,
            mismatch: None,
            asked_at: Instant::ZERO,
            longest_turn: Duration::ZERO,
        }
    }

    /// An application whose bytes travel in TLS records.
    #[must_use]
    pub fn over_tls(plan: ApplicationPlan, random: Random, tls: TlsEnd) -> Self {
        Self {
            tls: Some(Box::new(tls)),
            ..Self::new(plan, random)
        }
    }

    /// The next bytes to hand to TCP, at most `space`; empty when there are none.
    pub fn produce(&mut self, now: Instant, space: usize) -> Vec<u8> {
        if self.tls.is_none() {
            return self.speak(now, space);
        }
        let writable = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.established() && tls.all_taken());
        let plaintext = if writable {
            self.speak(now, usize::MAX)
        } else {
            Vec::new()
        };
        match &mut self.tls {
            Some(tls) => tls.take(&plaintext, space),
            None => Vec::new(),
        }
    }

    /// The next bytes of the application itself.
    fn speak(&mut self, now: Instant, space: usize) -> Vec<u8> {
        if now < self.speaks_at {
            return Vec::new();
        }
        let left = self.allowed() - self.sent;
        let piece = left
            .min(u64::try_from(space).unwrap_or(u64::MAX))
            .min(self.random.between(1, self.plan.piece_bytes_max));
        let preface = self.plan.says_first.bytes();
        let (pause_at, pause) = self.plan.says_first.pause();
        let said = self.sent;
        let piece = if said < pause_at {
            piece.min(pause_at - said)
        } else {
            piece
        };
        self.sent += piece;
        if piece > 0 && self.sent == pause_at {
            self.speaks_at = now + pause;
        }
        if self.requests_begun(self.sent) > self.requests_begun(said) {
            self.asked_at = now;
        }
        stream_after(preface, self.plan.sends, said, piece)
    }

    /// Requests of which something is among the first `sent` bytes.
    fn requests_begun(&self, sent: u64) -> u64 {
        let stream = sent.saturating_sub(self.plan.says_first.len());
        match self.plan.pace {
            Pace::Requests { request, .. } => stream.div_ceil(request.max(1)),
            _ => 0,
        }
    }

    /// Takes back bytes of the last piece that were not accepted.
    pub fn give_back(&mut self, count: usize) {
        match &mut self.tls {
            Some(tls) => tls.give_back(count),
            None => self.sent -= u64::try_from(count).unwrap_or(0),
        }
    }

    /// Bytes it sends in all.
    fn sends_bytes(&self) -> u64 {
        self.plan.says_first.len() + self.plan.sends_bytes
    }

    fn expects_bytes(&self) -> u64 {
        self.plan.hears_first.len() + self.plan.expects_bytes
    }

    /// Bytes that may have been sent by now.
    fn allowed(&self) -> u64 {
        let turns = |bytes: u64| self.heard().checked_div(bytes).unwrap_or(0);
        let allowed = match self.plan.pace {
            Pace::Requests { request, reply } => (turns(reply) + 1) * request,
            Pace::Replies { request, reply } => turns(request) * reply,
            Pace::Second if !self.spoken_to() => 0,
            Pace::Free | Pace::Second => self.plan.sends_bytes,
        };
        self.plan.says_first.len() + allowed.min(self.plan.sends_bytes)
    }

    /// The other end has said something, or never will.
    fn spoken_to(&self) -> bool {
        self.received > 0 || self.expects_bytes() == 0
    }

    /// Bytes of the stream received, the preface not counted.
    fn heard(&self) -> u64 {
        self.received.saturating_sub(self.plan.hears_first.len())
    }

    /// Nothing can be handed to TCP now.
    #[must_use]
    pub fn rests(&self, now: Instant) -> bool {
        let silent = self.sent == self.allowed() || now < self.speaks_at;
        match &self.tls {
            Some(tls) => !tls.wants_to_write() && (silent || !tls.established()),
            None => silent,
        }
    }

    /// Everything was handed over.
    #[must_use]
    pub fn sent_all(&self) -> bool {
        self.sent == self.sends_bytes()
    }

    /// Everything expected has come.
    #[must_use]
    pub fn received_all(&self) -> bool {
        self.received == self.expects_bytes()
    }

    /// Bytes received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The longest that a reply took to come, from the first byte of its request to its own last. The first does not count:
    /// its request may wait for the connection.
    #[must_use]
    pub fn longest_turn(&self) -> Duration {
        self.longest_turn
    }

    /// The application ends its own stream now, given whether the other end has. Over TLS it says so first.
    #[must_use]
    pub fn wants_to_finish(&mut self, peer_finished: bool) -> bool {
        let addressed = self.plan.pace != Pace::Second || self.spoken_to();
        let finished = self.sent_all() && addressed && (peer_finished || !self.plan.finishes_last);
        match &mut self.tls {
            Some(tls) => tls.conclude(finished, peer_finished),
            None => finished,
        }
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
        let bytes = bytes.get(..count).unwrap_or_default();
        match &mut self.tls {
            Some(tls) => {
                let (taken, plaintext) = tls.read(bytes);
                self.hear(now, &plaintext);
                taken
            }
            None => {
                self.hear(now, bytes);
                count
            }
        }
    }

    fn hear(&mut self, now: Instant, bytes: &[u8]) {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let preface = self.plan.hears_first.bytes();
        let expected = stream_after(preface, self.plan.expects, self.received, count);
        let room = usize::try_from(self.expects_bytes().saturating_sub(self.received));
        let wrong = bytes
            .iter()
            .zip(&expected)
            .position(|(found, expected)| found != expected)
            .or_else(|| room.ok().filter(|room| *room < bytes.len()));
        if let (Some(at), None) = (wrong, self.mismatch) {
            self.mismatch = Some(Mismatch {
                offset: self.received + u64::try_from(at).unwrap_or(0),
                found: bytes.get(at).copied().unwrap_or_default(),
                expected: expected.get(at).copied().unwrap_or_default(),
            });
        }
        let turns = |heard: u64| match self.plan.pace {
            Pace::Requests { reply, .. } => heard.checked_div(reply).unwrap_or(0),
            _ => 0,
        };
        let before = turns(self.heard());
        self.received += count;
        if turns(self.heard()) > before && before > 0 {
            let turn = now.saturating_since(self.asked_at);
            self.longest_turn = self.longest_turn.max(turn);
        }
    }

    /// When it reads or speaks again.
    #[must_use]
    pub fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let speaks = (self.sent < self.allowed()).then_some(self.speaks_at);
        [Some(self.rests_until), speaks]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// The first wrong byte.
    #[must_use]
    pub fn mismatch(&self) -> Option<Mismatch> {
        self.mismatch
    }

    /// Why TLS failed, or that the stream was cut short.
    #[must_use]
    pub fn tls_error(&self) -> Option<TlsError> {
        self.tls.as_ref().and_then(|tls| tls.error())
    }

    /// What runs between this application and TCP.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsEnd> {
        self.tls.as_deref()
    }
}

/// `count` bytes from `offset` of `preface` and the stream that `seed` names behind it.
fn stream_after(preface: &[u8], seed: u64, offset: u64, count: u64) -> Vec<u8> {
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    let head = preface.get(skipped..).unwrap_or_default();
    let count = usize::try_from(count).unwrap_or(0);
    let mut bytes = head.get(..count).unwrap_or(head).to_vec();
    let before = u64::try_from(preface.len()).unwrap_or(0);
    let rest = count - bytes.len();
    stream_bytes(seed, offset.saturating_sub(before), rest, &mut bytes);
    bytes
}
