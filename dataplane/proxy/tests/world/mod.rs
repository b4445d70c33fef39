//! A client, an origin and one worker between them, in one thread over in-memory ports and a virtual clock.
//!
//! The ends are independent TLS stacks (rustls as its own client and server) over the workspace's TCP opened as any TCP.

#![allow(unreachable_pub, reason = "a module of each test file")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the world of a test may end it"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses its part of the world"
)]

pub mod certificates;
pub mod cut;
pub mod end;
pub mod output;
pub mod script;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sluice_flow::{Packet, Reassembler};
use sluice_packet::{Frame, Instant, PacketBuf, SegmentId, Side, TestBuf, parse};
use sluice_pki::{LeafKey, forge};
use sluice_proxy::{
    ForgeDone, Generation, MemoryBudget, Now, PortMtus, SessionLoad, Worker, WorkerSettings,
};
use sluice_random::CoreRandom;
use sluice_sim::compile;
use sluice_telemetry::{Counter, FlowRecord};

#[allow(unused_imports, reason = "each test file uses its part of the world")]
pub use certificates::Issued;
pub use certificates::Pki;
pub use end::{App, End};
pub use output::Out;
pub use sluice_sim::START_UNIX_S;

pub const SEGMENT: SegmentId = SegmentId(0);

pub const APPLIANCE: &str = r#"
[appliance]
name = "test"
profile = "test"
[dataplane]
cores = [1]
[[segment]]
name = "segment-1"
port_a = "af_packet:a"
port_b = "af_packet:b"
"#;

pub const PROFILE: &str = r#"
name = "test"
[[client_proxy]]
name = "web"
signing_certificate = "trusted-ca"
untrusted_certificate = "untrusted-ca"
detection_ports = [443]
reset_client_on_block = true
session_logging = true
[[trust_store]]
name = "roots"
default_authorities = false
authorities = ["origin-root"]
[[decryption_policy]]
name = "standard"
do_not_decrypt = ["*.bank.test"]
[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "standard"
trust_store = "roots"
never_decrypt_sources = ["10.1.9.0/24"]
[[server_proxy]]
name = "dmz"
addresses = ["10.2.0.8/32"]
ports = [8443]
certificates = ["site-a", "site-b"]
reset_server_on_block = true
session_logging = true
[[server_policy]]
name = "inbound"
server_proxy = "dmz"
source_exceptions = ["10.1.8.0/24"]
"#;

/// What a test may change before the world starts.
pub struct Settings {
    pub appliance: String,
    pub profile: String,
    pub flows_max: usize,
    /// What this world's worker shares with those of other worlds.
    pub load: Arc<SessionLoad>,
    pub memory: MemoryBudget,
    pub mtus: PortMtus,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            appliance: APPLIANCE.to_owned(),
            profile: PROFILE.to_owned(),
            flows_max: 1024,
            load: Arc::default(),
            memory: MemoryBudget::default(),
            mtus: PortMtus::default(),
        }
    }
}

pub struct World {
    pub worker: Worker<TestBuf>,
    pub out: Out,
    pub pki: Arc<Pki>,
    pub client: End,
    pub origin: End,
    now: Instant,
    /// Every frame that left toward the client and toward the origin, in order.
    pub wire_to_client: Vec<Vec<u8>>,
    pub wire_to_origin: Vec<Vec<u8>>,
    random: CoreRandom,
    /// Frames from the client that the network loses, by their number.
    pub lose_from_client: Vec<usize>,
    from_client: usize,
    /// Stands between the client and the appliance: what it makes of each frame is what arrives.
    pub tamper: Option<Tamper>,
    generations: u64,
    /// The worker gets what an end has sent in one burst, not packet by packet.
    pub bursts: bool,
    /// What a router between an end and the appliance makes of each frame.
    pub router: Option<Router>,
    /// What a router between the appliance and an end makes of each frame.
    pub far_router: Option<Router>,
    /// What each end puts together of fragments.
    receivers: [Reassembler<TestBuf>; 2],
}

/// Frames in place of one.
pub type Tamper = Box<dyn FnMut(Vec<u8>) -> Vec<Vec<u8>>>;
pub type Router = Box<dyn FnMut(Side, Vec<u8>) -> Vec<Vec<u8>>>;

pub fn generation(number: u64, settings: &Settings, pki: &Pki) -> Result<Arc<Generation>, String> {
    let documents = [settings.appliance.as_str(), &settings.profile];
    compile(number, documents, &pki.stored()).map_err(|error| error.to_string())
}

impl World {
    pub fn new(client: App, origin: App) -> Self {
        Self::with(&Settings::default(), &Arc::new(Pki::new()), client, origin)
    }

    pub fn with(settings: &Settings, pki: &Arc<Pki>, client: App, origin: App) -> Self {
        let mut random = CoreRandom::new().unwrap();
        let leaf_key = Arc::new(LeafKey::generate(&mut random).unwrap());
        let mut worker = Worker::new(
            1,
            WorkerSettings {
                flows_max: settings.flows_max,
                leaf_key,
                hash_key: [7; 16],
                load: Arc::clone(&settings.load),
                memory: settings.memory,
                mtus: settings.mtus.clone(),
                now: Instant::ZERO,
            },
        )
        .unwrap();
        worker.adopt(generation(1, settings, pki).unwrap());
        Self {
            worker,
            out: Out::default(),
            pki: Arc::clone(pki),
            client: End::client("10.1.0.1:40000", "10.2.0.1:443", client),
            origin: End::server(origin),
            now: Instant::from_secs(1),
            wire_to_client: Vec::new(),
            wire_to_origin: Vec::new(),
            random,
            lose_from_client: Vec::new(),
            from_client: 0,
            tamper: None,
            generations: 1,
            bursts: false,
            router: None,
            far_router: None,
            receivers: [Reassembler::new(), Reassembler::new()],
        }
    }

