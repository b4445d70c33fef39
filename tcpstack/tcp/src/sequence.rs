//! Lengths in sequence space and in memory.

use sluice_packet::SeqNum;

/// Bytes from `from` forward to `to`, zero when `to` lies behind.
pub(crate) fn ahead(from: SeqNum, to: SeqNum) -> u32 {
    u32::try_from(to.distance(from)).unwrap_or(0)
}

/// A buffer length as a sequence length; buffers are bounded far below the circle.
pub(crate) fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A sequence length as a buffer length.
pub(crate) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
