//! The rooms and their tiers: a crate depends only on crates of its own tier or a lower one. ARCHITECTURE.md draws them.

/// Every crate of the workspace with its folder and tier.
pub const TIERS: &[(&str, &str, u8)] = &[
    ("sluice-schema", "configs/schema", 0),
    ("sluice-telemetry", "configs/telemetry", 0),
    ("sluice-shm", "configs/shm", 1),
    ("sluice-packet", "tcpstack/packet", 0),
    ("sluice-tcp", "tcpstack/tcp", 1),
    ("sluice-flow", "tcpstack/flow", 2),
    ("dpdk-sys", "dataplane/dpdk-sys", 0),
    ("dpdk", "dataplane/dpdk", 0),
    ("sluice-random", "dataplane/random", 0),
    ("sluice-pki", "dataplane/pki", 1),
    ("sluice-policy", "dataplane/policy", 1),
    ("sluice-inspect", "dataplane/inspect", 1),
    ("sluice-tls", "dataplane/tls", 2),
    ("sluice-proxy", "dataplane/proxy", 3),
    ("sluice-dataplane", "dataplane", 4),
    ("sluice-store", "control/store", 1),
    ("sluice-keystore", "control/keystore", 1),
    ("sluice-ca", "control/ca", 2),
    ("sluice-publish", "control/publish", 3),
    ("sluice-api", "control/api", 1),
    ("sluice-cli", "control/cli", 2),
    ("sluiced", "control", 4),
    ("sluice-bench", "bench", 4),
    ("sluice-sim", "tests/sim", 3),
    ("sluice-fuzz", "tests/fuzz", 4),
    ("sluice-interop", "tests/interop", 4),
    ("sluice-tidy", "tests/tidy", 4),
];

/// The only crates that may hold `unsafe`; every other crate root forbids it.
pub const UNSAFE_ROOMS: &[&str] = &["dpdk-sys", "dpdk", "sluice-shm"];
