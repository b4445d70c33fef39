//! One TCP segment, free of addresses.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use crate::{Ecn, SeqNum, TcpOptions};

/// The eight control bits (RFC 9293 3.1), as they stand in the header.
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// The flags of a header's fourteenth byte.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// A header's fourteenth byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Every flag of `flags` is set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// At least one flag of `flags` is set.
    #[must_use]
    pub const fn intersects(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Without the flags of `flags`.
    #[must_use]
    pub const fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }

    /// With the flags of `flags`.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// PSH is set.
    #[must_use]
    pub const fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }

    /// ECE is set.
    #[must_use]
    pub const fn ece(self) -> bool {
        self.contains(Self::ECE)
    }

    /// CWR is set.
    #[must_use]
    pub const fn cwr(self) -> bool {
        self.contains(Self::CWR)
    }

    /// URG is set.
    #[must_use]
    pub const fn urg(self) -> bool {
        self.contains(Self::URG)
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for TcpFlags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

/// As tcpdump writes them: `S`, `S.`, `P.`, `F.`, `R`.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(TcpFlags, &str); 8] = [
            (TcpFlags::SYN, "S"),
            (TcpFlags::FIN, "F"),
            (TcpFlags::RST, "R"),
            (TcpFlags::PSH, "P"),
            (TcpFlags::URG, "U"),
            (TcpFlags::ECE, "E"),
            (TcpFlags::CWR, "W"),
            (TcpFlags::ACK, "."),
        ];
        if *self == Self::NONE {
            return f.write_str("none");
        }
        for (flag, letter) in LETTERS {
            if self.contains(flag) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

/// One TCP segment as an engine sees it, without addresses and ports.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// Sequence number of the first byte, or of the SYN.
    pub seq: SeqNum,
    /// Next sequence number its sender expects; significant when ACK is set.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as on the wire: not scaled.
    pub window: u16,
    /// Urgent pointer; significant when URG is set.
    pub urgent: u16,
    /// Congestion mark of the datagram that carries it.
    pub ecn: Ecn,
    /// Options.
    pub options: TcpOptions,
    /// Payload. When written, the first part of it.
    pub payload: &'a [u8],
}

impl TcpSegment<'_> {
    /// The sequence space the segment takes: its payload, and one each for SYN and FIN (RFC 9293 3.4).
    #[must_use]
    pub fn sequence_len(&self) -> u32 {
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX)
            + u32::from(self.flags.syn())
            + u32::from(self.flags.fin())
    }

    /// The reset that an end without a connection answers with (RFC 9293 3.10.7.1). None for a reset, as two ends would
    /// otherwise answer each other for ever.
    #[must_use]
    pub fn reset_reply(&self) -> Option<TcpSegment<'static>> {
        if self.flags.rst() {
            return None;
        }
        Some(if self.flags.ack() {
            TcpSegment {
                seq: self.ack,
                flags: TcpFlags::RST,
                ..TcpSegment::default()
            }
        } else {
            TcpSegment {
                ack: self.seq + self.sequence_len(),
                flags: TcpFlags::RST | TcpFlags::ACK,
                ..TcpSegment::default()
            }
        })
    }

    /// The reset that takes this segment's place on its way: its receiver, which has not seen it, takes the reset for its
    /// peer's own.
    #[must_use]
    pub fn reset_instead(&self) -> TcpSegment<'static> {
        TcpSegment {
            seq: self.seq,
            ack: self.ack,
            flags: if self.flags.ack() {
                TcpFlags::RST | TcpFlags::ACK
            } else {
                TcpFlags::RST
            },
            ..TcpSegment::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_like_tcpdump() {
        assert_eq!((TcpFlags::SYN | TcpFlags::ACK).to_string(), "S.");
        assert_eq!(TcpFlags::NONE.to_string(), "none");
        assert!(!(TcpFlags::SYN | TcpFlags::ACK).contains(TcpFlags::SYN | TcpFlags::FIN));
        assert!((TcpFlags::SYN | TcpFlags::ACK).intersects(TcpFlags::SYN | TcpFlags::FIN));
    }

    #[test]
    fn reset_of_a_segment_with_ack_takes_its_acknowledgement_number() {
        let segment = TcpSegment {
            seq: SeqNum(100),
            ack: SeqNum(777),
            flags: TcpFlags::ACK | TcpFlags::PSH,
            payload: b"abc",
            ..TcpSegment::default()
        };
        let reset = segment.reset_reply().unwrap();
        assert_eq!((reset.seq, reset.flags), (SeqNum(777), TcpFlags::RST));
        let onward = segment.reset_instead();
        assert_eq!(
            (onward.seq, onward.ack, onward.flags),
            (SeqNum(100), SeqNum(777), TcpFlags::RST | TcpFlags::ACK)
        );
    }

    #[test]
    fn reset_of_a_segment_without_ack_acknowledges_all_of_it() {
        let syn = TcpSegment {
            seq: SeqNum(u32::MAX),
            flags: TcpFlags::SYN,
            payload: b"ab",
            ..TcpSegment::default()
        };
        let reset = syn.reset_reply().unwrap();
        assert_eq!(
            (reset.seq, reset.ack, reset.flags),
            (SeqNum(0), SeqNum(2), TcpFlags::RST | TcpFlags::ACK)
        );
    }

    #[test]
    fn d129_a_reset_is_never_answered() {
        let reset = TcpSegment {
            flags: TcpFlags::RST | TcpFlags::ACK,
            ..TcpSegment::default()
        };
        assert_eq!(reset.reset_reply(), None);
    }
}
