//! Pure parts of the build: what is done to the compiler flags, and what is said when something is missing.

/// Debian 12's name for each thing the build needs, and the command that installs it.
pub(crate) fn missing(what: &str, package: &str, detail: &str) -> String {
    let detail = detail.trim();
    let mut text = format!(
        "{what} was not found, and the bindings to DPDK cannot be built without it.\n  \
         Debian/Ubuntu:  sudo apt-get install -y {package}"
    );
    if !detail.is_empty() {
        text.push_str("\n  Details: ");
        text.push_str(&detail.replace('\n', "\n           "));
    }
    text
}

/// Flags for the C compiler and libclang: as pkg-config gives them, without anything that ties the build to this CPU.
///
/// A DPDK built on the spot says `-march=native` in its libdpdk.pc; what is built with that dies of SIGILL on an older
/// machine. DPDK's headers do need a baseline (SSE4.2 on x86-64, CRC on Arm), which is what Debian's own `-march=corei7`
/// says, so `native` becomes that baseline and any other choice is kept.
pub(crate) fn portable(flags: &[String], arch: &str) -> Vec<String> {
    let baseline = match arch {
        "x86_64" => Some("-march=corei7"),
        "aarch64" => Some("-march=armv8-a+crc"),
        _ => None,
    };
    let mut kept = Vec::with_capacity(flags.len());
    let mut has_march = false;
    for flag in flags {
        if flag == "-mcpu=native" || flag == "-mtune=native" || flag == "-march=native" {
            continue;
        }
        has_march |= flag.starts_with("-march=") || flag.starts_with("-mcpu=");
        kept.push(flag.clone());
    }
    if !has_march {
        kept.extend(baseline.map(str::to_owned));
    }
    kept
}

/// The libraries the safe layer calls into. Poll-mode drivers are not among them: the EAL loads those at start.
pub(crate) const LIBRARIES: [&str; 4] = ["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool"];

/// Oldest DPDK the bindings are written for: 22.11 LTS (Debian 12). 21.11 renamed what they use, so nothing older fits.
pub(crate) const OLDEST_MAJOR: u32 = 22;

/// The year part of a DPDK version such as `22.11.11`.
pub(crate) fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.trim().parse().ok()
}
