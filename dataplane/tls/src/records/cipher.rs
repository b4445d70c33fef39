//! One direction's key: nonces, additional data and the sequence number.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use sluice_telemetry::TlsVersion;
use zeroize::Zeroizing;

use super::RecordError;
use crate::limits::{
    CHACHA_RECORDS_MAX, GCM_EXPLICIT_NONCE_BYTES, RECORD_HEADER_BYTES, TAG_BYTES,
    TLS12_GCM_RECORDS_MAX, TLS13_GCM_RECORDS_MAX,
};

const IV_BYTES: usize = 12;

/// How records of one version and suite are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// RFC 8446 section 5.2: the content type is inside, behind the content.
    Tls13,
    /// RFC 5288: eight bytes of nonce before the content.
    Tls12Gcm,
    /// RFC 7905: as TLS 1.3, with the content type outside.
    Tls12Chacha,
}

/// The key of one direction. Key and IV are zeroised on drop, the key by aws-lc.
pub(super) struct Cipher {
    key: LessSafeKey,
    iv: Zeroizing<[u8; IV_BYTES]>,
    sequence: u64,
    layout: Layout,
    records_max: u64,
}

impl Layout {
    /// Bytes before the content, behind the header.
    pub(super) const fn nonce_bytes(self) -> usize {
        match self {
            Self::Tls12Gcm => GCM_EXPLICIT_NONCE_BYTES,
            Self::Tls13 | Self::Tls12Chacha => 0,
        }
    }

    /// Bytes behind the content: the inner content type and the tag.
    pub(super) const fn trailer_bytes(self) -> usize {
        match self {
            Self::Tls13 => 1 + TAG_BYTES,
            Self::Tls12Gcm | Self::Tls12Chacha => TAG_BYTES,
        }
    }

    /// Bytes of a record beyond its content.
    pub(super) const fn overhead_bytes(self) -> usize {
        RECORD_HEADER_BYTES + self.nonce_bytes() + self.trailer_bytes()
    }
}

