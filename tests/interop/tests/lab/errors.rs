//! Mistakes of the person at the terminal: one clear line, nothing half-applied, the last good generation stays.

use std::path::Path;
use std::time::Duration;

use sluice_interop::{Curl, Lab, Outcome, Running, until};

/// A copy of the lab's documents with one text replaced.
fn altered(lab: &Lab, file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("profiles")).unwrap();
    for name in [
        "appliance.toml",
        "profiles/lab.toml",
        "profiles/lenient.toml",
    ] {
        std::fs::copy(lab.facts.config_dir.join(name), directory.path().join(name)).unwrap();
    }
    let path = directory.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    directory
}

fn apply(lab: &Lab, directory: &Path) -> Outcome {
    lab.sluice(&["apply", &directory.display().to_string()])
        .unwrap()
}

fn status(lab: &Lab) -> serde_json::Value {
    lab.sluice_json(&["status"]).unwrap()
}

/// The documents are refused, naming what is wrong; the generation and the traffic stay as they were.
fn assert_refused(lab: &Lab, directory: &Path, named: &[&str]) {
    let before = status(lab).pointer("/distribution/generation").cloned();
    let outcome = apply(lab, directory);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    for word in named {
        assert!(
            outcome.stderr.contains(word),
            "{word:?} is not named: {outcome:?}"
        );
    }
    assert_eq!(
        status(lab).pointer("/distribution/generation").cloned(),
        before
    );
    let response = Curl::get("https://good.lab.test/")
        .with(&["-4"])
        .send(lab, &lab.facts.trust_anchor)
        .unwrap();
    assert_eq!(
        (response.exit, response.issuer.as_str()),
        (0, lab.inspected_issuer()),
        "{response:?}"
    );
}

#[test]
fn f139_an_unknown_key_is_refused_with_file_line_and_key() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let directory = altered(
        &lab,
        "profiles/lab.toml",
        "minimum_key_bits",
        "minimum_key_bitz",
    );
    let text = std::fs::read_to_string(directory.path().join("profiles/lab.toml")).unwrap();
    let line = text
        .lines()
        .position(|line| line.contains("minimum_key_bitz"))
        .unwrap()
        + 1;
    assert_refused(
        &lab,
        directory.path(),
        &["profiles/lab.toml", &line.to_string(), "minimum_key_bitz"],
    );
}

#[test]
fn f139_a_document_that_is_not_toml_is_refused() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let directory = altered(&lab, "appliance.toml", "[appliance]", "[appliance");
    assert_refused(&lab, directory.path(), &["appliance.toml"]);
}

#[test]
fn f139_a_reference_to_nothing_is_refused() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let directory = altered(&lab, "profiles/lab.toml", "\"sluice-ca\"", "\"no-such-ca\"");
    assert_refused(&lab, directory.path(), &["no-such-ca"]);
}

#[test]
fn f43_a_signing_certificate_without_its_key_is_refused() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let directory = altered(&lab, "profiles/lab.toml", "\"sluice-ca\"", "\"lab-root\"");
    assert_refused(&lab, directory.path(), &["lab-root"]);
}

/// Both processes beside the lab's, with nothing of theirs in common.
struct Beside<'lab> {
    lab: &'lab Lab,
    directory: tempfile::TempDir,
    control: Running,
}

impl<'lab> Beside<'lab> {
    fn new(lab: &'lab Lab) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let control = Self::start_control(lab, directory.path());
        let socket = directory.path().join("run/control.sock");
        assert!(
            until(Duration::from_secs(10), || socket.exists()),
            "sluiced makes no control socket"
        );
        let beside = Self {
            lab,
            directory,
            control,
        };
        for (name, common_name) in [
            ("sluice-ca", "Beside CA"),
            ("sluice-untrusted-ca", "Beside Untrusted CA"),
        ] {
            beside.sluice(&[
                "certificate",
                "self-signed",
                name,
                "--common-name",
                common_name,
            ]);
        }
        let pki = |name: &str| lab.facts.pki_dir.join(name).display().to_string();
        beside.sluice(&["certificate", "import", "lab-root", &pki("lab-root.pem")]);
        for site in ["site-a", "site-b"] {
            let (chain, key) = (pki(&format!("{site}.pem")), pki(&format!("{site}.key")));
            beside.sluice(&["certificate", "import", site, &chain, "--key", &key]);
        }
        beside
    }

