//! TCP options.

use core::fmt;

use crate::SeqNum;
use crate::limits::{SACK_BLOCKS_MAX, TCP_OPTIONS_BYTES_MAX};

const END: u8 = 0;
pub(crate) const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const MD5_SIGNATURE: u8 = 19;
const AUTHENTICATION: u8 = 29;
const MPTCP: u8 = 30;
const FAST_OPEN: u8 = 34;
const EXPERIMENT: u8 = 254;
/// What marks an experimental option as Fast Open (RFC 7413 appendix A.3, RFC 6994).
const FAST_OPEN_EXPERIMENT: [u8; 2] = [0xf9, 0x89];

/// Whether a takeover can carry on what this option of a SYN, kind and length included, begins.
pub(crate) fn kept_of_a_syn(option: &[u8]) -> bool {
    matches!(
        option,
        [MSS, 4, ..] | [WINDOW_SCALE, 3, ..] | [SACK_PERMITTED, 2] | [TIMESTAMPS, 10, ..]
    )
}

/// A range of received sequence numbers: `left` is in it, `right` is the first one after it (RFC 2018 3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    /// First sequence number of the block.
    pub left: SeqNum,
    /// First sequence number after the block.
    pub right: SeqNum,
}

/// The blocks of a SACK option, at most four, in the order of the wire.
#[derive(Copy, Clone, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; SACK_BLOCKS_MAX],
    len: u8,
}

impl SackBlocks {
    /// No block.
    pub const NONE: Self = Self {
        blocks: [SackBlock {
            left: SeqNum(0),
            right: SeqNum(0),
        }; SACK_BLOCKS_MAX],
        len: 0,
    };

    /// Adds a block at the end. False, and nothing added, when there are four.
    pub fn push(&mut self, left: SeqNum, right: SeqNum) -> bool {
        let Some(place) = self.blocks.get_mut(usize::from(self.len)) else {
            return false;
        };
        *place = SackBlock { left, right };
        self.len += 1;
        true
    }

    /// The blocks.
    #[must_use]
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..self.len()).unwrap_or(&self.blocks)
    }

    /// The blocks, one by one.
    pub fn iter(&self) -> impl Iterator<Item = SackBlock> + '_ {
        self.as_slice().iter().copied()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// None.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

impl fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|block| (block.left.0, block.right.0)))
            .finish()
    }
}

/// The timestamps option (RFC 7323 3.2).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the receiver's clock as the sender last saw it; significant when ACK is set.
    pub echo: u32,
}

/// What the options of one segment say.
///
/// When an option is there twice the last one counts, as in Linux, and the segment is `malformed`, as other receivers may
/// take the first.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Largest segment the sender takes.
    pub mss: Option<u16>,
    /// Window shift as on the wire; one above [`WINDOW_SHIFT_MAX`](crate::limits::WINDOW_SHIFT_MAX) means that.
    pub window_scale: Option<u8>,
    /// The sender takes SACK options.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// What the sender has received out of order.
    pub sack: SackBlocks,
    /// Signed, by MD5 (RFC 2385) or TCP-AO (RFC 5925): nobody without the key can write into the connection.
    pub signature: bool,
    /// TCP Fast Open (RFC 7413), a cookie or the request for one.
    pub fast_open: bool,
    /// Multipath TCP (RFC 8684).
    pub mptcp: bool,
    /// An option that this crate does not know.
    pub unknown: bool,
    /// An option with a length that cannot be, or one that is there twice.
    pub malformed: bool,
}

impl TcpOptions {
    /// Reads the option bytes of a header. Every byte sequence has a meaning; what is wrong about it is in `malformed`.
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        let mut options = Self::default();
        let mut seen = 0u64;
        while let Some((&kind, after)) = bytes.split_first() {
            if kind == END {
                break;
            }
            if kind == NOP {
                bytes = after;
                continue;
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
            //# TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)
            // The length counts kind and length. Without a plausible one there is no way to find the next option.
            let Some((option, next)) = after
                .first()
                .and_then(|&length| bytes.split_at_checked(usize::from(length)))
                .filter(|(option, _)| option.len() >= 2)
            else {
                options.malformed = true;
                break;
            };
            bytes = next;
            // Kinds from 64 on are experiments or unassigned: there may be several.
            let bit = 1u64.checked_shl(u32::from(kind)).unwrap_or(0);
            options.malformed |= seen & bit != 0;
            seen |= bit;
            options.take(kind, option.get(2..).unwrap_or_default());
        }
        options
    }

