//! The pure parts of the build script.

#[allow(
    dead_code,
    reason = "shared with the build script, which uses all of it"
)]
#[path = "../build/flags.rs"]
mod flags;

fn owned(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

#[test]
fn native_cpu_flags_are_replaced_by_the_baseline_the_headers_need() {
    let given = owned(&[
        "-I/usr/include/dpdk",
        "-include",
        "rte_config.h",
        "-march=native",
        "-mtune=native",
    ]);
    let kept = flags::portable(&given, "x86_64");
    assert_eq!(
        kept,
        owned(&[
            "-I/usr/include/dpdk",
            "-include",
            "rte_config.h",
            "-march=corei7"
        ])
    );
    assert_eq!(
        flags::portable(&owned(&["-mcpu=native"]), "aarch64"),
        owned(&["-march=armv8-a+crc"])
    );
}

#[test]
fn a_distribution_s_own_baseline_is_kept() {
    let given = owned(&["-march=corei7", "-I/usr/include/dpdk"]);
    assert_eq!(flags::portable(&given, "x86_64"), given);
}

#[test]
fn what_is_missing_is_named_with_the_command_that_installs_it() {
    let text = flags::missing(
        "DPDK (libdpdk.pc)",
        "libdpdk-dev",
        "Package libdpdk was not found\nin the search path",
    );
    assert!(text.contains("DPDK (libdpdk.pc) was not found"));
    assert!(text.contains("apt-get install -y libdpdk-dev"));
    assert!(text.contains("Package libdpdk was not found"));
}

#[test]
fn versions_before_the_renames_are_told_apart() {
    assert_eq!(flags::major("22.11.11"), Some(22));
    assert_eq!(flags::major("24.11.0-rc3"), Some(24));
    assert_eq!(flags::major(""), None);
    assert!(flags::major("20.11.9").is_some_and(|major| major < flags::OLDEST_MAJOR));
    assert!(flags::LIBRARIES.contains(&"rte_eal"));
}
