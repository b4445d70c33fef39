//! Why a record cannot be opened or sealed.

use thiserror::Error;

/// A record cannot be opened or sealed. Errors of opening are final: the connection is to be closed, after the alert that
/// [`RecordError::alert`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The content type is unknown or does not belong there.
    #[error("a record of content type {content} does not belong here")]
    UnexpectedRecord {
        /// The content type.
        content: u8,
    },
    /// The version of a record is not 3.3.
    #[error("a record has version {major}.{minor} instead of 3.3")]
    Version {
        /// First byte.
        major: u8,
        /// Second byte.
        minor: u8,
    },
    /// Longer than the version allows.
    #[error("a record of {bytes} bytes is longer than TLS allows")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It does not authenticate under the connection's key.
    #[error("a record does not authenticate: it was changed, or belongs elsewhere in the stream")]
    NotAuthentic,
    /// A TLS 1.3 record without a content type inside.
    #[error("a record has nothing but padding")]
    NoContentType,
    /// A malformed alert, handshake header or key update.
    #[error("a message of the record layer is malformed")]
    Malformed,
    /// A handshake message that is not allowed after the handshake.
    #[error("a handshake message of type {message} is not allowed after the handshake")]
    UnexpectedMessage {
        /// Its type.
        message: u8,
    },
    /// Another content type inside a handshake message, or a message behind a key update.
    #[error("a handshake message is interrupted, or goes on past a change of keys")]
    Interleaved,
    /// Too many empty records, tickets, key updates or warnings in a row.
    #[error("too many records without data in a row")]
    TooManyWithoutData,
    /// The key sealed or opened all it may, and this version has no key update.
    #[error("the connection's keys are used up")]
    Exhausted,
    /// The output is too small: see [`Records::sealed_len`].
    #[error("the output is too small for the record")]
    OutputTooSmall,
    /// The secrets are of a kind this record layer does not know.
    #[error("the secrets taken from the handshake do not fit the record layer")]
    Secrets,
    /// The cipher refused to seal.
    #[error("the cipher refused to seal")]
    Sealing,
}

impl RecordError {
    /// The alert that tells the peer (RFC 8446 section 6.2), or `None` where the fault is not the peer's.
    #[must_use]
    pub fn alert(self) -> Option<u8> {
        match self {
            Self::UnexpectedRecord { .. }
            | Self::NoContentType
            | Self::UnexpectedMessage { .. }
            | Self::Interleaved
            | Self::TooManyWithoutData => Some(10),
            Self::NotAuthentic => Some(20),
            Self::TooLong { .. } => Some(22),
            Self::Malformed => Some(50),
            Self::Version { .. } => Some(70),
            Self::Exhausted | Self::OutputTooSmall | Self::Secrets | Self::Sealing => None,
        }
    }
}
