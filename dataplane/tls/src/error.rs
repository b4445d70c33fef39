//! Why a handshake failed, and at whose end.

use rustls::{AlertDescription, Error};
use thiserror::Error as ThisError;

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The peer broke the protocol, refused, or offers nothing in common.
    Peer,
    /// This appliance: its randomness, its keys, its parameters.
    Ours,
}

/// A handshake failed. An alert that tells the peer was already put into the output; the connection is to be closed after it.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{kind}")]
pub struct TlsError {
    /// What happened.
    pub kind: TlsErrorKind,
    /// Whose doing it is.
    pub blame: Blame,
}

/// What happened in a failed handshake.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum TlsErrorKind {
    /// The peer sent a fatal alert.
    #[error("the peer sent the alert {name} ({number})", name = alert_name(*.number), number = .number)]
    AlertReceived {
        /// Its description (RFC 8446 section 6).
        number: u8,
    },
    /// The peer sent close_notify in the middle of the handshake.
    #[error("the peer closed the connection in the middle of the handshake")]
    Closed,
    /// Both ends speak TLS and have no version, suite, group, scheme or protocol in common.
    #[error("nothing in common with the peer: {0}")]
    Incompatible(String),
    /// A message or record that cannot be read.
    #[error("the peer sent something that is not TLS or is malformed: {0}")]
    Malformed(String),
    /// A message that TLS does not allow there, or with a forbidden content.
    #[error("the peer broke the protocol: {0}")]
    Misbehaved(String),
    /// A record or Finished that does not authenticate.
    #[error("a record or Finished of the peer does not authenticate")]
    NotAuthentic,
    /// The signature over the handshake does not belong to the certificate, or its key cannot be used.
    #[error("the peer's signature over the handshake is not that of its certificate: {0}")]
    HandshakeSignature(String),
    /// The server name given is neither a DNS name nor an IP address.
    #[error("the server name {0:?} is no DNS name; give the name of a ClientHello read before")]
    ServerName(String),
    /// The thread's random generator gave nothing.
    #[error("no random bytes; see the log for what the generator said")]
    NoRandom,
    /// The handshake is not over, or was abandoned.
    #[error("the handshake is not complete: keep calling advance until it says done")]
    NotComplete,
    /// Something inside.
    #[error("the TLS engine failed: {0}; this is a defect, report it with the log")]
    Internal(String),
}

impl TlsError {
    pub(crate) fn peer(kind: TlsErrorKind) -> Self {
        Self {
            kind,
            blame: Blame::Peer,
        }
    }

    pub(crate) fn ours(kind: TlsErrorKind) -> Self {
        Self {
            kind,
            blame: Blame::Ours,
        }
    }
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::AlertReceived(AlertDescription::CloseNotify) => Self::peer(TlsErrorKind::Closed),
            Error::AlertReceived(alert) => Self::peer(TlsErrorKind::AlertReceived {
                number: alert.into(),
            }),
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
                Self::peer(TlsErrorKind::Incompatible(text))
            }
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => {
                Self::peer(TlsErrorKind::Malformed(text))
            }
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::NoCertificatesPresented => Self::peer(TlsErrorKind::Misbehaved(text)),
            Error::DecryptError => Self::peer(TlsErrorKind::NotAuthentic),
            Error::InvalidCertificate(_) => Self::peer(TlsErrorKind::HandshakeSignature(text)),
            // rustls's only word for a client that takes no signature our key can make.
            Error::General(ref general) if general == "incompatible signing key" => {
                Self::peer(TlsErrorKind::Incompatible(text))
            }
            Error::FailedToGetRandomBytes => Self::ours(TlsErrorKind::NoRandom),
            Error::HandshakeNotComplete => Self::ours(TlsErrorKind::NotComplete),
            _ => Self::ours(TlsErrorKind::Internal(text)),
        }
    }
}

/// The name of an alert in IANA's registry.
pub(crate) fn alert_name(number: u8) -> &'static str {
    match AlertDescription::from(number) {
        AlertDescription::CloseNotify => "close_notify",
        AlertDescription::UnexpectedMessage => "unexpected_message",
        AlertDescription::BadRecordMac => "bad_record_mac",
        AlertDescription::RecordOverflow => "record_overflow",
        AlertDescription::HandshakeFailure => "handshake_failure",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::IllegalParameter => "illegal_parameter",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::DecodeError => "decode_error",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::ProtocolVersion => "protocol_version",
        AlertDescription::InsufficientSecurity => "insufficient_security",
        AlertDescription::InternalError => "internal_error",
        AlertDescription::InappropriateFallback => "inappropriate_fallback",
        AlertDescription::UserCanceled => "user_canceled",
        AlertDescription::NoRenegotiation => "no_renegotiation",
        AlertDescription::MissingExtension => "missing_extension",
        AlertDescription::UnsupportedExtension => "unsupported_extension",
        AlertDescription::UnrecognisedName => "unrecognized_name",
        AlertDescription::BadCertificateStatusResponse => "bad_certificate_status_response",
        AlertDescription::UnknownPSKIdentity => "unknown_psk_identity",
        AlertDescription::CertificateRequired => "certificate_required",
        AlertDescription::NoApplicationProtocol => "no_application_protocol",
        _ => "unknown",
    }
}
