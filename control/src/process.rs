//! The process: what it holds, how it starts and how it stops.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sluice_keystore::{Keystore, MasterKeyError};
use sluice_shm::link::{LinkError, Listener};
use sluice_store::{Store, StoreError};

use crate::api::{self, ApiSocketError};
use crate::dataplane::{self, Dataplane};
use crate::event_log::EventLog;
use crate::events::Events;
use crate::options::Options;
use crate::places::{self, PlacesError};
use crate::{clock, journal, pump};

/// The process cannot start. Each is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Places(#[from] PlacesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Api(#[from] ApiSocketError),
    #[error("cannot {what}: {source}")]
    System {
        what: &'static str,
        source: std::io::Error,
    },
}

/// Everything the threads share.
pub(crate) struct Daemon {
    pub(crate) options: Options,
    pub(crate) keystore: Keystore,
    pub(crate) dataplane: Arc<Dataplane>,
    pub(crate) events: Arc<Events>,
    pub(crate) started_unix_us: u64,
    /// Held through a change of the configuration or of a certificate, from its check to the data plane's answer.
    pub(crate) changing: Mutex<()>,
    store: Mutex<Store>,
}

impl Daemon {
    /// The store. Held for one operation, never while waiting for the data plane.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        // Every change of the store is one transaction: a thread that panicked left nothing half-done.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(options: &Options) -> Result<(), StartError> {
    harden();
    let _lock = places::prepare(options)?;
    let state = |name: &str| -> PathBuf { options.state_dir.join(name) };
    let store = Store::open(&state("sluice.db"))?;
    let keystore = Keystore::open(&state("master.key"))?;
    let listener = Listener::bind(&options.dataplane_socket())?;
    let control = api::bind(&options.control_socket())?;
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|source| StartError::System {
            what: "listen for signals",
            source,
        })?;
    let daemon = Arc::new(Daemon {
        options: options.clone(),
        keystore,
        dataplane: Arc::new(Dataplane::default()),
        events: Arc::new(Events::new(EventLog::new(&options.event_log))),
        started_unix_us: clock::unix_us(),
        changing: Mutex::new(()),
        store: Mutex::new(store),
    });
    daemon.restore();

    let stop = Arc::new(AtomicBool::new(false));
    let pump = thread("pump", {
        let (daemon, stop) = (Arc::clone(&daemon), Arc::clone(&stop));
        move || pump::run(&daemon, &stop)
    })?;
    let accept = thread("dataplane", {
        let (dataplane, events, stop) = (
            Arc::clone(&daemon.dataplane),
            Arc::clone(&daemon.events),
            Arc::clone(&stop),
        );
        move || dataplane::serve(&listener, &dataplane, &events, &stop)
    })?;
    let manage = thread("api", {
        let (daemon, stop) = (Arc::clone(&daemon), Arc::clone(&stop));
        move || api::serve(control, &daemon, &stop)
    })?;
    journal::say(&format!(
        "ready: management on {}, data plane on {}",
        options.control_socket().display(),
        options.dataplane_socket().display()
    ));
    for signal in signals.forever() {
        if signal == SIGHUP {
            daemon.events.reopen();
            journal::say("the event log is opened again");
        } else {
            break;
        }
    }
    journal::say("stopping; traffic goes on under the data plane's last generation");
    stop.store(true, Ordering::Release);
    for thread in [accept, manage, pump] {
        if thread.join().is_err() {
            journal::say("a thread had panicked; see above");
        }
    }
    Ok(())
}

fn thread(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map_err(|source| StartError::System {
        what: "start a thread",
        source,
    })
}

/// Private keys pass through this process: it leaves no core, cannot be traced by its own user's other processes, and
/// gains no privilege. Each is a precaution whose refusal (an old kernel, a container's filter) does not stop the start.
fn harden() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let refused = [
        rustix::process::setrlimit(Resource::Core, none)
            .err()
            .map(|_| "core files could not be switched off"),
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .err()
            .map(|_| "the process could not be made undumpable"),
        rustix::thread::set_no_new_privs(true)
            .err()
            .map(|_| "new privileges could not be ruled out"),
    ];
    for message in refused.into_iter().flatten() {
        journal::say(message);
    }
}
