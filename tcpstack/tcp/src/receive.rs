//! The receive sequence space: what may come, what came, and what is owed in acknowledgement.

use sluice_packet::limits::DEFAULT_MSS_IPV4_BYTES;
use sluice_packet::{SackBlocks, SeqNum};

use crate::limits;
use crate::reassembly::{Inserted, Reassembly};
use crate::sequence::{ahead, length, size};

/// What is owed to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing.
    Nothing,
    /// An acknowledgement that may wait for the delayed-ACK timer.
    Later,
    /// An acknowledgement with the next segment, at once.
    Now,
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct ReceiveSpace {
    reassembly: Reassembly,
    /// The furthest edge ever offered: bytes before it are taken even when a smaller window follows.
    right_edge: SeqNum,
    last_ack_sent: SeqNum,
    /// Window offered now; grows to `window_max` while the application keeps up.
    window_limit: u32,
    window_max: u32,
    /// Bytes received in order and not acknowledged.
    unacknowledged: u32,
    /// Largest segment the peer sent: what counts as full-sized.
    full_segment: u32,
    /// Bytes the application took since the window last grew.
    consumed: u32,
    fin: Option<SeqNum>,
    /// A range received again, reported once (RFC 2883).
    duplicate: Option<(SeqNum, SeqNum)>,
    scale: u8,
    /// Whether the window may grow now.
    may_grow: bool,
    fin_taken: bool,
    owed: Owed,
    /// Data goes both ways in turn: acknowledgements ride on replies.
    interactive: bool,
    /// Segments for which acknowledgements still go out one by one: the path has lost some, or some acknowledgements.
    closely: u16,
}

impl ReceiveSpace {
    pub(crate) fn new(next: SeqNum, scale: u8, buffer_bytes_max: u32) -> Self {
        let scale = scale.min(limits::WINDOW_SHIFT_MAX);
        // Below two steps of the scale nothing could be offered at all.
        let window_max = buffer_bytes_max.max(2 << scale).min(65_535 << scale);
        let window_limit = window_max.min(limits::RECEIVE_WINDOW_START_BYTES);
        Self {
            reassembly: Reassembly::new(next),
            scale,
            window_limit,
            window_max,
            may_grow: true,
            right_edge: next + window_limit,
            last_ack_sent: next,
            fin: None,
            fin_taken: false,
            owed: Owed::Nothing,
            unacknowledged: 0,
            full_segment: u32::from(DEFAULT_MSS_IPV4_BYTES),
            consumed: 0,
            duplicate: None,
            interactive: false,
            closely: 0,
        }
    }

    /// RCV.NXT.
    pub(crate) fn next(&self) -> SeqNum {
        self.reassembly.next()
    }

    pub(crate) fn last_ack_sent(&self) -> SeqNum {
        self.last_ack_sent
    }

    pub(crate) fn owed(&self) -> Owed {
        self.owed
    }

    pub(crate) fn fin_taken(&self) -> bool {
        self.fin_taken
    }

    pub(crate) fn has_gap(&self) -> bool {
        !self.reassembly.runs().is_empty()
    }

