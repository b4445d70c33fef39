//! The documents and certificates the tests apply.

use std::path::Path;

use sluice_api::{Apply, CallError, Client, KeyKind, Reply, Request, SelfSigned, Status, Subject};
use sluice_schema::Document;

use super::{Behaviour, Daemon, FakeDataplane, eventually};

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
detection_ports = [443]

[[trust_store]]
name = "default"

[[decryption_policy]]
name = "standard"
do_not_decrypt = ["*.bank.example"]

[[client_policy]]
name = "outbound"
client_proxy = "web"
decryption_policy = "standard"
trust_store = "default"
"#;

pub(crate) fn documents() -> Vec<Document> {
    documents_with("", "")
}

/// The documents with one replacement in them.
pub(crate) fn documents_with(from: &str, to: &str) -> Vec<Document> {
    [
        ("appliance.toml", APPLIANCE),
        ("profiles/lab.toml", PROFILE),
    ]
    .map(|(path, text)| Document {
        path: path.to_owned(),
        text: text.replacen(from, to, usize::from(!from.is_empty())),
    })
    .into()
}

pub(crate) fn apply(documents: Vec<Document>) -> Request {
    Request::Apply(Apply {
        documents,
        comment: Some("a test".to_owned()),
        wait_s: 10,
    })
}

impl Daemon {
    /// With a data plane connected to it, and the CAs that the documents name.
    pub(crate) fn connected(root: &Path, behaviour: Behaviour) -> (Self, FakeDataplane) {
        let daemon = Self::start(root);
        daemon.make_cas();
        let dataplane = FakeDataplane::start(&daemon.run_dir(), behaviour);
        daemon.wait_for_dataplane();
        (daemon, dataplane)
    }

    /// With a data plane that has adopted the documents.
    pub(crate) fn distributed(root: &Path) -> (Self, FakeDataplane) {
        let (daemon, dataplane) = Self::connected(root, Behaviour::Adopt);
        daemon.applied(documents());
        (daemon, dataplane)
    }

    pub(crate) fn call(&self, request: &Request) -> Result<Reply, CallError> {
        Client::connect(self.control_socket())?.call(request)
    }

    pub(crate) fn status(&self) -> Status {
        match self.call(&Request::Status).unwrap() {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Applies and takes the answer apart.
    pub(crate) fn applied(&self, documents: Vec<Document>) -> sluice_api::Applied {
        match self.call(&apply(documents)).unwrap() {
            Reply::Applied(applied) => applied,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn refusal(&self, request: &Request) -> sluice_api::ApiError {
        match self.call(request) {
            Err(CallError::Refused(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn make_ca(&self, name: &str) {
        let subject = Subject {
            common_name: format!("Test {name}"),
            ..Subject::default()
        };
        let wanted = SelfSigned {
            name: name.to_owned(),
            subject,
            dns_names: Vec::new(),
            mail_addresses: Vec::new(),
            key: KeyKind::EcdsaP256,
            valid_days: 365,
        };
        self.call(&Request::CertificateSelfSigned(wanted)).unwrap();
    }

    /// The two signing CAs that the documents name.
    pub(crate) fn make_cas(&self) {
        self.make_ca("sluice-ca");
        self.make_ca("sluice-untrusted-ca");
    }

    pub(crate) fn wait_for_dataplane(&self) {
        eventually("the data plane's connection", || {
            self.status().distribution.dataplane
        });
    }
}
