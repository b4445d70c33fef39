//! Programs run by a test, bounded in time.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::InteropError;
use crate::limits::{POLL, STOP_SECONDS_MAX};

/// Variables that make clients trust or route otherwise than the test says.
const CLEARED: [&str; 14] = [
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "GIT_DIR",
];

/// What a program that ended left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Whether it exited with status 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 0
    }
}

/// A program that runs beside the test. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    program: String,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts it; its output is collected while it runs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(argv: &[String], directory: Option<&Path>) -> Result<Self, InteropError> {
        let (name, arguments) = argv
            .split_first()
            .map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
        let mut command = Command::new(name);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for variable in CLEARED {
            command.env_remove(variable);
        }
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let program = argv.join(" ");
        let mut child = command.spawn().map_err(|source| InteropError::Start {
            program: program.clone(),
            source,
        })?;
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Ok(Self {
            program,
            child,
            stdout,
            stderr,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the time is up; it is killed then.
    pub fn wait(mut self, limit: Duration) -> Result<Outcome, InteropError> {
        if until(limit, || !self.runs()) {
            return Ok(self.outcome());
        }
        let program = self.program.clone();
        // It may end by itself in this moment.
        let _ended = self.child.kill();
        let outcome = self.outcome();
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        let tail = said
            .chars()
            .rev()
            .take(600)
            .collect::<Vec<char>>()
            .into_iter()
            .rev()
            .collect();
        Err(InteropError::Late {
            program,
            limit,
            said: tail,
        })
    }

    /// Asks it to end, by a signal's name, and waits.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub fn stop(self, signal: &str) -> Result<Outcome, InteropError> {
        signal_to(self.pid(), signal)?;
        self.wait(STOP_SECONDS_MAX)
    }

    fn outcome(&mut self) -> Outcome {
        let status = self
            .child
            .wait()
            .ok()
            .and_then(|status| status.code())
            .unwrap_or(-1);
        let text = |thread: Option<JoinHandle<Vec<u8>>>| {
            let bytes = thread
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome {
            status,
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended already; a second kill of an ended child does nothing.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Sends a signal by its name to a process.
///
/// # Errors
/// When kill(1) cannot be run.
pub(crate) fn signal_to(pid: u32, signal: &str) -> Result<(), InteropError> {
    let argv = ["kill".to_owned(), format!("-{signal}"), pid.to_string()];
    Running::start(&argv, None)?
        .wait(STOP_SECONDS_MAX)
        .map(drop)
}

/// Looks at a condition until it holds (true) or the time is up (false).
#[expect(
    clippy::disallowed_methods,
    reason = "a test waits for other processes"
)]
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

fn collect(mut source: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A source that fails has ended: what came until then is what there is.
        let _failed = source.read_to_end(&mut bytes);
        bytes
    })
}
