//! The segments' ports: checked before DPDK starts, opened after, and dealt out to the cores.
//!
//! A limit of `AF_PACKET` ports: the kernel takes the outer tag out of a frame, and DPDK's driver (up to 22.11 at least) puts
//! it back as 802.1Q (0x8100) whatever it was. Customer tags and stacked 802.1Q tags pass as they came; a provider tag
//! (802.1ad, 0x88a8) leaves as 0x8100. `af_xdp:` and `pci:` ports have no such limit.

use std::path::Path;

use dpdk::{Eal, Mempool, Offloads, Port, PortConfig, PortInfo, RunningPort, RxQueue, TxQueue};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::CapabilitySet;
use sluice_packet::{CoreSpread, SegmentId, Side};
use sluice_schema::{Appliance, PortAddress};

use crate::failure::StartFailure;
use crate::limits::{
    AF_PACKET_FRAME_BYTES_MIN, AF_PACKET_FRAMES, AF_PACKET_HEADER_BYTES, FRAME_OVERHEAD_BYTES,
    MTU_BYTES_DEFAULT, MTU_BYTES_MAX, PAGE_BYTES, SPREAD_ENTRIES_DEFAULT,
};
use crate::status::say;

/// How one port will be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortPlan {
    /// The port, as configured.
    pub(crate) name: String,
    /// What DPDK is given.
    pub(crate) devargs: String,
    /// What of the machine only one data plane can have, if the port stands on such a thing.
    pub(crate) resource: Option<String>,
    /// The PCI device that the EAL has to take, if it is one.
    pub(crate) pci: Option<String>,
    /// Largest IP packet on it.
    pub(crate) mtu_bytes: u16,
    /// The segment's name.
    pub(crate) segment_name: String,
    /// The segment.
    pub(crate) segment: SegmentId,
    /// Which end of it.
    pub(crate) side: Side,
}

/// The ports, open.
pub(crate) struct Ports {
    /// In the order of the plans.
    pub(crate) running: Vec<OpenPort>,
    /// What each core has of them, in the order of the cores and then of the ports.
    pub(crate) per_core: Vec<Vec<CorePort>>,
    /// How flows find their core.
    pub(crate) spread: Spread,
}

/// An open port, for the main loop.
pub(crate) struct OpenPort {
    /// The port, as configured.
    pub(crate) name: String,
    /// The segment's name.
    pub(crate) segment_name: String,
    /// To ask it how it is.
    pub(crate) handle: RunningPort,
    /// The kernel's interface under it, if there is one.
    pub(crate) interface: Option<String>,
}

impl OpenPort {
    /// Whether its link is up; none when nobody can tell. DPDK's drivers of `AF_PACKET` and `AF_XDP` ports say that it is up
    /// whatever it is, so the kernel has its word first.
    pub(crate) fn link_up(&self) -> Option<bool> {
        let kernel = self.interface.as_deref().and_then(interface_up);
        kernel.or_else(|| self.handle.link().ok().map(|link| link.up))
    }
}

/// One core's share of a port.
#[derive(Debug)]
pub(crate) struct CorePort {
    /// The segment.
    pub(crate) segment: SegmentId,
    /// Which end of it.
    pub(crate) side: Side,
    /// The queue it receives from; none when another core receives for it.
    pub(crate) rx: Option<RxQueue>,
    /// How its frames leave.
    pub(crate) tx: Transmit,
}

/// How a core's frames leave through a port.
#[derive(Debug)]
pub(crate) enum Transmit {
    /// By a queue of its own.
    Own(TxQueue),
    /// By the core at this position, which has the port's only queue.
    Core(usize),
}

/// How both directions of a flow come to one core.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// There is one core.
    OneCore,
    /// The ports do most of it: a queue per core, the symmetric key, and tables that repeat the cores every so many entries.
    /// The receiving core hands over what they know nothing of.
    ByPorts {
        /// As many as each port's table has, or a power of two that divides it.
        entries: u16,
    },
    /// The receiving core computes the same hash and hands frames over.
    InSoftware,
}

/// Plans every port of the appliance, in the order of segments, side A before side B, and checks what can be checked
/// before DPDK starts.
///
/// # Errors
/// An interface is missing, or the process may not open it.
pub(crate) fn plan(appliance: &Appliance) -> Result<Vec<PortPlan>, StartFailure> {
    let mut plans = Vec::with_capacity(appliance.segments.len() * 2);
    for (position, segment) in appliance.segments.iter().enumerate() {
        let id = SegmentId(u16::try_from(position).unwrap_or(u16::MAX));
        for (side, address) in [(Side::A, &segment.port_a), (Side::B, &segment.port_b)] {
            check_permission(address)?;
            let mtu_bytes = check_interface(address)?;
            plans.push(PortPlan {
                name: address.to_string(),
                devargs: devargs(address, plans.len(), mtu_bytes),
                resource: resource(address),
                pci: match address {
                    PortAddress::Pci(device) => Some(device.clone()),
                    _ => None,
                },
                mtu_bytes,
                segment_name: segment.name.as_str().to_owned(),
                segment: id,
                side,
            });
        }
    }
    Ok(plans)
}

