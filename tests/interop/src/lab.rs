//! The lab as a test sees it: facts, commands in the namespaces, the appliance's own command line.

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;

use crate::capture::Capture;
use crate::error::InteropError;
use crate::events::{self, Event};
use crate::limits::{COMMAND_SECONDS_MAX, EVENT_SECONDS_MAX, LAB_SECONDS_MAX};
use crate::process::{Outcome, Running, signal_to};

const BRIDGE_VARIABLE: &str = "SLUICE_LAB_PLAIN_BRIDGE";
const PORT_TYPE_VARIABLE: &str = "SLUICE_LAB_PORT_TYPE";
const PROGRAMS: [&str; 3] = ["sluiced", "sluice-dataplane", "sluice"];

/// What `lab up` and `lab status` print.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    /// `appliance` or `plain-bridge`.
    pub mode: String,
    /// Driver of the segment's ports; none on the bridge.
    pub port_type: Option<String>,
    /// Documents the appliance was given.
    pub config_source: PathBuf,
    /// The documents as applied.
    pub config_dir: PathBuf,
    /// Where the binaries lie.
    pub bin_dir: PathBuf,
    /// sluiced's socket for the command line.
    pub control_socket: PathBuf,
    /// Certificate that clients trust: the appliance's authority, or the origin's on the bridge.
    pub trust_anchor: PathBuf,
    /// The authority for origins that do not verify.
    pub untrusted_anchor: PathBuf,
    /// The origin's own root.
    pub origin_anchor: PathBuf,
    /// The appliance's event log.
    pub event_log: PathBuf,
    /// Small files of the lab.
    pub run_dir: PathBuf,
    /// What the origin serves.
    pub www_dir: PathBuf,
    /// What clients have uploaded.
    pub upload_dir: PathBuf,
    /// Certificates and keys of the origin.
    pub pki_dir: PathBuf,
    /// Logs of all processes.
    pub logs_dir: PathBuf,
    /// The origin's requests, one JSON object per line.
    pub origin_access_log: PathBuf,
}

/// A lab that is up, held by one test at a time.
#[derive(Debug)]
pub struct Lab {
    /// Its facts.
    pub facts: Facts,
    spoilt: bool,
    /// Length of the event log when the test took the lab: ports come again, and so would events of earlier tests.
    logged: u64,
    _turn: File,
}

impl Lab {
    /// Takes the lab, bringing it up (or anew) if it is not there as wanted; waits for its turn.
    ///
    /// # Errors
    /// When the lab does not come up.
    pub fn take() -> Result<Self, InteropError> {
        let turn = turn()?;
        let bridge = std::env::var_os(BRIDGE_VARIABLE).is_some();
        let facts = match healthy(bridge)? {
            Some(facts) => facts,
            None => bring_up(bridge, None)?,
        };
        let logged = facts.event_log.metadata().map_or(0, |data| data.len());
        Ok(Self {
            facts,
            spoilt: false,
            logged,
            _turn: turn,
        })
    }

    /// The lab with the appliance in it; none in a control run, where the test says nothing.
    ///
    /// # Errors
    /// When the lab does not come up.
    pub fn with_appliance() -> Result<Option<Self>, InteropError> {
        let lab = Self::take()?;
        Ok(lab.inspects().then_some(lab))
    }

    /// A lab of its own for one test, brought up with further words of `lab up`; none in a control run.
    ///
    /// # Errors
    /// When the lab does not come up.
    pub fn anew(words: &[&str]) -> Result<Option<Self>, InteropError> {
        let turn = turn()?;
        if std::env::var_os(BRIDGE_VARIABLE).is_some() {
            return Ok(None);
        }
        lab(&["down"])?;
        let outcome = lab(&[&["up"], words].concat())?;
        let facts = serde_json::from_str(&outcome.stdout).map_err(|_| failed("up", &outcome))?;
        Ok(Some(Self {
            facts,
            spoilt: true,
            logged: 0,
            _turn: turn,
        }))
    }

