//! What was sent and not yet acknowledged: the retransmission queue and the SACK scoreboard in one.
//!
//! One record per segment sent. Its size in the network (`pipe`, RFC 6675 section 4) is kept up to date as records change,
//! never recounted.

use core::time::Duration;
use std::collections::VecDeque;

use sluice_packet::{Instant, SeqNum};

use crate::limits;
use crate::pool;
use crate::sequence::ahead;
use crate::timestamps::Echo;

/// One segment in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) start: SeqNum,
    /// Payload bytes.
    pub(crate) len: u32,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    /// The latest transmission.
    pub(crate) sent_at: Instant,
    pub(crate) first_sent_at: Instant,
    /// Sent more than once.
    pub(crate) resent: bool,
    /// The peer holds it, ahead of a gap.
    pub(crate) sacked: bool,
    /// Considered lost and not sent again since.
    pub(crate) lost: bool,
    /// If it is `sacked`, so are at least this many records from it on: what walks over the records leaps over them.
    pub(crate) held_run: u16,
}

impl Sent {
    pub(crate) fn sequence_len(&self) -> u32 {
        self.len + u32::from(self.syn) + u32::from(self.fin)
    }

    pub(crate) fn end(&self) -> SeqNum {
        self.start + self.sequence_len()
    }

    fn in_network(&self) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc6675#section-4
        //# (a) If IsLost (S1) returns false: Pipe is incremented by 1 octet.
        //# (b) If S1 <= HighRxt: Pipe is incremented by 1 octet.
        // One that was lost and sent again counts once: the copy that was lost is not there.
        if self.sacked || self.lost {
            0
        } else {
            self.sequence_len()
        }
    }

    /// Sent later than `other`, by the order that RFC 8985 section 6.2 compares with.
    fn sent_after(&self, sent_at: Instant, end: SeqNum) -> bool {
        self.sent_at > sent_at || (self.sent_at == sent_at && self.end().gt(end))
    }
}

/// The acknowledgement that the flight is told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Instant,
    /// RACK.min_RTT.
    pub(crate) rtt_min: Duration,
    /// The timestamp of ours that it echoes.
    pub(crate) echo: Option<Echo>,
}

impl Arrival {
    /// The timestamp, if it can be that of a copy of `sent`.
    fn echo_of(&self, sent: &Sent) -> Option<Echo> {
        // A peer that is late with an acknowledgement echoes the first segment that it acknowledges with it.
        let since = self.now.saturating_since(sent.first_sent_at)
            + Duration::from_millis(limits::ACK_DELAY_MS_MAX);
        self.echo.filter(|echo| echo.is_within(self.now, since))
    }

    /// By the timestamp, what is acknowledged in order of `sent`, which was sent again, is the original.
    fn is_of_original(&self, sent: &Sent) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
        //# If the value of the Timestamp Echo Reply field of the acceptable ACK's Timestamps option is smaller than the value
        //# of RetransmitTS, then proceed to step (5),
        self.echo_of(sent)
            .is_some_and(|echo| echo.is_before(sent.sent_at) && !echo.is_after(sent.first_sent_at))
    }
}

/// What an acknowledgement delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    /// Sequence numbers acknowledged in order for the first time.
    pub(crate) acknowledged: u32,
    /// Sequence numbers selectively acknowledged for the first time.
    pub(crate) sacked: u32,
    /// Round trip of a segment sent once.
    pub(crate) rtt: Option<Duration>,
    /// The same of one that is held ahead of a gap.
    pub(crate) sacked_rtt: Option<Duration>,
    /// The segment among them that was sent last.
    latest: Option<(Instant, SeqNum)>,
    /// A segment is reported to have arrived twice.
    pub(crate) duplicate: bool,
    /// With that, none is left that was sent again for a reason.
    pub(crate) needless: bool,
    /// A segment came after all that counted as lost and was not sent again since.
    pub(crate) spared: bool,
    /// A segment sent more than once was acknowledged; how long ago the first copy was sent.
    pub(crate) resent_since: Option<Duration>,
    /// An original arrived after one sent later: the path reorders.
    pub(crate) reordered: bool,
    /// Payload of the largest segment that arrived as it was last sent.
    pub(crate) largest: u32,
}

/// The most recently sent segment that was delivered (RFC 8985 section 5.2).
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    sent_at: Instant,
    rtt: Duration,
    end: SeqNum,
    known: bool,
}

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Flight {
    segments: VecDeque<Sent>,
    pipe: u32,
    sacked: u32,
    sacked_segments: u32,
    lost_segments: u32,
    newest: Newest,
    /// No lost segment stands before this index.
    resend_from: usize,
    /// Highest sequence number delivered, RACK.fack.
    forward: Option<SeqNum>,
}

