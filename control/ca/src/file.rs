//! Reading what people bring: PEM, DER and PKCS#12 files with certificates and keys.

use der::{Decode, SliceReader, Tag};
use pkcs8::EncryptedPrivateKeyInfoRef;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::limits::{
    IMPORT_CERTIFICATES_MAX, IMPORT_FILE_BYTES_MAX, IMPORT_KEYS_MAX, PASSPHRASE_ITERATIONS_MAX,
};
use crate::private_key::{KeyProblem, PrivateKey};

/// id-signedData (RFC 5652 5.1), as it begins a PKCS#7 file.
const SIGNED_DATA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];

/// A file holds nothing that can be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// The file is larger than [`IMPORT_FILE_BYTES_MAX`].
    #[error(
        "the file has {bytes} bytes, more than {IMPORT_FILE_BYTES_MAX}; give the certificate's own file"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A PKCS#7 file.
    #[error(
        "the file is PKCS#7 (p7b), which is not taken; convert it to PEM first: openssl pkcs7 -print_certs -in FILE.p7b -out FILE.pem"
    )]
    Pkcs7,
    /// A certificate request.
    #[error(
        "the file holds a certificate request, and requests of others are not signed here; have a CA sign it and import the certificate"
    )]
    Request,
    /// The file is in no known format.
    #[error(
        "the file is neither PEM nor DER nor PKCS#12; give a certificate in one of these formats"
    )]
    Unknown,
    /// The PEM armour is damaged.
    #[error("the PEM text is damaged ({reason}); export the file again")]
    Pem {
        /// What is wrong.
        reason: String,
    },
    /// A PEM block of an unexpected kind.
    #[error(
        "the file holds a block `{label}`, which is not taken; leave only CERTIFICATE and PRIVATE KEY blocks in it"
    )]
    Block {
        /// The block's label.
        label: String,
    },
    /// A private key in the old encrypted form.
    #[error(
        "the private key is encrypted in the old PEM form, which is not taken; convert it first: openssl pkcs8 -topk8 -in FILE -out NEW.pem"
    )]
    LegacyEncryption,
    /// A passphrase is needed.
    #[error("the file is protected by a passphrase; give it")]
    PassphraseMissing,
    /// The passphrase is wrong, or what it protects is damaged or protected in a way that is not understood.
    #[error(
        "the file does not open: the passphrase is wrong, or its protection is not understood (PBES2 is, and for PKCS#12 also the older 3DES and RC2)"
    )]
    NotOpened,
    /// Opening the file would take too long.
    #[error(
        "the passphrase's key derivation asks for more than {PASSPHRASE_ITERATIONS_MAX} iterations; protect the file again with fewer"
    )]
    TooManyIterations,
    /// A private key in it is of no use.
    #[error(transparent)]
    Key(#[from] KeyProblem),
    /// More certificates or keys than [`IMPORT_CERTIFICATES_MAX`] and [`IMPORT_KEYS_MAX`].
    #[error(
        "the file holds more than {IMPORT_CERTIFICATES_MAX} certificates or {IMPORT_KEYS_MAX} keys; split it"
    )]
    TooMany,
}

/// What was found in files: certificates without repetition, and keys with the aliases they had.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) keys: Vec<NamedKey>,
}

pub(crate) struct NamedKey {
    pub(crate) alias: Option<String>,
    pub(crate) key: PrivateKey,
}

impl Contents {
    /// Adds what is in `file`. With `keys` unset, private keys in it are passed over unread.
    pub(crate) fn read(
        &mut self,
        file: &[u8],
        passphrase: Option<&str>,
        keys: bool,
    ) -> Result<(), FileProblem> {
        if file.len() > IMPORT_FILE_BYTES_MAX {
            return Err(FileProblem::TooLarge { bytes: file.len() });
        }
        if file.windows(11).any(|window| window == b"-----BEGIN ") {
            self.read_pem(file, passphrase, keys)?;
        } else {
            self.read_der(file, passphrase, keys)?;
        }
        if self.certificates.len() > IMPORT_CERTIFICATES_MAX || self.keys.len() > IMPORT_KEYS_MAX {
            return Err(FileProblem::TooMany);
        }
        Ok(())
    }

