//! What an arriving segment does to the control block (RFC 9293 section 3.10.7.4).

use core::time::Duration;

use sluice_packet::{Ecn, Instant, TcpSegment};

use super::repetition::duplicate_block;
use super::{ControlBlock, Screened};
use crate::ecn::Told;
use crate::flight::{Arrival, Delivered};
use crate::limits;
use crate::reassembly::Inserted;
use crate::receive::Owed;
use crate::recovery::Phase;
use crate::timers::Timer;
use crate::undo::Undo;

impl ControlBlock {
    /// The first checks, in the order of RFC 9293: sequence number, RST, SYN; with PAWS before and RFC 5961 inside.
    pub(crate) fn screen(&mut self, now: Instant, segment: &TcpSegment<'_>) -> Screened {
        let length = segment.sequence_len();
        if !segment.flags.rst()
            && let (Some(clock), Some(timestamps)) = (&self.timestamps, segment.options.timestamps)
            && clock.is_old(timestamps, now)
        {
            //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
            //# Send an acknowledgment in reply as specified in Section 3.9 of [RFC0793], page 69, and drop the segment.
            self.stats.old_timestamps += 1;
            self.answer_unacceptable(now, segment);
            return Screened::Drop;
        }
        let acknowledges_only = length == 0 && !segment.flags.rst();
        let acceptable = self.receive.acceptable(segment.seq, length)
            || (acknowledges_only && self.receive.may_acknowledge(segment.seq));
        if !acceptable {
            self.stats.out_of_window += 1;
            if !segment.flags.rst() {
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
                //# If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the RST bit is
                //# set, if so drop the segment and return)
                self.answer_unacceptable(now, segment);
            }
            return Screened::Drop;
        }
        if segment.flags.rst() {
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //# If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
            //# then TCP MUST reset the connection.
            if segment.seq == self.receive.next() {
                return Screened::Reset;
            }
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //# If the RST bit is set and the sequence number does not exactly match the next expected sequence value, yet is
            //# within the current receive window (RCV.NXT < SEG.SEQ < RCV.NXT+RCV.WND), TCP MUST send an acknowledgment
            //# (challenge ACK):
            self.challenge(now);
            return Screened::Drop;
        }
        if segment.flags.syn() {
            //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
            //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to as
            //# challenge ACK) to the remote peer
            self.challenge(now);
            return Screened::Drop;
        }
        self.last_heard = now;
        self.keepalive_unanswered = 0;
        self.arm_keepalive();
        Screened::Accept
    }