impl Flight {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Sequence numbers considered to be in the network.
    pub(crate) fn pipe(&self) -> u32 {
        self.pipe
    }

    /// Sequence numbers sent and not acknowledged in order.
    pub(crate) fn outstanding(&self) -> u32 {
        match (self.segments.front(), self.segments.back()) {
            (Some(first), Some(last)) => ahead(first.start, last.end()),
            _ => 0,
        }
    }

    pub(crate) fn sacked_segments(&self) -> u32 {
        self.sacked_segments
    }

    pub(crate) fn lost_segments(&self) -> u32 {
        self.lost_segments
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.lost_segments > 0
    }

    pub(crate) fn front(&self) -> Option<&Sent> {
        self.segments.front()
    }

    pub(crate) fn back(&self) -> Option<&Sent> {
        self.segments.back()
    }

    pub(crate) fn allocated(&self) -> usize {
        self.segments.capacity() * size_of::<Sent>()
    }

    /// Gives the memory back if nothing is in flight.
    pub(crate) fn release(&mut self) {
        if self.segments.is_empty() && !pool::give_flight(&mut self.segments) {
            self.segments = VecDeque::new();
        }
    }

    /// Records a segment sent for the first time.
    pub(crate) fn push(&mut self, sent: Sent) {
        if self.segments.capacity() == 0 {
            self.segments = pool::take_flight();
        }
        self.pipe += sent.in_network();
        self.segments.push_back(sent);
    }

    /// Where the segments begin that were sent again and whose originals, by the timestamp echoed, are what is acknowledged
    /// in order with `ack`.
    pub(crate) fn originals(&self, ack: SeqNum, arrival: &Arrival) -> impl Iterator<Item = SeqNum> {
        self.segments
            .iter()
            .take_while(move |sent| sent.end().le(ack))
            .filter(|sent| sent.resent && !sent.sacked && arrival.is_of_original(sent))
            .map(|sent| sent.start)
    }

    /// Removes everything before `ack`.
    pub(crate) fn acknowledge(
        &mut self,
        ack: SeqNum,
        arrival: &Arrival,
        delivered: &mut Delivered,
    ) {
        let now = arrival.now;
        while let Some(sent) = self.segments.front().copied() {
            if sent.start.ge(ack) {
                break;
            }
            if sent.end().gt(ack) {
                // Part of a segment: only its head is done.
                let count = ahead(sent.start, ack);
                delivered.acknowledged += count;
                self.change(0, |sent| {
                    let payload = count - u32::from(sent.syn);
                    sent.syn = false;
                    sent.start = ack;
                    sent.len = sent.len.saturating_sub(payload);
                });
                break;
            }
            delivered.acknowledged += sent.sequence_len();
            delivered.spared |= sent.lost;
            if sent.resent {
                let since = now.saturating_since(sent.first_sent_at);
                delivered.resent_since = Some(
                    delivered
                        .resent_since
                        .map_or(since, |before| before.max(since)),
                );
            } else if !sent.sacked {
                delivered.rtt = Some(now.saturating_since(sent.sent_at));
            }
            if !sent.sacked {
                // An acknowledgement of what came in order echoes the copy that came. One of what waits ahead of a gap
                // echoes the last that came in order (RFC 7323 section 4.3), and tells nothing.
                let earlier_copy = sent.resent
                    && arrival
                        .echo_of(&sent)
                        .is_some_and(|echo| echo.is_before(sent.sent_at));
                self.note_delivered(&sent, earlier_copy, arrival, delivered);
            }
            self.change(0, |sent| {
                sent.sacked = false;
                sent.lost = false;
            });
            self.pipe = self.pipe.saturating_sub(sent.sequence_len());
            self.segments.pop_front();
            self.resend_from = self.resend_from.saturating_sub(1);
        }
        if self.segments.is_empty() {
            pool::give_flight(&mut self.segments);
        }
    }

    /// Marks the segments that lie whole inside `start..end` as held by the peer.
    pub(crate) fn sack(
        &mut self,
        start: SeqNum,
        end: SeqNum,
        arrival: &Arrival,
        delivered: &mut Delivered,
    ) {
        let first = self.segments.partition_point(|sent| sent.start.lt(start));
        let mut index = first;
        while let Some(sent) = self.segments.get(index).copied() {
            if sent.end().gt(end) {
                break;
            }
            if sent.sacked {
                index = self.leap(index);
                continue;
            }
            delivered.sacked += sent.sequence_len();
            delivered.spared |= sent.lost;
            if !sent.resent {
                delivered.sacked_rtt = Some(arrival.now.saturating_since(sent.sent_at));
            }
            self.note_delivered(&sent, false, arrival, delivered);
            self.change(index, |sent| {
                sent.sacked = true;
                sent.lost = false;
                sent.held_run = 1;
            });
            index += 1;
        }
        self.leap(first);
    }

