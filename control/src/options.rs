//! What the command line says.

use std::path::PathBuf;

use clap::Parser;

/// The control plane of a Sluice appliance: configuration, certificates, status and events.
///
/// Traffic does not depend on this process: while it is down the data plane goes on under its last generation.
#[derive(Debug, Clone, Parser)]
#[command(name = "sluiced", version)]
pub(crate) struct Options {
    /// Where the configuration store and the master key are kept. Made if it is not there, readable by this user alone.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sluice")]
    pub(crate) state_dir: PathBuf,

    /// Where the sockets are: control.sock for `sluice`, dataplane.sock for `sluice-dataplane`.
    #[arg(long, value_name = "DIR", default_value = "/run/sluice")]
    pub(crate) run_dir: PathBuf,

    /// The event log: JSON lines in Suricata's EVE shape, appended; opened again on SIGHUP, for rotation.
    #[arg(long, value_name = "PATH", default_value = "/var/log/sluice/eve.json")]
    pub(crate) event_log: PathBuf,
}

impl Options {
    /// The management socket.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.run_dir.join("control.sock")
    }

    /// The socket the data plane connects to.
    pub(crate) fn dataplane_socket(&self) -> PathBuf {
        self.run_dir.join("dataplane.sock")
    }
}
