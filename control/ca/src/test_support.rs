//! An appliance's stores, and files as OpenSSL writes them.

use std::path::Path;
use std::process::Command;

use sluice_keystore::Keystore;
use sluice_schema::CertificateName;
use sluice_store::Store;
use tempfile::TempDir;

use crate::{Authority, KeyType, SelfSigned, Subject};

/// 2026-11-21T00:00:00Z.
pub(crate) const NOW: u64 = 1_795_219_200;

pub(crate) struct Appliance {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
    pub(crate) keystore: Keystore,
}

impl Appliance {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).unwrap();
        let keystore = Keystore::open(&directory.path().join("master.key")).unwrap();
        Self {
            directory,
            store,
            keystore,
        }
    }

    pub(crate) fn authority(&mut self) -> Authority<'_> {
        Authority::new(&mut self.store, &self.keystore)
    }

    pub(crate) fn restarted(self) -> Self {
        let Self {
            directory,
            store,
            keystore,
        } = self;
        drop((store, keystore));
        let store = Store::open(&directory.path().join("store.db")).unwrap();
        let keystore = Keystore::open(&directory.path().join("master.key")).unwrap();
        Self {
            directory,
            store,
            keystore,
        }
    }
}

pub(crate) fn name(text: &str) -> CertificateName {
    text.parse().unwrap()
}

pub(crate) fn self_signed(text: &str) -> SelfSigned {
    SelfSigned {
        name: name(text),
        subject: Subject::new("Sluice lab CA", Some("Sluice")),
        key_type: KeyType::P256,
        days: 365,
        exportable: false,
        now_unix_s: NOW,
    }
}

/// Files made by the OpenSSL of the system.
pub(crate) struct Files(TempDir);

impl Files {
    /// root.crt, ca.crt (an intermediate), site.crt, each with its .key, and `other.key` for none.
    pub(crate) fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(
            "ext.cnf",
            b"[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
              [site]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:site.example,IP:10.201.2.2\n\
              [client]\nextendedKeyUsage=clientAuth\n",
        );
        files.write("req.cnf", b"[req]\ndistinguished_name=dn\n[dn]\n");
        for key in ["root", "ca", "other"] {
            files.openssl(&format!("genrsa -out {key}.key 2048"));
        }
        files.openssl("ecparam -name prime256v1 -genkey -noout -out site.key");
        files.openssl("req -x509 -new -key root.key -subj /O=Corp/CN=Root -days 3650 -config req.cnf -out root.crt -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign");
        files.issue("ca", "root", "/O=Corp/CN=Inspection CA", 1000, "ca");
        files.issue("site", "ca", "/CN=site.example", 300, "site");
        files
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path().join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(file), bytes).unwrap();
    }

    /// All of the files, one after the other.
    pub(crate) fn joined(&self, files: &[&str]) -> Vec<u8> {
        files.iter().flat_map(|file| self.read(file)).collect()
    }

    /// Runs OpenSSL in the folder; blanks part the arguments, `~` stands for a blank inside one.
    pub(crate) fn openssl(&self, arguments: &str) -> String {
        let run = self.try_openssl(arguments);
        run.unwrap_or_else(|error| panic!("openssl {arguments}: {error}"))
    }

    pub(crate) fn try_openssl(&self, arguments: &str) -> Result<String, String> {
        let run = Command::new("openssl")
            .args(arguments.split(' ').map(|part| part.replace('~', " ")))
            .current_dir(self.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if run.status.success() {
            Ok(text(&run.stdout))
        } else {
            Err(text(&run.stderr))
        }
    }

    /// Issues `subject`.crt for `subject`.key by `issuer`.
    pub(crate) fn issue(&self, subject: &str, issuer: &str, dn: &str, days: u32, extensions: &str) {
        let dn = dn.replace(' ', "~");
        self.openssl(&format!(
            "req -new -key {subject}.key -subj {dn} -config req.cnf -out {subject}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {subject}.csr -CA {issuer}.crt -CAkey {issuer}.key -set_serial 7 -days {days} -extfile ext.cnf -extensions {extensions} -out {subject}.crt"
        ));
    }
}
