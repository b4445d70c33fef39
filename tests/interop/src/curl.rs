//! curl as a client: what it was asked, what it saw.

use std::path::Path;
use std::time::Duration;

use crate::error::InteropError;
use crate::lab::Lab;
use crate::limits::COMMAND_SECONDS_MAX;

/// One request to come.
#[derive(Clone, Debug)]
pub struct Curl {
    url: String,
    arguments: Vec<String>,
    limit: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Response {
    /// curl's exit status: 0 done, 35 TLS failed, 56 reset, 60 the certificate does not verify.
    pub exit: i32,
    /// HTTP status, 0 when there was no response.
    pub status: u16,
    /// `1.1` or `2`; `0` when there was no response.
    pub http: String,
    /// The client's TCP port.
    pub local_port: u16,
    /// Common name of the leaf's issuer, empty when no certificate came.
    pub issuer: String,
    /// Common name of the leaf's subject.
    pub subject: String,
    /// The body, when it was text.
    pub body: String,
    /// From the first packet sent to the last received, as curl measured.
    pub took: Duration,
    /// Everything curl said.
    pub said: String,
}

impl Curl {
    /// A GET of the URL over HTTP/1.1 or 2 as the server likes.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            arguments: Vec::new(),
            limit: COMMAND_SECONDS_MAX,
        }
    }

    /// Adds arguments of curl's.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Another time limit.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends it from the client's namespace, trusting only this anchor.
    ///
    /// # Errors
    /// When curl cannot be run or does not end in time. A request that fails is a [`Response`].
    pub fn send(&self, lab: &Lab, anchor: &Path) -> Result<Response, InteropError> {
        let facts = "\n%{http_code} %{http_version} %{local_port} %{time_total}";
        let mut argv: Vec<String> = [
            "curl",
            "--silent",
            "--verbose",
            "--write-out",
            facts,
            "--max-time",
        ]
        .map(str::to_owned)
        .into();
        argv.extend([
            self.limit.as_secs().to_string(),
            "--cacert".to_owned(),
            anchor.display().to_string(),
        ]);
        argv.extend(self.arguments.iter().cloned());
        argv.push(self.url.clone());
        let outcome = lab.client_in(&argv, None, self.limit + Duration::from_secs(5))?;
        let unreadable = || InteropError::Output {
            program: "curl".to_owned(),
            said: format!(
                "status {}: {}{}",
                outcome.status, outcome.stdout, outcome.stderr
            ),
        };
        let (body, facts) = outcome.stdout.rsplit_once('\n').ok_or_else(unreadable)?;
        let mut words = facts.split(' ');
        let mut word = || words.next().ok_or_else(unreadable);
        Ok(Response {
            exit: outcome.status,
            status: word()?.parse().map_err(|_| unreadable())?,
            http: word()?.to_owned(),
            local_port: word()?.parse().map_err(|_| unreadable())?,
            issuer: common_name(&outcome.stderr, "issuer:"),
            subject: common_name(&outcome.stderr, "subject:"),
            body: body.to_owned(),
            took: word()?
                .parse()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or_else(unreadable)?,
            said: outcome.stderr,
        })
    }
}

/// The CN of curl's line `*  issuer: O=..; CN=..`.
fn common_name(said: &str, label: &str) -> String {
    said.lines()
        .find_map(|line| {
            line.strip_prefix('*')
                .map(str::trim)
                .and_then(|line| line.strip_prefix(label))
        })
        .and_then(|name| name.split("CN=").nth(1))
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}
