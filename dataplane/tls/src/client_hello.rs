//! What a ClientHello says (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), read strictly and bounded.

use rustls_pki_types::DnsName;
use sluice_telemetry::TlsVersion;
use thiserror::Error;

use crate::limits::ALPN_PROTOCOLS_MAX;

/// The group id of X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem).
const X25519MLKEM768: u16 = 0x11ec;

/// What the client offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// The host name of `server_name`, lower case, a DNS name. An IP address there is ignored, as RFC 6066 section 3 forbids it.
    pub sni: Option<String>,
    /// Application protocols in the client's order, as sent.
    pub alpn: Vec<Vec<u8>>,
    /// `legacy_version`.
    pub legacy_version: u16,
    /// `supported_versions`, GREASE included; empty where the extension is absent.
    pub supported_versions: Vec<u16>,
    /// Cipher suites in the client's order, GREASE included.
    pub cipher_suites: Vec<u16>,
    /// `supported_groups` in the client's order, GREASE included.
    pub groups: Vec<u16>,
    /// Groups for which a key share was sent.
    pub key_shares: Vec<u16>,
    /// `signature_algorithms`.
    pub signature_algorithms: Vec<u16>,
    /// Whether `encrypted_client_hello` is there, real or GREASE (they cannot be told apart).
    pub ech: bool,
    /// Whether 0-RTT data is announced.
    pub early_data: bool,
    /// Bytes of the legacy session id.
    pub session_id_bytes: usize,
    /// Whether a TLS 1.2 session ticket with content is presented.
    pub session_ticket: bool,
    /// Whether a TLS 1.3 pre-shared key is presented.
    pub pre_shared_key: bool,
    /// Bytes on the wire from the client's first to the last of this message, record headers included.
    pub bytes: usize,
}

impl ClientHello {
    /// Bytes of memory this holds.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let protocols = self.alpn.iter().map(Vec::capacity).sum::<usize>();
        let numbers = [
            &self.supported_versions,
            &self.cipher_suites,
            &self.groups,
            &self.key_shares,
            &self.signature_algorithms,
        ];
        let numbers = numbers.map(Vec::capacity).into_iter().sum::<usize>();
        size_of::<Self>()
            + self.sni.as_ref().map_or(0, String::capacity)
            + self.alpn.capacity() * size_of::<Vec<u8>>()
            + protocols
            + numbers * size_of::<u16>()
    }
}

/// What is wrong with a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HelloError {
    /// An SSL 2.0 CLIENT-HELLO, which RFC 6176 prohibits.
    #[error("the client sent an SSL 2.0 hello, which RFC 6176 prohibits")]
    Ssl2,
    /// A record version outside 3.0 to 3.4.
    #[error("a record of the hello has a version that is no TLS version")]
    RecordVersion,
    /// A handshake record without content (RFC 8446 section 5.1).
    #[error("a record of the hello is empty")]
    EmptyRecord,
    /// A record longer than 2^14.
    #[error("a record of the hello claims {bytes} bytes, more than 2^14")]
    RecordTooLong {
        /// The length claimed.
        bytes: usize,
    },
    /// A record of another content type inside the message.
    #[error("a record of content type {content} interrupts the hello")]
    Interleaved {
        /// Its content type.
        content: u8,
    },
    /// The first handshake message is another one.
    #[error("the first handshake message is of type {message}, not a ClientHello")]
    NotClientHello {
        /// Its type.
        message: u8,
    },
    /// The record goes on behind the message.
    #[error("the hello's last record holds more than the hello")]
    TrailingData,
    /// A field's length does not fit, or what must be there is not.
    #[error("the hello's {field} is malformed")]
    Field {
        /// The field or extension.
        field: &'static str,
    },
    /// The same extension twice (RFC 8446 section 4.2).
    #[error("the hello holds extension {extension} twice")]
    DuplicateExtension {
        /// Its number.
        extension: u16,
    },
    /// `pre_shared_key` is not the last extension (RFC 8446 section 4.2.11).
    #[error("pre_shared_key is not the hello's last extension")]
    PreSharedKeyNotLast,
    /// The host name is no DNS name.
    #[error("the hello's server_name is no DNS name")]
    ServerName,
    /// More application protocols than anybody speaks: each would be stored, and offered to the origin.
    #[error("the hello lists more than {ALPN_PROTOCOLS_MAX} application protocols")]
    TooManyProtocols,
}

