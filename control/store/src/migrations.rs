//! The file's format, and how an older one becomes the present one.

use std::path::Path;

use rusqlite::Connection;

use crate::error::StoreError;

/// Marks the file as a configuration store (`PRAGMA application_id`): "SLCE".
const APPLICATION_ID: i64 = 0x534c_4345;

/// Step n brings a file from format n to n + 1. Steps are only ever added.
const STEPS: [&str; 1] = [FORMAT_1];

/// Generation numbers are never used twice, so the table keeps AUTOINCREMENT's high-water mark.
const FORMAT_1: &str = "
CREATE TABLE generation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    created_unix_s INTEGER NOT NULL,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    rolled_back_from INTEGER,
    rolled_back_to INTEGER,
    CHECK ((rolled_back_from IS NULL) = (rolled_back_to IS NULL))
) STRICT;
CREATE TABLE document (
    generation INTEGER NOT NULL REFERENCES generation (number) ON DELETE CASCADE,
    path TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (generation, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE current (
    row INTEGER PRIMARY KEY CHECK (row = 1),
    generation INTEGER NOT NULL REFERENCES generation (number)
) STRICT;
CREATE TABLE certificate (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('signing-ca', 'server', 'authority')),
    sealed_key BLOB,
    exportable INTEGER NOT NULL CHECK (exportable IN (0, 1)),
    created_unix_s INTEGER NOT NULL,
    labels TEXT NOT NULL,
    CHECK (kind = 'authority' OR sealed_key IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (
    name TEXT NOT NULL REFERENCES certificate (name) ON DELETE CASCADE ON UPDATE CASCADE,
    position INTEGER NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (name, position)
) STRICT;
CREATE TABLE request (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('signing-ca', 'server')),
    der BLOB NOT NULL,
    sealed_key BLOB NOT NULL,
    exportable INTEGER NOT NULL CHECK (exportable IN (0, 1)),
    created_unix_s INTEGER NOT NULL
) STRICT;
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Makes a fresh file a store.
pub(crate) fn create(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    advance(connection, path, 0)
}

/// Refuses what is no store or from a later release, and brings an older file up to date in one transaction.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |error| StoreError::sqlite(path, error);
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(sqlite)
    };
    let (application, found, known) = (
        pragma("application_id")?,
        pragma("user_version")?,
        last_format(),
    );
    // SQLite takes a file cut below its first page for an empty database; a store is never empty.
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if tables == 0 {
        return Err(StoreError::corrupt(path, "there is nothing in it"));
    }
    if application != APPLICATION_ID {
        return Err(StoreError::NotAStore {
            path: path.to_owned(),
        });
    }
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found == known {
        return Ok(());
    }
    let done =
        usize::try_from(found).map_err(|_| StoreError::corrupt(path, format!("format {found}")))?;
    advance(connection, path, done)
}

fn last_format() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

fn advance(connection: &mut Connection, path: &Path, done: usize) -> Result<(), StoreError> {
    let sqlite = |error| StoreError::sqlite(path, error);
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(sqlite)?;
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step).map_err(sqlite)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(sqlite)?;
    transaction
        .pragma_update(None, "user_version", last_format())
        .map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}
