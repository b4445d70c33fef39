//! A flow taken over in place: two TCP halves, and between them the stages of an inspected session.
//!
//! Each stage is a struct of its own, consumed by the step that leaves it. The origin is asked first: nothing is promised
//! to the client before the origin has proved itself.

mod account;
mod awaiting_leaf;
mod back_off;
mod collecting;
mod ending;
mod fetching;
mod half;
mod icmp;
mod meeting_client;
mod meeting_origin;
mod relay;
mod splice;

use std::net::IpAddr;
use std::sync::Arc;

use sluice_flow::FlowId;
use sluice_packet::{FlowKey, Instant};
use sluice_pki::ForgedLeaf;
use sluice_policy::{Note, PolicyDecided};
use sluice_tcp::{CloseReason, StateName};
use sluice_telemetry::{
    Application, Counter, DecisionCode, EndReason, Party, SessionPhase, SystemEvent, Verdict,
};
use sluice_tls::ClientHello;

pub(crate) use account::Account;
use awaiting_leaf::AwaitingLeaf;
use collecting::Collecting;
use ending::Failure;
pub(crate) use half::Half;
use meeting_client::MeetingClient;
use meeting_origin::MeetingOrigin;
use relay::Relay;
use splice::Splice;

use crate::alarm::Alarm;
use crate::identity::Identity;
use crate::learn::Destination;
use crate::limits::{
    CLOSED_LINGER, CLOSING_TIMEOUT, COLLECT_WINDOW_BYTES, HANDSHAKE_TIMEOUT, LEARNED_TTL,
    SESSION_IDLE_TIMEOUT,
};
use crate::shared::Shared;
use crate::{Effects, Now};

/// What a session needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until a packet, a timer or a leaf comes.
    Wait,
    /// Handshake work is ready, but this turn's budget is spent.
    Handshake,
    /// The session is over: what is left of it takes its place.
    Gone,
}

/// One session's turn: what it works with while it is serviced.
pub(crate) struct Turn<'a> {
    pub(crate) flow: FlowId,
    pub(crate) key: FlowKey,
    pub(crate) identity: &'a Identity,
    pub(crate) shared: &'a mut Shared,
    pub(crate) now: Now,
    pub(crate) out: &'a mut dyn Effects,
    /// Handshake steps left in this poll.
    pub(crate) budget: &'a mut usize,
    /// A step was wanted when none was left.
    pub(crate) starved: bool,
}

impl Turn<'_> {
    /// Logs that further flows to an origin get another code.
    fn tell_learned(&mut self, origin: String, code: DecisionCode) {
        self.out.system(SystemEvent::Learned {
            origin,
            code,
            until_unix_s: self.now.unix_s() + LEARNED_TTL.as_secs(),
        });
    }

    /// True when one more handshake step may be taken in this poll.
    fn take_handshake_step(&mut self) -> bool {
        if *self.budget == 0 {
            self.starved = true;
            return false;
        }
        *self.budget -= 1;
        true
    }
}

/// Where a session stands.
enum Stage {
    /// Taken over early: the ClientHello is still coming in.
    Collecting(Box<Collecting>),
    /// Bypassed after an early takeover.
    Splicing(Splice),
    /// TLS handshake with the origin.
    MeetingOrigin(Box<MeetingOrigin>),
    /// The origin is known; the leaf is being forged.
    AwaitingLeaf(Box<AwaitingLeaf>),
    /// TLS handshake with the client.
    MeetingClient(Box<MeetingClient>),
    /// Both handshakes done.
    Relaying(Box<Relay>),
    /// Ended; the halves close.
    Closing,
}

impl Stage {
    /// Bytes of memory a stage holds beside the session, as near as can be told.
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Collecting(collecting) => collecting.memory_bytes(),
            Self::MeetingOrigin(meeting) => meeting.memory_bytes(),
            Self::AwaitingLeaf(awaiting) => awaiting.memory_bytes(),
            Self::MeetingClient(meeting) => meeting.memory_bytes(),
            Self::Relaying(relay) => relay.memory_bytes(),
            Self::Splicing(_) | Self::Closing => 0,
        }
    }
}

/// What one step of a stage leads to.
enum Step {
    /// The stage stays as it is, until more arrives.
    Stay(Stage),
    /// The next stage, to be run at once.
    Enter(Stage),
    /// The session ends here and now.
    Fail(Failure),
}