    /// Whether a segment of `len` sequence numbers at `seq` lies in the window.
    pub(crate) fn acceptable(&self, seq: SeqNum, len: u32) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to accept valid
        //# ACKs, URGs, and RSTs.
        let next = self.next();
        if seq == next {
            return true;
        }
        if len == 0 {
            // The edge itself counts: a peer that filled the window acknowledges from there.
            return seq.gt(next) && seq.le(self.right_edge);
        }
        seq.lt(self.right_edge) && (seq + len).gt(next)
    }

    /// Whether a segment that only acknowledges, at `seq`, may be heard.
    ///
    /// It brings nothing that needs room, and its sender may stand beyond our window: where a larger one was offered by the
    /// end whose place we took, both ends would otherwise refuse each other's acknowledgements for ever.
    pub(crate) fn may_acknowledge(&self, seq: SeqNum) -> bool {
        seq.within(self.next(), limits::WINDOW_BYTES_MAX)
    }

    /// Whether everything before RCV.NXT and nothing behind it has come, and `len` bytes more lie in the window.
    pub(crate) fn continues_with(&self, seq: SeqNum, len: u32) -> bool {
        seq == self.next()
            && self.fin.is_none()
            && !self.has_gap()
            && (seq + len).le(self.right_edge)
    }

    /// Takes the text and the FIN of an acceptable segment. Says what became of the text.
    pub(crate) fn take(&mut self, seq: SeqNum, payload: &[u8], fin: bool) -> Inserted {
        let count = length(payload.len());
        let end = seq + count;
        let edge = self
            .fin
            .map_or(self.right_edge, |fin| fin.min(self.right_edge));
        let before = self.next();
        let inserted = self.reassembly.insert(seq, payload, edge);
        let regular = matches!(inserted, Inserted::InOrder { gap_filled, .. } if !gap_filled);
        if regular && !self.has_gap() {
            self.closely = self.closely.saturating_sub(1);
        } else if !payload.is_empty() {
            self.closely = limits::ACKNOWLEDGED_CLOSELY_SEGMENTS;
        }
        match inserted {
            Inserted::InOrder { count, gap_filled } => {
                self.full_segment = self.full_segment.max(length(payload.len()));
                self.unacknowledged = self.unacknowledged.saturating_add(length(count));
                //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
                //# the receiver SHOULD send an immediate ACK when it receives a data segment that fills in all or part of a gap
                //# in the sequence space.
                //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
                //# an ACK SHOULD be generated for at least every second full-sized segment
                let hurry = gap_filled
                    || self.has_gap()
                    || self.unacknowledged >= 2 * self.full_segment
                    || (!self.interactive && length(payload.len()) < self.full_segment);
                self.owe(if hurry { Owed::Now } else { Owed::Later });
            }
            //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
            //# Out-of-order data segments SHOULD be acknowledged immediately
            Inserted::Ahead | Inserted::NoRoom => self.owe(Owed::Now),
            Inserted::Nothing if payload.is_empty() => {}
            Inserted::Nothing => {
                self.duplicate = Some((seq, if seq.lt(before) { end.min(before) } else { end }));
                self.owe(Owed::Now);
            }
        }
        if fin {
            self.note_fin(end);
        }
        inserted
    }

    /// Bytes the application has not taken.
    pub(crate) fn readable_mut(&mut self) -> &mut [u8] {
        self.reassembly.readable_mut()
    }

    pub(crate) fn readable_len(&self) -> usize {
        self.reassembly.readable_len()
    }

    /// The application took `count` bytes. The peer is told when that opens the window enough to matter.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.readable_len());
        self.reassembly.consume(count);
        self.consumed = self.consumed.saturating_add(length(count));
        if self.consumed >= self.window_limit
            && self.window_limit < self.window_max
            && self.may_grow
        {
            self.consumed = 0;
            if self.readable_len() <= size(self.window_limit / 2) {
                self.window_limit = self.window_limit.saturating_mul(2).min(self.window_max);
            }
        }
        if !self.fin_taken && self.opens_by() >= self.worthwhile() {
            let offered = ahead(self.next(), self.right_edge);
            if offered < self.window_limit / 2 {
                self.owe(Owed::Now);
            }
        }
    }

    /// Offers at least `bytes` from the next acknowledgement on, as far as the buffer allows.
    pub(crate) fn widen(&mut self, bytes: u32) {
        self.window_limit = self.window_limit.max(bytes.min(self.window_max));
    }

    /// Whether the window may grow from here on.
    pub(crate) fn let_grow(&mut self, may_grow: bool) {
        self.may_grow = may_grow;
    }

    /// The window field of a segment sent now; moves the offered edge.
    pub(crate) fn offer(&mut self) -> u16 {
        let next = self.next();
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.2
        //# keep RCV.NXT+RCV.WND fixed until the reduction satisfies: RCV.BUFF - RCV.USER - RCV.WND >=
        //# min( Fr * RCV.BUFF, Eff.snd.MSS )
        let edge = if self.opens_by() >= self.worthwhile() {
            next + self.free()
        } else {
            self.right_edge
        };
        // Rounding down takes back less than one step of the scale; what was in flight for it is still accepted.
        let field = u16::try_from(ahead(next, edge) >> self.scale).unwrap_or(u16::MAX);
        let offered = next + (u32::from(field) << self.scale);
        self.right_edge = self.right_edge.max(offered);
        field
    }

    /// The window field of our SYN, which is never scaled.
    pub(crate) fn offer_unscaled(&mut self) -> u16 {
        u16::try_from(self.free()).unwrap_or(u16::MAX)
    }

    /// An acknowledgement of everything in order went out.
    pub(crate) fn acknowledged(&mut self) {
        self.last_ack_sent = self.next();
        self.owed = Owed::Nothing;
        self.unacknowledged = 0;
        self.duplicate = None;
    }

    pub(crate) fn owe(&mut self, owed: Owed) {
        if self.owed != Owed::Now && owed != Owed::Nothing {
            self.owed = owed;
        }
    }

    /// Whether replies carry acknowledgements.
    pub(crate) fn set_interactive(&mut self, interactive: bool) {
        self.interactive = interactive;
    }

    /// Remembers that `start..end` came again.
    pub(crate) fn note_duplicate(&mut self, start: SeqNum, end: SeqNum) {
        self.duplicate = Some((start, end));
        // Of what is further behind than any window, anybody can send a copy: it tells nothing of the path.
        if self.next().distance(start).unsigned_abs() <= self.window_max {
            self.closely = limits::ACKNOWLEDGED_CLOSELY_SEGMENTS;
        }
    }

    /// Whether an acknowledgement is owed that the next segment's is no substitute for.
    pub(crate) fn owes_before_next(&self) -> bool {
        // On a good path one stands for all that come together. Where segments get lost, so do acknowledgements: each tells of
        // a few gaps only, the last may be the one that is lost, and a peer without SACK counts them.
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
        //# Out-of-order data segments SHOULD be acknowledged immediately
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //# the data receiver SHOULD include as many distinct SACK blocks as possible in the SACK option
        self.closely > 0 && self.owed == Owed::Now
    }

    /// The blocks of a SACK option sent now.
    pub(crate) fn sack_blocks(&self) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        let mut room = limits::SACK_BLOCKS_MAX;
        if let Some((start, end)) = self.duplicate {
            //= https://www.rfc-editor.org/rfc/rfc2883#section-4
            //# (1) A D-SACK block is only used to report a duplicate contiguous sequence of data received by the receiver in
            //# the most recent packet.
            blocks.push(start, end);
            room -= 1;
        }
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //# The first SACK block (i.e., the one immediately following the kind and length fields in the option) MUST specify
        //# the contiguous block of data containing the segment which triggered this ACK
        for run in self
            .reassembly
            .recent_runs::<{ limits::SACK_BLOCKS_MAX }>()
            .take(room)
        {
            blocks.push(run.start, run.end);
        }
        blocks
    }

    pub(crate) fn release(&mut self) {
        self.reassembly.release();
    }

    pub(crate) fn allocated(&self) -> usize {
        self.reassembly.allocated()
    }

    /// Moves RCV.NXT over the FIN once everything before it is in order.
    pub(crate) fn pass_fin(&mut self) -> bool {
        if self.fin_taken || self.fin != Some(self.next()) {
            return false;
        }
        self.reassembly.step_over_fin();
        self.right_edge = self.right_edge.max(self.next());
        self.fin_taken = true;
        self.owe(Owed::Now);
        true
    }

    fn note_fin(&mut self, at: SeqNum) {
        let contradicted = self
            .reassembly
            .runs()
            .last()
            .is_some_and(|run| run.end.gt(at));
        if self.fin.is_none() && !contradicted && at.ge(self.next()) && at.le(self.right_edge) {
            self.fin = Some(at);
        }
        self.owe(Owed::Now);
    }

    fn free(&self) -> u32 {
        self.window_limit
            .saturating_sub(length(self.readable_len()))
    }

    /// How far the edge would move if it were offered now.
    fn opens_by(&self) -> u32 {
        ahead(self.right_edge, self.next() + self.free())
    }

    /// Smallest move of the edge that the peer is told of.
    fn worthwhile(&self) -> u32 {
        (self.window_limit / 2)
            .min(self.full_segment)
            .max(1 << self.scale)
    }
}
