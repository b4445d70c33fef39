use dpdk::{EalConfig, Huge};

use super::*;

fn address(text: &str) -> PortAddress {
    text.parse().expect("an address")
}

#[test]
fn devargs_as_the_drivers_take_them() {
    assert_eq!(
        devargs(&address("af_packet:sl-a"), 3, 1_500),
        "net_af_packet3,iface=sl-a,qpairs=1,blocksz=4096,framesz=2048,framecnt=2048,qdisc_bypass=1"
    );
    assert!(devargs(&address("af_packet:sl-a"), 0, 9_000).contains("blocksz=12288,framesz=12288"));
    assert_eq!(
        devargs(&address("af_xdp:eth1"), 1, 1_500),
        "net_af_xdp1,iface=eth1,start_queue=0,queue_count=1"
    );
    assert_eq!(devargs(&address("tap:sl0"), 0, 1_500), "net_tap0,iface=sl0");
    assert_eq!(
        devargs(&address("pci:0000:03:00.0"), 0, 1_500),
        "0000:03:00.0"
    );
    assert_eq!(devargs(&address("vdev:net_ring0"), 0, 1_500), "net_ring0");
}

#[test]
fn ports_on_one_interface_exclude_each_other_whatever_the_driver() {
    let on_eth1 = Some("interface/eth1".to_owned());
    for port in [
        "af_packet:eth1",
        "af_xdp:eth1",
        "vdev:net_af_packet0,iface=eth1,qpairs=1",
    ] {
        assert_eq!(resource(&address(port)), on_eth1, "{port}");
    }
    assert_eq!(
        resource(&address("pci:0000:03:00.0")).as_deref(),
        Some("pci/0000:03:00.0")
    );
    assert_eq!(resource(&address("vdev:net_ring0")), None);
}

#[test]
fn a_missing_interface_is_found_before_dpdk_starts() {
    let error = check_interface(&address("af_packet:no-such-if")).expect_err("missing");
    assert_eq!(
        error.to_string(),
        "port af_packet:no-such-if: there is no interface no-such-if; create it, or change the segment's port and apply"
    );
    assert_eq!(
        check_interface(&address("tap:no-such-if")).expect("made later"),
        MTU_BYTES_DEFAULT
    );
    assert!(check_interface(&address("af_packet:lo")).expect("always there") >= MTU_BYTES_DEFAULT);
}

#[test]
fn ports_without_receive_side_scaling_are_spread_in_software() {
    let plain = PortInfo {
        driver: "net_ring".to_owned(),
        rx_queues_max: 16,
        tx_queues_max: 16,
        mtu: (0, 0),
        rss: dpdk::RssCapability::default(),
        offloads: dpdk::Offloads::NONE,
        socket: None,
    };
    assert_eq!(spread(&[&plain, &plain], 1), Spread::OneCore);
    assert_eq!(spread(&[&plain, &plain], 2), Spread::InSoftware);
}

fn machine() -> (Eal, Mempool) {
    let config = EalConfig {
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    let eal = Eal::init(&config).expect("the EAL");
    let pool = Mempool::new(&eal, "test", 4_095, 0, 2_176, None).expect("a pool");
    (eal, pool)
}

fn plan(segment: u16, side: Side, devargs: &str) -> PortPlan {
    PortPlan {
        name: format!("vdev:{devargs}"),
        devargs: devargs.to_owned(),
        resource: None,
        pci: None,
        mtu_bytes: 1_500,
        segment_name: format!("segment-{segment}"),
        segment: SegmentId(segment),
        side,
    }
}

#[test]
fn e111_each_port_that_spreads_flows_has_their_cores_in_its_table() {
    let (eal, pool) = machine();
    let plans = [
        plan(0, Side::A, "net_null0,no-rx=1"),
        plan(0, Side::B, "net_null1,no-rx=1"),
    ];
    let cores = 3;
    let ports = open(&eal, &plans, cores, pool).expect("open");
    assert_eq!(ports.spread, Spread::ByPorts { entries: 128 });
    assert!(
        ports
            .per_core
            .iter()
            .flatten()
            .all(|port| port.rx.is_some())
    );
    let expected: Vec<u16> = (0..128).map(|entry| entry % 3).collect();
    for port in &ports.running {
        assert_eq!(port.handle.rss_table().expect("it has one"), expected);
    }
    // A table without an entry for each core would leave some without flows.
    let port = Port::attach(&eal, "net_null2,no-rx=1").expect("a port");
    let info = port.info().expect("what it can do");
    assert_eq!(spread(&[&info], 128), Spread::ByPorts { entries: 128 });
    assert_eq!(spread(&[&info], 129), Spread::InSoftware);
}

#[test]
fn each_core_gets_its_share_of_every_port() {
    let (eal, pool) = machine();
    let plans = [
        plan(0, Side::A, "net_null0,no-rx=1"),
        plan(0, Side::B, "net_null1,no-rx=1"),
        plan(1, Side::A, "net_null2,no-rx=1"),
        plan(1, Side::B, "net_null3,no-rx=1"),
    ];
    let ports = open(&eal, &plans, 2, pool).expect("open");
    assert_eq!(ports.running.len(), 4);
    assert_eq!(ports.per_core.len(), 2);
    for (position, shares) in ports.per_core.iter().enumerate() {
        for share in shares {
            let receives = matches!(ports.spread, Spread::ByPorts { .. })
                || usize::from(share.segment.0) == position;
            assert_eq!(share.rx.is_some(), receives, "core {position}, {share:?}");
            assert!(
                matches!(share.tx, Transmit::Own(_)),
                "net_null has queues enough"
            );
        }
    }
    let error = open(&eal, &[plan(2, Side::A, "net_nonesuch0")], 1, pool)
        .err()
        .expect("no such driver");
    assert!(
        error
            .to_string()
            .starts_with("port vdev:net_nonesuch0: attaching the port"),
        "{error}"
    );
}
