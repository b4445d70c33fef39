//! Private keys at rest: enveloped, never in clear on disk.
//!
//! Each private key is encrypted under a data key of its own (AES-256-GCM), and the data key under the appliance's master
//! key, which lies in a file that only its owner may read. The name of the certificate is bound into both, so an envelope
//! cannot be passed off as another certificate's. Whoever has the store without the master key has no private key; whoever
//! backs the appliance up keeps the two apart.
//!
//! Clear keys exist in memory only, in [`Zeroizing`] buffers.

#![forbid(unsafe_code)]

mod envelope;
pub mod limits;
mod master;

use std::path::{Path, PathBuf};

pub use zeroize::Zeroizing;

use envelope::{Damage, MasterKey};
pub use master::MasterKeyError;

/// Seals and opens the private keys of one appliance.
pub struct Keystore {
    path: PathBuf,
    master: MasterKey,
}

/// A private key was not sealed or not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// The envelope is cut, altered, or another certificate's.
    #[error(
        "the stored private key of `{name}` is damaged or was stored for another certificate; import certificate and key again"
    )]
    Damaged {
        /// The certificate's name.
        name: String,
    },
    /// The envelope was made under another master key.
    #[error(
        "the private key of `{name}` was sealed under another master key than {}; put the master key of this appliance back from its backup, or import certificate and key again",
        path.display()
    )]
    OtherMasterKey {
        /// The certificate's name.
        name: String,
        /// The file of the present master key.
        path: PathBuf,
    },
    /// A private key, or a name, is empty or above its bound.
    #[error("the private key of `{name}` cannot be sealed: {what}")]
    Unsealable {
        /// The certificate's name.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The system gave no random bytes, or the cipher failed.
    #[error(
        "the private key of `{name}` could not be sealed: the system's random generator failed; see the system log"
    )]
    Cryptography {
        /// The certificate's name.
        name: String,
    },
}

impl Keystore {
    /// Takes the master key from `path`. If there is no file, a new key is made and written there with mode 0600; the
    /// directory must exist.
    ///
    /// # Errors
    /// The file cannot be read or made, group or others may read or write it, it belongs to another user, or it is no key.
    pub fn open(path: &Path) -> Result<Self, MasterKeyError> {
        let master = MasterKey::new(master::read_or_create(path)?);
        Ok(Self {
            path: path.to_owned(),
            master,
        })
    }

    /// Seals a private key (PKCS#8) for the certificate `name`.
    ///
    /// # Errors
    /// The key is empty or too large, or the system gives no random bytes.
    pub fn seal(&self, name: &str, pkcs8: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        let unsealable = |what| {
            Err(KeystoreError::Unsealable {
                name: name.to_owned(),
                what,
            })
        };
        match pkcs8.len() {
            0 => unsealable("it is empty"),
            bytes if bytes > limits::PRIVATE_KEY_BYTES_MAX => {
                unsealable("it is larger than any private key; give the PKCS#8 key alone")
            }
            _ => self
                .master
                .seal(name, pkcs8)
                .map_err(|_| KeystoreError::Cryptography {
                    name: name.to_owned(),
                }),
        }
    }

    /// Opens the envelope of the certificate `name`.
    ///
    /// # Errors
    /// The envelope is damaged, another certificate's, or sealed under another master key.
    pub fn open_key(
        &self,
        name: &str,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        self.master
            .open(name, envelope)
            .map_err(|damage| match damage {
                Damage::OtherMasterKey => KeystoreError::OtherMasterKey {
                    name: name.to_owned(),
                    path: self.path.clone(),
                },
                Damage::Altered => KeystoreError::Damaged {
                    name: name.to_owned(),
                },
            })
    }
}

impl std::fmt::Debug for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
