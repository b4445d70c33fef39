//! The load generator: N connections by C threads, each with R requests; counts, errors and latencies.

mod connection;
mod cut;
mod report;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::{InvalidDnsNameError, ServerName};

use self::connection::Plan;
pub(crate) use self::cut::Hello;
pub(crate) use self::report::Report;
use self::report::Tally;
use crate::clock;
use crate::limits::{CONCURRENCY_MAX, THREAD_STACK_BYTES};
use crate::tls::{self, Group, SetupError, Versions};

/// What load to make.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// Address and port of the origin, as the client addresses it.
    #[arg(long, value_name = "ADDR")]
    connect: SocketAddr,
    /// Server names, taken in turn. A name with `{}` stands for --names many, numbered.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', required = true)]
    sni: Vec<String>,
    /// How many names a `{}` stands for.
    #[arg(long, default_value_t = 1)]
    names: usize,
    /// PEM file: the only anchors that the servers' certificates may lead to.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Connections to make in all.
    #[arg(long, default_value_t = 1)]
    connections: u64,
    /// Connections at once.
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    /// Requests on each connection, one after the other.
    #[arg(long, default_value_t = 1)]
    requests_per_connection: u64,
    /// Bytes that each request asks for, from /bytes/N.
    #[arg(long, default_value_t = 1024)]
    bytes: u64,
    /// Send this many bytes with each request (PUT /upload/..) instead of asking for some.
    #[arg(long, value_name = "BYTES")]
    upload: Option<u64>,
    /// Offer TLS 1.2 only.
    #[arg(long, conflicts_with = "tls13")]
    tls12: bool,
    /// Offer TLS 1.3 only.
    #[arg(long)]
    tls13: bool,
    /// Offer a key share of this group.
    #[arg(long, value_enum)]
    group: Option<Group>,
    /// Resume sessions where the server lets us; each thread keeps its own.
    #[arg(long)]
    resume: bool,
    /// How the ClientHello is cut into TCP segments.
    #[arg(long, value_enum, default_value_t = Hello::Whole)]
    hello: Hello,
    /// Send no request before all --concurrency connections are open.
    #[arg(long)]
    together: bool,
    /// Keep each connection open this long after its last request.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    hold: u64,
    /// Start no connection after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    seconds_max: u64,
}

/// Why no load was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Anchors or TLS settings.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A name that is no host name.
    #[error("{name} is not a server name: {source}")]
    Name {
        /// The name given.
        name: String,
        /// Why not.
        source: InvalidDnsNameError,
    },
    /// Too many threads.
    #[error("--concurrency {0} is out of range: 1 to {CONCURRENCY_MAX}")]
    Concurrency(usize),
    /// A thread could not be made.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// --together needs every connection to have a thread.
    #[error("--together needs --connections to be a multiple of --concurrency")]
    Together,
}

/// Makes the load and returns when all of it is done.
pub(crate) fn run(options: &Options) -> Result<Report, LoadError> {
    if options.concurrency == 0 || options.concurrency > CONCURRENCY_MAX {
        return Err(LoadError::Concurrency(options.concurrency));
    }
    if options.together
        && !options
            .connections
            .is_multiple_of(options.concurrency as u64)
    {
        return Err(LoadError::Together);
    }
    let shared = Arc::new(Shared {
        names: server_names(options)?,
        plan: Plan {
            address: options.connect,
            requests: options.requests_per_connection,
            bytes: options.bytes,
            upload: options.upload,
            hello: options.hello,
            hold: Duration::from_secs(options.hold),
            together: options.together.then(|| Barrier::new(options.concurrency)),
        },
        taken: AtomicU64::new(0),
        wanted: options.connections,
        started: clock::now(),
        lasts: Duration::from_secs(options.seconds_max),
        total: Mutex::new(Tally::new()),
    });
    let mut threads = Vec::with_capacity(options.concurrency);
    for _ in 0..options.concurrency {
        // Each thread has settings of its own, and so its own sessions to resume.
        let config = Arc::new(tls::client(
            &options.ca,
            versions(options),
            options.group,
            options.resume,
        )?);
        let shared = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || shared.work(&config));
        threads.push(thread.map_err(LoadError::Thread)?);
    }
    for thread in threads {
        // A thread that panicked has tallied nothing: its connections show as missing in the report.
        let _panicked = thread.join();
    }
    let elapsed = clock::now().duration_since(shared.started);
    let total = shared
        .total
        .lock()
        .map_or_else(|_| Tally::new(), |mut total| std::mem::take(&mut *total));
    Ok(Report::new(options.connections, elapsed, &total))
}

/// What the threads of one run share.
struct Shared {
    names: Vec<ServerName<'static>>,
    plan: Plan,
    taken: AtomicU64,
    wanted: u64,
    started: Instant,
    lasts: Duration,
    total: Mutex<Tally>,
}

impl Shared {
    /// One thread: takes connections from the common count until there are none left or the time is up.
    fn work(&self, config: &Arc<ClientConfig>) {
        let mut tally = Tally::new();
        loop {
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.wanted || clock::now().duration_since(self.started) > self.lasts {
                break;
            }
            let turn = usize::try_from(number).unwrap_or(0) % self.names.len().max(1);
            if let Some(name) = self.names.get(turn) {
                self.plan.run(config, name, &mut tally);
            }
        }
        if let Ok(mut total) = self.total.lock() {
            total.add(&tally);
        }
    }
}

fn versions(options: &Options) -> Versions {
    match (options.tls12, options.tls13) {
        (true, _) => Versions::Tls12,
        (_, true) => Versions::Tls13,
        _ => Versions::Both,
    }
}

fn server_names(options: &Options) -> Result<Vec<ServerName<'static>>, LoadError> {
    let mut names = Vec::new();
    for pattern in &options.sni {
        let count = if pattern.contains("{}") {
            options.names
        } else {
            1
        };
        for number in 0..count {
            let name = pattern.replace("{}", &number.to_string());
            names.push(
                ServerName::try_from(name.clone())
                    .map_err(|source| LoadError::Name { name, source })?,
            );
        }
    }
    Ok(names)
}
