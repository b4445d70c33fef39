//! Where the ends of a flow that passes stand, and whether it is over.
//!
//! A flow that is over is forgotten soon, and what comes of it then looks picked up in the middle. So nobody may end it from
//! outside: a reset counts if it has the very number that its receiver waits for (RFC 5961 section 3.2), and only until an end
//! goes on; a FIN if both its numbers are near where the ends stand. Whoever sees nothing of the flow has to hit both numbers to
//! move what is known: some 2^16 segments, after which the flow is forgotten if its ends say nothing for two minutes.

use sluice_packet::{Instant, PacketBuf, SeqNum, TcpHead};

use crate::flow::Bypassed;
use crate::limits::{ACTIVITY_STEP_MICROS, PASSING_REACH_BYTES};

/// What is known of a flow that passes: bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen(u8);

impl Seen {
    /// Where this end stands: the client (0) or the origin (1).
    const NUMBER: [Self; 2] = [Self(1 << 0), Self(1 << 1)];
    /// The FIN of this end.
    const FIN: [Self; 2] = [Self(1 << 2), Self(1 << 3)];
    /// A reset, and nothing since.
    const RESET: Self = Self(1 << 4);

    const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    const fn set(&mut self, bits: Self) {
        self.0 |= bits.0;
    }

    const fn clear(&mut self, bits: Self) {
        self.0 &= !bits.0;
    }
}

/// When a packet last came, in steps of [`ACTIVITY_STEP_MICROS`], rounded up: four bytes last for decades.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity(u32);

impl Activity {
    pub(crate) fn at(now: Instant) -> Self {
        Self(u32::try_from(now.micros().div_ceil(ACTIVITY_STEP_MICROS)).unwrap_or(u32::MAX))
    }

    pub(crate) fn instant(self) -> Instant {
        Instant::from_micros(u64::from(self.0) * ACTIVITY_STEP_MICROS)
    }
}

impl Bypassed {
    /// Both ends have finished, or one has reset the connection and neither goes on.
    pub(crate) fn ended(&self) -> bool {
        let [client, origin] = Seen::FIN;
        self.seen.has(Seen::RESET) || self.seen.has(client) && self.seen.has(origin)
    }

    /// The origin's FIN was seen before the flow passed.
    pub(crate) fn origin_has_finished(&mut self) {
        let [_, origin] = Seen::FIN;
        self.seen.set(origin);
    }

    /// A packet that is forwarded: where its sender stands, and whether it is its last one.
    pub(crate) fn note(&mut self, tcp: &TcpHead, packet: &impl PacketBuf, from_client: bool) {
        let [client, origin] = &mut self.next;
        let [client_number, origin_number] = Seen::NUMBER;
        let [client_fin, origin_fin] = Seen::FIN;
        let (next, known, fin, other, other_known) = if from_client {
            (client, client_number, client_fin, origin, origin_number)
        } else {
            (origin, origin_number, origin_fin, client, client_number)
        };
        let flags = tcp.flags;
        if flags.rst() {
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //# If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
            //# then TCP MUST reset the connection.
            let due = if self.seen.has(known) {
                // An end that has finished answers text that is still on its way with the number of its FIN.
                tcp.seq == *next || self.seen.has(fin) && tcp.seq + 1 == *next
            } else {
                // A SYN that is refused (RFC 9293 section 3.10.7.3).
                flags.ack() && self.seen.has(other_known) && tcp.ack == *other
            };
            if due && tcp.intact(packet) {
                self.seen.set(Seen::RESET);
            }
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# if the ACK bit is off, drop the segment and return
        if !flags.ack() && !flags.syn() {
            return;
        }
        self.seen.clear(Seen::RESET);
        let near = |number: SeqNum, stands: SeqNum| {
            number.distance(stands).unsigned_abs() < PASSING_REACH_BYTES
        };
        let (is_known, other_is_known) = (self.seen.has(known), self.seen.has(other_known));
        if is_known && !near(tcp.seq, *next)
            || flags.ack() && other_is_known && !near(tcp.ack, *other)
        {
            return;
        }
        // What leaves a gap, or acknowledges what did not come this way, may have been damaged on its way.
        let unexpected = flags.fin()
            || is_known && tcp.seq.gt(*next)
            || flags.ack() && other_is_known && tcp.ack.gt(*other);
        if unexpected && !tcp.intact(packet) {
            return;
        }
        let end = tcp.seq + tcp.payload_len() + u32::from(flags.syn()) + u32::from(flags.fin());
        *next = if is_known { next.max(end) } else { end };
        self.seen.set(known);
        if flags.ack() {
            // What it acknowledges was sent, whether it came this way or not.
            *other = if other_is_known {
                other.max(tcp.ack)
            } else {
                tcp.ack
            };
            self.seen.set(other_known);
        }
        if flags.fin() {
            self.seen.set(fin);
        }
    }
}
