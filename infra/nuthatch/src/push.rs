//! `nuthatch push`: packages of any size, straight to the bucket.

mod report;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, StatusCode};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ingest::UploadKind;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use ulid::Ulid;

use crate::client::{ClientError, Feed, PackageFile, Source};
use crate::command::{PushOptions, Target};
use crate::identity::{self, IdentityError, Proof};
use crate::sources::{PushSource, Sources, SourcesError};
use report::{Outcome, Report};

/// A push cannot begin, or some packages were not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// nuget.config does not say where to push.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The feed cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The job gets no key.
    #[error(transparent)]
    Identity(Box<IdentityError>),
    /// A pattern is not valid.
    #[error("'{pattern}' is not a pattern of files: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// The fault.
        reason: String,
    },
    /// There is nothing to push.
    #[error("no file matches '{0}'; check the path, and quote patterns")]
    NoFile(String),
    /// There is no key.
    #[error(
        "no API key for {0}; set NUGET_API_KEY, or give the source a ClearTextPassword in nuget.config"
    )]
    NoKey(String),
    /// The key is not valid.
    #[error("the API key holds characters that no key has; check NUGET_API_KEY")]
    BadKey,
    /// The refusals have been printed already.
    #[error("{failed} of {all} packages were not pushed")]
    NotAll {
        /// How many were not.
        failed: usize,
        /// How many there are.
        all: usize,
    },
    /// The system fails.
    #[error("the system failed: {0}")]
    System(#[from] io::Error),
}

impl From<IdentityError> for PushError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(Box::new(error))
    }
}

/// Pushes packages, several at once.
///
/// # Errors
/// It cannot begin, or a package was not pushed.
pub async fn run(options: PushOptions) -> Result<(), PushError> {
    let source = source(&options.target)?;
    let key = match &options.trust {
        Some(trust) => {
            let proof = Proof::of(options.aws_iam);
            Some(identity::key(trust, &options.target, None, proof).await?)
        }
        None => options.api_key.or(source.key),
    };
    let key = key.filter(|key| !key.trim().is_empty());
    let key = key.ok_or_else(|| PushError::NoKey(source.address.clone()))?;
    let key = HeaderValue::from_str(key.trim()).map_err(|_| PushError::BadKey)?;
    let files = files(&options.packages)?;
    let insecure = options.target.allow_insecure_connections;
    let feed = Feed::at(Source { address: &source.address, insecure }).await?;
    let batches = batches(&files, !options.no_symbols && feed.takes_symbols());
    let pusher = Pusher {
        feed,
        key,
        skip_duplicate: options.skip_duplicate,
        bars: MultiProgress::with_draw_target(if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }),
    };
    let (all, mut failed) = (batches.iter().map(Vec::len).sum(), 0);
    let report = Report::new(options.json, pusher.bars.clone());
    let (turns, mut pushing) = (Arc::new(Semaphore::new(options.parallel.get())), JoinSet::new());
    for files in batches {
        let (pusher, turns) = (pusher.clone(), Arc::clone(&turns));
        pushing.spawn(async move {
            let _turn = turns.acquire_owned().await;
            pusher.push_in_order(&files).await
        });
    }
    while let Some(outcomes) = pushing.join_next().await {
        for outcome in outcomes.map_err(io::Error::other)? {
            failed += usize::from(outcome.is_failure());
            report.tell(&outcome)?;
        }
    }
    if failed > 0 { Err(PushError::NotAll { failed, all }) } else { Ok(()) }
}

/// Where to push to, by the command line and nuget.config.
pub(crate) fn source(target: &Target) -> Result<PushSource, PushError> {
    let home = std::env::home_dir();
    let sources = Sources::of(&std::env::current_dir()?, home.as_deref())?;
    Ok(sources.find(target.source.as_deref())?)
}

