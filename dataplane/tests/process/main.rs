//! The whole process against a control plane played by the test, on ports that need no kernel interface.

mod exhausted;
mod harness;
mod pcap;
mod two_cores;

use std::time::Duration;

use harness::{Harness, appliance, segment};
use rustix::process::Signal;
use sluice_shm::link::{Query, ReplyBody, ToControl, ToDataplane};
use sluice_telemetry::{Counter, SystemEvent};

/// Frames of every kind that is none of the appliance's business: they come out as they went in.
fn foreign_frames() -> Vec<Vec<u8>> {
    let addresses = [[0x02, 0, 0, 0, 0, 1], [0x02, 0, 0, 0, 0, 2]].concat();
    let with = |rest: &[&[u8]]| [&addresses[..], &rest.concat()].concat();
    let udp = [
        &[
            0x45, 0, 0, 33, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ][..],
        &[0x14, 0xe9, 0, 53, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o'],
    ]
    .concat();
    vec![
        with(&[&[0x08, 0x06], &[0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]]),
        with(&[&[0x08, 0x00], &udp]),
        with(&[
            &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255],
            &[0xfe; 32],
            &[128, 0, 0, 0, 0, 1, 0, 1],
        ]),
        with(&[&[0x81, 0x00, 0xe0, 100, 0x08, 0x00], &udp]),
        with(&[&[0x88, 0xa8, 0, 10, 0x81, 0x00, 0, 20, 0x08, 0x00], &udp]),
        with(&[&[0x88, 0xcc], &[0x55; 46]]),
        with(&[&[0x00, 0x26, 0x42, 0x42, 0x03], &[0; 40]]),
        with(&[
            &[0x08, 0x00],
            &[
                0x45, 0, 5, 220, 0, 1, 0x20, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
            ],
            &[7; 1_480],
        ]),
    ]
}

#[test]
fn frames_that_are_none_of_its_business_pass_untouched_both_ways() {
    let harness = Harness::new();
    let there = foreign_frames();
    let back: Vec<_> = there.iter().rev().cloned().collect();
    let (port_a, port_b) = (harness.pcap_port(0, &there), harness.pcap_port(1, &back));
    let documents = appliance(&segment(&port_a.devargs, &port_b.devargs));

    let mut dataplane = harness.start();
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish(1, &documents);
    let stats = control
        .expect_hello(&[1], Some(1))
        .expect("a statistics segment");
    control.wait_adopted(1);

    let frames = there.len() as u64;
    harness::eventually("every frame passes", || {
        stats.total(Counter::TxPacketsA) + stats.total(Counter::TxPacketsB) == 2 * frames
    });
    let bytes: usize = there.iter().map(Vec::len).sum();
    assert_eq!(stats.total(Counter::RxPacketsA), frames);
    assert_eq!(stats.total(Counter::ForwardedBytes), 2 * bytes as u64);
    harness::eventually("buffers are back", || {
        stats.total(Counter::MempoolCapacity) > 0 && stats.total(Counter::MempoolInUse) == 0
    });
    let core = || stats.cores().next().expect("a core").state();
    harness::eventually("the core is idle", || core().idle_ns > core().busy_ns);
    assert!(core().busy_ns > 0, "passing frames is work");

    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0);
    let log = dataplane.errors();
    let seeded = format!(
        "sluice-dataplane: random numbers are seeded by {}",
        sluice_random::source().expect("a generator")
    );
    assert!(log.lines().any(|line| line == seeded), "{log}");
    assert_eq!(port_b.sent(), there, "A to B");
    assert_eq!(port_a.sent(), back, "B to A");
}

#[test]
fn f9_a_translated_vlan_changes_sides_with_its_partners_identifier() {
    let harness = Harness::new();
    let frame = |tag_type: u16, vlan: u16| {
        let mut frame = vec![2; 12];
        frame.extend(tag_type.to_be_bytes());
        frame.extend((0x6000 | vlan).to_be_bytes());
        frame.extend([0x08, 0x06]);
        frame.extend([0; 46]);
        frame
    };
    let side = |vlan: u16| [frame(0x8100, vlan), frame(0x88a8, vlan), frame(0x8100, 300)];
    let (port_a, port_b) = (
        harness.pcap_port(0, &side(100)),
        harness.pcap_port(1, &side(200)),
    );
    let documents = appliance(&segment(&port_a.devargs, &port_b.devargs));
    let translated = format!(
        "[inspection]\nclient = false\nserver = false\n{documents}\
         [[segment.vlan_translation]]\nport_a = 100\nport_b = 200\n"
    );
    let mut dataplane = harness.start();
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish(1, &translated);
    let stats = control
        .expect_hello(&[1], Some(1))
        .expect("a statistics segment");
    harness::eventually("every frame passes", || {
        stats.total(Counter::TxPacketsA) + stats.total(Counter::TxPacketsB) == 6
    });
    // The ports are the same without the translation: that is no reason to refuse it.
    control.publish(2, &documents);
    control.wait_adopted(2);
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0);
    assert_eq!(port_b.sent(), side(200), "A to B");
    assert_eq!(port_a.sent(), side(100), "B to A");
}

