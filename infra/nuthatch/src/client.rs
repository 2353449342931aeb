//! The client of a feed, through which `push` and `relay` send packages.

mod answer;
mod upload;

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use protocol::{BaseUrl, paths, with_causes};
use serde::Deserialize;

pub use answer::Answer;
pub use upload::{PackageFile, PackageFileError, inspect};

/// How many times a request is tried if it may succeed later.
const TRIES: u32 = 3;
/// The longest pause that a feed may ask for before the next try.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest time that a small document may take to come.
const IN_TIME: Duration = Duration::from_secs(10);

/// The answer to a request for a small document, and its body: 64 KiB of it at most, whatever
/// the server sends.
///
/// # Errors
/// There is no answer in time.
pub(crate) async fn small_answer(
    request: reqwest::RequestBuilder,
) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
    const MOST: usize = 64 * 1024;
    let sent = request.timeout(IN_TIME).send().await;
    let mut answer = sent.map_err(reqwest::Error::without_url)?;
    let (status, mut body) = (answer.status(), Vec::new());
    while body.len() < MOST {
        let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? else { break };
        body.extend_from_slice(&piece);
    }
    body.truncate(MOST);
    Ok((status, body))
}

/// The feed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The source is not a valid address.
    #[error("'{0}' is not the address of a feed; write it like https://FEED/v3/index.json")]
    BadSource(String),
    /// The API key would travel unencrypted.
    #[error(
        "'{0}' is not encrypted, and the API key would travel in the open; use https, or --allow-insecure-connections"
    )]
    Insecure(String),
    /// The HTTP client cannot be made.
    #[error("cannot set up HTTP: {0}")]
    Setup(reqwest::Error),
    /// Nothing answers there.
    #[error("{address} does not answer ({})", with_causes(.source))]
    Unreachable {
        /// The address.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// Something else answers there.
    #[error("{address} is not a feed that takes uploads ({reason}); check the source")]
    NoUploads {
        /// The address.
        address: String,
        /// Why its answer cannot be used.
        reason: String,
    },
    /// The bucket refused what the feed had signed.
    #[error("the bucket refused the upload with {status}: {said}; push again")]
    Bucket {
        /// Its status.
        status: StatusCode,
        /// The words of its answer.
        said: String,
    },
}

/// Where a feed is.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The address of its service index.
    pub address: &'a str,
    /// Whether it may be reached without TLS.
    pub insecure: bool,
}

/// A feed, as its service index names it. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Feed {
    http: reqwest::Client,
    /// The start of its addresses.
    base_url: BaseUrl,
    index: serde_json::Value,
}

/// The service index, as much as is needed.
#[derive(Debug, Deserialize)]
struct ServiceIndex {
    resources: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kind: String,
}

/// Where uploads are declared, below the feed's address.
const UPLOAD: &str = paths::UPLOADS;

impl Feed {
    /// The feed at `source`. One request.
    ///
    /// # Errors
    /// There is no feed, it does not take uploads, or the connection would not be safe.
    pub async fn at(source: Source<'_>) -> Result<Self, ClientError> {
        let Source { address, insecure } = source;
        let url = safe_address(address, insecure)?;
        let http = http_client()?;
        let unreachable = |source: reqwest::Error| unreachable_at(address.to_owned(), source);
        let answer = send_again(|| http.get(url.clone())).await.map_err(unreachable)?;
        let status = answer.status();
        let no_uploads =
            |reason: String| ClientError::NoUploads { address: address.to_owned(), reason };
        if status != StatusCode::OK {
            return Err(no_uploads(format!("it answers {status}")));
        }
        let index = answer.bytes().await.map_err(unreachable)?;
        let index: serde_json::Value =
            serde_json::from_slice(&index).map_err(|error| no_uploads(error.to_string()))?;
        let resources = ServiceIndex::deserialize(&index);
        let resources = resources.map_err(|error| no_uploads(error.to_string()))?.resources;
        let upload = resources.iter().find(|resource| resource.kind == "NuthatchUpload/1.0.0");
        let base_url = upload.and_then(|upload| upload.id.strip_suffix(UPLOAD));
        let Some(base_url) = base_url else {
            return Err(no_uploads("its service index names no NuthatchUpload/1.0.0".to_owned()));
        };
        let base_url = BaseUrl(base_url.to_owned());
        // Keys go there, and not to the source.
        safe_address(&base_url.0, insecure)?;
        Ok(Self { http, base_url, index })
    }

