//! A data plane that moves no traffic: it connects, takes generations or refuses them, and hands over statistics and
//! rings, by the same link as the real one.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_schema::Snapshot;
use sluice_shm::limits::EVENT_RING_BYTES_MIN;
use sluice_shm::link::{
    DataplaneLink, LINK_VERSION, LinkError, Query, Received, ReplyBody, ToControl, ToDataplane,
};
use sluice_shm::{EventProducer, KeySegment, SealedSnapshot, StatsSegment};
use sluice_telemetry::{Application, Counter, Event, FallbackReason, SessionPhase, SessionSummary};

const POLL: Duration = Duration::from_millis(20);

/// What it does with a generation.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Every core adopts it.
    Adopt,
    /// It is refused for this reason.
    Refuse(String),
    /// This generation is refused, any other adopted.
    RefuseOnly(u64),
    /// The first core adopts it, the others never answer.
    Lag,
}

/// What it has seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) connections: u64,
    pub(crate) offered: Vec<u64>,
    pub(crate) retired: Vec<u64>,
    /// What it was commanded about layer-2 fallback.
    pub(crate) fallback: Vec<bool>,
    pub(crate) snapshot: Option<Snapshot>,
    /// Bytes of each key, by the name of its certificate.
    pub(crate) keys: BTreeMap<String, Vec<u8>>,
}

pub(crate) struct FakeDataplane {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    pid: u32,
    socket: PathBuf,
    cores: Vec<u16>,
    stats: StatsSegment,
    stats_fd: OwnedFd,
    producers: Mutex<Vec<EventProducer>>,
    ring_fds: Vec<OwnedFd>,
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Seen>,
    adopted: AtomicU64,
    stop: AtomicBool,
}

/// Every data plane has a number of its own, as its time of birth is to the real one.
fn next_life() -> u64 {
    static LIVES: AtomicU64 = AtomicU64::new(1);
    LIVES.fetch_add(1, Ordering::Relaxed)
}

impl FakeDataplane {
    pub(crate) fn start(run_dir: &Path, behaviour: Behaviour) -> Self {
        Self::start_as(std::process::id(), run_dir, behaviour)
    }

    /// As a process with another number.
    pub(crate) fn start_as(pid: u32, run_dir: &Path, behaviour: Behaviour) -> Self {
        let cores = vec![1, 2];
        let (stats, stats_fd) =
            StatsSegment::create(&cores, next_life(), 1_800_000_000_000_000).unwrap();
        let made = cores
            .iter()
            .map(|core| EventProducer::create(*core, EVENT_RING_BYTES_MIN).unwrap());
        let (producers, ring_fds) = made.unzip();
        let shared = Arc::new(Shared {
            pid,
            socket: run_dir.join("dataplane.sock"),
            cores,
            stats,
            stats_fd,
            producers: Mutex::new(producers),
            ring_fds,
            behaviour: Mutex::new(behaviour),
            seen: Mutex::default(),
            adopted: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn adopted(&self) -> Option<u64> {
        Some(self.shared.adopted.load(Ordering::Acquire)).filter(|generation| *generation > 0)
    }

    pub(crate) fn event(&self, core: usize, event: &Event) {
        self.shared.producers.lock().unwrap()[core]
            .push(&event.encode().unwrap())
            .unwrap();
    }

    pub(crate) fn count(&self, core: usize, counter: Counter, by: u64) {
        self.shared.stats.core(core).unwrap().add(counter, by);
    }

    /// One core's heart beats, at `unix_us`.
    pub(crate) fn beat(&self, core: usize, unix_us: u64) {
        self.shared.stats.core(core).unwrap().beat(unix_us);
    }

    pub(crate) fn spend(&self, core: usize, busy_ns: u64, idle_ns: u64) {
        let core = self.shared.stats.core(core).unwrap();
        core.add_busy_ns(busy_ns);
        core.add_idle_ns(idle_ns);
    }

    /// Dies as a killed process would: its sockets close, its memory goes.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for FakeDataplane {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.converse() {
                Ok(()) | Err(LinkError::Closed | LinkError::Connect { .. }) => {
                    std::thread::park_timeout(POLL);
                }
                Err(error) => panic!("the fake data plane: {error}"),
            }
        }
    }