/// One flow taken over. Of many of them, the first thing that a packet waits for is where its session's page is: it lies on one,
/// and begins with what every packet needs.
#[repr(C, align(2048))]
pub(crate) struct Session {
    stage: Stage,
    /// The stage's own time limit.
    pub(crate) deadline: Instant,
    /// Last time a packet came.
    active: Instant,
    /// When the timer wheel calls for it because something is due soon.
    pub(crate) near: Alarm,
    /// The client's half had sent something that was not settled when its last turn ended.
    client_sends: bool,
    /// The same of the origin's half.
    origin_sends: bool,
    bytes_to_origin: u64,
    bytes_to_client: u64,
    hello: Option<Box<ClientHello>>,
    application: Application,
    ended: Option<EndReason>,
    reported: bool,
    /// By what it was ended; its ends may not have heard of it.
    blocked: Option<DecisionCode>,
    /// The account's code, which outlives it.
    code: Option<DecisionCode>,
    /// An end of it is silent, and may not have heard its reset.
    gave_up: bool,
    /// Its near alarm was taken back and set again at once: it is left where it is, to call for nothing now and then.
    pub(crate) is_brisk: bool,
    /// Whether the half that heard a segment last, since its turn, is the client's.
    heard: Option<bool>,
    ended_at: Instant,
    /// Until it is reported; but how it ended, and what passed, stands above.
    account: Box<Account>,
    client: Half,
    origin: Half,
}

const _: () = assert!(
    size_of::<Session>() == 2_048 && align_of::<Session>() == size_of::<Session>(),
    "a session lies on one page"
);

impl Session {
    /// Takes over to read the rest of a ClientHello that does not arrive in one window.
    pub(crate) fn collect(mut client: Half, origin: Half, deadline: Instant, now: Instant) -> Self {
        client.tcp.widen_window(COLLECT_WINDOW_BYTES);
        Self::new(
            client,
            origin,
            Stage::Collecting(Box::default()),
            None,
            deadline,
            now,
        )
    }

    /// Takes over to inspect.
    pub(crate) fn inspect(
        (client, origin): (Half, Half),
        hello: Box<ClientHello>,
        decided: PolicyDecided,
        note: Option<Note>,
        now: Instant,
    ) -> Self {
        let stage = Stage::MeetingOrigin(Box::new(MeetingOrigin::new(decided)));
        let deadline = now + HANDSHAKE_TIMEOUT;
        let mut session = Self::new(client, origin, stage, Some(hello), deadline, now);
        session.account.note(note);
        session
    }

    fn new(
        client: Half,
        origin: Half,
        stage: Stage,
        hello: Option<Box<ClientHello>>,
        deadline: Instant,
        now: Instant,
    ) -> Self {
        let account = Account {
            sni: hello.as_ref().and_then(|hello| hello.sni.clone()),
            ..Account::default()
        };
        Self {
            client,
            origin,
            stage,
            hello,
            account: Box::new(account),
            deadline,
            active: now,
            bytes_to_origin: 0,
            bytes_to_client: 0,
            near: Alarm::NONE,
            application: Application::default(),
            ended: None,
            reported: false,
            ended_at: now,
            code: None,
            blocked: None,
            gave_up: false,
            is_brisk: false,
            client_sends: true,
            origin_sends: true,
            heard: None,
        }
    }

    /// The half that talks to the client, or the one that talks to the origin.
    pub(crate) fn half(&mut self, client: bool, now: Instant) -> &mut Half {
        self.active = now;
        self.heard = Some(client);
        if client {
            &mut self.client
        } else {
            &mut self.origin
        }
    }

    /// A leaf that this session waited for.
    pub(crate) fn on_leaf(&mut self, leaf: Result<Arc<ForgedLeaf>, String>) {
        if let Stage::AwaitingLeaf(awaiting) = &mut self.stage {
            awaiting.answer(leaf);
        }
    }

    /// Does whatever can be done now.
    pub(crate) fn service(&mut self, turn: &mut Turn<'_>) -> Next {
        let now = turn.now.mono;
        self.heard = None;
        let may_grow = turn.shared.memory.may_take_over();
        self.client.tcp.let_window_grow(may_grow);
        self.origin.tcp.let_window_grow(may_grow);
        if !matches!(self.stage, Stage::Relaying(_) | Stage::Splicing(_)) {
            self.note_broken_halves(now);
        }
        // What came before a reset goes on before it.
        self.run_stages(turn);
        self.transmit(turn);
        self.client_sends = !self.client.tcp.is_settled();
        self.origin_sends = !self.origin.tcp.is_settled();
        let closing = self.is_closing();
        self.note_broken_halves(now);
        if self.is_closing() && !closing {
            self.transmit(turn);
        }
        if turn.starved {
            return Next::Handshake;
        }
        if !self.is_closing() {
            return Next::Wait;
        }
        let closed =
            |half: &Half| matches!(half.tcp.state(), StateName::Closed | StateName::TimeWait);
        if closed(&self.client) && closed(&self.origin) {
            if self.blocked.is_none() {
                return Next::Gone;
            }
            self.deadline = self.deadline.min(now + CLOSED_LINGER);
        }
        if self.client.tcp.is_closed() && self.origin.tcp.is_closed() {
            return Next::Gone;
        }
        if now < self.deadline {
            return Next::Wait;
        }
        let owed = |half: &Half| !half.tcp.is_closed() && !half.tcp.all_sent_acknowledged();
        if self.blocked.is_none()
            && (owed(&self.client) || owed(&self.origin))
            && now < self.ended_at + SESSION_IDLE_TIMEOUT
        {
            // A slow reader, or a dead one, which its half's own timers find out.
            self.deadline = now + CLOSING_TIMEOUT;
            return Next::Wait;
        }
        if self.blocked.is_none() {
            // Whoever has not closed by now is told, and recognised in case the reset is lost.
            self.client.tcp.abort();
            self.origin.tcp.abort();
            self.transmit(turn);
            self.gave_up = true;
        }
        Next::Gone
    }

