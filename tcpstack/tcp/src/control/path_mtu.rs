//! What the network says about the path, and what its silence says.
//!
//! Whoever sends an ICMP error can be anybody, so none of them ends a connection, and one that names a size is believed only
//! if it quotes a segment that is in flight and larger than that (RFC 5927 sections 4.1 and 7.2). Where no message comes at
//! all, timeouts stand in for it: after [`limits::BLACK_HOLE_TIMEOUTS`] in a row of one segment it is cut to the first of
//! [`limits::BLACK_HOLE_MSS_BYTES`] that is smaller, and at each further timeout to the next (RFC 4821 section 4.2, as
//! Linux does with `tcp_mtu_probing=1`). A size that was lowered stays so for the life of the connection.

use sluice_packet::{Instant, SeqNum};

use super::ControlBlock;
use crate::limits;
use crate::recovery::Phase;

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
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //# A node MUST NOT reduce its estimate of the Path MTU below the IPv6 minimum link MTU
        let path_mss = path_mss.max(limits::PATH_MSS_BYTES_MIN);
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
    pub(super) fn suspect_black_hole(&mut self) {
        let Some(first) = self.flight.front() else {
            return;
        };
        if self.rto.backoff() < limits::BLACK_HOLE_TIMEOUTS {
            return;
        }
        let size = first.len + self.send.option_bytes();
        let smaller = limits::BLACK_HOLE_MSS_BYTES
            .into_iter()
            .find(|smaller| u32::from(*smaller) < size);
        if let Some(smaller) = smaller {
            self.stats.path_mss_lowered += 1;
            self.set_path_mss(smaller);
        }
    }
}