/// Opens and starts the planned ports for `cores` cores.
///
/// # Errors
/// A port does not come up.
pub(crate) fn open(
    eal: &Eal,
    plans: &[PortPlan],
    cores: usize,
    pool: Mempool,
) -> Result<Ports, StartFailure> {
    let mut attached = Vec::with_capacity(plans.len());
    for plan in plans {
        let failed = |error| StartFailure::Port {
            port: plan.name.clone(),
            error,
        };
        let port = Port::attach(eal, &plan.devargs).map_err(failed)?;
        let info = port.info().map_err(|error| failed(error.into()))?;
        attached.push((port, info));
    }
    let infos: Vec<&PortInfo> = attached.iter().map(|(_, info)| info).collect();
    let spread = spread(&infos, cores);

    let mut per_core: Vec<Vec<CorePort>> = (0..cores)
        .map(|_| Vec::with_capacity(plans.len()))
        .collect();
    let mut running = Vec::with_capacity(plans.len());
    for (plan, (port, info)) in plans.iter().zip(attached) {
        let failed = |error| StartFailure::Port {
            port: plan.name.clone(),
            error,
        };
        let count = u16::try_from(cores).unwrap_or(u16::MAX);
        let rss = match spread {
            Spread::ByPorts { entries } => Some(CoreSpread::new(entries, count)),
            Spread::OneCore | Spread::InSoftware => None,
        };
        let config = PortConfig {
            rx_queues: if rss.is_some() { count } else { 1 },
            tx_queues: if info.tx_queues_max >= count {
                count
            } else {
                1
            },
            rss,
            offloads: Offloads::ALL,
            ..PortConfig::default()
        };
        let started = port
            .configure(&config, &[pool])
            .map_err(failed)?
            .start()
            .map_err(|error| failed(error.into()))?;
        if let Some(error) = &started.astray {
            say(format_args!(
                "port {} spreads flows in its own way, so more frames change cores: {error}",
                plan.name
            ));
        }
        // Both ports of a segment hang on one core, so that most frames need no handing over.
        let home = usize::from(plan.segment.0) % cores.max(1);
        let (mut rx, mut tx) = (started.rx.into_iter(), started.tx.into_iter());
        let (only_rx, only_tx) = (config.rx_queues == 1, config.tx_queues == 1);
        for (position, ports) in per_core.iter_mut().enumerate() {
            let here = position == home;
            let rx = if !only_rx || here { rx.next() } else { None };
            let queue = if !only_tx || here { tx.next() } else { None };
            let tx = queue.map_or(Transmit::Core(home), Transmit::Own);
            ports.push(CorePort {
                segment: plan.segment,
                side: plan.side,
                rx,
                tx,
            });
        }
        running.push(OpenPort {
            name: plan.name.clone(),
            segment_name: plan.segment_name.clone(),
            handle: started.port,
            interface: plan
                .resource
                .as_deref()
                .and_then(|resource| resource.strip_prefix("interface/"))
                .map(str::to_owned),
        });
    }
    Ok(Ports {
        running,
        per_core,
        spread,
    })
}

impl Ports {
    /// A port cuts large segments.
    pub(crate) fn cut(&self) -> bool {
        self.per_core.iter().flatten().any(|port| match &port.tx {
            Transmit::Own(queue) => queue.offloads().tx_segmentation,
            Transmit::Core(_) => false,
        })
    }
}

/// The ports do the spreading only if each offers a queue per core, names every core in its table and hashes TCP of
/// both versions.
fn spread(infos: &[&PortInfo], cores: usize) -> Spread {
    if cores <= 1 {
        return Spread::OneCore;
    }
    let enough =
        |info: &&PortInfo| usize::from(info.rx_queues_max.min(info.tx_queues_max)) >= cores;
    if !infos
        .iter()
        .all(|info| enough(info) && info.rss.spreads_tcp())
    {
        return Spread::InSoftware;
    }
    // Every table is of a power of two, so the smallest divides them all; a port that does not say follows its own.
    let tables = infos.iter().map(|info| info.rss.table_entries);
    let smallest = tables.filter(|entries| *entries > 0).min();
    let entries = smallest.unwrap_or(SPREAD_ENTRIES_DEFAULT);
    if usize::from(entries) < cores {
        // Some cores would get nothing.
        return Spread::InSoftware;
    }
    Spread::ByPorts { entries }
}

