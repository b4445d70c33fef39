//! The data plane's side of the process: accepts its connection and hears what it says.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sluice_publish::Publisher;
use sluice_shm::link::{
    ControlLink, LINK_VERSION, LinkError, Listener, Received, ToControl, ToDataplane,
};
use sluice_shm::{EventConsumer, EventRingError, StatsError, StatsView};
use sluice_telemetry::SystemEvent;

use crate::clock;
use crate::events::Events;
use crate::journal;
use crate::limits::{HELLO_TIMEOUT, STOP_POLL};
use crate::queries::Queries;
use crate::rings::Rings;

/// Everything that has to do with the data plane, shared by the threads.
#[derive(Default)]
pub(crate) struct Dataplane {
    pub(crate) publisher: Publisher,
    pub(crate) queries: Queries,
    pub(crate) rings: Rings,
    connected: Mutex<Option<Connected>>,
}

struct Connected {
    link: Arc<ControlLink>,
    pid: u32,
}

/// A data plane said something that cannot be used; its connection ends.
#[derive(Debug, thiserror::Error)]
enum HelloError {
    #[error("it did not say who it is")]
    Silent,
    #[error(
        "it speaks version {found} of the link, this release {LINK_VERSION}; run sluiced and sluice-dataplane of one release"
    )]
    Version { found: u16 },
    #[error(
        "it sent {descriptors} descriptors for {cores} cores; run sluiced and sluice-dataplane of one release"
    )]
    Descriptors { descriptors: usize, cores: usize },
    #[error("another data plane (process {pid}) is connected; stop one of them")]
    Second { pid: u32 },
    #[error("its statistics: {0}")]
    Stats(#[from] StatsError),
    #[error("its event ring: {0}")]
    Ring(#[from] EventRingError),
    #[error("{0}")]
    Link(#[from] LinkError),
}

/// Accepts connections until the process stops. Runs in a thread of its own.
pub(crate) fn serve(
    listener: &Listener,
    dataplane: &Arc<Dataplane>,
    events: &Arc<Events>,
    stop: &Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Acquire) {
        let link = match listener.accept::<ToDataplane, ToControl>(Some(STOP_POLL)) {
            Ok(Some(link)) => Arc::new(link),
            Ok(None) => continue,
            Err(error) => {
                journal::say(&format!("the data plane's socket: {error}"));
                std::thread::park_timeout(STOP_POLL);
                continue;
            }
        };
        let (dataplane, events, stop) =
            (Arc::clone(dataplane), Arc::clone(events), Arc::clone(stop));
        let started = std::thread::Builder::new()
            .name("dataplane-link".to_owned())
            .spawn(move || converse(&link, &dataplane, &events, &stop));
        if let Err(error) = started {
            journal::say(&format!(
                "no thread for the data plane's connection: {error}; it will connect again"
            ));
        }
    }
}

fn converse(link: &Arc<ControlLink>, dataplane: &Dataplane, events: &Events, stop: &AtomicBool) {
    let first = match link.receive(Some(HELLO_TIMEOUT)) {
        Ok(Some(first)) => first,
        // A probe: somebody looked whether this process listens.
        Err(LinkError::Closed) => return,
        Ok(None) => {
            return journal::say(&format!(
                "a data plane was turned away: {}",
                HelloError::Silent
            ));
        }
        Err(error) => return journal::say(&format!("a data plane was turned away: {error}")),
    };
    if let Err(error) = dataplane.admit(link, first) {
        return journal::say(&format!("a data plane was turned away: {error}"));
    }
    events.system(SystemEvent::DataplaneLink { connected: true });
    let ended = loop {
        if stop.load(Ordering::Acquire) {
            break None;
        }
        match link.receive(Some(STOP_POLL)) {
            Ok(Some(received)) => {
                if let Err(error) = dataplane.hear(link, received, events) {
                    break Some(error);
                }
            }
            Ok(None) => {}
            Err(error) => break Some(error.into()),
        }
    };
    dataplane.leave(link);
    link.shutdown();
    match ended {
        None => {}
        Some(HelloError::Link(LinkError::Closed)) => {
            events.system(SystemEvent::DataplaneLink { connected: false });
        }
        Some(error) => {
            journal::say(&format!("the data plane's connection ended: {error}"));
            events.system(SystemEvent::DataplaneLink { connected: false });
        }
    }
}

impl Dataplane {
    /// The first message of a connection, which has to be a hello.
    fn admit(&self, link: &Arc<ControlLink>, first: Received<ToControl>) -> Result<(), HelloError> {
        let ToControl::Hello {
            version,
            pid,
            release,
            cores,
            adopted,
        } = first.message
        else {
            return Err(HelloError::Silent);
        };
        if version != LINK_VERSION {
            return Err(HelloError::Version { found: version });
        }
        let memory = open(&cores, first.descriptors)?;
        {
            let mut connected = self
                .connected
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(other) = connected
                .as_ref()
                .filter(|other| other.pid != pid && alive(other.pid))
            {
                return Err(HelloError::Second { pid: other.pid });
            }
            if let Some(old) = connected.replace(Connected {
                link: Arc::clone(link),
                pid,
            }) {
                old.link.shutdown();
            }
        }
        journal::say(&format!(
            "data plane {release} connected (process {pid}, cores {cores:?})"
        ));
        let welcomed = self
            .publisher
            .connected(link, pid, &release, adopted, clock::unix_us());
        if let Err(error) = welcomed {
            self.leave(link);
            return Err(error.into());
        }
        self.attach(link, &cores, adopted, memory);
        Ok(())
    }

    fn hear(
        &self,
        link: &Arc<ControlLink>,
        received: Received<ToControl>,
        events: &Events,
    ) -> Result<(), HelloError> {
        match received.message {
            ToControl::Hello {
                version,
                cores,
                adopted,
                ..
            } => {
                if version != LINK_VERSION {
                    return Err(HelloError::Version { found: version });
                }
                let memory = open(&cores, received.descriptors)?;
                journal::say(&format!("the data plane's cores are up: {cores:?}"));
                self.attach(link, &cores, adopted, memory);
            }
            ToControl::Adopted { core, generation } => {
                self.publisher.adopted(link, core, generation);
                events.system_on(Some(core), SystemEvent::GenerationAdopted { generation });
            }
            ToControl::Refused {
                core,
                generation,
                reason,
            } => {
                let event = SystemEvent::GenerationRefused {
                    generation,
                    reason: reason.clone(),
                };
                events.system_on(core, event);
                self.publisher.refused(link, core, generation, &reason)?;
            }
            ToControl::Reply { id, body } => self.queries.answered(id, body),
            ToControl::Problem { operation, reason } => {
                events.system(SystemEvent::Problem { operation, reason });
            }
            ToControl::Event { unix_us, event } => events.system_at(unix_us, event),
            // A later release may say more; what it needs it also says in its version.
            other => journal::say(&format!(
                "the data plane said something this release does not know: {other:?}"
            )),
        }
        Ok(())
    }

    fn attach(
        &self,
        link: &Arc<ControlLink>,
        cores: &[u16],
        adopted: Option<u64>,
        memory: Option<Memory>,
    ) {
        if let Some(Memory { stats, rings }) = memory {
            self.rings.attach(rings);
            self.publisher
                .attached(link, cores, adopted, Arc::new(stats));
        }
    }

    fn leave(&self, link: &Arc<ControlLink>) {
        self.publisher.disconnected(link);
        let mut connected = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if connected
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(&current.link, link))
        {
            *connected = None;
            self.rings.orphan();
        }
    }
}

/// The memory a data plane with cores hands over.
struct Memory {
    stats: StatsView,
    rings: Vec<EventConsumer>,
}

fn open(cores: &[u16], descriptors: Vec<OwnedFd>) -> Result<Option<Memory>, HelloError> {
    let expected = if cores.is_empty() { 0 } else { cores.len() + 1 };
    if descriptors.len() != expected {
        return Err(HelloError::Descriptors {
            descriptors: descriptors.len(),
            cores: cores.len(),
        });
    }
    let mut descriptors = descriptors.into_iter();
    let Some(stats) = descriptors.next() else {
        return Ok(None);
    };
    let stats = StatsView::open(stats)?;
    let rings = descriptors
        .map(EventConsumer::open)
        .collect::<Result<_, _>>()?;
    Ok(Some(Memory { stats, rings }))
}

fn alive(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}
