//! Packet memory in hugepages, which the test reserves itself where it may.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::process::Command;

use dpdk::{Eal, EalConfig, Huge, HugepageState, InitError, Mbuf, Mempool};

const RESERVED: &str = "/proc/sys/vm/nr_hugepages";
const PAGES: u64 = 64;
const MEMORY_MIB: u32 = 64;
const CHILD: &str = "SLUICE_TEST_HAS_HUGEPAGES";
const NAME: &str = "packets_lie_in_hugepages_that_are_required";

/// Pages reserved on top of what was there; given back whatever becomes of the test.
struct Reserved {
    before: u64,
}

impl Reserved {
    /// `None` where this process may not, or where memory has no room for them.
    fn pages(count: u64) -> Option<Self> {
        let before = reserved();
        fs::write(RESERVED, (before + count).to_string()).ok()?;
        let reserved_now = reserved();
        let these = Self { before };
        (reserved_now >= before + count).then_some(these)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let _ = fs::write(RESERVED, self.before.to_string());
    }
}

fn reserved() -> u64 {
    fs::read_to_string(RESERVED)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

fn config() -> EalConfig {
    EalConfig {
        memory_mib: MEMORY_MIB,
        hugepages: Huge::Require,
        ..EalConfig::default()
    }
}

/// The start happens in a process of its own: pages are free again only when whoever used them has ended.
#[test]
fn packets_lie_in_hugepages_that_are_required() {
    if env::var_os(CHILD).is_some() {
        return with_hugepages();
    }
    let before = reserved();
    let Some(pages) = Reserved::pages(PAGES) else {
        return without_hugepages();
    };
    let this = env::current_exe().expect("a program");
    let output = Command::new(this)
        .args([NAME, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output();
    drop(pages);
    assert_eq!(reserved(), before, "the pages are given back");
    let output = output.expect("started");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn with_hugepages() {
    let eal = Eal::init(&config()).expect("the EAL in hugepages");
    let memory = eal.memory();
    assert!(memory.hugepages, "{memory:?}");
    assert_eq!((memory.mib, &memory.why_not), (MEMORY_MIB, &None));

    let packets = 8_191;
    let pool = Mempool::new(&eal, "test", packets, 250, 2_176, None).expect("a pool");
    let mut held: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!(held.len(), packets as usize);
    for packet in &mut held {
        packet.append(2_048).expect("room").fill(7);
    }
    let used = in_hugepages_kib();
    assert!(used >= u64::from(packets) * 2, "{used} KiB in hugepages");
    drop(held);
    assert_eq!(pool.in_use(), 0);
}

/// What of this process the kernel holds in hugepages.
fn in_hugepages_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a process");
    status
        .lines()
        .find_map(|line| line.strip_prefix("HugetlbPages:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok())
        .expect("the kernel says")
}

fn without_hugepages() {
    let free_mib = HugepageState::read().free_mib;
    if free_mib >= u64::from(MEMORY_MIB) {
        // Somebody else's reservation serves as well.
        return with_hugepages();
    }
    assert_clear(&Eal::init(&config()).expect_err("refused"), MEMORY_MIB);
}

fn assert_clear(error: &InitError, asked_mib: u32) {
    let InitError::TooFewHugepages {
        needed_mib,
        free_mib,
        pages,
    } = *error
    else {
        panic!("{error}")
    };
    assert_eq!(needed_mib, asked_mib);
    assert!(pages >= (u64::from(needed_mib) - free_mib) / 2, "{pages}");
    assert_eq!(
        error.to_string(),
        format!(
            "{needed_mib} MiB of hugepages are required and {free_mib} MiB are free: \
             reserve them (sysctl vm.nr_hugepages={pages}) or set hugepages = \"auto\""
        )
    );
}

#[test]
fn required_hugepages_that_are_not_there_are_one_clear_error() {
    let greedy = EalConfig {
        memory_mib: 8_000_000,
        ..config()
    };
    let error = Eal::init(&greedy).expect_err("no machine has 8 TB of them");
    assert_clear(&error, greedy.memory_mib);
    // DPDK was not touched, so the process can be started differently.
    let modest = EalConfig {
        hugepages: Huge::Off,
        ..config()
    };
    let eal = Eal::init(&modest).expect("the EAL without hugepages");
    assert!(!eal.memory().hugepages);
}
