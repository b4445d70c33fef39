//! Putting certificates into the order of their chain, and checking that they are one.

use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::limits::CHAIN_CERTIFICATES_MAX;
use crate::summary::name_text;

/// Certificates do not form one chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainProblem {
    /// One cannot be read.
    #[error("a certificate in the file cannot be read as X.509; export it again in PEM or DER")]
    Malformed,
    /// An issuer's name fits, its signature does not.
    #[error(
        "`{subject}` names `{issuer}` as its issuer, but is not signed by the certificate of that name that was given, or in a way that cannot be checked (RSA, ECDSA P-256 and P-384 and Ed25519 can); give the right issuer"
    )]
    NotSigned {
        /// The certificate.
        subject: String,
        /// The issuer it names.
        issuer: String,
    },
    /// An issuer is no CA.
    #[error(
        "`{issuer}` has issued a certificate of the chain but is no CA (basicConstraints, keyCertSign); have the chain reissued"
    )]
    IssuerNotACa {
        /// The issuer.
        issuer: String,
    },
    /// A certificate is valid for longer than its issuer.
    #[error(
        "`{subject}` is valid until {not_after}, longer than its issuer `{issuer}`; have it reissued with a shorter validity"
    )]
    OutlivesIssuer {
        /// The certificate.
        subject: String,
        /// Its issuer.
        issuer: String,
        /// When it ends.
        not_after: String,
    },
    /// A certificate has nothing to do with the others.
    #[error(
        "`{subject}` does not belong to the chain; import it by itself, or remove it from the file"
    )]
    Unrelated {
        /// The certificate.
        subject: String,
    },
    /// More certificates than [`CHAIN_CERTIFICATES_MAX`].
    #[error(
        "the chain has more than {CHAIN_CERTIFICATES_MAX} certificates; give only the certificate and those above it"
    )]
    TooLong,
}

/// A certificate as bytes and as what they mean.
pub(crate) struct Parsed<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) certificate: X509Certificate<'a>,
}

impl<'a> Parsed<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, ChainProblem> {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(Self { der, certificate }),
            _ => Err(ChainProblem::Malformed),
        }
    }

    pub(crate) fn subject(&self) -> String {
        name_text(self.certificate.subject())
    }

    fn issuer(&self) -> String {
        name_text(self.certificate.issuer())
    }

    /// Its own issuer. Nobody trusts a root for its signature, so one of a kind that cannot be checked here is a root too.
    pub(crate) fn is_self_signed(&self) -> bool {
        let checked = self
            .certificate
            .verify_signature(Some(self.certificate.public_key()));
        self.names_as_issuer(self)
            && matches!(
                checked,
                Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
            )
    }

    pub(crate) fn is_issued_by(&self, issuer: &Parsed<'_>) -> bool {
        self.names_as_issuer(issuer) && self.is_signed_by(issuer)
    }

    /// RFC 5280 4.2.1.9 and 4.2.1.3.
    pub(crate) fn is_ca(&self) -> bool {
        let usage = self.certificate.key_usage().ok().flatten();
        self.certificate.is_ca() && usage.is_none_or(|usage| usage.value.key_cert_sign())
    }

    fn names_as_issuer(&self, issuer: &Parsed<'_>) -> bool {
        self.certificate.issuer().as_raw() == issuer.certificate.subject().as_raw()
    }

    fn is_signed_by(&self, issuer: &Parsed<'_>) -> bool {
        self.certificate
            .verify_signature(Some(issuer.certificate.public_key()))
            .is_ok()
    }
}

/// The chain from `first` upwards, out of all, in any order, as indices. It ends at a root or where the next issuer is missing.
pub(crate) fn order(first: usize, all: &[Parsed<'_>]) -> Result<Vec<usize>, ChainProblem> {
    let mut chain = vec![first];
    while let Some(last) = chain
        .last()
        .and_then(|&at| all.get(at))
        .filter(|last| !last.is_self_signed())
    {
        let mut named = all
            .iter()
            .enumerate()
            .filter(|(at, other)| !chain.contains(at) && last.names_as_issuer(other))
            .peekable();
        if named.peek().is_none() {
            break;
        }
        let Some((at, issuer)) = named.find(|(_, other)| last.is_signed_by(other)) else {
            return Err(ChainProblem::NotSigned {
                subject: last.subject(),
                issuer: last.issuer(),
            });
        };
        if !issuer.is_ca() {
            return Err(ChainProblem::IssuerNotACa {
                issuer: issuer.subject(),
            });
        }
        if chain.len() == CHAIN_CERTIFICATES_MAX {
            return Err(ChainProblem::TooLong);
        }
        chain.push(at);
    }
    Ok(chain)
}

/// Where a chain begins that has no key to tell: at the certificate that has issued none of the others.
pub(crate) fn first(all: &[Parsed<'_>]) -> Option<usize> {
    let issued_another = |issuer: usize| {
        all.iter().enumerate().any(|(at, other)| {
            at != issuer
                && all
                    .get(issuer)
                    .is_some_and(|issuer| other.names_as_issuer(issuer))
        })
    };
    (0..all.len()).find(|&at| !issued_another(at))
}

/// No certificate of the chain is valid beyond its issuer.
pub(crate) fn check_nesting(chain: &[&Parsed<'_>]) -> Result<(), ChainProblem> {
    for pair in chain.windows(2) {
        if let [subject, issuer] = pair {
            let (ends, issuer_ends) = (
                subject.certificate.validity().not_after,
                issuer.certificate.validity().not_after,
            );
            if ends.timestamp() > issuer_ends.timestamp() {
                return Err(ChainProblem::OutlivesIssuer {
                    subject: subject.subject(),
                    issuer: issuer.subject(),
                    not_after: crate::summary::date_text(ends.timestamp()),
                });
            }
        }
    }
    Ok(())
}