impl ClientHello {
    /// Whether TLS 1.3 is offered.
    #[must_use]
    pub fn offers_tls13(&self) -> bool {
        self.supported_versions.contains(&TlsVersion::Tls13.wire())
    }

    /// Whether TLS 1.2 is offered: in `supported_versions` where that is there, else by `legacy_version`.
    #[must_use]
    pub fn offers_tls12(&self) -> bool {
        let tls12 = TlsVersion::Tls12.wire();
        if self.supported_versions.is_empty() {
            self.legacy_version >= tls12
        } else {
            self.supported_versions.contains(&tls12)
        }
    }

    /// Whether the client offers a post-quantum key exchange that this crate speaks.
    #[must_use]
    pub fn offers_post_quantum(&self) -> bool {
        self.groups.contains(&X25519MLKEM768)
    }

    /// Reads the body of a ClientHello message.
    pub(crate) fn parse(body: &[u8], wire_bytes: usize) -> Result<Self, HelloError> {
        let mut hello = Self {
            bytes: wire_bytes,
            ..Self::default()
        };
        let mut input = Input {
            rest: body,
            field: "fixed part",
        };
        hello.legacy_version = input.u16()?;
        input.take(32)?;
        let session_id = input.vector8()?;
        hello.session_id_bytes = session_id.rest.len();
        if hello.session_id_bytes > 32 {
            return Err(HelloError::Field {
                field: "session id",
            });
        }
        hello.cipher_suites = input.named("cipher suites").u16_list(Width::Two)?;
        let compressions = input.named("compression methods").vector8()?;
        if !compressions.rest.contains(&0) {
            return Err(HelloError::Field {
                field: "compression methods",
            });
        }
        if !input.rest.is_empty() {
            let extensions = input.named("extensions").vector16()?;
            input.end()?;
            hello.extensions(extensions)?;
        }
        Ok(hello)
    }

    fn extensions(&mut self, mut list: Input<'_>) -> Result<(), HelloError> {
        let mut seen = Seen::default();
        while !list.rest.is_empty() {
            let extension = list.u16()?;
            let body = list.vector16()?;
            if !seen.first(extension) {
                return Err(HelloError::DuplicateExtension { extension });
            }
            if self.pre_shared_key {
                return Err(HelloError::PreSharedKeyNotLast);
            }
            self.extension(extension, body)?;
        }
        Ok(())
    }

    fn extension(&mut self, extension: u16, mut body: Input<'_>) -> Result<(), HelloError> {
        match extension {
            0 => {
                self.sni = server_name(body.named("server_name"))?;
                return Ok(());
            }
            10 => self.groups = body.named("supported_groups").u16_list(Width::Two)?,
            13 => {
                self.signature_algorithms =
                    body.named("signature_algorithms").u16_list(Width::Two)?;
            }
            16 => {
                let mut list = body.named("alpn").vector16()?;
                while !list.rest.is_empty() {
                    let protocol = list.vector8()?;
                    if protocol.rest.is_empty() {
                        return Err(HelloError::Field { field: "alpn" });
                    }
                    if self.alpn.len() >= ALPN_PROTOCOLS_MAX {
                        return Err(HelloError::TooManyProtocols);
                    }
                    self.alpn.push(protocol.rest.to_vec());
                }
                if self.alpn.is_empty() {
                    return Err(HelloError::Field { field: "alpn" });
                }
            }
            35 => {
                self.session_ticket = !body.rest.is_empty();
                return Ok(());
            }
            41 => {
                self.pre_shared_key = true;
                return Ok(());
            }
            42 => self.early_data = true,
            43 => {
                self.supported_versions = body.named("supported_versions").u16_list(Width::One)?;
            }
            51 => {
                let mut list = body.named("key_share").vector16()?;
                while !list.rest.is_empty() {
                    self.key_shares.push(list.u16()?);
                    if list.vector16()?.rest.is_empty() {
                        return Err(HelloError::Field { field: "key_share" });
                    }
                }
            }
            0xfe0d => {
                self.ech = true;
                return Ok(());
            }
            _ => return Ok(()),
        }
        body.end()
    }
}

