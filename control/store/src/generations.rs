//! Generations: the documents as they were at each apply.

use rusqlite::{OptionalExtension, Transaction, params};
use sluice_schema::{Document, Generation};

use crate::error::StoreError;
use crate::limits::{GENERATIONS_MAX, NOTE_CHARS_MAX};
use crate::store::Store;

/// Who made a generation, why and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The user.
    pub author: String,
    /// Free text.
    pub comment: String,
    /// Seconds since the Unix epoch.
    pub at_unix_s: u64,
}

/// One generation of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRecord {
    /// Its number: 1 for the first, rising, never used twice.
    pub number: Generation,
    /// Who, why and when.
    pub note: Note,
    /// Set if a rollback made it.
    pub rolled_back: Option<RolledBack>,
    /// Whether it is the current one.
    pub current: bool,
}

/// What a rollback did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// The generation that was current.
    pub from: Generation,
    /// The generation whose documents it took up again.
    pub to: Generation,
}

impl Store {
    /// The current generation, or `None` before the first apply.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn current(&self) -> Result<Option<Generation>, StoreError> {
        let found: Option<i64> = self
            .connection()
            .query_row("SELECT generation FROM current", [], |row| row.get(0))
            .optional()
            .map_err(self.sqlite())?;
        found.map(|number| self.number(number)).transpose()
    }

    /// The documents of a generation, by path.
    ///
    /// # Errors
    /// There is no such generation, or the store cannot be read.
    pub fn documents(&self, generation: Generation) -> Result<Vec<Document>, StoreError> {
        let sqlite = self.sqlite();
        if !exists(self.connection(), generation).map_err(sqlite)? {
            return Err(StoreError::NoSuchGeneration { generation });
        }
        let mut query = self
            .connection()
            .prepare("SELECT path, text FROM document WHERE generation = ? ORDER BY path")
            .map_err(sqlite)?;
        let rows = query
            .query_map([sql(generation)], |row| {
                Ok(Document {
                    path: row.get(0)?,
                    text: row.get(1)?,
                })
            })
            .map_err(sqlite)?;
        rows.collect::<Result<_, _>>().map_err(sqlite)
    }

    /// Makes `documents` the current generation. The documents are to have been validated.
    ///
    /// Beyond [`GENERATIONS_MAX`] the oldest generations are given up.
    ///
    /// # Errors
    /// A path occurs twice, or the store cannot be written. Then nothing has changed.
    pub fn commit_documents(
        &mut self,
        documents: &[Document],
        note: &Note,
    ) -> Result<Generation, StoreError> {
        let path = self.path().to_owned();
        let sqlite = |error| StoreError::sqlite(&path, error);
        self.change(|transaction| {
            let generation = insert(transaction, note, None).map_err(sqlite)?;
            let mut write = transaction
                .prepare("INSERT OR IGNORE INTO document (generation, path, text) VALUES (?, ?, ?)")
                .map_err(sqlite)?;
            for document in documents {
                let written = write
                    .execute(params![sql(generation), document.path, document.text])
                    .map_err(sqlite)?;
                if written == 0 {
                    return Err(StoreError::DuplicateDocument {
                        document: document.path.clone(),
                    });
                }
            }
            make_current(transaction, generation).map_err(sqlite)?;
            Ok(generation)
        })
    }

    /// Makes a new generation with the documents of generation `to`, and makes it current.
    ///
    /// # Errors
    /// There is no generation `to`, nothing has been applied yet, or the store cannot be written. Then nothing has changed.
    pub fn roll_back(&mut self, to: Generation, note: &Note) -> Result<Generation, StoreError> {
        let from = self.current()?.ok_or(StoreError::NoGeneration)?;
        let path = self.path().to_owned();
        let sqlite = |error| StoreError::sqlite(&path, error);
        self.change(|transaction| {
            if !exists(transaction, to).map_err(sqlite)? {
                return Err(StoreError::NoSuchGeneration { generation: to });
            }
            let generation = insert(transaction, note, Some(RolledBack { from, to })).map_err(sqlite)?;
            let copy = "INSERT INTO document (generation, path, text) SELECT ?, path, text FROM document WHERE generation = ?";
            transaction.execute(copy, [sql(generation), sql(to)]).map_err(sqlite)?;
            make_current(transaction, generation).map_err(sqlite)?;
            Ok(generation)
        })
    }

    /// All generations kept, the newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        let sqlite = self.sqlite();
        let current = self.current()?;
        let text = "SELECT number, created_unix_s, author, comment, rolled_back_from, rolled_back_to FROM generation ORDER BY number DESC";
        let mut query = self.connection().prepare(text).map_err(sqlite)?;
        let rows = query
            .query_map([], |row| {
                let number = Generation(unsigned(row.get(0)?));
                let rolled_back = row
                    .get::<_, Option<i64>>(4)?
                    .zip(row.get::<_, Option<i64>>(5)?);
                Ok(GenerationRecord {
                    number,
                    note: Note {
                        at_unix_s: unsigned(row.get(1)?),
                        author: row.get(2)?,
                        comment: row.get(3)?,
                    },
                    rolled_back: rolled_back.map(|(from, to)| RolledBack {
                        from: Generation(unsigned(from)),
                        to: Generation(unsigned(to)),
                    }),
                    current: current == Some(number),
                })
            })
            .map_err(sqlite)?;
        rows.collect::<Result<_, _>>().map_err(sqlite)
    }

    fn number(&self, number: i64) -> Result<Generation, StoreError> {
        u64::try_from(number)
            .map(Generation)
            .map_err(|_| StoreError::corrupt(self.path(), format!("generation {number}")))
    }
}

/// SQLite's integers are signed; generations and times never get near the difference.
pub(crate) fn sql(generation: Generation) -> i64 {
    signed(generation.0)
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn signed_size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn exists(connection: &rusqlite::Connection, generation: Generation) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM generation WHERE number = ?)",
        [sql(generation)],
        |row| row.get(0),
    )
}

fn insert(
    transaction: &Transaction<'_>,
    note: &Note,
    rolled_back: Option<RolledBack>,
) -> rusqlite::Result<Generation> {
    let cut = |text: &str| text.chars().take(NOTE_CHARS_MAX).collect::<String>();
    transaction.execute(
        "INSERT INTO generation (created_unix_s, author, comment, rolled_back_from, rolled_back_to) VALUES (?, ?, ?, ?, ?)",
        params![
            signed(note.at_unix_s),
            cut(&note.author),
            cut(&note.comment),
            rolled_back.map(|rolled_back| sql(rolled_back.from)),
            rolled_back.map(|rolled_back| sql(rolled_back.to)),
        ],
    )?;
    Ok(Generation(unsigned(transaction.last_insert_rowid())))
}

fn make_current(transaction: &Transaction<'_>, generation: Generation) -> rusqlite::Result<()> {
    transaction.execute("INSERT INTO current (row, generation) VALUES (1, ?1) ON CONFLICT (row) DO UPDATE SET generation = ?1", [sql(generation)])?;
    // The current generation has the highest number, so the newest ones always include it.
    transaction.execute("DELETE FROM generation WHERE number NOT IN (SELECT number FROM generation ORDER BY number DESC LIMIT ?)", [signed_size(GENERATIONS_MAX)])?;
    Ok(())
}

#[cfg(test)]
mod tests;
