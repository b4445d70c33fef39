//! Ports: found, configured, started, and stopped when nobody uses them any more.

mod facts;
mod spread;

use core::ffi::{CStr, c_int};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::ffi::CString;
use std::sync::Arc;

use sluice_packet::CoreSpread;

pub use facts::{Link, PortConfig, PortError, PortInfo, PortStats};

use crate::eal::Eal;
use crate::error::{DpdkError, Operation, check};
use crate::limits::{DEVARGS_BYTES_MAX, PORTS_MAX};
use crate::mempool::Mempool;
use crate::offload::Offloads;
use crate::queue::{RxQueue, TxQueue};
use crate::rss::{RssCapability, symmetric_key};

/// A port that is not configured yet.
#[derive(Debug)]
pub struct Port {
    device: Device,
}

/// A port with its queues set up.
#[derive(Debug)]
pub struct ConfiguredPort {
    device: Device,
    rx_queues: u16,
    tx_queues: u16,
    offloads: Offloads,
    rss: Option<CoreSpread>,
}

/// A running port and its queues, which can go to different threads.
#[derive(Debug)]
pub struct Running {
    /// Why flows that were to be spread may lie on other queues than those of their cores.
    pub astray: Option<DpdkError>,
    /// To ask the port how it is.
    pub port: RunningPort,
    /// Its receive queues, in order.
    pub rx: Vec<RxQueue>,
    /// Its transmit queues, in order.
    pub tx: Vec<TxQueue>,
}

/// A handle on a running port. The port stops when this and every queue of it are gone.
#[derive(Clone, Debug)]
pub struct RunningPort {
    device: Arc<Device>,
}

impl Port {
    /// The port of that name, which the EAL found at its start or [`Port::attach`] brought in.
    ///
    /// # Errors
    /// There is none, or something in this process has it.
    pub fn by_name(_eal: &Eal, name: &str) -> Result<Self, PortError> {
        let c_name = c_string(name)?;
        let mut id = 0_u16;
        // SAFETY: the EAL is up; the name is NUL-terminated and `id` is writable.
        let code = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &raw mut id) };
        if code != 0 {
            return Err(PortError::NotFound {
                name: name.to_owned(),
            });
        }
        match Claim::take(id) {
            Some(claim) => Ok(Self {
                device: Device {
                    id,
                    name: name.to_owned(),
                    started: AtomicBool::new(false),
                    attached: false,
                    _claim: claim,
                },
            }),
            None => Err(PortError::Taken {
                name: name.to_owned(),
            }),
        }
    }

    /// Brings a device in while the process runs, by DPDK's arguments for it: `net_ring0`,
    /// `net_af_packet0,iface=eth1`, or the address of a PCI device the EAL was allowed to take.
    ///
    /// # Errors
    /// The driver refused; the error quotes what it said.
    pub fn attach(eal: &Eal, devargs: &str) -> Result<Self, PortError> {
        let name = devargs.split(',').next().unwrap_or(devargs).to_owned();
        match Self::by_name(eal, &name) {
            Err(PortError::NotFound { .. }) => {}
            present => return present,
        }
        let c_devargs = c_string(devargs)?;
        drop(crate::log::take());
        // SAFETY: the EAL is up (`eal`); the arguments are NUL-terminated and copied by the bus.
        let code = unsafe { dpdk_sys::rte_dev_probe(c_devargs.as_ptr()) };
        check(Operation::AttachPort, &name, code)?;
        let mut port = Self::by_name(eal, &name)?;
        port.device.attached = true;
        Ok(port)
    }

    /// The port's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// What the port is and can do.
    pub fn info(&self) -> Result<PortInfo, DpdkError> {
        self.device.info()
    }

    /// Sets queues and features. Receive queue `n` takes its buffers from `pools[n % pools.len()]`.
    ///
    /// # Errors
    /// The port offers less than is asked for.
    pub fn configure(
        self,
        config: &PortConfig,
        pools: &[Mempool],
    ) -> Result<ConfiguredPort, PortError> {
        let device = self.device;
        let name = device.name.clone();
        let info = device.raw_info()?;
        if config.rx_queues > info.max_rx_queues || config.tx_queues > info.max_tx_queues {
            return Err(PortError::TooFewQueues {
                name,
                rx: info.max_rx_queues,
                tx: info.max_tx_queues,
            });
        }
        if pools.is_empty() && config.rx_queues > 0 {
            return Err(PortError::NoPool { name });
        }
        drop(crate::log::take());

        let rss = capability(&info);
        // The driver copies the key while it is being configured; it is alive until then.
        let mut key = symmetric_key(rss.key_bytes);
        let mut conf = dpdk_sys::rte_eth_conf::default();
        let offloads = config.offloads.and(Offloads::of(&info));
        conf.rxmode.offloads = offloads.rx_bits();
        conf.txmode.offloads = offloads.tx_bits();
        let spread = config
            .rss
            .filter(|_| config.rx_queues > 1 && rss.spreads_tcp());
        if spread.is_some() {
            conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_key = key.as_mut_ptr();
            conf.rx_adv_conf.rss_conf.rss_key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
            conf.rx_adv_conf.rss_conf.rss_hf = rss.wanted();
        }
        // SAFETY: the port exists and is not running; `conf` and the key it points to are valid for the call.
        let code = unsafe {
            dpdk_sys::rte_eth_dev_configure(
                device.id,
                config.rx_queues,
                config.tx_queues,
                &raw const conf,
            )
        };
        check(Operation::ConfigurePort, &name, code)?;

        if let Some(mtu) = config.mtu {
            // SAFETY: the port exists and is configured.
            let code = unsafe { dpdk_sys::rte_eth_dev_set_mtu(device.id, mtu) };
            check(Operation::SetMtu, &name, code)?;
        }
        device.set_up_queues(config, pools)?;
        if config.promiscuous {
            device.promiscuous(&info)?;
        }
        Ok(ConfiguredPort {
            device,
            rx_queues: config.rx_queues,
            tx_queues: config.tx_queues,
            offloads,
            rss: spread,
        })
    }
}

