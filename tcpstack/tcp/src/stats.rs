//! What a connection counted.

use core::mem::offset_of;
use core::ops::AddAssign;
use core::time::Duration;

use crate::rto::RtoEstimator;

/// Counters of one connection; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Segments received, refused ones included.
    pub segments_received: u64,
    /// Segments sent.
    pub segments_sent: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
    /// Bytes sent for the first time.
    pub bytes_sent: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Times that loss recovery was entered by acknowledgements.
    pub fast_recoveries: u64,
    /// Times that a reduction of the congestion window was taken back: what was sent again had not been lost.
    pub reductions_taken_back: u64,
    /// Tail-loss probes sent.
    pub tail_probes: u64,
    /// Zero-window probes sent.
    pub window_probes: u64,
    /// Keep-alive probes sent.
    pub keepalive_probes: u64,
    /// Segments outside the receive window.
    pub out_of_window: u64,
    /// Segments refused by their old timestamp (PAWS).
    pub old_timestamps: u64,
    /// Segments that arrived ahead of a gap and were kept.
    pub out_of_order: u64,
    /// Segments that brought nothing new.
    pub duplicates: u64,
    /// Segments not kept for want of room.
    pub no_room: u64,
    /// Challenge acknowledgements sent.
    pub challenge_acks: u64,
    /// Challenge acknowledgements withheld by the rate limit.
    pub challenge_acks_withheld: u64,
    /// Acknowledgements of data never sent, or older than any window.
    pub bad_acks: u64,
    /// Duplicate SACK blocks received: the peer saw one of our segments twice.
    pub duplicate_sacks: u64,
    /// Segments with text that carried a congestion mark, on a connection that agreed to them.
    pub congestion_marks: u64,
    /// Times that the congestion window was reduced because the peer echoed a mark.
    pub ecn_reductions: u64,
    /// Times that the path's segment size was lowered, by an ICMP message or after timeouts.
    pub path_mss_lowered: u64,
    /// ICMP messages not believed: they quote nothing in flight, or would change nothing.
    pub icmp_ignored: u64,
    /// ICMP errors that say nothing about size; noted, never acted on.
    pub soft_errors: u64,
    /// Smoothed round-trip time, microseconds; 0 before the first sample.
    pub srtt_us: u64,
    /// Smallest round-trip time, microseconds; 0 before the first sample.
    pub rtt_min_us: u64,
}

/// What of [`Stats`] tells how well the path carries segments; cheap to ask for after every turn. Both stop at their largest
/// value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Segments sent again.
    pub retransmits: u32,
    /// Segments that arrived ahead of a gap and were kept.
    pub out_of_order: u32,
}

/// The counters as a connection keeps them: half as wide where a connection cannot live to fill them.
/// Those that move with every segment come first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Counters {
    pub(crate) segments_received: u64,
    pub(crate) segments_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) retransmits: Count,
    pub(crate) out_of_order: Count,
    pub(crate) timeouts: Count,
    pub(crate) fast_recoveries: Count,
    pub(crate) reductions_taken_back: Count,
    pub(crate) tail_probes: Count,
    pub(crate) window_probes: Count,
    pub(crate) keepalive_probes: Count,
    pub(crate) out_of_window: Count,
    pub(crate) old_timestamps: Count,
    pub(crate) duplicates: Count,
    pub(crate) no_room: Count,
    pub(crate) challenge_acks: Count,
    pub(crate) challenge_acks_withheld: Count,
    pub(crate) bad_acks: Count,
    pub(crate) duplicate_sacks: Count,
    pub(crate) congestion_marks: Count,
    pub(crate) ecn_reductions: Count,
    pub(crate) path_mss_lowered: Count,
    pub(crate) icmp_ignored: Count,
    pub(crate) soft_errors: Count,
}

/// A counter that stays at its largest value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count(u32);

impl Count {
    pub(crate) fn get(self) -> u64 {
        u64::from(self.0)
    }
}

impl AddAssign<u32> for Count {
    fn add_assign(&mut self, more: u32) {
        self.0 = self.0.saturating_add(more);
    }
}

impl Counters {
    /// Bytes of those that move with every segment.
    pub(crate) const BUSY_BYTES: usize = offset_of!(Self, timeouts);

    pub(crate) fn repairs(&self) -> Repairs {
        Repairs {
            retransmits: self.retransmits.0,
            out_of_order: self.out_of_order.0,
        }
    }

    pub(crate) fn stats(&self, rto: &RtoEstimator) -> Stats {
        let srtt_us = micros(rto.smoothed());
        let rtt_min_us = micros(rto.smallest());
        Stats {
            segments_received: self.segments_received,
            segments_sent: self.segments_sent,
            bytes_received: self.bytes_received,
            bytes_sent: self.bytes_sent,
            retransmits: self.retransmits.get(),
            timeouts: self.timeouts.get(),
            fast_recoveries: self.fast_recoveries.get(),
            reductions_taken_back: self.reductions_taken_back.get(),
            tail_probes: self.tail_probes.get(),
            window_probes: self.window_probes.get(),
            keepalive_probes: self.keepalive_probes.get(),
            out_of_window: self.out_of_window.get(),
            old_timestamps: self.old_timestamps.get(),
            out_of_order: self.out_of_order.get(),
            duplicates: self.duplicates.get(),
            no_room: self.no_room.get(),
            challenge_acks: self.challenge_acks.get(),
            challenge_acks_withheld: self.challenge_acks_withheld.get(),
            bad_acks: self.bad_acks.get(),
            duplicate_sacks: self.duplicate_sacks.get(),
            congestion_marks: self.congestion_marks.get(),
            ecn_reductions: self.ecn_reductions.get(),
            path_mss_lowered: self.path_mss_lowered.get(),
            icmp_ignored: self.icmp_ignored.get(),
            soft_errors: self.soft_errors.get(),
            srtt_us,
            rtt_min_us,
        }
    }
}

fn micros(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    })
}