    fn transmit(&mut self, turn: &mut Turn<'_>) {
        for half in [&mut self.client, &mut self.origin] {
            half.transmit(&turn.key, turn.now.mono, turn.out);
        }
    }

    fn run_stages(&mut self, turn: &mut Turn<'_>) {
        loop {
            let stage = core::mem::replace(&mut self.stage, Stage::Closing);
            let step = match stage {
                Stage::Collecting(stage) => stage.step(self, turn),
                Stage::MeetingOrigin(stage) => stage.step(self, turn),
                Stage::AwaitingLeaf(stage) => stage.step(self, turn),
                Stage::MeetingClient(stage) => stage.step(self, turn),
                Stage::Relaying(relay) => self.relay(relay, turn),
                Stage::Splicing(splice) => self.splice(splice, turn.now.mono),
                Stage::Closing => return,
            };
            match step {
                Step::Stay(stage) => {
                    self.stage = stage;
                    return;
                }
                Step::Enter(stage) => self.stage = stage,
                Step::Fail(failure) => {
                    self.fail(failure, turn.identity, turn.now.mono);
                    return;
                }
            }
        }
    }

    fn relay(&mut self, mut relay: Box<Relay>, turn: &mut Turn<'_>) -> Step {
        let now = turn.now.mono;
        let result = relay.pump(&mut self.client, &mut self.origin);
        let to_origin = relay.bytes_to_origin() - self.bytes_to_origin;
        let to_client = relay.bytes_to_client() - self.bytes_to_client;
        self.bytes_to_origin += to_origin;
        self.bytes_to_client += to_client;
        turn.out.count(Counter::BytesInspectedToOrigin, to_origin);
        turn.out.count(Counter::BytesInspectedToClient, to_client);
        self.application = relay.application();
        let ended = match result {
            Err(error) => {
                // The alert is on its way: both ends are told to finish rather than cut off.
                self.account.detail = Some(error.to_string());
                EndReason::Failed(if error.is_client() {
                    Party::Client
                } else {
                    Party::Origin
                })
            }
            Ok(()) if relay.finished() => EndReason::Closed,
            Ok(()) if relay.notified() && (self.client.broken() || self.origin.broken()) => {
                EndReason::Closed
            }
            Ok(()) => {
                self.deadline = self.active + SESSION_IDLE_TIMEOUT;
                return Step::Stay(Stage::Relaying(relay));
            }
        };
        self.client.tcp.finish();
        self.origin.tcp.finish();
        self.end(ended, now);
        Step::Stay(Stage::Closing)
    }

    fn splice(&mut self, mut splice: Splice, now: Instant) -> Step {
        let [to_origin, to_client] = splice.pump(&mut self.client, &mut self.origin);
        self.bytes_to_origin += to_origin;
        self.bytes_to_client += to_client;
        if splice.finished() {
            self.end(EndReason::Closed, now);
            return Step::Stay(Stage::Closing);
        }
        self.deadline = self.active + SESSION_IDLE_TIMEOUT;
        Step::Stay(Stage::Splicing(splice))
    }