    fn read_pem(
        &mut self,
        file: &[u8],
        passphrase: Option<&str>,
        keys: bool,
    ) -> Result<(), FileProblem> {
        let blocks = pem::parse_many(file).map_err(|error| FileProblem::Pem {
            reason: error.to_string(),
        })?;
        for block in blocks {
            let label = block.tag().to_owned();
            let legacy = block.headers().get("DEK-Info").is_some();
            let content = Zeroizing::new(block.into_contents());
            match label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => self.add_certificate(&content),
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY"
                    if !keys => {}
                "RSA PRIVATE KEY" | "EC PRIVATE KEY" if legacy => {
                    return Err(FileProblem::LegacyEncryption);
                }
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                    self.add_key(None, &content)?;
                }
                "ENCRYPTED PRIVATE KEY" => self.add_key(None, &decrypt(&content, passphrase)?)?,
                // OpenSSL writes the curve before an EC key; the key names it too.
                "EC PARAMETERS" => {}
                "PKCS7" | "CMS" => return Err(FileProblem::Pkcs7),
                "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                    return Err(FileProblem::Request);
                }
                _ => {
                    return Err(FileProblem::Block {
                        label: label.escape_default().to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    fn read_der(
        &mut self,
        file: &[u8],
        passphrase: Option<&str>,
        keys: bool,
    ) -> Result<(), FileProblem> {
        if let Ok(([], _)) = X509Certificate::from_der(file) {
            self.add_certificate(file);
            return Ok(());
        }
        if file.get(..24).is_some_and(|start| {
            start
                .windows(SIGNED_DATA.len())
                .any(|window| window == SIGNED_DATA)
        }) {
            return Err(FileProblem::Pkcs7);
        }
        if is_pkcs12(file) {
            return self.read_pkcs12(file, passphrase, keys);
        }
        if x509_parser::certification_request::X509CertificationRequest::from_der(file).is_ok() {
            return Err(FileProblem::Request);
        }
        let clear = Zeroizing::new(file.to_vec());
        if EncryptedPrivateKeyInfoRef::try_from(file).is_ok() {
            return if keys {
                self.add_key(None, &decrypt(&clear, passphrase)?)
            } else {
                Ok(())
            };
        }
        match PrivateKey::from_der(&clear) {
            Ok(key) if keys => self.keys.push(NamedKey { alias: None, key }),
            Ok(_) => {}
            Err(_) if is_private_key(file) => return Err(KeyProblem::Unsupported.into()),
            Err(_) => return Err(FileProblem::Unknown),
        }
        Ok(())
    }

    fn read_pkcs12(
        &mut self,
        file: &[u8],
        passphrase: Option<&str>,
        keys: bool,
    ) -> Result<(), FileProblem> {
        // Some files are protected by an empty passphrase, so that is tried when none is given.
        let archive =
            p12_keystore::Pkcs12Archive::from_pkcs12(file, passphrase.unwrap_or_default())
                .map_err(|_| {
                    if passphrase.is_some() {
                        FileProblem::NotOpened
                    } else {
                        FileProblem::PassphraseMissing
                    }
                })?;
        for bag in archive.certs {
            self.add_certificate(bag.cert.as_der());
        }
        for bag in archive.keys.into_iter().filter(|_| keys) {
            self.add_key(
                bag.friendly_name,
                &Zeroizing::new(bag.key.as_der().to_vec()),
            )?;
        }
        Ok(())
    }

    fn add_certificate(&mut self, der: &[u8]) {
        if !self.certificates.iter().any(|known| known == der) {
            self.certificates.push(der.to_vec());
        }
    }

    fn add_key(
        &mut self,
        alias: Option<String>,
        der: &Zeroizing<Vec<u8>>,
    ) -> Result<(), FileProblem> {
        self.keys.push(NamedKey {
            alias,
            key: PrivateKey::from_der(der)?,
        });
        Ok(())
    }
}

/// Opens an EncryptedPrivateKeyInfo (RFC 5208 6).
fn decrypt(der: &[u8], passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, FileProblem> {
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| FileProblem::NotOpened)?;
    let passphrase = passphrase.ok_or(FileProblem::PassphraseMissing)?;
    let derivation = encrypted
        .encryption_algorithm
        .pbes2()
        .ok_or(FileProblem::NotOpened)?;
    if derivation
        .kdf
        .pbkdf2()
        .is_some_and(|pbkdf2| pbkdf2.iteration_count > PASSPHRASE_ITERATIONS_MAX)
    {
        return Err(FileProblem::TooManyIterations);
    }
    let clear = encrypted
        .decrypt(passphrase)
        .map_err(|_| FileProblem::NotOpened)?;
    Ok(clear.to_bytes())
}

/// PFX (RFC 7292 4): a SEQUENCE that begins with version 3.
fn is_pkcs12(file: &[u8]) -> bool {
    first_integer(file) == Some(3)
}

/// PrivateKeyInfo, RSAPrivateKey or ECPrivateKey: a SEQUENCE that begins with version 0 or 1.
fn is_private_key(file: &[u8]) -> bool {
    matches!(first_integer(file), Some(0 | 1))
}

fn first_integer(file: &[u8]) -> Option<u8> {
    let mut reader = SliceReader::new(file).ok()?;
    let header = der::Header::decode(&mut reader).ok()?;
    (header.tag() == Tag::Sequence).then_some(())?;
    u8::decode(&mut reader).ok()
}
