//! A bad link between two descriptors: `sluice-impair SPEC SEED [STATION]`.
//!
//! Standard input is the near port and standard output the far one, each a descriptor of frames that the caller has opened
//! (labkit/impair.py does). It runs until SIGTERM and then writes what became of the frames to standard error as JSON.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::io::ioctl_fionbio;
use signal_hook::consts::{SIGINT, SIGTERM};
use sluice_interop::impair::{Impairments, Ports, relay};

fn main() -> ExitCode {
    match run() {
        Ok(counts) => {
            // Nobody may be listening any more.
            let _closed = writeln!(io::stderr(), "{counts}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _closed = writeln!(io::stderr(), "sluice-impair: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (link, seed, station) =
        match words.as_slice() {
            [link, seed] => (link, seed, None),
            [link, seed, station] => (link, seed, Some(parse_station(station)?)),
            _ => return Err(
                "usage: sluice-impair SPEC SEED [STATION]; standard input and output are the ports"
                    .into(),
            ),
        };
    let link: Impairments = link.parse()?;
    let seed = seed
        .parse()
        .map_err(|_| format!("`{seed}` is no seed: write a whole number"))?;
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let ports = Ports {
        near: io::stdin(),
        far: io::stdout(),
        station,
    };
    ioctl_fionbio(&ports.near, true)?;
    ioctl_fionbio(&ports.far, true)?;
    let (out, back) = relay(&ports, link, seed, &ended)?;
    Ok(serde_json::json!({ "out": out, "back": back }).to_string())
}

fn parse_station(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            format!("`{text}` is no station: write its MAC address, as 02:00:c9:04:00:02")
        })
}
