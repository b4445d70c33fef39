//! What the timers do to the control block.

use core::time::Duration;

use sluice_packet::Instant;

use super::ControlBlock;
use crate::receive::Owed;
use crate::recovery::Phase;
use crate::timers::Timer;

impl ControlBlock {
    /// Runs every timer that ran out. False when the peer has to be given up.
    pub(crate) fn run_timers(&mut self, now: Instant) -> bool {
        if self.timers.take_expired(Timer::DelayedAck, now) && self.receive.owed() == Owed::Later {
            // The reply that should have carried it did not come in time.
            self.receive.set_interactive(false);
            self.receive.owe(Owed::Now);
        }
        if self.timers.take_expired(Timer::Release, now) {
            self.release();
        }
        if self.timers.take_expired(Timer::Reorder, now) {
            self.find_losses_by_time(now);
            self.enter_recovery();
        }
        if self.timers.take_expired(Timer::TailProbe, now) && !self.flight.is_empty() {
            self.tail_probe_due = true;
            //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
            //# After attempting to send a loss probe, regardless of whether a loss probe was sent, the sender MUST re-arm the
            //# RTO timer, not the PTO timer, if the FlightSize is not zero.
            self.restart_retransmission_timer(now);
        }
        if self.timers.take_expired(Timer::Persist, now) {
            if now.saturating_since(self.stalled_since) > self.patience() {
                return false;
            }
            self.probe_due = true;
            self.rto.back_off();
        }
        if self.timers.take_expired(Timer::Retransmit, now) && !self.retransmission_timeout(now) {
            return false;
        }
        if self.timers.take_expired(Timer::Keepalive, now) {
            return self.keepalive(now);
        }
        true
    }

    fn retransmission_timeout(&mut self, now: Instant) -> bool {
        if self.flight.is_empty() {
            return true;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
        //# When the number of transmissions of the same segment reaches a threshold R2 greater than R1, close the connection.
        if now.saturating_since(self.stalled_since) >= self.patience() {
            return false;
        }
        self.stats.timeouts += 1;
        self.tail_probe_due = false;
        self.timers.stop(Timer::TailProbe);
        self.timers.stop(Timer::Reorder);
        self.rto.back_off();
        self.suspect_black_hole(now);
        let first = self.recovery.may_reduce(self.send.una());
        // A closed window is not congestion.
        if self.send.window() > 0 || !self.send.is_open() {
            if first {
                self.before_loss.remember(self.congestion);
            }
            self.congestion.on_timeout(self.flight_size(), first);
            self.note_reduction();
        }
        let window = self.sack.then(|| self.reordering_window());
        self.flight.mark_lost_by_timeout(now, window);
        self.recovery.phase = Phase::Loss {
            point: self.send.next(),
        };
        self.recovery.duplicates = 0;
        self.recovery.tail_probe = None;
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.4) Retransmit the earliest segment that has not been acknowledged by the TCP receiver.
        self.recovery.forced = true;
        if let Some(opening) = self.opening.as_mut().filter(|_| !self.synchronised) {
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1.1
            //# A host that receives no reply to an ECN-setup SYN within the normal SYN retransmission timeout interval MAY
            //# resend the SYN and any subsequent SYN retransmissions with CWR and ECE cleared.
            opening.ecn = false;
        }
        self.timers.set(Timer::Retransmit, now + self.rto.timeout());
        true
    }

    fn keepalive(&mut self, now: Instant) -> bool {
        let Some(keepalive) = self.settings.keepalive() else {
            return true;
        };
        let quiet_since = self.last_heard.max(self.send.last_sent_at());
        if self.keepalive_unanswered == 0 && quiet_since + keepalive.idle > now {
            self.arm_keepalive();
            return true;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
        //# if a keep-alive mechanism is implemented it MUST NOT interpret failure to respond to any specific probe as a dead
        //# connection.
        if self.keepalive_unanswered >= keepalive.probes {
            return false;
        }
        // What is in flight probes the peer by itself.
        if self.flight.is_empty() {
            self.keepalive_due = true;
            self.keepalive_unanswered += 1;
        }
        self.timers.set(Timer::Keepalive, now + keepalive.interval);
        true
    }

    fn patience(&self) -> Duration {
        if self.send.is_open() {
            self.settings.user_timeout()
        } else {
            self.settings.open_timeout()
        }
    }
}
