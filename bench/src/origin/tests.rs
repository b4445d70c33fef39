//! An origin on a loopback port for the tests of both ends.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// A running origin and the files of its authority.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) anchor: PathBuf,
    _directory: TempDir,
}

/// Starts an origin for `origin.test`, or one that issues for every name.
pub(crate) fn start(issue: bool, tickets: usize) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["origin.test".to_owned()])
        .unwrap()
        .signed_by(&leaf_key, &Issuer::from_params(&root, &root_key))
        .unwrap();
    let anchor = file("root.pem", root_certificate.pem());
    let (cert, key) = if issue {
        (anchor.clone(), file("root.key", root_key.serialize_pem()))
    } else {
        (
            file("leaf.pem", leaf.pem()),
            file("leaf.key", leaf_key.serialize_pem()),
        )
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = Options {
        listen,
        cert,
        key,
        issue,
        versions: Versions::Both,
        tickets,
    };
    let config = settings(&options).unwrap();
    let listener = TcpListener::bind(options.listen).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || accept(&listener, &config));
    Running {
        address,
        anchor,
        _directory: directory,
    }
}
