//! The event log on disk: lines appended whole, or not at all and counted.
//!
//! A full disk or a vanished directory stops nothing else: events stay readable through `show log`, the loss is counted,
//! and writing resumes by itself when it is possible again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the log has been through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventLogHealth {
    /// Events written.
    pub(crate) written: u64,
    /// Events that could not be written.
    pub(crate) lost: u64,
    /// Why the last attempt failed; `None` when it did not.
    pub(crate) problem: Option<String>,
}

/// The log file.
#[derive(Debug)]
pub(crate) struct EventLog {
    path: PathBuf,
    file: Option<File>,
    health: EventLogHealth,
    buffer: Vec<u8>,
    buffered: u64,
}

impl EventLog {
    /// A log at `path`, opened by the first write.
    pub(crate) fn new(path: &Path) -> Self {
        let health = EventLogHealth::default();
        Self {
            path: path.to_owned(),
            file: None,
            health,
            buffer: Vec::new(),
            buffered: 0,
        }
    }

    /// Queues one event for [`Self::flush`].
    pub(crate) fn push(&mut self, line: &str) {
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
        self.buffered += 1;
    }

    /// Writes what was queued. What cannot be written is lost and counted.
    pub(crate) fn flush(&mut self) {
        if self.buffered == 0 {
            return;
        }
        match self.write() {
            Ok(()) => {
                self.health.written += self.buffered;
                self.health.problem = None;
            }
            Err(error) => {
                self.health.lost += self.buffered;
                self.health.problem = Some(format!(
                    "cannot write the event log {}: {error}; free space or correct --event-log",
                    self.path.display()
                ));
                // The next attempt starts with a new descriptor: the directory may have been made meanwhile.
                self.file = None;
            }
        }
        self.buffer.clear();
        self.buffered = 0;
    }

    /// Opens the file again at its path: after rotation.
    pub(crate) fn reopen(&mut self) {
        self.flush();
        self.file = None;
    }

    /// What the log has been through.
    pub(crate) fn health(&self) -> &EventLogHealth {
        &self.health
    }

    fn write(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o640)
                    .open(&self.path)?;
                none.insert(file)
            }
        };
        let before = file.metadata()?.len();
        file.write_all(&self.buffer).inspect_err(|_| {
            // A line cut short would spoil the next one too. Where the file cannot be shortened it is no regular file.
            let _ = file.set_len(before);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_are_appended_and_rotation_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        std::fs::write(&path, "{\"before\":1}\n").unwrap();
        let mut log = EventLog::new(&path);
        log.push("{\"a\":1}");
        log.push("{\"b\":2}");
        log.flush();
        assert_eq!(read(&path), "{\"before\":1}\n{\"a\":1}\n{\"b\":2}\n");
        let rotated = directory.path().join("eve.json.1");
        std::fs::rename(&path, &rotated).unwrap();
        log.reopen();
        log.push("{\"c\":3}");
        log.flush();
        assert_eq!(read(&path), "{\"c\":3}\n");
        assert_eq!(
            log.health(),
            &EventLogHealth {
                written: 3,
                lost: 0,
                problem: None
            }
        );
    }

    #[test]
    fn f135_a_full_disk_is_counted_and_survived() {
        let mut log = EventLog::new(Path::new("/dev/full"));
        for _ in 0..3 {
            log.push("{}");
            log.push("{}");
            log.flush();
        }
        assert_eq!((log.health().written, log.health().lost), (0, 6));
        assert!(log.health().problem.as_ref().unwrap().contains("/dev/full"));
    }

    #[test]
    fn f135_a_directory_that_comes_back_is_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("later/eve.json");
        let mut log = EventLog::new(&path);
        log.push("{\"lost\":1}");
        log.flush();
        assert_eq!(log.health().lost, 1);
        std::fs::create_dir(directory.path().join("later")).unwrap();
        log.push("{\"kept\":1}");
        log.flush();
        assert_eq!(read(&path), "{\"kept\":1}\n");
        assert_eq!(
            log.health(),
            &EventLogHealth {
                written: 1,
                lost: 1,
                problem: None
            }
        );
    }
}
