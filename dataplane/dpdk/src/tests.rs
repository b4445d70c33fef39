//! The layer on in-memory ports. The EAL starts once per process, and nextest gives each test its own.

use sluice_packet::{PacketBuf, Verified};

use super::*;

fn eal() -> Eal {
    let config = EalConfig {
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    Eal::init(&config).expect("the EAL starts without hugepages")
}

fn pool(eal: &Eal, packets: u32) -> Mempool {
    Mempool::new(eal, "test", packets, 0, 2_176, None).expect("a pool")
}

fn port(eal: &Eal, devargs: &str, pool: Mempool, queues: u16) -> Running {
    let config = PortConfig {
        rx_queues: queues,
        tx_queues: queues,
        ..PortConfig::default()
    };
    let port = Port::attach(eal, devargs).expect("attached");
    port.configure(&config, &[pool])
        .expect("configured")
        .start()
        .expect("started")
}

fn packet(pool: &Mempool, number: u8) -> Mbuf {
    let mut packet = pool.alloc().expect("a buffer");
    packet.append(60).expect("room").fill(number);
    packet
}

#[test]
fn a_ring_port_passes_bursts_in_order_and_every_packet_returns_to_the_pool() {
    let eal = eal();
    let pool = pool(&eal, 1_023);
    let mut port = port(&eal, "net_ring0", pool, 1);
    assert_eq!(port.port.driver(), "net_ring");
    let mut number = 0_u8;
    for _ in 0..64 {
        let mut burst: Burst = Burst::new();
        while !burst.is_full() {
            burst.push(packet(&pool, number)).expect("room");
            number = number.wrapping_add(1);
        }
        assert_eq!(port.tx[0].send(&mut burst), limits::BURST_PACKETS_MAX);
        assert!(burst.is_empty(), "what was sent is no longer ours");

        assert_eq!(port.rx[0].receive(&mut burst), limits::BURST_PACKETS_MAX);
        let first = number.wrapping_sub(32);
        for (index, packet) in burst.drain().enumerate() {
            let expected = first.wrapping_add(u8::try_from(index).expect("small"));
            assert_eq!(packet.frame(), [expected; 60]);
        }
    }
    let stats = port.port.stats().expect("counted");
    assert_eq!((stats.tx_packets, stats.rx_packets), (2_048, 2_048));
    assert!(port.port.link().expect("a link").up);
    assert_eq!(port.rx[0].unusable(), 0);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn what_a_full_port_does_not_take_stays_in_the_burst() {
    let eal = eal();
    let pool = pool(&eal, 2_047);
    let mut port = port(&eal, "net_ring0", pool, 1);
    let mut sent = 0;
    let mut burst: Burst = Burst::new();
    loop {
        while !burst.is_full() {
            burst.push(packet(&pool, 7)).expect("room");
        }
        let taken = port.tx[0].send(&mut burst);
        sent += taken;
        if taken < limits::BURST_PACKETS_MAX {
            assert_eq!(burst.len(), limits::BURST_PACKETS_MAX - taken);
            break;
        }
    }
    assert_eq!(pool.in_use() as usize, sent + burst.len());
    drop(burst);
    let mut received = 0;
    let mut burst: Burst = Burst::new();
    while port.rx[0].receive(&mut burst) > 0 {
        let first: Vec<*const u8> = burst.iter().map(|packet| packet.frame().as_ptr()).collect();
        let then = burst.drain().map(|packet| packet.frame().as_ptr());
        assert!(
            then.eq(first.iter().copied()),
            "seen in the order of the burst"
        );
        received += first.len();
    }
    assert_eq!(received, sent);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn d128_an_empty_pool_gives_none_and_recovers() {
    let eal = eal();
    let pool = pool(&eal, 255);
    let mut held: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!(held.len(), 255);
    assert!(
        pool.alloc().is_none(),
        "exhausted, and said so without a fault"
    );
    assert_eq!((pool.available(), pool.in_use()), (0, 255));
    held.pop();
    assert!(pool.alloc().is_some(), "one back, one out");
    drop(held);
    assert_eq!(pool.available(), 255);
}

#[test]
fn a_receiving_port_with_an_empty_pool_loses_packets_and_nothing_else() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut port = port(&eal, "net_null0,size=64", pool, 1);
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut burst: Burst = Burst::new();
        port.rx[0].receive(&mut burst);
        held.extend(burst.drain());
    }
    assert!(held.len() <= 63);
    let mut burst: Burst = Burst::new();
    assert_eq!(port.rx[0].receive(&mut burst), 0, "nothing to receive into");
    drop(held);
    assert_eq!(port.rx[0].receive(&mut burst), limits::BURST_PACKETS_MAX);
    drop(burst);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn frames_grow_and_shrink_within_their_buffer() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut packet = pool.alloc().expect("a buffer");
    assert!(packet.is_empty());
    let room = packet.tailroom();
    assert_eq!(room, usize::from(pool.data_room()) - limits::HEADROOM_BYTES);
    assert!(
        packet.append(room + 1).is_none(),
        "no room, nothing changed"
    );
    assert!(packet.append(usize::MAX).is_none());
    assert!(packet.is_empty());
    packet.append(room).expect("all of it").fill(1);
    assert_eq!((packet.len(), packet.tailroom()), (room, 0));
    packet.truncate(14);
    packet.truncate(1_000);
    assert_eq!(packet.frame(), [1; 14]);
    packet.frame_mut()[0] = 9;
    assert_eq!(packet.frame()[0], 9);
}

#[test]
fn p102_a_tag_that_the_driver_took_out_is_put_back_as_it_was() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut packet = pool.alloc().expect("a buffer");
    let frame = [&[0x02; 6][..], &[0x04; 6], &[0x08, 0x00], b"payload"].concat();
    packet
        .append(frame.len())
        .expect("room")
        .copy_from_slice(&frame);
    packet.mark_stripped(0xe064, None);
    assert!(packet.normalise());
    let tagged = [
        &[0x02; 6][..],
        &[0x04; 6],
        &[0x81, 0x00, 0xe0, 0x64, 0x08, 0x00],
        b"payload",
    ]
    .concat();
    assert_eq!(packet.frame(), tagged, "priority and drop eligibility too");
    assert_eq!(
        packet.offload_flags(),
        0,
        "nothing left that would tag it again on the way out"
    );
    assert!(packet.normalise(), "a second look changes nothing");
    assert_eq!(packet.frame(), tagged);
}

