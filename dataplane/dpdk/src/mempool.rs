//! Packet pools.

use core::ffi::{c_char, c_int, c_uint};
use core::ptr::NonNull;
use std::ffi::CString;

use crate::eal::Eal;
use crate::error::{DpdkError, Errno, Operation};
use crate::limits::{NAME_BYTES_MAX, POOL_CACHE_PACKETS_MAX};
use crate::mbuf::Mbuf;

/// A pool of packet buffers, sized when it is made. It is a handle: copies name the same pool, which lives as long as
/// the process, so that no packet can outlive it.
#[derive(Copy, Clone, Debug)]
pub struct Mempool {
    raw: NonNull<dpdk_sys::rte_mempool>,
    packets: u32,
    data_room: u16,
}

// SAFETY: DPDK's default pools are multi-producer and multi-consumer, and are never freed; the handle is a plain pointer.
unsafe impl Send for Mempool {}
// SAFETY: as above: every method that takes `&self` is one DPDK allows from several threads at once.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Makes a pool of `packets` buffers of `data_room` bytes each, headroom included (2^n - 1 packets waste least).
    /// `cache` packets are kept per core so that the shared ring is touched seldom; DPDK takes at most 512, and at most
    /// two thirds of the pool. `socket` is the NUMA node the memory should be on; `None` leaves it to DPDK.
    ///
    /// # Errors
    /// Not enough memory, a name in use, or sizes that do not fit together.
    pub fn new(
        eal: &Eal,
        name: &str,
        packets: u32,
        cache: u32,
        data_room: u16,
        socket: Option<u16>,
    ) -> Result<Self, DpdkError> {
        let invalid = || DpdkError::from_code(Operation::CreatePool, name, -Errno::INVAL.0);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || packets == 0 {
            return Err(invalid());
        }
        let c_name = CString::new(name).map_err(|_| invalid())?;
        let cache = cache.min(POOL_CACHE_PACKETS_MAX).min(packets / 3 * 2);
        // SOCKET_ID_ANY is -1 in every release.
        let socket = socket.map_or(-1, c_int::from);
        let create = if eal.memory().hugepages {
            in_hugepages
        } else {
            dpdk_sys::dpdk_shim_pool_across_pages
        };
        // SAFETY: the EAL is up (`eal`); the name is NUL-terminated and copied by DPDK; sizes are checked by DPDK.
        let raw = unsafe { create(c_name.as_ptr(), packets, cache, data_room, socket) };
        match NonNull::new(raw) {
            Some(raw) => Ok(Self {
                raw,
                packets,
                data_room,
            }),
            None => Err(DpdkError::last(Operation::CreatePool, name)),
        }
    }

    /// An empty packet, or `None` when every buffer of the pool is in use.
    #[must_use]
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool is alive for the rest of the process, and a pool of packet buffers by construction.
        let raw = unsafe { dpdk_sys::rte_pktmbuf_alloc(self.raw.as_ptr()) };
        // SAFETY: a buffer just taken from a pool has one owner, this one, and a single segment.
        NonNull::new(raw).map(|raw| unsafe { Mbuf::from_raw(raw) })
    }

    /// Buffers the pool was made with.
    #[must_use]
    pub fn packets(&self) -> u32 {
        self.packets
    }

    /// Bytes of one buffer, headroom included.
    #[must_use]
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    /// Buffers free. Slow (it adds up every core's cache) and approximate while others allocate.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is alive for the rest of the process.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    /// Buffers in use, with the same caveats as [`Mempool::available`].
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.packets.saturating_sub(self.available())
    }

    pub(crate) fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.raw.as_ptr()
    }
}

/// [`dpdk_sys::rte_pktmbuf_pool_create`] without private data.
///
/// # Safety
/// The EAL is up, and `name` is NUL-terminated.
unsafe extern "C" fn in_hugepages(
    name: *const c_char,
    packets: c_uint,
    cache: c_uint,
    data_room: u16,
    socket: c_int,
) -> *mut dpdk_sys::rte_mempool {
    // SAFETY: as the caller promises; sizes are checked by DPDK.
    unsafe { dpdk_sys::rte_pktmbuf_pool_create(name, packets, cache, 0, data_room, socket) }
}
