//! Why the data plane does not start, or does not go on.

use dpdk::{DpdkError, Errno, InitError, LaunchError, Operation, PortError};
use sluice_pki::LeafKeyError;
use sluice_proxy::WorkerError;
use sluice_random::RandomError;
use sluice_shm::{EventRingError, StatsError};

use crate::status;

/// Why the data plane does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartFailure {
    /// A port's interface is missing.
    #[error(
        "port {port}: there is no interface {interface}; create it, or change the segment's port and apply"
    )]
    MissingInterface {
        /// The port, as configured.
        port: String,
        /// The interface.
        interface: String,
    },
    /// A capability is missing.
    #[error("port {port}: no permission; run as root, or give the process {capability}")]
    NoPermission {
        /// The port, as configured.
        port: String,
        /// The capability.
        capability: &'static str,
    },
    /// Another data plane has the port.
    #[error(
        "port {port} is in use by another sluice-dataplane; stop that process, or use another port"
    )]
    PortInUse {
        /// The port, as configured.
        port: String,
    },
    /// A port does not come up.
    #[error("port {port}: {error}")]
    Port {
        /// The port, as configured.
        port: String,
        /// What DPDK says.
        error: PortError,
    },
    /// DPDK does not start.
    #[error(transparent)]
    Eal(#[from] InitError),
    /// The memory setting holds too few packet buffers.
    #[error(
        "memory_mib = {mib} holds {packets} packet buffers, and {needed} are needed; set it to at least {enough}"
    )]
    TooFewPackets {
        /// The setting.
        mib: u32,
        /// Buffers that fit.
        packets: u32,
        /// Buffers needed.
        needed: u32,
        /// A setting that does.
        enough: u32,
    },
    /// DPDK refused something else.
    #[error(transparent)]
    Dpdk(#[from] DpdkError),
    /// A core cannot be given its work.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// No statistics segment.
    #[error("the statistics segment cannot be made: {0}")]
    Stats(#[from] StatsError),
    /// No event ring.
    #[error("an event ring cannot be made: {0}")]
    Events(#[from] EventRingError),
    /// No leaf key.
    #[error("the key of the leaves cannot be made: {0}")]
    LeafKey(#[from] LeafKeyError),
    /// No random bytes.
    #[error("there are no random bytes: {0}")]
    Random(#[from] RandomError),
    /// A core's worker cannot be made.
    #[error("core {core}: {error}")]
    Worker {
        /// The core.
        core: u16,
        /// Why not.
        error: WorkerError,
    },
    /// The kernel refused.
    #[error("{what}: {error}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The kernel's answer.
        error: std::io::Error,
    },
    /// A core is gone.
    #[error("core {core} ended by itself; this is a defect, please report it with the lines above")]
    CoreEnded {
        /// The core.
        core: u16,
    },
}

impl StartFailure {
    /// The process's exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::NoPermission { .. } => status::PERMISSION,
            Self::PortInUse { .. } => status::PORT_IN_USE,
            Self::Port {
                error: PortError::Dpdk(error),
                ..
            } => of_dpdk(error, status::PORT),
            Self::Port { .. } | Self::MissingInterface { .. } => status::PORT,
            Self::Eal(error) => of_eal(error),
            Self::TooFewPackets { .. } => status::MEMORY,
            Self::Dpdk(error) => of_dpdk(error, status::ENVIRONMENT),
            Self::CoreEnded { .. } => status::DEFECT,
            Self::Launch(_)
            | Self::Stats(_)
            | Self::Events(_)
            | Self::LeafKey(_)
            | Self::Random(_)
            | Self::Worker { .. }
            | Self::System { .. } => status::ENVIRONMENT,
        }
    }
}

fn of_eal(error: &InitError) -> u8 {
    match error {
        InitError::NoSuchCpu { .. }
        | InitError::NoMainLcore { .. }
        | InitError::LcoreTwice { .. } => status::CORE,
        InitError::TooFewHugepages { .. }
        | InitError::TooLittleMemory { .. }
        | InitError::MemoryBelowMinimum { .. } => status::MEMORY,
        InitError::Dpdk(error) => of_dpdk(error, status::ENVIRONMENT),
        InitError::AlreadyStarted | InitError::BadText { .. } => status::ENVIRONMENT,
    }
}

fn of_dpdk(error: &DpdkError, otherwise: u8) -> u8 {
    match error.errno {
        Errno::PERM | Errno::ACCES => status::PERMISSION,
        Errno::NOMEM => status::MEMORY,
        Errno::BUSY if error.operation == Operation::AttachPort => status::PORT_IN_USE,
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dpdk(operation: Operation, errno: Errno) -> DpdkError {
        DpdkError {
            operation,
            subject: "net_tap0".to_owned(),
            errno,
            hint: "",
            log: Vec::new(),
        }
    }

    #[test]
    fn every_failure_has_one_line_and_a_status_of_its_kind() {
        let port = || "af_packet:sl-a".to_owned();
        let failures = [
            (
                StartFailure::MissingInterface {
                    port: port(),
                    interface: "sl-a".to_owned(),
                },
                status::PORT,
            ),
            (
                StartFailure::NoPermission {
                    port: port(),
                    capability: "CAP_NET_RAW",
                },
                status::PERMISSION,
            ),
            (
                StartFailure::PortInUse { port: port() },
                status::PORT_IN_USE,
            ),
            (
                StartFailure::Port {
                    port: port(),
                    error: PortError::Dpdk(dpdk(Operation::AttachPort, Errno::UNSAID)),
                },
                status::PORT,
            ),
            (
                StartFailure::Port {
                    port: port(),
                    error: PortError::Dpdk(dpdk(Operation::AttachPort, Errno::BUSY)),
                },
                status::PORT_IN_USE,
            ),
            (
                StartFailure::Eal(InitError::TooFewHugepages {
                    needed_mib: 256,
                    free_mib: 0,
                    pages: 128,
                }),
                status::MEMORY,
            ),
            (
                StartFailure::Eal(InitError::NoSuchCpu {
                    cpu: 9,
                    usable: "0-1".to_owned(),
                }),
                status::CORE,
            ),
            (
                StartFailure::TooFewPackets {
                    mib: 32,
                    packets: 100,
                    needed: 4_095,
                    enough: 64,
                },
                status::MEMORY,
            ),
            (
                StartFailure::Dpdk(dpdk(Operation::CreatePool, Errno::NOMEM)),
                status::MEMORY,
            ),
            (StartFailure::CoreEnded { core: 1 }, status::DEFECT),
        ];
        for (failure, status) in failures {
            let line = failure.to_string();
            assert_eq!(failure.status(), status, "{line}");
            assert!(!line.contains('\n') && line.len() > 20, "{line}");
            assert_ne!(failure.status(), status::STOPPED);
        }
    }
}