#[test]
fn p102_two_tags_that_the_driver_took_out_are_put_back_in_order() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut packet = pool.alloc().expect("a buffer");
    let frame = [&[0x02; 6][..], &[0x04; 6], &[0x86, 0xdd], b"payload"].concat();
    packet
        .append(frame.len())
        .expect("room")
        .copy_from_slice(&frame);
    packet.mark_stripped(200, Some(100));
    assert!(packet.normalise());
    let tags = [0x88, 0xa8, 0, 100, 0x81, 0x00, 0, 200, 0x86, 0xdd];
    assert_eq!(
        packet.frame(),
        [&[0x02; 6][..], &[0x04; 6], &tags, b"payload"].concat()
    );
    assert_eq!(packet.offload_flags(), 0);
}

#[test]
fn a_tag_that_cannot_be_put_back_makes_the_frame_unusable() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut packet = pool.alloc().expect("a buffer");
    packet.append(4).expect("room").fill(0);
    packet.mark_stripped(1, None);
    assert!(!packet.normalise(), "no two addresses to put it behind");
}

#[test]
fn queues_go_to_lcores_and_packets_cross_threads() {
    let placements = [0, 1].map(|id| LcorePlacement {
        lcore: LcoreId(id),
        cpu: 0,
    });
    let config = EalConfig {
        lcores: placements.to_vec(),
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    let eal = Eal::init(&config).expect("two lcores on one CPU");
    assert_eq!(
        (eal.main_lcore(), eal.workers()),
        (LcoreId(0), &[LcoreId(1)][..])
    );
    let pool = Mempool::new(&eal, "test", 1_023, 32, 2_176, None).expect("a pool");
    let Running {
        port,
        mut rx,
        mut tx,
        ..
    } = port(&eal, "net_ring0", pool, 1);
    let mut queue = tx.remove(0);
    let work = move || {
        let mut burst: Burst = Burst::new();
        for number in 0..10 {
            burst.push(packet(&pool, number)).expect("room");
        }
        queue.send(&mut burst)
    };
    let lcore = Lcore::launch(&eal, LcoreId(1), work).expect("launched");
    assert_eq!(lcore.wait(), Ok(10));

    let mut burst: Burst = Burst::new();
    assert_eq!(rx[0].receive(&mut burst), 10);
    drop(burst);
    assert_eq!(pool.in_use(), 0, "freed on another thread than allocated");

    let refused =
        Lcore::launch(&eal, LcoreId(0), || ()).expect_err("the main lcore runs this test");
    assert_eq!(refused, LaunchError::NotAWorker { lcore: LcoreId(0) });
    let lcore = Lcore::launch(&eal, LcoreId(1), || panic!("on purpose")).expect("launched");
    let outcome: Result<(), Panicked> = lcore.wait();
    assert_eq!(outcome, Err(Panicked { lcore: LcoreId(1) }));
    drop((port, rx, tx));
}

#[test]
fn a_busy_lcore_refuses_more_work() {
    let placements = [0, 1].map(|id| LcorePlacement {
        lcore: LcoreId(id),
        cpu: 0,
    });
    let config = EalConfig {
        lcores: placements.to_vec(),
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    let eal = Eal::init(&config).expect("two lcores on one CPU");
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let lcore = Lcore::launch(&eal, LcoreId(1), move || wait.recv().is_ok()).expect("launched");
    assert!(!lcore.finished());
    let refused = Lcore::launch(&eal, LcoreId(1), || ()).expect_err("busy");
    assert!(
        matches!(&refused, LaunchError::Dpdk(error) if error.errno == Errno::BUSY),
        "{refused}"
    );
    go.send(()).expect("the lcore waits");
    assert_eq!(lcore.wait(), Ok(true));
}

#[test]
fn several_queues_each_pass_their_own_packets() {
    let eal = eal();
    let pool = pool(&eal, 255);
    let mut port = port(&eal, "net_null0,size=64,no-rx=1", pool, 2);
    assert_eq!((port.rx.len(), port.tx.len()), (2, 2));
    let mut burst: Burst = Burst::new();
    burst.push(packet(&pool, 1)).expect("room");
    assert_eq!(port.tx[1].send(&mut burst), 1);
    assert_eq!(port.rx[1].receive(&mut burst), 0);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_missing_interface_is_one_clear_line() {
    let eal = eal();
    let error =
        Port::attach(&eal, "net_af_packet0,iface=no-such-if").expect_err("no such interface");
    let text = error.to_string();
    assert!(
        text.starts_with("attaching the port net_af_packet0 failed: "),
        "{text}"
    );
    assert!(text.contains("and that the interface exists"), "{text}");
    assert!(
        text.contains("No such device"),
        "the driver's own words: {text}"
    );
    assert!(!text.contains('\n'), "{text}");
    // And the next attempt is not spoilt by it.
    let port = Port::attach(&eal, "net_ring0").expect("attached");
    assert_eq!(port.name(), "net_ring0");
}

#[test]
fn a_port_has_one_owner() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let first = Port::attach(&eal, "net_ring0").expect("attached");
    let second = Port::attach(&eal, "net_ring0").expect_err("taken");
    assert_eq!(
        second,
        PortError::Taken {
            name: "net_ring0".to_owned()
        }
    );
    assert_eq!(
        Port::by_name(&eal, "net_ring9").expect_err("unknown"),
        PortError::NotFound {
            name: "net_ring9".to_owned()
        }
    );
    assert!(matches!(
        Port::by_name(&eal, "net\0ring"),
        Err(PortError::BadName { .. })
    ));
    let greedy = PortConfig {
        rx_queues: 60_000,
        ..PortConfig::default()
    };
    assert!(matches!(
        first.configure(&greedy, &[pool]),
        Err(PortError::TooFewQueues { .. })
    ));
    // The refused port was closed; its name can be had again.
    let again = Port::attach(&eal, "net_ring0").expect("attached anew");
    assert!(matches!(
        again.configure(&PortConfig::default(), &[]),
        Err(PortError::NoPool { .. })
    ));
}

#[test]
fn the_eal_starts_once() {
    let prefix = EalConfig::default().file_prefix;
    let _eal = eal();
    for root in ["/var/run/dpdk", "/run/dpdk", "/tmp/dpdk"] {
        assert!(
            !std::path::Path::new(root).join(&prefix).exists(),
            "nothing is left in {root}"
        );
    }
    assert_eq!(
        Eal::init(&EalConfig::default()).expect_err("once"),
        InitError::AlreadyStarted
    );
    assert!(version().starts_with("DPDK "), "{}", version());
}

#[test]
fn a_pool_that_does_not_fit_says_what_to_raise() {
    let eal = eal();
    let error = Mempool::new(&eal, "huge", 4_000_000, 0, 9_216, None)
        .expect_err("64 MiB do not hold 36 GiB");
    assert_eq!(
        (error.operation, error.errno),
        (Operation::CreatePool, Errno::NOMEM)
    );
    assert!(error.to_string().contains("raise memory_mib"), "{error}");
    let _pool = pool(&eal, 63);
    let twice = Mempool::new(&eal, "test", 63, 0, 2_176, None).expect_err("a name in use");
    assert_eq!(twice.errno, Errno::EXIST);
}

#[test]
fn without_hugepages_packets_do_not_take_a_page_each() {
    let eal = eal();
    let packets = 20_000;
    let pool = pool(&eal, packets);
    assert_eq!(
        pool.available(),
        packets,
        "78 MiB at a page each, of 64 MiB"
    );
    let mut held: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!(held.len(), packets as usize);
    for (number, packet) in held.iter_mut().enumerate() {
        let number = u8::try_from(number % 251).expect("small");
        packet.append(2_048).expect("room").fill(number);
    }
    for (number, packet) in held.iter().enumerate() {
        let number = u8::try_from(number % 251).expect("small");
        assert!(
            packet.frame().iter().all(|byte| *byte == number),
            "no packet lies on another"
        );
    }
}

#[test]
fn the_clock_runs_forward_at_the_pace_of_the_kernel_s() {
    let eal = eal();
    assert!(cycles_hz(&eal) > 1_000_000);
    let clock = Clock::start(&eal);
    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel's clock is what ours is measured against"
    )]
    let kernel = std::time::Instant::now();
    while kernel.elapsed() < std::time::Duration::from_millis(100) {
        std::hint::spin_loop();
    }
    let ours = clock.now().micros();
    let theirs = u64::try_from(kernel.elapsed().as_micros()).expect("short");
    assert!(
        ours.abs_diff(theirs) < theirs / 20,
        "{ours} us by the counter, {theirs} us by the kernel"
    );
}