/// The files that paths and patterns stand for, each once.
fn files(patterns: &[String]) -> Result<BTreeSet<PathBuf>, PushError> {
    let mut files = BTreeSet::new();
    for pattern in patterns {
        if Path::new(pattern).is_file() {
            files.insert(PathBuf::from(pattern));
            continue;
        }
        let bad = |reason: String| PushError::BadPattern { pattern: pattern.clone(), reason };
        let found = glob::glob(pattern).map_err(|error| bad(error.to_string()))?;
        let found: Vec<PathBuf> =
            found.collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
        let found: Vec<PathBuf> = found.into_iter().filter(|path| path.is_file()).collect();
        if found.is_empty() {
            return Err(PushError::NoFile(pattern.clone()));
        }
        files.extend(found);
    }
    Ok(files)
}

/// The files to push one after the other: a package, and then its symbols. Those beside a
/// package are added, unless they are not wanted.
fn batches(files: &BTreeSet<PathBuf>, with_symbols: bool) -> Vec<Vec<PathBuf>> {
    let symbols_of =
        |file: &PathBuf| (kind(file) == UploadKind::Package).then(|| file.with_extension("snupkg"));
    let of_packages: BTreeSet<PathBuf> = files.iter().filter_map(symbols_of).collect();
    let first = files.iter().filter(|file| !of_packages.contains(*file));
    first
        .map(|file| {
            let symbols = symbols_of(file)
                .filter(|symbols| files.contains(symbols) || with_symbols && symbols.is_file());
            std::iter::once(file.clone()).chain(symbols).collect()
        })
        .collect()
}

/// The kind of a file, by its extension.
fn kind(file: &Path) -> UploadKind {
    let extension = file.extension().unwrap_or_default();
    if extension.eq_ignore_ascii_case("snupkg") { UploadKind::Symbols } else { UploadKind::Package }
}

/// Pushes one package after another. Clones share its connections.
#[derive(Debug, Clone)]
struct Pusher {
    feed: Feed,
    key: HeaderValue,
    skip_duplicate: bool,
    bars: MultiProgress,
}

impl Pusher {
    /// Pushes files until one fails: symbols follow their package.
    async fn push_in_order(&self, files: &[PathBuf]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut has_failed = false;
        for file in files {
            outcomes.push(if has_failed {
                Outcome::of(file).failed("its package was not pushed".to_owned())
            } else {
                self.push(file).await
            });
            has_failed = outcomes.last().is_some_and(Outcome::is_failure);
        }
        outcomes
    }

    async fn push(&self, file: &Path) -> Outcome {
        let start = Instant::now();
        let mut outcome = Outcome::of(file);
        let path = file.to_owned();
        let kind = kind(file);
        let opened = tokio::task::spawn_blocking(move || PackageFile::open(&path, kind)).await;
        let package = match opened {
            Ok(Ok(package)) => package,
            Ok(Err(error)) => return outcome.failed(error.to_string()),
            Err(panic) => return outcome.failed(panic.to_string()),
        };
        outcome.name(&package.declaration);
        let bar = self.bar(&package);
        let moved = bar.clone();
        let headers = self.headers();
        let answer = self.feed.push(&package, &headers, move |sent| moved.set_position(sent)).await;
        bar.finish_and_clear();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return outcome.failed(error.to_string()),
        };
        match answer.status {
            status if status.is_success() => outcome.pushed(answer.said(), start.elapsed()),
            StatusCode::CONFLICT if self.skip_duplicate => outcome.skipped(),
            status => outcome.refused(status, answer.said()),
        }
    }

    /// The headers of one push. All its requests share a session, so that the feed recognizes a
    /// repeated request.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut key = self.key.clone();
        key.set_sensitive(true);
        headers.insert("x-nuget-apikey", key);
        if let Ok(session) = HeaderValue::from_str(&Ulid::new().to_string()) {
            headers.insert("x-nuget-session-id", session);
        }
        headers
    }

    fn bar(&self, package: &PackageFile) -> ProgressBar {
        let declaration = &package.declaration;
        let bar = self.bars.add(ProgressBar::new(declaration.stored.size));
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
        bar.set_message(format!("{} {}", declaration.id, declaration.version));
        bar
    }
}
