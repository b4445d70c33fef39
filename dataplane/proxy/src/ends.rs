//! Where the ends of a flow that passes stand, and whether it is over.
//!
//! A flow that is over is forgotten soon, and what comes of it then looks picked up in the middle. So nobody may end it from
//! outside: a reset counts if it has the very number that its receiver waits for (RFC 5961 section 3.2), and only until an end
//! goes on; a FIN if both its numbers are near where the ends stand. Whoever sees nothing of the flow has to hit both numbers to
//! move what is known: some 2^16 segments, after which the flow is forgotten if its ends say nothing for two minutes.

use sluice_packet::{Instant, PacketBuf, SeqNum, Side, TcpFlags, TcpHead};

use crate::identity::Place;
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
    /// The client is the lower end of the flow's key.
    const CLIENT_IS_LOWER: Self = Self(1 << 5);
    /// The client lives behind the second port.
    const CLIENT_IS_BEHIND_B: Self = Self(1 << 6);

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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Activity(u32);

impl Activity {
    pub(crate) fn at(now: Instant) -> Self {
        Self(u32::try_from(now.micros().div_ceil(ACTIVITY_STEP_MICROS)).unwrap_or(u32::MAX))
    }

    pub(crate) fn instant(self) -> Instant {
        Instant::from_micros(u64::from(self.0) * ACTIVITY_STEP_MICROS)
    }
}

/// Where the ends of a flow that passes stand: all that a packet needs of it which says nothing but that the flow goes on. It is
/// what the flow's table keeps beside its key.
#[repr(C, packed)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    active: Activity,
    /// What follows the last number of the client and of the origin.
    next: [SeqNum; 2],
    seen: Seen,
}

impl Ends {
    /// Packets that may say more about a flow than that it goes on.
    pub(crate) const TOLD_BY: TcpFlags = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);

    /// Of a flow of which nothing has passed.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            active: Activity::at(now),
            ..Self::default()
        }
    }

    /// The same, with the way round that the flow is.
    pub(crate) fn placed(mut self, place: Place) -> Self {
        if place.is_from_client(true) {
            self.add(Seen::CLIENT_IS_LOWER);
        }
        if place.client_side == Side::B {
            self.add(Seen::CLIENT_IS_BEHIND_B);
        }
        self
    }

    /// Something came.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.active = Activity::at(now);
    }

    /// When something last came.
    pub(crate) fn active(&self) -> Instant {
        let active = self.active;
        active.instant()
    }

    /// Whether a packet that came in at `from` says nothing about a [placed](Self::placed) flow but that it goes on. Then that
    /// was noted.
    #[inline]
    pub(crate) fn pass_at_once(
        &mut self,
        head: &TcpHead,
        packet: &impl PacketBuf,
        from: Side,
        now: Instant,
    ) -> bool {
        let seen = self.seen;
        let from_client = head.from_lower == seen.has(Seen::CLIENT_IS_LOWER);
        let from_b = from_client == seen.has(Seen::CLIENT_IS_BEHIND_B);
        let passes = from_b == (from == Side::B) && !head.flags.intersects(Self::TOLD_BY);
        if passes {
            self.touch(now);
            self.note(head, packet, from_client);
        }
        passes
    }

    fn add(&mut self, bits: Seen) {
        let mut seen = self.seen;
        seen.set(bits);
        self.seen = seen;
    }

    /// Both ends have finished, or one has reset the connection and neither goes on.
    pub(crate) fn ended(&self) -> bool {
        let [client, origin] = Seen::FIN;
        let seen = self.seen;
        seen.has(Seen::RESET) || seen.has(client) && seen.has(origin)
    }

    /// The origin's FIN was seen before the flow passed.
    pub(crate) fn origin_has_finished(&mut self) {
        let [_, origin] = Seen::FIN;
        self.add(origin);
    }

    /// A packet that is forwarded: where its sender stands, and whether it is its last one.
    pub(crate) fn note(&mut self, tcp: &TcpHead, packet: &impl PacketBuf, from_client: bool) {
        let Self {
            next: [client, origin],
            mut seen,
            ..
        } = *self;
        let [client_number, origin_number] = Seen::NUMBER;
        let [client_fin, origin_fin] = Seen::FIN;
        let (mut next, known, fin, mut other, other_known) = if from_client {
            (client, client_number, client_fin, origin, origin_number)
        } else {
            (origin, origin_number, origin_fin, client, client_number)
        };
        let flags = tcp.flags;
        if flags.rst() {
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //# If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
            //# then TCP MUST reset the connection.
            let due = if seen.has(known) {
                // An end that has finished answers text that is still on its way with the number of its FIN.
                tcp.seq == next || seen.has(fin) && tcp.seq + 1 == next
            } else {
                // A SYN that is refused (RFC 9293 section 3.10.7.3).
                flags.ack() && seen.has(other_known) && tcp.ack == other
            };
            if due && tcp.intact(packet) {
                self.add(Seen::RESET);
            }
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# if the ACK bit is off, drop the segment and return
        if !flags.ack() && !flags.syn() {
            return;
        }
        seen.clear(Seen::RESET);
        self.seen = seen;
        let near = |number: SeqNum, stands: SeqNum| {
            number.distance(stands).unsigned_abs() < PASSING_REACH_BYTES
        };
        let (is_known, other_is_known) = (seen.has(known), seen.has(other_known));
        if is_known && !near(tcp.seq, next)
            || flags.ack() && other_is_known && !near(tcp.ack, other)
        {
            return;
        }
        // What leaves a gap, or acknowledges what did not come this way, may have been damaged on its way.
        let unexpected = flags.fin()
            || is_known && tcp.seq.gt(next)
            || flags.ack() && other_is_known && tcp.ack.gt(other);
        if unexpected && !tcp.intact(packet) {
            return;
        }
        let end = tcp.seq + tcp.payload_len() + u32::from(flags.syn()) + u32::from(flags.fin());
        next = if is_known { next.max(end) } else { end };
        seen.set(known);
        if flags.ack() {
            // What it acknowledges was sent, whether it came this way or not.
            other = if other_is_known {
                other.max(tcp.ack)
            } else {
                tcp.ack
            };
            seen.set(other_known);
        }
        if flags.fin() {
            seen.set(fin);
        }
        self.seen = seen;
        self.next = if from_client {
            [next, other]
        } else {
            [other, next]
        };
    }
}
