//! A burst is the same as its packets one by one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{Frame, Instant, SeqNum, Side, TcpFlags, TcpSegment, TestBuf, parse};
use sluice_pki::LeafKey;
use sluice_proxy::{Now, Worker, WorkerSettings};
use sluice_random::CoreRandom;
use sluice_telemetry::{Counter, DropReason};
use world::script::written;
use world::{App, Out, Pki, SEGMENT, Settings, World, generation};

/// A small generator with a seed (Steele, Lea and Flood's SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A connection as its ends would go through it, one segment after another.
struct Script {
    client: String,
    server: String,
    hello: Vec<u8>,
    step: usize,
    /// The client is behind the second port.
    turned: bool,
}

impl Script {
    /// The next segment, or any of the steps again, or one that no connection has.
    fn frame(&mut self, dice: &mut Dice) -> (Side, Vec<u8>) {
        let step = if dice.below(8) == 0 {
            usize::try_from(dice.below(9)).unwrap()
        } else {
            self.step += 1;
            self.step - 1
        };
        let (isn, answer) = (1_000, 9_000);
        let hello = u32::try_from(self.hello.len()).unwrap();
        let half = hello / 2;
        let (first, second) = self.hello.split_at(half as usize);
        let ack = TcpFlags::ACK;
        let (side, seq, acknowledged, flags, payload): (_, u32, u32, _, &[u8]) = match step {
            0 => (Side::A, isn, 0, TcpFlags::SYN, &[]),
            1 => (Side::B, answer, isn + 1, TcpFlags::SYN | ack, &[]),
            2 => (Side::A, isn + 1, answer + 1, ack, &[]),
            3 => (Side::A, isn + 1, answer + 1, ack, first),
            4 => (Side::A, isn + 1 + half, answer + 1, ack, second),
            5 => (Side::B, answer + 1, isn + 1 + hello, ack, b"an answer"),
            6 => (
                Side::A,
                isn + 1 + hello,
                answer + 10,
                ack | TcpFlags::FIN,
                &[],
            ),
            7 => (
                Side::B,
                answer + 10,
                isn + 2 + hello,
                ack | TcpFlags::FIN,
                &[],
            ),
            8 => (Side::B, answer + 10, isn + 2 + hello, TcpFlags::RST, &[]),
            _ => (Side::A, isn + 2 + hello, answer + 11, ack, &[]),
        };
        let segment = TcpSegment {
            seq: SeqNum(seq),
            ack: SeqNum(acknowledged),
            flags,
            window: 60_000,
            payload,
            ..TcpSegment::default()
        };
        let mut frame = written((&self.client, &self.server), side, &segment);
        let len = frame.len();
        // At times on the wrong wire.
        let side = if self.turned ^ (dice.below(30) == 0) {
            side.other()
        } else {
            side
        };
        match dice.below(40) {
            0 => frame[len - 1] ^= 1,
            1 => frame.truncate(30),
            2 => frame[12] = 0x08 ^ 0xff,
            _ => {}
        }
        (side, frame)
    }
}

fn hello(name: &str, pki: &Pki) -> Vec<u8> {
    App::client(&pki.trusted, name, &["h2", "http/1.1"], b"", 0).first_flight()
}

fn worker(pki: &Pki, flows_max: usize) -> Worker<TestBuf> {
    let mut random = CoreRandom::new().unwrap();
    let settings = WorkerSettings {
        flows_max,
        leaf_key: Arc::new(LeafKey::generate(&mut random).unwrap()),
        hash_key: [7; 16],
        load: Arc::default(),
        memory: sluice_proxy::MemoryBudget::default(),
        mtus: sluice_proxy::PortMtus::default(),
        now: Instant::ZERO,
    };
    let mut worker = Worker::new(1, settings).unwrap();
    worker.adopt(generation(1, &Settings::default(), pki).unwrap());
    worker
}

