//! Explicit congestion notification (RFC 3168): what the two SYNs agree on, what is echoed and what is announced.

use sluice_packet::{Ecn, TcpFlags, TcpSegment};

/// Whether the ends agreed, and what each direction still has to say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EcnState {
    /// Both ends said that they understand congestion marks.
    agreed: bool,
    /// A mark came, and the peer has not said since that it slowed down.
    echo: bool,
    /// Our window was reduced, and the peer has not been told.
    announce: bool,
}

/// What a received segment told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// Something the peer waits to have acknowledged.
    News,
}

impl EcnState {
    pub(crate) fn agreed(agreed: bool) -> Self {
        Self {
            agreed,
            ..Self::default()
        }
    }

    pub(crate) fn is_agreed(self) -> bool {
        self.agreed
    }

    /// The flags of our SYN, which is `synchronised` when it answers the peer's.
    pub(crate) fn setup_flags(self, wanted: bool, synchronised: bool) -> TcpFlags {
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# We call a SYN packet with the ECE and CWR flags set an "ECN-setup SYN packet"
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# Similarly, we call a SYN-ACK packet with only the ECE flag set but the CWR flag not set an "ECN-setup SYN-ACK
        //# packet"
        match (synchronised, wanted, self.agreed) {
            (false, true, _) => TcpFlags::ECE | TcpFlags::CWR,
            (true, _, true) => TcpFlags::ECE,
            _ => TcpFlags::NONE,
        }
    }

    /// The mark and the flags of a segment that carries text for the first time.
    pub(crate) fn on_new_text(&mut self) -> (Ecn, TcpFlags) {
        if !self.agreed {
            return (Ecn::NotEct, TcpFlags::NONE);
        }
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
        //# When an ECN-Capable TCP sender reduces its congestion window for any reason (because of a retransmit timeout, a
        //# Fast Retransmit, or in response to an ECN Notification), the TCP sender sets the CWR flag in the TCP header of the
        //# first new data packet sent after the window reduction.
        let announced = if core::mem::take(&mut self.announce) {
            TcpFlags::CWR
        } else {
            TcpFlags::NONE
        };
        (Ecn::Ect0, announced | self.echo())
    }

    /// The flag of any other segment that acknowledges. None of them is marked:
    pub(crate) fn echo(self) -> TcpFlags {
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.4
        //# pure acknowledgement packets (e.g., packets that do not contain any accompanying data) MUST be sent with the
        //# not-ECT codepoint.
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
        //# ECN-capable TCP implementations MUST NOT set either ECT codepoint (ECT(0) or ECT(1)) in the IP header for
        //# retransmitted data packets
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.6
        //# the TCP data sender MUST NOT set either an ECT codepoint or the CWR bit on window probe packets.
        if self.echo {
            TcpFlags::ECE
        } else {
            TcpFlags::NONE
        }
    }

    /// Our congestion window was reduced, for whatever reason.
    pub(crate) fn on_reduction(&mut self) {
        self.announce = self.agreed;
    }

    /// The peer's answer to our SYN-ACK, or the other SYN-ACK of a simultaneous open, withdraws the agreement.
    pub(crate) fn withdraw(&mut self) {
        *self = Self::default();
    }

    /// Takes the marks of a segment with text that lies in the window.
    pub(crate) fn on_text(&mut self, segment: &TcpSegment<'_>) -> Told {
        if !self.agreed {
            return Told::Nothing;
        }
        let before = self.echo;
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.3
        //# After a TCP receiver sends an ACK packet with the ECN-Echo bit set, that TCP receiver continues to set the
        //# ECN-Echo flag in all the ACK packets it sends (whether they acknowledge CE data packets or non-CE data packets)
        //# until it receives a CWR packet
        if segment.flags.cwr() {
            self.echo = false;
        }
        // A marked segment that announces a reduction tells of congestion after that reduction.
        self.echo |= segment.ecn == Ecn::Ce;
        if segment.flags.cwr() || self.echo != before {
            Told::News
        } else {
            Told::Nothing
        }
    }

    /// The peer echoes a mark that one of our segments got.
    pub(crate) fn is_echoed_by(self, segment: &TcpSegment<'_>) -> bool {
        self.agreed && segment.flags.ece() && !segment.flags.syn()
    }
}

/// Whether the peer's SYN or SYN-ACK asks for congestion marks or agrees to them.
pub(crate) fn is_setup(syn: &TcpSegment<'_>) -> bool {
    syn.flags.ece() && syn.flags.cwr() != syn.flags.ack()
}
