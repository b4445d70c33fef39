//! From the first generation to cores that poll.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crossbeam_channel::{Sender, bounded};
use dpdk::{Clock, Eal, EalConfig, Huge, Lcore, LcoreId, LcorePlacement, Mempool};
use sluice_packet::key_tunnels;
use sluice_pki::LeafKey;
use sluice_proxy::{MemoryBudget, PortMtus, SessionLoad, WorkerSettings};
use sluice_random::{CoreRandom, Source};
use sluice_schema::{Appliance, Hugepages};
use sluice_shm::{EventProducer, StatsSegment};
use sluice_telemetry::FallbackReasons;

use crate::adoption::Offer;
use crate::affinity::Affinity;
use crate::claim::PortClaim;
use crate::core_loop::{self, Command, Core};
use crate::exhaustion::Buffers;
use crate::failure::StartFailure;
use crate::handoff::Mesh;
use crate::helpers::Helpers;
use crate::limits::{
    COMMANDS_MAX, DATA_ROOM_BYTES_MIN, LARGE_DATA_ROOM_BYTES, LARGE_POOL_PACKETS,
    PACKET_OVERHEAD_BYTES, POOL_CACHE_PACKETS, POOL_PACKETS_MAX, POOL_PACKETS_MIN,
    POOL_SHARE_PERCENT, SPREAD_ENTRIES_DEFAULT,
};
use crate::ports::{self, OpenPort, PortPlan, Spread};
use crate::status::say;
use crate::wall_clock;

/// A data plane that runs.
pub(crate) struct Plane {
    /// What it booted with.
    pub(crate) appliance: Appliance,
    /// Its cores.
    pub(crate) cores: Vec<CoreHandle>,
    /// Its ports.
    pub(crate) ports: Vec<OpenPort>,
    /// The statistics segment's descriptor, to be offered to every `sluiced` that comes.
    pub(crate) stats: OwnedFd,
    /// The event rings' descriptors, in the order of the cores.
    pub(crate) rings: Vec<OwnedFd>,
    /// The helper threads.
    pub(crate) helpers: Helpers,
    /// The packet buffers.
    pub(crate) buffers: Buffers,
    /// Why RDRAND does not seed the generators, if so.
    pub(crate) without_rdrand: Option<String>,
    _claims: Vec<PortClaim>,
}

/// The main loop's view of a core.
pub(crate) struct CoreHandle {
    /// The core, as configured.
    pub(crate) core: u16,
    /// Its work.
    pub(crate) lcore: Lcore<()>,
    /// The way to it.
    pub(crate) commands: Sender<Command>,
    /// The generation it decides by; zero before the first.
    pub(crate) adopted: Arc<AtomicU64>,
    /// Its random numbers have failed their health test.
    pub(crate) random_unhealthy: Arc<AtomicBool>,
    /// The reasons for layer-2 fallback that it was told last.
    pub(crate) fallback: FallbackReasons,
}

/// What can be checked without touching anything, so that another generation can still be tried afterwards.
#[derive(Debug)]
pub(crate) struct Checked {
    plans: Vec<PortPlan>,
    claims: Vec<PortClaim>,
}

/// Checks the boot settings against the machine: interfaces, permissions, ports nobody else has.
///
/// # Errors
/// The first thing that does not fit.
pub(crate) fn check(appliance: &Appliance) -> Result<Checked, StartFailure> {
    let plans = ports::plan(appliance)?;
    let claims = plans
        .iter()
        .filter_map(|plan| Some(PortClaim::take(&plan.name, plan.resource.as_deref()?)))
        .collect::<Result<_, _>>()?;
    Ok(Checked { plans, claims })
}

/// Nothing of this process lies in transparent hugepages from here on, whatever the allocator asks for (`PR_SET_THP_DISABLE` of
/// prctl(2)).
fn keep_to_ordinary_pages() -> Result<(), StartFailure> {
    rustix::thread::disable_transparent_huge_pages(true).map_err(|errno| StartFailure::System {
        what: "keeping to ordinary pages, as configured (hugepages = \"off\")",
        error: errno.into(),
    })
}

