//! Several cores behind ports that spread frames over them as NICs do: by what a port understands of a frame.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod world;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sluice_flow::Reassembler;
use sluice_packet::{
    CoreSpread, Encapsulation, Frame, PacketBuf, SYMMETRIC_RSS_KEY, Side, TestBuf, parse, toeplitz,
};
use sluice_telemetry::{Counter, DecisionCode, DropReason, EndReason};
use world::cut::{self, IP};
use world::{App, End, Pki, SEGMENT, Settings, World};

const CORES: u16 = 3;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";

/// The queue to which a port puts a frame. It sees the ports of plain TCP segments, else the outer addresses, and nothing of
/// what is not IP.
fn queue(frame: &[u8], spread: CoreSpread) -> u16 {
    let input = match (parse(SEGMENT, frame), frame[IP] >> 4) {
        (Frame::Tcp(tcp), 4) if tcp.is_plain() => &frame[IP + 12..IP + 24],
        (Frame::Tcp(tcp), 6) if tcp.is_plain() => &frame[IP + 8..IP + 44],
        (_, 4) => &frame[IP + 12..IP + 20],
        (_, 6) => &frame[IP + 8..IP + 40],
        _ => return 0,
    };
    spread.core_of(toeplitz(&SYMMETRIC_RSS_KEY, input))
}

/// Workers, each on its core. The ends are the first world's.
struct Cores {
    worlds: Vec<World>,
    spread: CoreSpread,
    receivers: [Reassembler<TestBuf>; 2],
    /// Frames that the port gave to their core, and those that their core was given by another one.
    received: [u64; 2],
}

impl Cores {
    fn between(client: App, origin: App, pki: &Arc<Pki>) -> Self {
        let spread = CoreSpread::new(128, CORES);
        let mut ends = Some((client, origin));
        let worlds = (0..CORES).map(|core| {
            let (client, origin) = ends.take().unwrap_or((App::raw(&[]), App::raw(&[])));
            let mut world = World::with(&Settings::default(), pki, client, origin);
            world.out.core = Some((core, spread));
            world
        });
        Self {
            worlds: worlds.collect(),
            spread,
            receivers: [Reassembler::new(), Reassembler::new()],
            received: [0; 2],
        }
    }

    fn silent() -> Self {
        Self::between(App::raw(&[]), App::raw(&[]), &Arc::new(Pki::new()))
    }

    /// A frame comes in at a port.
    fn take(&mut self, from: Side, frame: Vec<u8>) {
        let here = queue(&frame, self.spread);
        let owner = self.spread.owner(&parse(SEGMENT, &frame)).unwrap_or(here);
        self.received[usize::from(owner != here)] += 1;
        self.worlds[usize::from(owner)].inject(from, frame);
        while let Some((from, packet)) = self.handed() {
            let owner = self.spread.owner(&parse(SEGMENT, packet.frame()));
            let world = &mut self.worlds[usize::from(owner.unwrap())];
            let now = world.now();
            let worker = &mut world.worker;
            worker.on_reassembled(SEGMENT, from, packet, now, &mut world.out);
        }
    }

    fn handed(&mut self) -> Option<(Side, sluice_flow::Packet<TestBuf>)> {
        let mut outs = self.worlds.iter_mut().map(|world| &mut world.out);
        outs.find_map(|out| out.handed.pop_front())
    }

    fn count(&self, counter: Counter) -> u64 {
        self.worlds.iter().map(|world| world.count(counter)).sum()
    }

    fn pass(&mut self, time: Duration) {
        self.worlds.iter_mut().for_each(|world| world.pass(time));
    }

    /// Runs for a while; what either end sends goes through `way` first.
    fn run(&mut self, way: &mut dyn FnMut(Side, Vec<u8>) -> Vec<Vec<u8>>) {
        for _ in 0..4_000 {
            let now = self.worlds[0].now().mono;
            let sent = [
                (Side::A, self.worlds[0].client.transmit(now)),
                (Side::B, self.worlds[0].origin.transmit(now)),
            ];
            for (side, frames) in sent {
                for frame in frames {
                    for frame in way(side, frame) {
                        self.take(side, frame);
                    }
                }
            }
            let mut leaving = VecDeque::new();
            for world in &mut self.worlds {
                leaving.extend(world.step().1);
            }
            for (side, frame) in leaving {
                let world = &mut self.worlds[0];
                let (end, receiver) = match side {
                    Side::A => (&mut world.client, &mut self.receivers[0]),
                    Side::B => (&mut world.origin, &mut self.receivers[1]),
                };
                arrive(end, receiver, frame, now);
            }
            self.pass(Duration::from_micros(500));
        }
    }
}

/// A frame, or the datagram that it is the last missing fragment of, comes to an end.
fn arrive(
    end: &mut End,
    receiver: &mut Reassembler<TestBuf>,
    frame: Vec<u8>,
    now: sluice_packet::Instant,
) {
    let Frame::Fragment(fragment) = parse(SEGMENT, &frame) else {
        return end.receive(&frame, now);
    };
    let packet = sluice_flow::Packet::Whole(TestBuf(frame));
    let whole = receiver.offer(packet, &fragment, Side::A, now, &mut |_, why| {
        panic!("a fragment is dropped by its receiver: {why:?}")
    });
    if let Some(whole) = whole {
        end.receive(whole.frame(), now);
    }
}

