//! Two endpoints, a network and a clock.

use core::time::Duration;
use std::collections::VecDeque;

use sluice_packet::{Frame, Instant, SegmentId, parse};

use crate::application::Mismatch;
use crate::between::Between;
use crate::endpoint::Endpoint;
use crate::network::{Counts, Network, Side};
use crate::tls::TlsError;

/// A run that went wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// An application read something else than the other sent.
    #[error("{side:?}: {mismatch}\n{report}")]
    Corrupted {
        /// Who read it.
        side: Side,
        /// The first wrong byte.
        mismatch: Mismatch,
        /// Where both ends stood.
        report: String,
    },
    /// Virtual time ran out.
    #[error("not done after {elapsed:?} of virtual time\n{report}")]
    TimedOut {
        /// Virtual time spent.
        elapsed: Duration,
        /// Where both ends stood.
        report: String,
    },
    /// Nothing is under way and no timer runs, yet the ends are not done.
    #[error("nothing will ever happen again\n{report}")]
    Stuck {
        /// Where both ends stood.
        report: String,
    },
    /// More steps than any sound run takes.
    #[error("{steps} steps and no end: an endless exchange\n{report}")]
    Endless {
        /// Steps taken.
        steps: u64,
        /// Where both ends stood.
        report: String,
    },
    /// More frames under way than windows admit.
    #[error("{frames} frames under way: an end sends without limit\n{report}")]
    Flood {
        /// Frames that have not arrived.
        frames: usize,
        /// Where both ends stood.
        report: String,
    },
    /// A connection was reset or given up before everything was there.
    #[error("{side:?} broke before everything was received\n{report}")]
    Broken {
        /// Whose connection.
        side: Side,
        /// Where both ends stood.
        report: String,
    },
    /// An end's TLS failed.
    #[error("{side:?}: {error}\n{report}")]
    Tls {
        /// Whose.
        side: Side,
        /// What happened.
        error: TlsError,
        /// Where both ends stood.
        report: String,
    },
    /// What lies between the ends did something that it must not do, or left something behind.
    #[error("{what}\n{report}")]
    Fault {
        /// What it did.
        what: String,
        /// Where both ends stood.
        report: String,
    },
}

/// A run that went well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Virtual time until both ends were done.
    pub elapsed: Duration,
    /// Virtual time until both streams were complete.
    pub transferred: Duration,
    /// What the network did.
    pub network: Counts,
}

/// A run in the making.
pub struct Simulation<L, R, B = Network> {
    /// The end that opens.
    pub left: L,
    /// The other end.
    pub right: R,
    /// What lies between them.
    pub between: B,
    now: Instant,
    started: Instant,
    /// Virtual time after which the run has failed.
    limit: Duration,
    trace: VecDeque<String>,
    trace_frames: usize,
}

/// Frames under way after which an end is taken to send without limit.
const UNDER_WAY_MAX: usize = 10_000;
/// Steps after which a run is taken for endless.
const STEPS_MAX: u64 = 5_000_000;

impl<L: Endpoint, R: Endpoint, B: Between> Simulation<L, R, B> {
    /// A run that starts at `now` and has `limit` of virtual time.
    pub fn new(left: L, right: R, between: B, now: Instant, limit: Duration) -> Self {
        Self {
            left,
            right,
            between,
            now,
            started: now,
            limit,
            trace: VecDeque::new(),
            trace_frames: 0,
        }
    }

    /// Keeps the last `frames` frames for a failure's report.
    #[must_use]
    pub fn with_trace(mut self, frames: usize) -> Self {
        self.trace_frames = frames;
        self
    }

    /// Runs until both ends are done.
    ///
    /// # Errors
    /// A [`Failure`] that says how the run went wrong.
    pub fn run(&mut self) -> Result<Outcome, Failure> {
        let mut transferred = None;
        for _ in 0..STEPS_MAX {
            self.step();
            self.check()?;
            let elapsed = self.now.saturating_since(self.started);
            let complete =
                self.left.application().received_all() && self.right.application().received_all();
            if complete && transferred.is_none() {
                transferred = Some(elapsed);
            }
            if let (Some(transferred), true, true) =
                (transferred, self.left.is_done(), self.right.is_done())
            {
                return Ok(Outcome {
                    elapsed,
                    transferred,
                    network: self.between.counts(),
                });
            }
            if elapsed > self.limit {
                return Err(Failure::TimedOut {
                    elapsed,
                    report: self.report(),
                });
            }
            if !self.advance() {
                return Err(Failure::Stuck {
                    report: self.report(),
                });
            }
        }
        Err(Failure::Endless {
            steps: STEPS_MAX,
            report: self.report(),
        })
    }