/// Starts DPDK, opens the ports and launches the cores, which have the generation before their first packet.
///
/// # Errors
/// Whatever of it fails; DPDK cannot be started twice in a process, so that is the end of it.
pub(crate) fn boot(
    checked: Checked,
    offer: &Offer,
    stop: &Arc<AtomicBool>,
) -> Result<Plane, StartFailure> {
    let Checked { plans, claims } = checked;
    let appliance = &offer.snapshot.configuration.appliance;
    let settings = &appliance.dataplane;
    let affinity = Affinity::new(&settings.cores, settings.main_core);
    if settings.hugepages == Hugepages::Off {
        keep_to_ordinary_pages()?;
    }
    let eal = Eal::init(&eal_config(appliance, &plans))?;
    report_memory(&eal);

    let mtu_bytes = plans
        .iter()
        .map(|plan| plan.mtu_bytes)
        .max()
        .unwrap_or_default();
    let mut mtus = PortMtus::default();
    for plan in &plans {
        mtus.set(plan.segment, plan.side, plan.mtu_bytes);
    }
    let pool = packet_pool(&eal, settings.memory_mib, mtu_bytes)?;
    let ports = ports::open(&eal, &plans, settings.cores.len(), pool)?;
    let large = ports.cut().then(|| large_pool(&eal)).flatten();
    for plan in &plans {
        say(format_args!(
            "port {} is open (segment {})",
            plan.name, plan.segment_name
        ));
    }

    let buffers = Buffers::new(pool);
    let mut random = CoreRandom::new()?;
    say(format_args!(
        "random numbers are seeded by {}",
        random.source()
    ));
    let leaf_key = Arc::new(LeafKey::generate(&mut random)?);
    let mut hash_key = [0; 16];
    random.fill(&mut hash_key);
    let mut tunnel_key = [0; 16];
    random.fill(&mut tunnel_key);
    key_tunnels(tunnel_key);
    let without_rdrand = match random.source() {
        Source::System(fault) => Some(fault.to_string()),
        Source::Rdrand | Source::Fixed => None,
    };

    let started_unix_us = wall_clock::unix_us();
    let (segment, stats) = StatsSegment::create(&settings.cores, started_unix_us, started_unix_us)?;
    let segment = Arc::new(segment);
    let (helpers, helper_ports) = Helpers::start(settings.cores.len(), &affinity)?;
    let mut meshes = match ports.spread {
        Spread::OneCore => Vec::new(),
        Spread::ByPorts { entries } => Mesh::between(settings.cores.len(), entries),
        Spread::InSoftware => Mesh::between(settings.cores.len(), SPREAD_ENTRIES_DEFAULT),
    }
    .into_iter();
    let clock = Clock::start(&eal);
    let flows_max = usize::try_from(appliance.limits.flows_max)
        .unwrap_or(usize::MAX)
        .div_ceil(settings.cores.len().max(1));

    let load = Arc::new(SessionLoad::default());
    let mut cores = Vec::with_capacity(settings.cores.len());
    let mut rings = Vec::with_capacity(settings.cores.len());
    let shares = settings.cores.iter().zip(ports.per_core).zip(helper_ports);
    for (position, ((core, share), helpers)) in shares.enumerate() {
        let (events, ring) =
            EventProducer::create(*core, sluice_shm::limits::EVENT_RING_BYTES_DEFAULT)?;
        rings.push(ring);
        let (commands, taken) = bounded(COMMANDS_MAX);
        // Before the first packet, so that none passes a core that knows of no policy yet.
        let _ = commands.try_send(offer.command());
        let adopted = Arc::new(AtomicU64::new(0));
        let random_unhealthy = Arc::new(AtomicBool::new(false));
        let work = Core {
            position,
            core: *core,
            ports: share,
            pool,
            large,
            stats: Arc::clone(&segment),
            events,
            helpers,
            mesh: meshes.next(),
            commands: taken,
            adopted: Arc::clone(&adopted),
            buffers: buffers.clone(),
            random_unhealthy: Arc::clone(&random_unhealthy),
            stop: Arc::clone(stop),
            clock,
            idle: settings.idle,
            hugepages: settings.hugepages != Hugepages::Off,
            worker: WorkerSettings {
                flows_max,
                leaf_key: Arc::clone(&leaf_key),
                hash_key,
                load: Arc::clone(&load),
                memory: MemoryBudget::default(),
                mtus: mtus.clone(),
                now: clock.now(),
            },
        };
        let lcore = launch(&eal, position, *core, work)?;
        cores.push(CoreHandle {
            core: *core,
            lcore,
            commands,
            adopted,
            random_unhealthy,
            fallback: FallbackReasons::default(),
        });
    }
    Ok(Plane {
        appliance: appliance.clone(),
        cores,
        ports: ports.running,
        stats,
        rings,
        helpers,
        buffers,
        without_rdrand,
        _claims: claims,
    })
}

fn launch(eal: &Eal, position: usize, core: u16, work: Core) -> Result<Lcore<()>, StartFailure> {
    let (ready, told) = bounded(1);
    let lcore = Lcore::launch(eal, worker_lcore(position), move || {
        core_loop::run(work, &ready);
    })?;
    // A core that ends without a word has dropped its end of the channel.
    told.recv()
        .unwrap_or(Err(StartFailure::CoreEnded { core }))?;
    Ok(lcore)
}

