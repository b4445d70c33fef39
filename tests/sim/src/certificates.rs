//! Certificates of a site: authorities, and what they sign.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// In the middle of every certificate's validity that is not made otherwise, seconds since the Unix epoch: 2026-01-01.
pub const START_UNIX_S: u64 = 1_767_225_600;

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// What its owner sends, its own certificate first, DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, PKCS #8.
    pub pkcs8: Vec<u8>,
}

/// An authority with a key of its own.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Its own certificate.
    pub issued: Issued,
}

impl Issued {
    fn new(der: &CertificateDer<'static>, key: &KeyPair) -> Self {
        Self {
            chain: vec![der.clone()],
            pkcs8: key.serialize_der(),
        }
    }

    /// The private key as TLS libraries want it.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.clone()))
    }

    /// A certificate that signs itself and no other.
    ///
    /// # Errors
    /// The name is none, or there is no key.
    pub fn by_itself(name: &str) -> Result<Self, rcgen::Error> {
        let params = params(&[name], (2025, 2030))?;
        let key = KeyPair::generate()?;
        Ok(Self::new(params.self_signed(&key)?.der(), &key))
    }
}

impl Authority {
    /// With this key, or a new one on P-256.
    ///
    /// # Errors
    /// The name is none, or the key cannot sign.
    pub fn new(name: &str, key: Option<KeyPair>) -> Result<Self, rcgen::Error> {
        Self::made(name, key, None)
    }

    /// May sign for names below `subtree` alone.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn constrained(name: &str, subtree: &str) -> Result<Self, rcgen::Error> {
        let constraints = NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(subtree.to_owned())],
            excluded_subtrees: Vec::new(),
        };
        Self::made(name, None, Some(constraints))
    }

    fn made(
        name: &str,
        key: Option<KeyPair>,
        constraints: Option<NameConstraints>,
    ) -> Result<Self, rcgen::Error> {
        let mut params = params(&[], (2020, 2040))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.name_constraints = constraints;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = key.map_or_else(KeyPair::generate, Ok)?;
        let issued = Issued::new(params.self_signed(&key)?.der(), &key);
        Ok(Self {
            params,
            key,
            issued,
        })
    }

    /// A server's certificate for these names, the first of them its common name.
    ///
    /// # Errors
    /// A name is none, or there is no key.
    pub fn leaf(&self, names: &[&str]) -> Result<Issued, rcgen::Error> {
        self.leaf_for(names, (2025, 2030), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// The same, valid from the first day of one year to that of another, for this usage.
    ///
    /// # Errors
    /// As [`Self::leaf`].
    pub fn leaf_for(
        &self,
        names: &[&str],
        years: (i32, i32),
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Issued, rcgen::Error> {
        let mut params = params(names, years)?;
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Origin Ltd");
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let issuer = Issuer::from_params(&self.params, &self.key);
        Ok(Issued::new(params.signed_by(&key, &issuer)?.der(), &key))
    }
}

fn params(names: &[&str], (from, to): (i32, i32)) -> Result<CertificateParams, rcgen::Error> {
    let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(owned)?;
    if let Some(&first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, first);
    }
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    Ok(params)
}