    /// Marks what RFC 8985 considers lost: sent before a segment that was delivered, and not heard of for a round trip and
    /// `window`. Returns how many, and after what time a segment that is still given a chance counts as lost.
    pub(crate) fn mark_lost_by_time(
        &mut self,
        now: Instant,
        window: Duration,
    ) -> (u32, Option<Instant>) {
        let newest = self.newest;
        let mut marked = 0;
        let mut until: Option<Instant> = None;
        if !newest.known {
            return (0, None);
        }
        // What is in the network is all that can get lost: once that was seen, the rest is held or lost already.
        let mut unseen = self.pipe;
        let mut index = 0;
        while let Some(sent) = self.segments.get(index).copied() {
            if sent.sacked {
                index = self.leap(index);
                continue;
            }
            if unseen == 0 {
                break;
            }
            unseen = unseen.saturating_sub(sent.in_network());
            index += 1;
            if sent.sent_after(newest.sent_at, newest.end)
                || (sent.sent_at == newest.sent_at && sent.end() == newest.end)
            {
                // Later originals were sent later still.
                if sent.resent {
                    continue;
                }
                break;
            }
            if sent.lost {
                continue;
            }
            //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
            //# remaining = Segment.xmit_ts + RACK.rtt + RACK.reo_wnd - Now()
            let deadline = sent.sent_at + newest.rtt + window;
            if deadline <= now {
                self.mark_lost(index - 1);
                marked += 1;
            } else {
                until = Some(until.map_or(deadline, |before| before.max(deadline)));
            }
        }
        (marked, until)
    }

    /// Marks the first segment lost, for peers without selective acknowledgements.
    pub(crate) fn mark_first_lost(&mut self) {
        if self
            .segments
            .front()
            .is_some_and(|sent| !sent.lost && !sent.sacked)
        {
            self.mark_lost(0);
        }
    }

    /// Marks what is lost when the retransmission timer ran out: the first segment, and what was sent a round trip and
    /// `window` ago. Without `window` no later segment tells of losses, and everything is.
    pub(crate) fn mark_lost_by_timeout(&mut self, now: Instant, window: Option<Duration>) {
        //= https://www.rfc-editor.org/rfc/rfc2018#section-8
        //# the data receiver is permitted to discard data in its queue that has not been acknowledged to the data sender
        // A first segment that is "held" but was never acknowledged in order means the peer dropped what it held.
        let reneged = self.segments.front().is_some_and(|sent| sent.sacked);
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.3
        //# For each segment, Segment, not acknowledged yet:
        //# If SEG.SEQ == SND.UNA OR
        //# Segment.xmit_ts + RACK.rtt + RACK.reo_wnd - Now() <= 0:
        //# Segment.lost = TRUE
        let patience = window.map(|window| self.newest.rtt + window);
        for index in 0..self.segments.len() {
            self.change(index, |sent| {
                let overdue = patience.is_none_or(|patience| sent.sent_at + patience <= now);
                sent.sacked = sent.sacked && !reneged;
                sent.lost = !sent.sacked && (sent.lost || index == 0 || overdue);
            });
        }
        self.resend_from = 0;
    }

    /// Nothing counts as lost any more but what [`mark_lost_by_time`](Self::mark_lost_by_time) would mark.
    pub(crate) fn forgive(&mut self, now: Instant, window: Duration) {
        let newest = self.newest;
        for index in 0..self.segments.len() {
            self.change(index, |sent| {
                let overtaken = newest.known && !sent.sent_after(newest.sent_at, newest.end);
                sent.lost &= overtaken && sent.sent_at + newest.rtt + window <= now;
            });
        }
    }

    /// Marks what the peer does not hold and what carries more than `mss` bytes of payload as lost. False if there is none.
    pub(crate) fn mark_larger_lost(&mut self, mss: u32) -> bool {
        let mut found = false;
        for index in 0..self.segments.len() {
            let larger = self
                .segments
                .get(index)
                .is_some_and(|sent| sent.len > mss && !sent.sacked);
            if larger {
                self.mark_lost(index);
                found = true;
            }
        }
        found
    }

    /// Payload of the segment that `seq` lies in, unless the peer holds it.
    pub(crate) fn payload_at(&self, seq: SeqNum) -> Option<u32> {
        let index = self
            .segments
            .partition_point(|sent| sent.start.le(seq))
            .checked_sub(1)?;
        self.segments
            .get(index)
            .filter(|sent| !sent.sacked && seq.lt(sent.end()))
            .map(|sent| sent.len)
    }

