//! The appliance's own TCP engine as an endpoint.

use sluice_packet::{Frame, IcmpError, Instant, PathTemplate, SegmentId, TcpFlags, emit, parse};
use sluice_tcp::{CloseReason, Config, Connection, Opening, StateName, Stats, Takeover};

use crate::application::Application;
use crate::endpoint::Endpoint;
use crate::fragments::{self, Rejoin};

/// How the engine comes to its connection.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// Opens it.
    Connect(Opening),
    /// Waits for the other end's SYN.
    Listen(Opening),
    /// Continues one that others opened.
    Takeover(Takeover),
}

/// An engine on a port.
#[derive(Debug)]
pub struct Engine {
    connection: Option<Connection>,
    listening: Option<Opening>,
    config: Config,
    path: PathTemplate,
    application: Application,
    finished: bool,
    memory_bytes_most: usize,
    rejoin: Rejoin,
    /// Datagrams sent, if they may be cut on their way.
    cuttable: Option<u16>,
}

/// Frames sent in one turn after which something must be wrong; the network's flood check then says so.
const FRAMES_PER_TURN_MAX: usize = 20_000;
/// Frames up to the largest MTU the packet path carries.
const FRAME_BYTES_MAX: usize = 9_100;

impl Engine {
    /// An engine that sends along `path`.
    #[must_use]
    pub fn new(
        start: Start,
        config: Config,
        path: PathTemplate,
        application: Application,
        now: Instant,
    ) -> Self {
        let (connection, listening) = match start {
            Start::Connect(opening) => (Some(Connection::connect(opening, &config, now)), None),
            Start::Listen(opening) => (None, Some(opening)),
            Start::Takeover(takeover) => {
                (Some(Connection::established(takeover, &config, now)), None)
            }
        };
        Self {
            connection,
            listening,
            config,
            path,
            application,
            finished: false,
            memory_bytes_most: 0,
            rejoin: Rejoin::default(),
            cuttable: None,
        }
    }

    /// Its IPv4 datagrams may be cut on their way: it does not look for the path's MTU by itself.
    #[must_use]
    pub fn cuttable(mut self) -> Self {
        self.cuttable = Some(0);
        self
    }

    /// What the engine counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.connection
            .as_ref()
            .map(Connection::stats)
            .unwrap_or_default()
    }

    /// Most memory that the connection ever held.
    #[must_use]
    pub fn memory_bytes_most(&self) -> usize {
        self.memory_bytes_most
    }

    /// Why the connection is over.
    #[must_use]
    pub fn closed_by(&self) -> Option<CloseReason> {
        self.connection.as_ref().and_then(Connection::closed_by)
    }

    fn on_icmp_error(&mut self, now: Instant, error: &IcmpError, frame: &[u8]) {
        let ours =
            error.source == self.path.source() && error.destination == self.path.destination();
        let Some(connection) = &mut self.connection else {
            return;
        };
        if !ours || !error.checksum_ok(frame) {
            return;
        }
        match error.mss_limit() {
            Some(path_mss) => {
                connection.on_packet_too_big(now, error.seq, path_mss);
            }
            None => connection.on_soft_error(),
        }
    }

    fn run_application(&mut self, now: Instant) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        loop {
            let count = self.application.read(now, connection.received());
            if count == 0 {
                break;
            }
            connection.consume(count);
        }
        let peer_finished = connection.peer_finished() && connection.received().is_empty();
        let finishes = self.application.wants_to_finish(peer_finished);
        while connection.send_space() > 0 && !self.application.rests(now) {
            let piece = self.application.produce(now, connection.send_space());
            let taken = connection.send(&piece);
            if taken < piece.len() {
                self.application.give_back(piece.len() - taken);
                break;
            }
        }
        if !self.finished && (finishes || self.application.wants_to_finish(peer_finished)) {
            connection.finish();
            self.finished = true;
        }
    }
}

impl Endpoint for Engine {
    fn on_frame(&mut self, now: Instant, frame: &[u8]) {
        let Some(frame) = self.rejoin.take(frame) else {
            return;
        };
        let frame = &*frame;
        let tcp = match parse(SegmentId(0), frame) {
            Frame::Tcp(tcp) => tcp,
            Frame::IcmpError(error) => return self.on_icmp_error(now, &error, frame),
            Frame::Fragment(_) | Frame::Other(_) => return,
        };
        // A flipped bit in an address or a port makes it somebody else's frame.
        let ours = tcp.source == self.path.destination() && tcp.destination == self.path.source();
        if !ours || !tcp.checksum_ok(frame) {
            return;
        }
        let segment = tcp.segment(frame);
        if let Some(connection) = &mut self.connection {
            connection.on_segment(now, &segment);
        } else if let Some(opening) = self.listening
            && segment.flags.syn()
            && !segment.flags.intersects(TcpFlags::ACK | TcpFlags::RST)
        {
            self.connection = Some(Connection::accept(&segment, opening, &self.config, now));
        }
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Vec<u8>)) {
        if let Some(connection) = &mut self.connection
            && connection.next_timeout().is_some_and(|at| at <= now)
        {
            connection.on_timeout(now);
        }
        self.run_application(now);
        let Some(connection) = &mut self.connection else {
            return;
        };
        self.memory_bytes_most = self.memory_bytes_most.max(connection.memory_bytes());
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(outgoing) = connection.poll_transmit(now) else {
                break;
            };
            let mut frame = vec![0; FRAME_BYTES_MAX];
            if let Ok(len) = emit(&mut frame, &self.path, &outgoing.segment, outgoing.rest) {
                frame.truncate(len);
                if let Some(number) = &mut self.cuttable {
                    *number = number.wrapping_add(1);
                    fragments::allow(&mut frame, *number);
                }
                send(frame);
            }
        }
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        let connection = self.connection.as_ref().and_then(Connection::next_timeout);
        connection
            .into_iter()
            .chain(self.application.wakes_at(now))
            .min()
    }

    fn is_done(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.is_closed() || connection.state() == StateName::TimeWait
        })
    }

    fn is_broken(&self) -> bool {
        self.closed_by()
            .is_some_and(|reason| reason != CloseReason::Finished)
    }

    fn application(&self) -> &Application {
        &self.application
    }

    fn describe(&self) -> String {
        format!(
            "engine: {:?}, closed by {:?}, received {}, {:?}",
            self.connection.as_ref().map(Connection::state),
            self.closed_by(),
            self.application.received(),
            self.stats()
        )
    }
}