impl ConfiguredPort {
    /// The port's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// Starts the port: frames flow from here on.
    ///
    /// # Errors
    /// The driver refused.
    pub fn start(self) -> Result<Running, DpdkError> {
        let Self {
            device,
            rx_queues,
            tx_queues,
            offloads,
            rss,
        } = self;
        // SAFETY: the port exists, is configured and has its queues set up.
        let code = unsafe { dpdk_sys::rte_eth_dev_start(device.id) };
        check(Operation::StartPort, &device.name, code)?;
        device.started.store(true, Ordering::Release);
        // Drivers put a table of their own in place when they start.
        let astray = rss.and_then(|spread| device.spread(spread, rx_queues).err());
        let device = Arc::new(device);
        let rx = (0..rx_queues)
            .map(|queue| RxQueue::new(Arc::clone(&device), queue))
            .collect();
        let tx = (0..tx_queues)
            .map(|queue| TxQueue::new(Arc::clone(&device), queue, offloads))
            .collect();
        Ok(Running {
            astray,
            port: RunningPort { device },
            rx,
            tx,
        })
    }
}

impl Running {
    /// Stops the port, all of whose handles are here unless [`RunningPort`] was cloned.
    pub fn stop(self) {
        drop(self);
    }
}

impl RunningPort {
    /// The port's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// What the port is and can do.
    pub fn info(&self) -> Result<PortInfo, DpdkError> {
        self.device.info()
    }

    /// The driver's name; empty if it does not say.
    #[must_use]
    pub fn driver(&self) -> String {
        self.device
            .info()
            .map(|info| info.driver)
            .unwrap_or_default()
    }

    /// The port's own Ethernet address.
    pub fn mac(&self) -> Result<[u8; 6], DpdkError> {
        let mut address = dpdk_sys::rte_ether_addr::default();
        // SAFETY: the port exists and `address` is writable.
        let code = unsafe { dpdk_sys::rte_eth_macaddr_get(self.device.id, &raw mut address) };
        check(Operation::ReadPort, &self.device.name, code)?;
        Ok(address.addr_bytes)
    }

    /// How the link is, without waiting for it.
    pub fn link(&self) -> Result<Link, DpdkError> {
        let mut speed_mbps = 0_u32;
        let mut up: c_int = 0;
        let mut full: c_int = 0;
        // SAFETY: the port exists and the three places are writable.
        let code = unsafe {
            dpdk_sys::dpdk_shim_link(
                self.device.id,
                &raw mut speed_mbps,
                &raw mut up,
                &raw mut full,
            )
        };
        check(Operation::ReadPort, &self.device.name, code)?;
        Ok(Link {
            up: up != 0,
            speed_mbps,
            full_duplex: full != 0,
        })
    }

    /// What the port has counted since it started.
    pub fn stats(&self) -> Result<PortStats, DpdkError> {
        let mut raw = dpdk_sys::rte_eth_stats::default();
        // SAFETY: the port exists and `raw` is writable.
        let code = unsafe { dpdk_sys::rte_eth_stats_get(self.device.id, &raw mut raw) };
        check(Operation::ReadPort, &self.device.name, code)?;
        Ok(PortStats {
            rx_packets: raw.ipackets,
            tx_packets: raw.opackets,
            rx_bytes: raw.ibytes,
            tx_bytes: raw.obytes,
            rx_missed: raw.imissed,
            rx_errors: raw.ierrors,
            tx_errors: raw.oerrors,
            rx_no_buffer: raw.rx_nombuf,
        })
    }
}

/// A port this process owns. Stops and closes when dropped, which the last handle or queue does.
#[derive(Debug)]
pub(crate) struct Device {
    id: u16,
    name: String,
    started: AtomicBool,
    // True for a device that this process brought in, and takes out again.
    attached: bool,
    _claim: Claim,
}

impl Device {
    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    fn raw_info(&self) -> Result<dpdk_sys::rte_eth_dev_info, DpdkError> {
        let mut info = dpdk_sys::rte_eth_dev_info::default();
        // SAFETY: the port exists and `info` is writable.
        let code = unsafe { dpdk_sys::rte_eth_dev_info_get(self.id, &raw mut info) };
        check(Operation::ReadPort, &self.name, code)?;
        Ok(info)
    }

