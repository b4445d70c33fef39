//! A `sluiced` of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal};

use super::eventually;

/// A running process; killed when the test ends.
pub(crate) struct Daemon {
    root: PathBuf,
    event_log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts with everything below `root`, and waits until it answers.
    pub(crate) fn start(root: &Path) -> Self {
        Self::start_logging_to(root, &root.join("eve.json"))
    }

    pub(crate) fn start_logging_to(root: &Path, event_log: &Path) -> Self {
        let mut daemon = Self {
            root: root.to_owned(),
            event_log: event_log.to_owned(),
            child: None,
        };
        daemon.start_again();
        daemon
    }

    /// A command line as [`Self::start`] uses it, not yet run.
    pub(crate) fn command(root: &Path, event_log: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluiced"));
        command.arg("--state-dir").arg(root.join("state"));
        command.arg("--run-dir").arg(root.join("run"));
        command.arg("--event-log").arg(event_log);
        command
    }

    /// Starts after [`Self::kill`] or [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.root.join("stderr"))
            .unwrap();
        let child = Self::command(&self.root, &self.event_log)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let socket = self.control_socket();
        eventually("the management socket", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "sluiced ended: {}", self.messages());
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.run_dir().join("control.sock")
    }

    /// What it has said on its standard error, over all its lives.
    pub(crate) fn messages(&self) -> String {
        std::fs::read_to_string(self.root.join("stderr")).unwrap_or_default()
    }

    /// The events in its log.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.event_log).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and its exit status.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.take().unwrap().wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
