//! Ports in a network of the test's own.

#![expect(clippy::panic, reason = "a test's harness fails by panicking")]

use std::fs;
use std::process::Command;

use dpdk::{
    Burst, Clock, Eal, EalConfig, Huge, Mbuf, Mempool, Port, PortConfig, PortError, Running, limits,
};
use rustix::thread::UnshareFlags;
use sluice_packet::PacketBuf;

/// An EtherType nobody answers (IEEE 802's first for local experiments).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
const FRAME_BYTES: usize = 128;
const SOON_US: u64 = 10_000_000;
const BURSTS: u8 = 8;

/// A started EAL and its packets.
pub(crate) struct Lab {
    pub(crate) eal: Eal,
    pub(crate) pool: Mempool,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let config = EalConfig {
            memory_mib: 128,
            hugepages: Huge::Off,
            ..EalConfig::default()
        };
        let eal = Eal::init(&config).expect("the EAL starts without hugepages");
        let pool = Mempool::new(&eal, "test", 16_383, 250, 2_176, None).expect("a pool");
        Self { eal, pool }
    }

    pub(crate) fn open(&self, devargs: &str) -> Running {
        match self.try_open(devargs) {
            Ok(running) => running,
            Err(error) => panic!("{devargs}: {error}"),
        }
    }

    pub(crate) fn try_open(&self, devargs: &str) -> Result<Running, PortError> {
        let port = Port::attach(&self.eal, devargs)?;
        let port = port.configure(&PortConfig::default(), &[self.pool])?;
        Ok(port.start()?)
    }

    /// Every frame that `from` sends comes out of `to`, in order and as it was.
    pub(crate) fn assert_carries(&self, from: &mut Running, to: &mut Running) {
        self.wait_for_a_frame(from, to);
        for number in 0..BURSTS {
            let mut burst: Burst = Burst::new();
            while !burst.is_full() {
                let position = u8::try_from(burst.len()).expect("small");
                burst
                    .push(self.frame([b'#', number, position]))
                    .expect("room");
            }
            self.eventually("everything is sent", || {
                from.tx[0].send(&mut burst);
                burst.is_empty()
            });
            let mut came = 0;
            self.eventually("everything that was sent comes", || {
                // Drivers hand on what they hold when they are asked for more.
                from.tx[0].send(&mut Burst::<32>::new());
                for frame in ours(to) {
                    if frame[14] == b'?' {
                        continue;
                    }
                    let position = u8::try_from(came).expect("small");
                    assert_eq!(frame, content([b'#', number, position]));
                    came += 1;
                }
                came == limits::BURST_PACKETS_MAX
            });
        }
    }

    /// A link that came up a moment ago may lose the first frames.
    fn wait_for_a_frame(&self, from: &mut Running, to: &mut Running) {
        self.eventually("a first frame comes", || {
            let mut burst: Burst = Burst::new();
            burst.push(self.frame([b'?', 0, 0])).expect("room");
            from.tx[0].send(&mut burst);
            !ours(to).is_empty()
        });
    }

    fn frame(&self, mark: [u8; 3]) -> Mbuf {
        let mut packet = self.pool.alloc().expect("a buffer");
        packet
            .append(FRAME_BYTES)
            .expect("room")
            .copy_from_slice(&content(mark));
        packet
    }

    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let clock = Clock::start(&self.eal);
        while !holds() {
            assert!(
                clock.now().micros() < SOON_US,
                "never happened: {what}; {} packets in use; DPDK: {:?}",
                self.pool.in_use(),
                self.eal.take_log()
            );
            std::thread::yield_now();
        }
    }
}

/// A frame to everybody, so that no kernel interface takes it for somebody else's.
fn content(mark: [u8; 3]) -> Vec<u8> {
    let mut frame = [&[0xff; 6][..], &[0x02, 0, 0, 0, 0, 1], &ETHERTYPE, &mark].concat();
    frame.resize(FRAME_BYTES, mark[2]);
    frame
}

/// What has arrived of the test's own frames; kernels speak unasked.
fn ours(port: &mut Running) -> Vec<Vec<u8>> {
    let mut burst: Burst = Burst::new();
    port.rx[0].receive(&mut burst);
    burst
        .drain()
        .map(|packet| packet.frame().to_vec())
        .filter(|frame| frame.get(12..14) == Some(&ETHERTYPE))
        .collect()
}

/// Moves this thread into a network and a mount namespace of its own, which end with the process and take everything
/// in them along. False where the process may not.
pub(crate) fn own_network() -> bool {
    // SAFETY: file descriptors stay shared; only the namespaces of this thread and of those it starts change.
    let unshared =
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) };
    if unshared.is_err() {
        return false;
    }
    // What is mounted from here on (drivers do that) stays in here.
    command("mount --make-rprivate /");
    command("mount -t sysfs sysfs /sys");
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    true
}

/// A cable between two interfaces of the namespace.
pub(crate) fn veth(a: &str, b: &str) {
    command(&format!("ip link add {a} type veth peer name {b}"));
    for end in [a, b] {
        up(end);
    }
}

pub(crate) fn up(interface: &str) {
    command(&format!("ip link set {interface} up"));
}

/// Runs in the namespace of the calling thread.
fn command(line: &str) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .output()
        .expect("a program");
    assert!(output.status.success(), "{line}: {output:?}");
}
