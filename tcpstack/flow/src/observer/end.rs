//! One real end of an observed connection.

use core::time::Duration;

use sluice_packet::limits::{DEFAULT_MSS_IPV4_BYTES, DEFAULT_MSS_IPV6_BYTES, WINDOW_SHIFT_MAX};
use sluice_packet::{LinkTemplate, SeqNum, TcpFlags, TcpFrame, fetch};

use crate::Irregularity;
use crate::limits::PEER_MSS_BYTES_MIN;

/// One real end.
#[derive(Copy, Clone, Debug)]
pub(super) struct EndRecord {
    /// What follows the last sequence number of it that was forwarded.
    pub(super) next: SeqNum,
    /// The last acknowledgement number it sent.
    pub(super) acknowledged: SeqNum,
    /// Its clock, as it was last seen.
    pub(super) timestamp: u32,
    /// Its clock, as it is to be echoed (TS.Recent of RFC 7323 4.3).
    pub(super) recent: u32,
    /// When it was seen, after the observer was opened. Saturates after 71 minutes.
    pub(super) timestamp_after_micros: u32,
    /// How long it took to answer in the handshake, in steps of [`ROUND_TRIP_STEP_MICROS`], or [`UNTIMED`].
    pub(super) round_trip: u16,
    /// How far what was seen reaches beyond `next`: what a caller holds. Saturates.
    pub(super) held_bytes: u16,
    /// The last window, as on the wire.
    pub(super) window: u16,
    pub(super) mss: u16,
    pub(super) scale: u8,
    pub(super) facts: u8,
    pub(super) link: LinkTemplate,
}

/// What an end was to answer was sent more than once, or long before.
pub(super) const UNTIMED: u16 = u16::MAX;
/// Fine enough for timers of milliseconds.
pub(super) const ROUND_TRIP_STEP_MICROS: u32 = 100;

/// The SYN had a window scale option.
pub(super) const SCALE: u8 = 1 << 0;
/// The SYN permitted SACK.
pub(super) const SACK: u8 = 1 << 1;
/// The SYN had timestamps.
pub(super) const TIMESTAMPS: u8 = 1 << 2;
/// The SYN asked for ECN, or agreed to it.
pub(super) const ECN: u8 = 1 << 3;
/// The SYN had an unknown option.
pub(super) const UNKNOWN: u8 = 1 << 4;
/// The SYN had a Multipath TCP option.
pub(super) const MULTIPATH: u8 = 1 << 5;
/// The last window came with a segment other than SYN, so it is shifted (RFC 7323 2.2).
pub(super) const SHIFTED: u8 = 1 << 6;
/// Its FIN was forwarded.
pub(super) const FIN: u8 = 1 << 7;

impl EndRecord {
    /// Asks for all but what its frames wear.
    pub(super) fn fetch(&self) {
        fetch(&self.next);
        fetch(&self.facts);
    }

    /// It took so long to answer.
    pub(super) fn answered_within(&mut self, micros: u32) {
        let steps = micros.div_ceil(ROUND_TRIP_STEP_MICROS);
        self.round_trip = u16::try_from(steps).unwrap_or(UNTIMED);
    }