    /// Its service index.
    #[must_use]
    pub fn index(&self) -> &serde_json::Value {
        &self.index
    }

    /// Whether it takes symbols.
    #[must_use]
    pub fn takes_symbols(&self) -> bool {
        let resources = self.index.get("resources").and_then(serde_json::Value::as_array);
        let mut kinds = resources.into_iter().flatten().filter_map(|of| of.get("@type")?.as_str());
        kinds.any(|kind| kind.starts_with("SymbolPackagePublish/"))
    }

    /// Sends a request to a path of the feed, without retries, and returns the answer as a
    /// stream.
    ///
    /// # Errors
    /// Nothing answers.
    pub async fn forward(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: protocol::Body,
    ) -> Result<reqwest::Response, ClientError> {
        let address = format!("{}{path}", self.base_url.0);
        let request = self.http.request(method, &address).headers(headers);
        let sent = request.body(reqwest::Body::wrap(body)).send().await;
        sent.map_err(|source| unreachable_at(address, source))
    }

    /// Gets a document, with retries.
    ///
    /// # Errors
    /// Nothing answers.
    pub(crate) async fn get(&self, path: &str, headers: &HeaderMap) -> Result<Answer, ClientError> {
        let address = format!("{}{path}", self.base_url.0);
        let unreachable = |source: reqwest::Error| unreachable_at(address.clone(), source);
        let answer = send_again(|| {
            let request = self.http.get(&address).headers(headers.clone());
            request.timeout(Duration::from_mins(1))
        });
        Answer::of(answer.await.map_err(unreachable)?).await.map_err(unreachable)
    }

    /// Posts a document, with retries.
    async fn post(
        &self,
        path: &str,
        headers: &HeaderMap,
        document: &str,
    ) -> Result<Answer, ClientError> {
        let address = format!("{}{path}", self.base_url.0);
        let unreachable = |source: reqwest::Error| unreachable_at(address.clone(), source);
        let answer = send_again(|| {
            let request = self.http.post(&address).headers(headers.clone());
            let request = request.timeout(Duration::from_mins(1));
            request.header("content-type", "application/json").body(document.to_owned())
        });
        Answer::of(answer.await.map_err(unreachable)?).await.map_err(unreachable)
    }
}

/// The address, if keys may travel there.
pub(crate) fn safe_address(address: &str, insecure: bool) -> Result<reqwest::Url, ClientError> {
    let bad = || ClientError::BadSource(address.to_owned());
    let url: reqwest::Url = address.parse().map_err(|_| bad())?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if insecure || !BaseUrl(format!("http://{host}")).is_in_the_open() => {
            Ok(url)
        }
        ("http", Some(_)) => Err(ClientError::Insecure(address.to_owned())),
        _ => Err(bad()),
    }
}

/// A client that follows no redirect, which would take the key along.
pub(crate) fn http_client() -> Result<reqwest::Client, ClientError> {
    reqwest::Client::builder()
        .user_agent(concat!("nuthatch/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(ClientError::Setup)
}

/// The error when nothing answers at `address`. The library's error contains the whole URL,
/// including the signature that opens the bucket, so the URL is removed from it.
fn unreachable_at(address: String, source: reqwest::Error) -> ClientError {
    ClientError::Unreachable { address, source: source.without_url() }
}

/// Sends a request that is safe to send twice. Sends it again if it was lost, or if the feed
/// says that it may work later.
async fn send_again(
    request: impl Fn() -> reqwest::RequestBuilder,
) -> Result<reqwest::Response, reqwest::Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let sent = request().send().await;
        let pause = match &sent {
            Ok(answer) if may_work_later(answer.status()) => pause_asked_for(answer.headers()),
            Err(error) if !error.is_builder() => None,
            _ => return sent,
        };
        if tries == TRIES {
            return sent;
        }
        let pause = pause.unwrap_or(Duration::from_millis(500) * tries);
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
}

fn may_work_later(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn pause_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
