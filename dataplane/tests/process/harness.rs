//! The control plane's side of the link, and the process under test.

#![expect(clippy::panic, reason = "a test's harness fails by panicking")]

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::process::{Pid, Signal};
use sluice_schema::{Document, Generation, Snapshot, load};
use sluice_shm::link::{ControlLink, LINK_VERSION, Listener, ReplyBody, ToControl, ToDataplane};
use sluice_shm::{KeySegment, SealedSnapshot, StatsSegment, StatsView};

use crate::pcap;

const SOON: Duration = Duration::from_secs(20);

/// One test's directory and socket.
pub(crate) struct Harness {
    directory: tempfile::TempDir,
    listener: RefCell<Option<Listener>>,
}

/// A connection of the data plane.
pub(crate) struct Control {
    link: ControlLink,
    keys: RefCell<Vec<KeySegment>>,
    kept: RefCell<Vec<ToControl>>,
}

/// The process.
pub(crate) struct Dataplane {
    child: Child,
    errors: PathBuf,
}

/// A port that reads one capture file and writes another.
pub(crate) struct PcapPort {
    pub(crate) devargs: String,
    sent: PathBuf,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let harness = Self {
            directory,
            listener: RefCell::new(None),
        };
        harness.listen_again();
        harness
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("dataplane.sock")
    }

    pub(crate) fn listen_again(&self) {
        *self.listener.borrow_mut() = Some(Listener::bind(&self.socket()).expect("a socket"));
    }

    pub(crate) fn stop_listening(&self) {
        *self.listener.borrow_mut() = None;
    }

    pub(crate) fn start(&self) -> Dataplane {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_sluice-dataplane")))
    }

    /// Starts it in a network of its own, which ends with it, after `script` has furnished that.
    pub(crate) fn start_alone(&self, script: &str) -> Dataplane {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "sh", "-c"])
            .arg(format!("set -e; {script}; exec \"$@\""))
            .args(["sh", env!("CARGO_BIN_EXE_sluice-dataplane")]);
        self.start_by(command)
    }

    fn start_by(&self, mut command: Command) -> Dataplane {
        let errors = self.directory.path().join("errors");
        let child = command
            .arg("--control")
            .arg(self.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).expect("a file"))
            .spawn()
            .expect("started");
        Dataplane { child, errors }
    }

    pub(crate) fn accept(&self) -> Control {
        let listener = self.listener.borrow();
        let listener = listener.as_ref().expect("listening");
        let link = listener
            .accept(Some(SOON))
            .expect("a socket")
            .expect("the data plane connects");
        let welcome = ToDataplane::Welcome {
            version: LINK_VERSION,
            pid: std::process::id(),
        };
        link.send(&welcome, &[]).expect("welcomed");
        Control {
            link,
            keys: RefCell::default(),
            kept: RefCell::default(),
        }
    }

    /// A capture file of these frames.
    pub(crate) fn capture(&self, name: &str, frames: &[Vec<u8>]) -> PathBuf {
        let path = self.directory.path().join(name);
        pcap::write(&path, frames);
        path
    }

    pub(crate) fn pcap_port(&self, number: usize, frames: &[Vec<u8>]) -> PcapPort {
        let path = |name: String| self.directory.path().join(name);
        let (received, sent) = (
            path(format!("in{number}.pcap")),
            path(format!("out{number}.pcap")),
        );
        pcap::write(&received, frames);
        let devargs = format!(
            "net_pcap{number},rx_pcap={},tx_pcap={}",
            received.display(),
            sent.display()
        );
        PcapPort { devargs, sent }
    }
}

impl PcapPort {
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        pcap::read(&self.sent)
    }
}

impl Control {
    pub(crate) fn send(&self, message: &ToDataplane) {
        self.link.send(message, &[]).expect("sent");
    }

    /// Publishes what the document says, with no certificates.
    pub(crate) fn publish(&self, generation: u64, appliance: &str) {
        let documents = [Document {
            path: "appliance.toml".to_owned(),
            text: appliance.to_owned(),
        }];
        let configuration = load(&documents).expect("a valid configuration");
        let snapshot = Snapshot {
            generation: Generation(generation),
            configuration,
            certificates: Vec::new(),
        };
        self.publish_bytes(generation, &snapshot.encode(), &[]);
    }

    pub(crate) fn publish_damaged(&self, generation: u64) {
        self.publish_bytes(generation, b"anything else", &[]);
    }

    pub(crate) fn publish_bytes(&self, generation: u64, bytes: &[u8], keys: &[(u64, &[u8])]) {
        let snapshot = SealedSnapshot::seal(generation, bytes).expect("sealed");
        let keys = KeySegment::create(keys).expect("keys");
        self.link
            .send(
                &ToDataplane::Publish { generation },
                &[snapshot.as_fd(), keys.as_fd()],
            )
            .expect("published");
        // Dropped, they would be overwritten before the data plane has read them.
        self.keys.borrow_mut().push(keys);
    }

