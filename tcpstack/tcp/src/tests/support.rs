//! A peer that does nothing by itself.

use core::time::Duration;

use sluice_packet::{
    Ecn, Instant, SackBlocks, SeqNum, TcpFlags, TcpOptions, TcpSegment, Timestamps,
};

use crate::{Config, Connection, Outgoing, Takeover, TimestampClock, limits};

/// Our first byte; a few bytes before the wrap, so that every script crosses it.
pub(super) const OURS: SeqNum = SeqNum(u32::MAX - 1_999);
/// The peer's first byte.
pub(super) const THEIRS: SeqNum = SeqNum(u32::MAX - 99);
pub(super) const MSS: u16 = 1_000;

/// A segment that came out, with sequence numbers counted from [`OURS`] and [`THEIRS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) seq: i32,
    pub(super) ack: i32,
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) options: TcpOptions,
    pub(super) ecn: Ecn,
    pub(super) payload: Vec<u8>,
}

impl Seen {
    fn of(outgoing: &Outgoing<'_>) -> Self {
        let segment = &outgoing.segment;
        Self {
            seq: segment.seq.distance(OURS),
            ack: segment.ack.distance(THEIRS),
            flags: segment.flags,
            window: segment.window,
            options: segment.options,
            ecn: segment.ecn,
            payload: [segment.payload, outgoing.rest].concat(),
        }
    }

    /// Sequence number and payload length.
    pub(super) fn span(&self) -> (i32, usize) {
        (self.seq, self.payload.len())
    }

    pub(super) fn sack(&self) -> Vec<(i32, i32)> {
        self.options
            .sack
            .iter()
            .map(|block| (block.left.distance(THEIRS), block.right.distance(THEIRS)))
            .collect()
    }
}

pub(super) fn takeover() -> Takeover {
    Takeover {
        send_next: OURS,
        receive_next: THEIRS,
        send_window: 60_000,
        peer_mss: MSS,
        send_scale: 0,
        receive_scale: 0,
        sack: true,
        ecn: false,
        timestamps: None,
        round_trip: None,
        path_mss: MSS,
        path_mss_min: limits::PATH_MSS_IPV4_BYTES_MIN,
    }
}

pub(super) fn with_timestamps() -> Takeover {
    let clock = TimestampClock {
        value: 70_000,
        at: Instant::from_secs(10),
        echo_recent: 4_000,
    };
    Takeover {
        timestamps: Some(clock),
        ..takeover()
    }
}

pub(super) struct Script {
    pub(super) connection: Connection,
    pub(super) now: Instant,
    /// The window the peer advertises.
    pub(super) window: u16,
    /// The peer's timestamp, if it sends them.
    pub(super) timestamp: Option<Timestamps>,
    /// The mark that the network puts on what the peer sends.
    pub(super) mark: Ecn,
}

impl Script {
    pub(super) fn new() -> Self {
        Self::of(takeover(), Config::default())
    }

    pub(super) fn of(takeover: Takeover, config: Config) -> Self {
        let now = Instant::from_secs(10);
        Self::around(Connection::established(takeover, &config, now), now)
    }

    pub(super) fn around(connection: Connection, now: Instant) -> Self {
        Self {
            connection,
            now,
            window: 60_000,
            timestamp: None,
            mark: Ecn::NotEct,
        }
    }

    /// Feeds a segment with flags and payload at `seq`, acknowledging `ack`.
    pub(super) fn feed(&mut self, flags: TcpFlags, seq: i32, ack: i32, payload: &[u8]) {
        self.feed_sack(flags, seq, ack, payload, &[]);
    }

    pub(super) fn feed_sack(
        &mut self,
        flags: TcpFlags,
        seq: i32,
        ack: i32,
        payload: &[u8],
        sack: &[(i32, i32)],
    ) {
        let mut blocks = SackBlocks::default();
        for (left, right) in sack {
            blocks.push(ours(*left), ours(*right));
        }
        let options = TcpOptions {
            timestamps: self.timestamp,
            sack: blocks,
            ..TcpOptions::default()
        };
        let segment = TcpSegment {
            seq: theirs(seq),
            ack: ours(ack),
            flags,
            window: self.window,
            urgent: 0,
            ecn: self.mark,
            options,
            payload,
        };
        self.connection.on_segment(self.now, &segment);
    }

    /// Feeds data at `seq`, acknowledging nothing new.
    pub(super) fn data(&mut self, seq: i32, payload: &[u8]) {
        self.feed(TcpFlags::ACK, seq, 0, payload);
    }

    /// Feeds a bare acknowledgement.
    pub(super) fn ack(&mut self, ack: i32) {
        self.feed(TcpFlags::ACK, 0, ack, b"");
    }

    pub(super) fn ack_sack(&mut self, ack: i32, sack: &[(i32, i32)]) {
        self.feed_sack(TcpFlags::ACK, 0, ack, b"", sack);
    }

    /// Everything that comes out now.
    pub(super) fn drain(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(outgoing) = self.connection.poll_transmit(self.now) {
            seen.push(Seen::of(&outgoing));
            assert!(seen.len() < 10_000, "never stops sending");
        }
        seen
    }

    /// The acknowledgement that has to come out before anything else is taken.
    pub(super) fn acknowledgement(&mut self) -> Option<Seen> {
        if !self.connection.owes_before_next() {
            return None;
        }
        let outgoing = self.connection.poll_acknowledgement(self.now);
        outgoing.map(|outgoing| Seen::of(&outgoing))
    }

    /// The one segment that comes out now.
    #[track_caller]
    pub(super) fn one(&mut self) -> Seen {
        let seen = self.drain();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.into_iter().next().unwrap()
    }

    #[track_caller]
    pub(super) fn nothing(&mut self) {
        assert_eq!(self.drain(), []);
    }

    pub(super) fn spans(&mut self) -> Vec<(i32, usize)> {
        self.drain().iter().map(Seen::span).collect()
    }

    /// Lets time pass without running timers.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Lets time pass to the next timer that sends something or closes, and returns how long that took.
    #[track_caller]
    pub(super) fn until_sent(&mut self) -> (Duration, Vec<Seen>) {
        let start = self.now;
        for _ in 0..100 {
            let Some(at) = self.connection.next_timeout() else {
                panic!("no timer is running")
            };
            self.now = self.now.max(at);
            self.connection.on_timeout(self.now);
            let seen = self.drain();
            if !seen.is_empty() || self.connection.is_closed() {
                return (self.now.saturating_since(start), seen);
            }
        }
        panic!("timers run and nothing is sent");
    }

    pub(super) fn send(&mut self, count: usize) {
        let bytes: Vec<u8> = (0..count)
            .map(|index| u8::try_from(index % 251).unwrap())
            .collect();
        assert_eq!(self.connection.send(&bytes), count);
    }
}

pub(super) fn ours(offset: i32) -> SeqNum {
    SeqNum(OURS.0.wrapping_add_signed(offset))
}

pub(super) fn theirs(offset: i32) -> SeqNum {
    SeqNum(THEIRS.0.wrapping_add_signed(offset))
}

pub(super) const FIN_ACK: TcpFlags = TcpFlags::from_bits(0x11);
pub(super) const RST_ACK: TcpFlags = TcpFlags::from_bits(0x14);
