use std::path::Path;

use dpdk::{Eal, EalConfig, Huge, Lcore, LcoreId, LcorePlacement};
use sluice_pki::LeafKey;
use sluice_random::CoreRandom;
use sluice_shm::StatsView;

use super::*;
use crate::affinity::Affinity;
use crate::helpers::Helpers;
use crate::limits::{HANDOFF_PACKETS_MAX, SPREAD_ENTRIES_DEFAULT};
use crate::ports::{self, PortPlan, Spread};

/// A capture file of these frames, as DPDK's pcap ports read it.
fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let mut file = [
        &0xa1b2_c3d4_u32.to_le_bytes()[..],
        &[2, 0, 4, 0],
        &[0; 8],
        &65_535_u32.to_le_bytes(),
        &[1, 0, 0, 0],
    ]
    .concat();
    for frame in frames {
        let len = u32::try_from(frame.len()).expect("a frame").to_le_bytes();
        file.extend([&[0; 8][..], &len, &len, frame].concat());
    }
    std::fs::write(path, file).expect("a file");
}

fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).expect("a file");
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
        let (frame, tail) = tail.split_at(len as usize);
        frames.push(frame.to_vec());
        rest = tail;
    }
    frames
}

fn syn(port: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 201, 1, 2, 10, 201, 2, 2,
    ]);
    frame.extend(port.to_be_bytes());
    frame.extend([
        1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    frame
}

fn arp(number: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend([0x08, 0x06]);
    frame.extend(number.to_be_bytes());
    frame.extend([0; 44]);
    frame
}

/// Two cores, on however many CPUs there are, between two pcap ports that have one queue each.
#[test]
fn two_cores_share_the_flows_of_a_single_queue_and_lose_nothing() {
    let cores = 2;
    let placements = (0..=cores).map(|id| LcorePlacement {
        lcore: LcoreId(id),
        cpu: 0,
    });
    let config = EalConfig {
        lcores: placements.collect(),
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    let affinity = Affinity::new(&[], 0);
    let eal = Eal::init(&config).expect("the EAL");
    let pool = Mempool::new(&eal, "packets", 8_191, 250, 2_176, None).expect("a pool");

    let directory = std::env::temp_dir().join(format!("sluice-two-cores-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let there: Vec<_> = (0..1_000)
        .flat_map(|number| [syn(20_000 + number), arp(number)])
        .collect();
    let back: Vec<_> = (0..500).map(arp).collect();
    let plans: Vec<PortPlan> = [(Side::A, &there), (Side::B, &back)]
        .into_iter()
        .enumerate()
        .map(|(number, (side, frames))| {
            let (received, sent) = (
                directory.join(format!("in{number}")),
                directory.join(format!("out{number}")),
            );
            write_capture(&received, frames);
            PortPlan {
                name: format!("vdev:net_pcap{number}"),
                devargs: format!(
                    "net_pcap{number},rx_pcap={},tx_pcap={}",
                    received.display(),
                    sent.display()
                ),
                resource: None,
                pci: None,
                mtu_bytes: 1_500,
                segment_name: "one".to_owned(),
                segment: SegmentId(0),
                side,
            }
        })
        .collect();
    let ports = ports::open(&eal, &plans, usize::from(cores), pool).expect("open");
    assert_eq!(ports.spread, Spread::InSoftware);

    let (stats, stats_fd) = StatsSegment::create(&[1, 2], 1, 1).expect("statistics");
    let view = StatsView::open(stats_fd).expect("statistics");
    let stats = Arc::new(stats);
    let (helpers, helper_ports) = Helpers::start(2, &affinity).expect("helpers");
    let stop = Arc::new(AtomicBool::new(false));
    let leaf_key =
        Arc::new(LeafKey::generate(&mut CoreRandom::new().expect("random")).expect("a key"));
    let clock = Clock::start(&eal);
    let buffers = Buffers::new(pool);
    let mut commands = Vec::new();
    let mut lcores = Vec::new();
    let shares = ports
        .per_core
        .into_iter()
        .zip(helper_ports)
        .zip(Mesh::between(2, SPREAD_ENTRIES_DEFAULT));
    for (position, ((share, helpers), mesh)) in shares.enumerate() {
        let core = u16::try_from(position + 1).expect("small");
        let (ready, told) = crossbeam_channel::bounded(1);
        let (command, taken) = crossbeam_channel::bounded(4);
        let work = Core {
            position,
            core,
            ports: share,
            pool,
            large: None,
            stats: Arc::clone(&stats),
            events: EventProducer::create(core, sluice_shm::limits::EVENT_RING_BYTES_MIN)
                .expect("a ring")
                .0,
            helpers,
            mesh: Some(mesh),
            commands: taken,
            adopted: Arc::default(),
            buffers: buffers.clone(),
            random_unhealthy: Arc::default(),
            stop: Arc::clone(&stop),
            clock,
            idle: IdleMode::Adaptive,
            hugepages: true,
            worker: WorkerSettings {
                flows_max: 4_096,
                leaf_key: Arc::clone(&leaf_key),
                hash_key: [7; 16],
                load: Arc::default(),
                memory: sluice_proxy::MemoryBudget::default(),
                mtus: sluice_proxy::PortMtus::default(),
                now: clock.now(),
            },
        };
        let lcore =
            Lcore::launch(&eal, LcoreId(core), move || run(work, &ready)).expect("launched");
        told.recv().expect("it speaks").expect("it is ready");
        lcores.push(lcore);
        commands.push(command);
    }

    let expected = (there.len() + back.len()) as u64;
    let passed = || view.total(Counter::TxPacketsA) + view.total(Counter::TxPacketsB);
    wait_until(|| passed() == expected);
    wait_until(|| {
        view.total(Counter::MempoolCapacity) > 0 && view.total(Counter::MempoolInUse) == 0
    });
    let shares: Vec<u64> = view
        .cores()
        .map(|core| core.counter(Counter::ForwardedPackets))
        .collect();
    assert!(
        shares.iter().all(|share| *share > 300),
        "both cores work: {shares:?}"
    );
    let (answer, sessions) = crossbeam_channel::bounded(1);
    commands[1]
        .send(Command::Sessions { limit: 5, answer })
        .expect("asked");
    assert!(sessions.recv().expect("answered").is_empty());

    stop.store(true, Ordering::Relaxed);
    for lcore in lcores {
        lcore.wait().expect("stopped in order");
    }
    drop(ports.running);
    helpers.join();
    let sorted = |mut frames: Vec<Vec<u8>>| {
        frames.sort();
        frames
    };
    assert_eq!(
        sorted(read_capture(&directory.join("out1"))),
        sorted(there),
        "A to B"
    );
    assert_eq!(
        sorted(read_capture(&directory.join("out0"))),
        sorted(back),
        "B to A"
    );
    std::fs::remove_dir_all(&directory).expect("cleaned up");
}

/// Whoever sends more than a link carries does not choose when flows pass uninspected.
#[test]
fn d128_frames_that_a_port_refuses_are_counted_and_nothing_counts_as_exhausted() {
    let placement = LcorePlacement {
        lcore: LcoreId(0),
        cpu: 0,
    };
    let config = EalConfig {
        lcores: vec![placement],
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    let eal = Eal::init(&config).expect("the EAL");
    let pool = Mempool::new(&eal, "packets", 16_383, 0, 2_176, None).expect("a pool");
    let (stats, stats_fd) = StatsSegment::create(&[1], 1, 1).expect("statistics");
    let view = StatsView::open(stats_fd).expect("statistics");
    let cells = stats.core(0).expect("a core");
    let (helpers, mut helper_ports) = Helpers::start(1, &Affinity::new(&[], 0)).expect("helpers");
    // The core that has the port's queue takes nothing.
    let [mesh, _busy] =
        <[Mesh; 2]>::try_from(Mesh::between(2, SPREAD_ENTRIES_DEFAULT)).expect("two");
    let port = WirePort::new(SegmentId(0), Side::A, ports::Transmit::Core(1));
    let (events, _ring) =
        EventProducer::create(1, sluice_shm::limits::EVENT_RING_BYTES_MIN).expect("a ring");
    let clock = Clock::start(&eal);
    let leaf_key = LeafKey::generate(&mut CoreRandom::new().expect("random")).expect("a key");
    let worker = WorkerSettings {
        flows_max: 64,
        leaf_key: Arc::new(leaf_key),
        hash_key: [7; 16],
        load: Arc::default(),
        memory: sluice_proxy::MemoryBudget::default(),
        mtus: sluice_proxy::PortMtus::default(),
        now: clock.now(),
    };
    let helper_port = helper_ports.pop().expect("one core's");
    let (_commands, commands) = crossbeam_channel::bounded(1);
    let mut turn = Turn {
        worker: Worker::new(1, worker).expect("a worker"),
        wire: Wire::new(
            1,
            vec![port],
            (pool, None),
            cells,
            events,
            helper_port,
            Some(&mesh),
        ),
        receive: Vec::new(),
        places: Vec::new(),
        stats: cells,
        mesh: Some(&mesh),
        first: true,
        pool,
        commands,
        clearing: Vec::new(),
        adopted: Arc::default(),
        exhaustion: Exhaustion::new(Buffers::new(pool), true),
        fallback: FallbackReasons::default(),
        random_unhealthy: Arc::default(),
        seeded_by_hardware: false,
        gauges_at: Instant::ZERO,
    };
    let mut clock = CoreClock::new(clock);
    let refused = 300;
    for number in 0..HANDOFF_PACKETS_MAX + refused {
        let mut packet = pool.alloc().expect("a buffer");
        assert!(packet.append(60).is_some());
        turn.wire.forward(SegmentId(0), Side::A, packet);
        if number % 100 == 0 {
            turn.run(clock.at(cycles()));
        }
    }
    turn.run(clock.at(cycles()));
    assert_eq!(
        view.total(Counter::Drop(DropReason::TransmitFull)),
        refused as u64
    );
    assert_eq!(view.total(Counter::Exhaustions), 0);
    assert_eq!(
        view.total(Counter::EventsSent) + view.total(Counter::EventsLost),
        0,
        "nothing is told"
    );
    drop(turn);
    helpers.join();
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a test that waits for other threads"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(holds(), "it never happened");
}