/// What left, as far as two workers with different random numbers write the same.
fn shape(out: &mut Out, exact: bool) -> Vec<(Side, Vec<u8>)> {
    out.frames
        .drain(..)
        .map(|(side, frame)| match parse(SEGMENT, &frame) {
            Frame::Tcp(tcp) if !exact => (
                side,
                format!("{} {} {} {}", frame.len(), tcp.seq.0, tcp.ack.0, tcp.flags).into_bytes(),
            ),
            _ => (side, frame),
        })
        .collect()
}

#[test]
fn a_burst_is_the_same_as_its_packets_one_by_one() {
    let pki = Pki::new();
    let hellos = [
        b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n".to_vec(),
        hello("www.bank.test", &pki),
        hello("site-a.test", &pki),
    ];
    let mut decisions = std::collections::BTreeSet::new();
    let mut wrong = 0;
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let exact = seed % 2 == 0;
        // A flow to a protected server is taken over whatever its name, and then random numbers differ.
        let servers = if exact { 2 } else { 3 };
        let mut scripts: Vec<Script> = (0..12)
            .map(|number| Script {
                client: format!("10.1.{}.1:{}", number % 3, 40_000 + number),
                // The client is the lower end of the first two.
                server: [
                    "10.2.0.1:443",
                    "10.2.0.1:80",
                    "10.0.0.1:443",
                    "10.0.0.1:80",
                    "10.2.0.8:8443",
                ][usize::try_from(dice.below(servers + 2)).unwrap()]
                .to_owned(),
                hello: hellos[usize::try_from(dice.below(servers)).unwrap()].clone(),
                step: 0,
                turned: dice.below(3) == 0,
            })
            .collect();
        // Few places: packets of one burst evict the flows of others.
        let flows_max = if seed % 3 == 0 { 5 } else { 64 };
        let (mut single, mut burst) = (worker(&pki, flows_max), worker(&pki, flows_max));
        let (mut from_single, mut from_burst) = (Out::default(), Out::default());
        let mut mono = Instant::from_secs(1);
        for round in 0..20 {
            let count = dice.below(70);
            let mut script = 0;
            let frames: Vec<(Side, Vec<u8>)> = (0..count)
                .map(|_| {
                    // Often of the same connection as the one before.
                    if dice.below(3) > 0 {
                        script = usize::try_from(dice.below(12)).unwrap();
                    }
                    scripts[script].frame(&mut dice)
                })
                .collect();
            mono += Duration::from_millis(dice.below(200));
            let now = Now {
                mono,
                unix_us: mono.micros(),
            };
            for side in [Side::A, Side::B] {
                let here = || {
                    let here = frames.iter().filter(move |(from, _)| *from == side);
                    here.map(|(_, frame)| TestBuf(frame.clone()))
                };
                for packet in here() {
                    single.on_packet(SEGMENT, side, packet, now, &mut from_single);
                }
                burst.on_burst(SEGMENT, side, here(), now, &mut from_burst);
            }
            single.poll(now, &mut from_single);
            burst.poll(now, &mut from_burst);
            single.gauges(&mut from_single);
            burst.gauges(&mut from_burst);
            let (left, right) = (
                shape(&mut from_single, exact),
                shape(&mut from_burst, exact),
            );
            assert!(left == right, "seed {seed}, round {round}");
            assert_eq!(from_single.discarded, from_burst.discarded, "seed {seed}");
            assert_eq!(
                single.next_timeout(mono),
                burst.next_timeout(mono),
                "seed {seed}"
            );
        }
        let discarded = from_burst.discarded.iter();
        wrong += discarded
            .filter(|why| **why == DropReason::IrregularSegment)
            .count();
        assert_eq!(
            format!("{:?}", from_single.events),
            format!("{:?}", from_burst.events),
            "seed {seed}"
        );
        decisions.extend(
            from_burst
                .events
                .iter()
                .map(|event| format!("{:?}", event.code)),
        );
        for counter in [
            Counter::ForwardedPackets,
            Counter::ForwardedBytes,
            Counter::FlowsCandidate,
            Counter::FlowsEvicted,
            Counter::ChecksumErrors,
            Counter::SessionsInspected,
        ] {
            assert_eq!(
                from_single.count_of(counter),
                from_burst.count_of(counter),
                "seed {seed}, {counter:?}"
            );
        }
    }
    assert!(decisions.len() >= 3, "{decisions:?}");
    assert!(wrong > 300, "{wrong} segments on the wrong wire");
}

