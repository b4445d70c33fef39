//! The authorities that origins are verified against.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;
use x509_parser::prelude::FromDer;

use crate::limits::TRUST_STORE_AUTHORITIES_MAX;
use crate::verdict::unix_s;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Trust anchors: Mozilla's, an operator's own, or both.
pub struct TrustStore {
    /// No other store of this process has it, now or later.
    id: u64,
    anchors: Vec<TrustAnchor<'static>>,
    /// Validity of the operator's own, in the order of their anchors, which come first: an anchor does not carry its dates.
    own: Vec<Validity>,
    /// The operator's own certificates themselves.
    listed: Vec<CertificateDer<'static>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) not_before_unix_s: u64,
    pub(crate) not_after_unix_s: u64,
}

/// A trust store cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustStoreError {
    /// Nothing in it.
    #[error(
        "the trust store is empty: every origin would be refused; add an authority or use the default authorities"
    )]
    Empty,
    /// Too many.
    #[error("the trust store has {count} authorities, more than {TRUST_STORE_AUTHORITIES_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// One cannot be read.
    #[error(
        "authority {index} (counted from 0) of the trust store cannot be used: {reason}; give a CA certificate"
    )]
    Authority {
        /// Its place in the list given.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl TrustStore {
    /// Mozilla's roots if `default_authorities`, and `extra` in DER.
    ///
    /// # Errors
    /// [`TrustStoreError`] names the certificate that cannot be used.
    pub fn new(
        default_authorities: bool,
        extra: &[CertificateDer<'_>],
    ) -> Result<Self, TrustStoreError> {
        if extra.len() > TRUST_STORE_AUTHORITIES_MAX {
            return Err(TrustStoreError::TooMany { count: extra.len() });
        }
        let mut anchors = Vec::with_capacity(extra.len() + webpki_roots::TLS_SERVER_ROOTS.len());
        let mut own = Vec::with_capacity(extra.len());
        for (index, der) in extra.iter().enumerate() {
            let refused = |reason: String| TrustStoreError::Authority { index, reason };
            let anchor = webpki::anchor_from_trusted_cert(der)
                .map_err(|error| refused(error.to_string()))?;
            let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(der)
                .map_err(|error| refused(error.to_string()))?;
            anchors.push(anchor.to_owned());
            own.push(Validity {
                not_before_unix_s: unix_s(parsed.validity().not_before.timestamp()),
                not_after_unix_s: unix_s(parsed.validity().not_after.timestamp()),
            });
        }
        let listed = extra.iter().map(|der| der.clone().into_owned()).collect();
        if default_authorities {
            anchors.extend_from_slice(webpki_roots::TLS_SERVER_ROOTS);
        }
        if anchors.is_empty() {
            Err(TrustStoreError::Empty)
        } else {
            Ok(Self {
                id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                anchors,
                own,
                listed,
            })
        }
    }

    /// How many authorities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Never: an empty store is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn own_validities(&self) -> &[Validity] {
        &self.own
    }

    /// Whether this very certificate is one of the operator's own authorities.
    pub(crate) fn lists(&self, certificate: &CertificateDer<'_>) -> bool {
        self.listed.iter().any(|own| own == certificate)
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The dates of an operator's own authority; Mozilla's roots carry none and are trusted while they are in the list.
    pub(crate) fn validity(&self, anchor: &TrustAnchor<'_>) -> Option<Validity> {
        let index = self.anchors.iter().position(|own| own == anchor)?;
        self.own.get(index).copied()
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("authorities", &self.anchors.len())
            .finish_non_exhaustive()
    }
}