/// Bytes of each frame in the rings of an `AF_PACKET` port, the kernel's header among them. The driver takes the rings for one
/// run of frames, so a block holds a whole number of them.
pub(crate) fn af_packet_frame_bytes(mtu_bytes: u16) -> u16 {
    let needed = mtu_bytes
        .saturating_add(FRAME_OVERHEAD_BYTES)
        .saturating_add(AF_PACKET_HEADER_BYTES);
    if needed <= AF_PACKET_FRAME_BYTES_MIN {
        AF_PACKET_FRAME_BYTES_MIN
    } else {
        needed
            .checked_next_multiple_of(PAGE_BYTES)
            .unwrap_or(u16::MAX)
    }
}

fn devargs(address: &PortAddress, number: usize, mtu_bytes: u16) -> String {
    match address {
        PortAddress::AfPacket(interface) => {
            let frame = af_packet_frame_bytes(mtu_bytes);
            let block = frame.max(PAGE_BYTES);
            format!(
                "net_af_packet{number},iface={interface},qpairs=1,blocksz={block},framesz={frame},\
                 framecnt={AF_PACKET_FRAMES},qdisc_bypass=1"
            )
        }
        PortAddress::AfXdp(interface) => {
            format!("net_af_xdp{number},iface={interface},start_queue=0,queue_count=1")
        }
        PortAddress::Tap(interface) => format!("net_tap{number},iface={interface}"),
        PortAddress::Pci(device) => device.clone(),
        PortAddress::Vdev(devargs) => devargs.clone(),
    }
}

fn resource(address: &PortAddress) -> Option<String> {
    match address {
        PortAddress::AfPacket(interface)
        | PortAddress::AfXdp(interface)
        | PortAddress::Tap(interface) => Some(format!("interface/{interface}")),
        PortAddress::Pci(device) => Some(format!("pci/{device}")),
        // A virtual device is the process's own, unless it names an interface.
        PortAddress::Vdev(devargs) => {
            let interface = devargs
                .split(',')
                .find_map(|argument| argument.strip_prefix("iface="))?;
            Some(format!("interface/{interface}"))
        }
    }
}

/// The interface's MTU, if the port has one that must be there already.
fn check_interface(address: &PortAddress) -> Result<u16, StartFailure> {
    let (PortAddress::AfPacket(interface) | PortAddress::AfXdp(interface)) = address else {
        return Ok(MTU_BYTES_DEFAULT);
    };
    let system = |error: rustix::io::Errno| StartFailure::System {
        what: "looking for an interface",
        error: error.into(),
    };
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(system)?;
    if rustix::net::netdevice::name_to_index(&socket, interface).is_err() {
        return Err(StartFailure::MissingInterface {
            port: address.to_string(),
            interface: interface.clone(),
        });
    }
    Ok(mtu_of(interface)
        .unwrap_or(MTU_BYTES_DEFAULT)
        .clamp(MTU_BYTES_DEFAULT, MTU_BYTES_MAX))
}

/// Whether the kernel holds an interface for able to carry frames (RFC 2863's `ifOperStatus`); one that does not track its
/// own state is taken at DPDK's word.
fn interface_up(interface: &str) -> Option<bool> {
    let place = format!("/sys/class/net/{interface}/operstate");
    match std::fs::read_to_string(place).ok()?.trim() {
        "up" => Some(true),
        "unknown" => None,
        _ => Some(false),
    }
}

/// `/proc/sys/net` shows the process's own network namespace, which `/sys` does only where it was mounted there.
fn mtu_of(interface: &str) -> Option<u16> {
    let places = [
        format!("/proc/sys/net/ipv6/conf/{interface}/mtu"),
        format!("/sys/class/net/{interface}/mtu"),
    ];
    places.iter().find_map(|place| {
        std::fs::read_to_string(Path::new(place))
            .ok()?
            .trim()
            .parse()
            .ok()
    })
}

fn check_permission(address: &PortAddress) -> Result<(), StartFailure> {
    let needed: &[(CapabilitySet, &'static str)] = match address {
        PortAddress::AfPacket(_) => &[
            (CapabilitySet::NET_RAW, "CAP_NET_RAW"),
            (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
        ],
        PortAddress::AfXdp(_) => &[
            (CapabilitySet::NET_RAW, "CAP_NET_RAW"),
            (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
            (CapabilitySet::BPF, "CAP_BPF"),
        ],
        PortAddress::Tap(_) => &[(CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN")],
        PortAddress::Pci(_) => &[(CapabilitySet::SYS_RAWIO, "CAP_SYS_RAWIO")],
        PortAddress::Vdev(_) => &[],
    };
    let Ok(held) = rustix::thread::capabilities(None) else {
        // A kernel that does not say will refuse by itself.
        return Ok(());
    };
    match needed
        .iter()
        .find(|(capability, _)| !held.effective.contains(*capability))
    {
        Some((_, capability)) => Err(StartFailure::NoPermission {
            port: address.to_string(),
            capability,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
