//! Client and server over a real socket.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its sockets has to fail"
)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use sluice_api::limits::REQUEST_BYTES_MAX;
use sluice_api::{
    Adoption, ApiError, Applied, Apply, Blob, CallError, CertificateImport, Client, CoreAdoption,
    Dataplane, Distribution, ErrorCode, FrameError, Reply, Request, Response, Secret, serve,
};
use sluice_schema::{Document, Problem};
use tempfile::TempDir;

/// Serves one connection with `answer`.
fn server(
    answer: impl FnMut(Request) -> Response + Send + 'static,
) -> (TempDir, String, JoinHandle<Result<(), FrameError>>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock").display().to_string();
    let listener = UnixListener::bind(&path).unwrap();
    let thread = thread::spawn(move || serve(listener.accept().unwrap().0, answer));
    (dir, path, thread)
}

fn distribution(state: Adoption) -> Distribution {
    Distribution {
        generation: Some(4),
        dataplane: Some(Dataplane {
            version: "0.1.0".to_owned(),
            pid: 7,
        }),
        cores: vec![CoreAdoption {
            core: 1,
            generation: Some(4),
            state,
        }],
    }
}

#[test]
fn several_requests_on_one_connection() {
    let (_dir, path, thread) = server(|request| match request {
        Request::Apply(Apply { documents, .. }) => Response::Ok(Reply::Applied(Applied {
            generation: documents.len() as u64,
            changes: vec![],
            restart_needed: vec![],
            warnings: vec![documents[0].text.clone()],
            distribution: distribution(Adoption::Adopted),
        })),
        _ => Response::Error(ApiError::new(ErrorCode::NotFound, "there is no such thing")),
    });
    let mut client = Client::connect(&path).unwrap();
    let text = "name = \"é\"\n\u{0}".repeat(100_000);
    let apply = Request::Apply(Apply {
        documents: vec![Document {
            path: "appliance.toml".to_owned(),
            text: text.clone(),
        }],
        comment: None,
        wait_s: 0,
    });
    let Reply::Applied(applied) = client.call(&apply).unwrap() else {
        panic!("another reply")
    };
    assert_eq!(applied.warnings, [text]);
    assert!(applied.distribution.is_adopted());
    let CallError::Refused(error) = client.call(&Request::Status).unwrap_err() else {
        panic!("no refusal")
    };
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::NotFound, "there is no such thing")
    );
    assert!(client.call(&apply).is_ok());
    drop(client);
    assert!(thread.join().unwrap().is_ok());
}

#[test]
fn problems_cross_the_socket() {
    let (_dir, path, _thread) = server(|_| {
        Response::Error(ApiError::documents(vec![Problem {
            path: "appliance.toml".to_owned(),
            line: Some(12),
            key: "dataplane.hugepage".to_owned(),
            message: "unknown key `hugepage` in [dataplane]; did you mean `hugepages`?".to_owned(),
        }]))
    });
    let error = Client::connect(&path)
        .unwrap()
        .call(&Request::Check { documents: vec![] })
        .unwrap_err();
    let CallError::Refused(error) = error else {
        panic!("no refusal")
    };
    assert_eq!(error.code, ErrorCode::InvalidDocuments);
    assert_eq!(
        error.problems[0].to_string(),
        "appliance.toml:12: unknown key `hugepage` in [dataplane]; did you mean `hugepages`?"
    );
}

#[test]
fn nobody_listening_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let told = Client::connect(&path).err().unwrap().to_string();
    assert!(
        told.starts_with("sluiced is not running: nothing listens on"),
        "{told}"
    );
    drop(UnixListener::bind(&path).unwrap());
    assert!(
        matches!(Client::connect(&path), Err(CallError::NotRunning { .. })),
        "a socket that was left behind"
    );
}

#[test]
fn a_server_that_goes_away_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut client = Client::connect(&path).unwrap();
    assert!(matches!(
        client.call(&Request::Status),
        Err(CallError::NoReply { .. })
    ));
    drop(client);
    thread.join().unwrap();
}

/// What a server answers to raw lines.
fn raw(lines: &[u8]) -> (Vec<Value>, Result<(), FrameError>) {
    let (_dir, path, thread) =
        server(|_| Response::Error(ApiError::new(ErrorCode::Internal, "asked")));
    let mut stream = UnixStream::connect(path).unwrap();
    let mut reading = stream.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let _ = reading.read_to_string(&mut text);
        text
    });
    let _ = stream.write_all(lines);
    let _ = stream.shutdown(Shutdown::Write);
    let result = thread.join().unwrap();
    let text = reader.join().unwrap();
    (
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        result,
    )
}

