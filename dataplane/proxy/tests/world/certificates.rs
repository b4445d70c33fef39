//! The certificates of the world.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

#[derive(Clone)]
pub struct Issued {
    pub chain: Vec<CertificateDer<'static>>,
    pub pkcs8: Vec<u8>,
}

impl Issued {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.clone()))
    }

    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }
}

pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub issued: Issued,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        Self::made(name, None)
    }

    /// A CA that may sign for `subtree` alone.
    pub fn constrained(name: &str, subtree: &str) -> Self {
        let permitted_subtrees = vec![GeneralSubtree::DnsName(subtree.to_owned())];
        Self::made(
            name,
            Some(NameConstraints {
                permitted_subtrees,
                excluded_subtrees: Vec::new(),
            }),
        )
    }

    fn made(name: &str, constraints: Option<NameConstraints>) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.name_constraints = constraints;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let issued = Issued {
            chain: vec![certificate.der().clone()],
            pkcs8: key.serialize_der(),
        };
        Self {
            params,
            key,
            issued,
        }
    }

    pub fn leaf(&self, names: &[&str]) -> Issued {
        self.leaf_between(names, (2025, 2030))
    }

    /// A certificate that is for clients alone.
    pub fn client_leaf(&self, name: &str) -> Issued {
        self.leaf_for(&[name], (2025, 2030), ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub fn leaf_between(&self, names: &[&str], years: (i32, i32)) -> Issued {
        self.leaf_for(names, years, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn leaf_for(
        &self,
        names: &[&str],
        (from, to): (i32, i32),
        usage: ExtendedKeyUsagePurpose,
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, names[0].as_str());
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Origin Ltd");
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Issued {
            chain: vec![certificate.der().clone()],
            pkcs8: key.serialize_der(),
        }
    }
}

pub struct Pki {
    pub trusted: Ca,
    pub untrusted: Ca,
    pub origin_root: Ca,
    pub stranger: Ca,
    pub site_a: Issued,
    pub site_b: Issued,
}

impl Pki {
    pub fn new() -> Self {
        let origin_root = Ca::new("Origin Root");
        Self {
            trusted: Ca::new("Sluice Trusted CA"),
            untrusted: Ca::new("Sluice Untrusted CA"),
            site_a: origin_root.leaf(&["site-a.test"]),
            site_b: origin_root.leaf(&["site-b.test", "*.b.test"]),
            origin_root,
            stranger: Ca::new("Nobody's Root"),
        }
    }

    /// What stands in the appliance's certificate store.
    pub fn stored(&self) -> [(&'static str, &Issued); 5] {
        [
            ("trusted-ca", &self.trusted.issued),
            ("untrusted-ca", &self.untrusted.issued),
            ("origin-root", &self.origin_root.issued),
            ("site-a", &self.site_a),
            ("site-b", &self.site_b),
        ]
    }
}

pub fn self_signed(name: &str) -> Issued {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Issued {
        chain: vec![certificate.der().clone()],
        pkcs8: key.serialize_der(),
    }
}