    /// Whether the appliance stands between client and origin.
    #[must_use]
    pub fn inspects(&self) -> bool {
        self.facts.mode == "appliance"
    }

    /// Common name of the issuer that clients see on an inspected connection.
    #[must_use]
    pub fn inspected_issuer(&self) -> &'static str {
        if self.inspects() {
            "Sluice Lab CA"
        } else {
            Self::ORIGIN_ISSUER
        }
    }

    /// Common name of the issuer of the origin's own certificates.
    pub const ORIGIN_ISSUER: &'static str = "Sluice Lab Intermediate";
    /// Common name of the authority for origins that do not verify.
    pub const UNTRUSTED_ISSUER: &'static str = "Sluice Lab Untrusted CA";

    /// The lab is not as it was: the next test gets a new one.
    pub fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// Runs a command in the client's namespace to its end.
    ///
    /// # Errors
    /// When it cannot be run or does not end in time.
    pub fn client<S: AsRef<str>>(&self, argv: &[S]) -> Result<Outcome, InteropError> {
        self.client_in(argv, None, COMMAND_SECONDS_MAX)
    }

    /// The same in a directory, with a time limit.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn client_in<S: AsRef<str>>(
        &self,
        argv: &[S],
        directory: Option<&Path>,
        limit: Duration,
    ) -> Result<Outcome, InteropError> {
        Running::start(&inside("sluice-client", argv), directory)?.wait(limit)
    }

    /// Runs a command in the origin's namespace to its end.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn origin<S: AsRef<str>>(&self, argv: &[S]) -> Result<Outcome, InteropError> {
        Running::start(&inside("sluice-origin", argv), None)?.wait(COMMAND_SECONDS_MAX)
    }

    /// Starts a command in a namespace (`client`, `origin` or `appliance`).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<S: AsRef<str>>(&self, side: &str, argv: &[S]) -> Result<Running, InteropError> {
        Running::start(&inside(&format!("sluice-{side}"), argv), None)
    }

    /// Starts a lab command that goes on until it is ended, such as `impair`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_command(&self, words: &[&str]) -> Result<Running, InteropError> {
        let mut argv = vec![self.script("lab")];
        argv.extend(words.iter().map(|&word| word.to_owned()));
        Running::start(&argv, None)
    }

    /// Path of one of the lab's own programs.
    #[must_use]
    pub fn script(&self, name: &str) -> String {
        script(name).display().to_string()
    }

    /// Starts a capture at the client's end or the origin's (`client`, `origin`).
    ///
    /// # Errors
    /// When tcpdump does not begin.
    pub fn capture(&self, side: &str, filter: &str) -> Result<Capture, InteropError> {
        let running =
            |argv: &[String]| Running::start(&inside(&format!("sluice-{side}"), argv), None);
        Capture::start(&format!("sl-{side}"), filter, running)
    }

    /// Runs the load generator in the client's namespace; its report, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be run or prints no report.
    pub fn load(&self, arguments: &[&str], limit: Duration) -> Result<Value, InteropError> {
        let outcome = self.start_load(arguments)?.wait(limit)?;
        report(&outcome)
    }

    /// Starts the load generator with `count` connections to `good.lab.test`, `at_once` of them at any time; give what it leaves
    /// to [`Self::report`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_connections(
        &self,
        count: usize,
        at_once: usize,
        more: &[&str],
    ) -> Result<Running, InteropError> {
        let (count, at_once) = (count.to_string(), at_once.to_string());
        let to = ["--connect", "10.201.2.2:443", "--sni", "good.lab.test"];
        let many = ["--connections", &count, "--concurrency", &at_once];
        self.start_load(&[&to, &many, more].concat())
    }

    fn start_load(&self, arguments: &[&str]) -> Result<Running, InteropError> {
        let mut argv = vec![
            self.facts
                .bin_dir
                .join("sluice-bench")
                .display()
                .to_string(),
            "load".to_owned(),
        ];
        argv.extend([
            "--ca".to_owned(),
            self.facts.trust_anchor.display().to_string(),
        ]);
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self.start("client", &argv)
    }

    /// The report of a load generator that ended.
    ///
    /// # Errors
    /// When there is none.
    pub fn report(&self, outcome: &Outcome) -> Result<Value, InteropError> {
        report(outcome)
    }

    /// Runs `sluice` with `--json` against the lab's sluiced and returns what it prints.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn sluice_json(&self, words: &[&str]) -> Result<Value, InteropError> {
        let mut all = vec!["--json"];
        all.extend(words);
        let outcome = self.sluice(&all)?;
        serde_json::from_str(&outcome.stdout).map_err(|_| InteropError::Output {
            program: format!("sluice {}", words.join(" ")),
            said: format!("{}{}", outcome.stdout, outcome.stderr),
        })
    }

    /// Runs `sluice` against the lab's sluiced.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn sluice(&self, words: &[&str]) -> Result<Outcome, InteropError> {
        let mut argv = vec![self.facts.bin_dir.join("sluice").display().to_string()];
        argv.extend([
            "--socket".to_owned(),
            self.facts.control_socket.display().to_string(),
        ]);
        argv.extend(words.iter().map(|&word| word.to_owned()));
        Running::start(&argv, None)?.wait(COMMAND_SECONDS_MAX)
    }

    /// The closing event of the flow that came from this port of the client.
    ///
    /// # Errors
    /// When it is not logged in time.
    pub fn event(&self, client_port: u16) -> Result<Event, InteropError> {
        events::wait_for(
            &self.facts.event_log,
            self.logged,
            client_port,
            EVENT_SECONDS_MAX,
        )
    }

    /// Every event logged since the test took the lab.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        events::read(&self.facts.event_log, self.logged)
    }

    /// Every event of the appliance itself, of this name, logged since the test took the lab.
    #[must_use]
    pub fn system_events(&self, name: &str) -> Vec<Value> {
        events::read_system(&self.facts.event_log, self.logged, name)
    }

    /// A figure by its name, summed over the cores, from `show stats`.
    ///
    /// # Errors
    /// When there is no such figure.
    pub fn gauge(&self, name: &str) -> Result<i64, InteropError> {
        let stats = self.sluice_json(&["show", "stats", "--all"])?;
        let rows = stats.get("counters").and_then(Value::as_array);
        rows.into_iter()
            .flatten()
            .find(|row| row.get("name").and_then(Value::as_str) == Some(name))
            .and_then(|row| row.get("total").and_then(Value::as_i64))
            .ok_or_else(|| InteropError::Output {
                program: format!("sluice show stats ({name})"),
                said: stats.to_string(),
            })
    }

    /// Resident bytes of a process of the lab.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident(&self, name: &str) -> Result<i64, InteropError> {
        let file = PathBuf::from(format!("/proc/{}/status", self.pid(name)?));
        let status =
            std::fs::read_to_string(&file).map_err(|source| InteropError::File { file, source })?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<i64>().ok());
        kibibytes
            .map(|kibibytes| kibibytes * 1024)
            .ok_or(InteropError::Output {
                program: "the kernel".to_owned(),
                said: status,
            })
    }

    /// The process of this name now: `sluiced`, `dataplane`, `nginx`.
    ///
    /// # Errors
    /// When the lab is down.
    pub fn pid(&self, name: &str) -> Result<u32, InteropError> {
        let outcome = lab(&["status"])?;
        let status: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let pid = status
            .pointer(&format!("/pids/{name}"))
            .and_then(Value::as_u64);
        pid.and_then(|pid| u32::try_from(pid).ok())
            .ok_or_else(|| failed("status", &outcome))
    }

    /// Kills a process of the appliance with SIGKILL.
    ///
    /// # Errors
    /// When the lab is down.
    pub fn kill(&mut self, name: &str) -> Result<(), InteropError> {
        self.spoil();
        signal_to(self.pid(name)?, "KILL")
    }

    /// Starts a process of the appliance again: `sluiced` or `dataplane`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&self, name: &str) -> Result<(), InteropError> {
        let outcome = lab(&["restart", name])?;
        if outcome.ok() {
            Ok(())
        } else {
            Err(failed("restart", &outcome))
        }
    }

    /// An IPv4 and an IPv6 address of the origin.
    pub const ORIGIN: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::new(10, 201, 2, 2)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0x201, 0, 0, 0, 0, 2, 2)),
    ];
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.spoilt {
            // The next test brings a new lab up and tells if it cannot.
            let _failed = lab(&["down"]);
        }
    }
}

