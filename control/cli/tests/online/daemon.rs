//! A server that is not sluiced, and what its answers are made of.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;
use sluice_api::{
    Adoption, CoreAdoption, Dataplane, Distribution, Reply, Request, Response, serve,
};
use tempfile::TempDir;

/// A server that gives one answer to everything and tells what it was asked.
pub(crate) struct Daemon {
    pub(crate) dir: TempDir,
    pub(crate) asked: Receiver<Request>,
}

impl Daemon {
    pub(crate) fn answering(response: Response) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let (tell, asked) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = serve(stream.unwrap(), |request| {
                    let _ = tell.send(request);
                    response.clone()
                });
            }
        });
        Self { dir, asked }
    }

    pub(crate) fn ok(reply: Reply) -> Self {
        Self::answering(Response::Ok(reply))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .arg("--socket")
            .arg(self.dir.path().join("control.sock"))
            .args(arguments);
        command
    }

    pub(crate) fn sluice(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that has to succeed.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.sluice(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[&["--json"], arguments].concat())).unwrap()
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn examples() -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/examples");
    path.to_str().unwrap().to_owned()
}

pub(crate) fn distribution(state: Adoption) -> Distribution {
    Distribution {
        generation: Some(4),
        dataplane: Some(Dataplane {
            version: "0.1.0".to_owned(),
            pid: 77,
        }),
        cores: vec![
            CoreAdoption {
                core: 1,
                generation: Some(4),
                state: Adoption::Adopted,
            },
            CoreAdoption {
                core: 2,
                generation: Some(3),
                state,
            },
        ],
    }
}
