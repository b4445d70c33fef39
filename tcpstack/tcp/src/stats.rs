//! What a connection counted.

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
