//! Opening the file.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::StoreError;
use crate::limits::BUSY_TIMEOUT_MS;
use crate::migrations;

/// The store of one appliance. One process has it open; it can be moved between threads, not shared by them.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens the store at `path`, and makes it with mode 0600 if there is none. Its directory must exist.
    ///
    /// A new store gets its name only when it is whole, so an empty file is a damaged store and not a new one.
    ///
    /// # Errors
    /// The file cannot be opened or written, is damaged, is no store, or was written by a later release.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => Err(StoreError::Open {
                path: path.to_owned(),
                reason: "it is not a file".to_owned(),
            }),
            Ok(found) if found.len() == 0 => Err(StoreError::corrupt(path, "it is empty")),
            Ok(_) => Self::open_existing(path),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(StoreError::open(path, &error)),
        }
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// One change: all of `change`, on the disk when this returns, or nothing.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Self { path, connection } = self;
        let sqlite = |error| StoreError::sqlite(path, error);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        let out = change(&transaction)?;
        transaction.commit().map_err(sqlite)?;
        Ok(out)
    }

    /// Gives SQLite's errors the store's path and meaning.
    pub(crate) fn sqlite(&self) -> impl Fn(rusqlite::Error) -> StoreError + Copy + '_ {
        |error| StoreError::sqlite(&self.path, error)
    }

    fn create(path: &Path) -> Result<Self, StoreError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let io = |error: std::io::Error| StoreError::open(path, &error);
        if let Err(error) = fs::remove_file(&unfinished)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(io(error));
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(io)?;
        let mut connection = connect(&unfinished, path)?;
        migrations::create(&mut connection, path)?;
        connection
            .close()
            .map_err(|(_, error)| StoreError::sqlite(path, error))?;
        fs::rename(&unfinished, path).map_err(io)?;
        Self::open_existing(path)
    }

    fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let mut connection = connect(path, path)?;
        check(&connection, path)?;
        migrations::migrate(&mut connection, path)?;
        let sqlite = |error| StoreError::sqlite(path, error);
        // Readers and a backup do not hold up a change; FULL puts each change on the disk before it is acknowledged.
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(sqlite)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(sqlite)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }
}

/// Opens a file that exists; errors name `path`.
fn connect(file: &Path, path: &Path) -> Result<Connection, StoreError> {
    let sqlite = |error| StoreError::sqlite(path, error);
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sqlite)?;
    connection
        .busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))
        .map_err(sqlite)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(sqlite)?;
    connection
        .pragma_update(None, "trusted_schema", false)
        .map_err(sqlite)?;
    // What is deleted, an envelope with a key above all, is overwritten and not left in free pages.
    connection
        .pragma_update(None, "secure_delete", true)
        .map_err(sqlite)?;
    Ok(connection)
}

fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| StoreError::sqlite(path, error))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::corrupt(
            path,
            verdict.lines().next().unwrap_or_default(),
        ))
    }
}

#[cfg(test)]
mod tests;