    /// A half that ended by reset or time-out ends the other one too.
    fn note_broken_halves(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Closing) {
            return;
        }
        let client_broken = self.client.broken();
        if !client_broken && !self.origin.broken() {
            return;
        }
        if let Stage::Relaying(relay) = &self.stage
            && relay.notified()
        {
            // The reset came after both ends had said goodbye; the relay ends the session in order.
            return;
        }
        let half = if client_broken {
            &self.client
        } else {
            &self.origin
        };
        let ended = match (half.tcp.closed_by(), client_broken) {
            (Some(CloseReason::TimedOut), _) => EndReason::TimedOut,
            (_, true) => EndReason::ClientReset,
            (_, false) => EndReason::OriginReset,
        };
        if !matches!(self.stage, Stage::Relaying(_) | Stage::Splicing(_)) {
            let code = if client_broken {
                DecisionCode::BlockClientHandshakeFailed
            } else {
                DecisionCode::BlockOriginHandshakeFailed
            };
            self.account.code = Some(code);
        }
        self.client.tcp.abort();
        self.origin.tcp.abort();
        self.end(ended, now);
    }

    /// Where and about whom this session's handshakes teach something.
    fn learned_about(&self, identity: &Identity) -> (Destination, IpAddr) {
        let destination = Destination {
            server: identity.server(),
            sni: self.account.sni.clone(),
        };
        (destination, identity.client().ip())
    }

    /// A time that [`Self::next_timeout`] named has come.
    pub(crate) fn on_timeout(&mut self, identity: &Identity, now: Instant) {
        self.client.tcp.on_timeout(now);
        self.origin.tcp.on_timeout(now);
        if now < self.deadline || matches!(self.stage, Stage::Closing) {
            return;
        }
        let failure = match &self.stage {
            Stage::Collecting(_) => {
                let code = identity
                    .without_hello(sluice_policy::NoHello::TimedOut)
                    .code;
                if code.verdict() != Verdict::Block {
                    // Bypassed whatever it says: it may take its time.
                    self.account.code = Some(code);
                    self.stage = Stage::Splicing(Splice::default());
                    self.deadline = now + SESSION_IDLE_TIMEOUT;
                    return;
                }
                Failure {
                    code,
                    ended: EndReason::TimedOut,
                    detail: None,
                }
            }
            Stage::MeetingOrigin(_) => Failure {
                code: DecisionCode::BlockOriginHandshakeFailed,
                ended: EndReason::TimedOut,
                detail: Some("the origin did not complete its TLS handshake in time".to_owned()),
            },
            Stage::AwaitingLeaf(_) => Failure {
                code: DecisionCode::BlockForgingFailed,
                ended: EndReason::TimedOut,
                detail: Some("the leaf was not forged in time".to_owned()),
            },
            Stage::MeetingClient(_) => Failure {
                code: DecisionCode::BlockClientHandshakeFailed,
                ended: EndReason::TimedOut,
                detail: Some("the client did not complete its TLS handshake in time".to_owned()),
            },
            Stage::Relaying(_) | Stage::Splicing(_) | Stage::Closing => {
                self.client.tcp.abort();
                self.origin.tcp.abort();
                self.end(EndReason::TimedOut, now);
                return;
            }
        };
        self.fail(failure, identity, now);
    }

    /// When [`Self::on_timeout`] wants to be called, at the latest.
    pub(crate) fn next_timeout(&self) -> Instant {
        let halves = [self.client.next_timeout(), self.origin.next_timeout()];
        halves
            .into_iter()
            .flatten()
            .fold(self.deadline, Instant::min)
    }

    /// True when the client's own connection is over: nothing is left to deliver to it.
    pub(crate) fn client_has_gone(&self) -> bool {
        matches!(
            self.client.tcp.state(),
            StateName::Closed | StateName::TimeWait
        )
    }

    /// True for a session that was not ended by its block and whose ends have everything that was for them.
    pub(crate) fn has_delivered(&self) -> bool {
        self.blocked.is_none() && !self.client.owes() && !self.origin.owes()
    }

    /// True once the session has ended and only its TCP halves are left.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing)
    }

    /// The code by which this session was ended, unless its ends ended it: they may go on sending.
    pub(crate) fn blocked(&self) -> Option<DecisionCode> {
        self.blocked
    }

    pub(crate) fn phase(&self) -> SessionPhase {
        match &self.stage {
            Stage::Collecting(_) => SessionPhase::Held,
            Stage::Splicing(_) => SessionPhase::Bypassed,
            Stage::MeetingOrigin(_) => SessionPhase::OriginHandshake,
            Stage::AwaitingLeaf(_) => SessionPhase::Forging,
            Stage::MeetingClient(_) => SessionPhase::ClientHandshake,
            Stage::Relaying(_) => SessionPhase::Relaying,
            Stage::Closing => SessionPhase::Closing,
        }
    }

    /// What is known of it, as long as it was not reported. How it ends is filled in only then.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn application(&self) -> Application {
        self.application
    }

    /// Bytes that went on, to the origin and to the client.
    pub(crate) fn bytes_passed(&self) -> [u64; 2] {
        [self.bytes_to_origin, self.bytes_to_client]
    }

    /// Bytes this session holds, its buffers and its TLS state included.
    pub(crate) fn memory_bytes(&self) -> usize {
        let hello = self.hello.as_ref().map_or(0, |hello| hello.memory_bytes());
        let buffers = self.client.memory_bytes() + self.origin.memory_bytes();
        size_of::<Self>() + size_of::<Account>() + buffers + hello + self.stage.memory_bytes()
    }
}
