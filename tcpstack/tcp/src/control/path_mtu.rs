//! What the network says about the path, and what its silence says.
//!
//! Whoever sends an ICMP error can be anybody, so none of them ends a connection, and one that names a size is believed only
//! if it quotes a segment that is in flight and larger than that (RFC 5927 sections 4.1 and 7.2). Where no message comes at
//! all, timeouts stand in for it: after [`limits::BLACK_HOLE_TIMEOUTS`] in a row of one segment it is cut to the first of
//! [`limits::BLACK_HOLE_MSS_BYTES`] that is smaller, and at each further timeout to the next (RFC 4821 section 4.2, as
//! Linux does with `tcp_mtu_probing=1`). What looked like a hole may have been an outage: soon, then ever more rarely up to
//! [`limits::SIZE_PROBE_MS`], one segment of the old size is sent among others, whose acknowledgement brings the old size
//! back and whose loss costs nothing but its repetition. Often that need not be waited for: what was in flight is
//! acknowledged as it was sent.

use core::time::Duration;

use sluice_packet::{Instant, SeqNum};

use super::ControlBlock;
use crate::flight::{Delivered, Sent};
use crate::limits;
use crate::recovery::Phase;

/// A size that was given up, to be tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeProbe {
    /// The path MSS before.
    path_mss: u16,
    /// Times that it was tried.
    tries: u8,
    /// When it is tried next.
    at: Instant,
    /// The segment that tries it.
    seq: Option<SeqNum>,
}

impl ControlBlock {
    /// An ICMP message quotes our segment at `quoted` and says that the path carries `path_mss` bytes of payload before
    /// options. True when it was believed.
    pub(crate) fn on_packet_too_big(
        &mut self,
        now: Instant,
        quoted: SeqNum,
        path_mss: u16,
    ) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc5927#section-4.1
        //# the TCP sequence number contained in the payload of the ICMP error message is within the range SND.UNA =< SEG.SEQ
        //# < SND.NXT.
        let in_flight = self.send.una().le(quoted) && quoted.lt(self.send.next());
        let path_mss = path_mss.max(self.send.path_mss_min());
        let larger = self
            .flight
            .payload_at(quoted)
            .is_some_and(|len| len + self.send.option_bytes() > u32::from(path_mss));
        if !in_flight || !larger || path_mss >= self.send.path_mss() {
            self.stats.icmp_ignored += 1;
            return false;
        }
        self.stats.path_mss_lowered += 1;
        self.narrow(now, path_mss);
        true
    }

    /// Cuts everything in flight that no longer fits, to be sent again at once.
    fn narrow(&mut self, now: Instant, path_mss: u16) {
        self.set_path_mss(path_mss);
        //= https://www.rfc-editor.org/rfc/rfc1191#section-6.4
        //# a retransmission caused by a Datagram Too Big message should not change the congestion window.
        if self.flight.mark_larger_lost(self.send.mss()) {
            if self.recovery.phase == Phase::Open {
                self.recovery.phase = Phase::Narrowed {
                    point: self.send.next(),
                };
            }
            self.recovery.forced = true;
            self.restart_retransmission_timer(now);
        }
    }

    /// Timeouts of one segment follow each other: perhaps the path drops its size without a word.
    pub(super) fn suspect_black_hole(&mut self, now: Instant) {
        let Some(first) = self.flight.front() else {
            return;
        };
        // A peer that closed its window holds up what is in flight too.
        if self.rto.backoff() < limits::BLACK_HOLE_TIMEOUTS || self.send.window() == 0 {
            return;
        }
        let size = first.len + self.send.option_bytes();
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //# A node must not reduce its estimate of the Path MTU below the IPv6 minimum link MTU
        let least = self.send.path_mss_min();
        let smaller = limits::BLACK_HOLE_MSS_BYTES
            .into_iter()
            .map(|smaller| smaller.max(least))
            .find(|smaller| u32::from(*smaller) < size);
        if let Some(smaller) = smaller {
            let path_mss = self
                .size_probe
                .map_or(self.send.path_mss(), |probe| probe.path_mss);
            self.set_path_mss(smaller);
            self.size_probe = Some(SizeProbe {
                path_mss,
                tries: 0,
                at: now + Duration::from_millis(limits::SIZE_PROBE_START_MS),
                seq: None,
            });
            self.stats.path_mss_lowered += 1;
        }
    }

    /// Payload of a segment that tries a size that was given up, if now is the time for it.
    pub(super) fn size_probe_limit(&self, now: Instant) -> Option<u32> {
        let probe = self
            .size_probe
            .filter(|probe| probe.seq.is_none() && probe.at <= now)?;
        let limit = self.payload_limit_on(probe.path_mss);
        // Those behind it tell soon when it is lost.
        let followed = self.send.unsent() / limits::SIZE_PROBE_FOLLOWERS >= limit;
        let fits = self.send.room() >= limit
            && self.in_network() + limit <= self.congestion.window()
            && self.recovery.phase == Phase::Open;
        (self.sack && followed && fits).then_some(limit)
    }

    /// New text is sent, perhaps in the size that is tried.
    pub(super) fn note_size_probe(&mut self, sent: &Sent, now: Instant) {
        let limit = self.payload_limit();
        if let Some(probe) = self.size_probe.as_mut().filter(|_| sent.len > limit) {
            probe.seq = Some(sent.start);
            probe.tries = probe.tries.saturating_add(1);
            let wait = limits::SIZE_PROBE_START_MS << probe.tries.min(limits::BACKOFF_SHIFT_MAX);
            let wait = wait.min(limits::SIZE_PROBE_MS);
            probe.at = now + Duration::from_millis(wait);
        }
    }

    /// Something was acknowledged, perhaps the size that was tried, or what had been in flight when it was given up.
    pub(super) fn judge_size_probe(&mut self, delivered: &Delivered) {
        let Some(probe) = self.size_probe else {
            return;
        };
        if probe.seq.is_some_and(|seq| self.send.una().gt(seq)) {
            self.set_path_mss(probe.path_mss);
            return;
        }
        // Whatever is sent again is cut first: a larger segment that arrived did so whole, and it was acknowledgements or a
        // few segments that vanished.
        let size = delivered.largest + self.send.option_bytes();
        let size = u16::try_from(size).map_or(probe.path_mss, |size| size.min(probe.path_mss));
        if delivered.largest > 0 && size > self.send.path_mss() {
            self.set_path_mss(size);
            self.size_probe = (size < probe.path_mss).then_some(probe);
        }
    }

    /// A segment is sent again. If it is the one that tried a size, that was too large still.
    pub(super) fn give_up_size_probe(&mut self, sent: &Sent) {
        if let Some(probe) = &mut self.size_probe
            && probe.seq == Some(sent.start)
        {
            probe.seq = None;
        }
    }

    /// Nothing is lost but the segment that tries a size.
    pub(super) fn only_size_probe_lost(&mut self) -> bool {
        let Some(seq) = self.size_probe.and_then(|probe| probe.seq) else {
            return false;
        };
        self.flight.lost_segments() == 1
            && self
                .flight
                .next_lost()
                .is_some_and(|(_, sent)| sent.start == seq)
    }
}