/// A segment of one of the flows of a test where nearly all pass: in a VLAN, over IPv6, or neither.
fn passing(flow: u64, from: Side, number: u32, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let (client, server) = if flow % 4 == 1 {
        (format!("[fd00::1]:{}", 40_000 + flow), "[fd00::2]:443")
    } else {
        (format!("10.1.0.1:{}", 40_000 + flow), "10.2.0.1:443")
    };
    let (seq, ack) = match from {
        Side::A => (number, 9_000),
        Side::B => (9_000, number),
    };
    let segment = TcpSegment {
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        flags,
        window: 60_000,
        payload,
        ..TcpSegment::default()
    };
    let mut frame = written((&client, server), from, &segment);
    if flow % 4 == 2 {
        frame.splice(12..12, [0x81, 0, 0, 7]);
    }
    frame
}

/// Bursts of flows that pass, in which the last packets are looked for while the first ones are worked off: among them, anywhere,
/// one that ends its flow, begins another on its addresses, is of a new flow that evicts one, or is on the wrong wire.
#[test]
fn a_burst_of_flows_that_pass_is_the_same_as_its_packets_one_by_one() {
    let pki = Pki::new();
    let (mut passed, mut evicted) = (0, 0);
    for seed in 0..120 {
        let mut dice = Dice(seed);
        let flows = 48;
        // Room for all, or for fewer than there are.
        let flows_max = if seed % 3 == 0 { 40 } else { 200 };
        let mut workers = [(); 2].map(|()| (worker(&pki, flows_max), Out::default()));
        let mut next = vec![1_000_u32; flows];
        let mut fresh = 1_000;
        let mut mono = Instant::from_secs(1);
        for round in 0..40 {
            mono += Duration::from_millis(1);
            let now = Now {
                mono,
                unix_us: mono.micros(),
            };
            // First every flow is picked up in its middle.
            let count = if round == 0 {
                flows as u64
            } else {
                1 + dice.below(70)
            };
            let rare = dice.below(count.max(16));
            let frames: Vec<Vec<u8>> = (0..count)
                .map(|position| {
                    let flow = if round == 0 {
                        position
                    } else {
                        dice.below(flows as u64)
                    };
                    let number = next[usize::try_from(flow).unwrap()];
                    let what = if round > 0 && position == rare {
                        dice.below(6)
                    } else {
                        9
                    };
                    let (flags, number) = match what {
                        0 => (TcpFlags::RST, 9_000),
                        1 => (TcpFlags::FIN | TcpFlags::ACK, number),
                        2 => (TcpFlags::SYN, number.wrapping_add(1 << 20)),
                        3 => {
                            fresh += 1;
                            return passing(fresh, Side::A, 1_000, TcpFlags::ACK, b"new");
                        }
                        4 => return passing(flow, Side::B, number, TcpFlags::ACK, b"wrong"),
                        _ => (TcpFlags::ACK, number),
                    };
                    let payload: &[u8] = if flags == TcpFlags::ACK { b"more" } else { b"" };
                    if flags == TcpFlags::ACK {
                        next[usize::try_from(flow).unwrap()] += 4;
                    }
                    passing(flow, Side::A, number, flags, payload)
                })
                .collect();
            let packets = || frames.iter().cloned().map(TestBuf);
            let [(single, from_single), (burst, from_burst)] = &mut workers;
            for packet in packets() {
                single.on_packet(SEGMENT, Side::A, packet, now, from_single);
            }
            burst.on_burst(SEGMENT, Side::A, packets(), now, from_burst);
            single.poll(now, from_single);
            burst.poll(now, from_burst);
            single.gauges(from_single);
            burst.gauges(from_burst);
            passed += from_burst.frames.len();
            let at = format!("seed {seed}, round {round}");
            assert!(shape(from_single, true) == shape(from_burst, true), "{at}");
            assert_eq!(from_single.discarded, from_burst.discarded, "{at}");
            assert_eq!(single.next_timeout(mono), burst.next_timeout(mono), "{at}");
            let counted = |worker: &Worker<TestBuf>, out: &Out| {
                let counters = [
                    Counter::ForwardedPackets,
                    Counter::FlowsEvicted,
                    Counter::FlowsObserved,
                    Counter::FourTuplesReused,
                ];
                (
                    counters.map(|counter| out.count_of(counter)),
                    worker.timers(),
                )
            };
            assert_eq!(
                counted(single, from_single),
                counted(burst, from_burst),
                "{at}"
            );
        }
        evicted += workers[1].1.count_of(Counter::FlowsEvicted);
    }
    assert!(passed > 100_000 && evicted > 1_000, "{passed} {evicted}");
}

