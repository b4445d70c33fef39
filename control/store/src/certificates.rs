//! Certificates: DER chains, and private keys as sealed envelopes.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use sluice_schema::CertificateName;

use crate::error::StoreError;
use crate::generations::{signed, signed_size, unsigned};
use crate::limits::{
    CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, CHAIN_CERTIFICATES_MAX, SEALED_KEY_BYTES_MAX,
};
use crate::store::Store;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// A CA with its key: signs leaves.
    SigningCa,
    /// A server's certificate with its key: for server inspection.
    Server,
    /// A CA without its key: for trust stores.
    Authority,
}

impl CertificateKind {
    /// The name in documents, listings and the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SigningCa => "signing-ca",
            Self::Server => "server",
            Self::Authority => "authority",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::SigningCa, Self::Server, Self::Authority]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A certificate to be stored. That its parts belong together has been checked by whoever brings it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// Unique in the store.
    pub name: CertificateName,
    /// What it is for.
    pub kind: CertificateKind,
    /// DER: the certificate first, then its issuers in order.
    pub chain: Vec<Vec<u8>>,
    /// The private key as the keystore sealed it; only an authority has none.
    pub sealed_key: Option<Vec<u8>>,
    /// Whether its key may leave the appliance under a passphrase.
    pub exportable: bool,
    /// Free marks.
    pub labels: BTreeMap<String, String>,
    /// Seconds since the Unix epoch.
    pub created_unix_s: u64,
}

/// A certificate of the store.
pub type StoredCertificate = NewCertificate;

impl std::fmt::Debug for NewCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

const COLUMNS: &str = "name, kind, sealed_key, exportable, labels, created_unix_s";

impl Store {
    /// All certificates, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn certificates(&self) -> Result<Vec<StoredCertificate>, StoreError> {
        let sqlite = self.sqlite();
        let mut query = self
            .connection()
            .prepare(&format!("SELECT {COLUMNS} FROM certificate ORDER BY name"))
            .map_err(sqlite)?;
        let rows: Vec<Columns> = query
            .query_map([], Columns::read)
            .map_err(sqlite)?
            .collect::<Result<_, _>>()
            .map_err(sqlite)?;
        rows.into_iter().map(|row| self.whole(row)).collect()
    }

    /// The certificate of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn certificate(
        &self,
        name: &CertificateName,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        let sqlite = self.sqlite();
        let row = self
            .connection()
            .query_row(
                &format!("SELECT {COLUMNS} FROM certificate WHERE name = ?"),
                [name.as_str()],
                Columns::read,
            )
            .optional()
            .map_err(sqlite)?;
        row.map(|row| self.whole(row)).transpose()
    }

    /// Adds a certificate.
    ///
    /// # Errors
    /// The name is taken, the store is full, a part is missing or too large, or the store cannot be written.
    pub fn put_certificate(&mut self, certificate: &NewCertificate) -> Result<(), StoreError> {
        self.put_certificates(std::slice::from_ref(certificate))
    }

    /// Adds certificates, all or none.
    ///
    /// # Errors
    /// A name is taken, the store is full, a part is missing or too large, or the store cannot be written.
    pub fn put_certificates(&mut self, certificates: &[NewCertificate]) -> Result<(), StoreError> {
        certificates.iter().try_for_each(check)?;
        let path = self.path().to_owned();
        let sqlite = |error| StoreError::sqlite(&path, error);
        self.change(|transaction| {
            for certificate in certificates {
                if exists(transaction, &certificate.name).map_err(sqlite)? {
                    return Err(StoreError::CertificateExists {
                        name: certificate.name.clone(),
                    });
                }
                insert(transaction, certificate).map_err(sqlite)?;
            }
            if count(transaction).map_err(sqlite)? > signed_size(CERTIFICATES_MAX) {
                return Err(StoreError::TooManyCertificates);
            }
            Ok(())
        })
    }

    /// Puts a certificate in the place of the one of the same name, which keeps its name in every document. `aside` is the old
    /// one under the name it is to be kept by, its key sealed for that name; it takes the place of any other of that name.
    ///
    /// # Errors
    /// There is no certificate of that name, the store is full, a part is missing or too large, or the store cannot be written.
    pub fn replace_certificate(
        &mut self,
        certificate: &NewCertificate,
        aside: Option<&NewCertificate>,
    ) -> Result<(), StoreError> {
        check(certificate)?;
        aside.map_or(Ok(()), check)?;
        let path = self.path().to_owned();
        let sqlite = |error| StoreError::sqlite(&path, error);
        self.change(|transaction| {
            if delete(transaction, certificate.name.as_str()).map_err(sqlite)? == 0 {
                return Err(StoreError::NoSuchCertificate {
                    name: certificate.name.clone(),
                });
            }
            if let Some(aside) = aside {
                delete(transaction, aside.name.as_str()).map_err(sqlite)?;
                insert(transaction, aside).map_err(sqlite)?;
            }
            insert(transaction, certificate).map_err(sqlite)?;
            if count(transaction).map_err(sqlite)? > signed_size(CERTIFICATES_MAX) {
                return Err(StoreError::TooManyCertificates);
            }
            Ok(())
        })
    }

    /// Deletes a certificate with its key. Whether a document still names it is the caller's to check.
    ///
    /// # Errors
    /// There is no certificate of that name, or the store cannot be written.
    pub fn delete_certificate(&mut self, name: &CertificateName) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        let sqlite = |error| StoreError::sqlite(&path, error);
        self.change(
            |transaction| match delete(transaction, name.as_str()).map_err(sqlite)? {
                0 => Err(StoreError::NoSuchCertificate { name: name.clone() }),
                _ => Ok(()),
            },
        )
    }

    fn whole(&self, row: Columns) -> Result<StoredCertificate, StoreError> {
        let sqlite = self.sqlite();
        let corrupt = |what: &str| {
            StoreError::corrupt(
                self.path(),
                format!("certificate `{}`: {what}", row.name.escape_default()),
            )
        };
        let mut query = self
            .connection()
            .prepare("SELECT der FROM chain WHERE name = ? ORDER BY position")
            .map_err(sqlite)?;
        let chain = query
            .query_map([&row.name], |row| row.get(0))
            .map_err(sqlite)?
            .collect::<Result<_, _>>()
            .map_err(sqlite)?;
        Ok(StoredCertificate {
            name: row.name.parse().map_err(|_| corrupt("its name"))?,
            kind: CertificateKind::from_name(&row.kind).ok_or_else(|| corrupt("its kind"))?,
            labels: serde_json::from_str(&row.labels).map_err(|_| corrupt("its labels"))?,
            chain,
            sealed_key: row.sealed_key,
            exportable: row.exportable,
            created_unix_s: row.created_unix_s,
        })
    }
}

