//! A feed that is asked by its address, with a key.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::one_line;
use serde::de::DeserializeOwned;

use crate::client::{ClientError, Feed, Source};
use crate::command::{Remote, Target};
use crate::push::{self, PushError};

/// The feed does not tell.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no source, or no key for it.
    #[error(transparent)]
    Source(#[from] Box<PushError>),
    /// The feed cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It refuses.
    #[error("the feed refused with {status}: {said}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its words.
        said: String,
    },
    /// Its answer is of another kind.
    #[error("the answer of the feed cannot be read ({0}); is it a feed of this version?")]
    Unreadable(String),
}

/// A feed, and the key to ask it with.
#[derive(Debug)]
pub(crate) struct RemoteFeed {
    feed: Feed,
    headers: HeaderMap,
}

impl RemoteFeed {
    /// The feed that the options name, if they name one. One request.
    ///
    /// # Errors
    /// There is no such feed, or no key for it.
    pub(crate) async fn of(options: &Remote) -> Result<Option<Self>, RemoteError> {
        let Some(source) = &options.source else { return Ok(None) };
        let insecure = options.allow_insecure_connections;
        let target = Target { source: Some(source.clone()), allow_insecure_connections: insecure };
        let source = push::source(&target).map_err(Box::new)?;
        let key = options.api_key.clone().or(source.key);
        let key = key.filter(|key| !key.trim().is_empty());
        let key = key.ok_or_else(|| Box::new(PushError::NoKey(source.address.clone())))?;
        let bad = |_| Box::new(PushError::BadKey);
        HeaderValue::from_str(key.trim()).map_err(bad)?;
        let key = BASE64_STANDARD.encode(format!("nuthatch:{}", key.trim()));
        let mut key = HeaderValue::from_str(&format!("Basic {key}")).map_err(bad)?;
        key.set_sensitive(true);
        let feed = Feed::at(Source { address: &source.address, insecure }).await?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, key);
        Ok(Some(Self { feed, headers }))
    }

    /// The document at a path of the feed. One request, and more while the feed is busy.
    ///
    /// # Errors
    /// The feed refuses, or does not answer.
    pub(crate) async fn document<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        let answer = self.feed.get(path, &self.headers).await?;
        if answer.status != StatusCode::OK {
            let said = answer.said().unwrap_or_else(|| "without a word".to_owned());
            return Err(RemoteError::Refused { status: answer.status, said });
        }
        let document =
            answer.json().ok_or_else(|| RemoteError::Unreadable("no JSON".to_owned()))?;
        let read = serde_json::from_value(document);
        read.map_err(|error| RemoteError::Unreadable(one_line(&error.to_string())))
    }
}
