//! A push in three steps: declare, PUT to the bucket, commit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use ingest::{Declaration, UploadKind};
use nupkg::{Limits, PackageError};
use protocol::paths;
use serde::Deserialize;
use store::{Content, FileBody, Stored};
use time::OffsetDateTime;

use super::{Answer, ClientError, Feed, TRIES, UPLOAD, may_work_later};

/// A package on this machine, or its symbols, ready to be sent.
#[derive(Debug, Clone)]
pub struct PackageFile {
    /// The package.
    pub declaration: Declaration,
    content: Content,
}

/// The file is not a package that can be sent.
#[derive(Debug, thiserror::Error)]
pub enum PackageFileError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It breaks a rule. The feed would say the same.
    #[error("{0}")]
    Invalid(PackageError),
}

impl PackageFile {
    /// The package of this kind in the file at `path`: reads all of it. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is not a valid package.
    pub fn open(path: &Path, kind: UploadKind) -> Result<Self, PackageFileError> {
        let file = Arc::new(File::open(path)?);
        let size = file.metadata()?.len();
        let content = Content::File { file, size };
        let sha256 = content.sha256(0..size)?;
        match inspect(content.clone(), kind, Stored { size, sha256 }) {
            Ok(declaration) => Ok(Self { declaration, content }),
            Err(PackageError::Unreadable(error)) => Err(error.into()),
            Err(error) => Err(PackageFileError::Invalid(error)),
        }
    }

    /// The package in `content`, which must match `declaration`.
    #[must_use]
    pub fn declared(declaration: Declaration, content: Content) -> Self {
        Self { declaration, content }
    }
}

/// The declaration of the package of this kind in `content`. Blocks.
///
/// # Errors
/// It breaks a rule, or cannot be read.
pub fn inspect(
    content: Content,
    kind: UploadKind,
    stored: Stored,
) -> Result<Declaration, PackageError> {
    let (limits, now) = (Limits::default(), OffsetDateTime::now_utc());
    let (id, version) = match kind {
        UploadKind::Package => {
            let nuspec = nupkg::inspect(content, &limits, now)?.nuspec;
            (nuspec.id, nuspec.version)
        }
        UploadKind::Symbols => {
            let symbols = nupkg::inspect_symbols(content, &limits, now)?;
            (symbols.id, symbols.version)
        }
    };
    Ok(Declaration { kind, id, version, stored })
}

/// The feed's answer about the next step.
#[derive(Debug, Deserialize)]
struct Invitation {
    upload: String,
    url: String,
    headers: BTreeMap<String, String>,
}

impl Feed {
    /// Pushes `package` with the key and the session in `headers`, and returns the feed's
    /// answer. `sent` is called with the number of bytes sent so far, which drops when the
    /// upload starts again.
    ///
    /// # Errors
    /// The feed or the bucket cannot be reached, or its answer is not as expected.
    pub async fn push(
        &self,
        package: &PackageFile,
        headers: &HeaderMap,
        sent: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<Answer, ClientError> {
        let declaration = package.declaration.to_json();
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.post(UPLOAD, headers, &declaration).await?;
            if answer.status != StatusCode::OK {
                return Ok(answer);
            }
            let invitation = self.invitation(&answer)?;
            match self.put(&invitation, package, sent.clone()).await {
                // The address is valid for a short time only, so ask for a new one.
                Err(ClientError::Bucket { status: StatusCode::FORBIDDEN, .. }) if tries < TRIES => {
                }
                put => {
                    put?;
                    let path = match package.declaration.kind {
                        UploadKind::Package => paths::COMMIT,
                        UploadKind::Symbols => paths::COMMIT_SYMBOLS,
                    };
                    let path = paths::fill(path, &[&invitation.upload]);
                    return self.post(&path, headers, &declaration).await;
                }
            }
        }
    }

    fn invitation(&self, answer: &Answer) -> Result<Invitation, ClientError> {
        let invitation = answer.json().and_then(|json| Invitation::deserialize(json).ok());
        invitation.ok_or_else(|| ClientError::NoUploads {
            address: format!("{}{UPLOAD}", self.base_url.0),
            reason: "it invites to no upload".to_owned(),
        })
    }

    /// Asks whether a key may push at all. The feed reads the key first.
    ///
    /// # Errors
    /// The feed cannot be reached.
    pub async fn probe(&self, headers: &HeaderMap) -> Result<Answer, ClientError> {
        self.post(UPLOAD, headers, "{}").await
    }

    /// Sends the bytes, with retries: they are the same every time.
    async fn put(
        &self,
        invitation: &Invitation,
        package: &PackageFile,
        sent: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<(), ClientError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let put = self.http.put(&invitation.url).headers(invitation.headers());
            let put = put.body(body(package, sent.clone())).send().await;
            let failed = match put {
                // 412: an earlier try stored it already, and the answer was lost.
                Ok(answer)
                    if answer.status().is_success()
                        || answer.status() == StatusCode::PRECONDITION_FAILED =>
                {
                    return Ok(());
                }
                Ok(answer) if !is_worth_another(answer.status()) || tries == TRIES => {
                    let status = answer.status();
                    let said = answer.text().await.unwrap_or_default();
                    return Err(ClientError::Bucket { status, said: first_words(&said) });
                }
                Err(source) if tries == TRIES => {
                    let address = invitation.url.split('?').next().unwrap_or_default().to_owned();
                    return Err(super::unreachable_at(address, source));
                }
                Ok(answer) => answer.status().to_string(),
                Err(error) => super::with_causes(&error.without_url()),
            };
            tracing::warn!("the upload failed and begins anew: {failed}");
            tokio::time::sleep(Duration::from_secs(1) * tries).await;
        }
    }
}

/// S3 answers 409 when two tries of the same upload overlap.
fn is_worth_another(status: StatusCode) -> bool {
    may_work_later(status) || status == StatusCode::CONFLICT
}

impl Invitation {
    fn headers(&self) -> HeaderMap {
        let headers = self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
        headers
            .filter_map(|(name, value)| {
                Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
            })
            .collect()
    }
}

fn body(package: &PackageFile, sent: impl Fn(u64) + Send + Sync + 'static) -> reqwest::Body {
    let mut total = 0;
    let counted = move |frame: Frame<Bytes>| {
        total += frame.data_ref().map_or(0, Bytes::len) as u64;
        sent(total);
        frame
    };
    match &package.content {
        Content::Memory(bytes) => reqwest::Body::wrap(Full::new(bytes.clone()).map_frame(counted)),
        Content::File { file, size } => {
            reqwest::Body::wrap(FileBody::new(Arc::clone(file), 0..*size).map_frame(counted))
        }
    }
}

/// S3's message in its XML, or the beginning of another text.
fn first_words(said: &str) -> String {
    let message = said
        .split_once("<Message>")
        .and_then(|(_, rest)| rest.split_once("</Message>"))
        .map_or(said, |(message, _)| message);
    protocol::one_line(message).chars().take(200).collect()
}
