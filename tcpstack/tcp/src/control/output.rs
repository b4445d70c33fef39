//! What the control block puts on the wire.

use core::time::Duration;

use sluice_packet::{Ecn, Instant, SackBlocks, SeqNum, TcpFlags, TcpOptions, TcpSegment};

use super::{ControlBlock, Reset};
use crate::flight::Sent;
use crate::limits;
use crate::outgoing::Outgoing;
use crate::receive::Owed;
use crate::recovery::{Phase, TailProbe};
use crate::timers::Timer;

impl ControlBlock {
    /// The next segment, in the order of urgency: reset, what was lost, new text, probes, acknowledgements.
    ///
    /// New text is gathered into segments of up to `bytes_max` bytes that are cut later.
    pub(crate) fn poll(&mut self, now: Instant, bytes_max: u32) -> Option<Outgoing<'_>> {
        if self.reset.is_some() {
            return self.poll_reset(now);
        }
        if let Some(sent) = self.choose(now) {
            let (sent, cut) = self.lengthen(sent, bytes_max, now);
            return Some(self.emit(sent, cut, now));
        }
        if core::mem::take(&mut self.probe_due)
            && let Some(probe) = self.window_probe(now)
        {
            return Some(self.emit(probe, 0, now));
        }
        self.update_persist(now);
        self.touch_buffers(now);
        if core::mem::take(&mut self.keepalive_due) {
            self.stats.keepalive_probes += 1;
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
            //# SEG.SEQ = SND.NXT-1
            let seq = self.send.next() - 1;
            return Some(self.bare(seq, now));
        }
        self.poll_acknowledgement(now)
    }

    /// False if nothing is due.
    pub(crate) fn may_transmit(&self) -> bool {
        let text = self.send.is_open() && (self.send.unsent() > 0 || self.send.fin_due());
        let lost = !self.send.is_settled() && self.flight.has_lost();
        let repeated = lost || self.tail_probe_due;
        let probes = self.probe_due || self.keepalive_due;
        let answers = self.reset.is_some() || self.receive.owed() == Owed::Now;
        self.send.syn_due() || text || repeated || probes || answers
    }

    /// A reset that is due, worn like every other segment.
    pub(crate) fn poll_reset(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        let Reset { seq, ack, flags } = self.reset.take()?;
        let options = TcpOptions {
            timestamps: self.timestamps.as_ref().map(|clock| clock.option(now)),
            ..TcpOptions::default()
        };
        let segment = TcpSegment {
            seq,
            ack,
            flags,
            options,
            ..TcpSegment::default()
        };
        self.stats.segments_sent += 1;
        Some(Outgoing {
            segment,
            rest: &[],
            cut: 0,
        })
    }

    /// An acknowledgement that is owed now.
    pub(crate) fn poll_acknowledgement(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        if self.receive.owed() != Owed::Now || !self.synchronised {
            return None;
        }
        let seq = self.send.next();
        Some(self.bare(seq, now))
    }

    /// Sends probes for tail losses while nothing else is known to be wrong (RFC 8985 section 7.2).
    pub(super) fn arm_tail_probe(&mut self, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
        //# 1.  First, there is no other previous loss probe still in flight.
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
        //# 2.  Second, the sender has obtained an RTT measurement since the last loss probe transmission or the start of the
        //# connection, whichever was later.
        let idle = self.recovery.phase == Phase::Open
            && self.recovery.tail_probe.is_none()
            && self.recovery.timed_since_probe;
        let wanted = self.sack && idle && self.send.is_open() && !self.flight.is_empty();
        if !wanted || self.flight.sacked_segments() > 0 {
            self.timers.stop(Timer::TailProbe);
            return;
        }
        let Some(smoothed) = self.rto.smoothed() else {
            return;
        };
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
        //# PTO = 2 * SRTT
        //# If FlightSize is one segment:
        //# PTO += TLP.max_ack_delay
        let single = self.flight.outstanding() <= self.send.mss();
        let delay = if single {
            Duration::from_millis(limits::PEER_ACK_DELAY_MS)
        } else {
            Duration::ZERO
        };
        let wait = smoothed * 2 + delay.max(Duration::from_millis(2));
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
        //# If Now() + PTO > TCP_RTO_expiration():
        //# PTO = TCP_RTO_expiration() - Now()
        let at = (now + wait).min(self.timers.at(Timer::Retransmit));
        self.timers.set(Timer::TailProbe, at);
    }

    /// Chooses the next segment that takes sequence space and records it as sent.
    fn choose(&mut self, now: Instant) -> Option<Sent> {
        if let Some(sent) = self.choose_lost(now) {
            return Some(sent);
        }
        if core::mem::take(&mut self.tail_probe_due)
            && let Some(sent) = self.choose_tail_probe(now)
        {
            return Some(sent);
        }
        self.choose_new(now, false)
    }

    fn choose_lost(&mut self, now: Instant) -> Option<Sent> {
        if self.send.is_settled() {
            return None;
        }
        let (index, sent) = self.flight.next_lost()?;
        let first = sent.start == self.send.una();
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
        //# a sending TCP peer MUST be robust against window shrinking, which may cause the "usable window" (see Section
        //# 3.8.6.2.1) to become negative
        if !first && sent.start.ge(self.send.una() + self.send.window()) {
            return None;
        }
        let limit = self.payload_limit();
        let fits = self.in_network() + sent.len.min(limit) <= self.congestion.window();
        if !fits && !self.recovery.forced && self.in_network() > 0 {
            self.window_limited = true;
            return None;
        }
        self.recovery.forced = false;
        self.stats.retransmits += 1;
        self.give_up_size_probe(&sent);
        if let Some(undo) = self.before_loss.recall() {
            undo.on_repetition(sent.start);
        }
        let resent = self.flight.resend(index, limit, now);
        self.start_retransmission_timer(now);
        resent
    }

    fn choose_tail_probe(&mut self, now: Instant) -> Option<Sent> {
        let fresh = self.choose_new(now, true);
        let repeated = fresh.is_none();
        let sent = match fresh {
            Some(sent) => sent,
            None => {
                //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
                //# If such an unsent segment is not available, then the sender SHOULD retransmit the highest-sequence segment
                //# sent so far and set TLP.is_retrans to true.
                let index = self.flight.last_index()?;
                let edge = self.send.una() + self.send.window();
                if self
                    .flight
                    .back()
                    .is_none_or(|sent| sent.sacked || sent.end().gt(edge))
                {
                    return None;
                }
                self.stats.retransmits += 1;
                let limit = self.payload_limit();
                self.flight.resend(index, limit, now)?
            }
        };
        self.stats.tail_probes += 1;
        self.recovery.tail_probe = Some(TailProbe {
            end: sent.end(),
            repeated,
        });
        self.recovery.timed_since_probe = false;
        self.timers.stop(Timer::TailProbe);
        self.timers.set(Timer::Retransmit, now + self.rto.timeout());
        Some(sent)
    }

    /// New text and FIN, or our SYN. A `probe` may exceed the congestion window by one segment.
    fn choose_new(&mut self, now: Instant, probe: bool) -> Option<Sent> {
        if self.send.syn_due() {
            let sent = fresh(self.send.next(), 0, now);
            self.send.syn_sent(now);
            return Some(self.record(Sent { syn: true, ..sent }, now));
        }
        if !self.send.is_open() {
            return None;
        }
        let unsent = self.send.unsent();
        let fin_due = self.send.fin_due();
        if unsent == 0 && !fin_due {
            self.window_limited = false;
            return None;
        }
        let room = self.send.room();
        let limit = self
            .size_probe_limit(now)
            .unwrap_or_else(|| self.payload_limit());
        let len = unsent.min(limit).min(room);
        let fin = fin_due && len == unsent && room > len;
        if (len == 0 && !fin) || (len > 0 && !self.send.worthwhile(len, limit)) {
            self.window_limited = false;
            return None;
        }
        self.restart_when_idle(now);
        if self.in_network() > 0 && self.in_network() + len > self.congestion.window() && !probe {
            self.window_limited = true;
            return None;
        }
        let sent = Sent {
            fin,
            ..fresh(self.send.next(), len, now)
        };
        if self.flight.is_empty() {
            self.stalled_since = now;
        }
        self.send.sent(sent.sequence_len(), now);
        self.stats.bytes_sent += u64::from(len);
        self.note_size_probe(&sent, now);
        Some(self.record(sent, now))
    }

    /// Adds the text that may go out right behind `first`, which is recorded segment by segment. Returns the whole, and
    /// the size at which it has to be cut.
    fn lengthen(&mut self, first: Sent, bytes_max: u32, now: Instant) -> (Sent, u16) {
        let step = first.len;
        let mut whole = first;
        let mut last = first;
        let bytes_max = bytes_max.min(limits::LARGE_SEGMENT_BYTES_MAX);
        let new_text = !first.syn && !first.resent && step == self.payload_limit();
        while new_text && !last.fin && last.len == step && whole.len + step <= bytes_max {
            let Some(next) = self.choose_new(now, false) else {
                break;
            };
            whole.len += next.len;
            whole.fin = next.fin;
            last = next;
        }
        let cut = if whole.len > step { step } else { 0 };
        (whole, u16::try_from(cut).unwrap_or(u16::MAX))
    }

    fn record(&mut self, sent: Sent, now: Instant) -> Sent {
        if self.flight.is_empty() {
            self.stalled_since = now;
        }
        self.flight.push(sent);
        self.timers.stop(Timer::Persist);
        self.start_retransmission_timer(now);
        self.arm_tail_probe(now);
        sent
    }

    pub(super) fn restart_retransmission_timer(&mut self, now: Instant) {
        self.timers.set(Timer::Retransmit, now + self.rto.timeout());
    }

    fn start_retransmission_timer(&mut self, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.1) Every time a packet containing data is sent (including a retransmission), if the timer is not running, start
        //# it running so that it will expire after RTO seconds
        if !self.timers.is_set(Timer::Retransmit) {
            self.timers.set(Timer::Retransmit, now + self.rto.timeout());
        }
    }

    fn restart_when_idle(&mut self, now: Instant) {
        if self.flight.is_empty()
            && now.saturating_since(self.send.last_sent_at()) > self.rto.timeout()
        {
            self.congestion.on_idle();
        }
    }

    /// Sequence numbers in the network; duplicate acknowledgements stand for segments that left it.
    pub(super) fn in_network(&self) -> u32 {
        if self.sack {
            return self.flight.pipe();
        }
        self.flight
            .pipe()
            .saturating_sub(self.recovery.duplicates.saturating_mul(self.send.mss()))
    }

    /// Text is queued, the window holds it back and nothing in flight will tell when it opens: probe.
    fn update_persist(&mut self, now: Instant) {
        let waiting = self.send.unsent() > 0 || self.send.fin_due();
        if waiting && self.send.is_open() && self.send.is_acknowledged() {
            if !self.timers.is_set(Timer::Persist) {
                if !self.rto.is_backed_off() {
                    self.stalled_since = now;
                }
                self.timers.set(Timer::Persist, now + self.rto.timeout());
            }
        } else {
            self.timers.stop(Timer::Persist);
        }
    }

    fn window_probe(&mut self, now: Instant) -> Option<Sent> {
        if !self.send.is_open()
            || !self.flight.is_empty()
            || !(self.send.unsent() > 0 || self.send.fin_due())
        {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
        //# The sending TCP peer must regularly transmit at least one octet of new data (if available), or retransmit to the
        //# receiving TCP peer even if the send window is zero, in order to "probe" the window.
        let len = self
            .send
            .unsent()
            .min(self.send.room().clamp(1, self.payload_limit()));
        let fin = len == 0;
        let sent = Sent {
            fin,
            ..fresh(self.send.next(), len, now)
        };
        self.stats.window_probes += 1;
        if self.send.room() >= len && !fin {
            // The override of section 3.8.6.2.1: the little that the window admits is sent after all.
            self.send.sent(len, now);
            self.stats.bytes_sent += u64::from(len);
            return Some(self.record(sent, now));
        }
        self.send.probed(now);
        self.timers.set(Timer::Persist, now + self.rto.timeout());
        Some(sent)
    }

    /// Payload of the largest segment that can go out now.
    pub(crate) fn payload_limit(&self) -> u32 {
        self.payload_limit_on(self.send.path_mss())
    }

    /// The same on a path of another size.
    pub(super) fn payload_limit_on(&self, path_mss: u16) -> u32 {
        self.send
            .mss_on(path_mss)
            .saturating_sub(u32::from(sack_option_bytes(&self.sack_blocks())))
    }

    fn sack_blocks(&self) -> SackBlocks {
        if self.sack {
            self.receive.sack_blocks()
        } else {
            SackBlocks::default()
        }
    }

    /// A segment that takes sequence space.
    fn emit(&mut self, sent: Sent, cut: u16, now: Instant) -> Outgoing<'_> {
        let mut flags = TcpFlags::NONE;
        let mut options = self.options(now);
        let mut window = if self.synchronised {
            self.receive.offer()
        } else {
            0
        };
        if self.synchronised {
            flags |= TcpFlags::ACK;
        }
        if sent.syn {
            flags |= TcpFlags::SYN;
            //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
            //# The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled.
            window = self.receive.offer_unscaled();
            self.announce(&mut options);
        }
        let (ecn, congestion_flags) = self.congestion_mark(&sent);
        flags |= congestion_flags;
        if sent.fin {
            flags |= TcpFlags::FIN;
        }
        let text_end = sent.start + u32::from(sent.syn) + sent.len;
        if sent.len > 0 && (sent.fin || text_end.ge(self.send.next() + self.send.unsent())) {
            flags |= TcpFlags::PSH;
        }
        if sent.len > 0 && !sent.resent {
            let delay = self.settings.ack_delay();
            let replies =
                now.saturating_since(self.last_heard) < delay && self.stats.bytes_received > 0;
            self.receive.set_interactive(replies);
        }
        let ack = self.acknowledge();
        self.stats.segments_sent += Outgoing::count(sent.len, cut);
        let start = sent.start + u32::from(sent.syn);
        let payload = self.send.text(start, sent.len);
        Outgoing {
            segment: TcpSegment {
                seq: sent.start,
                ack,
                flags,
                window,
                urgent: 0,
                ecn,
                options,
                payload,
            },
            rest: &[],
            cut,
        }
    }

    /// The mark of a segment that takes sequence space, and what it says of marks that came.
    fn congestion_mark(&mut self, sent: &Sent) -> (Ecn, TcpFlags) {
        if sent.syn {
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
            //# A host MUST NOT set ECT on SYN or SYN-ACK packets.
            let wanted = self.opening.is_some_and(|opening| opening.ecn);
            return (Ecn::NotEct, self.ecn.setup_flags(wanted, self.synchronised));
        }
        // What lies beyond SND.NXT is a probe of a closed window.
        let new_text = sent.len > 0 && !sent.resent && sent.end().le(self.send.next());
        if new_text {
            self.ecn.on_new_text()
        } else {
            (Ecn::NotEct, self.ecn.echo())
        }
    }

    /// A segment that takes no sequence space.
    fn bare(&mut self, seq: SeqNum, now: Instant) -> Outgoing<'_> {
        let options = self.options(now);
        let window = self.receive.offer();
        let ack = self.acknowledge();
        self.stats.segments_sent += 1;
        Outgoing {
            segment: TcpSegment {
                seq,
                ack,
                flags: TcpFlags::ACK | self.ecn.echo(),
                window,
                urgent: 0,
                ecn: Ecn::NotEct,
                options,
                payload: &[],
            },
            rest: &[],
            cut: 0,
        }
    }

    fn acknowledge(&mut self) -> SeqNum {
        if !self.synchronised {
            return SeqNum(0);
        }
        self.receive.acknowledged();
        self.timers.stop(Timer::DelayedAck);
        self.receive.next()
    }

    fn options(&self, now: Instant) -> TcpOptions {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //# Once TSopt has been successfully negotiated, that is both <SYN> and <SYN,ACK> contain TSopt, the TSopt MUST be sent
        //# in every non-<RST> segment for the duration of the connection
        TcpOptions {
            timestamps: self.timestamps.as_ref().map(|clock| clock.option(now)),
            sack: self.sack_blocks(),
            ..TcpOptions::default()
        }
    }

    /// The options of our SYN: what we offer, or in a SYN-ACK what both agreed on.
    fn announce(&self, options: &mut TcpOptions) {
        let Some(opening) = self.opening else { return };
        options.mss = Some(opening.path_mss);
        options.sack = SackBlocks::default();
        options.sack_permitted = if self.synchronised {
            self.sack
        } else {
            opening.sack
        };
        options.window_scale = opening
            .window_scale
            .filter(|_| !self.synchronised || self.scaled)
            .map(|shift| shift.min(limits::WINDOW_SHIFT_MAX));
    }
}

fn fresh(start: SeqNum, len: u32, now: Instant) -> Sent {
    Sent {
        start,
        len,
        syn: false,
        fin: false,
        sent_at: now,
        first_sent_at: now,
        resent: false,
        sacked: false,
        lost: false,
        held_run: 0,
    }
}

fn sack_option_bytes(blocks: &SackBlocks) -> u16 {
    let count = u16::try_from(blocks.len()).unwrap_or(0);
    if count == 0 {
        0
    } else {
        limits::SACK_OPTION_BYTES + count * limits::SACK_BLOCK_BYTES
    }
}
