//! A configuration and a certificate store for this crate's tests.

use std::collections::BTreeMap;

use sluice_schema::{CertificateName, Configuration, Document, Generation};
use zeroize::Zeroizing;

use crate::{CertificateFacts, CertificateSource, Published, SourceError, prepare};

pub(crate) const NOW: u64 = 1_800_000_000;

const APPLIANCE: &str = r#"
[appliance]
name = "sluice-test"
profile = "lab"

[dataplane]
cores = [1, 2]
main_core = 0
memory_mib = 256

[[segment]]
name = "segment-1"
port_a = "af_packet:sl-a"
port_b = "af_packet:sl-b"
"#;

const PROFILE: &str = r#"
name = "lab"

[[client_proxy]]
name = "web"
signing_certificate = "sluice-ca"
untrusted_certificate = "sluice-untrusted-ca"
service = "https"
detection_ports = [443]

[[trust_store]]
name = "default"
default_authorities = true
authorities = ["lab-root"]

[[client_policy]]
name = "outbound"
enabled = true
client_proxy = "web"
trust_store = "default"

[[server_proxy]]
name = "dmz"
addresses = ["10.201.2.2/32"]
ports = [8443]
certificates = ["site-a"]

[[server_policy]]
name = "inbound"
enabled = true
server_proxy = "dmz"
"#;

pub(crate) fn configuration() -> Configuration {
    let document = |path: &str, text: &str| Document {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let documents = [
        document("appliance.toml", APPLIANCE),
        document("profiles/lab.toml", PROFILE),
    ];
    sluice_schema::load(&documents).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A store in memory; a key is the certificate's name.
pub(crate) struct Shelf(pub(crate) BTreeMap<&'static str, CertificateFacts>);

impl Shelf {
    pub(crate) fn full() -> Self {
        let facts = |authority, has_key| CertificateFacts {
            chain: vec![vec![0x30, 0x00]],
            not_before_unix_s: NOW - 1_000,
            not_after_unix_s: NOW + 365 * 86_400,
            authority,
            has_key,
        };
        Self(BTreeMap::from([
            ("sluice-ca", facts(true, true)),
            ("sluice-untrusted-ca", facts(true, true)),
            ("lab-root", facts(true, false)),
            ("site-a", facts(false, true)),
        ]))
    }

    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut CertificateFacts)) {
        change(self.0.get_mut(name).unwrap());
    }
}

impl CertificateSource for Shelf {
    fn certificate(&self, name: &CertificateName) -> Result<Option<CertificateFacts>, SourceError> {
        Ok(self.0.get(name.as_str()).cloned())
    }

    fn private_key(&self, name: &CertificateName) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let facts = self.0.get(name.as_str()).filter(|facts| facts.has_key);
        facts
            .map(|_| Zeroizing::new(name.as_str().as_bytes().to_vec()))
            .ok_or_else(|| "no key".into())
    }
}

pub(crate) fn published(generation: u64) -> Published {
    let prepared = prepare(
        Generation(generation),
        &configuration(),
        &Shelf::full(),
        NOW,
    )
    .unwrap();
    Published::seal(prepared).unwrap()
}
