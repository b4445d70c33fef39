//! One target on one input, from a file or from standard input: for engines that start a process per input.

#![forbid(unsafe_code)]

use std::io::Read;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().and_then(|name| sluice_fuzz::find(&name));
    let Some(target) = target else {
        let names: Vec<_> = sluice_fuzz::TARGETS
            .iter()
            .map(|target| target.name)
            .collect();
        return refuse(&format!(
            "usage: sluice-fuzz TARGET [FILE]; the targets are {}",
            names.join(", ")
        ));
    };
    let mut bytes = Vec::new();
    let read = match arguments.next() {
        Some(path) => std::fs::read(&path).map(|file| bytes = file),
        None => std::io::stdin().read_to_end(&mut bytes).map(drop),
    };
    if let Err(error) = read {
        return refuse(&format!("the input cannot be read: {error}"));
    }
    (target.run)(&bytes);
    ExitCode::SUCCESS
}

fn refuse(why: &str) -> ExitCode {
    // A closed standard error changes nothing about the answer.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{why}\n").as_bytes());
    ExitCode::from(2)
}