    /// Goes on after the run, for at most `limit`, until `idle` says that what lies between the ends has come to rest.
    /// False when it has not.
    pub fn settle(&mut self, limit: Duration, idle: impl Fn(&B, Instant) -> bool) -> bool {
        let until = self.now + limit;
        for _ in 0..STEPS_MAX {
            if idle(&self.between, self.now) {
                return true;
            }
            if self.now > until || !self.advance() {
                return false;
            }
            self.step();
        }
        false
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Delivers what has arrived and lets both ends act.
    fn step(&mut self) {
        while let Some((side, frame)) = self.between.arrived(self.now) {
            self.note();
            match side {
                Side::Left => self.left.on_frame(self.now, &frame),
                Side::Right => self.right.on_frame(self.now, &frame),
            }
            // An end acts on every frame before it sees the next, as a core does within its batch.
            self.act(side);
        }
        self.act(Side::Left);
        self.act(Side::Right);
        self.note();
    }

    /// Keeps what happened between the ends for a failure's report.
    fn note(&mut self) {
        if self.trace_frames > 0 {
            self.trace.extend(self.between.notes());
            let old = self.trace.len().saturating_sub(self.trace_frames);
            self.trace.drain(..old);
        }
    }

    fn act(&mut self, side: Side) {
        let (now, between) = (self.now, &mut self.between);
        let (trace, frames) = (&mut self.trace, self.trace_frames);
        let mut send = |frame: Vec<u8>| {
            let line = (frames > 0).then(|| line(now, &format!("{side:?}"), &frame));
            let alive = between.send(now, side.other(), frame);
            if let Some(line) = line {
                trace.push_back(line + if alive { "" } else { " DROPPED" });
                trace.drain(..trace.len().saturating_sub(frames));
            }
        };
        match side {
            Side::Left => self.left.poll(now, &mut send),
            Side::Right => self.right.poll(now, &mut send),
        }
    }

    /// Moves the clock to whatever happens next.
    fn advance(&mut self) -> bool {
        let timeouts = [
            self.left.next_timeout(self.now),
            self.right.next_timeout(self.now),
        ];
        let next = timeouts
            .into_iter()
            .flatten()
            .chain(self.between.next_event(self.now))
            .min();
        if let Some(next) = next {
            self.now = self.now.max(next);
        }
        next.is_some()
    }

    fn check(&self) -> Result<(), Failure> {
        if let Some(what) = self.between.fault() {
            return Err(Failure::Fault {
                what,
                report: self.report(),
            });
        }
        let frames = self.between.under_way();
        if frames > UNDER_WAY_MAX {
            return Err(Failure::Flood {
                frames,
                report: self.report(),
            });
        }
        let ends: [(Side, &dyn Endpoint); 2] =
            [(Side::Left, &self.left), (Side::Right, &self.right)];
        for (side, end) in ends {
            if let Some(mismatch) = end.application().mismatch() {
                return Err(Failure::Corrupted {
                    side,
                    mismatch,
                    report: self.report(),
                });
            }
            if let Some(error) = end.application().tls_error() {
                return Err(Failure::Tls {
                    side,
                    error,
                    report: self.report(),
                });
            }
            let other: &dyn Endpoint = if side == Side::Left {
                &self.right
            } else {
                &self.left
            };
            let all = end.application().received_all() && other.application().received_all();
            if end.is_broken() && !all {
                return Err(Failure::Broken {
                    side,
                    report: self.report(),
                });
            }
        }
        Ok(())
    }

    /// Where everything stands, and the last frames if they are kept.
    pub fn report(&self) -> String {
        let mut report = format!(
            "left  {}\nright {}\n{}",
            self.left.describe(),
            self.right.describe(),
            self.between.describe()
        );
        for line in &self.trace {
            report.push('\n');
            report.push_str(line);
        }
        report
    }
}

/// A frame in a trace.
pub(crate) fn line(now: Instant, who: &str, frame: &[u8]) -> String {
    let seconds = now.saturating_since(Instant::ZERO).as_secs_f64();
    let Frame::Tcp(tcp) = parse(SegmentId(0), frame) else {
        return format!("{seconds:>12.6} {who}: not TCP");
    };
    let bad = if tcp.checksum_ok(frame) {
        ""
    } else {
        " BAD CHECKSUM"
    };
    format!(
        "{seconds:>12.6} {who}: {} seq {} ack {} win {} len {} sack {:?} {:?}{bad}",
        tcp.flags,
        tcp.seq.0,
        tcp.ack.0,
        tcp.window,
        tcp.payload_len(),
        tcp.options.sack,
        tcp.options.timestamps,
    )
}