    fn take(&mut self, kind: u8, data: &[u8]) {
        match (kind, data) {
            (MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (TIMESTAMPS, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
                self.timestamps = Some(Timestamps {
                    value: u32::from_be_bytes([v0, v1, v2, v3]),
                    echo: u32::from_be_bytes([e0, e1, e2, e3]),
                });
            }
            (SACK, data) => match data.as_chunks::<8>() {
                ([], _) | (_, [_, ..]) => self.malformed = true,
                (blocks, []) => {
                    self.sack = SackBlocks::NONE;
                    for &[l0, l1, l2, l3, r0, r1, r2, r3] in blocks {
                        self.sack.push(
                            SeqNum(u32::from_be_bytes([l0, l1, l2, l3])),
                            SeqNum(u32::from_be_bytes([r0, r1, r2, r3])),
                        );
                    }
                }
            },
            (MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMPS, _) => self.malformed = true,
            (MD5_SIGNATURE | AUTHENTICATION, _) => self.signature = true,
            (MPTCP, _) => self.mptcp = true,
            (FAST_OPEN, _) => self.fast_open = true,
            (EXPERIMENT, data) if data.starts_with(&FAST_OPEN_EXPERIMENT) => self.fast_open = true,
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
            //# A TCP implementation MUST ignore without error any TCP Option it does not implement, assuming that the option
            //# has a length field.
            _ => self.unknown = true,
        }
    }

    /// Bytes these options take in a header written by [`emit`](crate::emit); a multiple of four, at most
    /// [`TCP_OPTIONS_BYTES_MAX`].
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.bytes_before_sack()
            + self.sack_blocks_that_fit() * 8
            + if self.sack_blocks_that_fit() > 0 {
                4
            } else {
                0
            }
    }

    fn bytes_before_sack(&self) -> usize {
        let permission_alone = self.sack_permitted && self.timestamps.is_none();
        usize::from(self.mss.is_some()) * 4
            + usize::from(self.timestamps.is_some()) * 12
            + usize::from(permission_alone) * 4
            + usize::from(self.window_scale.is_some()) * 4
    }

    /// The first blocks say what was received last (RFC 2018 4), so the last ones are left out.
    fn sack_blocks_that_fit(&self) -> usize {
        let room = TCP_OPTIONS_BYTES_MAX.saturating_sub(self.bytes_before_sack() + 4) / 8;
        self.sack.len().min(room)
    }

    /// Writes the options in the order and alignment of Linux, so that a takeover does not show. What stands for options
    /// that are only recognised (`signature`, `fast_open`, `mptcp`, `unknown`, `malformed`) is not written.
    ///
    /// `out` has [`wire_bytes`](Self::wire_bytes).
    pub(crate) fn write(&self, out: &mut [u8]) {
        let mut out = Writer { out, at: 0 };
        if let Some(mss) = self.mss {
            out.put(&[MSS, 4]);
            out.put(&mss.to_be_bytes());
        }
        if let Some(timestamps) = self.timestamps {
            out.put(if self.sack_permitted {
                &[SACK_PERMITTED, 2]
            } else {
                &[NOP, NOP]
            });
            out.put(&[TIMESTAMPS, 10]);
            out.put(&timestamps.value.to_be_bytes());
            out.put(&timestamps.echo.to_be_bytes());
        } else if self.sack_permitted {
            out.put(&[NOP, NOP, SACK_PERMITTED, 2]);
        }
        if let Some(shift) = self.window_scale {
            out.put(&[NOP, WINDOW_SCALE, 3, shift]);
        }
        let blocks = self.sack_blocks_that_fit();
        if blocks > 0 {
            // At most 4 * 8 + 2.
            out.put(&[NOP, NOP, SACK, u8::try_from(blocks * 8 + 2).unwrap_or(0)]);
            for block in self.sack.iter().take(blocks) {
                out.put(&block.left.0.to_be_bytes());
                out.put(&block.right.0.to_be_bytes());
            }
        }
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }
}

#[cfg(test)]
pub(crate) mod tests;