#[test]
fn what_is_no_request_is_answered_and_the_connection_goes_on() {
    let lines = b"hello\n{\"version\":1,\"request\":\"status\"}\n{\"version\":2,\"request\":\"later\"}\n{\"version\":1,\"request\":{\"explode\":{}}}\n{}\n\xff\n";
    let (answers, result) = raw(lines);
    assert!(result.is_ok());
    let codes: Vec<&str> = answers
        .iter()
        .map(|answer| answer["error"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            "bad-request",
            "internal",
            "bad-request",
            "bad-request",
            "bad-request",
            "bad-request"
        ]
    );
    assert!(
        answers[2]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("version 2, this sluiced speaks 1")
    );
}

#[test]
fn unknown_fields_of_a_request_are_refused() {
    let (answers, _) =
        raw(b"{\"version\":1,\"request\":{\"sessions\":{\"limit\":5,\"limits\":6}}}\n");
    assert_eq!(answers[0]["error"]["code"], "bad-request");
    assert!(
        answers[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("limits")
    );
}

#[test]
fn a_request_past_the_limit_is_answered_and_the_connection_ends() {
    let (answers, result) = raw(&vec![b'x'; REQUEST_BYTES_MAX + 1]);
    assert!(matches!(result, Err(FrameError::TooLong { .. })));
    // The answer may be lost when the peer still sends: the connection is over either way.
    assert!(answers.is_empty() || answers[0]["error"]["code"] == "too-large");
}

#[test]
fn a_cut_request_ends_the_connection() {
    let (answers, result) = raw(b"{\"version\":1");
    assert!(answers.is_empty());
    assert!(matches!(result, Err(FrameError::Cut)));
}

#[test]
fn the_wire_reads_as_documented() {
    let text = |value: &dyn Fn() -> Value| value().to_string();
    assert_eq!(
        text(&|| serde_json::to_value(Request::Status).unwrap()),
        "\"status\""
    );
    assert_eq!(
        serde_json::to_value(Request::CertificateShow {
            name: "ca-1".to_owned()
        })
        .unwrap(),
        json!({"certificate-show": {"name": "ca-1"}})
    );
    assert_eq!(
        serde_json::to_value(Response::Error(ApiError::new(ErrorCode::NoDataplane, "m"))).unwrap(),
        json!({"error": {"code": "no-dataplane", "message": "m", "problems": []}})
    );
    assert_eq!(
        serde_json::to_value(Response::Ok(Reply::Distribution(distribution(
            Adoption::Refused {
                reason: "r".to_owned()
            }
        ))))
        .unwrap(),
        json!({"ok": {"distribution": {
            "generation": 4,
            "dataplane": {"version": "0.1.0", "pid": 7},
            "cores": [{"core": 1, "generation": 4, "state": {"refused": {"reason": "r"}}}],
        }}})
    );
}

#[test]
fn a_passphrase_is_not_printed() {
    let import = CertificateImport {
        name: "site-a".to_owned(),
        certificate: Blob(vec![1, 2, 3]),
        key: None,
        passphrase: Some(Secret::new("hunter2".to_owned())),
        replace: false,
    };
    let printed = format!("{import:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("3 bytes"));
    let wire = serde_json::to_string(&Request::CertificateImport(import.clone())).unwrap();
    assert_eq!(
        serde_json::from_str::<Request>(&wire).unwrap(),
        Request::CertificateImport(import)
    );
}

#[test]
fn nothing_is_adopted_without_a_data_plane_or_with_a_laggard() {
    assert!(distribution(Adoption::Adopted).is_adopted());
    assert!(!distribution(Adoption::Pending).is_adopted());
    assert!(
        !Distribution {
            dataplane: None,
            ..distribution(Adoption::Adopted)
        }
        .is_adopted()
    );
    assert!(
        !Distribution {
            cores: vec![],
            ..distribution(Adoption::Adopted)
        }
        .is_adopted()
    );
    assert!(
        !Distribution {
            generation: None,
            ..distribution(Adoption::Adopted)
        }
        .is_adopted()
    );
}
