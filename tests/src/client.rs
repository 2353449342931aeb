//! A client of a feed in this process: HTTP in, HTTP out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use protocol::{Body, Request};

use crate::TestFeed;

/// A client with or without a key.
#[derive(Debug, Clone)]
pub struct Client {
    feed: TestFeed,
    key: Option<String>,
}

/// An answer as a client gets it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The header's text; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Asserts that the answer has this status, and returns it.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the status is all that counts")]
    pub fn expect(self, status: StatusCode) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{} {body}", self.header("x-nuget-warning"));
        self
    }

    /// The status and message of a refusal: the warning that a user sees, or the detail in the
    /// document if there is no warning.
    #[must_use]
    pub fn refusal(&self) -> String {
        let detail = || Some(self.json()["detail"].as_str()?.to_owned());
        let words = match self.header("x-nuget-warning") {
            "" if !self.body.is_empty() => detail().unwrap_or_default(),
            warning => warning.to_owned(),
        };
        format!("{} {words}", self.status.as_u16())
    }
}

/// The header in which a client sends its key: to read as Basic credentials, and else in a
/// header of its own.
#[must_use]
pub fn key_header(method: &Method, key: &str) -> (HeaderName, HeaderValue) {
    if method.is_safe() {
        let credentials = BASE64_STANDARD.encode(format!("any:{key}"));
        (AUTHORIZATION, format!("Basic {credentials}").parse().unwrap())
    } else {
        (HeaderName::from_static("x-nuget-apikey"), key.parse().unwrap())
    }
}

impl Client {
    pub(crate) fn new(feed: &TestFeed, key: Option<&str>) -> Self {
        Self { feed: feed.clone(), key: key.map(str::to_owned) }
    }

    /// The client's key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same client at another instance of the feed.
    #[must_use]
    pub fn at(&self, feed: &TestFeed) -> Self {
        Self { feed: feed.clone(), ..self.clone() }
    }

    /// Sends a request.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Answer {
        let mut request: Request = request.body(body.into()).unwrap();
        if let Some(key) = &self.key {
            request.headers_mut().insert("x-nuget-apikey", key.parse().unwrap());
        }
        let (parts, body) = self.feed.gateway.handle(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// GETs a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path), Bytes::new()).await
    }

    /// GETs a path with a header.
    pub async fn get_with(&self, path: &str, (name, value): (&str, &str)) -> Answer {
        self.send(request(Method::GET, path).header(name, value), Bytes::new()).await
    }

    /// HEADs a path.
    pub async fn head(&self, path: &str) -> Answer {
        self.send(request(Method::HEAD, path), Bytes::new()).await
    }

    /// The registration's index, with all versions.
    pub async fn registration(&self, id: &str) -> Answer {
        self.get(&format!("/v3/registration/{}/index.json", id.to_lowercase())).await
    }

    /// The answer to a search. `query` is the query string without its question mark.
    pub async fn search(&self, query: &str) -> serde_json::Value {
        loop {
            let answer = self.get(&format!("/v3/search?{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{query}");
            // On a busy machine, there may be more changes than are read in two seconds.
            if answer.header("x-nuthatch-index") != "behind" {
                return answer.json();
            }
        }
    }

    /// The ids that a search finds, in their order.
    pub async fn found(&self, query: &str) -> Vec<String> {
        let data = self.search(query).await["data"].take();
        let ids = data.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }

    /// The completions.
    pub async fn complete(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/v3/autocomplete?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        serde_json::from_value(answer.json()["data"].take()).unwrap()
    }

    /// DELETEs `id/version`.
    pub async fn delete(&self, version: &str) -> Answer {
        let path = format!("/api/v2/package/{version}");
        self.send(request(Method::DELETE, &path), Bytes::new()).await
    }

    /// POSTs to `id/version`.
    pub async fn relist(&self, version: &str) -> Answer {
        let path = format!("/api/v2/package/{version}");
        self.send(request(Method::POST, &path), Bytes::new()).await
    }

    /// Pushes a package as NuGet clients do.
    pub async fn push(&self, package: &[u8]) -> Answer {
        self.push_in_session(package, None).await
    }

    /// Pushes a package in a session of the client's.
    pub async fn push_in_session(&self, package: &[u8], session: Option<&str>) -> Answer {
        let (content_type, body) = framed(package);
        let mut request =
            request(Method::PUT, "/api/v2/package/").header("content-type", content_type);
        if let Some(session) = session {
            request = request.header("x-nuget-session-id", session);
        }
        self.send(request, body).await
    }

    /// Pushes symbols as NuGet clients do.
    pub async fn push_symbols(&self, symbols: &[u8]) -> Answer {
        let (content_type, body) = framed(symbols);
        let request = request(Method::PUT, "/api/v2/symbolpackage/");
        self.send(request.header("content-type", content_type), body).await
    }

    /// The package's versions; none where the feed has none.
    pub async fn versions(&self, id: &str) -> Vec<String> {
        let answer = self.get(&format!("/v3/package/{id}/index.json")).await;
        match answer.status {
            StatusCode::OK => serde_json::from_value(answer.json()["versions"].clone()).unwrap(),
            StatusCode::NOT_FOUND => Vec::new(),
            status => panic!("the version list is answered {status}"),
        }
    }

    /// The nupkg of a version.
    pub async fn nupkg(&self, id: &str, version: &str) -> Answer {
        self.get(&format!("/v3/package/{id}/{version}/{id}.{version}.nupkg")).await
    }
}

fn request(method: Method, path: &str) -> http::request::Builder {
    http::Request::builder().method(method).uri(path)
}

/// A package in the framing of NuGet since 2.12: the content type and the body.
#[must_use]
pub fn framed(package: &[u8]) -> (&'static str, Vec<u8>) {
    let head = b"--8e29ba97-4378-4f6b-a2f5-58cc53b13096\r\n\
        Content-Type: application/octet-stream\r\n\
        Content-Disposition: form-data; name=package; filename=package.nupkg; \
        filename*=utf-8''package.nupkg\r\n\r\n";
    let tail = b"\r\n--8e29ba97-4378-4f6b-a2f5-58cc53b13096--\r\n";
    let content_type = "multipart/form-data; boundary=\"8e29ba97-4378-4f6b-a2f5-58cc53b13096\"";
    (content_type, [head.as_slice(), package, tail].concat())
}
