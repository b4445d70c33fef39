//! What this process says about itself: one line each, on standard error, and its exit status.

use std::io::Write;
use std::process::ExitCode;

use crate::failure::StartFailure;

/// Ended as asked by a signal.
pub(crate) const STOPPED: u8 = 0;
/// A port's interface or device does not exist, or cannot be brought up.
pub(crate) const PORT: u8 = 10;
/// The process may not do what it must.
pub(crate) const PERMISSION: u8 = 11;
/// Too little memory, or too few hugepages.
pub(crate) const MEMORY: u8 = 12;
/// A port is in use by another data plane.
pub(crate) const PORT_IN_USE: u8 = 13;
/// A configured core does not exist.
pub(crate) const CORE: u8 = 14;
/// DPDK, the random generator or the kernel refused something else.
pub(crate) const ENVIRONMENT: u8 = 15;
/// A core ended by itself: a defect.
pub(crate) const DEFECT: u8 = 16;

/// For `--help`.
pub(crate) const EXIT_STATUS_HELP: &str = "Exit status:
   0  stopped by SIGTERM or SIGINT
   2  wrong usage
  10  a port's interface or device is missing or does not come up
  11  no permission: CAP_NET_RAW and CAP_NET_ADMIN are needed
  12  too little memory or too few hugepages
  13  a port is in use by another data plane
  14  a configured core does not exist
  15  DPDK, the random generator or the kernel refused something else
  16  a core ended by itself: a defect

Without sluiced the process waits for it. Boot settings (cores, memory, ports) come with the first generation.";

/// Says one line.
pub(crate) fn say(line: impl core::fmt::Display) {
    // Nobody to tell when standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "sluice-dataplane: {line}");
}

/// The exit status of a failure.
pub(crate) fn exit_code(failure: &StartFailure) -> ExitCode {
    ExitCode::from(failure.status())
}
