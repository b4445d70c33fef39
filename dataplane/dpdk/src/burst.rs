//! A handful of packets on the stack.

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use dpdk_sys::rte_mbuf;

use crate::limits::BURST_PACKETS_MAX;
use crate::mbuf::Mbuf;

/// Up to `N` packets, in order, without a heap allocation. Packets that are still inside when it is dropped are freed.
pub struct Burst<const N: usize = BURST_PACKETS_MAX> {
    // The first `len` are owned packets; the rest is never read.
    packets: [MaybeUninit<*mut rte_mbuf>; N],
    len: usize,
}

// SAFETY: a burst is the only owner of its packets, which may move between threads.
unsafe impl<const N: usize> Send for Burst<N> {}

impl<const N: usize> Burst<N> {
    /// An empty burst.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0 && N <= u16::MAX as usize) };
        Self {
            packets: [const { MaybeUninit::uninit() }; N],
            len: 0,
        }
    }

    /// Packets inside.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True with no packet inside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True with no room for another packet.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len == N
    }

    /// Puts a packet behind the others; gives it back when there is no room.
    pub fn push(&mut self, packet: Mbuf) -> Result<(), Mbuf> {
        match self.packets.get_mut(self.len) {
            Some(place) => {
                place.write(packet.into_raw().as_ptr());
                self.len += 1;
                Ok(())
            }
            None => Err(packet),
        }
    }

    /// The packets, first to last.
    pub fn iter(&self) -> slice::Iter<'_, Mbuf> {
        // SAFETY: the first `len` are owned packets, and an `Mbuf` is nothing but the pointer to one. They are borrowed from
        // `self`.
        unsafe { slice::from_raw_parts(self.packets.as_ptr().cast::<Mbuf>(), self.len) }.iter()
    }

    /// Takes every packet out, first to last. Packets the iterator does not reach are freed.
    pub fn drain(&mut self) -> Drain<'_, N> {
        let len = self.len;
        // From here on the iterator owns them: were it leaked, the packets would leak, and nothing be freed twice.
        self.len = 0;
        Drain {
            burst: self,
            next: 0,
            len,
        }
    }

    /// Where DPDK may write packets, and how many.
    pub(crate) fn spare(&mut self) -> (*mut *mut rte_mbuf, u16) {
        let spare = self.packets.get_mut(self.len..).unwrap_or_default();
        let count = u16::try_from(spare.len()).unwrap_or(u16::MAX);
        (spare.as_mut_ptr().cast(), count)
    }

    /// Takes over `count` packets that were written to [`Burst::spare`].
    ///
    /// # Safety
    /// `count` is at most what `spare` said, and that many owned, valid packets were written there.
    pub(crate) unsafe fn grow(&mut self, count: usize) {
        self.len += count;
    }

    /// Looks at each packet from `first` on and drops those that `keep` refuses; answers how many it dropped.
    pub(crate) fn retain_from(
        &mut self,
        first: usize,
        mut keep: impl FnMut(&mut Mbuf) -> bool,
    ) -> usize {
        let mut kept = first;
        for index in first..self.len {
            let Some(mut packet) = self.take(index) else {
                continue;
            };
            if keep(&mut packet)
                && let Some(place) = self.packets.get_mut(kept)
            {
                place.write(packet.into_raw().as_ptr());
                kept += 1;
            }
        }
        let dropped = self.len - kept;
        self.len = kept;
        dropped
    }

    /// Frees the packet at `index` and closes the gap.
    pub(crate) fn discard(&mut self, index: usize) {
        if index < self.len
            && let Some(packet) = self.take(index)
        {
            drop(packet);
            self.packets.copy_within(index + 1..self.len, index);
            self.len -= 1;
        }
    }

    /// The packets, for DPDK to send.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut *mut rte_mbuf {
        self.packets.as_mut_ptr().cast()
    }

    /// Forgets the first `count` packets, which now belong to a driver, and moves the others to the front.
    pub(crate) fn sent(&mut self, count: usize) {
        let count = count.min(self.len);
        self.packets.copy_within(count..self.len, 0);
        self.len -= count;
    }

    /// The packet at `index`, out of the array; the caller keeps the length right.
    fn take(&mut self, index: usize) -> Option<Mbuf> {
        let place = self.packets.get(index)?;
        // SAFETY: callers pass indices below the length the burst had, which were written.
        let raw = NonNull::new(unsafe { place.assume_init_read() })?;
        // SAFETY: it was put there by `push` or by a driver, as an owned packet, and is not read again.
        Some(unsafe { Mbuf::from_raw(raw) })
    }
}

impl<'burst, const N: usize> IntoIterator for &'burst Burst<N> {
    type Item = &'burst Mbuf;
    type IntoIter = slice::Iter<'burst, Mbuf>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<const N: usize> Default for Burst<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Drop for Burst<N> {
    fn drop(&mut self) {
        drop(self.drain());
    }
}

/// The packets of a burst, being taken out.
pub struct Drain<'burst, const N: usize> {
    burst: &'burst mut Burst<N>,
    next: usize,
    len: usize,
}

impl<const N: usize> Iterator for Drain<'_, N> {
    type Item = Mbuf;

    fn next(&mut self) -> Option<Mbuf> {
        if self.next == self.len {
            return None;
        }
        let packet = self.burst.take(self.next);
        self.next += 1;
        packet
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.next;
        (left, Some(left))
    }
}

impl<const N: usize> ExactSizeIterator for Drain<'_, N> {}

impl<const N: usize> Drop for Drain<'_, N> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<const N: usize> core::fmt::Debug for Burst<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Burst")
            .field("packets", &self.len)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(size_of::<Mbuf>() == size_of::<MaybeUninit<*mut rte_mbuf>>());
const _: () = assert!(size_of::<*mut rte_mbuf>() == size_of::<MaybeUninit<*mut rte_mbuf>>());
