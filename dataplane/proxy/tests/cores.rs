//! Two cores between which frames are dealt out by what they carry.

#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_flow::Packet;
use sluice_packet::{
    Encapsulation, Frame, PacketBuf, SegmentId, Side, TestBuf, fragment_hash, parse, symmetric_hash,
};
use sluice_proxy::{Effects, ForgeJob, Now, Output};
use sluice_telemetry::{Counter, DropReason, FlowRecord};
use world::cut::{self, IP};
use world::{App, Out, Pki, SEGMENT, Settings, World};

/// The core that a frame is for.
fn owner(frame: &[u8]) -> usize {
    let hash = match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => symmetric_hash(&tcp.key),
        Frame::IcmpError(error) => symmetric_hash(&error.key),
        Frame::Fragment(fragment) => fragment_hash(&fragment.key),
        Frame::Other(_) => 0,
    };
    usize::from(hash >= 1 << 31)
}

/// One core's way out: what is for the other one waits.
struct Core {
    position: usize,
    out: Out,
    handed: Vec<(Side, Packet<TestBuf>)>,
}

impl Effects for Core {
    fn emit(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        self.out.emit(segment, to, len, write)
    }

    fn event(&mut self, record: FlowRecord) {
        self.out.event(record);
    }

    fn submit(&mut self, job: ForgeJob) {
        self.out.submit(job);
    }

    fn count(&mut self, counter: Counter, by: u64) {
        self.out.count(counter, by);
    }

    fn gauge(&mut self, counter: Counter, value: u64) {
        self.out.gauge(counter, value);
    }
}

impl Output<TestBuf> for Core {
    fn forward(&mut self, segment: SegmentId, to: Side, packet: TestBuf) {
        self.out.forward(segment, to, packet);
    }

    fn discard(&mut self, packet: TestBuf, reason: DropReason) {
        self.out.discard(packet, reason);
    }

    fn reassembled(
        &mut self,
        _segment: SegmentId,
        from: Side,
        packet: Packet<TestBuf>,
    ) -> Option<Packet<TestBuf>> {
        if owner(packet.frame()) == self.position {
            return Some(packet);
        }
        self.handed.push((from, packet));
        None
    }
}

/// Two workers, and every frame given to the one that it is for.
struct Cores {
    worlds: [World; 2],
    ways: [Core; 2],
}

impl Cores {
    fn new() -> Self {
        let pki = Arc::new(Pki::new());
        let silent = || App::raw(&[]);
        let world = || World::with(&Settings::default(), &pki, silent(), silent());
        let way = |position| Core {
            position,
            out: Out::default(),
            handed: Vec::new(),
        };
        Self {
            worlds: [world(), world()],
            ways: [way(0), way(1)],
        }
    }

    fn now(&self) -> Now {
        self.worlds[0].now()
    }

    fn take(&mut self, from: Side, frame: Vec<u8>) {
        let (now, core) = (self.now(), owner(&frame));
        self.worlds[core].worker.on_packet(
            SEGMENT,
            from,
            TestBuf(frame),
            now,
            &mut self.ways[core],
        );
        while let Some((core, (from, packet))) = self.handed() {
            self.worlds[core].worker.on_reassembled(
                SEGMENT,
                from,
                packet,
                now,
                &mut self.ways[core],
            );
        }
    }

    fn handed(&mut self) -> Option<(usize, (Side, Packet<TestBuf>))> {
        let found = (0..2).find_map(|core| Some((1 - core, self.ways[core].handed.pop()?)))?;
        assert_eq!(found.0, owner(found.1.1.frame()), "it is that core's");
        Some(found)
    }

    fn count(&self, counter: Counter) -> u64 {
        self.ways.iter().map(|way| way.out.count_of(counter)).sum()
    }
}

/// A datagram within a tunnel was cut, and only one of its two fragments was too long for the tunnel and cut again.
#[test]
fn e111_fragments_within_a_tunnel_that_is_cut_for_some_of_them_meet_on_one_core() {
    let mut cores = Cores::new();
    let tunnel = Encapsulation::gre([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), None, false);
    let inner = world::script::Script::to("10.2.0.1:443").frame(
        Side::A,
        world::script::C,
        world::script::NONE,
        world::script::SYN,
        &[],
    );
    let mut inspected = 0;
    for id in 0..64 {
        let mut frames = Vec::new();
        for (number, part) in (0..).zip(cut::fragments(&inner, id, 8)) {
            let outside = within(&part, tunnel);
            if number == 1 {
                frames.extend(cut::fragments(&outside, 1_000 + id, 16));
            } else {
                frames.push(outside);
            }
        }
        for frame in frames {
            cores.take(Side::A, frame);
        }
        inspected += 1;
        assert_eq!(
            cores.count(Counter::DatagramsReassembled),
            inspected,
            "{id}"
        );
    }
    for world in &mut cores.worlds {
        world.pass(Duration::from_secs(60));
    }
    for (world, way) in cores.worlds.iter_mut().zip(&mut cores.ways) {
        let now = world.now();
        while world.worker.poll(now, way) {}
    }
    assert_eq!(cores.count(Counter::Drop(DropReason::FragmentTimeout)), 0);
}

/// An untagged frame's datagram within a tunnel of IPv4.
fn within(frame: &[u8], tunnel: Encapsulation) -> Vec<u8> {
    // A segment in the tunnel shows what goes around it.
    let path = sluice_packet::PathTemplate::new(
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        sluice_packet::VlanStack::UNTAGGED,
        "10.9.0.1:1".parse().unwrap(),
        "10.9.0.2:2".parse().unwrap(),
    )
    .within(Some(tunnel));
    let mut shown = vec![0; 256];
    sluice_packet::emit(
        &mut shown,
        &path,
        &sluice_packet::TcpSegment::default(),
        &[],
    )
    .unwrap();
    let mut outside = shown[..IP + path.outer_bytes()].to_vec();
    outside.extend(&frame[IP..]);
    cut::mend(&mut outside);
    outside
}