    fn start_control(lab: &Lab, directory: &Path) -> Running {
        let path = |name: &str| directory.join(name).display().to_string();
        let program = lab.facts.bin_dir.join("sluiced").display().to_string();
        let argv = [
            program,
            "--state-dir".to_owned(),
            path("state"),
            "--run-dir".to_owned(),
            path("run"),
            "--event-log".to_owned(),
            path("events.json"),
        ];
        lab.start("appliance", &argv).unwrap()
    }

    fn sluice(&self, words: &[&str]) -> Outcome {
        let socket = self
            .directory
            .path()
            .join("run/control.sock")
            .display()
            .to_string();
        let mut argv = vec![
            self.lab.facts.bin_dir.join("sluice").display().to_string(),
            "--socket".to_owned(),
            socket,
        ];
        argv.extend(words.iter().map(|&word| word.to_owned()));
        Running::start(&argv, None)
            .unwrap()
            .wait(Duration::from_secs(40))
            .unwrap()
    }

    /// Starts a data plane, applies the documents, and returns everything that the person sees.
    fn boot(&self, documents: &Path) -> String {
        let program = self
            .lab
            .facts
            .bin_dir
            .join("sluice-dataplane")
            .display()
            .to_string();
        let link = self
            .directory
            .path()
            .join("run/dataplane.sock")
            .display()
            .to_string();
        let mut dataplane = self
            .lab
            .start("appliance", &[program, "--control".to_owned(), link])
            .unwrap();
        let applied = self.sluice(&["apply", &documents.display().to_string()]);
        until(Duration::from_secs(5), || !dataplane.runs());
        let status = self.sluice(&["status"]);
        let said = dataplane.stop("TERM").unwrap();
        format!(
            "{}{}{}{}{}{}",
            applied.stdout, applied.stderr, status.stdout, status.stderr, said.stdout, said.stderr
        )
    }
}

#[test]
fn a_missing_interface_is_named_in_one_line() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let directory = altered(&lab, "appliance.toml", ":sl-a\"", ":sl-nowhere\"");
    let mut beside = Beside::new(&lab);
    let said = beside.boot(directory.path());
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("sl-nowhere"))
        .collect();
    assert!(!lines.is_empty(), "{said}");
    assert!(beside.control.runs(), "sluiced goes on");
}

#[test]
fn a_second_sluiced_on_the_same_sockets_is_refused_in_one_line() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let beside = Beside::new(&lab);
    let second = Beside::start_control(&lab, beside.directory.path());
    let outcome = second.wait(Duration::from_secs(10)).unwrap();
    assert_ne!(outcome.status, 0);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(
        beside.sluice(&["status"]).status != 3,
        "the first still answers"
    );
}

#[test]
fn too_little_memory_is_told_in_one_line() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let directory = altered(
        &lab,
        "appliance.toml",
        "memory_mib = 256",
        "memory_mib = 64000000",
    );
    let beside = Beside::new(&lab);
    let said = beside.boot(directory.path());
    assert!(said.to_lowercase().contains("memory"), "{said}");
}

#[test]
fn no_connection_to_sluiced_is_exit_status_three() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let program = lab.facts.bin_dir.join("sluice").display().to_string();
    let argv = [&program, "--socket", "/nonexistent/control.sock", "status"].map(str::to_owned);
    let outcome = Running::start(&argv, None)
        .unwrap()
        .wait(Duration::from_secs(10))
        .unwrap();
    assert_eq!(outcome.status, 3, "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("/nonexistent/control.sock"),
        "{outcome:?}"
    );
}

#[test]
fn without_permission_the_dataplane_says_what_it_needs() {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    // The binaries may lie where nobody else may look: copy the one that is run.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("sluice-dataplane");
    std::fs::copy(lab.facts.bin_dir.join("sluice-dataplane"), &program).unwrap();
    let outer = directory.path().display().to_string();
    assert!(lab.client(&["chmod", "-R", "a+rx", &outer]).unwrap().ok());
    let link = lab
        .facts
        .run_dir
        .join("run/dataplane.sock")
        .display()
        .to_string();
    let argv = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let mut words: Vec<String> = argv.map(str::to_owned).into();
    words.extend([program.display().to_string(), "--control".to_owned(), link]);
    let mut running = lab.start("appliance", &words).unwrap();
    until(Duration::from_secs(10), || !running.runs());
    let outcome = running.stop("TERM").unwrap();
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("Permission denied"), "{outcome:?}");
    assert!(outcome.stderr.contains("dataplane.sock"), "{outcome:?}");
}
