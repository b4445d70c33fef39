//! What can be written on the command line.

use core::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sluice_api::limits::{ADOPT_WAIT_S, ADOPT_WAIT_S_MAX};

use crate::limits::{EVENTS_SHOWN, INTERVAL_S_MAX, SESSIONS_SHOWN};

const SOCKET: &str = "/run/sluice/control.sock";
const SOCKET_VARIABLE: &str = "SLUICE_SOCKET";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed; nothing was changed
  2  wrong usage
  3  no connection to sluiced
  4  applied, but not (yet) adopted by every core of the data plane";

/// Configures and watches a Sluice appliance.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Args {
    /// sluiced's control socket [default: $SLUICE_SOCKET, else /run/sluice/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Answers with one JSON object on standard output, also when something goes wrong
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The socket of the flag, else of the environment, else the usual one.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.socket
            .clone()
            .or_else(|| {
                std::env::var_os(SOCKET_VARIABLE)
                    .filter(|value| !value.is_empty())
                    .map(PathBuf::from)
            })
            .unwrap_or_else(|| PathBuf::from(SOCKET))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what is wrong with the documents of a directory; needs no sluiced
    Check {
        /// The directory with appliance.toml and profiles/*.toml
        directory: PathBuf,
        /// Also asks sluiced, which knows the certificates that the documents name
        #[arg(long)]
        online: bool,
    },
    /// Shows what applying a directory would change, key by key
    Diff {
        /// The directory with appliance.toml and profiles/*.toml
        directory: PathBuf,
    },
    /// Makes the documents of a directory the configuration
    Apply(Apply),
    /// Makes an earlier generation's documents the configuration again
    Rollback(Rollback),
    /// Lists the generations that can be rolled back to
    History,
    /// Shows how things are, and which core has adopted which generation or why not
    Status,
    /// Certificates: make, import, list, show, export
    #[command(subcommand)]
    Certificate(Certificate),
    /// Shows what goes on
    #[command(subcommand)]
    Show(Show),
    /// Layer-2 fallback: new flows pass without inspection, inspected sessions go on
    #[command(subcommand)]
    Fallback(Fallback),
    /// Inspected sessions: clear
    #[command(subcommand)]
    Sessions(Sessions),
    /// Says how a flow would be treated, and why
    Explain(Explain),
    /// Prints the JSON Schema of a kind of document
    Schema {
        /// Which kind
        kind: Kind,
    },
    /// Prints a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    /// The directory with appliance.toml and profiles/*.toml
    pub(crate) directory: PathBuf,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// Which generation [default: the one before the current one]
    pub(crate) generation: Option<u64>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// How long to wait for every core to adopt it
    #[arg(long = "wait", value_name = "SECONDS", default_value_t = ADOPT_WAIT_S,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(ADOPT_WAIT_S_MAX)))]
    pub(crate) seconds: u16,
    /// Does not wait for the data plane
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) no_wait: bool,
}

