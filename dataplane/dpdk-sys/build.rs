//! Finds the system's DPDK, makes the bindings, compiles the wrappers of its inline functions, and links it dynamically.

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::{self, Command},
};

#[path = "build/flags.rs"]
mod flags;

fn main() {
    if let Err(message) = build() {
        // A message, not a backtrace: this is read by someone whose machine lacks a package.
        for line in message.lines() {
            println!("cargo::error={line}");
        }
        process::exit(1);
    }
}

fn build() -> Result<(), String> {
    for path in ["build.rs", "build/flags.rs", "build/wrapper.h"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in [
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "PKG_CONFIG_SYSROOT_DIR",
    ] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;

    let version = pkg_config(&["--modversion", "libdpdk"])?;
    if flags::major(&version).is_none_or(|major| major < flags::OLDEST_MAJOR) {
        return Err(flags::missing(
            "A DPDK of 22.11 or newer",
            "libdpdk-dev",
            &format!("found version {version}"),
        ));
    }
    let cflags: Vec<String> = pkg_config(&["--cflags", "libdpdk"])?
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    let cflags = flags::portable(&cflags, &arch);

    generate(&out, &cflags)?;
    compile(&out, &cflags)?;
    link(&version)
}

fn generate(out: &Path, cflags: &[String]) -> Result<(), String> {
    let builder = bindgen::Builder::default()
        .header("build/wrapper.h")
        .clang_args(cflags)
        .allowlist_function(FUNCTIONS)
        .allowlist_type("dpdk_shim_.*")
        .allowlist_var("DPDK_SHIM_.*|RTE_ETH_MQ_RX_(NONE|RSS)|RTE_PKTMBUF_HEADROOM|RTE_MAX_LCORE|RTE_ETH_NAME_MAX_LEN")
        // Seen through functions and offsets only: their Rust layout would differ between releases.
        .opaque_type("rte_mbuf.*|rte_mempool.*|rte_device|rte_eth_(vmdq|dcb|fdir|intr|switch|rxseg).*|rte_eth_conf__bindgen_ty_2")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .derive_debug(false)
        .layout_tests(false)
        .generate_comments(false)
        .use_core()
        .wrap_static_fns(true)
        .wrap_static_fns_path(out.join("inline"))
        .rust_target(bindgen::RustTarget::stable(85, 0).unwrap_or_default())
        .rust_edition(bindgen::RustEdition::Edition2024);

    // bindgen panics when it finds no libclang; the hook is silenced so that only our own line is read.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| builder.generate()));
    panic::set_hook(hook);

    let bindings = match outcome {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => {
            return Err(format!(
                "bindgen could not read DPDK's headers. Are libdpdk-dev and libclang-dev whole?\n  \
                 Debian/Ubuntu:  sudo apt-get install -y --reinstall libdpdk-dev libclang-dev clang\n  Details: {error}"
            ));
        }
        Err(panic) => {
            let detail = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            return Err(flags::missing(
                "libclang (which bindgen reads C headers with)",
                "libclang-dev clang",
                &detail,
            ));
        }
    };
    bindings
        .write_to_file(out.join("bindings.rs"))
        .map_err(|error| format!("writing bindings.rs: {error}"))
}

/// What the safe layer calls, and nothing more: this keeps the build short.
const FUNCTIONS: &str = "dpdk_shim_.*\
    |rte_(eal_init|eal_cleanup|eal_get_runtime_dir|strerror|version|log_set_global_level)\
    |rte_(eal_remote_launch|eal_wait_lcore|eal_get_lcore_state|lcore_id|lcore_count|lcore_is_enabled|lcore_to_socket_id|get_main_lcore|socket_id)\
    |rte_(rdtsc|get_tsc_hz)\
    |rte_(dev_probe|dev_remove)\
    |rte_pktmbuf_(pool_create|alloc|alloc_bulk|free|free_bulk|append|linearize)\
    |rte_mempool_(avail_count|in_use_count)\
    |rte_(vlan_insert|mbuf_tx_offload)\
    |rte_eth_(dev_count_avail|dev_get_port_by_name|dev_get_name_by_port|dev_info_get|dev_socket_id|dev_is_valid_port)\
    |rte_eth_(dev_configure|dev_adjust_nb_rx_tx_desc|rx_queue_setup|tx_queue_setup|dev_start|dev_stop|dev_close)\
    |rte_eth_(dev_set_mtu|dev_get_mtu|promiscuous_enable|promiscuous_get|allmulticast_enable|macaddr_get|stats_get|stats_reset)\
    |rte_eth_dev_rss_reta_(update|query)\
    |rte_eth_(rx_burst|tx_burst|tx_prepare)";

fn compile(out: &Path, cflags: &[String]) -> Result<(), String> {
    let here = variable("CARGO_MANIFEST_DIR")?;
    let mut build = cc::Build::new();
    // The inlines are the hot path (receive, transmit, alloc, free): fast in every profile.
    build
        .file(out.join("inline.c"))
        .include(here)
        .opt_level(3)
        .warnings(false)
        .cargo_warnings(false);
    for flag in cflags {
        build.flag(flag);
    }
    // A forgotten header would otherwise truncate pointers to int.
    build.flag("-Werror=implicit-function-declaration");
    build.try_compile("dpdk_inline").map_err(|error| {
        flags::missing(
            "A C compiler that can build DPDK's inline functions",
            "build-essential",
            &error.to_string(),
        )
    })
}

fn link(version: &str) -> Result<(), String> {
    let libdir = pkg_config(&["--variable=libdir", "libdpdk"])?;
    if !libdir.is_empty() {
        for library in flags::LIBRARIES {
            if !Path::new(&libdir).join(format!("lib{library}.so")).exists() {
                return Err(flags::missing(
                    &format!("The shared library lib{library}.so in {libdir}"),
                    "libdpdk-dev",
                    "a DPDK built with -Ddefault_library=static is not used here: poll-mode drivers are loaded at start",
                ));
            }
        }
        println!("cargo::rustc-link-search=native={libdir}");
    }
    for library in flags::LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    println!("cargo::metadata=VERSION={version}");
    Ok(())
}

fn pkg_config(arguments: &[&str]) -> Result<String, String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| {
            flags::missing(
                "pkg-config (which finds DPDK)",
                "pkg-config libdpdk-dev",
                &error.to_string(),
            )
        })?;
    if !output.status.success() {
        let detail = String::from_utf8_lossy(&output.stderr);
        return Err(flags::missing("DPDK (libdpdk.pc)", "libdpdk-dev", &detail));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: this script is run by cargo"))
}
