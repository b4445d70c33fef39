//! A thin safe layer over DPDK: EAL, pools, packets, ports, queues and cores.
//!
//! What is unsafe in DPDK is made safe by ownership: an [`Mbuf`] owns one packet buffer and gives it back when dropped;
//! a queue belongs to one thread at a time because receiving and sending need `&mut`; a port stops when its last handle
//! is gone, so no queue can outlive it; pools live as long as the process, so no packet can outlive its pool. [`Eal`]
//! proves that the environment is up, and whatever needs that asks for it.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use dpdk::{Burst, Eal, EalConfig, Mempool, Port, PortConfig};
//!
//! let eal = Eal::init(&EalConfig { memory_mib: 64, ..EalConfig::default() })?;
//! let pool = Mempool::new(&eal, "packets", 4_095, 250, 2_176, None)?;
//! let port = Port::attach(&eal, "net_ring0")?;
//! let mut running = port.configure(&PortConfig::default(), &[pool])?.start()?;
//! let mut burst: Burst = Burst::new();
//! running.rx[0].receive(&mut burst);
//! running.tx[0].send(&mut burst);
//! # Ok(()) }
//! ```

#![allow(
    unsafe_code,
    reason = "one of the three rooms that hold unsafe code; see ARCHITECTURE.md"
)]

mod burst;
mod clock;
mod eal;
mod error;
mod hugepages;
mod lcore;
pub mod limits;
mod log;
mod mbuf;
mod mempool;
mod offload;
mod port;
mod queue;
mod rss;

pub use burst::Burst;
pub use clock::{Clock, cycles, cycles_hz};
pub use eal::{Eal, EalConfig, Huge, InitError, LcorePlacement, Memory, version};
pub use error::{DpdkError, Errno, Operation};
pub use hugepages::{HugepageState, MemoryState, advise_hugepages};
pub use lcore::{LaunchError, Lcore, LcoreId, Panicked};
pub use mbuf::Mbuf;
pub use mempool::Mempool;
pub use offload::Offloads;
pub use port::{
    ConfiguredPort, Link, Port, PortConfig, PortError, PortInfo, PortStats, Running, RunningPort,
};
pub use queue::{RxQueue, TxQueue};
pub use rss::{RssCapability, symmetric_key};

#[cfg(test)]
mod tests;