    /// The ACK field. False when the segment ends here.
    pub(crate) fn take_acknowledgement(&mut self, now: Instant, segment: &TcpSegment<'_>) -> bool {
        if !segment.flags.ack() {
            return false;
        }
        //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
        //# The ACK value is considered acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) <= SEG.ACK <=
        //# SND.NXT). All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK
        //# sent back.
        if segment.ack.gt(self.send.max()) || segment.ack.lt(self.send.oldest_ack()) {
            self.stats.bad_acks += 1;
            self.challenge(now);
            return false;
        }
        if let (Some(clock), Some(timestamps)) = (&mut self.timestamps, segment.options.timestamps)
        {
            clock.take(timestamps, segment.seq, self.receive.last_ack_sent(), now);
        }
        if self.says_nothing_new(segment) {
            self.send.update_window(segment);
            self.touch_buffers(now);
            return true;
        }
        let una = self.send.una();
        let in_flight = self.flight.outstanding();
        let outstanding = in_flight > 0;
        let marked = outstanding && self.ecn.is_echoed_by(segment);
        if marked {
            // The reduction for a loss stands for that of the mark too, even if the loss turns out to be none.
            //= https://www.rfc-editor.org/rfc/rfc4015#section-3.2
            //# If the acceptable ACK has the ECN-Echo flag [RFC3168] set, then proceed to step (DONE);
            self.before_loss.forget();
        }
        let mut delivered = Delivered::default();
        let arrival = Arrival {
            now,
            rtt_min: self.rto.smallest().unwrap_or_default(),
            echo: self
                .timestamps
                .as_ref()
                .zip(segment.options.timestamps)
                .map(|(clock, timestamps)| clock.echoed(timestamps)),
        };
        if self.sack {
            self.take_sack(&arrival, segment, &mut delivered);
        }
        let advanced = segment.ack.gt(una);
        if advanced {
            //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
            //# If the acceptable ACK carries a DSACK option [RFC2883], then proceed to step (DONE),
            let originals =
                duplicate_block(segment).is_none() && self.note_originals(segment.ack, &arrival);
            self.flight
                .acknowledge(segment.ack, &arrival, &mut delivered);
            self.send.advance(segment.ack);
            self.sample_round_trip(now, segment, &delivered);
            if originals {
                if matches!(self.recovery.phase, Phase::Fast { .. }) {
                    // Later segments told of the loss, and an original came after them. RFC 8985 takes this of segments that
                    // were never sent again, where nothing tells which copy came.
                    self.recovery.reordering.note_seen();
                }
                let window = self.reordering_window();
                // What was sent with them is on its way as it is.
                self.flight.forgive(now, window);
            }
            delivered.needless |= originals;
        } else if let Some(rtt) = delivered.sacked_rtt {
            self.rto.sample(rtt, now);
            self.recovery.timed_since_probe = true;
        }
        if delivered.spared {
            let untouched = |undo: &mut Undo| undo.is_untouched();
            delivered.needless |= self.before_loss.recall().is_some_and(untouched);
        }
        if delivered.needless {
            self.take_back(delivered.acknowledged);
        }
        self.judge_size_probe(&delivered);
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
        //# If the sender receives an ECN-Echo (ECE) ACK packet (that is, an ACK packet with the ECN-Echo flag set in the TCP
        //# header), then the sender knows that congestion was encountered in the network on the path from the sender to the
        //# receiver.
        if marked && self.reduce(in_flight) {
            self.stats.ecn_reductions += 1;
        }
        let window_changed = self.send.update_window(segment);
        if advanced || self.send.window() == 0 {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
            //# As long as the receiving TCP peer continues to send acknowledgments in response to the probe segments, the
            //# sending TCP peer MUST allow the connection to stay open.
            // A peer that keeps answering at a closed window is alive: it is probed for as long as it does.
            self.stalled_since = now;
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-2
        //# An acknowledgment is considered a "duplicate" in the following algorithms when (a) the receiver of the ACK has
        //# outstanding data, (b) the incoming acknowledgment carries no data, (c) the SYN and FIN bits are both off, (d) the
        //# acknowledgment number is equal to the greatest acknowledgment received on the given connection (TCP.UNA from
        //# [RFC793]) and (e) the advertised window in the incoming acknowledgment equals the advertised window in the last
        //# incoming acknowledgment.
        let duplicate = outstanding
            && segment.sequence_len() == 0
            && segment.ack == una
            && !window_changed
            && !advanced;
        let bare = segment.sequence_len() == 0
            && segment.ack == una
            && !window_changed
            && segment.options.sack.is_empty();
        self.judge_tail_probe(bare && !advanced);
        self.judge_losses(now, &delivered, advanced, duplicate);
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
        //# The sending TCP SHOULD NOT increase the congestion window in response to the receipt of an ECN-Echo ACK packet.
        if advanced && !marked {
            self.grow_window(now, delivered.acknowledged);
        }
        self.after_acknowledgement(now, advanced, window_changed);
        self.settle();
        true
    }

    /// Whether all that is left to do with an acceptable acknowledgement is to note its number: everything that was sent is
    /// settled, so that it acknowledges nothing, and it offers what the one before it did. That is so of most segments of an
    /// end that only sends.
    fn says_nothing_new(&self, segment: &TcpSegment<'_>) -> bool {
        self.send.is_settled()
            && segment.options.sack.is_empty()
            && self.send.offers(segment.window)
    }

    /// Notes whether nothing is in flight, and nothing left of how what was sent has fared, so that an acknowledgement that
    /// says the same again would change nothing.
    fn settle(&mut self) {
        let settled = self.send.una() == self.send.max()
            && self.send.window() > 0
            && self.before_loss.is_forgotten()
            && self.recovery.is_at_rest();
        self.send.settle(settled);
        self.keeps_memory = self.sending_memory() > 0;
    }

    /// Text and FIN. True when the peer's FIN has come in order.
    pub(crate) fn take_text(&mut self, now: Instant, segment: &TcpSegment<'_>) -> bool {
        if segment.payload.is_empty() && !segment.flags.fin() {
            return false;
        }
        self.take_payload(segment);
        let finished = self.receive.pass_fin();
        self.after_text(now);
        finished
    }

    /// Text and FIN, as far as the receive sequence space is concerned.
    pub(super) fn take_payload(&mut self, segment: &TcpSegment<'_>) {
        if !segment.payload.is_empty() {
            self.take_mark(segment);
        }
        match self
            .receive
            .take(segment.seq, segment.payload, segment.flags.fin())
        {
            Inserted::InOrder { count, .. } => self.stats.bytes_received += count as u64,
            Inserted::Ahead => self.stats.out_of_order += 1,
            Inserted::NoRoom => self.stats.no_room += 1,
            Inserted::Nothing if segment.payload.is_empty() => {}
            Inserted::Nothing => self.stats.duplicates += 1,
        }
    }

    /// Sees to the acknowledgement of text that was taken.
    pub(super) fn after_text(&mut self, now: Instant) {
        if self.receive.owed() == Owed::Later && !self.timers.is_set(Timer::DelayedAck) {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
            //# the delay MUST be less than 0.5 seconds
            self.timers
                .set(Timer::DelayedAck, now + self.settings.ack_delay());
        }
        self.touch_buffers(now);
    }

    fn take_mark(&mut self, segment: &TcpSegment<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
        //# the TCP data receiver SHOULD ignore the ECN field on arriving data packets that are outside of the receiver's
        //# current window.
        // Those were dropped by the first checks.
        if self.ecn.is_agreed() && segment.ecn == Ecn::Ce {
            self.stats.congestion_marks += 1;
        }
        if self.ecn.on_text(segment) == Told::News {
            self.receive.owe(Owed::Now);
        }
    }

    /// Answers a segment outside the window, or too old.
    fn answer_unacceptable(&mut self, now: Instant, segment: &TcpSegment<'_>) {
        if segment.payload.is_empty() && !segment.flags.fin() {
            // Two ends that disagree would otherwise acknowledge each other for ever.
            self.challenge(now);
            return;
        }
        let end = segment.seq + u32::try_from(segment.payload.len()).unwrap_or(u32::MAX);
        if end.le(self.receive.next()) && !segment.payload.is_empty() {
            self.stats.duplicates += 1;
            self.receive.note_duplicate(segment.seq, end);
        }
        self.receive.owe(Owed::Now);
    }

    fn take_sack(
        &mut self,
        arrival: &Arrival,
        segment: &TcpSegment<'_>,
        delivered: &mut Delivered,
    ) {
        let duplicate = duplicate_block(segment);
        if let Some(block) = duplicate.filter(|block| self.may_have_arrived(block)) {
            self.take_duplicate(block, delivered);
        }
        let una = self.send.una().max(segment.ack);
        for block in segment.options.sack.iter() {
            // An acknowledgement that was overtaken by a later one says nothing new of what that one acknowledged.
            if self.may_have_arrived(&block) && block.left.ge(una) {
                self.flight
                    .sack(block.left, block.right, arrival, delivered);
            }
        }
    }

    /// Karn's algorithm: what was sent twice is timed only by the timestamp it echoes.
    fn sample_round_trip(&mut self, now: Instant, segment: &TcpSegment<'_>, delivered: &Delivered) {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-3
        //# RTT samples MUST NOT be made using segments that were retransmitted (and thus for which it is ambiguous whether
        //# the reply was for the first instance of the packet or a later instance).
        let rtt = match delivered.resent_since {
            None => delivered.rtt,
            Some(within) => self
                .timestamps
                .as_ref()
                .zip(segment.options.timestamps)
                .and_then(|(clock, timestamps)| clock.elapsed_since(timestamps.echo, now, within)),
        };
        if let Some(rtt) = rtt {
            if delivered.resent_since.is_none() {
                self.rto.sample(rtt, now);
            } else {
                self.rto.sample_by_timestamp(rtt);
            }
            self.recovery.timed_since_probe = true;
        }
        if delivered.resent_since.is_none() || rtt.is_some() {
            self.rto.progress();
        }
    }

    /// Leaves, enters or continues loss recovery.
    fn judge_losses(
        &mut self,
        now: Instant,
        delivered: &Delivered,
        advanced: bool,
        duplicate: bool,
    ) {
        self.recovery.forget_reduction(self.send.una());
        if let Some(undo) = self.before_loss.recall() {
            undo.on_acknowledgement(self.send.una());
        }
        let recovering = self.recovery.in_loss();
        if self
            .recovery
            .point()
            .is_some_and(|point| self.send.una().ge(point))
        {
            self.recovery.phase = Phase::Open;
            self.recovery.duplicates = 0;
            self.recovery.forced = false;
            if let Some(undo) = self.before_loss.recall() {
                undo.on_recovery(self.send.next());
            }
        }
        if self.sack {
            if delivered.reordered {
                self.recovery.reordering.note_seen();
            }
            let recovered = recovering && self.recovery.phase == Phase::Open;
            self.recovery.reordering.on_acknowledgement(
                self.send.una(),
                self.send.next(),
                delivered.duplicate,
                recovered,
            );
            self.find_losses_by_time(now);
        } else if duplicate {
            self.recovery.duplicates += 1;
            if self.recovery.duplicates == limits::DUPLICATE_ACKS_MAX
                && self.recovery.phase == Phase::Open
            {
                self.flight.mark_first_lost();
            }
        } else if advanced {
            let segments = delivered.acknowledged / self.send.mss().max(1);
            self.recovery.duplicates = self.recovery.duplicates.saturating_sub(segments);
            //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
            //# If this ACK does *not* acknowledge all of the data up to and including recover, then this is a partial ACK. In
            //# this case, retransmit the first unacknowledged segment.
            if matches!(self.recovery.phase, Phase::Fast { .. })
                && self.flight.front().is_some_and(|sent| !sent.resent)
            {
                self.flight.mark_first_lost();
                self.recovery.forced = true;
            }
            if self.recovery.phase == Phase::Open {
                self.recovery.duplicates = 0;
            }
        }
        self.enter_recovery();
    }

    /// RACK: marks what a later segment has overtaken for too long, and watches over the rest.
    pub(super) fn find_losses_by_time(&mut self, now: Instant) {
        let window = self.reordering_window();
        let (marked, until) = self.flight.mark_lost_by_time(now, window);
        if marked > 0 && matches!(self.recovery.phase, Phase::Narrowed { .. }) {
            // Not all that went missing was too large.
            self.recovery.phase = Phase::Open;
        }
        match until {
            Some(until) => self.timers.set(Timer::Reorder, until),
            None => self.timers.stop(Timer::Reorder),
        }
    }

    pub(super) fn reordering_window(&self) -> Duration {
        self.recovery.reordering.window(
            self.recovery.in_loss(),
            self.flight.sacked_segments(),
            &self.rto,
        )
    }

    pub(super) fn enter_recovery(&mut self) {
        if self.recovery.phase != Phase::Open || !self.flight.has_lost() {
            return;
        }
        if self.only_size_probe_lost() {
            self.recovery.phase = Phase::Narrowed {
                point: self.send.next(),
            };
            self.recovery.forced = true;
            self.timers.stop(Timer::TailProbe);
        } else {
            self.recovery.phase = Phase::Fast {
                point: self.send.next(),
            };
            self.recovery.forced = true;
            let before = self.congestion;
            if self.reduce(self.flight_size()) {
                self.before_loss.remember(before);
            }
            self.stats.fast_recoveries += 1;
            self.timers.stop(Timer::TailProbe);
        }
    }

    /// What an acknowledgement says of a tail-loss probe, unless it reported the probe as a duplicate. `bare` if it said
    /// nothing new.
    fn judge_tail_probe(&mut self, bare: bool) {
        let Some(probe) = self.recovery.tail_probe else {
            return;
        };
        if self.send.una().lt(probe.end) {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2
        //# If the TLP sender does not receive such an indication, then it MUST assume that the original data segment,
        //# the TLP retransmission, or a corresponding ACK was lost for congestion control purposes.
        // One that ends with the probe may be of the original, and the report of the duplicate right behind it.
        let beyond = self.send.una().gt(probe.end);
        if probe.repeated && beyond && self.recovery.phase == Phase::Open {
            self.reduce(self.flight.outstanding().max(self.congestion.window()));
        }
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2
        //# Else If ACK is a DupAck without any SACK option:
        if !probe.repeated || beyond || bare {
            self.recovery.tail_probe = None;
        }
    }

    /// `count` sequence numbers were acknowledged and nothing tells of congestion.
    fn grow_window(&mut self, now: Instant, count: u32) {
        if matches!(self.recovery.phase, Phase::Fast { .. }) {
            return;
        }
        if self.window_limited {
            let rtt = self.rto.smoothed().unwrap_or(Duration::ZERO);
            let repairing = matches!(self.recovery.phase, Phase::Loss { .. });
            self.congestion.on_acknowledged(count, now, rtt, repairing);
        } else {
            self.congestion.on_unlimited(now);
        }
    }

    fn after_acknowledgement(&mut self, now: Instant, advanced: bool, window_changed: bool) {
        if window_changed && self.send.window() > 0 {
            self.probe_due = false;
            self.timers.stop(Timer::Persist);
            if self.flight.is_empty() {
                self.rto.progress();
            }
        }
        if self.flight.is_empty() {
            //= https://www.rfc-editor.org/rfc/rfc6298#section-5
            //# (5.2) When all outstanding data has been acknowledged, turn off the retransmission timer.
            self.timers.stop(Timer::Retransmit);
            self.timers.stop(Timer::TailProbe);
            self.timers.stop(Timer::Reorder);
        } else if advanced {
            //= https://www.rfc-editor.org/rfc/rfc6298#section-5
            //# (5.3) When an ACK is received that acknowledges new data, restart the retransmission timer so that it will
            //# expire after RTO seconds
            self.timers.set(Timer::Retransmit, now + self.rto.timeout());
            self.arm_tail_probe(now);
        }
        self.touch_buffers(now);
    }
}