/// What the way does to frames, by their number.
type Way = fn(Side, u16, Vec<u8>) -> Vec<Vec<u8>>;

const PLAIN: Way = |_, _, frame| vec![frame];
const IN_FRAGMENTS: Way = |_, number, frame| cut::fragments(&frame, number, 200);
const FRAGMENTS_BACKWARDS: Way = |_, number, frame| {
    cut::fragments(&frame, number, 520)
        .into_iter()
        .rev()
        .collect()
};
/// What the client says is cut, now and then.
const SOME_IN_FRAGMENTS: Way = |side, number, frame| match (side, number % 3) {
    (Side::A, 0) => cut::fragments(&frame, number, 64),
    _ => vec![frame],
};
const BEHIND_EXTENSIONS: Way = |_, _, frame| {
    vec![cut::with_extensions(
        &frame,
        60,
        &[&[0, 0, 1, 4, 0, 0, 0, 0]],
    )]
};

#[test]
fn e111_over_ports_that_spread_flows_themselves_every_way_of_cutting_them_is_inspected() {
    let pki = Arc::new(Pki::new());
    let leaf = pki.origin_root.leaf(&["good.test"]);
    let reply: Vec<u8> = (0..=250).cycle().take(60_000).collect();
    let v4 = ("10.1.0.1", "10.2.0.1:443");
    let v6 = ("[fd00::a]", "[fd00::b]:443");
    let ways: [(&str, Way, (&str, &str)); 10] = [
        ("plain", PLAIN, v4),
        ("plain, IPv6", PLAIN, v6),
        ("in fragments", IN_FRAGMENTS, v4),
        ("in fragments, IPv6", IN_FRAGMENTS, v6),
        ("in fragments backwards", FRAGMENTS_BACKWARDS, v4),
        ("some in fragments", SOME_IN_FRAGMENTS, v4),
        ("some in fragments, IPv6", SOME_IN_FRAGMENTS, v6),
        ("behind extension headers", BEHIND_EXTENSIONS, v6),
        ("in a tunnel", PLAIN, v4),
        ("in a tunnel that cuts", IN_FRAGMENTS, v4),
    ];
    for (name, way, (client_address, server)) in ways {
        let mut handed_over = 0;
        for port in 40_000..40_006 {
            let client = App::client(&pki.trusted, "good.test", &[], REQUEST, reply.len());
            let origin = App::server(&leaf, &[], REQUEST.len(), &reply);
            let mut cores = Cores::between(client, origin, &pki);
            let client_end = &mut cores.worlds[0].client;
            client_end.aim(&format!("{client_address}:{port}"), server);
            if name.starts_with("in a tunnel") {
                let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
                client_end.tunnel(Encapsulation::gre(one, other, None, false));
            }
            let mut number = 0;
            cores.run(&mut |side, frame| {
                number += 1;
                way(side, number, frame)
            });
            let client = &cores.worlds[0].client;
            assert!(
                client.heard == reply,
                "{name}: {} {:?}",
                client.heard.len(),
                client.error
            );
            let events: Vec<_> = cores
                .worlds
                .iter()
                .flat_map(|world| &world.out.events)
                .collect();
            assert_eq!(events.len(), 1, "{name}: {events:#?}");
            assert_eq!(events[0].code, DecisionCode::InspectedClient, "{name}");
            assert_eq!(events[0].ended, EndReason::Closed, "{name}");
            assert_eq!(cores.count(Counter::IrregularMidStream), 0, "{name}");
            handed_over += cores.received[1];
            if name.starts_with("plain") {
                assert_eq!(cores.received[1], 0, "the port found the core by itself");
            }
        }
        assert!(
            name.starts_with("plain") || handed_over > 0,
            "{name}: nothing was tried"
        );
    }
}

#[test]
fn p94_over_ports_that_spread_flows_themselves_an_icmp_error_finds_its_flow() {
    let spread = CoreSpread::new(128, CORES);
    let mut handed_over = 0;
    for port in 40_000..40_100_u16 {
        let mut quoted = world::script::Script::to("10.2.0.1:443").frame(
            Side::A,
            world::script::C,
            world::script::NONE,
            world::script::SYN,
            &[],
        );
        quoted[IP + 20..IP + 22].copy_from_slice(&port.to_be_bytes());
        let mut error = quoted[..IP].to_vec();
        error.extend([
            0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 9, 10, 1, 0, 1,
        ]);
        error.extend([3, 4, 0, 0, 0, 0, 5, 0]);
        error.extend(&quoted[IP..IP + 28]);
        cut::mend(&mut error);
        let owner = spread.owner(&parse(SEGMENT, &error));
        assert_eq!(owner, Some(queue(&quoted, spread)), "port {port}");
        handed_over += u64::from(owner != Some(queue(&error, spread)));
    }
    assert!(handed_over > 30, "{handed_over} of 100 errors");
}

/// A datagram within a tunnel was cut, and only one of its two fragments was too long for the tunnel and cut again.
#[test]
fn e111_fragments_within_a_tunnel_that_is_cut_for_some_of_them_meet_on_one_core() {
    let mut cores = Cores::silent();
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
    cores.pass(Duration::from_secs(60));
    for world in &mut cores.worlds {
        let now = world.now();
        while world.worker.poll(now, &mut world.out) {}
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
