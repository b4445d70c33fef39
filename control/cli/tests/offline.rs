//! The binary itself, where no sluiced is needed or none is there.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has to fail"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn sluice(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .env_remove("SLUICE_SOCKET")
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/examples")
}

/// The examples, with `from` replaced in appliance.toml.
fn directory(from: &str, to: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(examples().join("appliance.toml")).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(
        dir.path().join("appliance.toml"),
        text.replacen(from, to, 1),
    )
    .unwrap();
    fs::create_dir(dir.path().join("profiles")).unwrap();
    for name in ["default.toml", "inbound.toml"] {
        fs::copy(
            examples().join("profiles").join(name),
            dir.path().join("profiles").join(name),
        )
        .unwrap();
    }
    dir
}

fn path(dir: &TempDir) -> &str {
    dir.path().to_str().unwrap()
}

#[test]
fn check_of_the_examples_is_fine() {
    let examples = examples();
    let output = sluice(&["check", examples.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).ends_with(": valid (1 segment, 2 profiles)\n"),
        "{}",
        stdout(&output)
    );
    let output = sluice(&["--json", "check", examples.to_str().unwrap()]);
    assert_eq!(json(&output)["profiles"], 2);
}

#[test]
fn check_of_a_bad_directory_names_file_line_and_key() {
    let dir = directory("hugepages = \"auto\"", "hugepage = \"auto\"");
    let line = fs::read_to_string(dir.path().join("appliance.toml"))
        .unwrap()
        .lines()
        .position(|l| l.starts_with("hugepage"))
        .unwrap()
        + 1;
    let output = sluice(&["check", path(&dir)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    assert_eq!(
        stderr(&output),
        format!(
            "appliance.toml:{line}: unknown key `hugepage` in [dataplane]; did you mean `hugepages`?\n\
             sluice: the configuration has a problem; nothing was changed\n"
        )
    );

    let output = sluice(&["check", "--json", path(&dir)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "");
    let error = &json(&output)["error"];
    assert_eq!(error["code"], "invalid-documents");
    assert_eq!(error["problems"][0]["path"], "appliance.toml");
    assert_eq!(error["problems"][0]["line"], line);
    assert_eq!(error["problems"][0]["key"], "dataplane.hugepage");
}

#[test]
fn check_tells_a_document_that_stands_where_none_belongs() {
    let dir = directory("[limits]", "[limits]");
    fs::write(dir.path().join("lab.toml"), "name = \"lab\"\n").unwrap();
    fs::write(dir.path().join("profiles/.lab.toml.swp"), "").unwrap();
    fs::write(dir.path().join("README"), "").unwrap();
    let output = sluice(&["check", path(&dir)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("lab.toml: no document belongs here"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn check_of_what_cannot_be_read() {
    let output = sluice(&["check", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "sluice: /nonexistent is no directory; name the one that holds appliance.toml\n"
    );
    let empty = tempfile::tempdir().unwrap();
    let output = sluice(&["check", path(&empty)]);
    assert!(
        stderr(&output).contains("appliance.toml: there is no appliance.toml"),
        "{}",
        stderr(&output)
    );
    let binary = directory("[limits]", "[limits]");
    fs::write(binary.path().join("profiles/x.toml"), b"\xff\xfe").unwrap();
    let output = sluice(&["check", path(&binary)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("x.toml is not text in UTF-8"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["check"],
        &["show"],
        &["show", "cores", "--interval", "0"],
        &["explain", "host", "--client", "not-an-address"],
        &["explain", "host", "--port", "0"],
        &["apply", "dir", "--wait", "5", "--no-wait"],
        &["certificate", "self-signed", "x"],
        &[
            "certificate",
            "self-signed",
            "x",
            "--common-name",
            "y",
            "--country",
            "DEU",
        ],
        &["certificate", "export", "x", "--anchor", "--chain"],
        &["schema", "profiles"],
    ] {
        let output = sluice(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(
            stderr(&output).contains("--help"),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn without_sluiced_every_online_command_ends_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock").display().to_string();
    let examples = examples();
    let examples = examples.to_str().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        &["check", "--online", examples][..],
        &["diff", examples],
        &["apply", examples],
        &["rollback"],
        &["history"],
        &["status"],
        &["certificate", "self-signed", "x", "--common-name", "y"],
        &["certificate", "import", "x", file],
        &["certificate", "list"],
        &["certificate", "show", "x"],
        &["certificate", "export", "x"],
        &["show", "sessions"],
        &["show", "stats"],
        &["show", "log"],
        &["show", "drops"],
        &["show", "cores"],
        &["explain", "www.example"],
    ] {
        let output = sluice(&[&["--socket", &socket], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(3),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).starts_with(&format!(
                "sluice: sluiced is not running: nothing listens on {socket}"
            )),
            "{arguments:?}: {}",
            stderr(&output)
        );
        let output = sluice(&[&["--json", "--socket", &socket], arguments].concat());
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert_eq!(
            json(&output)["error"]["code"],
            "no-connection",
            "{arguments:?}"
        );
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn the_socket_comes_from_the_flag_then_the_environment() {
    let told = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .env("SLUICE_SOCKET", "/nowhere/env")
            .args(arguments)
            .output()
            .unwrap();
        stderr(&output)
    };
    assert!(told(&["status"]).contains("/nowhere/env"));
    assert!(told(&["status", "--socket", "/nowhere/flag"]).contains("/nowhere/flag"));
    let output = sluice(&["status", "--help"]);
    assert!(stdout(&output).contains("/run/sluice/control.sock"));
}

#[test]
fn apply_of_a_bad_directory_is_refused_before_anyone_is_asked() {
    let dir = directory("cores = [1]", "cores = []");
    let output = sluice(&["--socket", "/nowhere", "apply", path(&dir)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`cores` is empty"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn help_documents_the_exit_codes() {
    for flag in ["--help", "-h"] {
        let output = sluice(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        for line in [
            "0  done",
            "1  refused or failed",
            "2  wrong usage",
            "3  no connection to sluiced",
            "4  applied, but not",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
    assert!(stdout(&sluice(&["--version"])).starts_with("sluice "));
}

#[test]
fn schemas_and_completions_are_printed() {
    for kind in ["appliance", "profile"] {
        let published = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../configs/schema/published/{kind}.schema.json"));
        assert_eq!(
            stdout(&sluice(&["schema", kind])),
            fs::read_to_string(published).unwrap()
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = sluice(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("self-signed"), "{shell}");
    }
    assert!(
        json(&sluice(&["--json", "completions", "bash"]))["script"]
            .as_str()
            .unwrap()
            .contains("_sluice")
    );
}