/// RFC 6066 section 3. A name type other than host_name has an unknown encoding, so the list is left there.
fn server_name(body: &mut Input<'_>) -> Result<Option<String>, HelloError> {
    let mut list = body.vector16()?;
    body.end()?;
    if list.rest.is_empty() {
        return Err(HelloError::ServerName);
    }
    let mut name = None;
    let mut seen = false;
    while !list.rest.is_empty() && list.u8()? == 0 {
        let host = list.vector16()?;
        if seen {
            return Err(HelloError::Field {
                field: "server_name",
            });
        }
        seen = true;
        name = host_name(host.rest)?;
    }
    Ok(name)
}

fn host_name(bytes: &[u8]) -> Result<Option<String>, HelloError> {
    let text = core::str::from_utf8(bytes).map_err(|_| HelloError::ServerName)?;
    if text.parse::<core::net::IpAddr>().is_ok() {
        return Ok(None);
    }
    // RFC 6066 section 3: without a trailing dot.
    if text.ends_with('.') {
        return Err(HelloError::ServerName);
    }
    let name = DnsName::try_from(text).map_err(|_| HelloError::ServerName)?;
    Ok(Some(name.as_ref().to_ascii_lowercase()))
}

/// Extension numbers seen so far, compared without a quadratic cost: one bit each.
struct Seen(Box<[u64; 1024]>);

impl Default for Seen {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl Seen {
    fn first(&mut self, extension: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(extension >> 6)) else {
            return false;
        };
        let bit = 1u64 << (extension & 63);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// Bytes of a length prefix.
#[derive(Clone, Copy)]
enum Width {
    One,
    Two,
}

/// What is left to read of one field, and its name for errors.
#[derive(Clone, Copy)]
struct Input<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Input<'a> {
    fn named(&mut self, field: &'static str) -> &mut Self {
        self.field = field;
        self
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(HelloError::Field { field: self.field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, HelloError> {
        let field = self.field;
        self.take(1)?
            .first()
            .copied()
            .ok_or(HelloError::Field { field })
    }

    fn u16(&mut self) -> Result<u16, HelloError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn vector8(&mut self) -> Result<Self, HelloError> {
        let length = self.u8()?;
        Ok(Self {
            rest: self.take(usize::from(length))?,
            field: self.field,
        })
    }

    fn vector16(&mut self) -> Result<Self, HelloError> {
        let length = self.u16()?;
        Ok(Self {
            rest: self.take(usize::from(length))?,
            field: self.field,
        })
    }

    /// A list of 16-bit values, at least one.
    fn u16_list(&mut self, width: Width) -> Result<Vec<u16>, HelloError> {
        let mut list = match width {
            Width::One => self.vector8()?,
            Width::Two => self.vector16()?,
        };
        let mut values = Vec::with_capacity(list.rest.len() / 2);
        while !list.rest.is_empty() {
            values.push(list.u16()?);
        }
        if values.is_empty() {
            Err(HelloError::Field { field: self.field })
        } else {
            Ok(values)
        }
    }

    fn end(&self) -> Result<(), HelloError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(HelloError::Field { field: self.field })
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
