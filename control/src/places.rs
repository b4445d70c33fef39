//! The directories of the process, and the lock that makes it the only one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::options::Options;

/// The directories cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacesError {
    #[error("cannot make the {what} directory {}: {source}; make it by hand, or name another one with {option}", path.display())]
    Make {
        what: &'static str,
        path: PathBuf,
        option: &'static str,
        source: std::io::Error,
    },
    #[error("the {what} directory {} is no directory; remove it, or name another one with {option}", path.display())]
    NotADirectory {
        what: &'static str,
        path: PathBuf,
        option: &'static str,
    },
    #[error("no permission to write to the {what} directory {}: {source}; run sluiced as the directory's owner, or name another one with {option}", path.display())]
    NotWritable {
        what: &'static str,
        path: PathBuf,
        option: &'static str,
        source: std::io::Error,
    },
    #[error("another sluiced{} runs with the state directory {}; stop it first, or name another one with --state-dir", holder(*.pid), path.display())]
    Locked { path: PathBuf, pid: Option<u32> },
}

/// Held as long as the process runs.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Makes what is missing, checks what is there, and takes the lock.
///
/// The state directory is for this user alone; the run directory also for its group, whose members may manage the
/// appliance.
pub(crate) fn prepare(options: &Options) -> Result<Lock, PlacesError> {
    directory("state", &options.state_dir, "--state-dir", 0o700)?;
    let lock = lock(&options.state_dir)?;
    directory("run", &options.run_dir, "--run-dir", 0o750)?;
    if let Some(parent) = options
        .event_log
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        && !parent.exists()
    {
        directory("event log", parent, "--event-log", 0o750)?;
    }
    Ok(lock)
}

fn directory(
    what: &'static str,
    path: &Path,
    option: &'static str,
    mode: u32,
) -> Result<(), PlacesError> {
    let path_buf = || path.to_owned();
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| {
            if path.exists() || source.kind() == ErrorKind::NotADirectory {
                PlacesError::NotADirectory {
                    what,
                    path: path_buf(),
                    option,
                }
            } else {
                PlacesError::Make {
                    what,
                    path: path_buf(),
                    option,
                    source,
                }
            }
        })?;
    let unusable = |source| PlacesError::NotWritable {
        what,
        path: path_buf(),
        option,
        source,
    };
    let permissions = std::fs::metadata(path).map_err(unusable)?.permissions();
    if permissions.mode() & 0o777 & !mode != 0 {
        // More open than it should be, from a package or an administrator's hand.
        std::fs::set_permissions(
            path,
            std::fs::Permissions::from_mode(permissions.mode() & mode),
        )
        .map_err(unusable)?;
    }
    rustix::fs::access(
        path,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .map_err(|errno| unusable(errno.into()))
}

fn lock(state_dir: &Path) -> Result<Lock, PlacesError> {
    let path = state_dir.join("lock");
    let unusable = |source| PlacesError::NotWritable {
        what: "state",
        path: state_dir.to_owned(),
        option: "--state-dir",
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(unusable)?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut text = String::new();
        // The number is a courtesy; without it the message still says what to do.
        let _ = file.read_to_string(&mut text);
        return Err(PlacesError::Locked {
            path: state_dir.to_owned(),
            pid: text.trim().parse().ok(),
        });
    }
    file.set_len(0).map_err(unusable)?;
    file.rewind().map_err(unusable)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
        .map_err(unusable)?;
    Ok(Lock { _file: file })
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn options(root: &Path) -> Options {
        let at = |name: &str| root.join(name).display().to_string();
        Options::parse_from([
            "sluiced",
            "--state-dir",
            &at("state"),
            "--run-dir",
            &at("run"),
            "--event-log",
            &at("log/eve.json"),
        ])
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn k143_directories_are_made_with_narrow_modes_and_narrowed_when_too_open() {
        let root = tempfile::tempdir().unwrap();
        let options = options(root.path());
        drop(prepare(&options).unwrap());
        assert_eq!(
            (mode(&options.state_dir), mode(&options.run_dir)),
            (0o700, 0o750)
        );
        std::fs::set_permissions(&options.state_dir, std::fs::Permissions::from_mode(0o755))
            .unwrap();
        drop(prepare(&options).unwrap());
        assert_eq!(mode(&options.state_dir), 0o700);
        assert_eq!(mode(&options.state_dir.join("lock")), 0o600);
    }

    #[test]
    fn a_second_process_is_refused_and_names_the_first() {
        let root = tempfile::tempdir().unwrap();
        let options = options(root.path());
        let _held = prepare(&options).unwrap();
        let error = prepare(&options).unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
    }

    #[test]
    fn a_file_where_a_directory_should_be_is_named() {
        let root = tempfile::tempdir().unwrap();
        let options = options(root.path());
        std::fs::write(&options.state_dir, b"").unwrap();
        let error = prepare(&options).unwrap_err();
        assert!(
            matches!(
                error,
                PlacesError::NotADirectory {
                    option: "--state-dir",
                    ..
                }
            ),
            "{error}"
        );
    }
}
