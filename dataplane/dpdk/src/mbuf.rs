//! One packet buffer, owned.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::slice;

use dpdk_sys::rte_mbuf;
use sluice_packet::{PacketBuf, Unfinished, Verified};

use crate::offload;

/// A frame in DPDK's memory, from the Ethernet header on, in one piece. Dropping it gives the buffer back to its pool.
///
/// It is made by [`crate::Mempool::alloc`] and by [`crate::RxQueue::receive`] only, which hold what everything here
/// relies on: one owner, one segment, `data_off + data_len <= buf_len`.
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: an `Mbuf` is the only owner of its buffer, and pools take buffers back from any thread.
unsafe impl Send for Mbuf {}
// SAFETY: through `&Mbuf` the buffer can only be read.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// Takes ownership of a buffer.
    ///
    /// # Safety
    /// `raw` is a valid packet buffer of one segment with one reference, and nobody else uses it from now on.
    pub(crate) unsafe fn from_raw(raw: NonNull<rte_mbuf>) -> Self {
        Self(raw)
    }

    /// Gives up ownership without freeing.
    pub(crate) fn into_raw(self) -> NonNull<rte_mbuf> {
        ManuallyDrop::new(self).0
    }

    /// Bytes of the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.data_len())
    }

    /// True before anything was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data_len() == 0
    }

    /// Bytes that can still be appended.
    #[must_use]
    pub fn tailroom(&self) -> usize {
        usize::from(self.field::<u16>(dpdk_sys::DPDK_SHIM_MBUF_BUF_LEN))
            .saturating_sub(usize::from(self.data_off()))
            .saturating_sub(self.len())
    }

    /// Grows the frame by `len` bytes at its end and gives them to be written; they hold whatever an earlier packet left.
    /// `None`, and nothing changed, when the buffer has no room for them.
    pub fn append(&mut self, len: usize) -> Option<&mut [u8]> {
        let count = u16::try_from(len).ok()?;
        // SAFETY: a valid buffer of one segment; DPDK checks the room that is left.
        let start = unsafe { dpdk_sys::rte_pktmbuf_append(self.0.as_ptr(), count) };
        let start = NonNull::new(start)?.cast::<u8>();
        // SAFETY: `count` bytes from `start` lie within the buffer, were initialised when the pool's memory was mapped,
        // and are borrowed from `self` alone.
        Some(unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) })
    }

    /// Shortens the frame to `len` bytes; a frame that is no longer than that is left alone.
    pub fn truncate(&mut self, len: usize) {
        if let Ok(len) = u16::try_from(len)
            && len < self.data_len()
        {
            self.set_field(dpdk_sys::DPDK_SHIM_MBUF_DATA_LEN, len);
            self.set_field(dpdk_sys::DPDK_SHIM_MBUF_PKT_LEN, u32::from(len));
        }
    }

    /// Leaves the frame's checksums, and its cutting where that is asked for, to the port it is sent by. The port must have
    /// been configured with these offloads; others send the frame as it is.
    pub fn leave_unfinished(&mut self, frame: Unfinished) {
        let flags = self.field::<u64>(dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS);
        let (wanted, lengths) = offload::request(frame);
        self.set_field(
            dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS,
            flags & dpdk_sys::DPDK_SHIM_MBUF_KIND | wanted,
        );
        self.set_field(dpdk_sys::DPDK_SHIM_MBUF_TX_OFFLOAD, lengths);
    }

    /// Puts a frame as a driver delivers it into the form everything else expects: tags that the driver took out are
    /// back in the frame, it lies in one piece, and no offload flag is left but what the port found of its checksums.
    /// False if that cannot be done, which makes the frame useless.
    pub(crate) fn normalise(&mut self) -> bool {
        let flags = self.field::<u64>(dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS);
        let tags =
            dpdk_sys::DPDK_SHIM_MBUF_RX_VLAN_STRIPPED | dpdk_sys::DPDK_SHIM_MBUF_RX_QINQ_STRIPPED;
        let whole = self.field::<u16>(dpdk_sys::DPDK_SHIM_MBUF_NB_SEGS) == 1 || self.linearise();
        let tagged = flags & tags == 0 || self.restore_tags(flags);
        self.set_field(
            dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS,
            flags & (dpdk_sys::DPDK_SHIM_MBUF_KIND | CHECKSUMS),
        );
        whole && tagged
    }

    #[cold]
    fn linearise(&mut self) -> bool {
        // SAFETY: a valid chain of segments, owned; DPDK checks that the first has room for all.
        unsafe { dpdk_sys::rte_pktmbuf_linearize(self.0.as_ptr()) == 0 }
    }

    #[cold]
    fn restore_tags(&mut self, flags: u64) -> bool {
        let inner = self.field::<u16>(dpdk_sys::DPDK_SHIM_MBUF_VLAN_TCI);
        if flags & dpdk_sys::DPDK_SHIM_MBUF_RX_QINQ_STRIPPED != 0 {
            // Two tags taken out: `vlan_tci` is the inner one, and the outer one is the provider's (IEEE 802.1ad).
            let outer = self.field::<u16>(dpdk_sys::DPDK_SHIM_MBUF_VLAN_TCI_OUTER);
            self.insert_tag(inner)
                && self.insert_tag(outer)
                && self.set_outer_protocol(ETHERTYPE_QINQ)
        } else {
            self.insert_tag(inner)
        }
    }

    fn insert_tag(&mut self, tci: u16) -> bool {
        self.set_field(dpdk_sys::DPDK_SHIM_MBUF_VLAN_TCI, tci);
        let mut raw = self.0.as_ptr();
        // SAFETY: a valid, owned buffer; DPDK checks that it is direct, unshared, holds two addresses and has headroom.
        // It writes `raw` never.
        unsafe { dpdk_sys::rte_vlan_insert(&raw mut raw) == 0 }
    }

    fn set_outer_protocol(&mut self, ethertype: [u8; 2]) -> bool {
        match self.frame_mut().get_mut(12..14) {
            Some(place) => {
                place.copy_from_slice(&ethertype);
                true
            }
            None => false,
        }
    }

    fn data_len(&self) -> u16 {
        self.field(dpdk_sys::DPDK_SHIM_MBUF_DATA_LEN)
    }

    fn data_off(&self) -> u16 {
        self.field(dpdk_sys::DPDK_SHIM_MBUF_DATA_OFF)
    }

    fn data(&self) -> *mut u8 {
        let base: *mut u8 = self.field(dpdk_sys::DPDK_SHIM_MBUF_BUF_ADDR);
        // SAFETY: `data_off` lies within the buffer that `buf_addr` starts.
        unsafe { base.add(usize::from(self.data_off())) }
    }

    fn field<T: Copy>(&self, offset: dpdk_sys::dpdk_shim_mbuf_layout) -> T {
        let place = self
            .0
            .as_ptr()
            .wrapping_byte_add(offset as usize)
            .cast::<T>();
        // SAFETY: every caller names a field of rte_mbuf by its offset and its own type; the buffer is valid and owned.
        unsafe { place.read() }
    }

    fn set_field<T: Copy>(&mut self, offset: dpdk_sys::dpdk_shim_mbuf_layout, value: T) {
        let place = self
            .0
            .as_ptr()
            .wrapping_byte_add(offset as usize)
            .cast::<T>();
        // SAFETY: as in `field`, and `&mut self` keeps others away.
        unsafe { place.write(value) }
    }
}

