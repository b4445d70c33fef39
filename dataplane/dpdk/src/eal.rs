//! The environment abstraction layer: memory, cores and drivers, brought up once per process.

mod error;

use core::ffi::{CStr, c_char};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

pub use error::InitError;

use crate::error::{DpdkError, Operation};
use crate::hugepages::{HugepageState, MemoryState};
use crate::lcore::LcoreId;
use crate::limits::{DEVARGS_BYTES_MAX, MEMORY_MIB_MIN};

/// Proof that the EAL is up. It is never taken down again: packets and pools point into its memory for as long as the
/// process lives, and it is started so that there is nothing outside the process to clean up.
#[derive(Debug)]
pub struct Eal {
    memory: Memory,
    main_lcore: LcoreId,
    workers: Vec<LcoreId>,
}

/// What the EAL is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EalConfig {
    /// Every lcore, the main one included, and the CPU each is pinned to. Several may share a CPU.
    pub lcores: Vec<LcorePlacement>,
    /// The one that calls [`Eal::init`]; it must be among `lcores`.
    pub main_lcore: LcoreId,
    /// Memory for packets and queues.
    pub memory_mib: u32,
    /// Where that memory comes from.
    pub hugepages: Huge,
    /// Virtual devices to make at start, as DPDK writes them (`net_ring0`, `net_af_packet0,iface=eth1`).
    /// A device that fails here fails the whole start: [`crate::Port::attach`] tells apart better.
    pub vdevs: Vec<String>,
    /// PCI devices to take (`0000:03:00.0`); empty leaves the PCI bus alone.
    pub pci_allow: Vec<String>,
    /// Name under which this process's DPDK objects are kept apart from another's.
    pub file_prefix: String,
}

/// An lcore and the CPU it is pinned to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LcorePlacement {
    /// DPDK's number for the thread.
    pub lcore: LcoreId,
    /// The kernel's number for the CPU.
    pub cpu: u16,
}

/// Where packet memory comes from.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Huge {
    /// Hugepages or nothing.
    Require,
    /// Hugepages if enough are reserved and free, ordinary memory otherwise.
    #[default]
    Auto,
    /// Ordinary memory.
    Off,
}

/// Where packet memory came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Memory asked for.
    pub mib: u32,
    /// True if it lies in hugepages.
    pub hugepages: bool,
    /// Why it does not, when hugepages would have been taken.
    pub why_not: Option<String>,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Brings the EAL up. The calling thread becomes the main lcore and is pinned to its CPU; threads started from it
    /// later inherit that, so give them another affinity. One thread per further lcore is started and waits for work.
    pub fn init(config: &EalConfig) -> Result<Self, InitError> {
        validate(config)?;
        let memory = choose_memory(config, HugepageState::read(), MemoryState::read())?;
        let arguments = arguments(config, &memory)?;

        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(InitError::AlreadyStarted);
        }
        // Without a stream of our own the EAL writes to standard error, which is a blemish and not a failure.
        let _ = crate::log::capture();

        let count = i32::try_from(arguments.len()).unwrap_or(i32::MAX);
        // The EAL keeps pointers into its arguments, so they live as long as the process.
        let arguments: &'static mut [*mut c_char] = arguments
            .into_iter()
            .map(CString::into_raw)
            .collect::<Vec<_>>()
            .leak();
        // SAFETY: `argv` holds `count` pointers to NUL-terminated, writable strings that are never freed, as the EAL
        // asks; this is the only call in the process, held by `STARTED`.
        let parsed = unsafe { dpdk_sys::rte_eal_init(count, arguments.as_mut_ptr()) };
        if parsed < 0 {
            return Err(DpdkError::last(Operation::InitEal, "").into());
        }
        remove_empty_runtime_directory();
        // Warnings of a start that went well (no hugepages reported, no telemetry) would be read as errors later.
        drop(crate::log::take());

        let workers = config
            .lcores
            .iter()
            .map(|placement| placement.lcore)
            .filter(|id| *id != config.main_lcore)
            .collect();
        Ok(Self {
            memory,
            main_lcore: config.main_lcore,
            workers,
        })
    }

    /// Where packet memory came from.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The lcore that brought the EAL up.
    #[must_use]
    pub fn main_lcore(&self) -> LcoreId {
        self.main_lcore
    }

    /// The other lcores, in the order of the configuration.
    #[must_use]
    pub fn workers(&self) -> &[LcoreId] {
        &self.workers
    }

    /// Takes what the EAL and the drivers have logged since the last call, oldest first.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        crate::log::take()
    }
}