/// Client and server of the flow that is spliced.
const SPLICED: (&str, &str) = ("10.1.0.9:40000", "10.2.0.1:443");

/// One end of a connection that is carried through both workers.
struct End {
    side: Side,
    /// What it sends next, and how far the other end has got.
    next: u32,
    heard: u32,
}

impl End {
    /// A segment: mostly the next one, at times one that was lost, repeated, overtaken or damaged.
    fn segment(&mut self, dice: &mut Dice) -> Vec<u8> {
        let len = [1, 100, 536, 1_000, 1_448][usize::try_from(dice.below(5)).unwrap()];
        let bytes: Vec<u8> = (0..len).map(|at| ((self.next + at) % 251) as u8).collect();
        let before = self.next;
        let (mut seq, mut flags) = (before, TcpFlags::ACK);
        match dice.below(24) {
            0 => seq = seq.wrapping_sub(u32::try_from(dice.below(3_000)).unwrap()),
            // The next one comes too soon, and this one later or never.
            1 => seq += 700,
            2 => flags |= TcpFlags::PSH,
            3 => flags |= TcpFlags::FIN,
            _ => self.next += len,
        }
        let window = if dice.below(9) == 0 { 50_000 } else { 60_000 };
        let fin = flags.contains(TcpFlags::FIN) && dice.below(40) == 0;
        let segment = TcpSegment {
            seq: SeqNum(seq),
            ack: SeqNum(self.heard),
            flags: if fin {
                flags
            } else {
                flags.without(TcpFlags::FIN)
            },
            window,
            payload: if dice.below(10) == 0 { &[] } else { &bytes },
            ..TcpSegment::default()
        };
        let mut frame = written(SPLICED, self.side, &segment);
        let len = frame.len();
        if dice.below(30) == 0 {
            frame[len - 1] ^= 1;
            // Its receiver never hears of it.
            self.next = before;
        }
        frame
    }
}

/// A flow taken over and spliced: a ClientHello in two pieces, of which the second comes late.
fn splice(worker: &mut Worker<TestBuf>, out: &mut Out, hello: &[u8]) -> [End; 2] {
    let ack = TcpFlags::ACK;
    let (first, second) = hello.split_at(hello.len() / 2);
    let half = u32::try_from(first.len()).unwrap();
    let nothing: &[u8] = &[];
    let steps = [
        (0, Side::A, 1_000, 0, TcpFlags::SYN, nothing),
        (0, Side::B, 9_000, 1_001, TcpFlags::SYN | ack, nothing),
        (0, Side::A, 1_001, 9_001, ack, nothing),
        (0, Side::A, 1_001, 9_001, ack, first),
        (150, Side::A, 1_001 + half, 9_001, ack, second),
    ];
    for (millis, side, seq, acknowledged, flags, payload) in steps {
        let mono = Instant::from_secs(1) + Duration::from_millis(millis);
        let now = Now {
            mono,
            unix_us: mono.micros(),
        };
        worker.poll(now, out);
        let segment = TcpSegment {
            seq: SeqNum(seq),
            ack: SeqNum(acknowledged),
            flags,
            window: 60_000,
            payload,
            ..TcpSegment::default()
        };
        let frame = written(SPLICED, side, &segment);
        worker.on_packet(SEGMENT, side, TestBuf(frame), now, out);
        worker.poll(now, out);
    }
    worker.gauges(out);
    assert_eq!(out.count_of(Counter::FlowsTaken), 1);
    out.frames.clear();
    let client = 1_001 + u32::try_from(hello.len()).unwrap();
    [
        End {
            side: Side::A,
            next: client,
            heard: 9_001,
        },
        End {
            side: Side::B,
            next: 9_001,
            heard: client,
        },
    ]
}

