//! Segments that arrive together.

use sluice_packet::{Ecn, Instant, TcpFlags, TcpSegment};

use super::ControlBlock;

impl ControlBlock {
    /// Takes the text of the segments `behind` one that was taken, as far as they say nothing else that is new. Returns how
    /// many these are.
    ///
    /// What `first` did at `now` for acknowledgement, window, losses and timers, they would only do again; what is left is
    /// their text and what is owed for it.
    pub(crate) fn take_followers(
        &mut self,
        now: Instant,
        first: &TcpSegment<'_>,
        behind: &[TcpSegment<'_>],
    ) -> usize {
        let plain = first.flags.without(TcpFlags::PSH) == TcpFlags::ACK;
        let taken = first.seq + first.sequence_len() == self.receive.next()
            && self.receive.last_ack_sent().lt(self.receive.next());
        let heard = self.last_heard == now
            && first.ack == self.send.una()
            && self.send.offers(first.window);
        if !plain || !taken || !heard {
            return 0;
        }
        let mut count = 0;
        for segment in behind {
            if self.receive.owes_before_next() || !self.repeats(now, first, segment) {
                break;
            }
            self.stats.segments_received += 1;
            self.send.repeat_window(segment);
            self.take_payload(segment);
            count += 1;
        }
        if count > 0 {
            self.after_text(now);
        }
        count
    }

    /// Whether `segment` continues `first` with text and differs in nothing else.
    fn repeats(&self, now: Instant, first: &TcpSegment<'_>, segment: &TcpSegment<'_>) -> bool {
        let length = segment.sequence_len();
        let timely = match (&self.timestamps, segment.options.timestamps) {
            (Some(clock), Some(timestamps)) => !clock.is_old(timestamps, now),
            _ => true,
        };
        length > 0
            && segment.flags.without(TcpFlags::PSH) == TcpFlags::ACK
            && segment.ack == first.ack
            && segment.window == first.window
            && segment.ecn != Ecn::Ce
            && segment.options.sack.is_empty()
            && timely
            && self.receive.continues_with(segment.seq, length)
    }
}