#[test]
fn ports_on_kernel_interfaces_open_and_pass_frames() {
    if !rustix::process::geteuid().is_root() {
        let ports = segment_of("tap:sl-tap-a", "tap:sl-tap-b");
        let (status, reason, errors) = refused_start(&appliance(&ports));
        assert_eq!(status, 11, "{errors}");
        assert!(reason.contains("CAP_NET_ADMIN"), "{reason}");
        return;
    }
    let harness = Harness::new();
    let mut dataplane = harness
        .start_alone("ip link add xa type veth peer name xb; ip link set xa up; ip link set xb up");
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish(1, &appliance(&segment_of("af_xdp:xa", "tap:ta")));
    let stats = control
        .expect_hello(&[1], Some(1))
        .expect("a statistics segment");
    // The kernel introduces itself on every interface that comes up.
    harness::eventually("frames of the cable leave by the tap", || {
        stats.total(Counter::TxPacketsB) > 0
    });
    harness::eventually("frames of the tap leave by the cable", || {
        stats.total(Counter::TxPacketsA) > 0
    });
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0, "{}", dataplane.errors());
    let log = dataplane.errors();
    for port in ["af_xdp:xa", "tap:ta"] {
        assert!(log.contains(&format!("port {port} is open")), "{log}");
    }
}

#[test]
fn f131_a_control_plane_that_dies_is_found_again_and_traffic_does_not_notice() {
    let harness = Harness::new();
    let documents = appliance(&segment("net_null0,size=64,copy=1", "net_null1,no-rx=1"));
    let mut dataplane = harness.start();
    let control = harness.accept();
    control.publish(7, &documents);
    control.expect_hello(&[], None);
    let stats = control
        .expect_hello(&[1], Some(7))
        .expect("a statistics segment");
    control.wait_adopted(7);

    drop(control);
    harness.stop_listening();
    let before = stats.total(Counter::ForwardedPackets);
    harness::eventually("traffic goes on alone", || {
        stats.total(Counter::ForwardedPackets) > before + 10_000
    });

    harness.listen_again();
    let control = harness.accept();
    let again = control
        .expect_hello(&[1], Some(7))
        .expect("the same segment");
    assert_eq!(
        again.epoch(),
        stats.epoch(),
        "the life of the data plane goes on"
    );
    control.publish(8, &documents);
    control.wait_adopted(8);
    harness::eventually("the core decides by it", || {
        again.cores().all(|core| core.adopted() == Some(8))
    });
    assert!(again.total(Counter::ForwardedPackets) > before);

    dataplane.signal(Signal::INT);
    assert_eq!(dataplane.exit_status(), 0);
    let mut stopping = false;
    while let Some(message) = control.next() {
        stopping |= matches!(
            message,
            ToControl::Event {
                event: SystemEvent::DataplaneStopping,
                ..
            }
        );
    }
    assert!(stopping, "it says that it stops");
}

#[test]
fn f130_a_killed_data_plane_is_given_the_same_generation_again() {
    let harness = Harness::new();
    let documents = appliance(&segment("net_null0,size=64,copy=1", "net_null1,no-rx=1"));
    for _ in 0..2 {
        let mut dataplane = harness.start();
        let control = harness.accept();
        control.expect_hello(&[], None);
        control.publish(3, &documents);
        let stats = control
            .expect_hello(&[1], Some(3))
            .expect("a statistics segment");
        harness::eventually("traffic flows", || {
            stats.total(Counter::ForwardedPackets) > 0
        });
        dataplane.signal(Signal::KILL);
        dataplane.wait();
        while control.next().is_some() {}
    }
}

#[test]
fn f139_a_generation_that_cannot_be_adopted_leaves_the_one_in_force() {
    let harness = Harness::new();
    let documents = appliance(&segment("net_null0,no-rx=1", "net_null1,no-rx=1"));
    let mut dataplane = harness.start();
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish_damaged(1);
    let (generation, reason) = control.expect_refusal();
    assert_eq!(generation, 1);
    assert!(reason.contains("not a snapshot"), "{reason}");

    control.publish(2, &documents);
    control
        .expect_hello(&[1], Some(2))
        .expect("a statistics segment");
    control.wait_adopted(2);
    let moved = appliance(&segment("net_null0,no-rx=1", "net_null7,no-rx=1"));
    control.publish(3, &moved);
    let (generation, reason) = control.expect_refusal();
    assert_eq!(generation, 3);
    assert!(
        reason.contains("restart sluice-dataplane; until then generation 2 stays"),
        "{reason}"
    );

    let larger = documents.replace("memory_mib = 64", "memory_mib = 96");
    control.publish(4, &larger);
    control.wait_adopted(4);
    let problem = control.problems();
    assert!(
        problem
            .iter()
            .any(|text| text.contains("dataplane.memory_mib")),
        "{problem:?}"
    );

    control.send(&ToDataplane::Query {
        id: 5,
        query: Query::Ping,
    });
    assert_eq!(control.expect_reply(5), ReplyBody::Pong);
    control.send(&ToDataplane::Query {
        id: 6,
        query: Query::Sessions { limit: 10 },
    });
    assert_eq!(
        control.expect_reply(6),
        ReplyBody::Sessions {
            sessions: Vec::new()
        }
    );
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0);
}

