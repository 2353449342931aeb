//! The memory of answers: many callers ask the same, and the answer is the same until a package
//! or the counts of downloads change.

use std::fmt;
use std::sync::{Arc, Weak};

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
    generation: u64,
    /// The counts of downloads, where they are shown. An answer does not keep them alive.
    counts: Option<Weak<DownloadCounts>>,
}

#[derive(Clone)]
struct Weights;

impl Weighter<String, Answer> for Weights {
    fn weight(&self, asked: &String, answer: &Answer) -> u64 {
        // Bytes that the map around it takes.
        const ENTRY: usize = 300;
        let next = answer.next.as_ref().map_or(0, HeaderValue::len);
        (asked.len() + answer.document.len() + next + ENTRY) as u64
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

impl State {
    pub(crate) fn new(generation: u64, counts: Option<&Arc<DownloadCounts>>) -> Self {
        Self { generation, counts: counts.map(Arc::downgrade) }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        // As long as a weak pointer is held, no other counts have the same address.
        let counts = |state: &Self| state.counts.as_ref().map(Weak::as_ptr);
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

#[cfg(test)]
mod tests {
    use access::{KeyName, Scope};
    use protocol::Body;

    use super::*;

    fn asked(base: &str, ids: &[&str], path: &str) -> String {
        let mut request = http::Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(BaseUrl(base.to_owned()));
        request.extensions_mut().insert(Caller::Key {
            name: KeyName::owner(),
            ids: ids.iter().map(|id| id.parse().unwrap()).collect(),
            scopes: vec![Scope::Read],
            warning: None,
            quotas: Vec::new(),
        });
        question(&request)
    }

    #[test]
    fn a_question_is_of_its_address_its_caller_s_ids_its_path_and_its_query() {
        let one = asked("https://a", &["Acme.*"], "/v3/search?q=x");
        assert_eq!(one, asked("https://a", &["Acme.*"], "/v3/search?q=x"));
        for other in [
            asked("https://b", &["Acme.*"], "/v3/search?q=x"),
            asked("https://a", &["Acme.*", "Other"], "/v3/search?q=x"),
            asked("https://a", &["*"], "/v3/search?q=x"),
            asked("https://a", &["Acme.*"], "/v3/autocomplete?q=x"),
            asked("https://a", &["Acme.*"], "/v3/search?q=y"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn an_answer_is_given_again_until_the_index_or_the_counts_change() {
        let (answers, counts) = (Answers::new(), Arc::new(DownloadCounts::default()));
        let state = || State::new(1, Some(&counts));
        answers.remember("q".to_owned(), &Answer::new(state(), b"{}".to_vec()));
        assert!(answers.get("q", &state()).is_some());
        assert!(answers.get("other", &state()).is_none());
        assert!(answers.get("q", &State::new(2, Some(&counts))).is_none());
        assert!(answers.get("q", &State::new(1, None)).is_none());
        let others = Arc::new(DownloadCounts::default());
        assert!(answers.get("q", &State::new(1, Some(&others))).is_none());
        // It does not keep the counts of an hour that is over.
        assert_eq!(Arc::strong_count(&counts), 1);
    }

    #[test]
    fn answers_stay_within_their_size() {
        let answers = Answers::new();
        for number in 0..100_000 {
            let answer = Answer::new(State::default(), vec![b' '; 40]);
            answers.remember(number.to_string(), &answer);
        }
        assert!(answers.0.weight() <= BYTES && answers.0.len() < 15_000);
        let large = Answer::new(State::default(), vec![b' '; LARGEST + 1]);
        answers.remember("large".to_owned(), &large);
        assert!(answers.get("large", &State::default()).is_none());
    }
}
