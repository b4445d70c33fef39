//! How a session ends, and what is told about it then.

use sluice_packet::Instant;
use sluice_tcp::CloseReason;
use sluice_telemetry::{DecisionCode, EndReason, Party};

use super::{Account, Half, Session, Stage, Turn};
use crate::identity::Identity;
use crate::limits::{CLOSED_LINGER, CLOSING_TIMEOUT};
use crate::lingering::Lingering;

/// Why a session ends before its peers ended it.
pub(super) struct Failure {
    pub(super) code: DecisionCode,
    pub(super) ended: EndReason,
    pub(super) detail: Option<String>,
}

impl Failure {
    /// Something the appliance lacks or could not do.
    pub(super) fn ours(code: DecisionCode, detail: Option<String>) -> Self {
        Self {
            code,
            ended: EndReason::Failed(Party::Appliance),
            detail,
        }
    }
}

impl Session {
    /// Ends the session by decision or failure: resets go out as the profile says.
    pub(super) fn fail(&mut self, failure: Failure, identity: &Identity, now: Instant) {
        self.account.code = Some(failure.code);
        self.account.detail = failure.detail.or(self.account.detail.take());
        self.blocked = Some(failure.code);
        let resets = identity.resets();
        for (half, reset) in [
            (&mut self.client, resets.client),
            (&mut self.origin, resets.origin),
        ] {
            if reset {
                half.tcp.abort();
            } else {
                half.tcp.finish();
            }
        }
        self.end(failure.ended, now);
    }

    pub(super) fn end(&mut self, ended: EndReason, now: Instant) {
        self.ended.get_or_insert(ended);
        self.code = self.account.code;
        self.gave_up |= ended == EndReason::TimedOut;
        self.ended_at = now;
        self.stage = Stage::Closing;
        self.hello = None;
        self.deadline = now
            + if ended == EndReason::Closed {
                CLOSING_TIMEOUT
            } else {
                CLOSED_LINGER
            };
    }

    /// Ends the session because the process ends: whatever of it still lives is reset. True if any of it did.
    pub(crate) fn stop(&mut self, why: EndReason, turn: &mut Turn<'_>) -> bool {
        let lived = !(self.client.tcp.is_closed() && self.origin.tcp.is_closed());
        self.note_what_did_not_arrive(Some(why));
        self.client.tcp.abort();
        self.origin.tcp.abort();
        if !self.is_closing() {
            // Before both handshakes are done there is no better code than the one they fail by.
            let code = self.account.code;
            self.account.code = code.or(Some(DecisionCode::BlockOriginHandshakeFailed));
            self.end(why, turn.now.mono);
        }
        self.transmit(turn);
        lived
    }

    /// The account, once: when the session has ended and it is known whether what its ends said last has arrived.
    pub(crate) fn report(&mut self) -> Option<Account> {
        let known = self.note_what_did_not_arrive(None);
        if self.reported || self.ended.is_none() || !known {
            return None;
        }
        self.reported = true;
        Some(Account {
            application: self.application,
            ended: self.ended,
            bytes_to_origin: self.bytes_to_origin,
            bytes_to_client: self.bytes_to_client,
            ..core::mem::take(&mut *self.account)
        })
    }

    /// The account of a session that is given up where it stands, unless it was reported before.
    pub(crate) fn close(&mut self, ended: EndReason) -> Option<Account> {
        self.note_what_did_not_arrive(Some(ended));
        self.ended.get_or_insert(ended);
        self.report()
    }

    /// Both ends have said goodbye, and a half still owes its peer what the other end said. If that half's connection is over,
    /// or `given_up` now, the session was not closed in order. True once nothing is left to wait for.
    fn note_what_did_not_arrive(&mut self, given_up: Option<EndReason>) -> bool {
        if self.reported || self.ended != Some(EndReason::Closed) {
            return true;
        }
        let halves = [
            (&self.client, "client", EndReason::ClientReset),
            (&self.origin, "origin", EndReason::OriginReset),
        ];
        let owing = || halves.iter().filter(|(half, ..)| half.owes());
        let over = owing().find(|(half, ..)| half.tcp.is_closed());
        let (to, ended) = match (over, given_up) {
            (Some((half, to, reset)), _) => (to, ended_by(half, *reset)),
            (None, Some(why)) => match owing().next() {
                Some((_, to, _)) => (to, why),
                None => return true,
            },
            (None, None) => return owing().next().is_none(),
        };
        self.account.detail = Some(format!("the last bytes to the {to} were not acknowledged"));
        self.ended = Some(ended);
        true
    }

    /// What answers its ends from here on.
    pub(crate) fn into_lingering(self, now: Instant) -> Lingering {
        let silent = |half: &Half| half.tcp.closed_by() == Some(CloseReason::TimedOut);
        let gave_up = self.gave_up || silent(&self.client) || silent(&self.origin);
        let halves = (
            self.client.tcp.into_time_wait(now),
            self.origin.tcp.into_time_wait(now),
        );
        Lingering::new(halves, self.code, gave_up, now)
    }
}

fn ended_by(half: &Half, reset: EndReason) -> EndReason {
    match half.tcp.closed_by() {
        Some(CloseReason::PeerReset) => reset,
        // Given up by its own timers, or after the last one of the session.
        _ => EndReason::TimedOut,
    }
}
