//! Taken over early: a ClientHello that does not arrive in one window is read from the client's engine.

use sluice_policy::NoHello;
use sluice_telemetry::{Counter, DecisionCode, EndReason, Verdict};
use sluice_tls::{ClientHelloReader, HelloProgress};

use super::meeting_origin::MeetingOrigin;
use super::splice::Splice;
use super::{Failure, Session, Stage, Step, Turn};
use crate::limits::HANDSHAKE_TIMEOUT;

/// Taken over early: the client's engine acknowledges what it gets, and the reader sees it.
#[derive(Default)]
pub(super) struct Collecting {
    reader: ClientHelloReader,
    read: usize,
}

impl Collecting {
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.reader.memory_bytes()
    }

    pub(super) fn step(mut self: Box<Self>, session: &mut Session, turn: &mut Turn<'_>) -> Step {
        let finished = session.client.tcp.peer_finished();
        let received = session.client.tcp.received();
        let fresh = received.get(self.read..).unwrap_or_default();
        if fresh.is_empty() && !finished {
            if session.origin.tcp.received().is_empty() {
                return Step::Stay(Stage::Collecting(self));
            }
            return decided(
                session,
                turn.identity.without_hello(NoHello::ServerSpokeFirst).code,
            );
        }
        self.read = received.len();
        let progress = self.reader.feed(fresh);
        let hello = match progress {
            HelloProgress::NeedMore if finished => {
                return decided(
                    session,
                    turn.identity.without_hello(NoHello::Malformed).code,
                );
            }
            HelloProgress::NeedMore => return Step::Stay(Stage::Collecting(self)),
            HelloProgress::Complete(hello) => hello,
            HelloProgress::NotTls => {
                return decided(session, turn.identity.without_hello(NoHello::NotTls).code);
            }
            HelloProgress::Malformed(error) => {
                session.account.detail = Some(error.to_string());
                return decided(
                    session,
                    turn.identity.without_hello(NoHello::Malformed).code,
                );
            }
            HelloProgress::TooLarge => {
                return decided(session, turn.identity.without_hello(NoHello::TooLarge).code);
            }
        };
        turn.out.count(Counter::ClientHellos, 1);
        session.account.sni.clone_from(&hello.sni);
        let decision = turn.identity.decide(&hello, turn.shared, 1, turn.now);
        session.account.note(decision.note);
        let Some(proof) = decision.proof() else {
            return decided(session, decision.code);
        };
        session.deadline = turn.now.mono + HANDSHAKE_TIMEOUT;
        session.hello = Some(hello);
        Step::Enter(Stage::MeetingOrigin(Box::new(MeetingOrigin::new(proof))))
    }
}

/// A flow that was taken over early and turns out not to be inspected.
fn decided(session: &mut Session, code: DecisionCode) -> Step {
    if code.verdict() == Verdict::Block {
        return Step::Fail(Failure {
            code,
            ended: EndReason::Blocked,
            detail: session.account.detail.take(),
        });
    }
    session.account.code = Some(code);
    Step::Enter(Stage::Splicing(Splice::default()))
}
