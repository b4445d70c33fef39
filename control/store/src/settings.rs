//! Settings that are no part of the documents: text by key.

use rusqlite::OptionalExtension;

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The value of a setting.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.connection()
            .query_row("SELECT value FROM setting WHERE key = ?", [key], |row| {
                row.get(0)
            })
            .optional()
            .map_err(self.sqlite())
    }

    /// Sets a setting, or clears it with `None`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_setting(&mut self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        self.change(|transaction| {
            let done = match value {
                Some(value) => transaction
                    .execute("INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2", [key, value]),
                None => transaction.execute("DELETE FROM setting WHERE key = ?", [key]),
            };
            done.map(drop).map_err(|error| StoreError::sqlite(&path, error))
        })
    }
}