    fn info(&self) -> Result<PortInfo, DpdkError> {
        let raw = self.raw_info()?;
        let driver = if raw.driver_name.is_null() {
            String::new()
        } else {
            // SAFETY: not null; a driver's name is a NUL-terminated string in its static memory.
            unsafe { CStr::from_ptr(raw.driver_name) }
                .to_string_lossy()
                .into_owned()
        };
        Ok(PortInfo {
            driver,
            rx_queues_max: raw.max_rx_queues,
            tx_queues_max: raw.max_tx_queues,
            mtu: (raw.min_mtu, raw.max_mtu),
            rss: capability(&raw),
            offloads: Offloads::of(&raw),
            socket: self.socket(),
        })
    }

    fn socket(&self) -> Option<u16> {
        // SAFETY: the port exists.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id) };
        u16::try_from(socket).ok()
    }

    fn set_up_queues(&self, config: &PortConfig, pools: &[Mempool]) -> Result<(), DpdkError> {
        let (mut rx_descriptors, mut tx_descriptors) =
            (config.rx_descriptors, config.tx_descriptors);
        // SAFETY: the port exists and is configured; both numbers are writable.
        let code = unsafe {
            dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(
                self.id,
                &raw mut rx_descriptors,
                &raw mut tx_descriptors,
            )
        };
        check(Operation::ConfigurePort, &self.name, code)?;
        // No particular node: -1 in every release.
        let socket = u32::try_from(self.socket().map_or(-1, c_int::from)).unwrap_or(u32::MAX);
        for (queue, pool) in (0..config.rx_queues).zip(pools.iter().cycle()) {
            // SAFETY: the queue is below the configured count, the pool lives as long as the process, and a null
            // configuration means the driver's defaults.
            let code = unsafe {
                dpdk_sys::rte_eth_rx_queue_setup(
                    self.id,
                    queue,
                    rx_descriptors,
                    socket,
                    ptr::null(),
                    pool.as_ptr(),
                )
            };
            check(Operation::SetUpReceiveQueue, &self.name, code)?;
        }
        for queue in 0..config.tx_queues {
            // SAFETY: as above.
            let code = unsafe {
                dpdk_sys::rte_eth_tx_queue_setup(
                    self.id,
                    queue,
                    tx_descriptors,
                    socket,
                    ptr::null(),
                )
            };
            check(Operation::SetUpTransmitQueue, &self.name, code)?;
        }
        Ok(())
    }

    fn promiscuous(&self, info: &dpdk_sys::rte_eth_dev_info) -> Result<(), DpdkError> {
        // SAFETY: the port exists.
        let code = unsafe { dpdk_sys::rte_eth_promiscuous_enable(self.id) };
        match check(Operation::SetPromiscuous, &self.name, code) {
            // A virtual device without a kernel interface has no filter to open.
            Err(error) if error.errno == crate::Errno::NOTSUP && info.if_index == 0 => Ok(()),
            outcome => outcome,
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let device = self.raw_info().map_or(ptr::null_mut(), |info| info.device);
        if self.started.load(Ordering::Acquire) {
            // SAFETY: the port exists; queues hold this device alive, so nobody receives or sends any more.
            let _ = unsafe { dpdk_sys::rte_eth_dev_stop(self.id) };
        }
        // SAFETY: the port exists and is stopped; this is its last use before the claim on its number is given up.
        let _ = unsafe { dpdk_sys::rte_eth_dev_close(self.id) };
        if self.attached && !device.is_null() {
            // SAFETY: the bus keeps the device until it is removed, which happens here and nowhere else.
            let _ = unsafe { dpdk_sys::rte_dev_remove(device) };
        }
    }
}

/// The exclusive right to a port's number.
#[derive(Debug)]
struct Claim(u16);

static CLAIMED: [AtomicBool; PORTS_MAX] = [const { AtomicBool::new(false) }; PORTS_MAX];

impl Claim {
    fn take(id: u16) -> Option<Self> {
        let taken = CLAIMED.get(usize::from(id))?.swap(true, Ordering::AcqRel);
        (!taken).then_some(Self(id))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claimed) = CLAIMED.get(usize::from(self.0)) {
            claimed.store(false, Ordering::Release);
        }
    }
}

fn capability(info: &dpdk_sys::rte_eth_dev_info) -> RssCapability {
    RssCapability {
        key_bytes: info.hash_key_size,
        table_entries: info.reta_size,
        hashes: info.flow_type_rss_offloads,
    }
}

fn c_string(devargs: &str) -> Result<CString, PortError> {
    let bad = || PortError::BadName {
        devargs: devargs.chars().take(80).collect(),
    };
    if devargs.is_empty()
        || devargs.len() > DEVARGS_BYTES_MAX
        || devargs.chars().any(char::is_control)
    {
        return Err(bad());
    }
    CString::new(devargs).map_err(|_| bad())
}