/// DPDK's name and version, e.g. `DPDK 22.11.11`.
#[must_use]
pub fn version() -> String {
    // SAFETY: answers a pointer to a NUL-terminated string in static memory; no precondition.
    let text = unsafe { dpdk_sys::rte_version() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, NUL-terminated, written once before the first call returns.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// The EAL makes a directory for files that it then, started as it is here, puts none in.
fn remove_empty_runtime_directory() {
    // SAFETY: answers a pointer to a NUL-terminated string in static memory, set by the EAL's start.
    let path = unsafe { dpdk_sys::rte_eal_get_runtime_dir() };
    if !path.is_null() {
        // SAFETY: not null, NUL-terminated, and no longer written to.
        let path = unsafe { CStr::from_ptr(path) };
        // Only an empty directory goes; one that holds another process's files stays.
        let _ = std::fs::remove_dir(path.to_string_lossy().as_ref());
    }
}

impl Default for EalConfig {
    /// One lcore on CPU 0, memory as available, no devices.
    fn default() -> Self {
        let main = LcoreId(0);
        Self {
            lcores: vec![LcorePlacement {
                lcore: main,
                cpu: 0,
            }],
            main_lcore: main,
            memory_mib: 256,
            hugepages: Huge::Auto,
            vdevs: Vec::new(),
            pci_allow: Vec::new(),
            file_prefix: format!("sluice-{}", std::process::id()),
        }
    }
}

fn validate(config: &EalConfig) -> Result<(), InitError> {
    if config.memory_mib < MEMORY_MIB_MIN {
        return Err(InitError::MemoryBelowMinimum {
            asked_mib: config.memory_mib,
        });
    }
    let usable = usable_cpus();
    for (index, placement) in config.lcores.iter().enumerate() {
        if config
            .lcores
            .iter()
            .take(index)
            .any(|earlier| earlier.lcore == placement.lcore)
        {
            return Err(InitError::LcoreTwice {
                lcore: placement.lcore,
            });
        }
        if usable
            .as_ref()
            .is_some_and(|list| !cpu_list_holds(list, placement.cpu))
        {
            return Err(InitError::NoSuchCpu {
                cpu: placement.cpu,
                usable: usable.unwrap_or_default(),
            });
        }
    }
    if !config
        .lcores
        .iter()
        .any(|placement| placement.lcore == config.main_lcore)
    {
        return Err(InitError::NoMainLcore {
            main: config.main_lcore,
        });
    }
    Ok(())
}

/// The CPUs this thread may run on, as the kernel lists them (`0-3,8`).
fn usable_cpus() -> Option<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .map(|list| list.trim().to_owned())
}

fn cpu_list_holds(list: &str, cpu: u16) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&cpu),
            _ => false,
        }
    })
}

fn choose_memory(
    config: &EalConfig,
    huge: HugepageState,
    ordinary: Option<MemoryState>,
) -> Result<Memory, InitError> {
    let mib = config.memory_mib;
    let enough = huge.free_mib >= u64::from(mib);
    let why_not = match config.hugepages {
        Huge::Require if !enough => {
            let in_use_mib = huge.reserved_mib.saturating_sub(huge.free_mib);
            let pages = (u64::from(mib) + in_use_mib).div_ceil(2);
            return Err(InitError::TooFewHugepages {
                needed_mib: mib,
                free_mib: huge.free_mib,
                pages,
            });
        }
        Huge::Require => {
            return Ok(Memory {
                mib,
                hugepages: true,
                why_not: None,
            });
        }
        Huge::Auto if enough => {
            return Ok(Memory {
                mib,
                hugepages: true,
                why_not: None,
            });
        }
        Huge::Auto => Some(format!(
            "{} MiB of hugepages are free and {mib} MiB are needed",
            huge.free_mib
        )),
        Huge::Off => None,
    };
    if let Some(MemoryState { available_mib }) =
        ordinary.filter(|state| state.available_mib < u64::from(mib))
    {
        return Err(InitError::TooLittleMemory {
            needed_mib: mib,
            available_mib,
        });
    }
    Ok(Memory {
        mib,
        hugepages: false,
        why_not,
    })
}

fn arguments(config: &EalConfig, memory: &Memory) -> Result<Vec<CString>, InitError> {
    let lcores: Vec<String> = config
        .lcores
        .iter()
        .map(|placement| format!("{}@{}", placement.lcore, placement.cpu))
        .collect();
    let mut arguments = vec![
        argument("program", "sluice")?,
        argument("lcores", &format!("--lcores={}", lcores.join(",")))?,
        argument("main_lcore", &format!("--main-lcore={}", config.main_lcore))?,
        argument("memory_mib", &format!("-m{}", memory.mib))?,
        argument(
            "file_prefix",
            &format!("--file-prefix={}", config.file_prefix),
        )?,
    ];
    // Nothing on disk and no sockets: no hugepage files, no shared configuration for secondary processes, no telemetry.
    // DPDK takes its "--in-memory" with hugepages only; without them there are no files but the shared configuration.
    let without_files: &[&str] = if memory.hugepages {
        &["--in-memory"]
    } else {
        &["--no-huge", "--no-shconf"]
    };
    let always = ["--no-telemetry", "--log-level=warning"];
    for option in without_files.iter().chain(&always) {
        arguments.push(argument("option", option)?);
    }
    if config.pci_allow.is_empty() {
        arguments.push(argument("option", "--no-pci")?);
    }
    for device in &config.pci_allow {
        arguments.push(argument("PCI device", &format!("--allow={device}"))?);
    }
    for device in &config.vdevs {
        arguments.push(argument("virtual device", &format!("--vdev={device}"))?);
    }
    Ok(arguments)
}

fn argument(what: &'static str, text: &str) -> Result<CString, InitError> {
    let bad = || InitError::BadText {
        what,
        text: text.chars().take(80).collect(),
    };
    if text.len() > DEVARGS_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(bad());
    }
    CString::new(text).map_err(|_| bad())
}

#[cfg(test)]
mod tests;
