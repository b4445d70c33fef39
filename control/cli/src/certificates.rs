//! certificate self-signed, import, list, show, export.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use serde_json::json;
use sluice_api::limits::FILE_BYTES_MAX;
use sluice_api::{
    Blob, CertificateDetails, CertificateExport, CertificateImport, CertificateSummary,
    ExportFormat, Reply, Request, Secret, SelfSigned, Subject,
};

use crate::Ask;
use crate::args;
use crate::limits::PASSPHRASE_BYTES_MAX;
use crate::outcome::{Failure, Outcome};
use crate::table::{Table, date, pairs, time};

pub(crate) fn run(command: args::Certificate, json: bool, ask: &Ask) -> Result<Outcome, Failure> {
    match command {
        args::Certificate::SelfSigned(args) => self_signed(*args, ask),
        args::Certificate::Import(args) => import(args, ask),
        args::Certificate::List => list(&Request::CertificateList, ask),
        args::Certificate::Show { name } => one(&Request::CertificateShow { name }, ask),
        args::Certificate::Export(args) => export(args, json, ask),
    }
}

fn self_signed(args: args::SelfSigned, ask: &Ask) -> Result<Outcome, Failure> {
    let subject = Subject {
        common_name: args.common_name,
        email: args.email,
        organizational_unit: args.organizational_unit,
        organization: args.organization,
        locality: args.locality,
        state: args.state,
        country: args.country,
    };
    let request = SelfSigned {
        name: args.name,
        subject,
        dns_names: args.dns_names,
        mail_addresses: args.mail_addresses,
        key: args.key.into(),
        valid_days: args.days,
    };
    one(&Request::CertificateSelfSigned(request), ask)
}

fn import(args: args::Import, ask: &Ask) -> Result<Outcome, Failure> {
    let request = CertificateImport {
        name: args.name,
        certificate: Blob(file(&args.file)?),
        key: args.key.as_deref().map(file).transpose()?.map(Blob),
        passphrase: args
            .passphrase_file
            .as_deref()
            .map(passphrase)
            .transpose()?,
        replace: args.replace,
    };
    list(&Request::CertificateImport(request), ask)
}

fn list(request: &Request, ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Certificates(certificates) = ask.call(request)? else {
        return Err(Failure::unexpected());
    };
    Ok(Outcome::new(
        table(&certificates),
        json!({ "certificates": certificates }),
    ))
}

fn table(certificates: &[CertificateSummary]) -> String {
    let mut table = Table::new(&["NAME", "KIND", "KEY", "STATE", "EXPIRES", "SUBJECT"]);
    for certificate in certificates {
        let kind = if certificate.is_ca { "ca" } else { "server" };
        let key = if certificate.has_key {
            certificate.key.clone()
        } else {
            format!("{} (public only)", certificate.key)
        };
        table.row(vec![
            certificate.name.clone(),
            kind.to_owned(),
            key,
            certificate.state.name().to_owned(),
            date(certificate.not_after_unix_s),
            certificate.subject.clone(),
        ]);
    }
    if table.is_empty() {
        "there are no certificates\n".to_owned()
    } else {
        table.render()
    }
}

fn one(request: &Request, ask: &Ask) -> Result<Outcome, Failure> {
    let Reply::Certificate(certificate) = ask.call(request)? else {
        return Err(Failure::unexpected());
    };
    Outcome::of(details(&certificate), &*certificate)
}

fn details(certificate: &CertificateDetails) -> String {
    let summary = &certificate.summary;
    let joined = |list: &[String]| {
        if list.is_empty() {
            "-".to_owned()
        } else {
            list.join(", ")
        }
    };
    let key = if summary.has_key {
        "private key stored, encrypted"
    } else {
        "no private key"
    };
    pairs(&[
        ("name", summary.name.clone()),
        ("state", summary.state.name().to_owned()),
        ("subject", summary.subject.clone()),
        ("issuer", summary.issuer.clone()),
        ("ca", if summary.is_ca { "yes" } else { "no" }.to_owned()),
        ("key", format!("{}, {key}", summary.key)),
        ("valid from", time(summary.not_before_unix_s)),
        ("valid until", time(summary.not_after_unix_s)),
        ("serial", certificate.serial.clone()),
        ("signature", certificate.signature_algorithm.clone()),
        ("alternative names", joined(&certificate.alternative_names)),
        ("key usage", joined(&certificate.key_usage)),
        (
            "extended key usage",
            joined(&certificate.extended_key_usage),
        ),
        ("chain", joined(&certificate.chain)),
        ("used by", joined(&certificate.uses)),
        ("stored", time(certificate.stored_unix_s)),
        ("sha256", summary.sha256.clone()),
    ])
}

fn export(args: args::Export, json: bool, ask: &Ask) -> Result<Outcome, Failure> {
    let format = ExportFormat::from(args.format);
    if format == ExportFormat::Der && args.chain {
        return Err(Failure::local(
            "DER holds one certificate; write the chain as PEM",
        ));
    }
    if format == ExportFormat::Der && args.output.is_none() && !json && io::stdout().is_terminal() {
        return Err(Failure::local(
            "DER is not for a terminal; name a file with --output, or write PEM",
        ));
    }
    let request = CertificateExport {
        name: args.name,
        format,
        anchor: args.anchor,
        chain: args.chain,
    };
    let Reply::Exported(exported) = ask.call(&Request::CertificateExport(request))? else {
        return Err(Failure::unexpected());
    };
    match args.output {
        None => {
            let mut outcome = Outcome::of(String::new(), &exported)?;
            outcome.output = exported.content.0;
            Ok(outcome)
        }
        Some(path) => {
            fs::write(&path, &exported.content.0).map_err(|error| {
                Failure::local(format!("{} cannot be written: {error}", path.display()))
            })?;
            let text = format!("{} written to {}\n", exported.name, path.display());
            Ok(Outcome::new(
                text,
                json!({ "name": exported.name, "format": exported.format, "output": path }),
            ))
        }
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: io::Error| Failure::local(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    let most = FILE_BYTES_MAX as u64;
    fs::File::open(path)
        .map_err(failed)?
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Failure::local(format!(
            "{} has more than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// The first line of the file, or of standard input for `-`.
fn passphrase(path: &Path) -> Result<Secret, Failure> {
    let failed =
        |error: io::Error| Failure::local(format!("{} cannot be read: {error}", path.display()));
    let mut line = String::new();
    if path.as_os_str() == "-" {
        io::stdin()
            .lock()
            .take(PASSPHRASE_BYTES_MAX)
            .read_line(&mut line)
            .map_err(failed)?;
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        io::BufReader::new(file.take(PASSPHRASE_BYTES_MAX))
            .read_line(&mut line)
            .map_err(failed)?;
    }
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    if line.is_empty() {
        return Err(Failure::local(format!(
            "{} has no passphrase in its first line",
            path.display()
        )));
    }
    Ok(Secret::new(line))
}
