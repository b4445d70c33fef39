//! A port's queues: where packets come from and go to.

use std::sync::Arc;

use crate::burst::Burst;
use crate::mbuf::Mbuf;
use crate::offload::Offloads;
use crate::port::Device;

/// One receive queue of a running port. It may move to another thread and cannot be shared: DPDK's receive paths belong
/// to one thread at a time.
#[derive(Debug)]
pub struct RxQueue {
    device: Arc<Device>,
    queue: u16,
    unusable: u64,
}

/// One transmit queue of a running port; like [`RxQueue`], for one thread at a time.
#[derive(Debug)]
pub struct TxQueue {
    device: Arc<Device>,
    queue: u16,
    offloads: Offloads,
    unsendable: u64,
}

impl RxQueue {
    pub(crate) fn new(device: Arc<Device>, queue: u16) -> Self {
        Self {
            device,
            queue,
            unusable: 0,
        }
    }

    /// Adds what has arrived to `burst`, as far as there is room, and says how many packets that were. Never waits, and
    /// allocates nothing. Tags a driver took out are back in the frames.
    pub fn receive<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        let before = burst.len();
        let (place, room) = burst.spare();
        if room == 0 {
            return 0;
        }
        // SAFETY: the port runs for as long as `device` is alive, `queue` was set up before it started, `&mut self`
        // keeps other threads off it, and `place` has room for `room` pointers.
        let count =
            unsafe { dpdk_sys::rte_eth_rx_burst(self.device.id(), self.queue, place, room) };
        if count == 0 {
            return 0;
        }
        // SAFETY: the driver wrote `count <= room` packets and handed their ownership over.
        unsafe { burst.grow(usize::from(count)) };
        let unusable = burst.retain_from(before, Mbuf::normalise);
        self.unusable = self.unusable.saturating_add(unusable as u64);
        burst.len() - before
    }

    /// Frames that had to be dropped because they could not be put into one piece or get their tags back.
    #[must_use]
    pub fn unusable(&self) -> u64 {
        self.unusable
    }
}

impl TxQueue {
    pub(crate) fn new(device: Arc<Device>, queue: u16, offloads: Offloads) -> Self {
        Self {
            device,
            queue,
            offloads,
            unsendable: 0,
        }
    }

    /// The offloads that frames sent here may ask for.
    #[must_use]
    pub const fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Frames dropped because the driver could not finish what they asked for.
    #[must_use]
    pub const fn unsendable(&self) -> u64 {
        self.unsendable
    }

    /// Hands packets to the driver, first to last, and says how many it took; those it had no room for stay in `burst`,
    /// in order.
    pub fn send<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        if self.offloads.tx_checksum {
            self.prepare(burst);
        }
        let Ok(count) = u16::try_from(burst.len()) else {
            return 0;
        };
        if count == 0 {
            return 0;
        }
        // SAFETY: as in `receive`; the first `count` pointers are owned packets, of which the driver takes over as many
        // as it answers.
        let sent = unsafe {
            dpdk_sys::rte_eth_tx_burst(self.device.id(), self.queue, burst.as_mut_ptr(), count)
        };
        burst.sent(usize::from(sent));
        usize::from(sent)
    }

    /// Lets the driver put unfinished frames into the form its device wants. Asking twice does no harm: it is done for
    /// those that found no room again.
    fn prepare<const N: usize>(&mut self, burst: &mut Burst<N>) {
        while let Ok(count @ 1..) = u16::try_from(burst.len()) {
            // SAFETY: as in `send`; the packets stay ours.
            let ready = unsafe {
                dpdk_sys::rte_eth_tx_prepare(
                    self.device.id(),
                    self.queue,
                    burst.as_mut_ptr(),
                    count,
                )
            };
            if ready >= count {
                return;
            }
            // The driver stops at the first frame that it cannot send.
            burst.discard(usize::from(ready));
            self.unsendable = self.unsendable.saturating_add(1);
        }
    }
}
