//! The memory of answers: many callers ask the same, and the answer is the same until a package
//! or the counts of downloads change.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, LINK};
use protocol::{BaseUrl, Caller, Reply, Request};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use store::DownloadCounts;

/// About how many bytes all answers take.
const BYTES: u64 = 4 * 1024 * 1024;
/// The most bytes of an answer that is remembered, and of a usual one.
const LARGEST: usize = 128 * 1024;
const USUAL: usize = 16 * 1024;

/// Answers that were given before. Clones share them.
#[derive(Clone)]
pub(crate) struct Answers(Arc<Cache<String, Answer, Weights>>);

/// An answer with status 200.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    of: State,
    document: Bytes,
    /// The link to the next page.
    pub(crate) next: Option<HeaderValue>,
}

/// All that an answer is made of, besides the question.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The generation of the index.
    pub(crate) generation: u64,
    /// The counts of downloads, where they are shown.
    pub(crate) counts: Option<Arc<DownloadCounts>>,
}

#[derive(Clone)]
struct Weights;

impl Weighter<String, Answer> for Weights {
    fn weight(&self, asked: &String, answer: &Answer) -> u64 {
        (asked.len() + answer.document.len()) as u64
    }
}

impl Answers {
    pub(crate) fn new() -> Self {
        let usual = usize::try_from(BYTES).unwrap_or(usize::MAX) / USUAL;
        Self(Arc::new(Cache::with_weighter(usual, BYTES, Weights)))
    }

    /// The answer to the question `asked`, if it would be the same now.
    pub(crate) fn get(&self, asked: &str, state: &State) -> Option<Answer> {
        self.0.get(asked).filter(|answer| answer.of == *state)
    }

    pub(crate) fn remember(&self, asked: String, answer: &Answer) {
        if answer.document.len() <= LARGEST {
            self.0.insert(asked, answer.clone());
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({})", self.0.len())
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let counts = |state: &Self| state.counts.as_ref().map(Arc::as_ptr);
        self.generation == other.generation && counts(self) == counts(other)
    }
}

impl Answer {
    pub(crate) fn new(of: State, document: Vec<u8>) -> Self {
        Self { of, document: document.into(), next: None }
    }

    pub(crate) fn into_reply(self) -> Reply {
        let mut reply = protocol::stream_tagged(self.document, "application/json");
        if let Some(next) = self.next {
            reply.headers_mut().insert(LINK, next);
        }
        reply
    }
}

/// The question that a request asks: the whole of it, as the packages that the caller may see
/// and the addresses in the answer are parts of it.
pub(crate) fn question(request: &Request) -> String {
    let ids = match Caller::of(request) {
        Caller::Anonymous => "*".to_owned(),
        Caller::Key { ids, .. } => {
            ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        }
    };
    let (base, uri) = (BaseUrl::of(request), request.uri());
    // No part of it may have a line end.
    format!("{base}\n{ids}\n{}\n{}", uri.path(), uri.query().unwrap_or_default())
}