fn turn() -> Result<File, InteropError> {
    let path = std::env::temp_dir().join("sluice-interop.lock");
    let failed = |source| InteropError::File {
        file: path.clone(),
        source,
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// The facts of a lab that is up, of the wanted kind and with today's binaries.
fn healthy(bridge: bool) -> Result<Option<Facts>, InteropError> {
    let outcome = lab(&["status"])?;
    if !outcome.ok() {
        return Ok(None);
    }
    let Ok(facts) = serde_json::from_str::<Facts>(&outcome.stdout) else {
        return Err(failed("status", &outcome));
    };
    let wanted = if bridge { "plain-bridge" } else { "appliance" };
    let ours = facts.config_source == script("config")
        && facts.port_type.as_deref().unwrap_or(&port_type()) == port_type();
    let modified = |path: PathBuf| {
        path.metadata()
            .and_then(|data| data.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let since = modified(facts.run_dir.join("lab.json"));
    let rebuilt = !bridge
        && PROGRAMS
            .iter()
            .any(|name| modified(facts.bin_dir.join(name)) > since);
    Ok((facts.mode == wanted && ours && !rebuilt).then_some(facts))
}

fn bring_up(bridge: bool, config: Option<&Path>) -> Result<Facts, InteropError> {
    lab(&["down"])?;
    let mut words = vec!["up".to_owned()];
    if bridge {
        words.push("--plain-bridge".to_owned());
    } else {
        words.extend(["--port-type".to_owned(), port_type()]);
    }
    if let Some(config) = config {
        words.extend(["--config".to_owned(), config.display().to_string()]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = lab(&words)?;
    serde_json::from_str(&outcome.stdout).map_err(|_| failed("up", &outcome))
}

fn port_type() -> String {
    std::env::var(PORT_TYPE_VARIABLE).unwrap_or_else(|_| "af_packet".to_owned())
}

fn script(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab");
    directory.canonicalize().unwrap_or(directory).join(name)
}

fn lab(words: &[&str]) -> Result<Outcome, InteropError> {
    let mut argv = vec![script("lab").display().to_string()];
    argv.extend(words.iter().map(|&word| word.to_owned()));
    Running::start(&argv, None)?.wait(LAB_SECONDS_MAX)
}

fn failed(command: &str, outcome: &Outcome) -> InteropError {
    InteropError::Lab {
        command: command.to_owned(),
        said: format!("{}{}", outcome.stdout, outcome.stderr),
    }
}

fn report(outcome: &Outcome) -> Result<Value, InteropError> {
    serde_json::from_str(&outcome.stdout).map_err(|_| InteropError::Output {
        program: "sluice-bench load".to_owned(),
        said: format!("{}{}", outcome.stdout, outcome.stderr),
    })
}

fn inside<S: AsRef<str>>(namespace: &str, argv: &[S]) -> Vec<String> {
    let mut all: Vec<String> = ["ip", "netns", "exec", namespace].map(str::to_owned).into();
    all.extend(argv.iter().map(|word| word.as_ref().to_owned()));
    all
}
