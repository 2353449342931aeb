//! The outcome for each package, for people and for scripts.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use indicatif::{HumanBytes, MultiProgress};
use ingest::{Declaration, UploadKind};
use serde::Serialize;

/// The outcome for a file. In JSON a line of its own.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    file: String,
    /// Only for symbols.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<UploadKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    result: Result,
    /// The status of the feed's answer, if the feed refused the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why it failed, or the feed's warning about a successful push.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Result {
    Pushed,
    Skipped,
    Failed,
}

impl Outcome {
    /// The outcome for a file that has not been read yet.
    pub(super) fn of(file: &Path) -> Self {
        Self {
            file: file.display().to_string(),
            kind: None,
            id: None,
            version: None,
            size: None,
            result: Result::Failed,
            status: None,
            message: None,
            seconds: None,
        }
    }

    pub(super) fn name(&mut self, declaration: &Declaration) {
        self.kind = Some(declaration.kind).filter(|kind| *kind == UploadKind::Symbols);
        self.id = Some(declaration.id.to_string());
        self.version = Some(declaration.version.full());
        self.size = Some(declaration.stored.size);
    }

    pub(super) fn failed(self, message: String) -> Self {
        Self { result: Result::Failed, message: Some(message), ..self }
    }

    pub(super) fn refused(self, status: StatusCode, said: Option<String>) -> Self {
        let message = said.unwrap_or_else(|| format!("the feed answered {status}"));
        Self { status: Some(status.as_u16()), ..self.failed(message) }
    }

    pub(super) fn skipped(self) -> Self {
        Self { result: Result::Skipped, ..self }
    }

    pub(super) fn pushed(self, warning: Option<String>, took: Duration) -> Self {
        let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        Self { result: Result::Pushed, message: warning, seconds: Some(seconds), ..self }
    }

    pub(super) fn is_failure(&self) -> bool {
        self.result == Result::Failed
    }

    fn line(&self) -> String {
        let name = match (&self.id, &self.version) {
            (Some(id), Some(version)) if self.kind.is_some() => {
                format!("{id} {version}, symbols")
            }
            (Some(id), Some(version)) => format!("{id} {version}"),
            _ => self.file.clone(),
        };
        let message = self.message.as_deref().unwrap_or_default();
        match self.result {
            Result::Pushed => {
                let size = HumanBytes(self.size.unwrap_or_default());
                let seconds = self.seconds.unwrap_or_default();
                let warning = self.message.as_ref().map(|warning| format!("\nwarning: {warning}"));
                format!("{name}: pushed, {size} in {seconds:.1} s{}", warning.unwrap_or_default())
            }
            Result::Skipped => format!("{name}: skipped, the feed has this version"),
            Result::Failed => match self.status {
                Some(status) => format!("{name}: refused with {status}: {message}"),
                None => format!("{name}: {message}"),
            },
        }
    }
}

/// Prints outcomes as they come. JSON goes to the standard output; for people, failures go to
/// the standard error instead.
pub(super) struct Report {
    json: bool,
    bars: MultiProgress,
}

impl Report {
    pub(super) fn new(json: bool, bars: MultiProgress) -> Self {
        Self { json, bars }
    }

    pub(super) fn tell(&self, outcome: &Outcome) -> io::Result<()> {
        // The progress bars are hidden while a line is printed, so that they do not mix.
        self.bars.suspend(|| {
            if self.json {
                let line = serde_json::to_string(outcome).map_err(io::Error::other)?;
                writeln!(io::stdout(), "{line}")
            } else if outcome.is_failure() {
                writeln!(io::stderr(), "{}", outcome.line())
            } else {
                writeln!(io::stdout(), "{}", outcome.line())
            }
        })
    }
}
