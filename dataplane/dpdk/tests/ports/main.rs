//! Each kind of software port opens through the safe layer and carries frames.
//!
//! The EAL starts once per process, and nextest gives each test its own. Kernel interfaces live in a namespace that
//! the test makes and that ends with it; where the process may not make one, the port's refusal has to be clear.

#![allow(
    unsafe_code,
    reason = "leaving the machine's namespaces; the crate is one of the rooms that hold unsafe code"
)]

mod offload;
mod support;

use std::fs;
use std::path::Path;

use dpdk::{Burst, Running};
use sluice_packet::PacketBuf;
use support::{Lab, own_network, up, veth};

/// Packets in each ring that an XDP socket lends to the kernel: libxdp's number. The driver takes none of them back when
/// it is closed, which a data plane does only when it ends.
const XDP_RING: u32 = 2_048;

/// The port cannot be had, and one line says why.
fn assert_refused(lab: &Lab, devargs: &str, words: &[&str]) {
    let error = lab.try_open(devargs).expect_err("refused").to_string();
    let name = devargs.split(',').next().expect("a name");
    assert!(error.contains(&format!("{name} failed: ")), "{error}");
    assert!(!error.contains('\n'), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

/// Both ports carry, and when they are closed at most `kept` packets have not come back.
fn assert_carries_both_ways(lab: &Lab, mut a: Running, mut b: Running, kept: u32) {
    lab.assert_carries(&mut a, &mut b);
    lab.assert_carries(&mut b, &mut a);
    for port in [&a, &b] {
        let stats = port.port.stats().expect("counted");
        assert!(stats.rx_packets >= 256, "{stats:?}");
        assert!(stats.tx_packets >= 256, "{stats:?}");
    }
    drop((a, b));
    lab.eventually("packets are back", || lab.pool.in_use() <= kept);
}

#[test]
fn a_ring_port_carries() {
    let lab = Lab::new();
    let ring = lab.open("net_ring0");
    assert_eq!(ring.port.driver(), "net_ring");
    let Running { port, rx, tx, .. } = ring;
    let mut from = Running {
        astray: None,
        port: port.clone(),
        rx: Vec::new(),
        tx,
    };
    let mut to = Running {
        astray: None,
        port,
        rx,
        tx: Vec::new(),
    };
    lab.assert_carries(&mut from, &mut to);
}

#[test]
fn a_packet_socket_port_carries() {
    let alone = own_network();
    let (a, b) = ("net_af_packet0,iface=pa", "net_af_packet1,iface=pb");
    if !alone {
        return assert_refused(&Lab::new(), a, &["Could not open AF_PACKET socket"]);
    }
    veth("pa", "pb");
    let lab = Lab::new();
    let (a, b) = (lab.open(a), lab.open(b));
    assert_eq!(a.port.driver(), "net_af_packet");
    assert_carries_both_ways(&lab, a, b, 0);
}

#[test]
fn an_xdp_socket_port_carries() {
    let alone = own_network();
    let a = "net_af_xdp0,iface=xa,start_queue=0,queue_count=1";
    if !alone {
        return assert_refused(&Lab::new(), a, &["channel info of interface: xa"]);
    }
    veth("xa", "xb");
    let lab = Lab::new();
    let (a, b) = (lab.open(a), lab.open("net_af_packet0,iface=xb"));
    assert_eq!(a.port.driver(), "net_af_xdp");
    assert_carries_both_ways(&lab, a, b, 2 * XDP_RING);
}

#[test]
fn a_tap_port_carries() {
    let alone = own_network();
    let a = "net_tap0,iface=ta";
    if !alone {
        return assert_refused(&Lab::new(), a, &["Unable to create TAP interface"]);
    }
    let lab = Lab::new();
    let a = lab.open(a);
    assert_eq!(a.port.driver(), "net_tap");
    up("ta");
    let b = lab.open("net_af_packet0,iface=ta");
    assert_carries_both_ways(&lab, a, b, 0);
}

#[test]
fn a_shared_memory_port_carries() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("memif.sock");
    let devargs = |number: u8, role: &str| {
        format!(
            "net_memif{number},role={role},id=0,socket={},socket-abstract=no",
            socket.display()
        )
    };
    let lab = Lab::new();
    let a = lab.open(&devargs(0, "server"));
    let b = lab.open(&devargs(1, "client"));
    assert_eq!(a.port.driver(), "net_memif");
    lab.eventually("both ends are connected", || {
        [&a, &b]
            .iter()
            .all(|end| end.port.link().expect("a link").up)
    });
    assert_carries_both_ways(&lab, a, b, 0);
}

#[test]
fn a_virtio_port_carries_to_a_vhost_port() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("vhost.sock");
    let socket = socket.display();
    let lab = Lab::new();
    let a = lab.open(&format!("net_vhost0,iface={socket},queues=1"));
    let b = lab.open(&format!("net_virtio_user0,path={socket},queues=1"));
    assert_eq!(a.port.driver(), "net_vhost");
    assert_eq!(b.port.driver(), "net_virtio_user");
    assert_carries_both_ways(&lab, a, b, 0);
}

#[test]
fn a_virtio_port_to_the_kernel_carries_or_says_what_is_missing() {
    let device = Path::new("/dev/vhost-net");
    let alone = own_network();
    let a = "net_virtio_user0,path=/dev/vhost-net,queues=1";
    if !alone || !device.exists() {
        return assert_refused(&Lab::new(), a, &["/dev/vhost-net"]);
    }
    let lab = Lab::new();
    let a = lab.open(a);
    assert_eq!(a.port.driver(), "net_virtio_user");
    up("tap0");
    let b = lab.open("net_af_packet0,iface=tap0");
    assert_carries_both_ways(&lab, a, b, 0);
}

#[test]
fn a_capture_port_carries_from_file_to_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let frames: Vec<Vec<u8>> = (60..=200).map(|bytes| vec![bytes; bytes.into()]).collect();
    fs::write(path("in.pcap"), capture(&frames)).expect("a file");
    let lab = Lab::new();
    let mut port = lab.open(&format!(
        "net_pcap0,rx_pcap={},tx_pcap={}",
        path("in.pcap").display(),
        path("out.pcap").display()
    ));
    assert_eq!(port.port.driver(), "net_pcap");
    let mut passed = Vec::new();
    lab.eventually("the whole file is read", || {
        let mut burst: Burst = Burst::new();
        port.rx[0].receive(&mut burst);
        let mut leaving: Burst = Burst::new();
        for packet in burst.drain() {
            passed.push(packet.frame().to_vec());
            leaving.push(packet).expect("as many as came");
        }
        port.tx[0].send(&mut leaving);
        assert!(leaving.is_empty(), "a file takes everything");
        passed.len() == frames.len()
    });
    assert_eq!(passed, frames);
    drop(port);
    let written = fs::read(path("out.pcap")).expect("a file");
    assert_eq!(written.len(), capture(&frames).len());
    for frame in &frames {
        assert!(written.windows(frame.len()).any(|bytes| bytes == frame));
    }
    assert_eq!(lab.pool.in_use(), 0);
}

/// A capture file with these frames and no time between them.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [&0xa1b2_c3d4_u32.to_le_bytes()[..], &[2, 0, 4, 0], &[0; 8]].concat();
    file.extend(65_535_u32.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for frame in frames {
        let bytes = u32::try_from(frame.len()).expect("a frame").to_le_bytes();
        file.extend([&[0; 8][..], &bytes, &bytes, frame].concat());
    }
    file
}