/// A row of the table, before what it means has been checked.
struct Columns {
    name: String,
    kind: String,
    sealed_key: Option<Vec<u8>>,
    exportable: bool,
    labels: String,
    created_unix_s: u64,
}

impl Columns {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            kind: row.get(1)?,
            sealed_key: row.get(2)?,
            exportable: row.get(3)?,
            labels: row.get(4)?,
            created_unix_s: unsigned(row.get(5)?),
        })
    }
}

fn check(certificate: &NewCertificate) -> Result<(), StoreError> {
    let unstorable = |what: String| {
        Err(StoreError::Unstorable {
            name: certificate.name.clone(),
            what,
        })
    };
    if certificate.chain.is_empty() {
        return unstorable("it has no certificate".to_owned());
    }
    if certificate.chain.len() > CHAIN_CERTIFICATES_MAX {
        return unstorable(format!(
            "its chain has {} certificates, more than {CHAIN_CERTIFICATES_MAX}",
            certificate.chain.len()
        ));
    }
    if let Some(large) = certificate
        .chain
        .iter()
        .find(|der| der.len() > CERTIFICATE_BYTES_MAX)
    {
        return unstorable(format!(
            "a certificate has {} bytes, more than {CERTIFICATE_BYTES_MAX}",
            large.len()
        ));
    }
    match (&certificate.sealed_key, certificate.kind) {
        (None, CertificateKind::SigningCa | CertificateKind::Server) => {
            unstorable("its private key is missing".to_owned())
        }
        (Some(_), CertificateKind::Authority) => {
            unstorable("an authority has no private key here".to_owned())
        }
        (Some(key), _) if key.len() > SEALED_KEY_BYTES_MAX => unstorable(format!(
            "its sealed key has {} bytes, more than {SEALED_KEY_BYTES_MAX}",
            key.len()
        )),
        _ => Ok(()),
    }
}

fn count(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.query_row("SELECT count(*) FROM certificate", [], |row| row.get(0))
}

fn exists(transaction: &Transaction<'_>, name: &CertificateName) -> rusqlite::Result<bool> {
    transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM certificate WHERE name = ?)",
        [name.as_str()],
        |row| row.get(0),
    )
}

fn delete(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<usize> {
    transaction.execute("DELETE FROM certificate WHERE name = ?", [name])
}

fn insert(
    transaction: &Transaction<'_>,
    certificate: &NewCertificate,
) -> Result<(), rusqlite::Error> {
    let labels = serde_json::to_string(&certificate.labels)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction.execute(
        &format!("INSERT INTO certificate ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"),
        params![
            certificate.name.as_str(),
            certificate.kind.name(),
            certificate.sealed_key,
            certificate.exportable,
            labels,
            signed(certificate.created_unix_s),
        ],
    )?;
    let mut write =
        transaction.prepare("INSERT INTO chain (name, position, der) VALUES (?, ?, ?)")?;
    for (position, der) in certificate.chain.iter().enumerate() {
        write.execute(params![
            certificate.name.as_str(),
            signed_size(position),
            der
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