#[test]
fn a_port_gets_the_offloads_it_has_and_no_others() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let port = Port::attach(&eal, "net_ring0").expect("attached");
    assert_eq!(port.info().expect("facts").offloads, Offloads::NONE);
    let config = PortConfig {
        offloads: Offloads::ALL,
        ..PortConfig::default()
    };
    let port = port.configure(&config, &[pool]).expect("configured");
    let running = port.start().expect("started");
    assert_eq!(running.tx[0].offloads(), Offloads::NONE);

    let without_checksums = Offloads {
        tx_checksum: false,
        ..Offloads::ALL
    };
    let on = Offloads::ALL.and(without_checksums);
    assert!(on.rx_checksum && !on.tx_segmentation, "{on:?}");
}

#[test]
fn what_a_port_says_of_checksums_is_kept_and_only_good_counts() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut packet = pool.alloc().expect("a buffer");
    packet.append(60).expect("room").fill(0);
    assert_eq!(packet.verified(), Verified::Nothing);
    let (ip, tcp) = (
        dpdk_sys::DPDK_SHIM_MBUF_RX_IP_CHECKSUM_GOOD,
        dpdk_sys::DPDK_SHIM_MBUF_RX_TCP_CHECKSUM_GOOD,
    );
    let all_tcp = dpdk_sys::DPDK_SHIM_MBUF_RX_TCP_CHECKSUM;
    for (flags, expected) in [
        (tcp, Verified::Tcp),
        (ip | tcp, Verified::IpAndTcp),
        (ip, Verified::Nothing),
        (ip | all_tcp, Verified::Nothing),
        (ip | (all_tcp & !tcp), Verified::Nothing),
    ] {
        packet.mark_offloads(flags);
        assert!(packet.normalise());
        assert_eq!(packet.verified(), expected, "{flags:#x}");
        assert_eq!(packet.offload_flags(), flags);
    }
}
