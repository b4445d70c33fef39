//! What the kernel has in store: reserved hugepages, and memory at large; and transparent ones for what is not DPDK's.

use core::ops::Range;
use std::{fs, path::Path};

/// Hugepages of every size together.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct HugepageState {
    /// Reserved, in MiB.
    pub reserved_mib: u64,
    /// Reserved and unused, in MiB.
    pub free_mib: u64,
}

/// Ordinary memory.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// What could be taken without swapping, in MiB (`MemAvailable`).
    pub available_mib: u64,
}

/// Of a transparent hugepage of x86-64.
const TRANSPARENT_BYTES: usize = 2 << 20;

/// Asks the kernel to keep memory of this process in transparent hugepages, which need no reservation: at once if it can
/// (`MADV_COLLAPSE` of madvise(2), Linux 6.1), else as it finds the time. `addresses` is where the memory lies. Returns the
/// bytes that it was asked for, those in whole pages. It is advice: what is written there stays.
pub fn advise_hugepages(addresses: Range<usize>) -> usize {
    let start = addresses.start.next_multiple_of(TRANSPARENT_BYTES);
    let bytes = addresses.end.saturating_sub(start) & !(TRANSPARENT_BYTES - 1);
    if bytes > 0 {
        let place = core::ptr::without_provenance_mut(start);
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE] {
            // SAFETY: neither advice changes what any address reads as, whatever lies there. A kernel that knows one of
            // them not, has no such page free or finds no memory there refuses, and nothing has changed.
            let _refused = unsafe { libc::madvise(place, bytes, advice) };
        }
    }
    bytes
}

impl HugepageState {
    /// Reads the running kernel's state; a kernel without hugepages has none.
    #[must_use]
    pub fn read() -> Self {
        Self::read_from(Path::new("/sys/kernel/mm/hugepages"))
    }

    fn read_from(directory: &Path) -> Self {
        let mut state = Self::default();
        let Ok(sizes) = fs::read_dir(directory) else {
            return state;
        };
        for size in sizes.flatten() {
            let name = size.file_name();
            let Some(kib) = name.to_str().and_then(|name| {
                name.strip_prefix("hugepages-")?
                    .strip_suffix("kB")?
                    .parse::<u64>()
                    .ok()
            }) else {
                continue;
            };
            let pages = |file: &str| -> u64 {
                fs::read_to_string(size.path().join(file))
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .unwrap_or(0)
            };
            state.reserved_mib += pages("nr_hugepages").saturating_mul(kib) / 1_024;
            state.free_mib += pages("free_hugepages").saturating_mul(kib) / 1_024;
        }
        state
    }
}

impl MemoryState {
    /// Reads the running kernel's state; `None` where it does not say.
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn parse(meminfo: &str) -> Option<Self> {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self {
            available_mib: kib / 1_024,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_size_counts() {
        let directory = std::env::temp_dir().join(format!("hugepages-{}", std::process::id()));
        for (size, reserved, free) in [
            ("hugepages-2048kB", "128\n", "100\n"),
            ("hugepages-1048576kB", "2\n", "1\n"),
        ] {
            let folder = directory.join(size);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("nr_hugepages"), reserved).expect("a file");
            fs::write(folder.join("free_hugepages"), free).expect("a file");
        }
        fs::create_dir_all(directory.join("something-else")).expect("a folder");
        let state = HugepageState::read_from(&directory);
        fs::remove_dir_all(&directory).expect("cleaned up");
        assert_eq!(
            state,
            HugepageState {
                reserved_mib: 256 + 2_048,
                free_mib: 200 + 1_024
            }
        );
        assert_eq!(
            HugepageState::read_from(&directory),
            HugepageState::default()
        );
    }

    #[test]
    fn available_memory_is_read() {
        let text =
            "MemTotal:       24689152 kB\nMemFree:        1 kB\nMemAvailable:   2097152 kB\n";
        assert_eq!(
            MemoryState::parse(text),
            Some(MemoryState {
                available_mib: 2_048
            })
        );
        assert_eq!(MemoryState::parse("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn memory_is_advised_in_whole_pages_and_keeps_what_it_holds() {
        const BYTES: usize = 9 << 20;
        let memory: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
        let range = memory.as_ptr_range();
        let (start, end) = (range.start.addr(), range.end.addr());
        let advised = advise_hugepages(start..end);
        assert!(
            advised.is_multiple_of(TRANSPARENT_BYTES) && advised > BYTES - 2 * TRANSPARENT_BYTES
        );
        assert!(
            memory
                .iter()
                .enumerate()
                .all(|(at, byte)| usize::from(*byte) == at % 251)
        );
        assert_eq!(advise_hugepages(start..start), 0);
        assert_eq!(advise_hugepages(start..start + 4_096), 0);
        if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return;
        }
        // The mapping that begins with the first whole page says that it was advised ("hg", proc_pid_smaps(5)).
        let first = format!("{:x}-", start.next_multiple_of(TRANSPARENT_BYTES));
        let maps = fs::read_to_string("/proc/self/smaps").expect("this process");
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&first));
        let flags = lines
            .find(|line| line.starts_with("VmFlags:"))
            .expect("such a mapping");
        assert!(flags.split(' ').any(|flag| flag == "hg"), "{flags}");
    }
}
