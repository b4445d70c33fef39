//! The envelope: a private key under its data key, the data key under the master key.
//!
//! Layout, all lengths fixed but the last: magic (4) · master key identifier (8) · nonce (12) · data key (32 + 16) ·
//! nonce (12) · private key (n + 16).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::limits::{MASTER_KEY_BYTES, PRIVATE_KEY_BYTES_MAX};

const MAGIC: &[u8; 4] = b"SLK1";
const IDENTIFIER_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const DATA_KEY_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + IDENTIFIER_BYTES;
const WRAPPED_KEY_BYTES: usize = NONCE_LEN + DATA_KEY_BYTES + TAG_BYTES;

pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + WRAPPED_KEY_BYTES + NONCE_LEN + TAG_BYTES;

/// Separates the two uses of a name as associated data.
const WRAP: &[u8] = b"sluice data key\0";
const KEY: &[u8] = b"sluice private key\0";

pub(crate) struct MasterKey {
    bytes: Zeroizing<[u8; MASTER_KEY_BYTES]>,
    identifier: [u8; IDENTIFIER_BYTES],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Altered,
    OtherMasterKey,
}

impl MasterKey {
    pub(crate) fn new(bytes: Zeroizing<[u8; MASTER_KEY_BYTES]>) -> Self {
        let identifier = identifier(&bytes);
        Self { bytes, identifier }
    }

    pub(crate) fn seal(&self, name: &str, private_key: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        let mut data_key = Zeroizing::new([0; DATA_KEY_BYTES]);
        random.fill(&mut data_key[..])?;
        let mut out = Vec::with_capacity(OVERHEAD_BYTES + private_key.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.identifier);
        encrypt(&self.bytes, WRAP, name, &data_key[..], &random, &mut out)?;
        encrypt(&data_key, KEY, name, private_key, &random, &mut out)?;
        Ok(out)
    }

    pub(crate) fn open(&self, name: &str, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, Damage> {
        let rest = envelope.strip_prefix(MAGIC).ok_or(Damage::Altered)?;
        let (identifier, rest) = rest
            .split_at_checked(IDENTIFIER_BYTES)
            .ok_or(Damage::Altered)?;
        let (wrapped, sealed) = rest
            .split_at_checked(WRAPPED_KEY_BYTES)
            .ok_or(Damage::Altered)?;
        if sealed.len() > NONCE_LEN + PRIVATE_KEY_BYTES_MAX + TAG_BYTES {
            return Err(Damage::Altered);
        }
        if identifier != self.identifier {
            return Err(Damage::OtherMasterKey);
        }
        let data_key = decrypt(&self.bytes, WRAP, name, wrapped).ok_or(Damage::Altered)?;
        let data_key =
            <&[u8; DATA_KEY_BYTES]>::try_from(data_key.as_slice()).map_err(|_| Damage::Altered)?;
        decrypt(data_key, KEY, name, sealed).ok_or(Damage::Altered)
    }
}

/// Tells master keys apart without telling anything about them: a hash of 256 random bits.
fn identifier(master: &[u8; MASTER_KEY_BYTES]) -> [u8; IDENTIFIER_BYTES] {
    let mut hash = Context::new(&SHA256);
    hash.update(b"sluice master key identifier\0");
    hash.update(master);
    let mut out = [0; IDENTIFIER_BYTES];
    out.copy_from_slice(hash.finish().as_ref().split_at(IDENTIFIER_BYTES).0);
    out
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?))
}

fn associated(purpose: &[u8], name: &str) -> Vec<u8> {
    [purpose, name.as_bytes()].concat()
}

/// Appends a fresh nonce and the sealed `clear` to `out`.
fn encrypt(
    key: &[u8; 32],
    purpose: &[u8],
    name: &str,
    clear: &[u8],
    random: &SystemRandom,
    out: &mut Vec<u8>,
) -> Result<(), Unspecified> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce)?;
    // Room for the tag from the start: a buffer that grew would leave the clear key behind in the old one.
    let mut sealed = Zeroizing::new(Vec::with_capacity(clear.len() + TAG_BYTES));
    sealed.extend_from_slice(clear);
    cipher(key)?.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(associated(purpose, name)),
        &mut *sealed,
    )?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(())
}

fn decrypt(
    key: &[u8; 32],
    purpose: &[u8],
    name: &str,
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let clear = cipher(key)
        .ok()?
        .open_in_place(nonce, Aad::from(associated(purpose, name)), &mut buffer)
        .ok()?;
    Some(Zeroizing::new(clear.to_vec()))
}