    /// The first lost segment, with its index.
    pub(crate) fn next_lost(&mut self) -> Option<(usize, Sent)> {
        if self.lost_segments == 0 {
            return None;
        }
        let (offset, sent) = self
            .segments
            .range(self.resend_from.min(self.segments.len())..)
            .enumerate()
            .find(|(_, sent)| sent.lost)?;
        let index = self.resend_from + offset;
        self.resend_from = index;
        Some((index, *sent))
    }

    /// Records that the segment at `index` is sent again, cut to `mss` bytes of payload. Returns the part that is sent.
    pub(crate) fn resend(&mut self, index: usize, mss: u32, now: Instant) -> Option<Sent> {
        self.split(index, mss);
        self.change(index, |sent| {
            sent.lost = false;
            sent.resent = true;
            sent.sent_at = now;
        });
        self.resend_from = if self.resend_from == index {
            index + 1
        } else {
            self.resend_from
        };
        self.segments.get(index).copied()
    }

    pub(crate) fn last_index(&self) -> Option<usize> {
        self.segments.len().checked_sub(1)
    }

    /// Cuts the segment at `index` so that its first part carries at most `mss` bytes.
    fn split(&mut self, index: usize, mss: u32) {
        let Some(sent) = self.segments.get(index).copied() else {
            return;
        };
        if sent.len <= mss {
            return;
        }
        let tail = Sent {
            start: sent.start + u32::from(sent.syn) + mss,
            len: sent.len - mss,
            syn: false,
            ..sent
        };
        self.change(index, |sent| {
            sent.len = mss;
            sent.fin = false;
        });
        self.pipe += tail.in_network();
        self.sacked += if tail.sacked { tail.sequence_len() } else { 0 };
        self.sacked_segments += u32::from(tail.sacked);
        self.lost_segments += u32::from(tail.lost);
        self.segments.insert(index + 1, tail);
    }

    /// The index after the held records that begin at `index`. Remembers how far that was, so that each of them is walked
    /// over about once, however many acknowledgements repeat the same blocks.
    fn leap(&mut self, index: usize) -> usize {
        let mut end = index;
        while let Some(sent) = self.segments.get(end).filter(|sent| sent.sacked) {
            end += usize::from(sent.held_run.max(1));
        }
        if let Some(sent) = self.segments.get_mut(index).filter(|sent| sent.sacked) {
            sent.held_run = u16::try_from(end - index).unwrap_or(u16::MAX);
        }
        end
    }

    fn mark_lost(&mut self, index: usize) {
        self.change(index, |sent| sent.lost = true);
        self.resend_from = self.resend_from.min(index);
    }

    /// `earlier_copy`: the acknowledgement is known to be of an earlier one than the last.
    fn note_delivered(
        &mut self,
        sent: &Sent,
        earlier_copy: bool,
        arrival: &Arrival,
        delivered: &mut Delivered,
    ) {
        delivered.largest = delivered.largest.max(sent.len);
        let rtt = arrival.now.saturating_since(sent.sent_at);
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# 1.  The Timestamp Echo Reply field (TSecr) of the ACK's timestamp option [RFC7323], if available, indicates the
        //# ACK was not acknowledging the last retransmission of the segment.
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //# 2.  The segment was last retransmitted less than RACK.min_rtt ago.
        let ambiguous = sent.resent && (earlier_copy || rtt < arrival.rtt_min);
        if !ambiguous {
            //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
            //# Among all the segments newly ACKed or SACKed by this ACK that pass the checks above, update the RACK.rtt to be
            //# the RTT sample calculated using this ACK.
            if delivered
                .latest
                .is_none_or(|(at, end)| sent.sent_after(at, end))
            {
                delivered.latest = Some((sent.sent_at, sent.end()));
                self.newest.rtt = rtt;
            }
            if !self.newest.known || sent.sent_after(self.newest.sent_at, self.newest.end) {
                self.newest.sent_at = sent.sent_at;
                self.newest.end = sent.end();
                self.newest.known = true;
            }
        }
        match self.forward {
            Some(forward) if sent.end().lt(forward) => delivered.reordered |= !sent.resent,
            _ => self.forward = Some(sent.end()),
        }
    }

    /// Changes one record and what is counted over all of them.
    fn change(&mut self, index: usize, edit: impl FnOnce(&mut Sent)) {
        let Some(sent) = self.segments.get_mut(index) else {
            return;
        };
        let before = *sent;
        edit(sent);
        let after = *sent;
        let held = |sent: &Sent| if sent.sacked { sent.sequence_len() } else { 0 };
        self.pipe = self.pipe + after.in_network() - before.in_network();
        self.sacked = self.sacked + held(&after) - held(&before);
        self.sacked_segments =
            self.sacked_segments + u32::from(after.sacked) - u32::from(before.sacked);
        self.lost_segments = self.lost_segments + u32::from(after.lost) - u32::from(before.lost);
    }
}

#[cfg(test)]
mod tests;