/// DPDK's number for the core at a position. The main lcore has 0; CPUs are named by the placement, so that any CPU number
/// will do.
fn worker_lcore(position: usize) -> LcoreId {
    LcoreId(u16::try_from(position + 1).unwrap_or(u16::MAX))
}

fn eal_config(appliance: &Appliance, plans: &[PortPlan]) -> EalConfig {
    let settings = &appliance.dataplane;
    let main = LcorePlacement {
        lcore: LcoreId(0),
        cpu: settings.main_core,
    };
    let workers = settings
        .cores
        .iter()
        .enumerate()
        .map(|(position, cpu)| LcorePlacement {
            lcore: worker_lcore(position),
            cpu: *cpu,
        });
    EalConfig {
        lcores: std::iter::once(main).chain(workers).collect(),
        main_lcore: LcoreId(0),
        memory_mib: settings.memory_mib,
        hugepages: match settings.hugepages {
            Hugepages::Auto => Huge::Auto,
            Hugepages::Require => Huge::Require,
            Hugepages::Off => Huge::Off,
        },
        pci_allow: plans.iter().filter_map(|plan| plan.pci.clone()).collect(),
        ..EalConfig::default()
    }
}

fn report_memory(eal: &Eal) {
    let memory = eal.memory();
    match (memory.hugepages, &memory.why_not) {
        (true, _) => say(format_args!(
            "{}: {} MiB in hugepages",
            dpdk::version(),
            memory.mib
        )),
        (false, Some(why)) => say(format_args!(
            "{}: {} MiB without hugepages: {why}",
            dpdk::version(),
            memory.mib
        )),
        (false, None) => say(format_args!(
            "{}: {} MiB without hugepages, as configured",
            dpdk::version(),
            memory.mib
        )),
    }
}

fn packet_pool(eal: &Eal, memory_mib: u32, mtu_bytes: u16) -> Result<Mempool, StartFailure> {
    let headroom = u16::try_from(dpdk::limits::HEADROOM_BYTES).unwrap_or(u16::MAX);
    // An AF_PACKET port wants buffers that hold the kernel's frames, whatever they carry.
    let data_room = ports::af_packet_frame_bytes(mtu_bytes)
        .saturating_add(headroom)
        .max(DATA_ROOM_BYTES_MIN);
    let packets = packets_for(memory_mib, data_room);
    if packets < POOL_PACKETS_MIN {
        let enough =
            (memory_mib..u32::MAX).find(|mib| packets_for(*mib, data_room) >= POOL_PACKETS_MIN);
        return Err(StartFailure::TooFewPackets {
            mib: memory_mib,
            packets,
            needed: POOL_PACKETS_MIN,
            enough: enough.unwrap_or(u32::MAX),
        });
    }
    Ok(Mempool::new(
        eal,
        "packets",
        packets,
        POOL_CACHE_PACKETS,
        data_room,
        None,
    )?)
}

/// Buffers for segments that a port is to cut. Without them, where memory is short, they are cut before they get there.
fn large_pool(eal: &Eal) -> Option<Mempool> {
    let pool = Mempool::new(
        eal,
        "segments",
        LARGE_POOL_PACKETS,
        0,
        LARGE_DATA_ROOM_BYTES,
        None,
    );
    match pool {
        Ok(pool) => Some(pool),
        Err(error) => {
            say(format_args!("segments are cut in software: {error}"));
            None
        }
    }
}

/// Packet buffers of `data_room` bytes in the pool's share of the memory.
fn packets_for(memory_mib: u32, data_room: u16) -> u32 {
    let share = u64::from(memory_mib) * 1_024 * 1_024 * POOL_SHARE_PERCENT / 100;
    let packets = share / (u64::from(data_room) + u64::from(PACKET_OVERHEAD_BYTES));
    u32::try_from(packets)
        .unwrap_or(u32::MAX)
        .min(POOL_PACKETS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_keeps_to_ordinary_pages_gets_no_others() {
        let disabled = || rustix::thread::transparent_huge_pages_are_disabled().expect("Linux");
        assert!(!disabled());
        keep_to_ordinary_pages().expect("anybody may");
        assert!(disabled());
    }

    #[test]
    fn the_pool_takes_its_share_of_the_memory() {
        let packets = packets_for(256, DATA_ROOM_BYTES_MIN);
        assert!((60_000..70_000).contains(&packets), "{packets}");
        assert!(
            packets_for(64, DATA_ROOM_BYTES_MIN) >= POOL_PACKETS_MIN,
            "the least that is useful"
        );
        assert!(packets_for(32, 9_400) < POOL_PACKETS_MIN);
        assert_eq!(packets_for(u32::MAX, DATA_ROOM_BYTES_MIN), POOL_PACKETS_MAX);
    }
}