#[test]
fn p98_a_train_is_heard_as_its_segments_one_by_one() {
    let pki = Pki::new();
    let hello = hello("www.bank.test", &pki);
    let (mut carried, mut damaged, mut ahead) = (0, 0, 0);
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let (mut single, mut burst) = (worker(&pki, 8), worker(&pki, 8));
        let (mut from_single, mut from_burst) = (Out::default(), Out::default());
        let mut ends = splice(&mut single, &mut from_single, &hello);
        splice(&mut burst, &mut from_burst, &hello);
        let mut mono = Instant::from_secs(2);
        for round in 0..40 {
            mono += Duration::from_millis(dice.below(60));
            let now = Now {
                mono,
                unix_us: mono.micros(),
            };
            for end in &mut ends {
                let count = dice.below(24);
                let frames: Vec<Vec<u8>> = (0..count).map(|_| end.segment(&mut dice)).collect();
                let packets = || frames.iter().map(|frame| TestBuf(frame.clone()));
                for packet in packets() {
                    single.on_packet(SEGMENT, end.side, packet, now, &mut from_single);
                }
                burst.on_burst(SEGMENT, end.side, packets(), now, &mut from_burst);
            }
            single.poll(now, &mut from_single);
            burst.poll(now, &mut from_burst);
            // What was sent on is acknowledged by what its receiver sends next, most of the time.
            for (side, frame) in &from_burst.frames {
                if let Frame::Tcp(tcp) = parse(SEGMENT, frame) {
                    let end = ends.iter_mut().find(|end| end.side == *side).unwrap();
                    let told = tcp.seq + u32::try_from(tcp.payload_len()).unwrap();
                    if dice.below(5) > 0 && told.gt(SeqNum(end.heard)) {
                        end.heard = told.0;
                    }
                    carried += tcp.payload_len();
                }
            }
            let (left, right) = (shape(&mut from_single, true), shape(&mut from_burst, true));
            assert!(left == right, "seed {seed}, round {round}");
            assert_eq!(from_single.discarded, from_burst.discarded, "seed {seed}");
            assert_eq!(
                single.next_timeout(mono),
                burst.next_timeout(mono),
                "seed {seed}, round {round}"
            );
        }
        for counter in Counter::ALL {
            let counts = [&from_single, &from_burst].map(|out| out.count_of(counter));
            assert_eq!(counts[0], counts[1], "seed {seed}, {counter:?}");
        }
        damaged += from_burst.count_of(Counter::ChecksumErrors);
        ahead += from_burst.count_of(Counter::TcpOutOfOrder);
    }
    assert!(carried > 1_000_000, "{carried} bytes went through");
    assert!(damaged > 500 && ahead > 500, "{damaged} {ahead}");
}

#[test]
fn a_session_fed_in_bursts_hears_the_same() {
    let request: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    let reply: Vec<u8> = (0..300_000_u32).map(|at| (at % 241) as u8).collect();
    let pki = Arc::new(Pki::new());
    let client = App::client(&pki.trusted, "site-a.test", &[], &request, reply.len());
    let origin = App::server(&pki.site_a, &[], request.len(), &reply);
    let mut world = World::with(&Settings::default(), &pki, client, origin);
    world.bursts = true;
    world.run(Duration::from_secs(30));
    assert_eq!(world.origin.heard, request);
    assert_eq!(world.client.heard, reply);
    assert_eq!(world.count(Counter::SessionsInspected), 1);
    assert_eq!(world.count(Counter::TcpRetransmits), 0);
}
