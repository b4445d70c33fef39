//! What is taken over from the origin's certificate.

use der::asn1::AnyRef;
use der::{Decode, Tag, Tagged};
use x509_parser::prelude::{
    FromDer, GeneralName, SubjectAlternativeName, X509Certificate, X509Name,
};

use crate::forge::ForgeError;
use crate::limits::ORIGIN_CERTIFICATE_BYTES_MAX;
use crate::validity::Validity;

/// id-ce-subjectAltName (RFC 5280 4.2.1.6) as it stands in a certificate.
const SUBJECT_ALT_NAME_OID: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];

/// An origin's certificate, read and bounded. The raw parts are byte for byte what the origin sent.
pub(crate) struct Origin<'a> {
    pub(crate) subject: X509Name<'a>,
    /// The subjectAltName extension's value, and the names in it.
    pub(crate) san: Option<San<'a>>,
    pub(crate) validity: Validity,
}

pub(crate) struct San<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) names: Vec<GeneralName<'a>>,
}

impl<'a> Origin<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, ForgeError> {
        if der.len() > ORIGIN_CERTIFICATE_BYTES_MAX {
            return Err(ForgeError::OriginTooLarge { bytes: der.len() });
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| ForgeError::OriginMalformed {
                what: "the certificate",
            })?;
        if !rest.is_empty() {
            return Err(ForgeError::OriginMalformed {
                what: "what follows the certificate",
            });
        }
        let subject = certificate.tbs_certificate.subject.clone();
        // The parser stops at the first odd RDN and then gives a cut slice as the raw name.
        if AnyRef::from_der(subject.as_raw()).map(|name| name.tag()) != Ok(Tag::Sequence) {
            return Err(ForgeError::OriginMalformed {
                what: "the subject",
            });
        }
        let mut san = None;
        for extension in certificate.extensions() {
            if extension.oid != x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME {
                continue;
            }
            if san.is_some() {
                return Err(ForgeError::OriginMalformed {
                    what: "subjectAltName, which occurs twice",
                });
            }
            san = Some(San::read(extension.value)?);
        }
        Ok(Self {
            validity: Validity::from_asn1(certificate.validity()),
            subject,
            san,
        })
    }

    pub(crate) fn subject_is_empty(&self) -> bool {
        self.subject.as_raw() == [0x30, 0x00]
    }
}

impl<'a> San<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, ForgeError> {
        let malformed = ForgeError::OriginMalformed {
            what: "subjectAltName",
        };
        match SubjectAlternativeName::from_der(raw) {
            Ok(([], san)) => Ok(Self {
                raw,
                names: san.general_names,
            }),
            _ => Err(malformed),
        }
    }
}

/// Whether a certificate names itself, found without parsing it: the identifier of subjectAltName occurs in it.
///
/// This one test decides both whether [`crate::forge`] writes the requested server name into the leaf and whether the cache
/// keys the leaf by that name, so that a leaf made for one name is never served for another. A certificate that carries the
/// bytes somewhere else gets a leaf without names, which no client accepts.
pub(crate) fn names_itself(der: &[u8]) -> bool {
    der.windows(SUBJECT_ALT_NAME_OID.len())
        .any(|window| window == SUBJECT_ALT_NAME_OID)
}