const ETHERTYPE_QINQ: [u8; 2] = [0x88, 0xa8];
/// What a port says of a received frame's checksums. Nobody reads it when the frame is sent.
const CHECKSUMS: u64 =
    dpdk_sys::DPDK_SHIM_MBUF_RX_IP_CHECKSUM | dpdk_sys::DPDK_SHIM_MBUF_RX_TCP_CHECKSUM;

impl PacketBuf for Mbuf {
    fn frame(&self) -> &[u8] {
        // SAFETY: `len` bytes from `data` lie within the buffer, are initialised and borrowed from `self`.
        unsafe { slice::from_raw_parts(self.data(), self.len()) }
    }

    fn frame_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `frame`, and `&mut self` makes the borrow unique.
        unsafe { slice::from_raw_parts_mut(self.data(), self.len()) }
    }

    fn verified(&self) -> Verified {
        let flags = self.field::<u64>(dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS);
        let says = |mask: u64, good: u64| flags & mask == good;
        if !says(
            dpdk_sys::DPDK_SHIM_MBUF_RX_TCP_CHECKSUM,
            dpdk_sys::DPDK_SHIM_MBUF_RX_TCP_CHECKSUM_GOOD,
        ) {
            Verified::Nothing
        } else if says(
            dpdk_sys::DPDK_SHIM_MBUF_RX_IP_CHECKSUM,
            dpdk_sys::DPDK_SHIM_MBUF_RX_IP_CHECKSUM_GOOD,
        ) {
            Verified::IpAndTcp
        } else {
            Verified::Tcp
        }
    }

    fn truncate(&mut self, len: usize) {
        Self::truncate(self, len);
    }

    fn buffer_bytes(&self) -> usize {
        size_of::<rte_mbuf>() + usize::from(self.field::<u16>(dpdk_sys::DPDK_SHIM_MBUF_BUF_LEN))
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: the buffer is valid, owned by `self` alone and not used again.
        unsafe { dpdk_sys::rte_pktmbuf_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: they may be someone's plaintext.
        f.debug_struct("Mbuf")
            .field("bytes", &self.len())
            .finish_non_exhaustive()
    }
}

/// What a driver leaves behind when it takes tags out, for tests of the way back.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    impl Mbuf {
        /// Marks the buffer as a driver does that has stripped one tag, or two.
        pub(crate) fn mark_stripped(&mut self, inner: u16, outer: Option<u16>) {
            let mut flags = dpdk_sys::DPDK_SHIM_MBUF_RX_VLAN_STRIPPED;
            self.set_field(dpdk_sys::DPDK_SHIM_MBUF_VLAN_TCI, inner);
            if let Some(outer) = outer {
                flags |= dpdk_sys::DPDK_SHIM_MBUF_RX_QINQ_STRIPPED;
                self.set_field(dpdk_sys::DPDK_SHIM_MBUF_VLAN_TCI_OUTER, outer);
            }
            self.set_field(dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS, flags);
        }

        /// Marks the buffer as a driver does that has looked at its checksums.
        pub(crate) fn mark_offloads(&mut self, flags: u64) {
            self.set_field(dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS, flags);
        }

        /// The offload flags as they are.
        pub(crate) fn offload_flags(&self) -> u64 {
            self.field(dpdk_sys::DPDK_SHIM_MBUF_OL_FLAGS)
        }
    }
}