    fn converse(&self) -> Result<(), LinkError> {
        let link = DataplaneLink::connect(&self.socket)?;
        let adopted =
            Some(self.adopted.load(Ordering::Acquire)).filter(|generation| *generation > 0);
        let hello = ToControl::Hello {
            version: LINK_VERSION,
            pid: self.pid,
            release: "0.0.0-test".to_owned(),
            cores: self.cores.clone(),
            adopted,
        };
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![self.stats_fd.as_fd()];
        descriptors.extend(self.ring_fds.iter().map(AsFd::as_fd));
        link.send(&hello, &descriptors)?;
        self.seen.lock().unwrap().connections += 1;
        while !self.stop.load(Ordering::Acquire) {
            if let Some(received) = link.receive(Some(POLL))? {
                self.hear(&link, received)?;
            }
        }
        Ok(())
    }

    fn hear(&self, link: &DataplaneLink, received: Received<ToDataplane>) -> Result<(), LinkError> {
        match received.message {
            ToDataplane::Publish { generation } => {
                self.take(link, generation, received.descriptors)
            }
            ToDataplane::Retire { generation } => {
                self.seen.lock().unwrap().retired.push(generation);
                Ok(())
            }
            ToDataplane::Query {
                id,
                query: Query::Sessions { limit },
            } => {
                let sessions = (0..limit.min(3)).map(|_| session()).collect();
                link.send(
                    &ToControl::Reply {
                        id,
                        body: ReplyBody::Sessions { sessions },
                    },
                    &[],
                )
            }
            ToDataplane::Query {
                id,
                query: Query::Fallback { command },
            } => {
                if let Some(on) = command {
                    let bits = if on { 1 } else { 0 };
                    let stats = self.stats.core(0).unwrap();
                    stats.set(Counter::Layer2Fallback, bits);
                    self.seen.lock().unwrap().fallback.push(on);
                }
                let on = self.seen.lock().unwrap().fallback.last() == Some(&true);
                let reasons = on.then_some(FallbackReason::Command).into_iter().collect();
                let body = ReplyBody::Fallback { reasons };
                link.send(&ToControl::Reply { id, body }, &[])
            }
            ToDataplane::Query {
                id,
                query: Query::ClearSessions,
            } => {
                let body = ReplyBody::Cleared { sessions: 7 };
                link.send(&ToControl::Reply { id, body }, &[])
            }
            _ => Ok(()),
        }
    }

    fn take(
        &self,
        link: &DataplaneLink,
        generation: u64,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), LinkError> {
        let [snapshot, keys]: [OwnedFd; 2] = descriptors.try_into().unwrap();
        let snapshot = SealedSnapshot::open(snapshot).unwrap();
        assert_eq!(snapshot.generation(), generation);
        let snapshot = Snapshot::decode(snapshot.bytes()).unwrap();
        let keys = KeySegment::open(keys).unwrap();
        {
            let mut seen = self.seen.lock().unwrap();
            seen.offered.push(generation);
            seen.keys = snapshot
                .certificates
                .iter()
                .filter_map(|one| Some((one.name.to_string(), keys.key(one.key?.0)?.to_vec())))
                .collect();
            seen.snapshot = Some(snapshot);
        }
        let behaviour = self.behaviour.lock().unwrap().clone();
        let adopting = match behaviour {
            Behaviour::Refuse(reason) => {
                return link.send(
                    &ToControl::Refused {
                        core: None,
                        generation,
                        reason,
                    },
                    &[],
                );
            }
            Behaviour::RefuseOnly(refused) if refused == generation => {
                let reason = "refused by the test".to_owned();
                return link.send(
                    &ToControl::Refused {
                        core: None,
                        generation,
                        reason,
                    },
                    &[],
                );
            }
            Behaviour::Adopt | Behaviour::RefuseOnly(_) => self.cores.len(),
            Behaviour::Lag => 1,
        };
        for (position, core) in self.cores.iter().enumerate().take(adopting) {
            self.stats.core(position).unwrap().adopt(generation);
            link.send(
                &ToControl::Adopted {
                    core: *core,
                    generation,
                },
                &[],
            )?;
        }
        self.adopted.store(generation, Ordering::Release);
        Ok(())
    }
}

fn session() -> SessionSummary {
    SessionSummary {
        core: 1,
        generation: 1,
        age_us: 1_000,
        segment: "segment-1".to_owned(),
        vlan: Vec::new(),
        client: "10.201.1.2:40000".parse().unwrap(),
        server: "10.201.2.2:443".parse().unwrap(),
        policy: "outbound".to_owned(),
        sni: Some("a.example".to_owned()),
        phase: SessionPhase::Relaying,
        code: None,
        application: Application::Http1,
        bytes_to_origin: 10,
        bytes_to_client: 20,
        memory_bytes: 30,
    }
}
