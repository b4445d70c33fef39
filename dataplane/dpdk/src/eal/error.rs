//! Why the EAL does not start.

use crate::error::DpdkError;
use crate::lcore::LcoreId;
use crate::limits::MEMORY_MIB_MIN;

/// Why the EAL did not come up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// It is up already, or failed before: DPDK starts once per process.
    #[error("DPDK starts once per process, and was started before: restart the process")]
    AlreadyStarted,
    /// A text holds a NUL, a line break or more bytes than any real one has.
    #[error(
        "{what} {text:?} is not something DPDK can be given: take out control characters and shorten it"
    )]
    BadText {
        /// Which setting.
        what: &'static str,
        /// Its value.
        text: String,
    },
    /// The main lcore is not among the lcores.
    #[error("the main lcore {main} is not among the lcores: add it")]
    NoMainLcore {
        /// The main lcore.
        main: LcoreId,
    },
    /// Two placements for one lcore.
    #[error("lcore {lcore} is placed twice: name each core once")]
    LcoreTwice {
        /// The lcore.
        lcore: LcoreId,
    },
    /// The CPU is absent or not this process's to use.
    #[error("CPU {cpu} does not exist or this process may not run on it: choose among {usable}")]
    NoSuchCpu {
        /// The CPU asked for.
        cpu: u16,
        /// The CPUs there are, as the kernel lists them.
        usable: String,
    },
    /// Too few hugepages, and they are required.
    #[error(
        "{needed_mib} MiB of hugepages are required and {free_mib} MiB are free: \
         reserve them (sysctl vm.nr_hugepages={pages}) or set hugepages = \"auto\""
    )]
    TooFewHugepages {
        /// Memory asked for.
        needed_mib: u32,
        /// Hugepages free.
        free_mib: u64,
        /// 2 MiB pages that would do.
        pages: u64,
    },
    /// Too little ordinary memory.
    #[error(
        "{needed_mib} MiB of memory are asked for and {available_mib} MiB are available: lower memory_mib"
    )]
    TooLittleMemory {
        /// Memory asked for.
        needed_mib: u32,
        /// Memory available.
        available_mib: u64,
    },
    /// Less memory than DPDK itself needs.
    #[error(
        "{asked_mib} MiB of memory are too little for DPDK: set memory_mib to at least {MEMORY_MIB_MIN}"
    )]
    MemoryBelowMinimum {
        /// Memory asked for.
        asked_mib: u32,
    },
    /// DPDK refused.
    #[error(transparent)]
    Dpdk(#[from] DpdkError),
}