impl Wait {
    pub(crate) const fn wait_s(&self) -> u16 {
        if self.no_wait { 0 } else { self.seconds }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Makes a self-signed CA certificate with its key
    SelfSigned(Box<SelfSigned>),
    /// Takes a certificate in: PEM, DER or PKCS#12, with or without its key
    Import(Import),
    /// Lists the certificates
    List,
    /// Shows everything about a certificate
    Show {
        /// Its name
        name: String,
    },
    /// Writes a certificate to give away; never its key
    Export(Export),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SelfSigned {
    /// Its name in the certificate store
    pub(crate) name: String,
    /// Common name (CN)
    #[arg(long, value_name = "TEXT")]
    pub(crate) common_name: String,
    /// What key
    #[arg(long, value_enum, default_value_t = Key::EcdsaP256)]
    pub(crate) key: Key,
    /// How long it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
    /// Mail address (emailAddress)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// Organizational unit (OU)
    #[arg(long, value_name = "TEXT")]
    pub(crate) organizational_unit: Option<String>,
    /// Organization (O)
    #[arg(long, value_name = "TEXT")]
    pub(crate) organization: Option<String>,
    /// Locality (L)
    #[arg(long, value_name = "TEXT")]
    pub(crate) locality: Option<String>,
    /// State or province (ST)
    #[arg(long, value_name = "TEXT")]
    pub(crate) state: Option<String>,
    /// Country (C), two letters
    #[arg(long, value_name = "CC", value_parser = country)]
    pub(crate) country: Option<String>,
    /// DNS name of the subject alternative name; may be given more than once
    #[arg(long = "san-dns", value_name = "NAME")]
    pub(crate) dns_names: Vec<String>,
    /// Mail address of the subject alternative name; may be given more than once
    #[arg(long = "san-email", value_name = "ADDRESS")]
    pub(crate) mail_addresses: Vec<String>,
}

/// ISO 3166: two letters.
fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err("a country has two letters, such as DE".to_owned())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Its name in the certificate store
    pub(crate) name: String,
    /// The certificate file
    pub(crate) file: PathBuf,
    /// The key file, if the key is not in the certificate file
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A file whose first line opens the key or the PKCS#12 file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replaces the certificate of this name; what refers to it then uses the new one
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Its name
    pub(crate) name: String,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    pub(crate) format: Format,
    /// What clients have to trust: the certificate itself when it is self-signed, else its chain's root
    #[arg(long, conflicts_with = "chain")]
    pub(crate) anchor: bool,
    /// With its chain
    #[arg(long)]
    pub(crate) chain: bool,
    /// Where to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// The flows tracked now
    Sessions {
        /// At most this many
        #[arg(long, value_name = "COUNT", default_value_t = SESSIONS_SHOWN)]
        limit: u32,
    },
    /// Every counter
    Stats {
        /// Those that are zero as well
        #[arg(long)]
        all: bool,
    },
    /// The latest events
    Log(LogArgs),
    /// Why frames were discarded
    Drops {
        /// Those that never happened as well
        #[arg(long)]
        all: bool,
    },
    /// Busy and idle time per core
    Cores {
        /// Measures over this span instead of since the data plane's start
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=INTERVAL_S_MAX))]
        interval: Option<u64>,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Fallback {
    /// Enters it; it stays on until `off`, also when the data plane restarts
    On,
    /// Leaves it, unless a failure keeps it on
    Off,
    /// Says whether it is on, and why
    Status,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Sessions {
    /// Ends every inspected session: both ends of each are reset
    Clear,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// At most this many
    #[arg(long, value_name = "COUNT", default_value_t = EVENTS_SHOWN)]
    pub(crate) limit: u32,
    /// Only flows, or only system events
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    pub(crate) event_type: Option<EventType>,
    /// Only flows with this verdict
    #[arg(long, value_enum)]
    pub(crate) verdict: Option<VerdictArg>,
    /// Only flows to this server name, or to names below it
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The server name that the client would ask for, or the server's address
    pub(crate) host: String,
    /// The client's address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client: Option<IpAddr>,
    /// The server's address; names are not resolved
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) server: Option<IpAddr>,
    /// The server's port
    #[arg(long, default_value_t = 443, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// The segment [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) segment: Option<String>,
    /// The outer VLAN identifier
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(0..=4094))]
    pub(crate) vlan: Option<u16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// appliance.toml
    Appliance,
    /// profiles/NAME.toml
    Profile,
}

impl From<Kind> for sluice_schema::DocumentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Appliance => Self::Appliance,
            Kind::Profile => Self::Profile,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Key {
    EcdsaP256,
    EcdsaP384,
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
    #[value(name = "ed25519")]
    Ed25519,
}

impl From<Key> for sluice_api::KeyKind {
    fn from(key: Key) -> Self {
        match key {
            Key::EcdsaP256 => Self::EcdsaP256,
            Key::EcdsaP384 => Self::EcdsaP384,
            Key::Rsa2048 => Self::Rsa2048,
            Key::Rsa3072 => Self::Rsa3072,
            Key::Rsa4096 => Self::Rsa4096,
            Key::Ed25519 => Self::Ed25519,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    Pem,
    Der,
}

impl From<Format> for sluice_api::ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Pem => Self::Pem,
            Format::Der => Self::Der,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EventType {
    /// Flows
    Flow,
    /// The appliance itself
    System,
}

impl EventType {
    pub(crate) const fn eve_name(self) -> &'static str {
        match self {
            Self::Flow => "tls_inspection",
            Self::System => "system",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VerdictArg {
    Inspect,
    Bypass,
    Block,
}

impl From<VerdictArg> for sluice_telemetry::Verdict {
    fn from(verdict: VerdictArg) -> Self {
        match verdict {
            VerdictArg::Inspect => Self::Inspect,
            VerdictArg::Bypass => Self::Bypass,
            VerdictArg::Block => Self::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_key_names_are_the_interfaces() {
        for key in Key::value_variants() {
            let name = key.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(name, sluice_api::KeyKind::from(*key).name());
        }
        assert_eq!(Key::value_variants().len(), sluice_api::KeyKind::ALL.len());
    }
}