    /// The next message; `None` when the link has ended.
    pub(crate) fn next(&self) -> Option<ToControl> {
        self.receive().map(|(message, _)| message)
    }

    fn receive(&self) -> Option<(ToControl, Vec<OwnedFd>)> {
        match self.link.receive(Some(SOON)) {
            Ok(Some(received)) => Some((received.message, received.descriptors)),
            Ok(None) => panic!("nothing came for {SOON:?}; so far {:?}", self.kept.borrow()),
            Err(_) => None,
        }
    }

    /// Receives until `wanted` finds what it looks for; the rest is kept for [`Control::problems`].
    fn until<T>(
        &self,
        what: &str,
        mut wanted: impl FnMut(ToControl, Vec<OwnedFd>) -> Result<T, ToControl>,
    ) -> T {
        loop {
            let Some((message, descriptors)) = self.receive() else {
                panic!(
                    "the link ended before {what}; so far {:?}",
                    self.kept.borrow()
                )
            };
            match wanted(message, descriptors) {
                Ok(found) => return found,
                Err(other) => self.kept.borrow_mut().push(other),
            }
        }
    }

    /// The next hello, with its statistics if it has cores.
    pub(crate) fn expect_hello(
        &self,
        expected: &[u16],
        adopted_then: Option<u64>,
    ) -> Option<StatsView> {
        self.until("a hello", |message, mut descriptors| match message {
            ToControl::Hello {
                version,
                cores,
                adopted,
                ..
            } => {
                assert_eq!(version, LINK_VERSION);
                assert_eq!(cores, expected);
                assert_eq!(adopted, adopted_then);
                let wanted = if cores.is_empty() { 0 } else { 1 + cores.len() };
                assert_eq!(descriptors.len(), wanted);
                let stats = (!descriptors.is_empty()).then(|| descriptors.remove(0));
                Ok(stats.map(|stats| StatsSegment::open(stats).expect("statistics")))
            }
            other => Err(other),
        })
    }

    pub(crate) fn expect_refusal(&self) -> (u64, String) {
        self.until("a refusal", |message, _| match message {
            ToControl::Refused {
                core: None,
                generation,
                reason,
            } => Ok((generation, reason)),
            other => Err(other),
        })
    }

    pub(crate) fn expect_reply(&self, expected: u64) -> ReplyBody {
        self.until("a reply", |message, _| match message {
            ToControl::Reply { id, body } if id == expected => Ok(body),
            other => Err(other),
        })
    }

    pub(crate) fn wait_adopted(&self, expected: u64) {
        self.until("an acknowledgement", |message, _| match message {
            ToControl::Adopted {
                core: 1,
                generation,
            } if generation == expected => Ok(()),
            other => Err(other),
        });
    }

    /// Problems told so far.
    pub(crate) fn problems(&self) -> Vec<String> {
        let kept = self.kept.borrow();
        let problems = kept.iter().filter_map(|message| match message {
            ToControl::Problem { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        problems.collect()
    }
}

impl Dataplane {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    pub(crate) fn exit_status(&mut self) -> i32 {
        self.wait().code().expect("it ended by itself")
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        let deadline = clock() + SOON;
        while clock() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            pause(Duration::from_millis(5));
        }
        panic!("it did not end: {}", self.errors())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn errors(&self) -> String {
        read(&self.errors)
    }
}

impl Drop for Dataplane {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `appliance.toml` with this segment, on core 1, without hugepages.
pub(crate) fn appliance(segment: &str) -> String {
    format!(
        "[appliance]\nname = \"test\"\n[dataplane]\ncores = [1]\nmain_core = 0\nmemory_mib = 64\nhugepages = \"off\"\n\
         [limits]\nflows_max = 4096\ninspected_sessions_max = 1024\n{segment}"
    )
}

/// A segment between two of DPDK's virtual devices.
pub(crate) fn segment(port_a: &str, port_b: &str) -> String {
    format!("[[segment]]\nname = \"one\"\nport_a = \"vdev:{port_a}\"\nport_b = \"vdev:{port_b}\"\n")
}

/// Holds what a data plane holds that has this port open.
pub(crate) fn claim(resource: &str) -> OwnedFd {
    let socket =
        rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).expect("a socket");
    let name = format!("sluice-port/{resource}");
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("an address");
    rustix::net::bind(&socket, &address).expect("nobody else has it");
    socket
}

/// Waits until `holds`.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = clock() + SOON;
    while !holds() {
        assert!(clock() < deadline, "never happened: {what}");
        pause(Duration::from_millis(5));
    }
}

pub(crate) fn pause(wait: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that waits for another process"
    )]
    std::thread::sleep(wait);
}

fn clock() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that waits for another process"
    )]
    Instant::now()
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .expect("a file");
    text
}
