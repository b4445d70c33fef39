//! The certificates of the world.

use rcgen::ExtendedKeyUsagePurpose;
use sluice_sim::Authority;
pub use sluice_sim::Issued;

/// An authority, of which a test asks nothing that it cannot do.
pub struct Ca {
    authority: Authority,
    pub issued: Issued,
}

impl From<Authority> for Ca {
    fn from(authority: Authority) -> Self {
        let issued = authority.issued.clone();
        Self { authority, issued }
    }
}

impl Ca {
    pub fn new(name: &str) -> Self {
        Authority::new(name, None).unwrap().into()
    }

    /// A CA that may sign for `subtree` alone.
    pub fn constrained(name: &str, subtree: &str) -> Self {
        Authority::constrained(name, subtree).unwrap().into()
    }

    pub fn leaf(&self, names: &[&str]) -> Issued {
        self.authority.leaf(names).unwrap()
    }

    /// A certificate that is for clients alone.
    pub fn client_leaf(&self, name: &str) -> Issued {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let issued = self.authority.leaf_for(&[name], (2025, 2030), usage);
        issued.unwrap()
    }

    pub fn leaf_between(&self, names: &[&str], years: (i32, i32)) -> Issued {
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.authority.leaf_for(names, years, usage).unwrap()
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
