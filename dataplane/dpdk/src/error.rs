//! What DPDK answers when it refuses, in words that say what to do.

use core::fmt;
use std::ffi::CStr;

/// A call into DPDK that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DpdkError {
    /// What was attempted.
    pub operation: Operation,
    /// What it was attempted on: a port's or a pool's name, or empty.
    pub subject: String,
    /// Why DPDK refused.
    pub errno: Errno,
    /// What to do about it; empty when nothing better than the reason can be said.
    pub hint: &'static str,
    /// What the EAL or the driver logged meanwhile, oldest first.
    pub log: Vec<String>,
}

/// What was attempted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Starting the environment abstraction layer.
    InitEal,
    /// Making a packet pool.
    CreatePool,
    /// Bringing a device into the process.
    AttachPort,
    /// Reading what a port can do.
    ReadPort,
    /// Setting a port's queues and features.
    ConfigurePort,
    /// Setting the largest frame a port takes.
    SetMtu,
    /// Setting up a receive queue.
    SetUpReceiveQueue,
    /// Setting up a transmit queue.
    SetUpTransmitQueue,
    /// Starting a port.
    StartPort,
    /// Setting or reading the table by which a port spreads flows over its queues.
    SpreadFlows,
    /// Making a port take frames for every address.
    SetPromiscuous,
    /// Starting work on a core.
    LaunchLcore,
}

/// An `errno` of DPDK's, positive.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl DpdkError {
    /// The error of a call that returned the negative errno `code`.
    pub(crate) fn from_code(operation: Operation, subject: &str, code: i32) -> Self {
        let log = crate::log::take();
        let errno = match code.saturating_neg().max(0) {
            // Buses and virtual devices answer -1, which would read as EPERM, for whatever went wrong.
            1 if !log.iter().any(|line| line.contains("not permitted")) => Errno::UNSAID,
            errno => Errno(errno),
        };
        Self {
            operation,
            subject: subject.to_owned(),
            errno,
            hint: hint(operation, errno),
            log,
        }
    }

    /// The error of a call that left its reason in `rte_errno`.
    pub(crate) fn last(operation: Operation, subject: &str) -> Self {
        // SAFETY: reads a thread-local integer; it has no precondition.
        let errno = unsafe { dpdk_sys::dpdk_shim_errno() };
        Self::from_code(operation, subject, errno.saturating_neg())
    }
}

/// Turns DPDK's "negative is an errno" into a result.
pub(crate) fn check(operation: Operation, subject: &str, code: i32) -> Result<(), DpdkError> {
    if code < 0 {
        Err(DpdkError::from_code(operation, subject, code))
    } else {
        Ok(())
    }
}

impl Errno {
    /// The driver refused and did not say why in a number.
    pub const UNSAID: Self = Self(0);
    /// Operation not permitted.
    pub const PERM: Self = Self(1);
    /// No such file, device or object.
    pub const NOENT: Self = Self(2);
    /// No memory.
    pub const NOMEM: Self = Self(12);
    /// Permission denied.
    pub const ACCES: Self = Self(13);
    /// Busy.
    pub const BUSY: Self = Self(16);
    /// It is there already.
    pub const EXIST: Self = Self(17);
    /// No such device.
    pub const NODEV: Self = Self(19);
    /// Invalid argument.
    pub const INVAL: Self = Self(22);
    /// Not supported.
    pub const NOTSUP: Self = Self(95);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNSAID {
            return f.write_str("the driver refused");
        }
        // SAFETY: takes any integer and answers a NUL-terminated string in static or thread-local memory.
        let text = unsafe { dpdk_sys::rte_strerror(self.0) };
        if text.is_null() {
            return write!(f, "errno {}", self.0);
        }
        // SAFETY: not null, NUL-terminated, and not overwritten before this thread's next rte_strerror.
        let text = unsafe { CStr::from_ptr(text) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InitEal => "starting DPDK",
            Self::CreatePool => "making the packet pool",
            Self::AttachPort => "attaching the port",
            Self::ReadPort => "reading the port",
            Self::ConfigurePort => "configuring the port",
            Self::SetMtu => "setting the MTU of the port",
            Self::SetUpReceiveQueue => "setting up a receive queue of the port",
            Self::SetUpTransmitQueue => "setting up a transmit queue of the port",
            Self::StartPort => "starting the port",
            Self::SpreadFlows => "spreading flows over the queues of the port",
            Self::SetPromiscuous => "making the port promiscuous",
            Self::LaunchLcore => "starting work on lcore",
        })
    }
}

impl fmt::Display for DpdkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        write!(f, " failed: {}", self.errno)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        if !self.log.is_empty() {
            write!(f, " [DPDK: {}]", self.log.join(" / "))?;
        }
        Ok(())
    }
}

fn hint(operation: Operation, errno: Errno) -> &'static str {
    match (operation, errno) {
        (_, Errno::PERM | Errno::ACCES) => {
            "run as root, or give the process CAP_NET_RAW and CAP_NET_ADMIN (and CAP_IPC_LOCK with hugepages)"
        }
        (Operation::InitEal, Errno::NOMEM) => {
            "lower memory_mib, reserve more hugepages, or set hugepages = \"off\""
        }
        (_, Errno::NOMEM) => "raise memory_mib: the packet pools and queues do not fit",
        (Operation::AttachPort, Errno::EXIST) => "the same port is named twice",
        (Operation::AttachPort, Errno::BUSY) => "another process holds the device",
        (Operation::AttachPort, Errno::NODEV | Errno::NOENT) => {
            "the device does not exist, or no driver for it is installed"
        }
        (Operation::AttachPort, _) => {
            "check the driver's name, its arguments and that the interface exists"
        }
        (Operation::SetMtu, _) => "the driver does not take frames of that size",
        (Operation::ConfigurePort, Errno::INVAL) => {
            "the driver offers fewer queues or features than were asked for"
        }
        (Operation::LaunchLcore, Errno::BUSY) => "the core is already at work",
        _ => "",
    }
}