    pub fn now(&self) -> Now {
        Now {
            mono: self.now,
            unix_us: START_UNIX_S * 1_000_000 + self.now.micros(),
        }
    }

    pub fn adopt(&mut self, settings: &Settings) {
        self.generations += 1;
        let next = generation(self.generations, settings, &self.pki).unwrap();
        self.worker.adopt(next);
    }

    /// Runs until both ends are done and nothing moves, at most `limit` of virtual time.
    pub fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        while self.now < end {
            if self.turn() {
                self.now += Duration::from_micros(100);
                continue;
            }
            let next = [
                self.client.next_timeout(),
                self.origin.next_timeout(),
                self.worker.next_timeout(self.now),
            ];
            match next.into_iter().flatten().min() {
                Some(at) if at < end => self.now = at.max(self.now + Duration::from_micros(1000)),
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
    }

    /// One round: true if a packet moved.
    pub fn turn(&mut self) -> bool {
        let now = self.now();
        let mut moved = false;
        let mut from_client = self.client.transmit(now.mono);
        moved |= !from_client.is_empty();
        from_client.retain(|_| {
            let number = self.from_client;
            self.from_client += 1;
            !self.lose_from_client.contains(&number)
        });
        if let Some(tamper) = &mut self.tamper {
            from_client = from_client.into_iter().flat_map(tamper).collect();
        }
        self.arrive(Side::A, from_client);
        let from_origin = self.origin.transmit(now.mono);
        moved |= !from_origin.is_empty();
        self.arrive(Side::B, from_origin);
        let (forged, mut leaving) = self.step();
        moved |= forged;
        if let Some(router) = &mut self.far_router {
            let routed = leaving.into_iter().flat_map(|(side, frame)| {
                let frames = router(side, frame);
                frames.into_iter().map(move |frame| (side, frame))
            });
            leaving = routed.collect();
        }
        for (side, frame) in leaving {
            moved = true;
            let (end, wire) = match side {
                Side::A => (&mut self.client, &mut self.wire_to_client),
                Side::B => (&mut self.origin, &mut self.wire_to_origin),
            };
            let receiver = &mut self.receivers[usize::from(side == Side::B)];
            match whole(receiver, &frame, now.mono) {
                Some(whole) => end.receive(whole.frame(), now.mono),
                None => end.receive(&frame, now.mono),
            }
            wire.push(frame);
        }
        moved
    }

    fn arrive(&mut self, side: Side, frames: Vec<Vec<u8>>) {
        let now = self.now();
        let frames = match &mut self.router {
            Some(router) => frames
                .into_iter()
                .flat_map(|frame| router(side, frame))
                .collect(),
            None => frames,
        };
        let packets = frames.into_iter().map(TestBuf);
        if self.bursts {
            self.worker
                .on_burst(SEGMENT, side, packets, now, &mut self.out);
            return;
        }
        for packet in packets {
            self.worker
                .on_packet(SEGMENT, side, packet, now, &mut self.out);
        }
    }

    /// The appliance's turn: its timers, its flows, its helper threads. Whether those had a job, and what it puts on the
    /// wire.
    pub fn step(&mut self) -> (bool, VecDeque<(Side, Vec<u8>)>) {
        let now = self.now();
        self.worker.poll(now, &mut self.out);
        let forged = !self.out.jobs.is_empty();
        while let Some(job) = self.out.jobs.pop_front() {
            let result = forge(&job.request, &mut self.random);
            self.worker
                .on_completion(ForgeDone { id: job.id, result }, &mut self.out);
        }
        self.worker.gauges(&mut self.out);
        (forged, std::mem::take(&mut self.out.frames))
    }

    /// Time goes by.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// The next client and origin, when those before have nothing left to say.
    pub fn reconnect(&mut self, source: &str, destination: &str, client: App, origin: App) {
        self.client = End::client(source, destination, client);
        self.client.open(self.now);
        self.origin = End::server(origin);
    }

    pub fn inject(&mut self, side: Side, frame: Vec<u8>) {
        let now = self.now();
        self.worker
            .on_packet(SEGMENT, side, TestBuf(frame), now, &mut self.out);
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.out.count_of(counter)
    }

    /// The one event logged so far.
    pub fn event(&self) -> &FlowRecord {
        assert_eq!(self.out.events.len(), 1, "{:#?}", self.out.events);
        &self.out.events[0]
    }

    /// TCP payload bytes that the client has sent, and the origin.
    pub fn sent_by_client_and_origin(&mut self) -> (usize, usize) {
        let sent = |end: &mut End| end.tcp().map_or(0, |tcp| tcp.stats().bytes_sent);
        (
            usize::try_from(sent(&mut self.client)).unwrap(),
            usize::try_from(sent(&mut self.origin)).unwrap(),
        )
    }

    /// TCP payload bytes that the origin was sent.
    pub fn payload_to_origin(&self) -> usize {
        self.wire_to_origin
            .iter()
            .map(|frame| payload_len(frame))
            .sum()
    }
}

/// What an end makes of a frame that is the last missing fragment of a datagram.
fn whole(
    receiver: &mut Reassembler<TestBuf>,
    frame: &[u8],
    now: Instant,
) -> Option<Packet<TestBuf>> {
    let Frame::Fragment(fragment) = parse(SEGMENT, frame) else {
        return None;
    };
    let packet = Packet::Whole(TestBuf(frame.to_vec()));
    receiver.offer(packet, &fragment, Side::A, now, &mut |_, why| {
        panic!("a fragment is dropped by its receiver: {why:?}")
    })
}

pub fn payload_len(frame: &[u8]) -> usize {
    match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => tcp.payload_len(),
        _ => 0,
    }
}