    /// Whether `tcp`, of the other end, answers what this one sent last.
    pub(super) fn is_echoed_by(&self, tcp: &TcpFrame) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-3
        //# The only case when TCP can safely take RTT samples from retransmitted segments is when the TCP timestamp option
        //# [JBB92] is employed, since the timestamp option removes the ambiguity regarding which instance of the data segment triggered
        //# the acknowledgment.
        let echo = tcp.options.timestamps.map(|timestamps| timestamps.echo);
        self.has(TIMESTAMPS) && echo == Some(self.timestamp)
    }

    /// Of copies of one SYN with the same timestamp the first counts.
    pub(super) fn stamped_not_before(&mut self, before: &Self) {
        let stamped = self.has(TIMESTAMPS) && before.has(TIMESTAMPS);
        if stamped && self.next == before.next && self.timestamp == before.timestamp {
            self.timestamp_after_micros = before.timestamp_after_micros;
        }
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        let micros = u64::from(self.round_trip) * u64::from(ROUND_TRIP_STEP_MICROS);
        (self.round_trip != UNTIMED).then(|| Duration::from_micros(micros))
    }

    pub(super) fn of_syn(tcp: &TcpFrame, bytes: &[u8], after_micros: u32) -> Self {
        let options = &tcp.options;
        let next = tcp.seq + 1;
        let ecn = if tcp.flags.ack() {
            tcp.flags.contains(TcpFlags::ECE) && !tcp.flags.contains(TcpFlags::CWR)
        } else {
            tcp.flags.contains(TcpFlags::ECE | TcpFlags::CWR)
        };
        let default_mss = if tcp.source.is_ipv6() {
            DEFAULT_MSS_IPV6_BYTES
        } else {
            DEFAULT_MSS_IPV4_BYTES
        };
        let timestamp = options.timestamps.map_or(0, |timestamps| timestamps.value);
        let facts = [
            (SCALE, options.window_scale.is_some()),
            (SACK, options.sack_permitted),
            (TIMESTAMPS, options.timestamps.is_some()),
            (ECN, ecn),
            (UNKNOWN, options.unknown),
            (MULTIPATH, options.mptcp),
        ];
        Self {
            next,
            acknowledged: if tcp.flags.ack() { tcp.ack } else { SeqNum(0) },
            timestamp,
            recent: timestamp,
            round_trip: UNTIMED,
            held_bytes: 0,
            timestamp_after_micros: after_micros,
            window: tcp.window,
            mss: options
                .mss
                .map_or(default_mss, |mss| mss.max(PEER_MSS_BYTES_MIN)),
            scale: options.window_scale.unwrap_or(0).min(WINDOW_SHIFT_MAX),
            facts: facts
                .into_iter()
                .filter(|(_, holds)| *holds)
                .fold(0, |facts, (fact, _)| facts | fact),
            link: LinkTemplate::from_frame(tcp, bytes),
        }
    }

    /// Something of it up to `end` was seen.
    pub(super) fn saw(&mut self, end: SeqNum) {
        let ahead = u16::try_from(end.distance(self.next).max(0)).unwrap_or(u16::MAX);
        self.held_bytes = self.held_bytes.max(ahead);
    }

    /// Everything of it up to `end` was forwarded.
    pub(super) fn passed(&mut self, end: SeqNum) {
        let ahead = u16::try_from(end.distance(self.next).max(0)).unwrap_or(u16::MAX);
        self.held_bytes = self.held_bytes.saturating_sub(ahead);
        self.next = self.next.max(end);
    }

    pub(super) fn has(&self, fact: u8) -> bool {
        self.facts & fact != 0
    }
}

/// Reads a SYN or SYN-ACK that a regular connection may begin with.
pub(super) fn syn_record(
    tcp: &TcpFrame,
    bytes: &[u8],
    after_micros: u32,
) -> Result<EndRecord, Irregularity> {
    if tcp.flags.intersects(TcpFlags::FIN | TcpFlags::RST) {
        return Err(Irregularity::BadFlags);
    }
    no_data(tcp)?;
    if tcp.options.signature {
        return Err(Irregularity::Signed);
    }
    if tcp.options.malformed {
        return Err(Irregularity::MalformedOptions);
    }
    Ok(EndRecord::of_syn(tcp, bytes, after_micros))
}

pub(super) fn no_data(tcp: &TcpFrame) -> Result<(), Irregularity> {
    if tcp.payload_len() > 0 {
        Err(Irregularity::DataOnSyn)
    } else {
        Ok(())
    }
}

pub(super) fn sequence_len(tcp: &TcpFrame) -> u32 {
    u32::try_from(tcp.payload_len()).unwrap_or(u32::MAX)
        + u32::from(tcp.flags.syn())
        + u32::from(tcp.flags.fin())
}