impl Cipher {
    pub(super) fn new(
        (sequence, secrets): (u64, ConnectionTrafficSecrets),
        version: TlsVersion,
    ) -> Result<Self, RecordError> {
        let (algorithm, key, iv, gcm) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv, true),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv, true),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (&aead::CHACHA20_POLY1305, key, iv, false)
            }
            _ => return Err(RecordError::Secrets),
        };
        let unbound = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| RecordError::Secrets)?;
        let iv: [u8; IV_BYTES] = iv.as_ref().try_into().map_err(|_| RecordError::Secrets)?;
        let (layout, records_max) = match (version, gcm) {
            (TlsVersion::Tls13, true) => (Layout::Tls13, TLS13_GCM_RECORDS_MAX),
            (TlsVersion::Tls13, false) => (Layout::Tls13, CHACHA_RECORDS_MAX),
            (_, true) => (Layout::Tls12Gcm, TLS12_GCM_RECORDS_MAX),
            (_, false) => (Layout::Tls12Chacha, CHACHA_RECORDS_MAX),
        };
        Ok(Self {
            key: LessSafeKey::new(unbound),
            iv: Zeroizing::new(iv),
            sequence,
            layout,
            records_max,
        })
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether `records` more would leave none for a last KeyUpdate under this key.
    pub(super) fn worn_out_after(&self, records: usize) -> bool {
        self.sequence.saturating_add(records as u64) >= self.records_max
    }

    #[cfg(test)]
    pub(super) fn wear_out(&mut self) {
        self.sequence = self.records_max - 1;
    }

    /// Opens the body of a record in place and gives the range of the body that is content (for TLS 1.3 the inner
    /// plaintext: content, type and padding).
    pub(super) fn open(
        &mut self,
        header: [u8; RECORD_HEADER_BYTES],
        body: &mut [u8],
    ) -> Result<core::ops::Range<usize>, RecordError> {
        let sealed_bytes = body
            .len()
            .checked_sub(self.layout.nonce_bytes() + TAG_BYTES)
            .ok_or(RecordError::NotAuthentic)?;
        let (explicit, sealed) = body
            .split_at_mut_checked(self.layout.nonce_bytes())
            .ok_or(RecordError::NotAuthentic)?;
        let nonce = match self.layout {
            Layout::Tls12Gcm => self.explicit_nonce(explicit)?,
            Layout::Tls13 | Layout::Tls12Chacha => self.nonce(),
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = match self.layout {
            Layout::Tls13 => self.key.open_in_place(nonce, Aad::from(header), sealed),
            Layout::Tls12Gcm | Layout::Tls12Chacha => self.key.open_in_place(
                nonce,
                Aad::from(self.tls12_data(header, sealed_bytes)?),
                sealed,
            ),
        };
        let content_bytes = opened.map_err(|_| RecordError::NotAuthentic)?.len();
        self.sequence = self.sequence.checked_add(1).ok_or(RecordError::Exhausted)?;
        let start = self.layout.nonce_bytes();
        Ok(start..start + content_bytes)
    }

    /// Seals one record into `out`, which is exactly as long as the record.
    pub(super) fn seal(
        &mut self,
        content: u8,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<(), RecordError> {
        if self.sequence >= self.records_max {
            return Err(RecordError::Exhausted);
        }
        let layout = self.layout;
        let outer = if layout == Layout::Tls13 {
            super::APPLICATION_DATA
        } else {
            content
        };
        let body_bytes = layout.overhead_bytes() - RECORD_HEADER_BYTES + plaintext.len();
        let [high, low] = u16::try_from(body_bytes)
            .map_err(|_| RecordError::OutputTooSmall)?
            .to_be_bytes();
        let header = [outer, 3, 3, high, low];
        let nonce = self.nonce();
        let (head, rest) = out
            .split_at_mut_checked(RECORD_HEADER_BYTES)
            .ok_or(RecordError::OutputTooSmall)?;
        let (explicit, rest) = rest
            .split_at_mut_checked(layout.nonce_bytes())
            .ok_or(RecordError::OutputTooSmall)?;
        let (sealed, trailer) = rest
            .split_at_mut_checked(plaintext.len())
            .ok_or(RecordError::OutputTooSmall)?;
        if trailer.len() != layout.trailer_bytes() {
            return Err(RecordError::OutputTooSmall);
        }
        head.copy_from_slice(&header);
        let [_, _, _, _, suffix @ ..] = nonce;
        if !explicit.is_empty() {
            explicit.copy_from_slice(&suffix);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealing = match layout {
            Layout::Tls13 => self.key.seal_out_of_place_scatter(
                nonce,
                Aad::from(header),
                plaintext,
                sealed,
                &[content],
                trailer,
            ),
            Layout::Tls12Gcm | Layout::Tls12Chacha => {
                let data = Aad::from(self.tls12_data(header, plaintext.len())?);
                self.key
                    .seal_out_of_place_scatter(nonce, data, plaintext, sealed, &[], trailer)
            }
        };
        sealing.map_err(|_| RecordError::Sealing)?;
        self.sequence += 1;
        Ok(())
    }

    /// RFC 8446 section 5.3, and what RFC 7905 took over for TLS 1.2: the IV with the sequence number.
    fn nonce(&self) -> [u8; IV_BYTES] {
        let mut nonce = *self.iv;
        for (byte, sequence) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        nonce
    }

    /// RFC 5288 section 3: four bytes from the key block, eight from the record.
    fn explicit_nonce(&self, explicit: &[u8]) -> Result<[u8; IV_BYTES], RecordError> {
        let mut nonce = *self.iv;
        let (_, suffix) = nonce.split_at_mut(IV_BYTES - GCM_EXPLICIT_NONCE_BYTES);
        if suffix.len() != explicit.len() {
            return Err(RecordError::NotAuthentic);
        }
        suffix.copy_from_slice(explicit);
        Ok(nonce)
    }

    /// RFC 5246 section 6.2.3.3: sequence number, type, version, length of the content.
    fn tls12_data(
        &self,
        header: [u8; RECORD_HEADER_BYTES],
        bytes: usize,
    ) -> Result<[u8; 13], RecordError> {
        let [content, major, minor, _, _] = header;
        let [high, low] = u16::try_from(bytes)
            .map_err(|_| RecordError::TooLong { bytes })?
            .to_be_bytes();
        let [a, b, c, d, e, f, g, h] = self.sequence.to_be_bytes();
        Ok([a, b, c, d, e, f, g, h, content, major, minor, high, low])
    }
}