/// Starts with these documents, and says how it ended: the exit status, the reason told to the control plane, standard error.
fn refused_start(documents: &str) -> (i32, String, String) {
    let harness = Harness::new();
    let mut dataplane = harness.start();
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish(1, documents);
    let (_, reason) = control.expect_refusal();
    let status = dataplane.exit_status();
    (status, reason, dataplane.errors())
}

#[test]
fn a_missing_interface_ends_the_start_with_one_line() {
    let (status, reason, errors) = refused_start(&appliance(&segment_of(
        "af_packet:sl-none-a",
        "af_packet:sl-none-b",
    )));
    assert_eq!(status, 10, "{errors}");
    assert!(
        reason.contains("there is no interface sl-none-a; create it"),
        "{reason}"
    );
    assert!(
        errors
            .lines()
            .last()
            .is_some_and(|line| line.contains("sl-none-a")),
        "{errors}"
    );
}

#[test]
fn a_driver_that_is_not_there_ends_the_start_with_one_line() {
    let (status, reason, errors) =
        refused_start(&appliance(&segment("net_nonesuch0", "net_null1")));
    assert_eq!(status, 10, "{errors}");
    assert!(
        reason.contains("attaching the port net_nonesuch0 failed"),
        "{reason}"
    );
    assert!(!reason.contains('\n'), "{reason}");
}

#[test]
fn too_few_hugepages_end_the_start_with_one_line() {
    let documents = appliance(&segment("net_null0", "net_null1"))
        .replace("memory_mib = 64", "memory_mib = 60000")
        .replace("hugepages = \"off\"", "hugepages = \"require\"");
    let (status, reason, errors) = refused_start(&documents);
    assert_eq!(status, 12, "{errors}");
    assert!(reason.contains("vm.nr_hugepages="), "{reason}");
}

#[test]
fn too_little_memory_ends_the_start_with_one_line() {
    let documents = appliance(&segment("net_null0", "net_null1"))
        .replace("memory_mib = 64", "memory_mib = 900000");
    let (status, reason, errors) = refused_start(&documents);
    assert_eq!(status, 12, "{errors}");
    assert!(reason.contains("lower memory_mib"), "{reason}");
}

#[test]
fn a_core_that_is_not_there_ends_the_start_with_one_line() {
    let documents =
        appliance(&segment("net_null0", "net_null1")).replace("cores = [1]", "cores = [999]");
    let (status, reason, errors) = refused_start(&documents);
    assert_eq!(status, 14, "{errors}");
    assert!(reason.contains("CPU 999 does not exist"), "{reason}");
}

#[test]
fn a_port_in_use_ends_the_start_with_one_line() {
    // What another data plane holds while it has the interface.
    let held = harness::claim("interface/lo");
    let (status, reason, errors) =
        refused_start(&appliance(&segment_of("af_packet:lo", "vdev:net_null0")));
    if rustix::process::geteuid().is_root() {
        assert_eq!(status, 13, "{errors}");
        assert!(
            reason.contains(
                "port af_packet:lo is in use by another sluice-dataplane; stop that process"
            ),
            "{reason}"
        );
    } else {
        assert_eq!(status, 11, "{errors}");
        assert!(reason.contains("CAP_NET_RAW"), "{reason}");
    }
    drop(held);
}

#[test]
fn a_start_that_failed_is_followed_by_the_last_good_generation() {
    let harness = Harness::new();
    let mut dataplane = harness.start();
    let control = harness.accept();
    control.expect_hello(&[], None);
    control.publish(
        2,
        &appliance(&segment_of("af_packet:sl-none-a", "af_packet:sl-none-b")),
    );
    assert_eq!(control.expect_refusal().0, 2);
    control.publish(
        1,
        &appliance(&segment("net_null0,no-rx=1", "net_null1,no-rx=1")),
    );
    control
        .expect_hello(&[1], Some(1))
        .expect("a statistics segment");
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0);
}

#[test]
fn without_a_control_plane_it_waits_says_so_and_can_be_stopped() {
    let harness = Harness::new();
    harness.stop_listening();
    let mut dataplane = harness.start();
    harness::eventually("it waits", || {
        dataplane.errors().contains("waiting for sluiced")
    });
    harness::pause(Duration::from_millis(300));
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0);
    let errors = dataplane.errors();
    assert_eq!(
        errors.matches("waiting for sluiced").count(),
        1,
        "once, not at every attempt: {errors}"
    );
}

fn segment_of(port_a: &str, port_b: &str) -> String {
    format!("[[segment]]\nname = \"one\"\nport_a = \"{port_a}\"\nport_b = \"{port_b}\"\n")
}
