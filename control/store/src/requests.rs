//! Certificate requests that wait for their certificate, with their sealed keys.

use rusqlite::{OptionalExtension, Row, params};
use sluice_schema::CertificateName;

use crate::certificates::CertificateKind;
use crate::error::StoreError;
use crate::generations::{signed, signed_size, unsigned};
use crate::limits::{CERTIFICATE_BYTES_MAX, REQUESTS_MAX, SEALED_KEY_BYTES_MAX};
use crate::store::Store;

/// A request made here. Its key is on the disk, sealed, from the moment the request exists: a restart loses nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// Unique among requests; the certificate that comes back gets this name unless another is given.
    pub name: CertificateName,
    /// What the certificate will be for: a signing CA or a server.
    pub kind: CertificateKind,
    /// The PKCS#10 request in DER.
    pub der: Vec<u8>,
    /// The private key as the keystore sealed it.
    pub sealed_key: Vec<u8>,
    /// Whether the key may leave the appliance under a passphrase.
    pub exportable: bool,
    /// Seconds since the Unix epoch.
    pub created_unix_s: u64,
}

impl std::fmt::Debug for StoredRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredRequest")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

const COLUMNS: &str = "name, kind, der, sealed_key, exportable, created_unix_s";

impl Store {
    /// All requests, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn requests(&self) -> Result<Vec<StoredRequest>, StoreError> {
        let sqlite = self.sqlite();
        let mut query = self
            .connection()
            .prepare(&format!("SELECT {COLUMNS} FROM request ORDER BY name"))
            .map_err(sqlite)?;
        let rows: Vec<_> = query
            .query_map([], read)
            .map_err(sqlite)?
            .collect::<Result<_, _>>()
            .map_err(sqlite)?;
        rows.into_iter()
            .map(|row| row.map_err(|what| StoreError::corrupt(self.path(), what)))
            .collect()
    }

    /// The request of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn request(&self, name: &CertificateName) -> Result<Option<StoredRequest>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM request WHERE name = ?");
        let row = self
            .connection()
            .query_row(&text, [name.as_str()], read)
            .optional()
            .map_err(self.sqlite())?;
        row.map(|row| row.map_err(|what| StoreError::corrupt(self.path(), what)))
            .transpose()
    }

    /// Adds a request.
    ///
    /// # Errors
    /// The name is taken by another request, too many wait, a part is too large, or the store cannot be written.
    pub fn put_request(&mut self, request: &StoredRequest) -> Result<(), StoreError> {
        if request.der.len() > CERTIFICATE_BYTES_MAX
            || request.sealed_key.len() > SEALED_KEY_BYTES_MAX
        {
            let what = format!(
                "the request or its sealed key has more than {CERTIFICATE_BYTES_MAX} bytes"
            );
            return Err(StoreError::Unstorable {
                name: request.name.clone(),
                what,
            });
        }
        if request.kind == CertificateKind::Authority {
            let what = "an authority is imported, not requested".to_owned();
            return Err(StoreError::Unstorable {
                name: request.name.clone(),
                what,
            });
        }
        let path = self.path().to_owned();
        let sqlite = |error| StoreError::sqlite(&path, error);
        self.change(|transaction| {
            let count: i64 = transaction
                .query_row("SELECT count(*) FROM request", [], |row| row.get(0))
                .map_err(sqlite)?;
            if count >= signed_size(REQUESTS_MAX) {
                return Err(StoreError::TooManyRequests);
            }
            let written = transaction
                .execute(
                    &format!("INSERT OR IGNORE INTO request ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"),
                    params![
                        request.name.as_str(),
                        request.kind.name(),
                        request.der,
                        request.sealed_key,
                        request.exportable,
                        signed(request.created_unix_s),
                    ],
                )
                .map_err(sqlite)?;
            if written == 0 {
                Err(StoreError::RequestExists {
                    name: request.name.clone(),
                })
            } else {
                Ok(())
            }
        })
    }

    /// Deletes a request with its key.
    ///
    /// # Errors
    /// There is no request of that name, or the store cannot be written.
    pub fn delete_request(&mut self, name: &CertificateName) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        self.change(|transaction| {
            let deleted = transaction
                .execute("DELETE FROM request WHERE name = ?", [name.as_str()])
                .map_err(|error| StoreError::sqlite(&path, error))?;
            if deleted == 0 {
                Err(StoreError::NoSuchRequest { name: name.clone() })
            } else {
                Ok(())
            }
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<StoredRequest, String>> {
    let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
    let (Ok(name), Some(kind)) = (name.parse(), CertificateKind::from_name(&kind)) else {
        return Ok(Err(format!(
            "request `{}`: its name or kind",
            name.escape_default()
        )));
    };
    Ok(Ok(StoredRequest {
        name,
        kind,
        der: row.get(2)?,
        sealed_key: row.get(3)?,
        exportable: row.get(4)?,
        created_unix_s: unsigned(row.get(5)?),
    }))
}
